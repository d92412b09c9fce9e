"""`stadtbus grant explain`: why a member got an event, or did not."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli import granted
from bus.cli.options import Format, Kafka, Output, Registry, client_settings
from bus.cli.output import show, show_one
from bus.cli.when import instant, iso_ms
from bus.errors import InvalidInput, InvalidSettings, NotFound, PositionLost

if TYPE_CHECKING:
    from bus.kafka import Fetched
    from bus.trust.grants.explain import Finding
    from bus.views.grants.explaining import Explained

ANSWERED_NO = 3


def explain(
    recipient: Annotated[str, typer.Argument(metavar="RECIPIENT", help="the member that asks")],
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT",
            help="TOPIC/PARTITION/OFFSET of the shared topic, or a file that `stadtbus topic "
            "export` wrote, with one event",
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="what held then: 2026-11-21T08:00:00Z, or 0s for now [default: when the event "
            "arrived]",
            show_default=False,
        ),
    ] = None,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Say why a member got an event of a restricted contract, or did not.

    Each grant between the member and the event's owner is named, and what of it did not hold; the
    event's values are not. Signature and rights of the source are checked first. The exit code is 3
    if it did not get the event.
    """
    file = Path(event)
    record = _from_file(file) if file.is_file() else _from_bus(event, kafka, registry)
    at_ms = record.timestamp_ms
    if at is not None:
        at_ms = int(instant(at, now=datetime.now(UTC), where="--at").timestamp() * 1000)
    found = _explained(record, recipient, at_ms, registry)
    row: dict[str, Any] = {
        "recipient": recipient,
        "event": found.event,
        "owner": found.owner,
        "at": iso_ms(at_ms),
        "gets": found.flows,
        "why": _why(found, recipient),
    }
    grants = [_row(finding) for finding in found.findings]
    if output is Format.json:
        row["grants"] = grants
    show_one(row, output)
    if output is Format.table and grants:
        show("grants", grants, ("grant", "applies", "why"), output)
    if not found.flows:
        raise typer.Exit(ANSWERED_NO)


def _explained(record: "Fetched", recipient: str, at_ms: int, registry: str | None) -> "Explained":
    from bus.schemas import SchemaClient
    from bus.subscriber.decoding import Decoder
    from bus.views.grants.explaining import explained

    ledger, history = granted.read(
        registry,
        lambda terms: terms.recipient == recipient and terms.topic == record.topic,
        until_ms=at_ms,
    )
    if recipient not in ledger.standing.members:
        raise NotFound(
            "there was no such member", where=recipient, remedy="see `stadtbus member ls`"
        )
    contract = granted.contract_in_force(registry, record.topic)
    if contract.access != "restricted":
        raise InvalidInput(
            f"{contract.topic} is {contract.access}",
            where=record.topic,
            remedy="everybody may subscribe to it; nothing has to be explained",
        )

    async def asked() -> "Explained":
        async with SchemaClient.of(client_settings(None, registry)) as schemas:
            return await explained(
                record,
                contract,
                Decoder(contract, schemas),
                ledger.standing,
                history.grants(),
                recipient=recipient,
                at_ms=at_ms,
            )

    return asyncio.run(asked())


def _why(found: "Explained", recipient: str) -> str:
    if found.refused:
        return f"The event counts for nobody: {found.refused}."
    if found.deleted:
        return "It ends what its key had, and goes to whoever has the key."
    if found.sealed:
        return "Its source has sealed whom it is about: nobody gets it, whatever was granted."
    if not found.findings:
        return f"{recipient} has asked {found.owner} for nothing of this contract."
    if found.flows:
        return "At least one grant applied."
    return "No grant applied."


def _row(finding: "Finding") -> dict[str, Any]:
    from bus.trust.grants.plain import obstacle_words

    return {
        "grant": finding.grant.id.hex(),
        "applies": finding.applies,
        "why": " ".join(obstacle_words(one, "en") for one in finding.obstacles),
    }


def _from_file(file: Path) -> "Fetched":
    from bus.trust.exported import read

    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(file)) from error
    if len(lines) != 1:
        raise InvalidInput(
            f"has {len(lines)} events",
            where=str(file),
            remedy="leave the line of the one that is asked about",
        )
    try:
        return read(lines[0]).record
    except InvalidInput as error:
        raise InvalidInput(error.what, where=str(file), remedy=error.remedy) from error


def _from_bus(place: str, kafka: str | None, registry: str | None) -> "Fetched":
    from bus.kafka import LogReader

    topic, partition, offset = _place(place)

    async def asked() -> "Fetched | None":
        async with LogReader(client_settings(kafka, registry).kafka) as reader:
            if partition not in await reader.bounds(topic):
                return None
            found = await reader.read(topic, partition, offset)
        return next((one for one in found if one.offset == offset), None)

    try:
        record = asyncio.run(asked())
    except PositionLost:
        record = None
    if record is None:
        raise NotFound(
            "there is no event, or no longer",
            where=place,
            remedy=f"see `stadtbus topic export {topic}` for those that are there",
        )
    return record


def _place(text: str) -> tuple[str, int, int]:
    match text.split("/"):
        case [topic, partition, offset] if (
            topic and partition.isdecimal() and offset.isdecimal() and len(text) < 300
        ):
            return topic, int(partition), int(offset)
    raise InvalidSettings(
        f'"{text[:60]}" is neither a file nor a place',
        where="EVENT",
        remedy="write resident.address-changed.v1/0/17: topic, partition and offset",
    )
