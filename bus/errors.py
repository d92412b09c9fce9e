"""Every error that Stadtbus raises on purpose.

Classes are split by what the caller should do. Each carries a stable code, what went wrong, where,
what to do about it, and whether the same call may succeed later. The command line turns them into
one paragraph and an exit code; nothing that a user can cause ends in a traceback.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import ClassVar, Self


class BusError(Exception):
    """Root of every error raised on purpose.

    Args:
        what: what went wrong, lower case, without a full stop.
        where: the place: a file, an address, a topic and offset, a field's path.
        remedy: what to do about it.
    """

    code: ClassVar[str] = "BUS-0001"
    retriable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{advice}"


class InvalidSettings(BusError):
    """A setting, flag or configuration file that cannot be used."""

    code = "BUS-0100"
    exit_code = 2


class InvalidContract(BusError):
    """A contract folder, contract.yaml or example that breaks a rule of contracts."""

    code = "BUS-0200"
    exit_code = 2


class InvalidSchema(BusError):
    """A schema that is no Avro, or that goes past the limits for schemas."""

    code = "BUS-0201"
    exit_code = 2


class IncompatibleSchema(BusError):
    """A schema that breaks a promise made to those who read or write already.

    Args:
        subject: the registry's subject.
        level: the compatibility level in force.
        problems: one sentence for each broken promise.
    """

    code = "BUS-0202"
    exit_code = 3

    def __init__(self, subject: str, level: str, problems: Sequence[str]) -> None:
        self.subject, self.level, self.problems = subject, level, tuple(problems)
        super().__init__(
            f"{subject} is {level}, but {'; '.join(problems)}",
            remedy="keep what readers rely on, or give what you add or remove a default",
        )


class InvalidEvent(BusError):
    """Data, key or envelope that does not keep to the contract; nothing was sent."""

    code = "BUS-0300"
    exit_code = 2


class UndecodableEvent(BusError):
    """Bytes read from a topic that are no event: bad frame, envelope, schema id or Avro.

    Args:
        what: what is wrong with the bytes.
        reason: a stable word for counting, such as ``bad-frame``.
    """

    code = "BUS-0301"
    exit_code = 7

    def __init__(self, what: str, *, reason: str, where: str = "", remedy: str = "") -> None:
        self.reason = reason
        super().__init__(what, where=where, remedy=remedy)


class BadEvent(BusError):
    """Raised by a subscriber's handler: this event is wrong, set it aside and go on."""

    code = "BUS-0302"
    exit_code = 7


class EventTooLarge(BusError):
    """An event, or a batch that cannot be split further, above the engine's limit."""

    code = "BUS-0303"
    exit_code = 2


class InvalidInput(BusError):
    """A file given to a program that it cannot use: its encoding, columns, a line or a value."""

    code = "BUS-0304"
    exit_code = 2


class NotRedrivable(BusError):
    """A dead letter that cannot be re-driven, as it is not the whole event or says of no group."""

    code = "BUS-0305"
    exit_code = 3


class NotVerified(BusError):
    """An event whose signature does not show that its source wrote it, here and like this.

    Args:
        what: what does not hold.
        reason: a stable word for counting, one of `bus.trust.reasons.Reason`.
    """

    code = "BUS-0306"
    exit_code = 3

    def __init__(self, what: str, *, reason: str, where: str = "", remedy: str = "") -> None:
        self.reason = reason
        super().__init__(what, where=where, remedy=remedy)


class BusUnavailable(BusError):
    """The engine or the registry cannot be reached, or cannot serve just now."""

    code = "BUS-0400"
    retriable = True
    exit_code = 4


class OutcomeUnknown(BusUnavailable):
    """No answer came in time: what was sent may or may not be there."""

    code = "BUS-0401"


class StorageFull(OutcomeUnknown):
    """The engine's disk is full; what was sent is stored once there is space, or sent again."""

    code = "BUS-0402"


class NotAuthenticated(BusError):
    """The engine does not accept these credentials."""

    code = "BUS-0500"
    exit_code = 5


class NotAuthorised(BusError):
    """The engine knows who asks, and says no."""

    code = "BUS-0501"
    exit_code = 5

    @classmethod
    def lacking(cls, right: str, *, user: str | None, where: str) -> Self:
        """Return the error for a right that a user does not have on a cluster.

        Args:
            right: the operation and what it is on, such as ``Read on the topic x``.
            user: who asked; None where nobody logs in, or a certificate does.
            where: the cluster's addresses.
        """
        who = f"the user {user}" if user else "the client, which has no kafka.username,"
        return cls(
            f"{who} lacks the right {right}",
            where=where,
            remedy=f"have the cluster's administrator grant {right}"
            f"{f' to {user}' if user else ''}; docs/kafka.md lists who needs which rights",
        )


class NotFound(BusError):
    """A topic, subject, schema, contract or group that does not exist."""

    code = "BUS-0600"
    exit_code = 6


class PositionLost(BusError):
    """A subscriber's position lies outside what the topic still holds."""

    code = "BUS-0700"
    exit_code = 3


class Conflict(BusError):
    """Somebody else changed the same thing first, or holds what was asked for."""

    code = "BUS-0701"
    exit_code = 3


class Fenced(Conflict):
    """Somebody else has begun to write under the same transactional id; nothing was written."""

    code = "BUS-0702"


class StorageInUse(BusError):
    """Another process has the data directory open."""

    code = "BUS-0800"
    exit_code = 2


class StorageUnusable(BusError):
    """The data directory cannot be used: not writable, damaged, or of a newer version."""

    code = "BUS-0801"
    exit_code = 2


class AddressInUse(BusError):
    """A listener's address is taken, or is none of this machine's."""

    code = "BUS-0802"
    exit_code = 2


class InvalidKey(BusError):
    """A key file that cannot be used: others can read it, or it holds no Ed25519 key."""

    code = "BUS-0900"
    exit_code = 2


class InvalidStatement(BusError):
    """A statement that cannot be read: not canonical, too large, or not of its kind's form."""

    code = "BUS-0901"
    exit_code = 2


class StatementRefused(BusError):
    """A statement that can be read and has no effect: not signed by who may, or not possible.

    Args:
        what: why it has no effect.
        reason: a stable word for counting, such as ``not-entitled``.
    """

    code = "BUS-0902"
    exit_code = 3

    def __init__(self, what: str, *, reason: str, where: str = "", remedy: str = "") -> None:
        self.reason = reason
        super().__init__(what, where=where, remedy=remedy)


class InvalidGrant(BusError):
    """A grant's terms that cannot be used: a field, row, purpose, norm or date that is none."""

    code = "BUS-0910"
    exit_code = 2


def nearest(given: str, known: Sequence[str]) -> str:
    """Return ``did you mean "x"?`` for the known name nearest to the given one.

    When none is near, all the known names are listed instead.
    """
    if matches := get_close_matches(given, known, n=1):
        return f'did you mean "{matches[0]}"?'
    return f"known are {', '.join(sorted(known))}"
