"""Without the bus: what is known is answered, changes are refused and may be tried again."""

import asyncio
from pathlib import Path

import httpx
import pytest
from kio.schema.errors import ErrorCode

from bus.broker import Broker
from bus.broker.faults import Fail, Fault
from bus.broker.keys import ApiKey
from bus.errors import AddressInUse, BusUnavailable, InvalidSettings
from bus.registry import Registry
from bus.registry import store as freshness
from bus.settings import Address, BrokerSettings, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry
from tests.engine import on_embedded

pytestmark = pytest.mark.slow

SCHEMA = {"schema": '"int"'}


@on_embedded
async def test_reads_of_what_is_known_go_on(
    broker: Broker, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "FRESH_WITHIN", 0.2)
    made = (await http.post("/subjects/s/versions", json=SCHEMA)).json()
    await broker.stop()
    for path in (f"/schemas/ids/{made['id']}", "/subjects/s/versions/latest", "/config"):
        assert (await http.get(path)).status_code == 200
    assert "s" in (await http.get("/subjects")).json()
    assert (await http.post("/subjects/s", json=SCHEMA)).json()["id"] == made["id"]
    assert (await http.post("/subjects/s/versions", json=SCHEMA)).json() == made
    unknown, new = await asyncio.gather(
        http.get("/schemas/ids/999"),
        http.post("/subjects/new/versions", json=SCHEMA),
    )
    for answer in (unknown, new):
        assert (answer.status_code, answer.json()["error_code"]) == (503, 50001)
        assert answer.headers["retry-after"] == "1"


@on_embedded
async def test_the_registry_goes_on_when_the_bus_is_back(
    broker: Broker, http: httpx.AsyncClient, tmp_path: Path, telemetry: Telemetry
) -> None:
    made = (await http.post("/subjects/s/versions", json=SCHEMA)).json()
    await broker.stop()
    assert (await http.post("/subjects/t/versions", json=SCHEMA)).status_code == 503
    settings = BrokerSettings(listen=broker.address)
    async with Broker(settings, tmp_path / "broker", telemetry), asyncio.timeout(30):
        while (again := await http.post("/subjects/t/versions", json=SCHEMA)).is_server_error:
            assert again.headers["retry-after"] == "1"
        assert again.json() == {"id": made["id"], "version": 1}
        assert (await http.get("/subjects/t/versions")).json() == [1]


@on_embedded
async def test_an_answer_that_is_lost_loses_no_registration(
    broker: Broker, http: httpx.AsyncClient, registry: Registry
) -> None:
    broker.faults.arrange(ApiKey.PRODUCE, Fault.DROP_CONNECTION_AFTER_COMMIT)
    answer = await http.post("/subjects/s/versions", json=SCHEMA)
    assert answer.status_code == 200
    assert [version.id for version in registry.state.versions("s")] == [answer.json()["id"]]


@on_embedded
async def test_a_registration_that_is_lost_is_made_again(
    broker: Broker, http: httpx.AsyncClient, registry: Registry
) -> None:
    broker.faults.arrange(ApiKey.PRODUCE, Fault.DROP_CONNECTION_BEFORE)
    broker.faults.arrange(ApiKey.PRODUCE, Fail(ErrorCode.not_leader_or_follower))
    assert (await http.post("/subjects/s/versions", json=SCHEMA)).status_code == 200
    assert len(registry.state.versions("s")) == 1


@on_embedded
async def test_a_full_disk_refuses_what_may_be_tried_again(
    broker: Broker,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    registry: Registry,
) -> None:
    monkeypatch.setattr(registry._store.journal, "_settle", 0.3)
    for _ in range(50):
        broker.faults.arrange(ApiKey.PRODUCE, Fault.COMMIT_FULL)
    answer = await http.post("/subjects/s/versions", json=SCHEMA)
    assert (answer.status_code, answer.json()["error_code"]) == (503, 50002)
    monkeypatch.setattr(registry._store.journal, "_settle", 30)
    broker.faults._next.clear()
    assert (await http.post("/subjects/s/versions", json=SCHEMA)).status_code == 200
    assert len(registry.state.versions("s")) == 1


async def test_no_bus_no_registry(telemetry: Telemetry, unused_tcp_port: int) -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap=f"127.0.0.1:{unused_tcp_port}"))
    with pytest.raises(BusUnavailable, match="no broker answers"):
        await Registry(settings, telemetry).start()


@pytest.mark.parametrize(
    ("listen", "error"),
    [
        pytest.param("127.0.0.1:{taken}", AddressInUse, id="a port that is taken"),
        pytest.param("0.0.0.0:0", InvalidSettings, id="an address that others can reach"),
    ],
)
async def test_addresses_that_are_refused(
    bare: KafkaSettings, telemetry: Telemetry, listen: str, error: type[Exception]
) -> None:
    address = Address.parse(listen.format(taken=Address.parse(bare.bootstrap).port))
    settings = Settings(kafka=bare, registry=RegistrySettings(listen=address))
    registry = Registry(settings, telemetry)
    with pytest.raises(error):
        await registry.start()
