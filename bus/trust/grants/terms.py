"""What a grant says: who lets whom have which part of what, for what and on which basis. Pure.

Terms are read from the signed statement that asks for a grant. Nothing in them may be unknown: who
approves terms has to understand all of them, and so has every node that acts on them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from bus.contracts import TOPIC
from bus.errors import InvalidGrant, nearest
from bus.event import member_of, write_time
from bus.trust.grants.conditions import FIELD_NAME, Condition, read_condition, write_condition
from bus.trust.grants.literals import instant_of
from bus.trust.grants.vocabulary import norm, purpose

MAX_FIELDS = 256
MAX_CONDITIONS = 8
MAX_ROWS_BYTES = 16_384
MAX_BASIS = 2000
"""Characters of the legal basis in words."""

ARS_LEVELS = {2: "state", 3: "region", 5: "district", 9: "association", 12: "municipality"}
"""What the first so many digits of a municipality's official code (ARS) stand for."""

_NAMES = ("owner", "recipient", "topic", "fields", "rows", "purpose", "basis", "from", "to")
_ARS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose data a grant is about, and who decides on it.

    Args:
        member: the member whose data it is; with `ars`, the authority that decides.
        ars: where it begins so, the data of all members with such an official code; empty for the
            data of `member` alone.
    """

    member: str
    ars: str = ""


@dataclass(frozen=True, slots=True)
class Basis:
    """The legal basis: in words, and the norm."""

    text: str
    norm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a grant says.

    Args:
        owner: whose data, and who decides.
        recipient: the member that gets it.
        topic: the contract with its major version.
        fields: the names of the top-level fields that are given, sorted; at least one.
        rows: the conditions that all have to hold for an event to be given; none: every event.
        purpose: what for, an id of the vocabulary.
        basis: why it is allowed.
        since: the instant from which it holds.
        until: the instant from which it holds no more.
    """

    owner: Owner
    recipient: str
    topic: str
    fields: tuple[str, ...]
    rows: tuple[Condition, ...]
    purpose: str
    basis: Basis
    since: datetime
    until: datetime

    @classmethod
    def from_json(cls, value: object, where: str = "grant") -> Self:
        """Return terms from the JSON of a statement.

        Args:
            value: what the statement says.
            where: what it is called in errors.

        Raises:
            InvalidGrant: a name is missing or unknown, or a value is none of its kind.
        """
        said = _named(value, _NAMES, where)
        owner = _owner(said["owner"], f"{where}.owner")
        recipient = _member(said["recipient"], f"{where}.recipient")
        if recipient == owner.member and not owner.ars:
            raise InvalidGrant(
                f"{recipient} is its owner, too",
                where=f"{where}.recipient",
                remedy="a member needs no grant for its own data",
            )
        since, until = (_instant(said[name], f"{where}.{name}") for name in ("from", "to"))
        if since >= until:
            raise InvalidGrant(
                f"ends at {said['to']}, but begins at {said['from']}",
                where=f"{where}.to",
                remedy="give the earlier instant as from, the later one as to",
            )
        return cls(
            owner=owner,
            recipient=recipient,
            topic=_topic(said["topic"], f"{where}.topic"),
            fields=_fields(said["fields"], f"{where}.fields"),
            rows=_rows(said["rows"], f"{where}.rows"),
            purpose=purpose(_text(said["purpose"], f"{where}.purpose"), f"{where}.purpose"),
            basis=_basis(said["basis"], f"{where}.basis"),
            since=since,
            until=until,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the terms as a statement says them."""
        whose = (
            {"authority": self.owner.member, "ars": self.owner.ars}
            if self.owner.ars
            else {"member": self.owner.member}
        )
        return {
            "owner": whose,
            "recipient": self.recipient,
            "topic": self.topic,
            "fields": list(self.fields),
            "rows": [write_condition(one) for one in self.rows],
            "purpose": self.purpose,
            "basis": {"text": self.basis.text, "norm": self.basis.norm},
            "from": write_time(self.since),
            "to": write_time(self.until),
        }


def write_rows(rows: Sequence[Condition]) -> str:
    """Return conditions as one canonical text."""
    return json.dumps(
        [write_condition(one) for one in rows],
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )


def _named(value: object, names: Sequence[str], where: str) -> Mapping[str, Any]:
    """Return a mapping that has exactly these names."""
    if not isinstance(value, Mapping):
        raise InvalidGrant("is no mapping of names to values", where=where)
    for name in value:
        if name not in names:
            raise InvalidGrant(
                f'unknown name "{str(name)[:60]}"', where=where, remedy=nearest(str(name), names)
            )
    for name in names:
        if name not in value:
            raise InvalidGrant("is missing", where=f"{where}.{name}", remedy="give it")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidGrant("is no text", where=where)
    return value


def _member(value: object, where: str) -> str:
    name = _text(value, where)
    if member_of(f"{name}.x") != name:
        raise InvalidGrant(
            f'"{name[:60]}" is no member\'s id',
            where=where,
            remedy="write it like de.mun.092720140140",
        )
    return name


def _owner(value: object, where: str) -> Owner:
    if isinstance(value, Mapping) and "member" in value:
        return Owner(_member(_named(value, ["member"], where)["member"], f"{where}.member"))
    said = _named(value, ["authority", "ars"], where)
    ars = _text(said["ars"], f"{where}.ars")
    if len(ars) not in ARS_LEVELS or not _ARS.fullmatch(ars):
        levels = ", ".join(f"{digits} ({word})" for digits, word in ARS_LEVELS.items())
        raise InvalidGrant(
            f'"{ars[:20]}" is no beginning of an official code (ARS)',
            where=f"{where}.ars",
            remedy=f"give as many digits as a level has: {levels}",
        )
    return Owner(_member(said["authority"], f"{where}.authority"), ars)


def _topic(value: object, where: str) -> str:
    name = _text(value, where)
    if not TOPIC.fullmatch(name):
        raise InvalidGrant(
            f'"{name[:60]}" is no contract\'s topic',
            where=where,
            remedy="name it with its major version, as in resident.address-changed.v1",
        )
    return name


def _fields(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_FIELDS:
        raise InvalidGrant(
            f"is no list of 1 to {MAX_FIELDS} fields",
            where=where,
            remedy="name each field that the recipient needs for the purpose",
        )
    for number, name in enumerate(value):
        if not isinstance(name, str) or not FIELD_NAME.fullmatch(name):
            raise InvalidGrant(
                f'"{str(name)[:60]}" is no name of a top-level field', where=f"{where}[{number}]"
            )
    if value != sorted(set(value)):
        raise InvalidGrant(
            "is not sorted, or has a field twice",
            where=where,
            remedy=f"write {', '.join(sorted(set(value)))[:200]}",
        )
    return tuple(value)


def _rows(value: object, where: str) -> tuple[Condition, ...]:
    if not isinstance(value, list) or len(value) > MAX_CONDITIONS:
        raise InvalidGrant(
            f"is no list of at most {MAX_CONDITIONS} conditions",
            where=where,
            remedy="ask for a second grant where one cannot say it",
        )
    rows = tuple(read_condition(one, f"{where}[{number}]") for number, one in enumerate(value))
    if (size := len(write_rows(rows).encode(errors="replace"))) > MAX_ROWS_BYTES:
        raise InvalidGrant(f"has {size} bytes, {MAX_ROWS_BYTES} are allowed", where=where)
    return rows


def _basis(value: object, where: str) -> Basis:
    said = _named(value, ["text", "norm"], where)
    text = _text(said["text"], f"{where}.text")
    if not text.strip() or len(text) > MAX_BASIS:
        raise InvalidGrant(
            f"has not between 1 and {MAX_BASIS} characters",
            where=f"{where}.text",
            remedy="say in words why the recipient may have the data",
        )
    return Basis(text, norm(_text(said["norm"], f"{where}.norm"), f"{where}.norm"))


def _instant(value: object, where: str) -> datetime:
    text = _text(value, where)
    instant = instant_of(text)
    if instant is None or instant.microsecond:
        raise InvalidGrant(
            f'"{text[:60]}" is no instant in UTC and whole seconds',
            where=where,
            remedy="write it like 2026-07-01T00:00:00Z",
        )
    return instant
