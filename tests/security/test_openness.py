"""Nothing is open to other machines unless somebody said so by name."""

from pathlib import Path

import pytest

from bus.errors import InvalidSettings
from bus.security import refuse_open_listeners
from bus.settings import Settings, load

ALL = ("broker", "registry", "ops")
ANYWHERE = "192.0.2.1:1000"
TLS = {"broker.certificate_file": "node.pem"}
LOGGED_IN = {"kafka.security_protocol": "SASL_SSL"}


def settings(flags: dict[str, str]) -> Settings:
    return load(flags, environ={}, directory=Path("/nonexistent"))


@pytest.mark.parametrize(
    ("listeners", "flags", "where", "what"),
    [
        pytest.param(
            ALL, {}, "broker.listen", "has no TLS and no login", id="broker without anything"
        ),
        pytest.param(
            ALL,
            {**TLS, "broker.sasl_mechanisms": ""},
            "broker.listen",
            "has no login",
            id="broker without login",
        ),
        pytest.param(
            ALL, {**TLS}, "registry.listen", "has no TLS;", id="registry without TLS, on our broker"
        ),
        pytest.param(
            ALL,
            {
                **TLS,
                "broker.client_certificate": "required",
                "registry.certificate_file": "node.pem",
            },
            "registry.listen",
            "has no login",
            id="registry whose users have certificates alone",
        ),
        pytest.param(
            ("registry", "ops"),
            {"registry.certificate_file": "node.pem"},
            "registry.listen",
            "has no login",
            id="registry on a cluster without login",
        ),
        pytest.param(
            ("registry", "ops"),
            {**LOGGED_IN},
            "registry.listen",
            "has no TLS;",
            id="registry without TLS, on a cluster",
        ),
        pytest.param(
            ("ops",), {}, "ops.listen", "has no TLS and no token", id="ops without anything"
        ),
        pytest.param(
            ("ops",),
            {"ops.certificate_file": "node.pem"},
            "ops.listen",
            "has no token",
            id="ops without token",
        ),
        pytest.param(
            ("ops",),
            {"ops.token_file": "token", "broker.insecure": "true", "registry.insecure": "true"},
            "ops.listen",
            "has no TLS;",
            id="what is said of one listener does not count for another",
        ),
    ],
)
def test_an_open_listener_is_refused(
    listeners: tuple[str, ...], flags: dict[str, str], where: str, what: str
) -> None:
    given = {f"{name}.listen": ANYWHERE for name in ALL}
    with pytest.raises(InvalidSettings) as refused:
        refuse_open_listeners(settings({**given, **flags}), listeners)
    assert refused.value.where == where
    assert what in f"{refused.value.what};"
    assert "stadtbus serve --init-security" in refused.value.remedy
    assert "--insecure" in refused.value.remedy


@pytest.mark.parametrize(
    ("listeners", "flags"),
    [
        pytest.param(
            ALL,
            {
                **TLS,
                "registry.certificate_file": "node.pem",
                "ops.certificate_file": "node.pem",
                "ops.token_file": "token",
            },
            id="all of it secured",
        ),
        pytest.param(
            ("broker",),
            {**TLS, "broker.client_certificate": "required", "broker.sasl_mechanisms": ""},
            id="a certificate is a login",
        ),
        pytest.param(
            ("registry",),
            {"registry.certificate_file": "node.pem", **LOGGED_IN},
            id="the registry of a cluster that knows users",
        ),
        *(
            pytest.param(
                (name,),
                {f"{name}.certificate_file": "node.pem", f"{name}.client_certificate": asked},
                id=f"a certificate that is {asked} is a login at {name}",
            )
            for name in ("registry", "ops")
            for asked in ("optional", "required")
        ),
    ],
)
def test_a_secured_listener_may_be_anywhere(
    listeners: tuple[str, ...], flags: dict[str, str]
) -> None:
    given = {f"{name}.listen": ANYWHERE for name in ALL}
    assert refuse_open_listeners(settings({**given, **flags}), listeners) == []


def test_loopback_needs_nothing() -> None:
    assert refuse_open_listeners(settings({}), ALL) == []


def test_what_is_open_by_somebodys_word_is_named() -> None:
    given = {f"{name}.listen": ANYWHERE for name in ALL}
    opened = refuse_open_listeners(
        settings({**given, **{f"{name}.insecure": "true" for name in ALL}}), ALL
    )
    assert opened == [
        f"broker.listen {ANYWHERE} is open to everybody: it has no TLS and no login",
        f"registry.listen {ANYWHERE} is open to everybody: it has no TLS and no login",
        f"ops.listen {ANYWHERE} is open to everybody: it has no TLS and no token",
    ]


@pytest.mark.parametrize("everywhere", ["0.0.0.0:9092", "[::]:9092"])
def test_who_listens_everywhere_has_to_say_where_clients_go(everywhere: str) -> None:
    flags = {**TLS, "broker.listen": everywhere}
    with pytest.raises(InvalidSettings, match="which is no place") as refused:
        refuse_open_listeners(settings(flags), ("broker",))
    assert refused.value.where == "broker.advertise"
    named = settings({**flags, "broker.advertise": "bus.town.example:9092"})
    assert refuse_open_listeners(named, ("broker",)) == []
