"""Who checks or registers a schema is told who would lose what, by the live grants."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bus.contracts import load_all
from bus.event import write_time
from bus.registry import Registry
from tests.registry.test_trust import CITY, RINGELAI, admission, client, root, statement
from tests.trust.parties import signer

pytestmark = pytest.mark.slow

OFFICE, OFFICE_KEY = "de.agency.finanzamt", signer(9)
TOPIC = "resident.address-changed.v1"


def schema(*without: str) -> dict[str, str]:
    """Return the newest schema without some fields, as it is sent."""
    found = next(one for one in load_all() if one.topic == TOPIC).versions[-1]
    fields = [one for one in found["fields"] if one["name"] not in without]
    return {"schema": json.dumps({**found, "fields": fields})}


@pytest.fixture
async def granted(registry: Registry) -> str:
    """A grant of two fields, by its id."""
    now = datetime.now(UTC).replace(microsecond=0)
    says: dict[str, Any] = {
        "owner": {"member": RINGELAI},
        "recipient": OFFICE,
        "topic": TOPIC,
        "fields": ["cause", "household"],
        "rows": [],
        "purpose": "tax",
        "basis": {"text": "Für die Grundsteuer.", "norm": "§ 34 Abs. 1 BMG"},
        "from": write_time(now),
        "to": write_time(now + timedelta(days=9)),
    }
    async with client(registry) as one:
        await one.hand_in(root(registry))
        await one.hand_in(admission(registry, RINGELAI, CITY))
        await one.hand_in(admission(registry, OFFICE, OFFICE_KEY))
        asked = statement(registry, "grant-asked", says, OFFICE_KEY)
        await one.hand_in(asked)
        says = {"grant": asked.digest.hex()}
        await one.hand_in(statement(registry, "grant-approved", says, CITY))
    return asked.digest.hex()[:32]


async def test_losses_are_told_and_break_nothing(
    http: httpx.AsyncClient, granted: str, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = (
        f'The field "household" is dropped: {OFFICE} does not get it any more after that, '
        f"under the grant {granted}."
    )
    subject = f"{TOPIC}-value"
    path = f"/compatibility/subjects/{subject}/versions?verbose=true"
    said = (await http.post(path, json=schema("household"))).json()
    assert said == {"is_compatible": True, "messages": [sentence], "impact": [sentence]}
    fine = {"is_compatible": True, "messages": []}
    assert (await http.post(path, json=schema("corrects"))).json() == fine
    broken = (await http.post(path, json=schema("household", "valid_from"))).json()
    assert not broken["is_compatible"]
    assert broken["impact"] == [sentence]
    assert broken["messages"][-1] == sentence
    assert len(broken["messages"]) > 1
    assert sentence not in caplog.text
    done = (await http.post(f"/subjects/{subject}/versions", json=schema("household"))).json()
    assert done["impact"] == [sentence]
    assert sentence in caplog.text
    again = (await http.post(f"/subjects/{subject}/versions", json=schema("household"))).json()
    assert again == {"id": done["id"], "version": done["version"]}
    assert (await http.post(path, json=schema("household"))).json() == fine


async def test_a_contract_that_takes_something_away_is_logged(
    registry: Registry, http: httpx.AsyncClient, granted: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = next(one for one in load_all() if one.topic == TOPIC).to_json()
    del body["schema_ids"], body["sensitivity"]["household"]
    body["versions"] = [*body["versions"], json.loads(schema("household")["schema"])]
    for example in body["examples"].values():
        del example["household"]
    answer = await http.put(f"/contracts/{TOPIC}", json=body)
    assert answer.status_code == 200, answer.text
    assert f"under the grant {granted}." in caplog.text


async def test_where_nothing_is_granted_nobody_loses(http: httpx.AsyncClient) -> None:
    path = f"/compatibility/subjects/{TOPIC}-value/versions?verbose=true"
    said = (await http.post(path, json=schema("household"))).json()
    assert said == {"is_compatible": True, "messages": []}
