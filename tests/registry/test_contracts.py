"""Putting contracts in force: once, in one entry, and never taking back what was promised."""

import json
from collections.abc import Awaitable, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.admin import Admin, TopicSpec
from bus.contracts import load_all
from bus.errors import InvalidContract
from bus.registry import Registry
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry

pytestmark = pytest.mark.slow

Start = Callable[[], Awaitable[Registry]]

SHIPPED = {contract.topic: contract for contract in load_all()}
TOPIC = "sensor.reading.v1"
OURS = "sensor.trial.v1"
EXAMPLES = {"gap": SHIPPED[TOPIC].examples["gap"]}


def contract(**changes: Any) -> dict[str, Any]:
    """A contract like the one for readings, under a topic of its own."""
    value = deepcopy(SHIPPED[TOPIC].to_json()) | {"topic": OURS, "examples": EXAMPLES}
    del value["schema_ids"]
    return value | changes


def with_field(**field: Any) -> dict[str, Any]:
    """The contract with one more version, which has one more field."""
    value = contract()
    newest = deepcopy(value["versions"][-1])
    newest["fields"].append({"name": "more", "doc": "More.", **field})
    value["versions"].append(newest)
    value["sensitivity"] |= {"more": "public"}
    return value


async def put(http: httpx.AsyncClient, value: Any, topic: str = OURS) -> tuple[int, Any]:
    answer = await http.put(f"/contracts/{topic}", content=json.dumps(value))
    return answer.status_code, answer.json()


async def test_the_shipped_contracts_are_in_force(
    http: httpx.AsyncClient, bare: KafkaSettings
) -> None:
    assert (await http.get("/contracts")).json() == sorted(SHIPPED)
    async with Admin(bare) as admin:
        for topic, shipped in SHIPPED.items():
            answer = (await http.get(f"/contracts/{topic}")).json()
            assert answer["owner"] == shipped.owner
            for number, schema_id in enumerate(answer["schema_ids"], 1):
                described = (await http.get(f"/subjects/{topic}-value/versions/{number}")).json()
                assert described["id"] == schema_id
            assert len(answer["schema_ids"]) == len(shipped.versions)
            level = (await http.get(f"/config/{topic}-value")).json()
            assert level == {"compatibilityLevel": "FULL_TRANSITIVE"}
            configs = await admin.configs(topic)
            assert configs["message.timestamp.type"] == "LogAppendTime"


async def test_a_contract_is_one_entry_and_the_second_time_none(
    http: httpx.AsyncClient, registry: Registry
) -> None:
    before = registry._store.journal.length
    status, first = await put(http, contract())
    assert (status, first["topic"], len(first["schema_ids"])) == (200, OURS, 2)
    assert registry._store.journal.length == before + 1
    assert await put(http, contract()) == (200, first)
    assert await put(http, first) == (200, first)
    assert (await http.get(f"/contracts/{OURS}")).json() == first
    assert registry._store.journal.length == before + 1


async def test_what_other_topics_have_keeps_its_id(http: httpx.AsyncClient) -> None:
    shipped = (await http.get(f"/contracts/{TOPIC}")).json()
    _, ours = await put(http, contract())
    assert ours["schema_ids"] == shipped["schema_ids"]


async def test_a_contract_gains_versions_and_words(http: httpx.AsyncClient) -> None:
    _, before = await put(http, contract())
    longer = with_field(type=["null", "string"], default=None)
    status, after = await put(http, longer)
    assert status == 200
    assert after["schema_ids"][:-1] == before["schema_ids"]
    retitled = longer | {"title": {"de": "Neu", "en": "New"}}
    assert (await put(http, retitled))[1]["title"] == {"de": "Neu", "en": "New"}


@pytest.mark.parametrize(
    ("value", "status", "code", "words"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            ("another key", contract(key=["thing"]), 409, 40991, "its key would change"),
            ("other partitions", contract(partitions=99), 409, 40991, "its partitions would"),
            (
                "fewer versions",
                contract(versions=contract()["versions"][:1], sensitivity={})
                | {
                    "sensitivity": {
                        field["name"]: "public" for field in contract()["versions"][0]["fields"]
                    }
                },
                409,
                40991,
                "version 2 is in force already",
            ),
            ("another topic", contract(topic="sensor.other.v1"), 422, 42291, "it is about"),
            ("an unknown name", contract(colour="red"), 422, 42291, 'unknown name "colour"'),
            ("a weaker promise", contract(compatibility="BACKWARD"), 422, 42291, "FULL_TRANSITIVE"),
            ("too many partitions", contract(partitions=2**31), 422, 42291, "1 and 1000"),
            (
                "half a character",
                contract(title={"de": "\ud800", "en": "x"}),
                422,
                42291,
                "half a surrogate pair",
            ),
            ("no example", contract(examples={}), 422, 42291, "no example"),
            (
                "a promise broken",
                with_field(type="string"),
                409,
                40901,
                "`more` was added without a default",
            ),
            (
                "a version twice",
                contract(versions=[*contract()["versions"], contract()["versions"][-1]]),
                422,
                42291,
                "two of its versions are the same",
            ),
            (
                "more versions than anybody needs",
                contract(versions=contract()["versions"][:1] * 101),
                422,
                42291,
                "more than 100 versions",
            ),
            ("nothing", {}, 422, 42291, "is missing"),
        ]
    ],
)
async def test_contracts_that_are_refused(
    http: httpx.AsyncClient, value: Any, status: int, code: int, words: str
) -> None:
    _, before = await put(http, contract())
    found, refusal = await put(http, value)
    assert (found, refusal["error_code"]) == (status, code), refusal
    assert words in refusal["message"]
    assert (await http.get(f"/contracts/{OURS}")).json() == before


async def test_a_topic_that_the_engine_refuses_is_the_contracts_fault(
    http: httpx.AsyncClient,
) -> None:
    topic = f"sensor.{'x' * 300}.v1"
    status, refusal = await put(http, contract(topic=topic), topic)
    assert (status, refusal["error_code"]) == (422, 42291)
    assert topic not in (await http.get("/contracts")).json()


async def test_a_schema_that_was_registered_first_binds_the_contract(
    http: httpx.AsyncClient,
) -> None:
    """Whoever read its events is a reader, too."""
    first = {**contract()["versions"][0], "doc": "Another."}
    path = f"/subjects/{OURS}-value/versions"
    assert (await http.post(path, json={"schema": json.dumps(first)})).status_code == 200
    status, refusal = await put(http, contract())
    assert (status, refusal["error_code"]) == (409, 40991)
    assert "version 1 is registered with another schema" in refusal["message"]
    assert OURS not in (await http.get("/contracts")).json()


async def test_a_version_that_was_registered_beside_the_contract_keeps_its_number(
    http: httpx.AsyncClient,
) -> None:
    await put(http, contract())
    beside = deepcopy(contract()["versions"][-1])
    beside["fields"].append({"name": "more", "type": "int", "default": 0})
    path = f"/subjects/{OURS}-value/versions"
    assert (await http.post(path, json={"schema": json.dumps(beside)})).status_code == 200
    longer = with_field(type=["null", "string"], default=None)
    status, refusal = await put(http, longer)
    assert (status, refusal["error_code"]) == (409, 40991)
    assert "version 3 is registered with another schema" in refusal["message"]


async def test_the_level_of_a_contract_cannot_be_lowered(http: httpx.AsyncClient) -> None:
    await put(http, contract())
    path = f"/config/{OURS}-value"
    answer = await http.put(path, json={"compatibility": "BACKWARD"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, 42205)
    same = await http.put(path, json={"compatibility": "FULL_TRANSITIVE"})
    assert same.status_code == 200
    await http.put("/config", json={"compatibility": "NONE"})
    broken = await http.post(f"/subjects/{OURS}-value/versions", json={"schema": '"int"'})
    assert broken.status_code == 409


async def test_a_topic_that_is_there_with_other_partitions(
    http: httpx.AsyncClient, bare: KafkaSettings
) -> None:
    async with Admin(bare) as admin:
        await admin.ensure_topic(TopicSpec(name=OURS, partitions=1))
    status, refusal = await put(http, contract(partitions=3))
    assert (status, refusal["error_code"]) == (409, 40991)
    assert "has 1 partitions" in refusal["message"]
    assert OURS not in (await http.get("/contracts")).json()


async def test_a_node_of_an_older_version_leaves_what_a_newer_one_has_said(
    http: httpx.AsyncClient, start: Start
) -> None:
    longer = deepcopy(SHIPPED[TOPIC].to_json())
    newest = deepcopy(longer["versions"][-1])
    newest["fields"].append(
        {"name": "more", "doc": "More.", "type": ["null", "int"], "default": None}
    )
    longer |= {"versions": [*longer["versions"], newest]}
    longer["sensitivity"] = {**longer["sensitivity"], "more": "public"}
    assert (await put(http, longer, TOPIC))[0] == 200
    older = await start()
    in_force = older.state.contract(TOPIC)
    assert in_force is not None
    assert len(in_force["versions"]) == len(longer["versions"])


async def test_a_folder_without_contracts_stops_the_start(
    bare: KafkaSettings, telemetry: Telemetry, tmp_path: Path
) -> None:
    (tmp_path / "contracts").mkdir()
    listen = RegistrySettings(listen=Address(host="127.0.0.1", port=0))
    settings = Settings(kafka=bare, registry=listen, contracts=tmp_path / "contracts")
    with pytest.raises(InvalidContract, match="no contract"):
        await Registry(settings, telemetry).start()
