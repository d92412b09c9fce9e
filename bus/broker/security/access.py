"""What one principal on one host may do: the rules' decisions, kept until the rules change."""

from bus.broker.security.audit import Audit
from bus.broker.security.rules import Kind, Operation, Rules

MOST_KEPT = 10_000  # decisions of one connection

_OF_CONFIGS = (Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS)
_SUPPORTED = {
    Kind.TOPIC: (
        Operation.READ,
        Operation.WRITE,
        Operation.CREATE,
        Operation.DESCRIBE,
        Operation.DELETE,
        Operation.ALTER,
        *_OF_CONFIGS,
    ),
    Kind.GROUP: (Operation.READ, Operation.DESCRIBE, Operation.DELETE, *_OF_CONFIGS),
    Kind.CLUSTER: (
        Operation.CREATE,
        Operation.CLUSTER_ACTION,
        Operation.IDEMPOTENT_WRITE,
        Operation.ALTER,
        Operation.DESCRIBE,
        *_OF_CONFIGS,
    ),
}
"""What there is to allow (AclEntry.supportedOperations of Apache Kafka)."""


class Access:
    """One connection's rights.

    Args:
        rules: what decides; each look is at their present version.
        audit: where denials are noted.
        principal, host: who asks, and from where.
    """

    def __init__(self, rules: Rules, audit: Audit, principal: str, host: str) -> None:
        self.principal, self.host = principal, host
        self._rules, self._audit = rules, audit
        self._version = rules.version
        self._kept: dict[tuple[Operation, Kind, str], bool] = {}

    def sees(self, operation: Operation, kind: Kind, name: str) -> bool:
        """Whether something is allowed; a no is not noted, as nobody asked for it by name."""
        if self._version != self._rules.version or len(self._kept) >= MOST_KEPT:
            self._version = self._rules.version
            self._kept.clear()
        found = self._kept.get((operation, kind, name))
        if found is None:
            found = self._rules.allows(self.principal, self.host, operation, kind, name)
            self._kept[operation, kind, name] = found
        return found

    def may(self, operation: Operation, kind: Kind, name: str, *, api: str) -> bool:
        """Whether something that was asked for is allowed; a no is noted."""
        allowed = self.sees(operation, kind, name)
        if not allowed:
            resource = (kind.name, name)
            self._audit.denied(self.principal, self.host, operation.name, resource, api)
        return allowed

    def may_any(self, operation: Operation, kind: Kind) -> bool:
        """Whether there could be anything of a kind that is allowed."""
        return self._rules.allows_any(self.principal, self.host, operation, kind)


def operations(access: Access | None, kind: Kind, name: str) -> int:
    """Return what is allowed as Kafka tells it: a bit for the number of each operation (KIP-430).

    Args:
        access: who asks; None if everybody may do everything.
        kind, name: on what.
    """
    return sum(
        1 << operation
        for operation in _SUPPORTED[kind]
        if access is None or access.sees(operation, kind, name)
    )
