"""A bus in memory: a town, its register, those who are granted something, and signed events."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.avro.codec import Codec
from bus.contracts import Contract, load_all
from bus.event import SOURCE, frame, partition_of, unchanging, write_time
from bus.journal.chain import CHAIN, Entry
from bus.kafka import Fetched
from bus.trust.checking import projection
from bus.trust.grants.book import Book
from bus.trust.grants.granting import APPROVED, ASKED
from bus.trust.grants.parties import Verified
from bus.trust.keys import FileSigner, public_text
from bus.trust.ledger import Ledger
from bus.trust.projection import Projection
from bus.trust.signature import SALTS, SIGNATURE, Claim, sign
from bus.trust.signed import Content, contents_of
from bus.trust.statements import ENTRY, compose
from ops.bench.model import Unverified

TOWN, OTHERS = "de.mun.092720140140", "de.mun.092725214138"
CODES = {TOWN: "092720140140", OTHERS: "092725214138"}
REGISTER, ROUTER = f"{TOWN}.meldewesen", "de.util.stadtbus.router"
RECIPIENTS = [f"de.agency.a{number}" for number in range(5)]
FIELDS = ("cause", "new_address", "valid_from")
SCHEMA_ID, FEED_SCHEMA_ID = 7, 70

_CHAIN_ID = "c" * 32
_BEGAN = datetime(2026, 7, 1, tzinfo=UTC)
NOW_MS = int((_BEGAN + timedelta(hours=1)).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Bus:
    """What a decision rests on.

    Args:
        ledger: who is who.
        book: who gets what.
        contract: the residents' contract, in force.
        projection: of its schema.
        register, router: their keys.
    """

    ledger: Ledger
    book: Book
    contract: Contract
    projection: Projection
    register: FileSigner
    router: FileSigner

    @classmethod
    def of(cls, grants: int) -> "Bus":
        """Return a bus with so many grants, of which five match each event of `records`."""
        ledger, keys = Ledger(), {name: _key() for name in (REGISTER, ROUTER)}
        _tell_who_is_who(ledger, keys[REGISTER])
        (shipped,) = (one for one in load_all(None) if one.topic.startswith("resident."))
        contract = Contract.from_json({**shipped.to_json(), "schema_ids": [SCHEMA_ID]})
        book = Book(ledger.standing)
        for number, terms in enumerate(_terms(grants, contract.topic), 1):
            _grant(book, terms, number)
        shape = projection(json.dumps(contract.versions[0]))
        return cls(ledger, book, contract, shape, keys[REGISTER], keys[ROUTER])

    def records(self, count: int) -> Iterator[Fetched]:
        """Yield so many events of the register as they lie on the shared topic."""
        topic, codec = self.contract.topic, Codec(self.contract.versions[0])
        source, moment = f"{SOURCE}{REGISTER}", write_time(_BEGAN).encode()
        fingerprint = self.projection.fingerprint
        for number in range(count):
            data = move(number)
            body, key = codec.encode(data), self.contract.key_of(data)
            id_ = f"{number:08x}-0000-7000-8000-000000000000"
            about = data["pseudonym"].encode()
            mark, salts = sign(
                self.register,
                Claim(topic.encode(), id_.encode(), source.encode(), moment, fingerprint),
                contents_of(key.encode(), about, Content(self.projection, body), None),
                seed=hashlib.sha256(id_.encode()).digest(),
                at_ms=NOW_MS,
            )
            headers = [
                *unchanging(source, topic),
                ("ce_id", id_.encode()),
                ("ce_time", moment),
                ("ce_subject", about),
                (SIGNATURE, mark),
                (SALTS, salts),
            ]
            partition = partition_of(key, self.contract.partitions)
            value = frame(SCHEMA_ID, body)
            yield Fetched(topic, partition, number, NOW_MS, key.encode(), value, headers)


def move(number: int) -> dict[str, Any]:
    """Return the data of a move, a function of its number."""
    address = {
        "street": f"Straße {number % 1000}",
        "number": "7",
        "suffix": None,
        "postcode": "94160",
        "place": "Ringelai",
    }
    return {
        "register": TOWN,
        "pseudonym": f"person-{number}",
        "municipality": CODES[TOWN],
        "cause": "MOVE",
        "valid_from": _BEGAN.date(),
        "old_municipality": None,
        "new_municipality": CODES[TOWN],
        "old_address": address,
        "new_address": address,
        "household": f"household-{number // 3}",
        "corrects": None,
        "sealed": False,
    }


def _key() -> FileSigner:
    return FileSigner(Ed25519PrivateKey.generate())


def _tell_who_is_who(ledger: Ledger, register: FileSigner) -> None:
    root, town = _key(), _key()
    ledger.apply(Entry(number=1, digest="", kind=CHAIN, body={"id": _CHAIN_ID}, at=0, appended=0))
    _say(ledger, "root", {"public": public_text(root.public)}, root)
    for member in (TOWN, OTHERS, *RECIPIENTS):
        said: dict[str, Any] = {
            "member": member,
            "name": member,
            "contact": "bus@town.example",
            "privacy": "datenschutz@town.example",
            "key": _valid(town if member == TOWN else _key()),
        }
        if member in CODES:
            said["ars"] = {"value": CODES[member], "from": "2020-01-01"}
        _say(ledger, "member", said, root)
    _say(ledger, "system", {"system": REGISTER, "key": _valid(register)}, town)
    if ledger.alarms:
        raise Unverified(f"the journal is not as it should be: {ledger.alarms[0].sentence}")


def _valid(key: FileSigner) -> dict[str, str]:
    end = _BEGAN + timedelta(days=365)
    return {
        "public": public_text(key.public),
        "from": write_time(_BEGAN),
        "until": write_time(end),
    }


def _say(ledger: Ledger, kind: str, says: Mapping[str, Any], signer: FileSigner) -> None:
    statement = compose(_CHAIN_ID, kind, says, issued=_BEGAN).signed(signer)
    number, at = ledger.statements + 2, int(_BEGAN.timestamp() * 1000)
    ledger.apply(
        Entry(number=number, digest="", kind=ENTRY, body=statement.body(), at=at, appended=at)
    )


def _terms(grants: int, topic: str) -> Iterator[dict[str, Any]]:
    """Yield the terms of so many grants: the first five match, the others never do."""
    for number in range(grants):
        matches = number < len(RECIPIENTS)
        of_others = number % 2 == 1 and not matches
        rows = [] if matches else [{"field": "household", "is": f"of-nobody-{number}"}]
        yield {
            "owner": {"member": OTHERS if of_others else TOWN},
            "recipient": RECIPIENTS[number % len(RECIPIENTS)],
            "topic": topic,
            "fields": list(FIELDS),
            "rows": rows,
            "purpose": "tax",
            "basis": {"text": "Für die Grundsteuer.", "norm": "§ 34 Abs. 1 BMG"},
            "from": "2026-01-01T00:00:00Z",
            "to": "2027-01-01T00:00:00Z",
        }


def _grant(book: Book, terms: Mapping[str, Any], number: int) -> None:
    digest = hashlib.sha256(number.to_bytes(8)).digest()
    at = int(_BEGAN.timestamp() * 1000)
    for kind, issuer, body in (
        (ASKED, terms["recipient"], terms),
        (APPROVED, terms["owner"]["member"], {"grant": digest.hex()}),
    ):
        book.apply(
            Verified(
                kind=kind,
                issuer=issuer,
                keys=frozenset({"k"}),
                body=body,
                digest=digest,
                number=number,
                at_ms=at,
            )
        )
