"""What is asked of disclosures, and what is answered. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from bus.disclosures.disclosure import Disclosure
from bus.errors import InvalidInput


class Question(NamedTuple):
    """Which disclosures are meant; what is None does not matter.

    Args:
        member: only what concerns this member, as owner or as recipient. A subject is looked for
            among those whose owner it is alone: no recipient knows the source's names for them.
        owner, recipient: of the disclosure.
        topic: of this contract.
        purpose: among others for this purpose.
        subject: of whom, as the source names them.
        event: the id of the record on the feed.
        since_ms, until_ms: told then or later, and before, in milliseconds since 1970.
    """

    member: str | None = None
    owner: str | None = None
    recipient: str | None = None
    topic: str | None = None
    purpose: str | None = None
    subject: str | None = None
    event: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class Mark(NamedTuple):
    """The place of a disclosure in the order of answers.

    Args:
        at_ms: when it was made.
        partition, offset, number: where it is on the topic, and in its record.
    """

    at_ms: int
    partition: int
    offset: int
    number: int

    def __str__(self) -> str:
        return ".".join(map(str, self))

    @classmethod
    def read(cls, text: str) -> "Mark":
        """Return the mark that a text stands for.

        Raises:
            InvalidInput: none.
        """
        parts = text.split(".")
        if len(parts) != len(cls._fields) or not all(
            part.isascii() and part.isdigit() and len(part) < 19 for part in parts
        ):
            raise InvalidInput(
                "this is no place among disclosures",
                where=text[:80],
                remedy="begin without one; each answer says where the next one begins",
            )
        return cls._make(map(int, parts))


class Found(NamedTuple):
    """A disclosure with its place."""

    mark: Mark
    disclosure: Disclosure


class Part(NamedTuple):
    """A part of an answer.

    Args:
        found: the disclosures, the newest first.
        following: where the next part begins; None: this is the last one.
    """

    found: Sequence[Found]
    following: Mark | None


_TESTS = {
    "owner": "told.owner = ?",
    "recipient": "told.recipient = ?",
    "topic": "told.terms in (select id from terms where topic = ?)",
    "purpose": "told.terms in (select terms.id from terms, json_each(terms.purposes) as one "
    "where one.value = ?)",
    "subject": "told.subject = ?",
    "event": "told.event = ?",
    "since_ms": "told.at_ms >= ?",
    "until_ms": "told.at_ms < ?",
}
_MEMBERS = frozenset({"owner", "recipient"})
_FEW = "+"
"""In front of a column: SQLite is not to look by it, as there are fewer rows by another one."""

_AFTER = "(told.at_ms, told.partition, told.offset, told.number) < (?, ?, ?, ?)"

Condition = tuple[str, Sequence[object]]


def conditions(question: Question, before: Mark | None) -> Iterator[Condition]:
    """Yield conditions of SQL with their values, which together mean what is asked.

    What concerns a member is two questions, so that an index has the answer to each in its order.
    """
    few = _FEW if question.event is not None else ""
    tests = [
        (few + test if name in _MEMBERS else test, _value(name, getattr(question, name)))
        for name, test in _TESTS.items()
        if getattr(question, name) is not None
    ]
    if question.member is None:
        yield _all(tests, before)
        return
    yield _all([(f"{few}told.owner = ?", question.member), *tests], before)
    if question.subject is None:
        other = ("told.owner <> ?", question.member)  # those are in the first answer
        yield _all([(f"{few}told.recipient = ?", question.member), other, *tests], before)


def _all(tests: Sequence[tuple[str, object]], before: Mark | None) -> Condition:
    texts, values = [test for test, _ in tests], [value for _, value in tests]
    if before is not None:
        texts.append(_AFTER)
        values += before
    return " and ".join(texts) or "true", values


def _value(name: str, value: object) -> object:
    if name != "event":
        return value
    try:
        return UUID(str(value)).bytes
    except ValueError:
        raise InvalidInput(
            "an event's id is a UUID", where=str(value)[:80], remedy="copy it from ce_id"
        ) from None
