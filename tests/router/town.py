"""Two towns and their association, who announce residents' moves; and the router between them.

Everything is real but the engine: the ledger, the keys, the shipped contract.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any

from bus.avro.codec import Codec
from bus.contracts import Contract, load_all
from bus.event import SOURCE, frame, key_of, partition_of
from bus.kafka import Fetched, Record
from bus.router.admission import Admission, Version
from bus.router.held import Held
from bus.router.journal_state import Grants, JournalState
from bus.router.memory import Memory
from bus.router.pseudonyms import Pseudonyms
from bus.router.restricted import RestrictedRoute
from bus.router.routing import Passed, Refused
from bus.router.writing import Writing
from bus.subscriber.decoding import Decoder
from bus.trust.checking import projection
from bus.trust.grants.matching import Granted
from bus.trust.projection import Projection
from bus.trust.signature import MUNICIPALITY_HEADER, SALTS, SIGNATURE, Claim, sign
from bus.trust.signed import Content, contents_of
from bus.trust.signer import Signer
from tests.trust.parties import ILZER_LAND, PERLESREUT, RINGELAI, Parties, signer, town

TOPIC = "resident.address-changed.v1"
R, P = "092720140140", "092725214138"
MELDEWESEN, PORTAL = f"{RINGELAI}.meldewesen", f"{ILZER_LAND}.portal"
TAX, WATER, STATISTICS = "de.agency.finanzamt", "de.util.stadtwerke", "de.agency.statistik"
SCHEMA, FEED_SCHEMA = 7, 70
OLDEST_MS = 3_600_000
ROUTER, ROUTER_KEY = "de.util.stadtbus.router", signer(9_000)
STATE = "17/" + "d" * 64
ID = "0199c0de-0000-7000-8000-{:012d}"


class Nobody:
    """A registry that is not asked."""

    async def schema_on(self, topic: str, schema_id: int) -> None:
        raise AssertionError(f"asked for {schema_id} on {topic}")


class Known:
    """The versions of a contract of one version."""

    def __init__(self, projection: Projection) -> None:
        self._version = Version(projection, FEED_SCHEMA)

    def version(self, schema_id: int) -> Version:
        assert schema_id == SCHEMA
        return self._version


class Given:
    """Grants that say for every event the same; each is its recipient's name, and for taxes."""

    def __init__(self, **fields: str) -> None:
        self.granted = [
            Granted(recipient, tuple(sorted(names.split())), (recipient.encode().ljust(16),))
            for recipient, names in fields.items()
        ]

    def match(
        self, topic: str, owner: str, ars: str, values: Mapping[str, Any], at_ms: int
    ) -> list[Granted]:
        return self.granted

    def in_force(self, grant: bytes, at_ms: int) -> bool:
        return any(grant in one.grants for one in self.granted)

    def purpose(self, grant: bytes) -> str:
        return "tax"


@lru_cache(1)
def residents() -> Contract:
    """Return the shipped contract, in force."""
    found = next(one for one in load_all(None) if one.topic == TOPIC)
    return Contract.from_json({**found.to_json(), "schema_ids": [SCHEMA]})


@lru_cache(1)
def cases() -> Contract:
    """Return the like of it whose key is a case, not a person."""
    found = residents()
    schema = found.versions[0]
    case = {"name": "case", "type": "string", "doc": "The case."}
    fields = [*schema["fields"], case]
    return replace(found, key=("register", "case"), versions=({**schema, "fields": fields},))


@lru_cache(8)  # a few schemas, compiled once
def codec(schema: str) -> Codec:
    """Return what encodes and decodes data of a schema's text."""
    return Codec(schema)


def move(**changes: Any) -> dict[str, Any]:
    """Return the data of a move within Ringelai."""
    address = {"street": "Am Rathaus", "number": "7", "suffix": None, "postcode": "1", "place": "R"}
    data: dict[str, Any] = {
        "register": ILZER_LAND,
        "pseudonym": "person-1",
        "municipality": R,
        "cause": "MOVE",
        "valid_from": date(2026, 7, 1),
        "old_municipality": None,
        "new_municipality": R,
        "old_address": None,
        "new_address": address,
        "household": "household-1",
        "corrects": None,
        "sealed": False,
    }
    return {**data, **changes}


def nothing_but(**given: object) -> dict[str, object]:
    """Return the data of a move of which all else was withheld."""
    return {**dict.fromkeys(move()), **given}


@dataclass
class Town:
    """A bus of two towns, and the route of one contract."""

    parties: Parties
    contract: Contract
    route: RestrictedRoute
    memory: Memory
    projection: Projection
    number: int = 0

    @property
    def now(self) -> int:
        """A minute after the last statement, in milliseconds since 1970."""
        return self.parties.at + 60_000

    def grant(self, grants: Grants) -> None:
        """Let the journal say who gets what."""
        self.route.state = JournalState(self.parties.ledger.standing, grants, 17, "d" * 64)

    def record(
        self,
        data: Mapping[str, Any] | None,
        *,
        system: str = PORTAL,
        signer: Signer | None = None,
        key: str = "",
        subject: str | None = "",
        municipality: str = R,
        signed: int | None = None,
        arrived: int | None = None,
        ce_type: str = TOPIC,
    ) -> Fetched:
        """Return a record as a system writes it; each has an id of its own.

        Args:
            data: what it says; None for a tombstone.
            system: who announces it.
            signer: who signs it; that system if None.
            key: the record's; that of the data if empty.
            subject: whom it is about; as the data has it if empty.
            municipality: of a tombstone.
            signed, arrived: when; now if None.
            ce_type: the topic that it is for.
        """
        self.number += 1
        key = key or (self.contract.key_of(data) if data is not None else "")
        about = data["pseudonym"] if subject == "" and data is not None else subject
        moment = self.now if signed is None else signed
        body = None if data is None else codec(self.projection.text).encode(data)
        content = None if body is None else Content(self.projection, body)
        named = None if body is not None else municipality.encode()
        raw, source = key.encode(), f"{SOURCE}{system}".encode()
        id_, time = ID.format(self.number).encode(), b"2026-07-01T00:00:00Z"
        fingerprint = b"" if body is None else self.projection.fingerprint
        header = None if about is None else about.encode()
        mark, salts = sign(
            signer or self.parties.key(system),
            Claim(ce_type.encode(), id_, source, time, fingerprint),
            contents_of(raw, header, content, named),
            seed=self.number.to_bytes(32, "big"),
            at_ms=moment,
        )
        headers = {
            "ce_specversion": b"1.0",
            "ce_id": id_,
            "ce_source": source,
            "ce_type": ce_type.encode(),
            "ce_time": time,
            "content-type": b"application/avro",
            "stadtbus-seq": f"s3cret-seq/{self.number}".encode(),
            "traceparent": b"00-" + b"5ec3e7" * 5 + b"ab-" + b"5ec3e700" * 2 + b"-01",
            SIGNATURE: mark,
            SALTS: salts,
            **({} if header is None else {"ce_subject": header}),
            **({} if named is None else {MUNICIPALITY_HEADER: named}),
        }
        partition = partition_of(key, self.contract.partitions)
        value = None if body is None else frame(SCHEMA, body)
        at = self.now if arrived is None else arrived
        return Fetched(TOPIC, partition, self.number, at, raw, value, [*headers.items()])

    def tombstone(self, pseudonym: str = "person-1", **changes: Any) -> Fetched:
        """Return a record that says that the register does not have a person any more."""
        key = key_of([changes.pop("register", ILZER_LAND), pseudonym])
        return self.record(None, **{"key": key, "subject": pseudonym, **changes})

    def take(self, record: Fetched) -> Passed | Refused:
        """Route a record now, and keep what feeds hold."""
        found = self.route.take(record, self.now)
        if isinstance(found, Passed):
            self.keep(record.key or b"", found.held)
        return found

    @property
    def sent(self) -> dict[bytes, Held]:
        """What feeds hold, by the source's key."""
        return dict(self.memory.given())

    def keep(self, key: bytes, held: Held | None) -> None:
        """Remember what feeds hold of a key, as after a commit."""
        self.memory.put(key, held)
        self.memory.settle()

    def passed(self, record: Fetched) -> Passed:
        """Route a record that is good."""
        found = self.take(record)
        assert isinstance(found, Passed), found
        return found


def people() -> Parties:
    """Return the towns and their association, with a system of each that announces moves."""
    parties = town()
    assert parties.admit(ILZER_LAND) is None
    for member in (RINGELAI, PERLESREUT):
        belongs = {"association": {"value": ILZER_LAND, "from": "2026-01-01"}}
        assert parties.say("member-changed", {"member": member} | belongs, parties.root) is None
    for system in (PORTAL, f"{PERLESREUT}.meldewesen"):
        assert parties.attest(system, system.rpartition(".")[0]) is None
    return parties


def begun(contract: Contract | None = None, parties: Parties | None = None) -> Town:
    """Return a bus of two towns on which nothing was sent yet.

    Args:
        contract: what is routed; that of residents if None.
        parties: the towns; made anew if None.
    """
    contract, parties = contract or residents(), parties or people()
    shape, memory = projection(json.dumps(contract.versions[0])), Memory("router")
    route = RestrictedRoute(
        contract,
        Admission(contract, Decoder(contract, Nobody()), Known(shape), OLDEST_MS),
        Writing(contract, Pseudonyms(bytes(range(32))), ROUTER_KEY, ROUTER),
        memory,
    )
    route.state = JournalState(parties.ledger.standing, Given(), 17, "d" * 64)
    return Town(parties, contract, route, memory, shape)


def on(topic: str, partition: int, record: Record) -> Fetched:
    """Return what was written as it is read."""
    return Fetched(topic, partition, 0, 0, record.key, record.value, record.headers)
