"""A portal that other machines reach: only with TLS and a login, and with protected cookies."""

import ssl
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from bus.errors import InvalidSettings
from bus.portal import Portal
from bus.portal.security.database import Database
from bus.portal.security.making import first_administrator
from bus.portal.security.passwords import Passwords
from bus.portal.security.users import User, Users
from bus.portal.viewer import Role
from bus.security import Folder, asks_who, in_force, refuse_open_listeners
from bus.security.making import initialise
from bus.settings import Settings, load
from bus.telemetry import Telemetry
from tests.portal.city import town
from tests.portal.security.conftest import PASSWORD, Reader

EVERYWHERE = "0.0.0.0:0"  # what this is about
TLS = {"portal.certificate_file": "node.pem"}
OIDC = {"portal.oidc.issuer": "https://login.town.example", "portal.oidc.client_id": "bus"}


def elsewhere(data: Path, flags: Mapping[str, str]) -> Settings:
    given = {"data": data, "portal.listen": "192.0.2.1:8080", **flags}
    return load(given, environ={}, directory=data)


def add_user(data: Path, quick: Passwords) -> None:
    with closing(Database(data)) as database:
        Users(database).add(User("anna", Role.VIEWER, quick.hash(PASSWORD)))


@pytest.mark.parametrize(
    ("flags", "user", "what"),
    [
        pytest.param({}, False, "has no TLS and no login", id="nothing"),
        pytest.param(TLS, False, "has no login", id="TLS"),
        pytest.param(OIDC, False, "has no TLS;", id="a provider"),
        pytest.param({}, True, "has no TLS;", id="a user"),
    ],
)
def test_what_is_lacking_is_said(
    tmp_path: Path, quick: Passwords, flags: dict[str, str], user: bool, what: str
) -> None:
    if user:
        add_user(tmp_path, quick)
    with pytest.raises(InvalidSettings) as refused:
        refuse_open_listeners(elsewhere(tmp_path, flags), ("portal",))
    assert what in f"{refused.value.what};"


@pytest.mark.parametrize(
    ("flags", "user"),
    [pytest.param({**TLS, **OIDC}, False, id="a provider"), pytest.param(TLS, True, id="a user")],
)
def test_tls_and_a_way_to_log_in_are_enough(
    tmp_path: Path, quick: Passwords, flags: dict[str, str], user: bool
) -> None:
    if user:
        add_user(tmp_path, quick)
    settings = elsewhere(tmp_path, flags)
    assert refuse_open_listeners(settings, ("portal",)) == []
    assert asks_who(settings)


def test_who_opens_it_to_everybody_still_asks_where_somebody_could_log_in(
    tmp_path: Path, quick: Passwords
) -> None:
    settings = elsewhere(tmp_path, {"portal.insecure": "true"})
    assert not asks_who(settings)
    add_user(tmp_path, quick)
    assert asks_who(settings)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("portal.oidc.issuer", "http://login.town.example"),
        ("portal.oidc.issuer", "login.town.example"),
        ("portal.oidc.issuer", "http://localhost@evil.example"),
        ("portal.oidc.scopes", "profile"),
        ("portal.oidc.clock_skew_seconds", "86400"),
        ("portal.url", "bus.town.example"),
        ("portal.url", "https://bus.town.example/path"),
        ("portal.login", "never"),
    ],
)
def test_settings_that_would_not_protect_are_refused(
    tmp_path: Path, setting: str, value: str
) -> None:
    with pytest.raises(InvalidSettings):
        elsewhere(tmp_path, {setting: value})


def test_a_provider_has_to_know_where_to_send_browsers_back(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        Portal(elsewhere(tmp_path, {**TLS, **OIDC}), telemetry, town(), None)
    assert refused.value.where == "portal.url"


@pytest.fixture
def secured(tmp_path: Path, quick: Passwords, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A node that `--init-security` has secured."""
    monkeypatch.setattr("bus.portal.security.making.Passwords", lambda: quick)
    settings = load({"data": tmp_path, "portal.listen": EVERYWHERE}, environ={}, directory=tmp_path)
    initialise(settings)
    said = list(first_administrator(settings))
    file = Folder(tmp_path).admin / "portal.password"
    assert [sentence.partition(": ")[0] for sentence in said] == [str(file)]
    return in_force(settings)


async def test_a_secured_node_lets_its_first_administrator_in(
    secured: Settings, telemetry: Telemetry
) -> None:
    folder = Folder(secured.data)
    assert refuse_open_listeners(secured, ("portal",)) == []
    portal = Portal(secured, telemetry, town(), None)
    await portal.start()
    trust = ssl.create_default_context(cafile=str(folder.ca))
    url = f"https://localhost:{portal.address.port}"
    async with httpx.AsyncClient(base_url=url, verify=trust) as http:
        password = (folder.admin / "portal.password").read_text().strip()
        let_in = await Reader(http).log_in("admin", password)
        cookie = let_in.headers["set-cookie"]
        assert cookie.startswith("__Host-stadtbus=")
        assert all(one in cookie for one in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"))
        assert "Domain" not in cookie
        assert (await http.get("/node")).status_code == 200
        # What could come from another host of the town, or without TLS, is no session.
        value = cookie.partition("=")[2].partition(";")[0]
        http.cookies.clear()
        plain = await http.get("/node", headers={"cookie": f"stadtbus={value}"})
        assert plain.status_code == 303
    await portal.stop()


def test_securing_again_changes_nobody(secured: Settings) -> None:
    file = Folder(secured.data).admin / "portal.password"
    before = file.read_text()
    assert list(first_administrator(secured)) == []
    assert file.read_text() == before
    assert file.stat().st_mode & 0o077 == 0


def test_a_crash_in_between_leaves_the_password_that_was_written(secured: Settings) -> None:
    file = Folder(secured.data).admin / "portal.password"
    with closing(Database(secured.data)) as database:
        Users(database).remove("admin")
    before = file.read_text()
    assert len(list(first_administrator(secured))) == 1
    assert file.read_text() == before


@pytest.mark.parametrize(
    "flags", [{"portal.listen": "127.0.0.1:8080"}, OIDC], ids=["loopback", "a provider"]
)
def test_no_administrator_is_made_where_none_is_needed(
    tmp_path: Path, flags: dict[str, str]
) -> None:
    assert list(first_administrator(elsewhere(tmp_path, flags))) == []
    assert list(tmp_path.iterdir()) == []
