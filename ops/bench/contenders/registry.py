"""The registry over HTTP: reads beside a bare application, writes beside a bare record."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from itertools import repeat
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from typing import Any

from aiokafka import AIOKafkaProducer
from starlette.types import Receive, Scope, Send

from bus.http import HttpListener
from bus.settings import Address, OpsSettings
from bus.telemetry import Telemetry
from ops.bench.children import end_with_contender
from ops.bench.contenders.records import make_topic, read
from ops.bench.contract import put_in_force
from ops.bench.figures import percentile
from ops.bench.http import Answer, Connection, keep_asking, request
from ops.bench.ledger import Tally, check_ids, record
from ops.bench.model import Task, Unverified

CONNECTIONS = 16
MEDIA_TYPE = b"application/vnd.schemaregistry.v1+json"


def prepare(task: Task) -> Mapping[str, Any]:
    """Put a contract in force, and tell where its schema is and what the registry answers."""
    return asyncio.run(_prepare(task))


async def _prepare(task: Task) -> Mapping[str, Any]:
    contract = await put_in_force(task)
    paths = {
        "id": f"/schemas/ids/{contract.schema_ids[-1]}",
        "latest": f"/subjects/{task.topic}-value/versions/latest",
    }
    path, address = paths[task.case["what"]], _address(task)
    connection = await Connection.to(address)
    status, body = await connection.ask(request("GET", path, str(address)))
    connection.close()
    if status != 200:
        raise Unverified(f"{path} is answered with {status}")
    schema = json.loads(json.loads(body)["schema"])
    if schema != contract.versions[-1]:
        raise Unverified(f"{path} answers another schema than the contract's")
    return {"path": path, "body": body.decode()}


def read_registry(task: Task) -> Mapping[str, float]:
    """Ask the registry."""
    return asyncio.run(_ask(task, _address(task)))


def read_bare(task: Task) -> Mapping[str, float]:
    """Ask an application that does nothing but return those bytes, in a process of its own."""
    ours, theirs = get_context("spawn").Pipe()
    serving = get_context("spawn").Process(
        target=_serve_bare, args=(task.prepared["body"].encode(), theirs)
    )
    serving.start()
    theirs.close()
    try:
        return asyncio.run(_ask(task, Address.parse(ours.recv())))
    finally:
        serving.terminate()
        serving.join()


async def _ask(task: Task, address: Address) -> Mapping[str, float]:
    wanted = (200, task.prepared["body"].encode())
    one = request("GET", task.prepared["path"], str(address))
    await keep_asking(address, repeat(one, task.warm), CONNECTIONS)
    answers, took, seconds = await keep_asking(address, repeat(one, task.count), CONNECTIONS)
    wrong = sum(answer != wanted for answer in answers)
    if wrong or len(answers) != task.count:
        raise Unverified(f"{wrong} of {len(answers)} answers are not what they should be")
    return _figures(took, seconds)


def _serve_bare(body: bytes, pipe: Pipe) -> None:
    end_with_contender()
    asyncio.run(_bare(body, pipe))


async def _bare(body: bytes, pipe: Pipe) -> None:
    headers = [(b"content-type", MEDIA_TYPE), (b"content-length", str(len(body)).encode())]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    listener = HttpListener(
        app,
        OpsSettings(listen=Address(host="127.0.0.1", port=0)),
        name="bare",
        telemetry=Telemetry(),
    )
    await listener.start()
    pipe.send(str(listener.address))
    await asyncio.Event().wait()


def write_registry(task: Task) -> Mapping[str, float]:
    """Register schemas, each under a subject of its own, one after the other."""
    return asyncio.run(_write_registry(task))


async def _write_registry(task: Task) -> Mapping[str, float]:
    address, total = _address(task), task.warm + task.count
    schemas = [_schema(task, n) for n in range(total)]
    requests = [
        request(
            "POST",
            f"/subjects/{task.name}-{n}/versions",
            str(address),
            json.dumps({"schema": schema}).encode(),
        )
        for n, schema in enumerate(schemas)
    ]
    warm, _, _ = await keep_asking(address, iter(requests[: task.warm]), 1)
    answers, took, seconds = await keep_asking(address, iter(requests[task.warm :]), 1)
    await _check_registered(address, schemas, [*warm, *answers])
    return _figures(took, seconds)


async def _check_registered(
    address: Address, schemas: Sequence[str], answers: Sequence[Answer]
) -> None:
    """Ask for every schema by the id that its registration was answered with."""
    refused = [answer for answer in answers if answer[0] != 200]
    if refused or len(answers) != len(schemas):
        raise Unverified(f"{len(refused)} of {len(answers)} schemas were refused: {refused[:1]}")
    ids = [json.loads(body)["id"] for _, body in answers]
    check_ids(ids, len(schemas))
    asked = [request("GET", f"/schemas/ids/{id_}", str(address)) for id_ in ids]
    found, _, _ = await keep_asking(address, iter(asked), 1)
    for (_, body), schema in zip(found, schemas, strict=True):
        if json.loads(json.loads(body)["schema"]) != json.loads(schema):
            raise Unverified("an id leads to another schema than the one that was registered")


def write_record(task: Task) -> Mapping[str, float]:
    """Write records of 200 bytes with aiokafka, one after the other: the floor of a write."""
    return asyncio.run(_write_record(task))


async def _write_record(task: Task) -> Mapping[str, float]:
    await make_topic(task, 1)
    total, took = task.warm + task.count, []
    async with AIOKafkaProducer(
        bootstrap_servers=task.bootstrap, acks="all", enable_idempotence=True, linger_ms=0
    ) as producer:
        for n in range(total):
            begun = time.perf_counter()
            await producer.send_and_wait(task.topic, record(n), partition=0)
            took.append(time.perf_counter() - begun)
    tally = Tally()
    async for found in read(task, 1, total):
        for values in found.values():
            tally.add(0, values)
    tally.check(total, 1)
    counted = took[task.warm :]
    return _figures(counted, sum(counted))


def _schema(task: Task, n: int) -> str:
    """Return a schema that nobody else registers."""
    name = f"Bench{task.name.replace('-', '_')}_{n}"
    fields = [{"name": "id", "type": "string"}, {"name": "number", "type": "long"}]
    return json.dumps({"type": "record", "name": name, "fields": fields})


def _figures(took: list[float], seconds: float) -> Mapping[str, float]:
    took.sort()
    return {
        "answers": len(took) / seconds,
        "p50": percentile(took, 50) * 1000,
        "p99": percentile(took, 99) * 1000,
    }


def _address(task: Task) -> Address:
    return Address.parse(task.registry.removeprefix("http://"))
