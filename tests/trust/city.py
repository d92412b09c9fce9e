"""A member with a system, at a registry that asks who is there."""

from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.trust.client import TrustClient
from bus.trust.keys import FileSigner, public_text
from bus.trust.statements import compose
from tests.trust.parties import Parties


class City:
    """A member with a system; other tests may be at the same registry, too.

    Attributes:
        key: the member's.
    """

    def __init__(self, client: TrustClient, system: str) -> None:
        self._client, self._parties = client, Parties()
        self.root = self._parties.root
        self.system, self.member = system, system.rpartition(".")[0]
        self.key = FileSigner(Ed25519PrivateKey.generate())

    async def say(self, kind: str, says: dict[str, Any], *signers: FileSigner) -> None:
        """Hand in a statement."""
        ledger = await self._client.follow()
        said = compose(ledger.chain, kind, says, issued=datetime.now(UTC)).signed(*signers)
        await self._client.hand_in(said)

    async def begin(self) -> None:
        """Name the root if nobody has, and admit the member and its system."""
        parties = self._parties
        parties.now = datetime.now(UTC).replace(microsecond=0)
        if (await self._client.follow()).standing.root is None:
            await self.say("root", {"public": public_text(self.root.public)}, self.root)
        parties.keys |= {
            self.member: self.key,
            self.system: FileSigner(Ed25519PrivateKey.generate()),
        }
        await self.say("member", parties.admission(self.member), self.root)
        key = parties.new_key(parties.key(self.system))
        await self.say("system", {"system": self.system, "key": key}, self.key)
