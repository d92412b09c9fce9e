"""The API in Confluent's shape: paths, codes, content types, and what is tolerated."""

import json
from typing import Any

import httpx
import pytest

from bus.registry import Registry
from bus.telemetry import Telemetry

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


def record(*fields: dict[str, Any]) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": list(fields)})


A = {"name": "a", "type": "int"}
B = {"name": "b", "type": "string"}
B_DEFAULT = {**B, "default": ""}
ONE, TWO = record(A), record(A, B_DEFAULT)
CANONICAL = '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}'
CANONICAL_TWO = CANONICAL[:-2] + ',{"name":"b","type":"string","default":""}]}'


@pytest.fixture
async def ids(http: httpx.AsyncClient) -> list[int]:
    """Two versions under the subject s, the first under t as well."""
    found = []
    for subject, schema in (("s", ONE), ("s", TWO), ("t", ONE)):
        answer = await http.post(f"/subjects/{subject}/versions", json={"schema": schema})
        found.append(answer.json()["id"])
    return found


async def ask(http: httpx.AsyncClient, line: str, body: Any = None) -> tuple[int, Any]:
    method, _, path = line.partition(" ")
    answer = await http.request(method, path, json=body)
    assert answer.headers["content-type"] == MEDIA_TYPE
    return answer.status_code, answer.json()


async def test_a_schema_has_one_id_under_all_subjects(
    http: httpx.AsyncClient, ids: list[int]
) -> None:
    first, second, again = ids
    assert again == first != second
    assert await ask(http, f"GET /schemas/ids/{first}/subjects") == (200, ["s", "t"])
    places = [{"subject": "s", "version": 1}, {"subject": "t", "version": 1}]
    assert await ask(http, f"GET /schemas/ids/{first}/versions") == (200, places)
    assert await ask(http, f"GET /schemas/ids/{first}/versions?subject=t") == (200, places[1:])


async def test_a_version_is_described_as_confluent_does(
    http: httpx.AsyncClient, ids: list[int]
) -> None:
    described = {"subject": "s", "version": 2, "id": ids[1], "schema": CANONICAL_TWO}
    for version in ("2", "latest", "-1"):
        assert await ask(http, f"GET /subjects/s/versions/{version}") == (200, described)
    assert await ask(http, "POST /subjects/s", {"schema": TWO}) == (200, described)
    raw = await http.get("/subjects/s/versions/1/schema")
    assert raw.text == CANONICAL


async def test_a_schema_by_id_is_byte_for_byte_the_same(
    http: httpx.AsyncClient, ids: list[int]
) -> None:
    expected = json.dumps({"schema": CANONICAL}, separators=(",", ":")).encode()
    for query in ("", "?subject=s", "?fetchMaxId=false", "?format="):
        answer = await http.get(f"/schemas/ids/{ids[0]}{query}")
        assert (answer.content, answer.headers["content-type"]) == (expected, MEDIA_TYPE)
    assert (await http.get(f"/schemas/ids/{ids[0]}/schema")).text == CANONICAL
    most = (await http.get(f"/schemas/ids/{ids[0]}?fetchMaxId=true")).json()
    assert most == {"schema": CANONICAL, "maxId": ids[1]}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"schemaType": "AVRO"}, id="the type said"),
        pytest.param({"references": []}, id="no references"),
        pytest.param({"references": None, "schemaType": None}, id="null for what is not said"),
        pytest.param({"metadata": {"tags": {}}, "ruleSet": {"domainRules": []}}, id="a ruleSet"),
        pytest.param({"id": -1, "version": -1, "later": {"x": 1}}, id="fields of later versions"),
    ],
)
async def test_what_else_a_request_says_is_let_be(
    http: httpx.AsyncClient, ids: list[int], more: dict[str, Any]
) -> None:
    """Registering and looking up what is there finds it, however it is written."""
    body = {"schema": json.dumps(json.loads(ONE), indent=3), **more}
    for query in ("", "?normalize=true", "?normalize=false&deleted=true"):
        answer = await ask(http, f"POST /subjects/s/versions{query}", body)
        assert answer == (200, {"id": ids[0], "version": 1})
        assert (await ask(http, f"POST /subjects/s{query}", body))[1]["id"] == ids[0]


async def test_a_breaking_schema_is_refused_in_a_sentence(
    http: httpx.AsyncClient, ids: list[int], telemetry: Telemetry
) -> None:
    """The first version has no `b`; one that asks for it breaks whoever reads old events."""
    status, value = await ask(http, "POST /subjects/s/versions", {"schema": record(B)})
    sentences = [
        "`b` was added without a default that a new reader could use",
        "`a` was removed without a default that an old reader could use",
    ]
    assert (status, value["error_code"]) == (409, 40901)
    assert value["message"].endswith(f"details: {json.dumps(sentences)}")
    assert 'subject "s", compatibility: FULL_TRANSITIVE' in value["message"]
    assert await ask(http, "GET /subjects/s/versions") == (200, [1, 2])
    refused = telemetry.registry.get_sample_value(
        "stadtbus_schema_rejections_total", {"subject": "s"}
    )
    assert refused == 1


async def test_look_up_tells_an_unknown_subject_from_an_unknown_schema(
    http: httpx.AsyncClient, ids: list[int]
) -> None:
    for subject, code in (("none", 40401), ("s", 40403)):
        status, value = await ask(http, f"POST /subjects/{subject}", {"schema": '"int"'})
        assert (status, value["error_code"]) == (404, code)


@pytest.mark.usefixtures("ids")
async def test_compatibility_is_checked_without_registering(http: httpx.AsyncClient) -> None:
    path = "POST /compatibility/subjects/s/versions"
    broken = {"is_compatible": False}
    assert await ask(http, path, {"schema": record(B)}) == (200, broken)
    assert await ask(http, f"{path}/latest", {"schema": ONE}) == (200, {"is_compatible": True})
    said = (await ask(http, f"{path}/1?verbose=true", {"schema": '"int"'}))[1]
    assert said["messages"] == [
        (
            "the schema was record R, is now int: a new reader cannot read old events and an old "
            "reader cannot read new events"
        )
    ]
    fine = {"is_compatible": True, "messages": []}
    assert await ask(http, f"{path}?verbose=true", {"schema": TWO}) == (200, fine)
    unknown = "POST /compatibility/subjects/none/versions"
    assert await ask(http, unknown, {"schema": ONE}) == (200, {"is_compatible": True})
    assert (await ask(http, f"{unknown}/1", {"schema": ONE}))[1]["error_code"] == 40401
    assert (await ask(http, f"{path}/7", {"schema": ONE}))[1]["error_code"] == 40402
    assert (await ask(http, path, {"schema": "x"}))[1]["error_code"] == 42201


@pytest.mark.usefixtures("ids")
async def test_levels_are_set_for_all_and_for_one(http: httpx.AsyncClient) -> None:
    forward = {"compatibility": "FORWARD"}
    assert await ask(http, "PUT /config", {"compatibility": "none"}) == (
        200,
        {"compatibility": "NONE"},
    )
    assert await ask(http, "PUT /config/s", forward | {"alias": None}) == (200, forward)
    assert await ask(http, "GET /config") == (200, {"compatibilityLevel": "NONE"})
    assert await ask(http, "GET /config/s") == (200, {"compatibilityLevel": "FORWARD"})
    assert (await ask(http, "POST /subjects/t/versions", {"schema": '"int"'}))[0] == 200
    assert (await ask(http, "POST /subjects/s/versions", {"schema": '"int"'}))[0] == 409
    for body in ({}, {"compatibility": "SIDEWAYS"}, {"compatibility": 1}):
        status, value = await ask(http, "PUT /config/s", body)
        assert (status, value["error_code"]) == (422, 42203)


async def test_a_subject_may_have_a_slash_and_an_umlaut(http: httpx.AsyncClient) -> None:
    path = "/subjects/a%2Fb%20%C3%BC/versions"
    assert (await ask(http, f"POST {path}", {"schema": '"int"'}))[0] == 200
    assert await ask(http, f"GET {path}") == (200, [1])
    assert await ask(http, "GET /subjects?subjectPrefix=a/b") == (200, ["a/b ü"])


async def test_requests_are_counted(http: httpx.AsyncClient, telemetry: Telemetry) -> None:
    await http.get("/schemas/ids/1")
    await http.get("/nowhere")
    await http.request("FETCH", "/subjects")

    await http.get("/contracts/nobody.knows.v1")

    def count(method: str, route: str, status: str) -> float | None:
        labels = {"listener": "registry", "method": method, "route": route, "status": status}
        return telemetry.registry.get_sample_value("stadtbus_http_requests_total", labels)

    assert count("GET", "/schemas/ids/{id}", "2xx") == 1
    assert count("GET", "/contracts/{topic}", "4xx") == 1
    assert count("GET", "other", "4xx") == 1, "nobody makes up routes"
    assert count("other", "/subjects", "4xx") == 1, "nor methods"
    timed = {"listener": "registry", "route": "/schemas/ids/{id}"}
    name = "stadtbus_http_request_duration_seconds_count"
    assert telemetry.registry.get_sample_value(name, timed) == 1


async def test_no_failure_inside_is_told_outside(
    http: httpx.AsyncClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(registry.state), "topics", property(lambda _: 1 / 0))
    status, value = await ask(http, "GET /contracts")
    assert (status, value) == (500, {"error_code": 500, "message": "Internal Server Error"})
