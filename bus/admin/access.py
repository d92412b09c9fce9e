"""Users and rules of an engine that asks who is there."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    UserScramCredentialDeletion,
)

from bus.admin.admin import Admin
from bus.admin.connection import TIMEOUT
from bus.errors import InvalidSettings, NotFound, nearest

Kind = Literal["topic", "group", "cluster", "transactional-id"]

_KINDS: dict[str, ResourceType] = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "cluster": ResourceType.BROKER,  # how this client calls the cluster
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS: dict[str, AclOperation] = {
    "All": AclOperation.ALL,
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Delete": AclOperation.DELETE,
    "Alter": AclOperation.ALTER,
    "Describe": AclOperation.DESCRIBE,
    "ClusterAction": AclOperation.CLUSTER_ACTION,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
    "IdempotentWrite": AclOperation.IDEMPOTENT_WRITE,
}

_KIND_WORDS = {kind: word for word, kind in _KINDS.items()}
_OPERATION_WORDS = {operation: word for word, operation in _OPERATIONS.items()}

_CLUSTER = "kafka-cluster"
"""What Kafka calls the cluster in rules about it."""

AT_ONCE = 500
"""Rules that one request makes or deletes: Kafka's controller takes no more than 10,000 changes at
a time, and looks at all rules there are for each that is to be deleted."""

_PARTS = [
    (kind, operation)
    for operation in _OPERATIONS.values()
    for kind in (_KINDS.values() if operation is AclOperation.READ else [ResourceType.ANY])
]
"""All rules, a part at a time: librdkafka (2.16) puts the texts of an answer on a stack of 8 MB,
and ends the process where they are more, which some 100,000 rules are."""

LISTING = 60.0
"""Seconds that a list of rules may take, of those about one operation."""

_ALTER, _DESCRIBE = "Alter on the cluster", "Describe on the cluster"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Rule:
    """What one user may do, or may not.

    Args:
        user: its name, without ``User:``.
        kind: what the rule is on.
        name: its name; ``*`` for all of the kind.
        prefixed: the name is the beginning of names.
        operation: Kafka's word, such as ``Read``.
        allow: False denies, whatever else allows.
        host: an address that it is limited to; ``*`` for all.
    """

    user: str
    kind: str
    name: str
    operation: str
    prefixed: bool = False
    allow: bool = True
    host: str = "*"

    def __str__(self) -> str:
        """Return it in words."""
        may = "may" if self.allow else "may not"
        name = f"{self.name}*" if self.prefixed else self.name
        where = "" if self.host == "*" else f" from {self.host}"
        return f"{self.user} {may} {self.operation} on the {self.kind} {name}{where}"

    def __post_init__(self) -> None:
        """Take Kafka's words in any case.

        Raises:
            InvalidSettings: the kind or the operation is none that Kafka knows.
        """
        object.__setattr__(self, "kind", _word(self.kind, _KINDS, "kind"))
        object.__setattr__(self, "operation", _word(self.operation, _OPERATIONS, "operation"))
        if self.kind == "cluster":
            object.__setattr__(self, "name", _CLUSTER)


_IN_ORDER = attrgetter(*(field.name for field in fields(Rule)))
"""Rules' own order, without a call of Python's for each two that are compared."""


class Access(Admin):
    """Administers users and rules.

    Who may not see them has to be stopped before (`bus.kafka.require_rules`): librdkafka 2.16 shows
    an empty list of rules then, and asked for users it ends the process.
    """

    async def users(self) -> list[str]:
        """Return the names of all users who log in by SCRAM, in order.

        Raises:
            NotAuthorised: this needs Describe on the cluster.
        """
        found = await self._call(
            lambda c: c.describe_user_scram_credentials(request_timeout=TIMEOUT).result(
                TIMEOUT + 5
            ),
            "users",
            _DESCRIBE,
        )
        return sorted(found)

    async def remove_user(self, user: str) -> int:
        """Take a user's rules, then its passwords; return how many rules there were.

        Connections that it has open may do nothing from then on.

        Raises:
            NotFound: there is no such user.
            NotAuthorised: this needs Alter on the cluster.
        """
        theirs = [rule for rule in await self.rules() if rule.user == user]
        removed = await self.remove_rules(theirs)
        await self.remove_passwords(user)
        return removed

    async def remove_passwords(self, user: str) -> None:
        """Take a user's passwords, so that it logs in no more; its rules stay.

        Raises:
            NotFound: there is no such user.
            NotAuthorised: this needs Alter on the cluster.
        """
        for mechanism in await self._mechanisms(user):
            await self._forget(UserScramCredentialDeletion(user, mechanism))

    async def _forget(self, credential: UserScramCredentialDeletion) -> None:
        await self._each(
            credential.user,
            lambda c: c.alter_user_scram_credentials([credential], request_timeout=TIMEOUT),
            _ALTER,
        )

    async def _mechanisms(self, user: str) -> list[Any]:
        def asked(client: Any) -> Any:
            described = client.describe_user_scram_credentials([user], request_timeout=TIMEOUT)
            return described[user].result(TIMEOUT + 5)

        def found(client: Any) -> Any:
            try:
                return asked(client)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.RESOURCE_NOT_FOUND:
                    return None
                raise

        description = await self._call(found, user, _DESCRIBE)
        if description is None:
            raise NotFound("there is no such user", where=user, remedy="see `stadtbus user ls`")
        return [info.mechanism for info in description.scram_credential_infos]

    async def rules(self) -> list[Rule]:
        """Return all rules, in order.

        Raises:
            NotAuthorised: this needs Describe on the cluster.
        """
        found = [await self._rules_of(kind, operation) for kind, operation in _PARTS]
        # Aside, as hundreds of thousands take a second.
        return await asyncio.to_thread(sorted, chain.from_iterable(found), key=_IN_ORDER)

    async def _rules_of(self, kind: ResourceType, operation: AclOperation) -> list[Rule]:
        wanted = AclBindingFilter(
            kind,
            None,
            ResourcePatternType.ANY,
            None,
            None,
            operation,
            AclPermissionType.ANY,
        )

        def asked(client: Any) -> list[Rule]:
            found = client.describe_acls(wanted, request_timeout=LISTING).result(LISTING + 5)
            return [rule for one in found if (rule := _ours(one)) is not None]

        return list(await self._call(asked, "rules", _DESCRIBE))

    async def add_rules(self, rules: Iterable[Rule]) -> None:
        """Put rules in force, in their order; those that are there stay.

        Raises:
            NotAuthorised: this needs Alter on the cluster.
        """
        for some in _batches(rules):
            await self._add([AclBinding(*_theirs(rule)) for rule in some])

    async def _add(self, bound: list[AclBinding]) -> None:
        await self._all(lambda c: c.create_acls(bound, request_timeout=TIMEOUT))

    async def remove_rules(self, rules: Iterable[Rule]) -> int:
        """Take rules out of force; return how many there were.

        Raises:
            NotAuthorised: this needs Alter on the cluster.
        """
        count = 0
        for some in _batches(rules):
            count += await self._take([AclBindingFilter(*_theirs(rule)) for rule in some])
        return count

    async def _take(self, exactly: list[AclBindingFilter]) -> int:
        gone = await self._all(lambda c: c.delete_acls(exactly, request_timeout=TIMEOUT))
        return sum(len(one) for one in gone)

    async def _all(self, call: Callable[[Any], Mapping[Any, "Future[Any]"]]) -> list[Any]:
        """Await all futures of a call that changes rules."""

        def answers(client: Any) -> list[Any]:
            return [answer.result(TIMEOUT + 5) for answer in call(client).values()]

        return list(await self._call(answers, "rules", _ALTER))


def _word(given: str, known: dict[str, Any], what: str) -> str:
    if given in known:
        return given
    plain = re.sub(r"[-_ ]", "", given).lower()
    for word in known:
        if word.replace("-", "").lower() == plain:
            return word
    raise InvalidSettings(
        f'there is no {what} "{given}" in rules', remedy=nearest(given, list(known))
    )


def _batches(rules: Iterable[Rule]) -> Iterator[list[Rule]]:
    left = iter(dict.fromkeys(rules))  # librdkafka refuses one that is named twice
    while some := list(islice(left, AT_ONCE)):
        yield some


def _theirs(rule: Rule) -> tuple[Any, ...]:
    return (
        _KINDS[rule.kind],
        rule.name,
        ResourcePatternType.PREFIXED if rule.prefixed else ResourcePatternType.LITERAL,
        f"User:{rule.user}",
        rule.host,
        _OPERATIONS[rule.operation],
        AclPermissionType.ALLOW if rule.allow else AclPermissionType.DENY,
    )


def _ours(bound: Any) -> Rule | None:
    """Return a rule of the engine as ours; None if it is on what this client does not know."""
    if bound.restype not in _KIND_WORDS or bound.operation not in _OPERATION_WORDS:
        return None
    return Rule(
        user=bound.principal.removeprefix("User:"),
        kind=_KIND_WORDS[bound.restype],
        name=bound.name,
        operation=_OPERATION_WORDS[bound.operation],
        prefixed=bound.resource_pattern_type == ResourcePatternType.PREFIXED,
        allow=bound.permission_type == AclPermissionType.ALLOW,
        host=bound.host,
    )
