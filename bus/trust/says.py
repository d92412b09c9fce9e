"""What statements about members, systems and keys say: a form for each kind. Pure.

A form is judged by itself: names, dates, codes. Whether it is possible and who had to sign it is
`rules.py`. Whether a municipality's code is in the directory is asked where a person writes it
(`municipalities.py`), and not here: what counts must not hang on which directory a program has.
"""

import re
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from bus.contracts import TOPIC
from bus.errors import InvalidStatement
from bus.event import member_of, read_time, write_time
from bus.trust.grants.terms import ARS_LEVELS
from bus.trust.keys import public_of
from bus.trust.statements import Statement

_ARS = re.compile(r"(0[1-9]|1[0-6])[0-9]{10}", re.ASCII)
_ADDRESS = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]{1,190}")
_LONGEST_ID = 200


def is_ars(text: str) -> bool:
    """Whether a text has the form of a German municipality's official code (ARS)."""
    return bool(_ARS.fullmatch(text))


def _member(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_ID or member_of(f"{value}.x") != value:
        raise ValueError("is no member's id, such as de.mun.092720140140")
    return value


def _system(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_ID or member_of(value) is None:
        raise ValueError("is no system's id, such as de.mun.092720140140.meldewesen")
    return value


def _time(value: Any) -> int:
    try:
        time = read_time(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.microsecond or write_time(time) != value:
        raise ValueError("is no time such as 2026-07-01T06:00:00Z")
    return int(time.timestamp()) * 1000


def _day(value: Any) -> date:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise ValueError("is no day such as 2026-07-01")
    return day


def _ars(value: Any) -> str:
    if not isinstance(value, str) or not is_ars(value):
        raise ValueError("is no official code of a municipality (ARS), which has 12 digits")
    return value


def _ars_prefix(value: Any) -> str:
    if not (isinstance(value, str) and re.fullmatch("[0-9]+", value, re.ASCII)):
        raise ValueError("is no beginning of an official code (ARS), such as 0927")
    if len(value) not in ARS_LEVELS:
        levels = ", ".join(f"{digits} ({word})" for digits, word in ARS_LEVELS.items())
        raise ValueError(f"has as many digits as no level of official codes: {levels}")
    return value


def _topic(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_ID or not TOPIC.fullmatch(value):
        raise ValueError("is no contract's topic, such as sensor.reading.v1")
    return value


def _public(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("is no base64")  # pydantic takes values' errors alone
    return public_of(value)


def _printable(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or value != value.strip():
        raise ValueError("is no plain text")
    return value


def _role_address(value: Any) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise ValueError("is no address such as datenschutz@ringelai.example")
    return value


MemberId = Annotated[str, BeforeValidator(_member)]
SystemId = Annotated[str, BeforeValidator(_system)]
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Public = Annotated[bytes, BeforeValidator(_public)]
Time = Annotated[int, BeforeValidator(_time)]
Day = Annotated[date, BeforeValidator(_day)]
Ars = Annotated[str, BeforeValidator(_ars)]
ArsPrefix = Annotated[str, BeforeValidator(_ars_prefix)]
Name = Annotated[str, BeforeValidator(_printable), StringConstraints(min_length=1, max_length=200)]
Reason = Annotated[str, BeforeValidator(_printable), StringConstraints(max_length=500)]
Topic = Annotated[str, BeforeValidator(_topic)]
RoleAddress = Annotated[str, BeforeValidator(_role_address)]


class Says(BaseModel):
    """What one kind of statement says; names that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NewKey(Says):
    """A key and when it is to count."""

    public: Public
    since: Time = Field(alias="from")
    until: Time

    @model_validator(mode="after")
    def _forwards(self) -> "NewKey":
        if self.until <= self.since:
            raise ValueError("ends before it begins: until has to be after from")
        return self


class ArsFrom(Says):
    """An official code and the day from which it holds; none where a value is None."""

    value: Ars | None
    day: Day = Field(alias="from")


class AssociationFrom(Says):
    """An association and the day from which a member belongs to it; none where it is None."""

    value: MemberId | None
    day: Day = Field(alias="from")


class Root(Says):
    """``root``: the key that attests members."""

    public: Public


class Admission(Says):
    """``member``: a member, its attributes, its role addresses and its first key."""

    member: MemberId
    name: Name
    contact: RoleAddress
    privacy: RoleAddress
    key: NewKey
    ars: ArsFrom | None = None
    association: AssociationFrom | None = None


class Change(Says):
    """``member-changed``: what is different from now on, or from a day on."""

    member: MemberId
    name: Name | None = None
    contact: RoleAddress | None = None
    privacy: RoleAddress | None = None
    ars: ArsFrom | None = None
    association: AssociationFrom | None = None

    @model_validator(mode="after")
    def _something(self) -> "Change":
        if self.model_fields_set == {"member"}:
            raise ValueError("changes nothing")
        return self


class OfMember(Says):
    """``member-suspended``, ``member-resumed``, ``member-left``."""

    member: MemberId
    reason: Reason = ""


class MemberKey(Says):
    """``key``: a member's further key."""

    member: MemberId
    key: NewKey


class Revocation(Says):
    """``key-revoked``: from when on a key does not count; from now on if it does not say."""

    key: KeyId
    since: Time | None = Field(default=None, alias="from")
    reason: Reason = ""


class Attestation(Says):
    """``system``: a key of a member's system."""

    system: SystemId
    key: NewKey


class Publishing(Says):
    """``system-publishes``: the contracts that a system publishes: these, and no others."""

    system: SystemId
    topics: Annotated[list[Topic], Field(max_length=200)]

    @model_validator(mode="after")
    def _once(self) -> "Publishing":
        if len(set(self.topics)) < len(self.topics):
            raise ValueError("names a contract twice")
        return self


class Retirement(Says):
    """``system-retired``."""

    system: SystemId
    reason: Reason = ""


class Mandate(Says):
    """``mandate``: on which norm an authority decides about grants for all under a code."""

    member: MemberId
    ars: ArsPrefix
    norm: Name


class MandateEnded(Says):
    """``mandate-ended``."""

    member: MemberId
    ars: ArsPrefix
    reason: Reason = ""


class FourEyes(Says):
    """``four-eyes``: whether two of a member's keys have to approve a grant."""

    member: MemberId
    wanted: bool


Form = TypeVar("Form", bound=Says)


def form_of(statement: Statement, form: type[Form]) -> Form:
    """Return what a statement says, in the form of its kind.

    Raises:
        InvalidStatement: it is not of this form; the first thing that is wrong.
    """
    try:
        return form.model_validate(statement.says)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidStatement(
            first["msg"].removeprefix("Value error, "),
            where=f"{statement.kind}: {place}" if place else statement.kind,
        ) from error
