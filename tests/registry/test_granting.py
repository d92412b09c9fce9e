"""What is wrong with a grant is said before it stands in the journal, whoever wrote it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bus.errors import InvalidStatement, StatementRefused
from bus.event import write_time
from bus.registry import Registry
from bus.trust.client import TrustClient
from tests.registry.test_trust import CITY, RINGELAI, admission, client, root, statement
from tests.trust.parties import signer

pytestmark = pytest.mark.slow

OFFICE, OFFICE_KEY = "de.agency.finanzamt", signer(9)
TOPIC = "resident.address-changed.v1"
NOW = datetime.now(UTC).replace(microsecond=0)
TERMS: dict[str, Any] = {
    "owner": {"member": RINGELAI},
    "recipient": OFFICE,
    "topic": TOPIC,
    "fields": ["cause"],
    "rows": [],
    "purpose": "tax",
    "basis": {"text": "Für die Grundsteuer.", "norm": "§ 34 Abs. 1 BMG"},
    "from": write_time(NOW),
    "to": write_time(NOW + timedelta(days=9)),
}


async def begun(registry: Registry, one: TrustClient) -> None:
    """Admit a town and an office."""
    await one.hand_in(root(registry))
    await one.hand_in(admission(registry, RINGELAI, CITY))
    await one.hand_in(admission(registry, OFFICE, OFFICE_KEY))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"fields": ["income"]}, 'has no field "income"'),
    ({"fields": ["cause", "cause"]}, "has a field twice"),
    ({"fields": []}, "is no list of 1 to 256 fields"),
    ({"rows": [{"field": "income", "is": 1}]}, 'there is no field "income"'),
    ({"rows": [{"field": "cause", "is": "MOOVE"}]}, "is never 'MOOVE'"),
    ({"rows": [{"field": "cause", "prefix": "M"}]}, "cannot be asked"),
    ({"rows": [{"field": "cause", "like": "M%"}]}, "grant.rows[0]"),
    ({"from": TERMS["to"], "to": TERMS["from"]}, "ends at"),
    ({"basis": {"text": "So.", "norm": "§ 1 Erfunden"}}, 'the statute "Erfunden" is not known'),
    ({"purpose": "fun"}, 'there is no purpose "fun"'),
    ({"topic": "resident.gone.v1"}, "there is no contract resident.gone.v1"),
    ({"topic": "sensor.reading.v1"}, "sensor.reading.v1 is open"),
    ({"owner": {"member": "de.mun.092720120120"}}, "de.mun.092720120120 is no member"),
    ({"owner": {"authority": RINGELAI, "ars": "0927"}}, "no beginning of an official code"),
    ({"extra": 1}, 'unknown name "extra"'),
]


async def test_a_grant_that_can_give_nothing_is_never_appended(registry: Registry) -> None:
    async with client(registry) as one:
        await begun(registry, one)
        for changes, words in WRONG:
            asked = statement(registry, "grant-asked", TERMS | changes, OFFICE_KEY)
            with pytest.raises((InvalidStatement, StatementRefused)) as refused:
                await one.hand_in(asked)
            assert words in str(refused.value), changes
        ledger = await one.follow()
        assert (len(ledger.grants), ledger.alarms) == (0, [])


async def test_nobody_takes_a_step_that_is_not_theirs_or_not_possible(registry: Registry) -> None:
    async with client(registry) as one:
        await begun(registry, one)
        asked = statement(registry, "grant-asked", TERMS, OFFICE_KEY)
        with pytest.raises(StatementRefused, match="not itself"):
            await one.hand_in(statement(registry, "grant-asked", TERMS, CITY))
        await one.hand_in(asked)
        says = {"grant": asked.digest.hex()}
        for kind, key, words in (
            ("grant-approved", OFFICE_KEY, f"this is for {RINGELAI} to say, not for {OFFICE}"),
            ("grant-revoked", CITY, "the grant is requested, not approved"),
            ("grant-withdrawn", CITY, f"this is for {OFFICE} to say"),
        ):
            with pytest.raises(StatementRefused, match=words):
                await one.hand_in(statement(registry, kind, says, key))
        with pytest.raises(StatementRefused, match="nobody asked for the grant"):
            await one.hand_in(statement(registry, "grant-approved", {"grant": "f" * 64}, CITY))
        await one.hand_in(statement(registry, "grant-withdrawn", says, OFFICE_KEY))
        with pytest.raises(StatementRefused, match="the grant is withdrawn, not requested"):
            await one.hand_in(statement(registry, "grant-approved", says, CITY))
        assert (await one.follow()).alarms == []
