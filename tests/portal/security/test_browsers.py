"""What a browser keeps of a user who has logged in there, and what is believed of it."""

import pytest

from bus.portal.security.browsers import known, mark
from bus.portal.security.users import User
from bus.portal.viewer import Role

ANNA = User("anna", Role.VIEWER, "$argon2id$one")


def test_a_browser_is_known_by_what_it_keeps() -> None:
    one, other = mark(ANNA), mark(ANNA)
    assert known(one, ANNA)
    assert known(one, ANNA) != known(other, ANNA)
    assert ANNA.hash not in one


@pytest.mark.parametrize(
    ("kept", "user"),
    [
        pytest.param(mark(ANNA), ANNA._replace(name="bert"), id="another's"),
        pytest.param(mark(ANNA), ANNA._replace(hash="$argon2id$two"), id="another password"),
        pytest.param("x" + mark(ANNA), ANNA, id="changed"),
        pytest.param(mark(ANNA).partition(".")[0], ANNA, id="unsigned"),
        pytest.param("." + mark(ANNA).partition(".")[2], ANNA, id="nobody's"),
        pytest.param("ä.ä", ANNA, id="no ASCII"),
        pytest.param("", ANNA, id="nothing"),
    ],
)
def test_nothing_else_is_believed(kept: str, user: User) -> None:
    assert known(kept, user) == ""
