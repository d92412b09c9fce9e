"""What the commands about grants share: which grants there are, and what flows under one."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bus.cli.edge import say
from bus.cli.options import client_settings
from bus.cli.signing import ask
from bus.errors import BusError, NotFound

if TYPE_CHECKING:
    from bus.contracts import Contract
    from bus.trust.client import TrustClient
    from bus.trust.grants.grant import Grant
    from bus.trust.grants.history import History
    from bus.trust.grants.samples import Sample
    from bus.trust.grants.terms import Terms
    from bus.trust.ledger import Ledger


def read(
    registry: str | None,
    wanted: "Callable[[Terms], bool]" = lambda _: True,
    until_ms: int | None = None,
) -> "tuple[Ledger, History]":
    """Return who is who and the grants, folded here from what the registry hands out.

    Args:
        registry: where it is.
        wanted: whether somebody wants to look at grants with such terms.
        until_ms: leave out what the engine took later, in milliseconds since 1970.
    """
    from bus.trust.grants.history import History

    history = History(wanted)

    async def followed(client: "TrustClient") -> "Ledger":
        return await client.follow(until_ms=until_ms)

    return ask(registry, followed, history.take), history


def one(name: str, history: "History") -> "tuple[str, Grant]":
    """Return the one grant whose name begins so, with the digest of what asked for it.

    Raises:
        NotFound: there is none, or more than one.
    """
    found = history.named(name) if name else []
    if len(found) != 1:
        what = f"{len(found)} grants have a name that begins so" if found else "there is no grant"
        raise NotFound(what, where=name, remedy="see `stadtbus grant ls` for whole names")
    return found[0]


def now_ms() -> int:
    """Return the time, in milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1000)


def contracts_in_force(registry: str | None, topics: Sequence[str]) -> "dict[str, Contract]":
    """Return the contracts of these topics, without those that there are not."""
    from bus.schemas import SchemaClient

    async def asked() -> "dict[str, Contract]":
        found = {}
        async with SchemaClient.of(client_settings(None, registry)) as client:
            for topic in topics:
                try:
                    found[topic] = await client.contract(topic)
                except NotFound:
                    continue
        return found

    return asyncio.run(asked())


def contract_in_force(registry: str | None, topic: str) -> "Contract":
    """Return the contract of a topic.

    Raises:
        NotFound: there is none.
    """
    found = contracts_in_force(registry, [topic])
    if topic not in found:
        raise NotFound(
            "there is no contract for this topic", where=topic, remedy="see `stadtbus contract ls`"
        )
    return found[topic]


def would_flow(
    terms: "Terms", ledger: "Ledger", kafka: str | None, registry: str | None
) -> "list[Sample]":
    """Return what would flow of the newest events; says why, if they cannot be read."""
    from bus.kafka import LogReader
    from bus.schemas import SchemaClient
    from bus.trust.grants.samples import samples
    from bus.views.grants.newest import newest

    settings = client_settings(kafka, registry)

    async def asked() -> "list[Sample]":
        async with LogReader(settings.kafka) as reader, SchemaClient.of(settings) as schemas:
            contract = await schemas.contract(terms.topic)
            events = await newest(reader, contract, schemas)
        return samples(terms, contract, ledger.standing, events)

    try:
        return asyncio.run(asked())
    except BusError as error:
        say(f"! no examples can be shown: {error}")
        return []


def words(terms: "Terms") -> list[str]:
    """Return what a grant says, in sentences."""
    from bus.trust.grants.plain import plain

    return plain(terms, "en")


def sample_row(sample: "Sample") -> dict[str, Any]:
    """Return an example as JSON values."""
    from bus.avro.text import to_json
    from bus.cli.when import iso_ms

    named = {sample.renamed: "(a name of the recipient's own)"} if sample.renamed else {}
    values = {name: to_json(value) for name, value in sample.values.items()}
    return {"place": sample.place, "time": iso_ms(sample.at_ms), "gives": {**named, **values}}


def tell_samples(samples: "Sequence[Sample]") -> None:
    """Say what would flow of real events."""
    import json

    from bus.cli.output import printable

    if not samples:
        say("None of the newest events would flow.")
        return
    say("Of the newest events this would flow:")
    for sample in samples:
        row = sample_row(sample)
        gives = json.dumps(row["gives"], ensure_ascii=False)
        say(printable(f"  {row['time']}  {row['place']}  {gives}"))
