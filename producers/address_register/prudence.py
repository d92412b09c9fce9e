"""Refuses snapshots that withdraw what is hardly gone: a file that was cut is no demolition."""

from collections.abc import Collection
from pathlib import Path

from bus.errors import InvalidInput
from producers.address_register.difference import Change, Kind
from producers.address_register.snapshot import Snapshot

MOST_WITHDRAWN = 0.2
"""The share of the known addresses that one snapshot may withdraw without being asked about it."""


def check(
    path: Path,
    snapshot: Snapshot,
    known: int,
    changes: Collection[Change],
    *,
    allow_empty: bool,
    allow_shrink: bool,
) -> None:
    """Refuse a snapshot that is empty or that withdraws too much.

    Args:
        path: the snapshot's file.
        snapshot: what it says.
        known: the number of addresses before.
        changes: what it would change.
        allow_empty: an empty snapshot is meant.
        allow_shrink: withdrawing many is meant.

    Raises:
        InvalidInput: it is empty, or it withdraws more than a fifth, and that is not allowed.
    """
    if not snapshot.rows:
        if allow_empty:
            return
        raise InvalidInput(
            f"holds no address; that would withdraw all {known}",
            where=str(path),
            remedy="give the complete file, or --allow-empty if this is meant",
        )
    withdrawn = sum(change.kind is Kind.WITHDRAWN for change in changes)
    if withdrawn > known * MOST_WITHDRAWN and not allow_shrink:
        raise InvalidInput(
            f"would withdraw {withdrawn} of {known} addresses, more than {MOST_WITHDRAWN:.0%}",
            where=str(path),
            remedy="give the complete file, or --allow-shrink if this is meant",
        )
