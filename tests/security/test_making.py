"""What `--init-security` makes, renews, leaves alone and refuses."""

import os
import shutil
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.errors import Conflict, InvalidSettings
from bus.security import Folder, in_force, own_login
from bus.security.certificates import Pair, expiry, issue, names
from bus.security.making import _alone, initialise
from bus.settings import Settings, load
from bus.tls import Certificate

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOWN = {"broker.advertise": "bus.town.example:9092", "registry.listen": "0.0.0.0:8081"}


def town(data: Path, **flags: str) -> Settings:
    """Return the settings of a town's node."""
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return load({"data": data, **TOWN, **given}, environ={}, directory=data.parent)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def folder(data: Path) -> Folder:
    """The folder of a town that has just been secured."""
    initialise(town(data), now=NOW)
    return Folder(data)


def contents(root: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


def test_nobody_else_can_read_what_it_makes(folder: Folder) -> None:
    for path in (folder.root, *folder.root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_certificate_bears_every_name_that_clients_use(data: Path) -> None:
    settings = town(data, broker__listen="10.1.2.3:9092")
    initialise(settings, ["Other.Town.example", "2001:db8:0::1"], now=NOW)
    borne = names(Folder(data).certificate.read_bytes())
    wanted = {"localhost", "127.0.0.1", "::1", "bus.town.example", "10.1.2.3"}
    assert wanted | {"other.town.example", "2001:db8::1"} <= borne
    assert "0.0.0.0" not in borne  # noqa: S104  # it is no name


def test_the_certificates_last_as_long_as_is_said(folder: Folder) -> None:
    assert expiry(folder.ca) == NOW + timedelta(days=3650)
    assert expiry(folder.certificate) == NOW + timedelta(days=365)


def test_a_certificate_never_outlives_its_authority(folder: Folder) -> None:
    late = NOW + timedelta(days=3600)
    signer = Pair(folder.ca.read_bytes(), folder.ca_key.read_bytes())
    folder.certificate.write_bytes(issue(signer, ["localhost"], late).certificate)
    assert expiry(folder.certificate) == expiry(folder.ca)


def test_the_settings_for_clients_lead_to_the_node(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.admin)
    settings = load(environ={})
    assert settings.kafka.bootstrap == "bus.town.example:9092"
    assert settings.registry.url == "https://bus.town.example:8081"
    assert settings.kafka.security_protocol == "SASL_SSL"
    assert settings.kafka.login() == ("admin", folder.admin_password.read_text().strip())
    assert settings.kafka.ca_file is not None
    assert settings.kafka.ca_file.read_bytes() == folder.ca.read_bytes()


def test_every_listener_uses_the_folder(folder: Folder, data: Path) -> None:
    settings = in_force(town(data))
    for section in (settings.broker, settings.registry, settings.ops):
        assert (section.certificate_file, section.key_file) == (folder.certificate, folder.key)
    assert settings.ops.token_file == folder.token
    assert settings.broker.super_users == ("User:stadtbus", "User:admin")


def test_what_settings_name_themselves_is_used_instead(folder: Folder, data: Path) -> None:
    own = {"registry__certificate_file": "own.pem", "registry__key_file": "own.key"}
    settings = in_force(town(data, ops__token_file="own.token", **own))
    assert settings.registry.certificate_file == Path("own.pem")
    assert settings.registry.key_file == Path("own.key")
    assert settings.ops.token_file == Path("own.token")
    assert settings.broker.certificate_file == folder.certificate


def test_the_administrator_is_made_at_the_first_start_only(folder: Folder, data: Path) -> None:
    assert set(own_login(in_force(town(data))).users) == {"stadtbus", "admin"}
    folder.admin_new.unlink()
    assert set(own_login(in_force(town(data))).users) == {"stadtbus"}


def test_a_node_without_the_folder_stays_as_it_is(data: Path) -> None:
    settings = town(data)
    assert in_force(settings) == settings
    assert own_login(settings).users == {}


def test_a_town_with_certificates_of_its_own_gets_a_login_for_the_node(data: Path) -> None:
    settings = in_force(town(data, broker__certificate_file="own.pem", kafka__ca_file="own-ca.pem"))
    login = own_login(settings)
    assert login.kafka.ca_file == Path("own-ca.pem")
    assert login.kafka.login() == ("stadtbus", login.users["stadtbus"])
    assert stat.S_IMODE((data / "stadtbus.password").stat().st_mode) == 0o600
    assert own_login(settings) == login
    assert settings.broker.super_users == ("User:stadtbus",)


def test_where_certificates_are_the_login_the_node_needs_one(data: Path) -> None:
    asked = {"broker__certificate_file": "own.pem", "broker__client_certificate": "required"}
    with pytest.raises(InvalidSettings, match="the node has none for its own connections"):
        own_login(town(data, **asked))
    login = own_login(town(data, **asked, kafka__certificate_file="node.pem"))
    assert (login.kafka.security_protocol, login.users) == ("SSL", {})


def test_a_second_time_changes_nothing_and_says_so(folder: Folder, data: Path) -> None:
    before = contents(folder.root)
    said = initialise(town(data), now=NOW + timedelta(days=300))
    assert contents(folder.root) == before
    assert said == [
        f"{folder.root}: is there already, and stays as it is",
        f"{folder.certificate}: counts for 65 more days",
    ]


@pytest.mark.parametrize(
    ("later", "given", "why"),
    [
        pytest.param(336, [], "had 29 days left", id="about to expire"),
        pytest.param(400, [], "had 0 days left", id="expired"),
        pytest.param(1, ["new.example"], "lacked new.example", id="a name is missing"),
    ],
)
def test_the_node_certificate_is_renewed(
    folder: Folder, data: Path, later: int, given: list[str], why: str
) -> None:
    before, key = contents(folder.root), folder.key.read_bytes()
    now = NOW + timedelta(days=later)
    assert f"{folder.certificate}: {why}, renewed" in initialise(town(data), given, now=now)
    assert expiry(folder.certificate) == now + timedelta(days=365)
    assert folder.key.read_bytes() == key
    after = contents(folder.root)
    assert {name for name in after if after[name] != before[name]} == {str(folder.certificate)}
    assert set(given) <= names(folder.certificate.read_bytes())


@pytest.mark.parametrize("name", ["certificate", "key", "password", "token"])
def test_a_missing_file_is_refused_and_made_anew(folder: Folder, data: Path, name: str) -> None:
    file: Path = getattr(folder, name)
    file.unlink()
    with pytest.raises(InvalidSettings, match="this file is missing"):
        in_force(town(data))
    initialise(town(data), now=NOW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = in_force(town(data))
    assert settings.broker.certificate_file is not None
    Certificate(settings.broker.certificate_file, settings.broker.key_file, setting="x")


def test_without_the_authoritys_key_nothing_can_be_renewed(folder: Folder, data: Path) -> None:
    kept = folder.ca_key.rename(data / "elsewhere.key")
    in_force(town(data))  # it is not needed for serving
    with pytest.raises(InvalidSettings, match="bring it back") as refused:
        initialise(town(data), now=NOW + timedelta(days=350))
    assert refused.value.where == str(folder.ca_key)
    kept.rename(folder.ca_key)
    initialise(town(data), now=NOW + timedelta(days=350))


@pytest.mark.parametrize("name", ["certificate", "key", "ca", "ca_key"])
def test_damaged_files_are_named(folder: Folder, data: Path, name: str) -> None:
    file: Path = getattr(folder, name)
    file.write_text("damaged")
    with pytest.raises(InvalidSettings, match="cannot be") as refused:
        initialise(town(data), now=NOW + timedelta(days=350))
    assert str(file) in refused.value.where


def test_a_folder_that_others_can_read_is_refused(folder: Folder, data: Path) -> None:
    folder.root.chmod(0o750)
    with pytest.raises(InvalidSettings, match="others than its owner") as refused:
        in_force(town(data))
    assert refused.value.remedy == f"chmod 700 {folder.root}"


def test_a_registry_that_clients_cannot_reach_is_said(data: Path) -> None:
    said = initialise(town(data, registry__listen="127.0.0.1:8081"), now=NOW)
    assert any(line.startswith("! registry.listen 127.0.0.1:8081: clients else") for line in said)


def test_nothing_is_said_of_one_that_they_can(data: Path) -> None:
    assert not any("!" in line for line in initialise(town(data), now=NOW))


class _Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", range(16))
def test_a_crash_leaves_all_or_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Whatever is synced last, the folder is whole, or is made anew by the next attempt."""
    steps = iter(range(at))

    def counted(descriptor: int) -> None:
        if next(steps, None) is None:
            raise _Crash

    monkeypatch.setattr(os, "fsync", counted)
    try:
        initialise(town(data), now=NOW)
    except _Crash:
        monkeypatch.undo()
        initialise(town(data), now=NOW)
    monkeypatch.undo()
    folder = Folder(data)
    folder.check()
    assert not folder.draft.exists()
    assert expiry(folder.certificate) == NOW + timedelta(days=365)


def test_what_a_crash_left_half_made_is_said(data: Path) -> None:
    draft = Folder(data).draft
    draft.mkdir(parents=True)
    (draft / "ca.key").write_text("half")
    said = initialise(town(data), now=NOW)
    assert said[0] == f"{draft}: left half-made by an earlier attempt, made anew"
    assert not draft.exists()


def test_only_one_at_a_time_makes_it(data: Path) -> None:
    data.mkdir()
    with _alone(data), pytest.raises(Conflict, match="somebody else"):
        initialise(town(data), now=NOW)
    assert not Folder(data).exists


@pytest.mark.parametrize(
    ("flags", "given", "where", "what"),
    [
        pytest.param({}, ["a:9092"], "--hostname", "no host's name", id="name with a port"),
        pytest.param({}, ["-a.example"], "--hostname", "no host's name", id="name with a dash"),
        pytest.param({}, ["ä.example"], "--hostname", "no host's name", id="name that is no ASCII"),
        pytest.param(
            {"broker__advertise": "", "broker__listen": "0.0.0.0:9092"},
            [],
            "broker.listen",
            "cannot be told",
            id="no place to go to",
        ),
        pytest.param(
            {"broker__advertise": "bus.town.example:0"},
            [],
            "broker.listen",
            "cannot be told",
            id="another port each time",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_made(
    data: Path, flags: dict[str, str], given: list[str], where: str, what: str
) -> None:
    given_flags = {name: value or None for name, value in flags.items()}
    settings = load(
        {"data": data, **TOWN, **{k.replace("__", "."): v for k, v in given_flags.items()}},
        environ={},
        directory=data.parent,
    )
    with pytest.raises(InvalidSettings, match=what) as refused:
        initialise(settings, given, now=NOW)
    assert refused.value.where == where
    assert not Folder(data).exists


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettings, match="cannot be secured") as refused:
        initialise(town(tmp_path / "file"), now=NOW)
    assert str(tmp_path / "file") in refused.value.where


def test_its_certificates_stand_a_strict_look(folder: Folder) -> None:
    """OpenSSL's own strictness (RFC 5280), which Python's default becomes with 3.13."""
    served = Certificate(folder.certificate, folder.key, setting="x").context
    trusting = ssl.create_default_context(cafile=str(folder.ca))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = served.wrap_bio(there, back, server_side=True)
    client = trusting.wrap_bio(back, there, server_hostname="bus.town.example")
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def test_an_administrator_who_lost_everything_is_let_in_again(folder: Folder, data: Path) -> None:
    """Whoever may write to the node's folder says so by admin.new; a folder that is there stays."""
    made = contents(folder.admin)
    folder.admin_new.touch()
    initialise(town(data), now=NOW)
    assert contents(folder.admin) == made
    shutil.rmtree(folder.admin)
    with pytest.raises(InvalidSettings, match="says that it is to be set"):
        own_login(in_force(town(data)))
    said = initialise(town(data), now=NOW)
    assert any(sentence.startswith(f"{folder.admin}: made anew") for sentence in said)
    anew = contents(folder.admin)
    assert anew.keys() == made.keys()
    assert anew[str(folder.admin_password)] != made[str(folder.admin_password)]
    assert anew[str(folder.admin / "stadtbus.toml")] == made[str(folder.admin / "stadtbus.toml")]
    assert own_login(in_force(town(data))).users["admin"]
    test_nobody_else_can_read_what_it_makes(folder)


def test_an_administrators_folder_that_is_kept_elsewhere_is_not_made_anew(
    folder: Folder, data: Path
) -> None:
    folder.admin_new.unlink()
    shutil.rmtree(folder.admin)
    initialise(town(data), now=NOW)
    assert not folder.admin.exists()
