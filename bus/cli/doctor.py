"""`stadtbus doctor`: whether a bus is in order, and what to do where it is not."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from bus.cli.edge import emit
from bus.cli.options import Format, Kafka, Output, Registry, client_settings

if TYPE_CHECKING:
    from bus.admin import Admin
    from bus.contracts import Contract
    from bus.errors import BusError
    from bus.schemas import SchemaClient
    from bus.settings import Settings

EMBEDDED = "stadtbus-"
"""What the embedded broker's cluster id begins with."""

MARKS = {"ok": "✔", "note": "!", "fault": "✘"}

NO = 3
"""The exit code of a question that was answered with no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: ok, worth a note, or a fault, and what to do about it."""

    state: str
    subject: str
    detail: str
    remedy: str = ""
    exit_code: int = NO


def doctor(kafka: Kafka = None, registry: Registry = None, output: Output = Format.table) -> None:
    """Check a bus from a client's place: who answers, contracts, topics, what is not done yet.

    The exit code is 3 if there is a fault, 4 if somebody cannot be reached; notes are no faults.
    """
    findings = asyncio.run(_examine(client_settings(kafka, registry)))
    if output is Format.json:
        emit({"v": 1, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            typer.echo(f"{MARKS[finding.state]} {finding.subject}: {finding.detail}")
            if finding.remedy:
                typer.echo(f"  Next: {finding.remedy}")
    if faults := [finding for finding in findings if finding.state == "fault"]:
        raise typer.Exit(max(finding.exit_code for finding in faults))


async def _examine(settings: "Settings") -> list[Finding]:
    from bus.admin import Admin
    from bus.schemas import SchemaClient

    async with Admin(settings.kafka) as admin, SchemaClient(settings.registry.url) as schemas:
        return [finding async for finding in _findings(settings, admin, schemas)]


async def _findings(
    settings: "Settings", admin: "Admin", schemas: "SchemaClient"
) -> AsyncIterator[Finding]:
    from bus.errors import BusError

    topics: dict[str, int] = {}
    cluster = ""
    try:
        topics, cluster = await admin.topics(), await admin.cluster_id()
        engine = "embedded broker" if cluster.startswith(EMBEDDED) else "Apache Kafka"
        yield Finding(
            state="ok",
            subject="engine",
            detail=f"{engine} at {settings.kafka.bootstrap}, {len(topics)} topics",
        )
    except BusError as error:
        yield _fault("engine", error)
    try:
        contracts = [await schemas.contract(topic) for topic in await schemas.contracts()]
        yield Finding(
            state="ok",
            subject="registry",
            detail=f"{settings.registry.url}, {len(contracts)} contracts in force",
        )
    except BusError as error:
        yield _fault("registry", error)
        return
    if not cluster:
        return
    embedded = cluster.startswith(EMBEDDED)
    for contract in contracts:
        configs = await admin.configs(contract.topic) if contract.topic in topics else {}
        user = settings.kafka.username
        for finding in topic_findings(contract, topics, configs, embedded=embedded, user=user):
            yield finding


def topic_findings(
    contract: "Contract",
    topics: Mapping[str, int],
    configs: Mapping[str, str],
    *,
    embedded: bool,
    user: str | None = None,
) -> list[Finding]:
    """Return what there is to say about a contract's topic.

    Args:
        contract: as it is in force.
        topics: partitions by topic.
        configs: the topic's configuration.
        embedded: the engine is the embedded broker, which does not execute all of it yet.
        user: who asked, where there is a login: an engine hides what its user may not see.
    """
    topic = contract.topic
    if topic not in topics and user:
        detail = f"the contract is in force, but the user {user} sees no such topic"
        rights = "give the user its rights (docs/kafka.md), or, if the topic is gone, put the "
        again = f"{rights}contract in force again: stadtbus contract apply"
        return [_finding("fault", topic, detail, again)]
    if topic not in topics:
        again = "put the contract in force again: stadtbus contract apply"
        return [_finding("fault", topic, "the contract is in force, but its topic is gone", again)]
    if topics[topic] != contract.partitions:
        detail = f"it has {topics[topic]} partitions, its contract says {contract.partitions}"
        return [_finding("fault", topic, detail, "events of one key are no longer in order")]
    wanted = contract.topic_spec().configs
    if wrong := {name: configs.get(name) for name in wanted if configs.get(name) != wanted[name]}:
        detail = ", ".join(
            f"{name} is {value}, its contract says {wanted[name]}" for name, value in wrong.items()
        )
        return [_finding("fault", topic, detail, "set the topic's configuration back")]
    found = [Finding(state="ok", subject=topic, detail=f"{contract.partitions} partitions")]
    if embedded and (waiting := _not_executed(wanted)):
        detail = f"{', '.join(waiting)}: stored, but not executed by this version"
        found.append(_finding("note", topic, detail, "nothing is deleted yet: watch the disk"))
    return found


def _not_executed(wanted: Mapping[str, str]) -> list[str]:
    from bus.broker.configs import NOT_EXECUTED_YET

    asks_nothing = {("cleanup.policy", "delete"), ("retention.ms", "-1")}
    return [
        f"{name}={value}"
        for name, value in sorted(wanted.items())
        if name in NOT_EXECUTED_YET and (name, value) not in asks_nothing
    ]


def _finding(state: str, subject: str, detail: str, remedy: str) -> Finding:
    return Finding(state=state, subject=subject, detail=detail, remedy=remedy)


def _fault(subject: str, error: "BusError") -> Finding:
    where = f"{error.where}: " if error.where else ""
    return Finding(
        state="fault",
        subject=subject,
        detail=f"{where}{error.what}",
        remedy=error.remedy,
        exit_code=error.exit_code,
    )
