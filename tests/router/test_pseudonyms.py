"""What stands on a feed for a person or a key."""

import re
from itertools import combinations

import pytest

from bus.errors import InvalidSettings
from bus.event import read_key
from bus.router.pseudonyms import Pseudonyms

MADE = Pseudonyms(bytes(range(32)))


def test_it_is_the_same_for_the_same_and_another_for_each_other() -> None:
    made = {
        "subject": MADE.subject("o", "r", "s"),
        "another owner": MADE.subject("p", "r", "s"),
        "another recipient": MADE.subject("o", "q", "s"),
        "another subject": MADE.subject("o", "r", "t"),
        "shifted": MADE.subject("or", "", "s"),
        "key": MADE.key("o", "r", "t", "s"),
        "another contract": MADE.key("o", "r", "u", "s"),
        "another secret": Pseudonyms(bytes(32)).subject("o", "r", "s"),
    }
    assert made["subject"] == MADE.subject("o", "r", "s")
    for (one, first), (other, second) in combinations(made.items(), 2):
        assert first != second, (one, other)
    for name in made.values():
        assert re.fullmatch("[0-9a-f]{32}", name)
        assert read_key(name.encode()) == name


def test_an_event_of_the_routers_has_a_uuid_of_version_8() -> None:
    made = MADE.event("feed", b"\xff", "cause")
    assert made == MADE.event("feed", b"\xff", "cause")
    assert made != MADE.event("feed", b"\xff", "other")
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="31 bytes"):
        Pseudonyms(bytes(31))
