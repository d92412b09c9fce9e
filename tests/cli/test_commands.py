"""Each command against a real node, on each engine: data, exit codes, sentences."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.node import NodeProcess
from tests.cli.conftest import Stadtbus, lines, user_of
from tests.engine import emptied

pytestmark = pytest.mark.slow

SYSTEM = "de.mun.055150000000.zaehlstellen"
READING = {
    "thing": "1",
    "datastream": "cli-1",
    "municipality": "055150000000",
    "observed_property": "bicycle-count",
    "phenomenon_time": "2026-07-01T06:00:00Z",
    "interval_seconds": 900,
    "result": 27.5,
    "unit": "1",
    "quality": "VALID",
}
TOPIC, SUBJECT = "sensor.reading.v1", "sensor.reading.v1-value"

on_embedded = pytest.mark.parametrize("node", ["embedded"], indirect=True)
"""For what is said before any engine is asked."""


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node with its own broker, and one beside Apache Kafka without any topic or group."""
    data = tmp_path_factory.mktemp("node")
    if request.param == "embedded":
        with NodeProcess(data) as running:
            yield running
        return
    settings = request.getfixturevalue("kafka").settings
    emptied(settings)  # others leave topics behind
    with NodeProcess(data, "--kafka", settings.bootstrap) as running:
        yield running
    emptied(settings)


@pytest.fixture(scope="module")
def stadtbus(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> Stadtbus:
    """Run a command against the node; flags that are given win over the node's addresses."""
    return user_of(node, tmp_path_factory.mktemp("user"))


def line(**changes: object) -> str:
    return json.dumps(READING | changes) + "\n"


def test_what_is_published_is_seen_in_tail_as_it_was(stadtbus: Stadtbus) -> None:
    given = line(datastream="tail-1") + line(datastream="tail-1", result=None)
    published = stadtbus("publish", TOPIC, "--system", SYSTEM, "-o", "json", given=given)
    assert published.returncode == 0, published.stderr
    ids = [receipt["id"] for receipt in lines(published)]
    seen = stadtbus("tail", TOPIC, "--all", "--end")
    assert seen.returncode == 0, seen.stderr
    events = [event for event in lines(seen) if event["key"] == "tail-1"]
    assert [event["id"] for event in events] == ids
    assert [event["value"]["result"] for event in events] == [27.5, None]
    assert events[0]["value"]["phenomenon_time"] == "2026-07-01T06:00:00Z"
    assert events[0]["source"] == f"urn:stadtbus:{SYSTEM}"


def test_a_wrong_line_is_told_and_the_others_are_published(stadtbus: Stadtbus) -> None:
    given = line() + line(interval_seconds="long") + "nonsense\n" + line(colour="red") + line()
    done = stadtbus("publish", TOPIC, "--system", SYSTEM, "-o", "json", given=given)
    assert done.returncode == 7
    assert len(lines(done)) == 2
    for part in ("line 2: ", "interval_seconds", "line 3: ", "no JSON", "line 4: ", "colour"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        pytest.param("[" * 200_000 + "\n", "is no JSON", id="nested without end"),
        pytest.param(line(thing="x" * 1_100_000), "BUS-0303", id="above the limit"),
    ],
)
def test_a_hostile_line_is_refused_alone(stadtbus: Stadtbus, wrong: str, sentence: str) -> None:
    done = stadtbus(
        "publish", TOPIC, "--system", SYSTEM, "-o", "json", given=line() + wrong + line()
    )
    assert done.returncode == 7, done.stderr
    assert len(lines(done)) == 2
    assert "line 2: ✘" in done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_command_with_130_and_without_a_traceback(node: NodeProcess) -> None:
    command = [sys.executable, "-m", "bus.cli", "publish", TOPIC, "--system", SYSTEM, "-o", "json"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=node.environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line())
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["v"] == 1
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=20)
    assert (process.returncode, talk) == (130, "")


def test_a_dry_run_checks_and_sends_nothing(stadtbus: Stadtbus) -> None:
    before = stadtbus("topic", "show", TOPIC, "-o", "json").stdout
    done = stadtbus("publish", TOPIC, "--dry-run", "-o", "json", given=line() + "[]\n")
    assert done.returncode == 7
    assert lines(done) == [{"v": 1, "would_publish": 1, "refused": 1}]
    assert "1 would be published, 1 refused" in done.stderr
    assert stadtbus("topic", "show", TOPIC, "-o", "json").stdout == before


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        pytest.param(("topic", "ls"), "topics", id="topic ls"),
        pytest.param(("topic", "show", TOPIC), "configs", id="topic show"),
        pytest.param(("contract", "ls"), "contracts", id="contract ls"),
        pytest.param(("contract", "show", TOPIC), "key", id="contract show"),
        pytest.param(("schema", "ls"), "subjects", id="schema ls"),
        pytest.param(("schema", "show", SUBJECT), "schema", id="schema show"),
        pytest.param(("group", "ls"), "groups", id="group ls"),
        pytest.param(("group", "lag"), "lag", id="group lag"),
        pytest.param(("dead", "ls"), "dead_letters", id="dead ls"),
        pytest.param(("doctor",), "findings", id="doctor"),
    ],
)
def test_every_reading_command_answers_in_json_and_as_a_table(
    stadtbus: Stadtbus, arguments: tuple[str, ...], name: str
) -> None:
    as_json = stadtbus(*arguments, "-o", "json")
    assert as_json.returncode == 0, as_json.stderr
    (document,) = lines(as_json)
    assert document["v"] == 1
    assert name in document
    table = stadtbus(*arguments)
    assert table.returncode == 0, table.stderr
    assert table.stdout
    assert "Traceback" not in table.stderr + as_json.stderr


@on_embedded
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(("topic", "lss"), 2, "Did you mean 'ls'", id="unknown verb"),
        pytest.param(("serve", "--brokr-listen", "x"), 2, "--broker-listen", id="unknown flag"),
        pytest.param(("serve", "--roles", "registri"), 2, '"registry"', id="unknown role"),
        pytest.param(
            ("serve", "--broker-listen", "0.0.0.0:0", "--ops-listen", "127.0.0.1:0"),
            2,
            "other machines",
            id="listening to everybody",
        ),
        pytest.param(("serve", "--broker-listen", "9092"), 2, "is not host:port", id="no address"),
        pytest.param(("publish", TOPIC), 2, "--system", id="nobody publishes"),
        pytest.param(
            ("publish", TOPIC, "nowhere.jsonl", "--system", SYSTEM),
            2,
            "nowhere.jsonl",
            id="no file",
        ),
        pytest.param(("tail", TOPIC, "--since", "soon"), 2, '"soon" is no time', id="no time"),
        pytest.param(
            ("topic", "ls", "--kafka", "127.0.0.1:1"), 4, "127.0.0.1:1", id="unreachable engine"
        ),
        pytest.param(
            ("schema", "ls", "--registry", "http://127.0.0.1:1"),
            4,
            "http://127.0.0.1:1",
            id="unreachable registry",
        ),
        pytest.param(("schema", "ls", "--registry", "ftp://x"), 2, "ftp://x", id="no registry"),
        pytest.param(("doctor", "--kafka", "127.0.0.1:1"), 4, "", id="doctor without an engine"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_an_exit_code(
    stadtbus: Stadtbus, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = stadtbus(*arguments)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("topic", "show", "no.such.v1"), "no.such.v1", id="no such topic"),
        pytest.param(("tail", "no.such.v1", "--end"), "no.such.v1", id="tail of no topic"),
        pytest.param(("schema", "show", "nothing"), "nothing", id="no such subject"),
        pytest.param(("group", "lag", "nobody"), "nobody", id="no such group"),
        pytest.param(("contract", "show", "no.such.v1"), "no.such.v1", id="no such contract"),
    ],
)
def test_what_is_not_there_is_named(
    stadtbus: Stadtbus, arguments: tuple[str, ...], sentence: str
) -> None:
    done = stadtbus(*arguments)
    assert done.returncode == 6, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_schema_that_would_break_somebody_is_answered_with_no(
    stadtbus: Stadtbus, tmp_path: Path
) -> None:
    (shown,) = lines(stadtbus("schema", "show", SUBJECT, "-o", "json"))
    schema = json.loads(shown["schema"])
    good, bad = tmp_path / "good.avsc", tmp_path / "bad.avsc"
    good.write_text(json.dumps(schema))
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "unit"]
    bad.write_text(json.dumps(schema))
    assert stadtbus("schema", "check", SUBJECT, good).returncode == 0
    checked = stadtbus("schema", "check", SUBJECT, bad, "-o", "json")
    assert checked.returncode == 3
    (verdict,) = lines(checked)
    assert not verdict["compatible"]
    assert "`unit`" in verdict["problems"][0]
    refused = stadtbus("schema", "register", SUBJECT, bad)
    assert refused.returncode == 3
    assert "`unit`" in refused.stderr
    (again,) = lines(stadtbus("schema", "register", SUBJECT, good, "-o", "json"))
    assert again["id"] == shown["id"]


def test_tail_finds_the_newest_and_those_since(stadtbus: Stadtbus) -> None:
    stadtbus("publish", TOPIC, "--system", SYSTEM, given=line(datastream="newest") * 3)
    assert len(lines(stadtbus("tail", TOPIC, "--last", "2", "--end"))) == 2
    assert len(lines(stadtbus("tail", TOPIC, "--since", "1h", "--end"))) >= 3
    assert lines(stadtbus("tail", TOPIC, "--until", "1h", "--all")) == []
    assert len(lines(stadtbus("tail", TOPIC, "--all", "-n", "1"))) == 1
    (record,) = lines(stadtbus("tail", TOPIC, "--raw", "--last", "1", "--end"))
    assert record["headers"]["ce_type"] == TOPIC


@pytest.mark.parametrize("command", [f"tail {TOPIC} --all --end", f"topic show {TOPIC}"])
def test_a_closed_pipe_is_no_error(stadtbus: Stadtbus, node: NodeProcess, command: str) -> None:
    stadtbus("publish", TOPIC, "--system", SYSTEM, given=line() * 2000)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m bus.cli {command} | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=node.environment,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
