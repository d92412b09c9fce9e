"""Makes `docs/wire-signatures.json` anew: ``python -m tests.trust.vectors``."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bus.avro.canonical import canonical
from bus.avro.schema import parse
from bus.event import frame
from bus.kafka import Record
from bus.trust.attestation import attested
from bus.trust.leaves import root_of
from bus.trust.projection import Projection
from bus.trust.signed import Signed
from tests.trust.events import (
    AT_MS,
    ROUTER,
    SEED,
    SIGNER,
    STRANGER,
    TOPIC,
    Written,
    giving,
    on_a_feed,
    whole,
)
from tests.trust.forgeries import forgeries
from tests.trust.samples import PARTS, PROJECTION, TOMBSTONE_PARTS, event, tombstone

FILE = Path(__file__).parents[2] / "docs" / "wire-signatures.json"

SOURCE_ID, FEED_ID = 7, 8
"""Ids of the contract's schema and of the feed's in the frames of the vectors."""


FEED, PARTITION = f"feed.de.agency.statistik.{TOPIC}", 2
STATE = b"17/" + b"d" * 64
"""Where the attested vectors lie, and under which state of the journal."""

KEYS = {"city": SIGNER, "stranger": STRANGER, "router": ROUTER}


def vectors() -> dict[str, Any]:
    """Return the file's content."""
    return {
        "about": "Vectors of docs/wire.md, sections Signatures and Attestation. Bytes are in "
        "hexadecimal; null is a null. The private keys are in this file: trust them nowhere.",
        "topic": TOPIC,
        "signed_at_ms": AT_MS,
        "keys": {name: _key(key) for name, key in KEYS.items()},
        "schema": {
            "id": SOURCE_ID,
            "text": PROJECTION.text,
            "fingerprint": PROJECTION.fingerprint.hex(),
        },
        "feed_schema": {"id": FEED_ID, "text": canonical(parse(PROJECTION.feed))},
        "events": [
            _whole("event", event(), PROJECTION, PARTS),
            _whole("tombstone", tombstone(), None, TOMBSTONE_PARTS),
        ],
        "attested": [
            _attested("event", on_a_feed(giving(whole(event(), PROJECTION), PROJECTION, ("id",)))),
            _attested("tombstone", on_a_feed(giving(whole(tombstone(), None), None, ()))),
        ],
        "refused": [
            {
                "name": each.name,
                "is_part": each.is_part,
                "reason": each.reason,
                **written_out(each.record, FEED_ID if each.is_part else SOURCE_ID),
            }
            for each in forgeries()
        ],
    }


def _key(signer: Any) -> dict[str, str]:
    private: Ed25519PrivateKey = signer._private
    return {
        "id": signer.key_id,
        "public": signer.public.hex(),
        "private_pkcs8": private.private_bytes(
            Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
        ).hex(),
    }


def _whole(
    name: str, record: Written, projection: Projection | None, parts: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    signed = whole(record, projection)
    return {
        "name": name,
        "seed": SEED.hex(),
        **written_out(record, SOURCE_ID),
        "leaves": [
            {
                "name": leaf.name,
                "content": (leaf.content or b"").hex(),
                "salt": (leaf.salt or b"").hex(),
                "digest": leaf.digest.hex(),
            }
            for leaf in signed.leaves
        ],
        "root": root_of([leaf.digest for leaf in signed.leaves]).hex(),
        "message": _message(signed).hex(),
        "parts": [
            {"name": title, "fields": list(fields), **_part(signed, projection, fields)}
            for title, fields in parts.items()
        ],
    }


def _part(signed: Signed, projection: Projection | None, fields: tuple[str, ...]) -> dict[str, Any]:
    return written_out(on_a_feed(giving(signed, projection, fields)), FEED_ID)


def _attested(name: str, record: Written) -> dict[str, Any]:
    """Return a feed's record with the router's word for it, and that message."""
    written = written_out(record, FEED_ID)
    value = None if record.data is None else frame(FEED_ID, record.data)
    headers = [*record.headers, ("stadtbus-grant", b"ab" * 16), ("stadtbus-state", STATE)]
    plain = Record(record.key, value, headers)
    made = attested(ROUTER, FEED, PARTITION, plain, AT_MS)
    written["headers"] = [[name, value.hex()] for name, value in made.headers]
    message = _attestation(plain).hex()
    return {"name": name, "feed": FEED, "partition": PARTITION, **written, "message": message}


def _attestation(record: Record) -> bytes:
    """Return what the router signed, as docs/wire.md writes it down, without the product's code."""
    names = sorted(record.headers, key=lambda header: header[0].encode())
    parts = (
        FEED.encode(),
        PARTITION.to_bytes(4, "big"),
        b"\1" + (record.key or b""),
        b"\0" if record.value is None else b"\1" + record.value,
        _joined([_joined([name.encode(), b"\1" + value]) for name, value in names]),
        bytes.fromhex(ROUTER.key_id),
        AT_MS.to_bytes(8, "big"),
    )
    return b"stadtbus-attestation-1\0" + _joined(parts)


def _joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _message(signed: Signed) -> bytes:
    """Return what was signed, as docs/wire.md writes it down, without the product's code."""
    root = root_of([leaf.digest for leaf in signed.leaves])
    at = signed.mark.at_ms.to_bytes(8, "big")
    parts = (*signed.claim, bytes.fromhex(signed.mark.key_id), at, root)
    return b"stadtbus-event-1\0" + _joined(parts)


def written_out(record: Written, schema_id: int) -> dict[str, Any]:
    """Return a record as the file has it."""
    value = None if record.data is None else frame(schema_id, record.data).hex()
    return {
        "key": record.key.hex(),
        "value": value,
        "headers": [[name, value.hex()] for name, value in record.headers],
    }


if __name__ == "__main__":
    text = json.dumps(vectors(), ensure_ascii=False, indent=1)
    FILE.write_text(text + "\n", encoding="utf-8")
