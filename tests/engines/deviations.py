"""How the embedded broker differs from Apache Kafka: not yet, or for good.

The suite is written for Apache Kafka's answers. Its fixture ``engine`` is parametrised by the
engine's name; what is marked here concerns the parameter ``embedded`` alone. A module that needs
an engine of another kind, secured for example, overrides the fixture by one of the same name and
the same parameters. ``docs/engines.md`` lists every mark with its reason.
"""

import pytest

EMBEDDED = "embedded"


def lacking(reason: str) -> pytest.MarkDecorator:
    """Mark what the embedded broker does not do yet: it must fail there, and will do so quickly.

    Works on a test function and, as ``marks=lacking("…")``, on one of its parameters. The day it
    works the test turns red, and the mark goes.

    Args:
        reason: what is missing, in words that can stand after "not yet:".
    """
    return pytest.mark.lacking(reason)


def differs(reason: str) -> pytest.MarkDecorator:
    """Mark what the embedded broker answers differently for good; the test asserts both answers.

    Works on a test function and on one of its parameters, like `lacking`.

    Args:
        reason: what it does instead and why, in words that can stand after "differs:".
    """
    return pytest.mark.differs(reason)


def engine_of(item: pytest.Item) -> str | None:
    """Return the name of the engine that a test runs on; None if it does not say."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return None
    name = item.callspec.params.get("engine")
    return name if isinstance(name, str) else None


def expected_to_fail(item: pytest.Item) -> str:
    """Return what the embedded broker is said to lack if a test tries it there, or nothing."""
    mark = item.get_closest_marker("lacking")
    return str(mark.args[0]) if mark is not None and engine_of(item) == EMBEDDED else ""


def expect(item: pytest.Item) -> None:
    """Expect a test to fail if the embedded broker is said to lack what it tries."""
    if reason := expected_to_fail(item):
        item.add_marker(pytest.mark.xfail(reason=f"not yet: {reason}", strict=True))
