"""Rules as they are written on the command line."""

import pytest
from typer.testing import CliRunner

from bus.cli.acl import _address, app
from bus.errors import InvalidSettings


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        pytest.param(("User:a", "topic", "t"), "without User:", id="a principal"),
        pytest.param(("a", "topic", "a.*.v1"), "beginning of names", id="a star in the middle"),
        pytest.param(("a", "topic", ""), "beginning of names", id="no name"),
        pytest.param(("a", "topic", "t", "--host", "localhost"), "no address", id="a host's name"),
        pytest.param(("a", "topic", "t", "--host", "10.0.0.0/8"), "no address", id="a network"),
        pytest.param(("a", "topic", "t", "--host", "10.0.0.*"), "no address", id="a pattern"),
        pytest.param(("a", "topic", "t", "--host", ""), "no address", id="no host"),
    ],
)
def test_a_rule_that_would_never_apply_is_refused(words: tuple[str, ...], reason: str) -> None:
    """An engine takes it without a word; who denies something would think that it is denied."""
    outcome = CliRunner().invoke(app, ["add", *words[:3], "Read", "--deny", *words[3:]])
    assert isinstance(outcome.exception, InvalidSettings)
    assert reason in str(outcome.exception)


def test_an_address_is_written_as_engines_compare_it() -> None:
    assert [_address(host) for host in ("*", "2001:DB8:0::1")] == ["*", "2001:db8::1"]
