"""Every path of the API with what it answers, on one registry that no case changes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bus.broker import Broker
from bus.registry import Registry
from bus.settings import Address, BrokerSettings, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
RECORD = '{"type":"record","name":"R","fields":[%s]}'
EMPTY = RECORD % ""
FREE = Address(host="127.0.0.1", port=0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a registry with two versions under the subject s, the first under t as well."""
    folder: Path = tmp_path_factory.mktemp("answers")
    telemetry = Telemetry()
    async with Broker(BrokerSettings(listen=FREE), folder / "broker", telemetry) as broker:
        kafka = KafkaSettings(bootstrap=str(broker.address))
        settings = Settings(kafka=kafka, registry=RegistrySettings(listen=FREE))
        async with (
            Registry(settings, telemetry) as registry,
            httpx.AsyncClient(
                base_url=f"http://{registry.address}", timeout=30, trust_env=False
            ) as client,
        ):
            more = RECORD % '{"name":"a","type":"int","default":0}'
            for subject, schema in (("s", EMPTY), ("s", more), ("t", EMPTY)):
                await client.post(f"/subjects/{subject}/versions", json={"schema": schema})
            yield client


async def ask(http: httpx.AsyncClient, line: str, body: Any = None) -> tuple[int, Any]:
    method, _, path = line.partition(" ")
    answer = await http.request(method, path, json=body)
    assert answer.headers["content-type"] == MEDIA_TYPE
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("line", "status", "answer"),
    [
        ("GET /", 200, {}),
        ("GET /schemas/types/", 200, ["AVRO"]),
        ("GET /schemas/types", 200, ["AVRO"]),
        ("GET /subjects?subjectPrefix=s&limit=1", 200, ["s"]),
        ("GET /subjects?subjectPrefix=nobody", 200, []),
        ("GET /subjects?deleted=true&subjectPrefix=t&offset=0&limit=-1", 200, ["t"]),
        ("GET /subjects/s/versions", 200, [1, 2]),
        ("GET /subjects/s/versions?offset=1", 200, [2]),
        ("GET /subjects/none/versions", 404, 40401),
        ("GET /subjects/s/versions/3", 404, 40402),
        ("GET /subjects/none/versions/1", 404, 40401),
        ("GET /subjects/none/versions/latest", 404, 40401),
        ("GET /subjects/s/versions/0", 422, 42202),
        ("GET /subjects/s/versions/x", 422, 42202),
        ("GET /subjects/s/versions/99999999999999999999", 422, 42202),
        ("GET /subjects/s/versions/-2", 422, 42202),
        ("GET /subjects/none/versions/1/schema", 404, 40401),
        ("GET /schemas/ids/999", 404, 40403),
        ("GET /schemas/ids/0", 404, 40403),
        ("GET /schemas/ids/-1", 404, 40403),
        ("GET /schemas/ids/99999999999999999999", 404, 40403),
        ("GET /schemas/ids/x", 404, 40403),
        ("GET /schemas/ids/%C2%B2", 404, 40403),
        ("GET /schemas/ids/999/schema", 404, 40403),
        ("GET /schemas/ids/999/subjects", 404, 40403),
        ("GET /schemas/ids/999/versions", 404, 40403),
        ("GET /config", 200, {"compatibilityLevel": "FULL_TRANSITIVE"}),
        ("GET /config/s", 404, 40408),
        ("GET /config/s?defaultToGlobal=true", 200, {"compatibilityLevel": "FULL_TRANSITIVE"}),
        ("GET /mode", 200, {"mode": "READWRITE"}),
        ("GET /mode/s", 404, 40409),
        ("GET /mode/s?defaultToGlobal=true", 200, {"mode": "READWRITE"}),
        ("GET /associations/resources/-/sensor.reading.v1", 404, 40410),
        ("GET /contracts/none.of.v1", 404, 40491),
        ("GET /subjects?offset=x", 400, 400),
        ("GET /subjects/%20/versions", 422, 42208),
        ("GET /subjects/a%00b/versions", 422, 42208),
        ("GET /subjects/" + "x" * 300 + "/versions", 422, 42208),
        ("GET /nowhere", 404, 404),
        ("GET /subjects/s/versions/1/nowhere", 404, 404),
        ("DELETE /subjects/s", 405, 405),
        ("PUT /subjects/s/versions", 405, 405),
        ("PATCH /config", 405, 405),
    ],
)
async def test_answers(served: httpx.AsyncClient, line: str, status: int, answer: Any) -> None:
    found, value = await ask(served, line)
    if status >= 400:
        value = value["error_code"]
    assert (found, value) == (status, answer)


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            ("no schema", {}, 422, 42201, '"schema" is missing'),
            ("an empty schema", {"schema": " "}, 422, 42201, '"schema" is missing'),
            ("an object for the text", {"schema": {"type": "int"}}, 422, 42201, "text of"),
            ("no Avro", {"schema": "integer"}, 422, 42201, "no JSON"),
            ("no type", {"schema": '"integer"'}, 422, 42201, 'no type "integer"'),
            (
                "a place named",
                {"schema": RECORD % '{"name":"x","type":"y"}'},
                422,
                42201,
                'x: there is no type "y"',
            ),
            ("JSON Schema", {"schema": "{}", "schemaType": "JSON"}, 422, 42201, "only AVRO"),
            (
                "references",
                {"schema": EMPTY, "references": [{"name": "x", "subject": "y", "version": 1}]},
                422,
                42201,
                "references to other subjects",
            ),
            ("an id", {"schema": EMPTY, "id": 7}, 422, 42205, "not in import mode"),
        ]
    ],
)
async def test_schemas_that_are_refused(
    served: httpx.AsyncClient, body: dict[str, Any], status: int, code: int, words: str
) -> None:
    found, value = await ask(served, "POST /subjects/new/versions", body)
    assert (found, value["error_code"]) == (status, code)
    assert words in value["message"]
    assert await ask(served, "GET /subjects?subjectPrefix=new") == (200, [])


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"{", 400, id="half an object"),
        pytest.param(b"[]", 400, id="a list"),
        pytest.param(b"\xff", 400, id="no UTF-8"),
        pytest.param(b"[" * 100_000, 400, id="brackets without end"),
        pytest.param(b" " * (2**20 + 1), 413, id="more than 1 MiB"),
    ],
)
async def test_bodies_that_are_refused(
    served: httpx.AsyncClient, content: bytes, status: int
) -> None:
    for path in ("/subjects/s/versions", "/subjects/s", "/compatibility/subjects/s/versions"):
        answer = await served.post(path, content=content)
        assert (answer.status_code, answer.json()["error_code"]) == (status, status)
