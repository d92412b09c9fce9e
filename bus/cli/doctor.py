"""`stadtbus doctor`: whether a bus is in order, and what to do where it is not."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from bus.cli.edge import emit
from bus.cli.options import Format, Kafka, Output, Registry, client_settings, see_more
from bus.errors import BusError, NotAuthorised, NotFound

if TYPE_CHECKING:
    from bus.admin import Admin
    from bus.contracts import Contract
    from bus.schemas import SchemaClient
    from bus.settings import KafkaSettings, Settings

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
    """Check a bus from a client's place: who answers, contracts, topics, rights.

    The exit code is 3 if there is a fault. If somebody cannot be asked it is that of the reason:
    2 a wrong setting, 4 not reached, 5 not let in or not authorised; the highest of several. Notes
    are no faults.
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

    async with Admin(settings.kafka) as admin, SchemaClient.of(settings) as schemas:
        return [finding async for finding in _findings(settings, admin, schemas)]


async def _findings(
    settings: "Settings", admin: "Admin", schemas: "SchemaClient"
) -> AsyncIterator[Finding]:
    topics: dict[str, int] = {}
    cluster = ""
    try:
        topics, cluster = await admin.topics(), await admin.cluster_id()
        for finding in await _engine(settings.kafka, admin, topics, cluster):
            yield finding
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
    for contract in contracts:
        for finding in await _topic(contract, admin, topics):
            yield finding


async def _engine(
    kafka: "KafkaSettings", admin: "Admin", topics: Mapping[str, int], cluster: str
) -> list[Finding]:
    """Return what there is to say about the engine, and about what its user may see of it."""
    from bus.admin import too_few_brokers

    user = f" that the user {kafka.username} may see" if kafka.username else ""
    engine = "embedded broker" if cluster.startswith(EMBEDDED) else "Apache Kafka"
    detail = f"{engine} at {kafka.bootstrap}, {len(topics)} topics{user}"
    found = [Finding(state="ok", subject="engine", detail=detail)]
    if kafka.replication_factor > (brokers := len(await admin.brokers())):
        error = too_few_brokers(kafka, brokers)
        found.append(_finding("fault", "engine", f"{error.where}: {error.what}", error.remedy))
    if kafka.username and not topics and await _is_blind(admin):
        detail = f"{kafka.bootstrap}: the user {kafka.username} may see no topic"
        remedy = see_more(kafka.username, "topic")
        code = NotAuthorised.exit_code
        found.append(_finding("fault", "rights", detail, remedy, exit_code=code))
    return found


async def _is_blind(admin: "Admin") -> bool:
    """Whether the user who sees no topic may see none: every bus has its journal."""
    from bus.journal import TOPIC

    try:
        await admin.see(TOPIC)
    except NotAuthorised:
        return True
    except NotFound:
        return False
    return False


async def _topic(contract: "Contract", admin: "Admin", topics: Mapping[str, int]) -> list[Finding]:
    """Return what there is to say about a contract's topic, as far as the user may see it."""
    topic = contract.topic
    try:
        partitions = topics.get(topic) or await admin.see(topic)
    except NotAuthorised as error:
        return [_fault(topic, error)]
    except NotFound:
        again = "put the contract in force again: stadtbus contract apply"
        return [_finding("fault", topic, "the contract is in force, but its topic is gone", again)]
    if partitions != contract.partitions:
        detail = f"it has {partitions} partitions, its contract says {contract.partitions}"
        return [_finding("fault", topic, detail, "events of one key are no longer in order")]
    fine = Finding(state="ok", subject=topic, detail=f"{contract.partitions} partitions")
    try:
        configs = await admin.configs(topic)
    except NotAuthorised as error:
        detail = f"its configuration was not looked at: {error.where}: {error.what}"
        return [fine, _finding("note", topic, detail, error.remedy)]
    wanted = contract.topic_spec().configs
    return _config_faults(topic, wanted, configs) or [fine]


def _config_faults(
    topic: str, wanted: Mapping[str, str], configs: Mapping[str, str]
) -> list[Finding]:
    detail = ", ".join(
        f"{name} is {configs.get(name)}, its contract says {value}"
        for name, value in wanted.items()
        if configs.get(name) != value
    )
    remedy = "set the topic's configuration back"
    return [_finding("fault", topic, detail, remedy)] if detail else []


def _finding(state: str, subject: str, detail: str, remedy: str, *, exit_code: int = NO) -> Finding:
    return Finding(state=state, subject=subject, detail=detail, remedy=remedy, exit_code=exit_code)


def _fault(subject: str, error: BusError) -> Finding:
    where = f"{error.where}: " if error.where else ""
    return Finding(
        state="fault",
        subject=subject,
        detail=f"{where}{error.what}",
        remedy=error.remedy,
        exit_code=error.exit_code,
    )
