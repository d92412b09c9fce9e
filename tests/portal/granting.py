"""A town's journal in memory, and a portal that follows it: members, grants, real events."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bus.admin import Admin
from bus.avro.codec import Codec
from bus.avro.schema import parse
from bus.avro.text import from_json
from bus.contracts import Contract, load_all
from bus.event import SOURCE, frame, partition_of
from bus.journal import Entry
from bus.kafka import Producer, Record
from bus.portal import Portal
from bus.settings import KafkaSettings, Settings
from bus.telemetry import Telemetry
from bus.trust.grants.granting import APPROVED, ASKED
from bus.trust.keys import FileSigner
from bus.trust.statements import ENTRY, Statement
from tests.portal.agreed import agreed
from tests.portal.city import Watch
from tests.trust.parties import OFFICE, PERLESREUT, RINGELAI, Parties

__all__ = ["OFFICE", "PERLESREUT", "RINGELAI"]

TOPIC = "resident.address-changed.v1"
AUTHORITY = "de.state.09"
TERMS: Mapping[str, Any] = {
    "owner": {"member": RINGELAI},
    "recipient": OFFICE,
    "topic": TOPIC,
    "fields": ["cause", "household", "pseudonym"],
    "rows": [{"field": "cause", "in": ["MOVE"]}],
    "purpose": "tax",
    "basis": {"text": "Für die <b>Grundsteuer</b>.", "norm": "§ 34 Abs. 1 BMG"},
    "from": "2026-01-01T00:00:00Z",
    "to": "2099-01-01T00:00:00Z",
}


class Journal(Parties):
    """A journal whose entries are kept, and which takes statements as a registry does."""

    def __init__(self) -> None:
        self.entries_kept: list[Entry] = []
        super().__init__()
        first = {"id": self.ledger.chain}
        self.entries_kept.insert(
            0, Entry(number=1, digest="", kind="chain", body=first, at=0, appended=0)
        )

    def append(self, body: Mapping[str, Any], **options: Any) -> int:
        """Append an entry, whatever it says, and keep it."""
        number = super().append(body, **options)
        entry = Entry(number=number, digest="", kind=ENTRY, body=body, at=0, appended=self.at)
        self.entries_kept.append(entry)
        return number

    def new_key(self, signer: FileSigner, **options: Any) -> dict[str, str]:
        """Return a key that counts for as long as tests are run."""
        return super().new_key(signer, **{"days": 36_500, **options})

    def grants(self, **changes: Any) -> str:
        """Let a recipient ask and an owner approve; return the digest of what asked."""
        name = self.asks(**changes)
        owner = {**TERMS, **changes}["owner"]
        by = self.key(owner.get("member") or owner["authority"])
        assert self.say(APPROVED, {"grant": name, "why": "Nach Prüfung."}, by) is None
        return name

    def asks(self, **changes: Any) -> str:
        """Let a recipient ask; return the digest of its statement."""
        says = {**TERMS, **changes}
        asked = self.compose(ASKED, says, self.key(says["recipient"]))
        assert self.ledger.alarm_at(self.append(asked.body())) is None
        return asked.digest.hex()

    async def entries(self, after: int) -> tuple[list[Entry], bool]:
        """Return entries that follow a number, and whether there are more."""
        return [one for one in self.entries_kept if one.number > after], False

    async def hand_in(self, statement: Statement) -> int:
        """Append a statement if it has an effect, as a registry does."""
        # Pages write statements of now, and the town's clock stands still.
        self.now = max(self.now, statement.issued)
        self.ledger.judge(statement, self.now)
        return self.append(statement.body())

    async def close(self) -> None:
        """Nothing has to be closed."""


def town() -> Journal:
    """Return a bus with two municipalities, an office, and an authority for all of the land."""
    journal = Journal()
    journal.begun()
    for member in (RINGELAI, PERLESREUT, OFFICE, AUTHORITY):
        assert journal.admit(member) is None
    mandate = {"member": AUTHORITY, "ars": "09", "norm": "§ 1 BMG"}
    assert journal.say("mandate", mandate, journal.root) is None
    assert journal.attest(f"{RINGELAI}.meldewesen", RINGELAI) is None
    return journal


def residents() -> Contract:
    """Return the shipped contract of residents' moves."""
    return next(one for one in load_all() if one.topic == TOPIC)


async def happen(kafka: KafkaSettings, events: Sequence[Mapping[str, Any]]) -> None:
    """Write events of the contract as its first schema has them."""
    contract = residents()
    example = next(iter(contract.examples.values()))
    codec = Codec(contract.versions[0])
    async with Admin(kafka) as admin, Producer(kafka) as producer:
        await admin.ensure_topic(contract.topic_spec())
        for number, changes in enumerate(events):
            said = {**example, "register": RINGELAI, **changes}
            data = from_json(parse(contract.versions[0]), said)
            key = contract.key_of(data)
            headers = {
                "ce_specversion": "1.0",
                "ce_id": f"0199c0de-0000-7000-8000-{number:012d}",
                "ce_source": f"{SOURCE}{RINGELAI}.meldewesen",
                "ce_type": TOPIC,
                "ce_time": "2026-07-01T00:00:00Z",
                "ce_subject": data["pseudonym"],
                "content-type": "application/avro",
            }
            record = Record(
                key.encode(),
                frame(1, codec.encode(data)),
                [(name, value.encode()) for name, value in headers.items()],
            )
            await producer.append(TOPIC, partition_of(key, contract.partitions), [record])


@asynccontextmanager
async def following(
    journal: Journal,
    settings: Settings,
    telemetry: Telemetry,
    kafka: KafkaSettings | None = None,
) -> AsyncIterator[Portal]:
    """Yield a portal that has read the journal."""
    if kafka is not None:
        settings = settings.model_copy(update={"kafka": kafka})
    portal = Portal(settings, telemetry, Watch(), agreed(residents()), statements=journal)
    await portal.start()
    try:
        yield portal
    finally:
        await portal.stop()
