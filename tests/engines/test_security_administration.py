"""Security: users and rules made, described and deleted, and what is refused of them."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.settings import Address
from tests.broker.raw import Raw
from tests.engine import Engine
from tests.engines.login import encrypted, log_in
from tests.engines.rights import whole
from tests.waiting import until

DESCRIBE_ACLS, CREATE_ACLS, DELETE_ACLS = 29, 30, 31  # API keys
DESCRIBE_USERS, ALTER_USERS = 50, 51

SHA_256, SHA_512 = 1, 2
TOPIC, GROUP, CLUSTER = 2, 3, 4
ANY, MATCH, LITERAL, PREFIXED = 1, 2, 3, 4
READ, WRITE = 3, 4
DENY, ALLOW = 2, 3


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other; each secured."""
    secured = {"embedded": "embedded_secure", "kafka": "kafka_secure"}
    chosen: Engine = request.getfixturevalue(secured[request.param])
    return chosen


@pytest.fixture
async def raw(engine: Engine) -> AsyncIterator[Raw]:
    """A connection of the administrator."""
    secure = engine.secure
    assert secure.ca_file is not None
    async with await encrypted(Address.parse(secure.bootstrap), secure.ca_file) as connection:
        assert (await log_in(connection, *secure.settings.login())).error_code == 0
        yield connection


@pytest.fixture
def name() -> str:
    """A name of this test's own."""
    return f"n{secrets.token_hex(8)}"


def upsertion(
    name: str, mechanism: int = SHA_512, iterations: int = 4096, salt: bytes = bytes(16)
) -> dict[str, Any]:
    """Return a new credential of a user whose password is its name."""
    kind = "sha256" if mechanism == SHA_256 else "sha512"
    salted = hashlib.pbkdf2_hmac(kind, name.encode(), salt, max(iterations, 1))
    return {
        "name": name,
        "mechanism": mechanism,
        "iterations": iterations,
        "salt": salt,
        "salted_password": salted,
    }


async def alter(raw: Raw, *upserted: dict[str, Any], deleted: Any = ()) -> list[Any]:
    """Alter users; return each one's name, error and message."""
    deletions = [{"name": name, "mechanism": mechanism} for name, mechanism in deleted]
    answer = await raw.ask(ALTER_USERS, 0, deletions=deletions, upsertions=upserted)
    return [(one.user, one.error_code, one.error_message) for one in answer.results]


async def describe(raw: Raw, *names: str) -> list[Any]:
    """Describe users; return each one's name, error, message and mechanisms."""
    answer = await raw.ask(DESCRIBE_USERS, 0, users=[{"name": name} for name in names])
    assert (answer.error_code, answer.error_message) == (0, "")
    return [
        (
            one.user,
            one.error_code,
            one.error_message,
            sorted((info.mechanism, info.iterations) for info in one.credential_infos),
        )
        for one in answer.results
    ]


class TestUsers:
    """Users' credentials."""

    async def test_made_described_deleted(self, raw: Raw, name: str) -> None:
        """A user has a credential for each mechanism until it is deleted."""
        first, second = upsertion(name, SHA_256), upsertion(name, SHA_512, 8192)
        assert await alter(raw, first) == [(name, 0, None)]
        assert await alter(raw, second) == [(name, 0, None)]
        known = [(SHA_256, 4096), (SHA_512, 8192)]
        await until(lambda: told(raw, (name, 0, "", known)))
        assert await alter(raw, deleted=[(name, SHA_256)]) == [(name, 0, None)]
        await until(lambda: told(raw, (name, 0, "", known[1:])))
        assert await alter(raw, deleted=[(name, SHA_512)]) == [(name, 0, None)]
        missing = f"Attempt to describe a user credential that does not exist: {name}"
        await until(lambda: told(raw, (name, ErrorCode.resource_not_found, missing, [])))

    async def test_described_twice(self, raw: Raw, name: str) -> None:
        """A user is described once in a request."""
        assert await describe(raw, name, name) == [
            (
                name,
                ErrorCode.duplicate_resource,
                "Cannot describe SCRAM credentials for the same user twice in a single request: "
                + name,
                [],
            )
        ]

    async def test_all(self, raw: Raw, name: str, engine: Engine) -> None:
        """Who names nobody is told of everybody."""
        await alter(raw, upsertion(name))
        await until(lambda: told(raw, (name, 0, "", [(SHA_512, 4096)])))
        administrator = engine.secure.settings.username
        assert {name, administrator} <= {one[0] for one in await describe(raw)}
        await alter(raw, deleted=[(name, SHA_512)])

    async def test_a_new_password(self, raw: Raw, engine: Engine, name: str) -> None:
        """A user's newest password counts; once it is deleted, none does."""
        secure = engine.secure
        assert secure.ca_file is not None
        address, ca = Address.parse(secure.bootstrap), secure.ca_file

        async def lets_in(password: str) -> bool:
            async with await encrypted(address, ca) as other:
                return bool((await log_in(other, name, password)).error_code == 0)

        await alter(raw, upsertion(name))
        await until(lambda: lets_in(name))
        other = upsertion(f"{name}2") | {"name": name}
        await alter(raw, other)
        await until(lambda: lets_in(f"{name}2"))
        assert not await lets_in(name)
        await alter(raw, deleted=[(name, SHA_512)])

        async def keeps_out() -> bool:
            return not await lets_in(f"{name}2")

        await until(keeps_out)

    async def test_who_is_in_stays_in(self, raw: Raw, engine: Engine, name: str) -> None:
        """Another password, and even none, ends no connection: what it may do are the rules."""
        secure = engine.secure
        assert secure.ca_file is not None
        address, ca = Address.parse(secure.bootstrap), secure.ca_file

        async def logged_in(other: Raw) -> bool:
            return bool((await log_in(other, name, name)).error_code == 0)

        await alter(raw, upsertion(name))

        async def lets_in() -> bool:
            async with await encrypted(address, ca) as other:
                return await logged_in(other)

        await until(lets_in)
        async with await encrypted(address, ca) as inside:
            assert await logged_in(inside)
            await alter(raw, upsertion(f"{name}2") | {"name": name})
            await alter(raw, deleted=[(name, SHA_512)])

            async def keeps_out() -> bool:
                return not await lets_in()

            await until(keeps_out)
            assert (await inside.ask(3, 9, **whole(3, 9, {}))).brokers

    @pytest.mark.parametrize(
        ("asked", "error", "message"),
        [
            pytest.param({"iterations": 4095}, ErrorCode.unacceptable_credential,
                         "Too few iterations", id="too few iterations"),
            pytest.param({"iterations": 16385}, ErrorCode.unacceptable_credential,
                         "Too many iterations", id="too many iterations"),
            pytest.param({"mechanism": 3}, ErrorCode.unsupported_sasl_mechanism,
                         "Unknown SCRAM mechanism", id="no such mechanism"),
            pytest.param({"mechanism": 0}, ErrorCode.unsupported_sasl_mechanism,
                         "Unknown SCRAM mechanism", id="unknown mechanism"),
            pytest.param({"name": ""}, ErrorCode.unacceptable_credential,
                         "Username must not be empty", id="no name"),
        ],
    )  # fmt: skip
    async def test_refused(
        self, raw: Raw, name: str, asked: Any, error: ErrorCode, message: str
    ) -> None:
        """What cannot be a credential is refused."""
        wanted = upsertion(name) | asked
        assert await alter(raw, wanted) == [(wanted["name"], error, message)]

    async def test_deletions_refused(self, raw: Raw, name: str) -> None:
        """What is not there cannot be deleted."""
        missing = "Attempt to delete a user credential that does not exist"
        assert await alter(raw, deleted=[(name, SHA_512)]) == [
            (name, ErrorCode.resource_not_found, missing)
        ]
        assert await alter(raw, deleted=[(name, 9)]) == [
            (name, ErrorCode.unsupported_sasl_mechanism, "Unknown SCRAM mechanism")
        ]

    async def test_twice(self, raw: Raw, name: str) -> None:
        """A user is altered once in a request; others of it are altered all the same."""
        other = f"{name}2"
        one, two = upsertion(name), upsertion(name, SHA_256)
        twice = "A user credential cannot be altered twice in the same request"
        told = await alter(raw, one, two, upsertion(other))
        assert sorted(told) == [(name, ErrorCode.duplicate_resource, twice), (other, 0, None)]
        told = await alter(raw, upsertion(other), deleted=[(other, SHA_512)])
        assert told == [(other, ErrorCode.duplicate_resource, twice)]
        assert await alter(raw, deleted=[(other, SHA_512)]) == [(other, 0, None)]


async def told(raw: Raw, expected: Any) -> bool:
    """Say whether a user is described so."""
    return await describe(raw, expected[0]) == [expected]


def rule(name: str, **instead: Any) -> dict[str, Any]:
    """Return a rule that lets somebody read a topic."""
    return {
        "resource_type": TOPIC,
        "resource_name": name,
        "resource_pattern_type": LITERAL,
        "principal": "User:x",
        "host": "*",
        "operation": READ,
        "permission_type": ALLOW,
    } | instead


def finding(name: str | None, **instead: Any) -> dict[str, Any]:
    """Return a filter that finds all rules about a name."""
    return {
        "resource_type_filter": ANY,
        "resource_name_filter": name,
        "pattern_type_filter": ANY,
        "principal_filter": None,
        "host_filter": None,
        "operation": ANY,
        "permission_type": ANY,
    } | instead


async def made(raw: Raw, *rules: dict[str, Any]) -> list[Any]:
    """Make rules; return the errors."""
    answer = await raw.ask(CREATE_ACLS, 3, creations=rules)
    return [one.error_code for one in answer.results]


async def found(raw: Raw, wanted: dict[str, Any]) -> list[Any]:
    """Return what a filter finds, in order."""
    answer = await raw.ask(DESCRIBE_ACLS, 3, **wanted)
    assert answer.error_code == 0
    return sorted(
        (
            one.resource_type,
            one.resource_name,
            one.pattern_type,
            acl.principal,
            acl.host,
            acl.operation,
            acl.permission_type,
        )
        for one in answer.resources
        for acl in one.acls
    )


async def deleted(raw: Raw, *wanted: dict[str, Any]) -> list[Any]:
    """Delete what filters find; return each one's error and how many it found."""
    answer = await raw.ask(DELETE_ACLS, 3, filters=wanted)
    return [(one.error_code, len(one.matching_acls)) for one in answer.filter_results]


class TestRules:
    """Rules who may do what."""

    async def test_made_found_deleted(self, raw: Raw, name: str) -> None:
        """A rule is found until it is deleted; making it again changes nothing."""
        one = (TOPIC, name, LITERAL, "User:x", "*", READ, ALLOW)
        assert await made(raw, rule(name), rule(name)) == [0, 0]
        await until(lambda: finds(raw, finding(name), [one]))
        assert await made(raw, rule(name)) == [0]
        assert await deleted(raw, finding(name), finding(name)) == [(0, 1), (0, 1)]
        await until(lambda: finds(raw, finding(name), []))
        assert await deleted(raw, finding(name)) == [(0, 0)]

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            pytest.param({}, [0], id="by name"),
            pytest.param({"pattern_type_filter": MATCH}, [0, 1, 2], id="what covers it"),
            pytest.param({"pattern_type_filter": PREFIXED}, [], id="prefixes of this name"),
            pytest.param({"resource_name_filter": None, "principal_filter": "User:y"}, [2],
                         id="somebody's"),
            pytest.param({"host_filter": "*"}, [0], id="of every host"),
            pytest.param({"host_filter": "10.0.0.1"}, [], id="of a host"),
            pytest.param({"operation": WRITE}, [], id="another operation"),
            pytest.param({"permission_type": DENY, "pattern_type_filter": MATCH}, [2],
                         id="what denies"),
            pytest.param({"resource_type_filter": GROUP}, [], id="another kind"),
        ],
    )  # fmt: skip
    async def test_filters(self, raw: Raw, name: str, wanted: Any, expected: list[int]) -> None:
        """A filter finds what it says."""
        rules = [
            rule(name),
            rule(name[:8], resource_pattern_type=PREFIXED, operation=WRITE),
            rule("*", principal="User:y", permission_type=DENY),
        ]
        stored = [
            (TOPIC, name, LITERAL, "User:x", "*", READ, ALLOW),
            (TOPIC, name[:8], PREFIXED, "User:x", "*", WRITE, ALLOW),
            (TOPIC, "*", LITERAL, "User:y", "*", READ, DENY),
        ]
        assert await made(raw, *rules) == [0, 0, 0]
        await until(lambda: finds(raw, finding("*"), stored[2:]))
        expect = sorted(stored[index] for index in expected)
        try:
            assert await found(raw, finding(name) | wanted) == expect
        finally:
            assert await deleted(raw, finding(name), finding(name[:8]), finding("*")) == [
                (0, 1), (0, 1), (0, 1),
            ]  # fmt: skip
        await until(lambda: finds(raw, finding("*"), []))

    @pytest.mark.parametrize(
        "instead",
        [
            pytest.param({"resource_name": ""}, id="no name"),
            pytest.param({"resource_type": CLUSTER}, id="another cluster"),
            pytest.param({"principal": "x"}, id="no principal"),
        ],
    )
    async def test_refused(self, raw: Raw, name: str, instead: Any) -> None:
        """What cannot be a rule is refused, and others of the request are made."""
        told = await made(raw, rule(name) | instead, rule(name))
        assert told == [ErrorCode.invalid_request, 0]
        await until(lambda: finds(raw, finding(name, resource_type_filter=TOPIC), [
            (TOPIC, name, LITERAL, "User:x", "*", READ, ALLOW)
        ]))  # fmt: skip
        assert await deleted(raw, finding(name)) == [(0, 1)]

    @pytest.mark.parametrize(
        "instead",
        [
            pytest.param({"resource_type": ANY}, id="any kind"),
            pytest.param({"resource_pattern_type": ANY}, id="any pattern"),
            pytest.param({"resource_pattern_type": MATCH}, id="what matches"),
            pytest.param({"operation": ANY}, id="any operation"),
            pytest.param({"permission_type": ANY}, id="allow or deny"),
        ],
    )
    async def test_indefinite(self, raw: Raw, name: str, instead: Any) -> None:
        """What can stand in filters alone lets the whole request fail."""
        told = await made(raw, rule(name) | instead, rule(name))
        assert told == [ErrorCode.unknown_server_error] * 2
        assert await found(raw, finding(name)) == []


async def finds(raw: Raw, wanted: dict[str, Any], expected: list[Any]) -> bool:
    """Say whether a filter finds just this."""
    return await found(raw, wanted) == expected


class TestOrder:
    """What is taken in which order before and after the login."""

    @pytest.fixture
    async def stranger(self, engine: Engine) -> AsyncIterator[Raw]:
        """A connection on which nobody has logged in."""
        secure = engine.secure
        assert secure.ca_file is not None
        async with await encrypted(Address.parse(secure.bootstrap), secure.ca_file) as connection:
            yield connection

    VERSIONS = whole(18, 3, {"client_software_name": "x", "client_software_version": "1"})

    async def test_versions_twice(self, stranger: Raw) -> None:
        """The versions are told once before the login."""
        assert (await stranger.ask(18, 3, **self.VERSIONS)).error_code == 0
        stranger.send(18, 3, **self.VERSIONS)
        assert await stranger.answer() == b""

    async def test_a_proof_without_a_mechanism(self, stranger: Raw) -> None:
        """One agrees on a mechanism first."""
        stranger.send(36, 2, auth_bytes=b"n,,n=x,r=y")
        assert await stranger.answer() == b""

    async def test_something_else_within_the_login(self, stranger: Raw) -> None:
        """A login that has begun goes on before anything else, and is over otherwise."""
        assert (await stranger.ask(17, 1, mechanism="SCRAM-SHA-512")).error_code == 0
        stranger.send(3, 9, **whole(3, 9, {"topics": ()}))
        await stranger.answer()
        stranger.send(3, 9, **whole(3, 9, {"topics": ()}))
        assert await stranger.answer() == b""

    async def test_a_proof_after_the_login(self, raw: Raw) -> None:
        """Who has logged in has nothing to prove."""
        told = await raw.ask(36, 2, auth_bytes=b"n,,n=x,r=y")
        assert told.error_code is ErrorCode.illegal_sasl_state

    async def test_for_ever(self, raw: Raw, engine: Engine) -> None:
        """Unless told otherwise, a login lasts as long as the connection."""
        secure = engine.secure
        assert secure.ca_file is not None
        async with await encrypted(Address.parse(secure.bootstrap), secure.ca_file) as other:
            told = await log_in(other, *secure.settings.login())
            assert told.session_lifetime.total_seconds() == 0
