"""Who the router is: what is named is used, what is not is made once."""

import stat
from pathlib import Path
from typing import Any

import pytest

from bus.errors import InvalidKey, InvalidSettings
from bus.router.identity import FOLDER, KEY, SECRET, Identity
from bus.settings import RouterSettings, Settings
from bus.trust.keys import make

SYSTEM = "de.util.stadtbus.router"


def settings(data: Path, **router: Any) -> Settings:
    return Settings(data=data, router=RouterSettings(**{"system": SYSTEM, **router}))


def test_a_router_without_a_name_is_nobody(tmp_path: Path) -> None:
    assert Identity.of(settings(tmp_path, system=None)) is None
    assert not (tmp_path / FOLDER).exists()


def test_key_and_secret_are_made_once_for_nobody_else_to_read(tmp_path: Path) -> None:
    first, second = Identity.of(settings(tmp_path)), Identity.of(settings(tmp_path))
    assert first is not None
    assert second is not None
    assert first.signer.key_id == second.signer.key_id
    named = [one.pseudonyms.subject("owner", "recipient", "person") for one in (first, second)]
    assert named[0] == named[1]
    for name in (KEY, SECRET):
        assert stat.S_IMODE((tmp_path / FOLDER / name).stat().st_mode) == 0o600


def test_two_buses_have_other_names_for_the_same_person(tmp_path: Path) -> None:
    found = [Identity.of(settings(tmp_path / name)) for name in "ab"]
    names = {one.pseudonyms.subject("owner", "to", "person") for one in found if one is not None}
    assert len(names) == 2


def test_what_is_named_is_used(tmp_path: Path) -> None:
    key, secret = tmp_path / "mine.key", tmp_path / "mine.secret"
    made = make(key)
    secret.write_bytes(bytes(32))
    found = Identity.of(settings(tmp_path, signing_key=key, pseudonym_secret=secret))
    assert found is not None
    assert found.signer.key_id == made.key_id
    assert not (tmp_path / FOLDER).exists()


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        Identity.of(settings(tmp_path, pseudonym_secret=tmp_path / "nowhere"))
    short = tmp_path / "short"
    short.write_bytes(b"too short")
    with pytest.raises(InvalidSettings, match="9 bytes"):
        Identity.of(settings(tmp_path, pseudonym_secret=short))
    with pytest.raises(InvalidKey):
        Identity.of(settings(tmp_path, signing_key=tmp_path / "nowhere.key"))
