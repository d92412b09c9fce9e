"""Signs what a publisher sends on a restricted contract."""

import os
import time
from collections.abc import Callable
from typing import Self

from bus.contracts import Contract
from bus.errors import InvalidEvent, InvalidSettings
from bus.event import SOURCE, Draft
from bus.kafka import header
from bus.settings import Settings
from bus.trust.keys import FileSigner
from bus.trust.leaves import SEED_BYTES
from bus.trust.projection import Projection
from bus.trust.signature import MUNICIPALITY_HEADER, SALTS, SIGNATURE, Claim, sign
from bus.trust.signed import Content, contents_of
from bus.trust.signer import Signer


def signer_of(settings: Settings) -> Signer | None:
    """Return the signer that the settings name; None if they name none.

    Raises:
        InvalidKey: its file cannot be used.
        InvalidSettings: its passphrase cannot be read.
    """
    chosen = settings.publisher
    if chosen.signing_key is None:
        return None
    return FileSigner.open(chosen.signing_key, chosen.passphrase())


def now_ms() -> int:
    """Return this moment in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Seal:
    """Signs the events of one system on one restricted contract.

    Args:
        topic: the contract's.
        system: who publishes.
        signer: holds the system's key.
        projection: of the schema that is written with.
        entropy: returns so many random bytes.
        clock: returns this moment, in milliseconds since 1970.
    """

    def __init__(
        self,
        topic: str,
        system: str,
        signer: Signer,
        projection: Projection,
        *,
        entropy: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._topic, self._source = topic.encode(), f"{SOURCE}{system}".encode()
        self._signer, self._projection = signer, projection
        self._entropy, self._clock = entropy, clock

    @classmethod
    def of(cls, contract: Contract, system: str, signer: Signer | None, index: int) -> Self | None:
        """Return what signs on a contract; None where nothing has to be signed.

        Args:
            contract: the contract.
            system: who publishes.
            signer: holds the system's key, if it has one.
            index: of the schema's version that is written with, from 0.

        Raises:
            InvalidSettings: the contract is restricted, and there is no key.
        """
        if contract.access != "restricted":
            return None
        if signer is None:
            raise InvalidSettings(
                "the contract is restricted: what is sent there has to be signed, and this "
                "publisher has no key",
                where=contract.topic,
                remedy="set publisher.signing_key to the system's private key, or give a signer",
            )
        return cls(contract.topic, system, signer, Projection(contract.versions[index]))

    def check_headers(self, draft: Draft) -> None:
        """Check that a draft has no header that the signature would not cover.

        Raises:
            InvalidEvent: it has one.
        """
        if further := next(iter(draft.headers), None):
            raise InvalidEvent(
                "no signature covers this header, so a restricted contract does not have it",
                where=f"headers.{further}",
            )

    def headers(
        self,
        id_: str,
        moment: str,
        key: bytes,
        subject: str | None,
        data: bytes | None,
        municipality: str | None = None,
    ) -> list[bytes]:
        """Return the headers that sign an event, as they lie in a record.

        Args:
            id_: the event's id.
            moment: when it happened, as its header says.
            key: the record's key.
            subject: what its header says it is about.
            data: the value after its frame; None for a tombstone.
            municipality: whom a tombstone is about; None for any other event.
        """
        content = None if data is None else Content(self._projection, data)
        named = None if municipality is None else municipality.encode()
        about = None if subject is None else subject.encode()
        fingerprint = self._projection.fingerprint if content else b""
        claim = Claim(self._topic, id_.encode(), self._source, moment.encode(), fingerprint)
        signature, salts = sign(
            self._signer,
            claim,
            contents_of(key, about, content, named),
            seed=self._entropy(SEED_BYTES),
            at_ms=self._clock(),
        )
        own = [header(SIGNATURE, signature), header(SALTS, salts)]
        return own if named is None else [*own, header(MUNICIPALITY_HEADER, named)]
