"""A journal in memory and those who sign: the root, members, their systems."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.event import write_time
from bus.journal.chain import CHAIN, Entry
from bus.trust.keys import FileSigner, public_text
from bus.trust.ledger import Alarm, Ledger
from bus.trust.signer import Signer
from bus.trust.statements import ENTRY, Statement, compose

CHAIN_ID = "c" * 32
BEGIN = datetime(2026, 7, 1, 6, tzinfo=UTC)
RINGELAI, PERLESREUT = "de.mun.092720140140", "de.mun.092725214138"
ILZER_LAND = "de.assoc.ilzer-land"
OFFICE = "de.agency.statistik"
OFFICIAL = {RINGELAI: "092720140140", PERLESREUT: "092725214138"}


def signer(seed: int) -> FileSigner:
    """Return the same key for the same number."""
    return FileSigner(Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big")))


class Parties:
    """A ledger, and the keys of all who have a say in it.

    Each statement is taken a minute after the one before.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now = BEGIN
        self.number = 1
        self.root = signer(1)
        self.keys: dict[str, FileSigner] = {}
        self.ledger.apply(
            Entry(number=1, digest="", kind=CHAIN, body={"id": CHAIN_ID}, at=0, appended=0)
        )

    @property
    def at(self) -> int:
        """The time of the last entry, in milliseconds since 1970."""
        return int(self.now.timestamp()) * 1000

    def key(self, name: str) -> FileSigner:
        """Return a party's key, which is made the first time."""
        return self.keys.setdefault(name, signer(100 + len(self.keys)))

    def compose(self, kind: str, says: Mapping[str, Any], *signers: Signer) -> Statement:
        """Return a statement of now."""
        return compose(CHAIN_ID, kind, says, issued=self.now).signed(*signers)

    def append(self, body: Mapping[str, Any], *, after: timedelta = timedelta(minutes=1)) -> int:
        """Append an entry, whatever it says; return its number."""
        self.now += after
        self.number += 1
        entry = Entry(number=self.number, digest="", kind=ENTRY, body=body, at=0, appended=self.at)
        self.ledger.apply(entry)
        return self.number

    def say(self, kind: str, says: Mapping[str, Any], *signers: Signer) -> Alarm | None:
        """Append a statement; return why it has no effect, if it has none."""
        number = self.append(self.compose(kind, says, *signers).body())
        return self.ledger.alarm_at(number)

    def begun(self) -> "Parties":
        """Name the root."""
        assert self.say("root", {"public": public_text(self.root.public)}, self.root) is None
        return self

    def admit(self, member: str, **changes: Any) -> Alarm | None:
        """Have the root admit a member."""
        return self.say("member", self.admission(member) | changes, self.root)

    def admission(self, member: str) -> dict[str, Any]:
        """Return what an admission says."""
        said: dict[str, Any] = {
            "member": member,
            "name": f"Name of {member}",
            "contact": "bus@town.example",
            "privacy": "datenschutz@town.example",
            "key": self.new_key(self.key(member)),
        }
        if member in OFFICIAL:
            said["ars"] = {"value": OFFICIAL[member], "from": "2020-01-01"}
        return said

    def attest(self, system: str, by: str, **changes: Any) -> Alarm | None:
        """Have a member attest the key of a system."""
        said = {"system": system, "key": self.new_key(self.key(system))} | changes
        return self.say("system", said, self.key(by))

    def new_key(
        self, signer: FileSigner, *, since: timedelta = timedelta(0), days: int = 365
    ) -> dict[str, str]:
        """Return a key as statements carry it."""
        begin = self.now + since
        return {
            "public": public_text(signer.public),
            "from": write_time(begin),
            "until": write_time(begin + timedelta(days=days)),
        }


def town() -> Parties:
    """Return a bus with a root, two municipalities and an office, and a system of one."""
    parties = Parties().begun()
    for member in (RINGELAI, PERLESREUT, OFFICE):
        assert parties.admit(member) is None
    assert parties.attest(f"{RINGELAI}.meldewesen", RINGELAI) is None
    return parties
