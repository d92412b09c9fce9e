"""Signed statements: what somebody says for good, as a canonical text and who signed it. Pure.

The text is JSON with sorted keys, without spaces, in NFC; it names the bus that it is meant for
(the journal's own id), so that it counts on no other, its kind, when it was issued, and a random
nonce. What is signed is ``stadtbus-statement-v1``, a zero byte and the text in UTF-8. Whoever reads
a statement reads the signed text and nothing else.
"""

import base64
import binascii
import hashlib
import json
import re
import secrets
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from bus.avro.schema import load
from bus.errors import BusError, InvalidEvent, InvalidStatement
from bus.event import read_time, write_time
from bus.trust.signer import SIGNATURE_BYTES, Signer, key_id_of, verifies

ENTRY = "statement"
"""The kind of the journal's entries that carry a statement."""

PREFIX = b"stadtbus-statement-v1\0"
"""Stands before what is signed, so that a signature of something else is none of a statement."""

FORMAT = 1
MAX_BYTES = 65_536
MAX_SIGNATURES = 8
MAX_DEPTH = 16
_LARGEST = 2**53  # integers beyond it are not the same in every language

_FIELDS = {"chain", "issued", "kind", "nonce", "says", "v"}
_KIND = re.compile(r"[a-z]+(-[a-z]+)*")
_NONCE = re.compile(r"[0-9a-f]{32}")
_KEY_ID = re.compile(r"[0-9a-f]{32}")


class Signature(NamedTuple):
    """Whose key signed, by the key's name, and the 64 bytes."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement that could be read; whether anybody's signature verifies is asked apart.

    Args:
        chain: the id of the journal that it is meant for.
        kind: what it is about.
        says: what it says.
        issued: when it was issued, by its issuer's clock.
        text: the canonical text, which is what was signed.
        signatures: who says to have signed.
    """

    chain: str
    kind: str
    says: Mapping[str, Any]
    issued: datetime
    text: str
    signatures: tuple[Signature, ...] = ()

    @property
    def digest(self) -> bytes:
        """Tells one statement from another, whoever signed it: SHA-256 of what is signed."""
        return hashlib.sha256(_message(self.text)).digest()

    def is_signed_by(self, public: bytes) -> bool:
        """Whether one of the signatures was made with a key, given by its 32 public bytes."""
        key_id = key_id_of(public)
        return any(
            verifies(public, _message(self.text), one.value)
            for one in self.signatures
            if one.key_id == key_id
        )

    def signed(self, *signers: Signer) -> "Statement":
        """Return the statement with further signatures."""
        made = tuple(Signature(one.key_id, one.sign(_message(self.text))) for one in signers)
        kept = tuple(
            one for one in self.signatures if one.key_id not in {new.key_id for new in made}
        )
        return read({"text": self.text, "signatures": _written(kept + made)})

    def body(self) -> dict[str, Any]:
        """Return it as the journal, HTTP and files carry it."""
        return {"text": self.text, "signatures": _written(self.signatures)}


def compose(
    chain: str, kind: str, says: Mapping[str, Any], *, issued: datetime, nonce: str = ""
) -> Statement:
    """Return a statement that nobody has signed yet.

    Args:
        chain: the id of the journal that it is meant for.
        kind: what it is about.
        says: what it says: text, whole numbers, booleans, None, lists and mappings of them.
        issued: now, with a time zone.
        nonce: 32 hexadecimal digits, so that no two statements are the same; new ones if empty.

    Raises:
        InvalidStatement: it could not be read back.
    """
    try:
        moment = write_time(issued.replace(microsecond=0))
    except InvalidEvent as error:
        raise InvalidStatement(str(error), where="issued") from error
    value = {
        "chain": chain,
        "issued": moment,
        "kind": kind,
        "nonce": nonce or secrets.token_hex(16),
        "says": _normalised(says),
        "v": FORMAT,
    }
    return read({"text": _canonical(value), "signatures": []})


def read(body: object) -> Statement:
    """Return the statement that a journal's entry, a request or a file carries.

    Raises:
        InvalidStatement: it is not of this form, not canonical, too large or nested too deeply.
    """
    match body:
        case {"text": str(text), "signatures": list(signatures), **rest} if not rest:
            value = _value(text)
            return Statement(
                chain=value["chain"],
                kind=value["kind"],
                says=value["says"],
                issued=_time(value["issued"]),
                text=text,
                signatures=tuple(_signatures(signatures)),
            )
    raise InvalidStatement('has not the form {"text": "…", "signatures": […]}')


def _value(text: str) -> dict[str, Any]:
    try:
        value = load(text, max_bytes=MAX_BYTES)
    except BusError as error:
        raise InvalidStatement(f"its text cannot be read: {error}") from error
    except UnicodeEncodeError as error:
        raise InvalidStatement("its text has half a surrogate pair") from error
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise InvalidStatement(f"its text has not the fields {', '.join(sorted(_FIELDS))}")
    if type(value["v"]) is not int or value["v"] != FORMAT:
        raise InvalidStatement(
            f"is of format {str(value['v'])[:20]}, and this program knows {FORMAT}",
            remedy="use a newer Stadtbus",
        )
    _check_plain(value["says"], 0)
    if _canonical(value) != text or not unicodedata.is_normalized("NFC", text):
        raise InvalidStatement(
            "its text is not canonical: sorted keys, no spaces, nothing escaped without need, NFC"
        )
    for name, form in (("kind", _KIND), ("nonce", _NONCE)):
        if not isinstance(value[name], str) or not form.fullmatch(value[name]):
            raise InvalidStatement("is not of its form", where=name)
    if not isinstance(value["chain"], str) or not value["chain"]:
        raise InvalidStatement("names no journal", where="chain")
    if not isinstance(value["says"], dict):
        raise InvalidStatement("is no object", where="says")
    return value


def _check_plain(value: Any, depth: int) -> None:
    """Refuse what is not written alike in every language: fractions, large numbers; deep nesting.

    Raises:
        InvalidStatement: it holds such a value.
    """
    if depth > MAX_DEPTH:
        raise InvalidStatement(f"is nested more than {MAX_DEPTH} levels deep", where="says")
    match value:
        case dict():
            for one in value.values():
                _check_plain(one, depth + 1)
        case list():
            for one in value:
                _check_plain(one, depth + 1)
        case str() | bool() | None:
            pass
        case int() if abs(value) <= _LARGEST:
            pass
        case _:
            raise InvalidStatement(
                "holds a number that is no whole one, or too large", where="says"
            )


def _signatures(given: Sequence[Any]) -> Iterable[Signature]:
    if len(given) > MAX_SIGNATURES:
        raise InvalidStatement(f"has more than {MAX_SIGNATURES} signatures")
    seen = set()
    for one in given:
        match one:
            case {"key": str(key_id), "signature": str(text), **rest} if (
                not rest and _KEY_ID.fullmatch(key_id) and key_id not in seen
            ):
                seen.add(key_id)
                yield Signature(key_id, _signature_bytes(text))
            case _:
                raise InvalidStatement(
                    'a signature has not the form {"key": "…", "signature": "…"}, or is there twice'
                )


def _signature_bytes(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidStatement("a signature is no base64") from error
    if len(value) != SIGNATURE_BYTES:
        raise InvalidStatement(f"a signature has not {SIGNATURE_BYTES} bytes")
    return value


def _written(signatures: Iterable[Signature]) -> list[dict[str, str]]:
    return [
        {"key": key_id, "signature": base64.b64encode(value).decode()}
        for key_id, value in signatures
    ]


def _time(value: Any) -> datetime:
    try:
        time = read_time(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or write_time(time) != value:
        raise InvalidStatement("is no time such as 2026-07-01T06:00:00Z", where="issued")
    return time


def _canonical(value: Any) -> str:
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidStatement(f"holds what JSON does not: {error}") from error


def _normalised(value: Any) -> Any:
    """Return a value with all its text in NFC."""
    match value:
        case str():
            return unicodedata.normalize("NFC", value)
        case Mapping():
            return {_normalised(name): _normalised(one) for name, one in value.items()}
        case list() | tuple():
            return [_normalised(one) for one in value]
    return value


def _message(text: str) -> bytes:
    return PREFIX + text.encode()
