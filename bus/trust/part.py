"""A part of a signed event: what a feed gives of it, which proves as much as the whole does."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from bus.trust.headers import Headers, claim_of, needed, optional, unique
from bus.trust.leaves import KEY, MUNICIPALITY, SUBJECT, Leaf, leaf, present
from bus.trust.projection import Projection
from bus.trust.signature import (
    DIGESTS,
    MUNICIPALITY_HEADER,
    SALTS,
    SIGNATURE,
    WITHHELD,
    malformed,
    read_digests,
    read_salts,
    write_salts,
)
from bus.trust.signed import Content, Signed


class Part(NamedTuple):
    """What a feed's event carries of a signed one.

    Args:
        data: the value after its frame, in the feed's schema; None for a tombstone.
        key: the source's key; None if it is withheld, and the feed needs one of its own.
        headers: those that the signature needs; besides, the feed's event has the fixed ones
            (``ce_specversion``, ``content-type``) and those that are its own.
    """

    data: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def part_of(whole: Signed, projection: Projection | None, fields: frozenset[str]) -> Part:
    """Return what a feed carries of an event.

    Args:
        whole: the event as `read_whole` gave it, checked.
        projection: of the contract's schema; None for a tombstone.
        fields: names of the leaves that are given; a name that the event has no leaf of gives
            nothing.
    """
    choice = _choice(tuple([each.name for each in whole.leaves]), fields)
    leaves = [*zip(whole.leaves, choice.given, strict=True)]
    claim = whole.claim
    headers = [
        ("ce_id", claim.id),
        ("ce_source", claim.source),
        ("ce_type", claim.topic),
        ("ce_time", claim.time),
        (SIGNATURE, whole.mark.pack()),
        (SALTS, write_salts([each.salt or b"" for each, given in leaves if given])),
        (DIGESTS, b"".join([each.digest for each, given in leaves if not given])),
        (WITHHELD, choice.withheld),
    ]
    key, subject, *rest = [each.content if given else None for each, given in leaves]
    if subject is not None and subject != present(None):
        headers.append(("ce_subject", subject[1:]))
    if projection is not None:
        return Part(projection.join(rest), key, tuple(headers))
    if rest[0] is not None:
        headers.append((MUNICIPALITY_HEADER, rest[0]))
    return Part(None, key, tuple(headers))


class _Choice(NamedTuple):
    """Of each leaf whether it is given, and what ``stadtbus-withheld`` says of the others."""

    given: tuple[bool, ...]
    withheld: bytes


@lru_cache(4096)  # few contracts and sets of fields, many events
def _choice(names: tuple[str, ...], fields: frozenset[str]) -> _Choice:
    given = tuple(name in fields for name in names)
    return _Choice(given, ",".join(name for name in names if name not in fields).encode())


def read_part(topic: str, key: bytes | None, content: Content | None, headers: Headers) -> Signed:
    """Read what a feed gave of a signed event.

    Args:
        topic: the contract's topic.
        key: the record's key.
        content: the record's value, with the projection of the contract's schema, which the feed's
            follows from; None for a tombstone.
        headers: the record's.

    Raises:
        NotVerified, UndecodableEvent: as `read_whole`, or what was given is not what the headers
            say.
    """
    found = unique(headers)
    claim, mark = claim_of(topic, found, content.projection.fingerprint if content else b"")
    names = (KEY, SUBJECT, *(content.projection.names if content else (MUNICIPALITY,)))
    given = _given(names, needed(found, WITHHELD))
    contents: list[bytes | None] = [
        key if given[0] else None,
        present(optional(found, "ce_subject")) if given[1] else None,
    ]
    if content:
        contents += content.projection.split_feed(content.data, given[2:])
    else:
        contents.append(needed(found, MUNICIPALITY_HEADER) if given[2] else None)
    if given[0] and key is None:
        raise malformed("the key is missing")
    salts = iter(read_salts(needed(found, SALTS), sum(given)))
    digests = iter(read_digests(needed(found, DIGESTS), len(given) - sum(given)))
    leaves = [
        Leaf(name, next(digests), None, None) if value is None else leaf(name, value, next(salts))
        for name, value in zip(names, contents, strict=True)
    ]
    return Signed(claim, mark, leaves)


def _given(names: Sequence[str], withheld: bytes) -> list[bool]:
    """Return of each leaf whether it was given; the header names the others, in their order."""
    text = withheld.decode("utf-8", errors="replace")
    listed = text.split(",") if text else []
    given = [name not in listed for name in names]
    if [name for name, each in zip(names, given, strict=True) if not each] != listed:
        raise malformed(f"{WITHHELD} does not name parts of the event in their order")
    return given
