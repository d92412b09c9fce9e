"""Users and rules, as `stadtbus user` and `stadtbus acl` see and change them, on both engines."""

import uuid
from dataclasses import replace

import pytest

from bus.admin import Access, Rule
from bus.errors import BusError, InvalidSettings, NotAuthenticated, NotAuthorised, NotFound
from bus.kafka import accepts, require_rules
from bus.settings import KafkaSettings
from tests.engine import Engine
from tests.waiting import disconnected, until

pytestmark = pytest.mark.slow


@pytest.fixture
def user() -> str:
    """The name of a user whom nobody has made yet."""
    return f"access.{uuid.uuid4().hex}"


def rules(user: str) -> list[Rule]:
    read = Rule(user=user, kind="topic", name="a.b.v1", operation="Read")
    return sorted(
        [
            read,
            replace(read, prefixed=True, name="a."),
            replace(read, allow=False, host="192.0.2.1"),
            replace(read, kind="group", operation="Describe"),
            replace(read, kind="cluster", operation="Create"),
            replace(read, kind="transactional-id", operation="Write"),
            replace(read, operation="AlterConfigs", name="*"),
        ]
    )


async def test_rules_are_listed_as_they_were_made(denying: Engine, user: str) -> None:
    async with Access(denying.settings) as access:

        async def are(wanted: list[Rule]) -> bool:
            return [rule for rule in await access.rules() if rule.user == user] == wanted

        await access.add_rules(rules(user))
        await access.add_rules(rules(user))  # a rule that is there stays
        await until(lambda: are(rules(user)))
        assert await access.remove_rules(rules(user)[:2]) == 2
        await until(lambda: are(rules(user)[2:]))
        assert await access.remove_rules(rules(user)[:2]) == 0
        assert await access.remove_rules(rules(user)) == 5


async def test_a_user_that_is_removed_can_do_nothing(denying: Engine, user: str) -> None:
    async with Access(denying.settings) as access:
        await access.set_password(user, "secret-1")
        await until(lambda: accepts(denying.settings, user, "secret-1"))
        assert not await accepts(denying.settings, user, "secret-2")
        assert user in await access.users()
        await access.add_rules(rules(user))

        async def has(count: int) -> bool:
            return sum(rule.user == user for rule in await access.rules()) == count

        async def is_out() -> bool:
            return not await accepts(denying.settings, user, "secret-1")

        await until(lambda: has(len(rules(user))))
        assert await access.remove_user(user) == len(rules(user))
        await until(is_out)
        assert user not in await access.users()
        assert await has(0)
        with pytest.raises(NotFound, match="there is no such user"):
            await access.remove_user(user)


async def test_who_may_not_see_rules_is_told_so(denying: Engine, user: str) -> None:
    await require_rules(denying.settings)
    theirs = await denying.secure.add_user(user)
    with pytest.raises(NotAuthorised, match=f"{user} lacks the right Describe on the cluster"):
        await require_rules(theirs)
    async with Access(theirs) as access:
        with pytest.raises(NotAuthorised, match="lacks the right Alter on the cluster"):
            await access.add_rules(rules(user)[:1])
        with pytest.raises(NotAuthorised, match="lacks the right Alter on the cluster"):
            await access.remove_rules(rules(user)[:1])
        with pytest.raises(NotAuthorised, match="lacks the right Alter on the cluster"):
            await access.set_password("other", "x")


async def test_who_cannot_log_in_is_told_so(denying: Engine) -> None:
    with pytest.raises(NotAuthenticated, match="the login was refused"):
        await require_rules(denying.settings.model_copy(update={"username": "nobody-knows"}))
    await disconnected()


async def test_an_engine_that_asks_nobody_has_no_rules(bare: KafkaSettings) -> None:
    with pytest.raises(InvalidSettings, match="asks nobody who they are"):
        await require_rules(bare)


async def test_where_nobody_answers_nobody_is_called_wrong() -> None:
    away = KafkaSettings(bootstrap="127.0.0.1:1", security_protocol="SASL_PLAINTEXT")
    with pytest.raises(BusError, match="no broker answers"):
        await accepts(away, "user", "password")


@pytest.mark.parametrize(
    ("kind", "operation", "what"),
    [("topc", "Read", 'no kind "topc"'), ("topic", "Reed", 'no operation "Reed"')],
)
def test_words_that_kafka_does_not_know_are_refused(kind: str, operation: str, what: str) -> None:
    with pytest.raises(InvalidSettings, match=what):
        Rule(user="x", kind=kind, name="x", operation=operation)


def test_words_are_taken_in_any_case() -> None:
    rule = Rule(user="x", kind="Transactional_Id", name="x", operation="describe_configs")
    assert (rule.kind, rule.operation) == ("transactional-id", "DescribeConfigs")
