"""Where a setting's value comes from, and what is refused."""

from pathlib import Path

import pytest

from bus.errors import InvalidSettings
from bus.settings import Address, load, names, variable

FILE = '[broker]\nlisten = "127.0.0.1:1001"\n'
VARIABLE = {"STADTBUS_BROKER__LISTEN": "127.0.0.1:1002"}
FLAG = {"broker.listen": "127.0.0.1:1003"}


@pytest.mark.parametrize(
    ("file", "environ", "flags", "port"),
    [
        pytest.param("", {}, {}, 9092, id="default"),
        pytest.param(FILE, {}, {}, 1001, id="file over default"),
        pytest.param(FILE, VARIABLE, {}, 1002, id="environment over file"),
        pytest.param(FILE, VARIABLE, FLAG, 1003, id="flag over environment"),
        pytest.param(FILE, {}, {"broker.listen": None}, 1001, id="a flag not given counts nothing"),
    ],
)
def test_precedence(
    tmp_path: Path, file: str, environ: dict[str, str], flags: dict[str, str], port: int
) -> None:
    (tmp_path / "stadtbus.toml").write_text(file)
    settings = load(flags, environ=environ, directory=tmp_path)
    assert settings.broker.listen == Address(host="127.0.0.1", port=port)


@pytest.mark.parametrize(
    ("file", "environ", "flags", "message"),
    [
        pytest.param(
            "",
            {"STADTBUS_BROKER__LISTN": "x"},
            {},
            'environment: unknown setting "STADTBUS_BROKER__LISTN"; '
            'did you mean "STADTBUS_BROKER__LISTEN"?',
            id="unknown variable",
        ),
        pytest.param(
            "[broker]\nlisten_on = 1\n",
            {},
            {},
            'stadtbus.toml: unknown setting "broker.listen_on"; did you mean "broker.listen"?',
            id="unknown name in the file",
        ),
        pytest.param(
            "[broker\n", {}, {}, "stadtbus.toml: cannot be read", id="file that is no TOML"
        ),
        pytest.param(
            "",
            {"STADTBUS_BROKER__LISTEN": "9092"},
            {},
            'STADTBUS_BROKER__LISTEN: "9092" is not host:port',
            id="address without a host",
        ),
        pytest.param(
            "",
            {},
            {"broker.listen": "127.0.0.1:70000"},
            'broker.listen (flags): "127.0.0.1:70000" is not host:port',
            id="port out of range",
        ),
        pytest.param(
            "",
            {},
            {"kafka.security_protocol": "TLS"},
            "kafka.security_protocol (flags): Input should be 'PLAINTEXT'",
            id="unknown choice",
        ),
        pytest.param(
            "",
            {},
            {"registry.url": "ftp://x"},
            'registry.url (flags): "ftp://x" is no address of HTTP',
            id="registry that is not HTTP",
        ),
        pytest.param(
            "[broker]\nmax_frame_bytes = 5\n",
            {},
            {},
            "broker.max_frame_bytes (stadtbus.toml): Input should be greater than",
            id="number out of range",
        ),
        pytest.param(
            "",
            {"STADTBUS_PORTAL__TRUSTED_PROXIES": "10.1.2.3, proxy"},
            {},
            '"proxy" is no address or network',
            id="a proxy's name",
        ),
    ],
)
def test_refused(
    tmp_path: Path, file: str, environ: dict[str, str], flags: dict[str, str], message: str
) -> None:
    (tmp_path / "stadtbus.toml").write_text(file)
    with pytest.raises(InvalidSettings) as refused:
        load(flags, environ=environ, directory=tmp_path)
    assert message in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        pytest.param("127.0.0.1:9092", True, id="IPv4 loopback"),
        pytest.param("127.8.8.8:1", True, id="all of 127/8 is loopback"),
        pytest.param("[::1]:9092", True, id="IPv6 loopback"),
        pytest.param("localhost:9092", True, id="localhost"),
        pytest.param("0.0.0.0:9092", False, id="every interface"),
        pytest.param("10.1.2.3:9092", False, id="private address"),
        pytest.param("example.test:9092", False, id="a name"),
    ],
)
def test_addresses_round_trip_and_know_who_reaches_them(text: str, loopback: bool) -> None:
    assert str(Address.parse(text)) == text
    assert Address.parse(text).is_loopback is loopback


def test_every_setting_has_its_own_variable() -> None:
    variables = [variable(name) for name in names()]
    assert len(set(variables)) == len(variables) > 20


@pytest.mark.parametrize(
    ("text", "principals"),
    [
        pytest.param("User:admin", ("User:admin",), id="one"),
        pytest.param("User:admin, User:ops", ("User:admin", "User:ops"), id="by comma"),
        pytest.param("User:admin;User:ops", ("User:admin", "User:ops"), id="by semicolon"),
        pytest.param(
            "User:CN=a,O=Amt;User:b", ("User:CN=a,O=Amt", "User:b"), id="a name with commas"
        ),
        pytest.param("", (), id="nobody"),
    ],
)
def test_super_users_are_principals(text: str, principals: tuple[str, ...]) -> None:
    settings = load({"broker.super_users": text}, environ={})
    assert settings.broker.super_users == principals


def test_a_super_user_that_is_no_principal_is_refused() -> None:
    with pytest.raises(InvalidSettings, match='"admin" is no principal, such as User:admin'):
        load({"broker.super_users": "admin"}, environ={})


def test_mechanisms_are_listed_with_commas() -> None:
    settings = load({"broker.sasl_mechanisms": "SCRAM-SHA-256, PLAIN"}, environ={})
    assert settings.broker.sasl_mechanisms == ("SCRAM-SHA-256", "PLAIN")
