"""Towns, agencies and a router on a real bus, with all their keys, and what feeds say."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.avro.codec import Codec
from bus.event import unframe, write_time
from bus.kafka import Fetched, LogReader
from bus.pause import Pause
from bus.publisher import Publisher
from bus.router import Router
from bus.router.identity import FOLDER, KEY
from bus.schemas import SchemaClient
from bus.settings import PublisherSettings, RouterSettings, Settings
from bus.telemetry import Telemetry
from bus.trust import keys
from bus.trust.client import TrustClient
from bus.trust.keys import FileSigner, public_text
from bus.trust.statements import Statement, compose

TOPIC = "resident.address-changed.v1"
RINGELAI = "de.mun.092720140140"
TAX, WATER, STATISTICS = "de.agency.finanzamt", "de.util.stadtwerke", "de.agency.statistik"
REGISTER = f"{RINGELAI}.meldewesen"
OPERATOR, ROUTER = "de.util.stadtbus", "de.util.stadtbus.router"
MEMBERS = (RINGELAI, OPERATOR, TAX, WATER, STATISTICS)
CODES = {RINGELAI: "092720140140"}


@dataclass
class Council:
    """Those who have a say on a bus, and what they say.

    Args:
        bus: how the bus is reached.
        folder: where the register's and the router's keys lie.
        client: reaches the journal.
    """

    bus: Settings
    folder: Path
    client: TrustClient
    keys: dict[str, FileSigner] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings of the router."""
        return self.bus.model_copy(
            update={"data": self.folder, "router": RouterSettings(system=ROUTER)}
        )

    @property
    def register(self) -> Settings:
        """The settings of the residents' register."""
        chosen = PublisherSettings(signing_key=self.folder / "register.key")
        return self.bus.model_copy(update={"publisher": chosen})

    async def say(self, kind: str, says: Mapping[str, Any], *signers: FileSigner) -> Statement:
        """Hand in a statement that has an effect."""
        chain = (await self.client.follow()).chain
        statement = compose(chain, kind, says, issued=datetime.now(UTC)).signed(*signers)
        await self.client.hand_in(statement)
        return statement

    async def begun(self) -> Self:
        """Name the root, admit a town and three agencies, and attest register and router."""
        root = FileSigner(Ed25519PrivateKey.generate())
        await self.say("root", {"public": public_text(root.public)}, root)
        for member in MEMBERS:
            key = self.keys[member] = FileSigner(Ed25519PrivateKey.generate())
            said = {
                "member": member,
                "name": f"Name of {member}",
                "contact": "bus@town.example",
                "privacy": "datenschutz@town.example",
                "key": valid(key),
            }
            if member in CODES:
                said["ars"] = {"value": CODES[member], "from": "2020-01-01"}
            await self.say("member", said, root)
        folder = self.folder / FOLDER
        folder.mkdir()
        made = {
            REGISTER: keys.make(self.folder / "register.key"),
            ROUTER: keys.make(folder / KEY),
        }
        for system, key in made.items():
            says = {"system": system, "key": valid(key)}
            await self.say("system", says, self.keys[system.rpartition(".")[0]])
        return self

    async def grant(self, recipient: str, fields: str, *rows: Mapping[str, Any]) -> str:
        """Have a recipient ask and the town approve; return the grant's id."""
        now = datetime.now(UTC).replace(microsecond=0)
        terms = {
            "owner": {"member": RINGELAI},
            "recipient": recipient,
            "topic": TOPIC,
            "fields": sorted(fields.split()),
            "rows": list(rows),
            "purpose": "tax",
            "basis": {"text": "Für die Grundsteuer.", "norm": "§ 34 Abs. 1 BMG"},
            "from": write_time(now - timedelta(days=1)),
            "to": write_time(now + timedelta(days=300)),
        }
        asked = await self.say("grant-asked", terms, self.keys[recipient])
        await self.say("grant-approved", {"grant": asked.digest.hex()}, self.keys[RINGELAI])
        return asked.digest.hex()

    async def revoke(self, grant: str) -> None:
        """Have the town take a grant back."""
        says = {"grant": grant, "why": "Nicht mehr nötig."}
        await self.say("grant-revoked", says, self.keys[RINGELAI])

    async def publish(self, *moves: Mapping[str, Any]) -> list[str]:
        """Have the register announce moves; return their ids."""
        async with Publisher(REGISTER, self.register) as publisher:
            many = [residents_move(**one) for one in moves]
            return [one.id for one in await publisher.publish_many(TOPIC, many)]

    async def feed(self, recipient: str) -> list["Told"]:
        """Return what a recipient's feed holds; nothing if it is not there."""
        topic, found = f"feed.{recipient}.{TOPIC}", list["Told"]()
        async with (
            LogReader(self.bus.kafka) as reader,
            SchemaClient.of(self.bus) as schemas,
        ):
            if not await reader.exists(topic):
                return found
            pause = Pause()
            for record in await committed(reader, topic):
                found.append(Told.of(record, await data_of(record, schemas)))
                await pause()
        return found

    async def present(self, recipient: str) -> dict[bytes, Mapping[str, Any]]:
        """Return what a recipient's feed says of each key in the end."""
        found: dict[bytes, Mapping[str, Any]] = {}
        for one in await self.feed(recipient):
            if one.snapshot is None:
                found.pop(one.key, None)
                if one.data is not None:
                    found[one.key] = one.data
        return found


@dataclass(frozen=True)
class Told:
    """A record of a feed."""

    key: bytes
    data: Mapping[str, Any] | None
    snapshot: str | None
    grants: tuple[str, ...]
    event: str
    record: Fetched

    @classmethod
    def of(cls, record: Fetched, data: Mapping[str, Any] | None) -> Self:
        """Return a record with its headers read."""
        headers = dict(record.headers)
        snapshot = headers.get("stadtbus-snapshot")
        return cls(
            key=record.key or b"",
            data=data,
            snapshot=None if snapshot is None else snapshot.decode(),
            grants=tuple(headers["stadtbus-grant"].decode().split(",")),
            event=headers["ce_id"].decode(),
            record=record,
        )


def valid(key: FileSigner) -> dict[str, str]:
    """Return a key as statements carry it, valid from now on."""
    now = datetime.now(UTC).replace(microsecond=0)
    return {
        "public": public_text(key.public),
        "from": write_time(now),
        "until": write_time(now + timedelta(days=365)),
    }


def residents_move(**changes: Any) -> dict[str, Any]:
    """Return the data of a move within Ringelai, of the town's own register."""
    address = {"street": "Am Rathaus", "number": "7", "suffix": None, "postcode": "1", "place": "R"}
    data: dict[str, Any] = {
        "register": RINGELAI,
        "pseudonym": "person-1",
        "municipality": CODES[RINGELAI],
        "cause": "MOVE",
        "valid_from": date(2026, 7, 1),
        "old_municipality": None,
        "new_municipality": CODES[RINGELAI],
        "old_address": None,
        "new_address": address,
        "household": "household-1",
        "corrects": None,
        "sealed": False,
    }
    return {**data, **changes}


async def data_of(record: Fetched, schemas: SchemaClient) -> Mapping[str, Any] | None:
    """Return what a record says."""
    if record.value is None:
        return None
    schema_id, data = unframe(record.value)
    decoded: Mapping[str, Any] = Codec(await schemas.schema(schema_id)).decode(data)
    return decoded


async def committed(reader: LogReader, topic: str) -> list[Fetched]:
    """Return the committed records of a topic, partition by partition."""
    found: list[Fetched] = []
    for partition, (first, end) in (await reader.bounds(topic)).items():
        at = first
        while at < end:
            read = await reader.read(topic, partition, at, max_wait=0)
            if not read:
                break
            found += read
            at = read[-1].offset + 1
    return found


@asynccontextmanager
async def routing(settings: Settings) -> AsyncIterator[Telemetry]:
    """Run a router."""
    telemetry = Telemetry()
    async with Router(settings, telemetry):
        yield telemetry


@asynccontextmanager
async def council_of(bus: Settings, folder: Path) -> AsyncIterator[Council]:
    """Return the council of a bus on which nobody has a say yet."""
    async with TrustClient.of(bus) as client:
        yield await Council(bus, folder, client).begun()
