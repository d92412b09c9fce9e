"""`stadtbus dead` as operators use it, with letters that somebody hostile has a part in."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from bus.cli.app import app
from bus.cli.edge import explain
from bus.errors import BusError
from bus.kafka import Fetched, Producer
from bus.letters import letters
from bus.settings import KafkaSettings
from bus.subscriber.dead import DeadLetters
from ops.node import NodeProcess
from tests.cli.conftest import Done, Stadtbus, lines

pytestmark = pytest.mark.slow

MEMBER = "de.agency.archiv"
GROUP = f"{MEMBER}.reader"
HOSTILE = [("x-\x1b]0;title\x07", b"\x1b[2J<script>alert(1)</script>"), ("big", b"y" * 50_000)]


async def written(kafka: KafkaSettings, topic: str) -> str:
    """Write a letter that can be re-driven, one with hostile headers, one without its value."""
    dead = DeadLetters(kafka, MEMBER, GROUP)
    await dead.prepare({topic: 1})
    await dead.prepare_redriving({topic: 1})
    await dead.stop()
    name = f"dead.{MEMBER}.{topic}"
    now = datetime.now(UTC)
    async with Producer(kafka) as producer:
        for offset, (reason, headers) in enumerate([("bad-event", []), ("bad-data", HOSTILE)]):
            event = Fetched(topic, 0, offset, 0, b"k\x1b[31m", b"v", headers)
            whole = next(letters(event, reason, "why\x1b[0m not", GROUP, now))
            await producer.append(name, 0, [whole])
        small = list(letters(Fetched(topic, 0, 2, 0, b"k", b"v", []), "bad-event", "", GROUP, now))
        await producer.append(name, 0, [small[1]])
    return name


@pytest.fixture
def stadtbus(node: NodeProcess) -> Stadtbus:
    """Run a command in this process, as there are many."""

    def run(*arguments: object) -> Done:
        given = [str(one) for one in arguments]
        ended = CliRunner().invoke(app, given, env=node.environment)
        talk = ended.stderr
        match ended.exception:
            case BusError() as error:
                return Done(given, error.exit_code, ended.stdout, talk + explain(error))
            case None | SystemExit():
                return Done(given, ended.exit_code, ended.stdout, talk)
            case error:
                raise error

    return run


@pytest.fixture
def dead(node: NodeProcess, request: pytest.FixtureRequest) -> str:
    """A dead letter topic of this test alone, with three letters."""
    topic = f"test.{request.node.name.split('[')[0].replace('_', '-')}.v1"
    return asyncio.run(written(KafkaSettings(bootstrap=node.ready["broker"]), topic))


def counts(stadtbus: Stadtbus, topic: str) -> tuple[int, int, int]:
    (document,) = lines(stadtbus("dead", "ls", "-o", "json"))
    (row,) = [row for row in document["dead_letters"] if row["topic"] == topic]
    return row["waiting"], row["redriven"], row["discarded"]


def shown(stadtbus: Stadtbus, *arguments: str) -> list[Any]:
    (document,) = lines(stadtbus("dead", "show", *arguments, "-o", "json"))
    rows: list[Any] = document["dead_letters"]
    return rows


def test_letters_are_previewed_re_driven_discarded_and_logged(
    stadtbus: Stadtbus, dead: str
) -> None:
    look = stadtbus("dead", "redrive", dead, "--all", "--dry-run")
    assert look.returncode == 7, look.stderr
    assert "Nothing was changed." in look.stderr
    assert f"{dead}/0/2 cannot be re-driven" in look.stderr
    assert counts(stadtbus, dead) == (3, 0, 0)
    done = stadtbus(
        "dead", "redrive", dead, "--offset", "0:0", "--note", "fixed", "--yes", "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    (document,) = lines(done)
    assert [(one["action"], one["offset"]) for one in document["decisions"]] == [("redriven", 0)]
    assert counts(stadtbus, dead) == (2, 1, 0)
    gone = stadtbus("dead", "discard", dead, "--all", "--reason", "only\x1b[31m a test", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert counts(stadtbus, dead) == (0, 1, 2)
    again = stadtbus("dead", "redrive", dead, "--all", "--yes")
    assert (again.returncode, "0 letters that wait" in again.stderr) == (0, True)
    assert [row["state"] for row in shown(stadtbus, dead)] == ["redriven", "discarded", "discarded"]
    (log,) = lines(stadtbus("dead", "log", "-o", "json"))
    mine = [one for one in log["decisions"] if one["topic"] == dead]
    assert [one["reason"] for one in mine] == ["fixed"] + ["only\x1b[31m a test"] * 2
    assert all(one["who"] and one["when"] for one in mine)


def test_what_strangers_wrote_is_text_on_a_terminal(stadtbus: Stadtbus, dead: str) -> None:
    tables = [
        stadtbus("dead", "show", dead),
        stadtbus("dead", "redrive", dead, "--all", "--dry-run"),
        stadtbus("dead", "discard", dead, "--all", "--reason", "\x1b[2J", "--yes"),
        stadtbus("dead", "log"),
    ]
    for done in tables:
        assert "\x1b" not in done.stdout + done.stderr
    assert r"why\x1b[0m not" in tables[0].stdout


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param(("-n", "1"), [2], id="the newest"),
        pytest.param(("--reason", "bad-data"), [1], id="a reason"),
        pytest.param(("--reason", "bad-event", "-n", "1"), [2], id="the newest of a reason"),
        pytest.param(("--group", GROUP), [0, 1, 2], id="a group"),
        pytest.param(("--group", "de.agency.other.x"), [], id="another group"),
        pytest.param(("--since", "1h", "--waiting"), [0, 1, 2], id="a time"),
        pytest.param(("--until", "1h"), [], id="a time before"),
    ],
)
def test_letters_are_filtered(
    stadtbus: Stadtbus, dead: str, arguments: tuple[str, ...], found: list[int]
) -> None:
    rows = [row["offset"] % 3 for row in shown(stadtbus, dead, *arguments)]
    assert rows[-len(found) :] == found if found else rows == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(("redrive",), 2, "which letters is not said", id="none"),
        pytest.param(("redrive", "--all", "--group", "g"), 2, "said twice", id="all and some"),
        pytest.param(("redrive", "--offset", "7"), 2, "names no letter", id="no letter's name"),
        pytest.param(("redrive", "--offset", "0:99"), 6, "no such letter", id="no such letter"),
        pytest.param(("redrive", "--offset", "9:0"), 6, "no such letter", id="no such partition"),
        pytest.param(("redrive", "--offset", "0:2"), 3, "BUS-0305", id="without its value"),
        pytest.param(("redrive", "--offset", "0:0"), 2, "nobody is there to ask", id="not asked"),
        pytest.param(("discard", "--all"), 2, "--reason", id="no reason"),
        pytest.param(("discard", "--all", "--reason", " ", "--yes"), 2, "reason", id="a blank one"),
    ],
)
def test_what_cannot_be_decided(
    stadtbus: Stadtbus, dead: str, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    command, *more = arguments
    refused(stadtbus("dead", command, dead, *more), code, sentence)


def test_a_letter_is_decided_about_once(stadtbus: Stadtbus, dead: str) -> None:
    first = stadtbus("dead", "discard", dead, "--offset", "0:1", "--reason", "a test", "--yes")
    assert first.returncode == 0, first.stderr
    refused(stadtbus("dead", "redrive", dead, "--offset", "0:1", "--yes"), 3, "was discarded by")


def test_a_topic_of_events_has_no_letters(stadtbus: Stadtbus) -> None:
    refused(stadtbus("dead", "show", "sensor.reading.v1"), 2, "no dead letter topic")
    refused(stadtbus("dead", "show", "dead.de.agency.none.x.v1"), 6, "does not exist")


def refused(done: Done, code: int, sentence: str) -> None:
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
