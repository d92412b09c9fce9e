"""What becomes of a signed event for five recipients: the router's decision, and a plain loop."""

import io
import time
from collections.abc import Mapping
from typing import Any

import fastavro
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.kafka import Fetched
from bus.router.admission import Admission, Version
from bus.router.journal_state import JournalState
from bus.router.memory import Memory
from bus.router.pseudonyms import Pseudonyms
from bus.router.restricted import RestrictedRoute
from bus.router.routing import Refused
from bus.router.writing import Writing
from bus.subscriber.decoding import Decoder
from bus.trust.attestation import check_attestation
from ops.bench.granted import (
    FEED_SCHEMA_ID,
    FIELDS,
    NOW_MS,
    RECIPIENTS,
    ROUTER,
    SCHEMA_ID,
    Bus,
)
from ops.bench.model import Task, Unverified

OLDEST_MS = 3_600_000


class _Versions:
    """The one version that there is."""

    def __init__(self, version: Version) -> None:
        self._version = version

    def version(self, schema_id: int) -> Version:
        """Return it."""
        if schema_id != SCHEMA_ID:
            raise Unverified(f"there is no schema {schema_id}")
        return self._version


class _Nobody:
    """A registry that nobody has to ask."""

    async def schema_on(self, topic: str, schema_id: int) -> Any:
        """Say that there is none."""
        raise Unverified(f"{topic} has no schema {schema_id}")


def router(task: Task) -> Mapping[str, float]:
    """Decide as the router does."""
    bus = Bus.of(task.case["grants"])
    memory = Memory("bench")
    decoder = Decoder(bus.contract, _Nobody())
    versions = _Versions(Version(bus.projection, FEED_SCHEMA_ID))
    route = RestrictedRoute(
        bus.contract,
        Admission(bus.contract, decoder, versions, OLDEST_MS),
        Writing(bus.contract, Pseudonyms(bytes(range(32))), bus.router, ROUTER),
        memory,
    )
    route.state = JournalState(bus.ledger.standing, bus.book, 17, "d" * 64)
    records = list(bus.records(task.count + task.warm))
    for record in records[: task.warm]:
        route.take(record, NOW_MS)
    begun, last = time.perf_counter(), None
    for record in records[task.warm :]:
        passed = route.take(record, NOW_MS)
        if isinstance(passed, Refused):
            raise Unverified(f"an event was refused: {passed.reason}: {passed.detail}")
        if not len(passed.writes) == len(passed.disclosures) == len(RECIPIENTS):
            raise Unverified(f"{len(passed.writes)} records for {len(RECIPIENTS)} recipients")
        memory.put(record.key or b"", passed.held)
        last = passed.writes[-1]
    seconds = time.perf_counter() - begun
    if last is None:
        raise Unverified("there was no event")
    topic, partition, written = last
    found = Fetched(topic, partition, 0, NOW_MS, written.key, written.value, written.headers)
    check_attestation(found, bus.router.public)
    return _figures(task.count, seconds)


def loop(task: Task) -> Mapping[str, float]:
    """Do what comes to mind first."""
    bus = Bus.of(len(RECIPIENTS))
    source, router_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = source.public_key()
    schema = fastavro.parse_schema(bus.contract.versions[0])
    feed = fastavro.parse_schema({**bus.projection.feed, "name": "Feed"})
    records = [(one, source.sign(_signed(one))) for one in bus.records(task.count + task.warm)]
    names, begun = bus.projection.names, 0.0
    signatures: list[tuple[bytes, bytes]] = []
    for number, (record, signature) in enumerate(records):
        if number == task.warm:
            begun = time.perf_counter()
        public.verify(signature, _signed(record))
        value = record.value or b""
        data: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        signatures = []
        for recipient in RECIPIENTS:
            given = {name: data[name] if name in FIELDS else None for name in names}
            out = io.BytesIO()
            fastavro.schemaless_writer(out, feed, given)
            message = recipient.encode() + out.getvalue()
            signatures.append((message, router_key.sign(message)))
    seconds = time.perf_counter() - begun
    for message, signature in signatures:
        router_key.public_key().verify(signature, message)
    return _figures(task.count, seconds)


def _signed(record: Fetched) -> bytes:
    return (record.key or b"") + (record.value or b"")


def _figures(count: int, seconds: float) -> Mapping[str, float]:
    return {"throughput": count / seconds, "cost": seconds / count * 1e6}
