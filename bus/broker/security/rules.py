"""Who may do what: Kafka's access control lists, as a decision without any state of its own.

As StandardAuthorizer of Apache Kafka decides: who is a super user may do everything; what a rule
denies is denied, whatever others allow; what no rule allows is denied.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

EVERYBODY, EVERYWHERE, EVERYTHING = "User:*", "*", "*"
CLUSTER_NAME = "kafka-cluster"


class Kind(IntEnum):
    """What a rule is about (ResourceType)."""

    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class Pattern(IntEnum):
    """How a rule names it (PatternType); the first two stand in filters alone."""

    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class Operation(IntEnum):
    """What a rule lets one do (AclOperation)."""

    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15


class Permission(IntEnum):
    """Whether a rule lets one or keeps one from it (AclPermissionType)."""

    ANY = 1
    DENY = 2
    ALLOW = 3


_IMPLY = {
    Operation.DESCRIBE: {Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER},
    Operation.DESCRIBE_CONFIGS: {Operation.ALTER_CONFIGS},
}
"""What allows an operation beside itself; what denies them does not deny it."""


class Rule(NamedTuple):
    """One entry: a principal may, or may not, do an operation on what is named so."""

    kind: Kind
    pattern: Pattern
    name: str
    principal: str
    host: str
    operation: Operation
    permission: Permission

    def covers(self, name: str) -> bool:
        """Whether what is called so is meant."""
        if self.pattern is Pattern.PREFIXED:
            return name.startswith(self.name)
        return self.name in {name, EVERYTHING}

    def denies(self, operation: Operation) -> bool:
        """Whether the operation is denied."""
        return self.permission is Permission.DENY and self.operation in {operation, Operation.ALL}

    def allows(self, operation: Operation) -> bool:
        """Whether the operation is allowed, by name or because it goes with another."""
        return self.permission is Permission.ALLOW and (
            self.operation in {operation, Operation.ALL}
            or self.operation in _IMPLY.get(operation, ())
        )


@lru_cache(10_000)
def spellings(host: str) -> frozenset[str]:
    """Return all that a rule may call a host: its address as it is written, or as Java does.

    Java writes IPv6 addresses without ``::``, and such as stand for IPv4 as these. An address that
    holds on one link alone bears the link's name, which a rule may leave out.
    """
    names = {EVERYWHERE, host}
    bare, percent, link = host.partition("%")
    try:
        address = ip_address(bare)
    except ValueError:
        return frozenset(names)
    if isinstance(address, IPv6Address):
        parts = address.exploded.split(":")
        written = {address.compressed, ":".join(f"{int(part, 16):x}" for part in parts)}
        names |= written | {f"{name}{percent}{link}" for name in written}
        if address.ipv4_mapped is not None:
            names.add(str(address.ipv4_mapped))
    return frozenset(names)


_Place = tuple[Kind, str, Pattern]


class Rules:
    """All rules, and who is above them.

    Args:
        rules: all of them.
        super_users: principals that may do everything.

    Attributes:
        version: goes up with each change, so that what was decided before is decided anew.
    """

    def __init__(self, rules: Iterable[Rule], super_users: Collection[str]) -> None:
        self._super = frozenset(super_users)
        self._rules: set[Rule] = set()
        # By kind, principal and pattern, and then by name: so that a decision costs no more
        # where there are thousands of rules.
        self._named: defaultdict[_Place, dict[str, set[Rule]]] = defaultdict(dict)
        self._lengths: Counter[tuple[Kind, int]] = Counter()  # of prefixes
        self.version = 0
        self._ordered: list[Rule] | None = None
        self._add(rules)

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        if self._ordered is None:
            self._ordered = sorted(self._rules)
        return iter(self._ordered)

    def found(self, wanted: "Filter") -> list[Rule]:
        """Return the rules that are meant, in order; one that is named in full without a search."""
        if (exactly := wanted.rule) is not None:
            return [exactly] if exactly in self._rules else []
        return [rule for rule in self if wanted.finds(rule)]

    def change(self, made: Iterable[Rule], deleted: Iterable[Rule]) -> None:
        """Bring this up to what is stored."""
        self._remove(deleted)
        self._add(made)
        self._ordered = None
        self.version += 1

    def _add(self, made: Iterable[Rule]) -> None:
        for rule in made:
            if rule in self._rules:
                continue
            self._rules.add(rule)
            place = self._named[rule.kind, rule.principal, rule.pattern]
            place.setdefault(rule.name, set()).add(rule)
            if rule.pattern is Pattern.PREFIXED:
                self._lengths[rule.kind, len(rule.name)] += 1

    def _remove(self, deleted: Iterable[Rule]) -> None:
        for rule in deleted:
            if rule not in self._rules:
                continue
            self._rules.remove(rule)
            place = self._named[rule.kind, rule.principal, rule.pattern]
            place[rule.name].remove(rule)
            if not place[rule.name]:
                del place[rule.name]
            if rule.pattern is Pattern.PREFIXED:
                self._lengths[rule.kind, len(rule.name)] -= 1

    def _about(self, principal: str, host: str, kind: Kind, name: str) -> Iterator[Rule]:
        """Yield the rules about what is called so that concern a principal on a host."""
        for who in (principal, EVERYBODY):
            literal = self._named.get((kind, who, Pattern.LITERAL), {})
            prefixed = self._named.get((kind, who, Pattern.PREFIXED), {})
            for called in {name, EVERYTHING}:
                yield from self._here(literal.get(called, ()), host)
            if not prefixed:
                continue
            for (of, length), count in self._lengths.items():
                if of is kind and count and length <= len(name):
                    yield from self._here(prefixed.get(name[:length], ()), host)

    @staticmethod
    def _here(rules: Iterable[Rule], host: str) -> Iterator[Rule]:
        return (rule for rule in rules if rule.host in spellings(host))

    def allows(
        self, principal: str, host: str, operation: Operation, kind: Kind, name: str
    ) -> bool:
        """Decide whether a principal on a host may do this to what is called so."""
        if principal in self._super:
            return True
        allowed = False
        for rule in self._about(principal, host, kind, name):
            if rule.denies(operation):
                return False
            allowed = allowed or rule.allows(operation)
        return allowed

    def allows_any(self, principal: str, host: str, operation: Operation, kind: Kind) -> bool:
        """Decide whether there could be anything of this kind that one may do this to.

        As Authorizer.authorizeByResourceType of Apache Kafka: a rule that allows counts unless one
        that denies covers all that it does.
        """
        if principal in self._super:
            return True
        about = [
            rule
            for who in (principal, EVERYBODY)
            for pattern in (Pattern.LITERAL, Pattern.PREFIXED)
            for rules in self._named.get((kind, who, pattern), {}).values()
            for rule in self._here(rules, host)
        ]
        denying = [rule for rule in about if rule.denies(operation)]
        if any(rule.name == EVERYTHING and rule.pattern is Pattern.LITERAL for rule in denying):
            return False
        return any(
            rule.permission is Permission.ALLOW
            and rule.operation in {operation, Operation.ALL}
            and not any(_dominates(no, rule) for no in denying)
            for rule in about
        )


def _dominates(no: Rule, rule: Rule) -> bool:
    """Whether all that a rule names is denied by another."""
    if no.pattern is Pattern.PREFIXED:
        everything = rule.name == EVERYTHING and rule.pattern is Pattern.LITERAL
        return not everything and rule.name.startswith(no.name)
    return rule.pattern is Pattern.LITERAL and rule.name == no.name


class Filter(NamedTuple):
    """Which rules are meant; None means any."""

    kind: Kind
    pattern: Pattern
    name: str | None
    principal: str | None
    host: str | None
    operation: Operation
    permission: Permission

    @property
    def rule(self) -> Rule | None:
        """The only rule that can be meant; None if there can be several."""
        if (
            self.kind is Kind.ANY
            or self.pattern in {Pattern.ANY, Pattern.MATCH}
            or self.name is None
            or self.principal is None
            or self.host is None
            or self.operation is Operation.ANY
            or self.permission is Permission.ANY
        ):
            return None
        return Rule(
            self.kind,
            self.pattern,
            self.name,
            self.principal,
            self.host,
            self.operation,
            self.permission,
        )

    def finds(self, rule: Rule) -> bool:
        """Whether the rule is meant (AclBindingFilter.matches of Apache Kafka)."""
        return (
            self.kind in {Kind.ANY, rule.kind}
            and self._names(rule)
            and self.principal in {None, rule.principal}
            and self.host in {None, rule.host}
            and self.operation in {Operation.ANY, rule.operation}
            and self.permission in {Permission.ANY, rule.permission}
        )

    def _names(self, rule: Rule) -> bool:
        if self.pattern not in {Pattern.ANY, Pattern.MATCH, rule.pattern}:
            return False
        if self.name is None or self.name == rule.name:
            return True
        return self.pattern is Pattern.MATCH and rule.covers(self.name)
