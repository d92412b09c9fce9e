"""Who may do what: Kafka's rules as a table of decisions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.broker.security.rules import (
    EVERYTHING,
    Filter,
    Kind,
    Operation,
    Pattern,
    Permission,
    Rule,
    Rules,
)

HOST, ELSEWHERE = "10.0.0.1", "10.0.0.2"


def rule(
    operation: Operation,
    name: str = "topic",
    *,
    kind: Kind = Kind.TOPIC,
    prefixed: bool = False,
    who: str = "User:a",
    host: str = "*",
    deny: bool = False,
) -> Rule:
    """Return a rule."""
    pattern = Pattern.PREFIXED if prefixed else Pattern.LITERAL
    permission = Permission.DENY if deny else Permission.ALLOW
    return Rule(kind, pattern, name, who, host, operation, permission)


READ, WRITE, ALL = Operation.READ, Operation.WRITE, Operation.ALL


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        pytest.param([], False, id="without any rule"),
        pytest.param([rule(READ)], True, id="allowed by name"),
        pytest.param([rule(WRITE)], False, id="another operation"),
        pytest.param([rule(READ, "topic2")], False, id="another name"),
        pytest.param([rule(READ, "top")], False, id="a beginning that is no prefix"),
        pytest.param([rule(READ, "top", prefixed=True)], True, id="a prefix"),
        pytest.param([rule(READ, "topic", prefixed=True)], True, id="all of it as a prefix"),
        pytest.param([rule(READ, "topic.x", prefixed=True)], False, id="a longer prefix"),
        pytest.param([rule(READ, "*")], True, id="everything"),
        pytest.param([rule(READ, "*", prefixed=True)], False, id="a star is no prefix"),
        pytest.param([rule(ALL)], True, id="all operations"),
        pytest.param([rule(READ, kind=Kind.GROUP)], False, id="another kind"),
        pytest.param([rule(READ, who="User:b")], False, id="somebody else"),
        pytest.param([rule(READ, who="User:*")], True, id="everybody"),
        pytest.param([rule(READ, host=HOST)], True, id="this host"),
        pytest.param([rule(READ, host=ELSEWHERE)], False, id="another host"),
        pytest.param([rule(READ), rule(READ, deny=True)], False, id="deny goes first"),
        pytest.param([rule(READ), rule(ALL, deny=True)], False, id="deny all"),
        pytest.param([rule(READ), rule(WRITE, deny=True)], True, id="deny another operation"),
        pytest.param([rule(READ), rule(READ, "t", prefixed=True, deny=True)], False,
                     id="deny by prefix"),
        pytest.param([rule(ALL, "*"), rule(READ, deny=True, who="User:*")], False,
                     id="deny everybody"),
        pytest.param([rule(READ), rule(READ, deny=True, host=ELSEWHERE)], True,
                     id="deny on another host"),
    ],
)  # fmt: skip
def test_reading(rules: list[Rule], allowed: bool) -> None:
    """Whether somebody may read a topic."""
    decided = Rules(rules, ()).allows("User:a", HOST, READ, Kind.TOPIC, "topic")
    assert decided is allowed


@pytest.mark.parametrize(
    ("has", "wants", "allowed"),
    [
        *(
            pytest.param(one, Operation.DESCRIBE, True, id=f"{one.name} implies DESCRIBE")
            for one in (READ, WRITE, Operation.DELETE, Operation.ALTER)
        ),
        pytest.param(
            Operation.ALTER_CONFIGS, Operation.DESCRIBE_CONFIGS, True, id="configs likewise"
        ),
        pytest.param(Operation.CREATE, Operation.DESCRIBE, False, id="CREATE implies nothing"),
        pytest.param(Operation.ALTER_CONFIGS, Operation.DESCRIBE, False, id="nor ALTER_CONFIGS"),
        pytest.param(Operation.DESCRIBE, READ, False, id="DESCRIBE does not imply READ"),
        pytest.param(WRITE, READ, False, id="WRITE does not imply READ"),
    ],
)
def test_implied(has: Operation, wants: Operation, allowed: bool) -> None:
    """Some rights go with others; denying one does not deny what goes with it."""
    assert Rules([rule(has)], ()).allows("User:a", HOST, wants, Kind.TOPIC, "topic") is allowed
    denying = Rules([rule(wants), rule(has, deny=True)], ())
    assert denying.allows("User:a", HOST, wants, Kind.TOPIC, "topic") is True


@pytest.mark.parametrize(
    ("host", "called", "meant"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.10", False),
        ("::1", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("2001:db8::1", "2001:db8:0:0:0:0:0:1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "*", True),
        ("fe80::1%eth0", "fe80::1%eth0", True),
        ("fe80::1%eth0", "fe80:0:0:0:0:0:0:1%eth0", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("fe80::1%eth0", "fe80::1%eth1", False),
        ("::1", "127.0.0.1", False),
        ("", "", True),
    ],
)
def test_hosts(host: str, called: str, meant: bool) -> None:
    """A rule names a host by its address, in IPv6 as one writes it or as Java does."""
    rules = Rules([rule(READ, host=called)], ())
    assert rules.allows("User:a", host, READ, Kind.TOPIC, "topic") is meant


def test_super_users() -> None:
    """Who is a super user may do everything, whatever is denied."""
    rules = Rules([rule(ALL, deny=True)], ["User:a"])
    assert rules.allows("User:a", HOST, WRITE, Kind.TOPIC, "topic")
    assert rules.allows_any("User:a", HOST, WRITE, Kind.TOPIC)
    assert not rules.allows("User:b", HOST, WRITE, Kind.TOPIC, "topic")


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([rule(WRITE)], True, id="one topic"),
        pytest.param([rule(READ)], False, id="another operation"),
        pytest.param([rule(WRITE), rule(WRITE, "*", deny=True)], False, id="all denied"),
        pytest.param([rule(WRITE), rule(WRITE, deny=True)], False, id="the same denied"),
        pytest.param([rule(WRITE), rule(WRITE, "other", deny=True)], True, id="another denied"),
        pytest.param([rule(WRITE), rule(WRITE, "t", prefixed=True, deny=True)], False,
                     id="its prefix denied"),
        pytest.param([rule(WRITE, "t", prefixed=True), rule(WRITE, deny=True)], True,
                     id="one of a prefix denied"),
        pytest.param([rule(WRITE, "*"), rule(WRITE, "t", prefixed=True, deny=True)], True,
                     id="a prefix of everything denied"),
    ],
)  # fmt: skip
def test_anything_of_a_kind(rules: list[Rule], allowed: bool) -> None:
    """Whether there could be any topic that somebody may write."""
    assert Rules(rules, ()).allows_any("User:a", HOST, WRITE, Kind.TOPIC) is allowed


def test_changes() -> None:
    """Rules are in force as soon as they are made, and no longer than they are there."""
    rules = Rules([], ())
    before = rules.version
    rules.change([rule(READ)], ())
    assert rules.allows("User:a", HOST, READ, Kind.TOPIC, "topic")
    rules.change((), [rule(READ)])
    assert not rules.allows("User:a", HOST, READ, Kind.TOPIC, "topic")
    assert rules.version == before + 2


STORED = [
    rule(READ, "topic"),
    rule(READ, "topic.x"),
    rule(READ, "top", prefixed=True),
    rule(WRITE, EVERYTHING, deny=True),
    rule(READ, "group", kind=Kind.GROUP, host=HOST),
]


def everything(
    *,
    kind: Kind = Kind.ANY,
    pattern: Pattern = Pattern.ANY,
    name: str | None = None,
    principal: str | None = None,
    host: str | None = None,
    operation: Operation = Operation.ANY,
    permission: Permission = Permission.ANY,
) -> Filter:
    """Return a filter that finds everything, but for what is given."""
    return Filter(kind, pattern, name, principal, host, operation, permission)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param(everything(), [0, 1, 2, 3, 4], id="everything"),
        pytest.param(everything(kind=Kind.GROUP), [4], id="a kind"),
        pytest.param(everything(pattern=Pattern.PREFIXED), [2], id="prefixes"),
        pytest.param(everything(name="topic"), [0], id="a name"),
        pytest.param(everything(name="topic", pattern=Pattern.MATCH), [0, 2, 3], id="what covers"),
        pytest.param(everything(name="top", pattern=Pattern.LITERAL), [], id="a name literally"),
        pytest.param(everything(principal="User:b"), [], id="somebody"),
        pytest.param(everything(host="*"), [0, 1, 2, 3], id="every host, by its star"),
        pytest.param(everything(operation=WRITE), [3], id="an operation"),
        pytest.param(everything(permission=Permission.DENY), [3], id="what denies"),
    ],
)
def test_filters(wanted: Filter, found: list[int]) -> None:
    """Which rules a filter finds."""
    assert [index for index, one in enumerate(STORED) if wanted.finds(one)] == found


NAMES = st.sampled_from(["a", "ab", "abc", "b", "*", ""])
ANY_RULE = st.builds(
    Rule,
    st.sampled_from([Kind.TOPIC, Kind.GROUP]),
    st.sampled_from([Pattern.LITERAL, Pattern.PREFIXED]),
    NAMES,
    st.sampled_from(["User:a", "User:b", "User:*"]),
    st.sampled_from(["*", HOST, ELSEWHERE]),
    st.sampled_from([READ, WRITE, ALL, Operation.DESCRIBE, Operation.DELETE]),
    st.sampled_from([Permission.ALLOW, Permission.DENY]),
)


@given(st.lists(ANY_RULE), st.lists(ANY_RULE), NAMES, st.sampled_from([READ, Operation.DESCRIBE]))
def test_the_index(
    before: list[Rule], changed: list[Rule], name: str, operation: Operation
) -> None:
    """What is decided by the index is what a look at every rule decides."""
    rules = Rules(before, ())
    rules.change(changed, before[:2])
    there = (set(before) - set(before[:2])) | set(changed)
    assert set(rules) == there
    about = [
        one
        for one in there
        if one.kind is Kind.TOPIC
        and one.principal in {"User:a", "User:*"}
        and one.host in {"*", HOST}
        and one.covers(name)
    ]
    expected = any(one.allows(operation) for one in about) and not any(
        one.denies(operation) for one in about
    )
    assert rules.allows("User:a", HOST, operation, Kind.TOPIC, name) is expected
