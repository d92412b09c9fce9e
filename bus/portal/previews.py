"""Dead letters as a page shows them: short texts, masked as their events' contract says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from bus.event import ENVELOPE, read_time
from bus.letters import Letter
from bus.portal.masking import MASK, Masking

LONGEST, MOST_HEADERS = 300, 50
"""Characters of a key or header that are shown; headers that are."""

SUBJECT = "ce_subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A letter as a page shows it.

    Args:
        spot: its partition and offset, ``<partition>:<offset>``.
        letter: the letter.
        at: when its event was refused, in seconds since 1970; None: its header tells no time.
        detail: what was wrong with the event.
        key: the event's.
        headers: the event's.
    """

    spot: str
    letter: Letter
    at: float | None
    detail: str
    key: str
    headers: Sequence[tuple[str, str]]


def preview(letter: Letter, masking: Masking | None) -> Preview:
    """Return a letter as a page shows it.

    Args:
        letter: the letter.
        masking: what its event's contract hides; None where nobody knows, and all may be hidden.
    """
    hides = masking is None or masking.hides
    key = _text(letter.key)
    return Preview(
        spot=f"{letter.partition}:{letter.offset}",
        letter=letter,
        at=_seconds(letter.time),
        # It says what is wrong with pieces of what is there.
        detail=MASK if hides and letter.detail else letter.detail,
        key=key if masking and not hides else masking.key(key) if masking else MASK,
        headers=[
            (name[:LONGEST], _header(name, _text(value), masking, hides=hides))
            for name, value in letter.headers[:MOST_HEADERS]
        ],
    )


def _header(name: str, text: str, masking: Masking | None, *, hides: bool) -> str:
    if not hides:
        return text
    if name == SUBJECT and masking is not None:
        return masking.subject(text) or ""
    return text if name in ENVELOPE and name != SUBJECT else MASK


def _seconds(written: str) -> float | None:
    """Return a time that strangers may have written."""
    try:
        return read_time(written).timestamp()
    except ValueError:
        return None


def _text(data: bytes | None) -> str:
    return (data or b"")[:LONGEST].decode("utf-8", errors="replace")
