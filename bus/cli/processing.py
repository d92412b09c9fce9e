"""`stadtbus grant register`: the register of processing activities (Art. 30 GDPR)."""

import csv
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli import granted
from bus.cli.edge import emit
from bus.cli.options import Format, Registry
from bus.cli.output import show
from bus.errors import NotFound

if TYPE_CHECKING:
    from bus.trust.grants.register import Activity


class Report(StrEnum):
    """How the register is written."""

    table = "table"
    json = "json"
    csv = "csv"


class Side(StrEnum):
    """Whose register it is."""

    owner = "owner"
    recipient = "recipient"


class Words(StrEnum):
    """The language of titles and purposes."""

    de = "de"
    en = "en"


def register(
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="whose register")],
    side: Annotated[
        Side,
        typer.Option("--as", help="as owner: what others get of it; as recipient: what it gets"),
    ] = Side.owner,
    language: Annotated[Words, typer.Option("--lang", help="of titles and purposes")] = Words.de,
    registry: Registry = None,
    output: Annotated[
        Report, typer.Option("-o", "--output", help="table, json or csv")
    ] = Report.table,
) -> None:
    """Write what a member gives or gets for its register of processing (Art. 30 GDPR).

    It holds what is granted and what was; what was never approved is left out.
    """
    rows = _rows(member, side, language, registry)
    match output:
        case Report.json:
            emit({"v": 1, "member": member, "as": side, "activities": [asdict(r) for r in rows]})
        case Report.csv:
            _csv(rows)
        case Report.table:
            shown = [
                {**asdict(row), "fields": [name for name, _ in row.categories]} for row in rows
            ]
            columns = ("state", "controller", "recipient", "purpose", "norm", "data", "fields",
                       "since", "until")  # fmt: skip
            show("activities", shown, columns, Format.table)


def _rows(member: str, side: Side, language: Words, registry: str | None) -> "list[Activity]":
    from bus.trust.grants.concerning import codes_of, is_ever_owned
    from bus.trust.grants.register import contacts_of
    from bus.trust.grants.register import register as register_of

    owned = side is Side.owner
    ledger, history = granted.read(
        registry,
        lambda terms: (
            terms.recipient == member
            if not owned
            else terms.owner.member == member or terms.owner.ars != ""
        ),
    )
    standing = ledger.standing
    if member not in standing.members:
        raise NotFound("there is no such member", where=member, remedy="see `stadtbus member ls`")
    codes = codes_of(standing, member)
    grants = [
        grant
        for grant in history.grants()
        if not owned or is_ever_owned(grant.terms.owner, member, codes)
    ]
    topics = sorted({grant.terms.topic for grant in grants})
    return register_of(
        grants,
        granted.contracts_in_force(registry, topics),
        contacts_of(standing.members.values()),
        owner=member if owned else None,
        language="de" if language is Words.de else "en",
        at_ms=granted.now_ms(),
    )


def _csv(rows: "list[Activity]") -> None:
    from bus.trust.grants.register import COLUMNS, cells

    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    writer.writerows(cells(row) for row in rows)
