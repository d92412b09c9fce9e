"""Which records of the journal's topic count, and in what order: a hash chain, pure.

Each entry carries the SHA-256 of the entry it follows. The first record that follows the head is
the next entry; any other is void, whatever it says. Nothing else decides, not offsets and not
times, so every reader of the topic, or of a copy of it, comes to the same chain.

An entry is canonical JSON (keys sorted, no spaces, UTF-8). "after" is its first key, so the link is
read from a fixed place: how a reader parses the rest cannot change what counts, only what takes
effect.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = 1
START = "0" * 64
"""What the first entry follows."""

CHAIN, EMPTY = "chain", "empty"
"""The journal's own kinds: the first entry, and one that only takes a place."""

_LINK = re.compile(rb'\{"after":"([0-9a-f]{64})",')


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry that counts.

    Args:
        number: its place in the chain; the first is 1.
        digest: SHA-256 of its bytes, which the next entry carries.
        kind: what it is about; empty if its content cannot be read, and then it has no effect.
        body: what it says.
        at: when its writer wrote it, in milliseconds since 1970, by the writer's clock.
        appended: when the engine took it, in milliseconds since 1970, by the engine's clock: a
            writer cannot date it back.
    """

    number: int
    digest: str
    kind: str
    body: Mapping[str, Any]
    at: int
    appended: int = 0


class Chain:
    """Folds records, in the order of the topic, into the entries that count."""

    def __init__(self) -> None:
        self.head = START
        self.length = 0
        self.id = ""
        self._strays = 0

    def follow(self, value: bytes | None, *, appended: int = 0) -> Entry | None:
        """Take the next record; return its entry if it counts.

        Args:
            value: the record's value.
            appended: the record's time, in milliseconds since 1970.
        """
        match = _LINK.match(value or b"")
        if value is None or match is None:
            return None
        if match[1].decode() != self.head:
            self._strays += not self.length
            return None
        self.head = digest_of(value)
        self.length += 1
        kind, body, at = _content(value)
        if self.length == 1 and kind == CHAIN:
            self.id = str(body.get("id", ""))
        return Entry(
            number=self.length, digest=self.head, kind=kind, body=body, at=at, appended=appended
        )

    @property
    def has_lost_its_beginning(self) -> bool:
        """Whether there are entries, but not the one that they begin with."""
        return not self.length and self._strays > 0


def encode(after: str, kind: str, body: Mapping[str, Any], *, at: int, nonce: str = "") -> bytes:
    """Return the bytes of an entry.

    Args:
        after: the digest of the entry that it follows, or `START`.
        kind: what it is about.
        body: what it says; JSON values only.
        at: now, in milliseconds since 1970.
        nonce: a random word, so that no two entries are the same bytes; a new one if empty.
    """
    entry = {
        "after": after,
        "at": at,
        "body": body,
        "kind": kind,
        "nonce": nonce or secrets.token_hex(8),
        "v": FORMAT,
    }
    text = json.dumps(
        entry, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.encode()


def digest_of(value: bytes) -> str:
    """Return what the entry after this one carries."""
    return hashlib.sha256(value).hexdigest()


def _content(value: bytes) -> tuple[str, Mapping[str, Any], int]:
    """Read an entry's content; one of another format, or that is damaged, has no effect."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return "", {}, 0
    if content.get("v") != FORMAT:
        return "", {}, 0
    kind, body, at = content.get("kind"), content.get("body"), content.get("at")
    if not (isinstance(kind, str) and isinstance(body, dict) and isinstance(at, int)):
        return "", {}, 0
    return kind, body, at
