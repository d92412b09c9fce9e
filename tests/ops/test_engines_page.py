"""docs/engines.md is what the suite makes of it now, and the suite's marks hold on one engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from ops.engines import PAGE, ROOT, Behaviour, Case

pytestmark = pytest.mark.slow

LACKING, OTHER = ("not yet", "no such thing"), ("differs", "says no")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python; the suite is collected in a process of its own, apart from this session."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_page_is_up_to_date(tmp_path: Path) -> None:
    done = run("-m", "ops.engines", str(tmp_path / "engines.md"))
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "engines.md").read_text(encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "make it anew: python -m ops.engines"


@pytest.mark.parametrize(
    ("cases", "status"),
    [
        pytest.param([Case("")], "✔", id="one case"),
        pytest.param([Case("a"), Case("b")], "✔", id="all alike"),
        pytest.param(
            [Case("a", *LACKING), Case("b", *LACKING)], "not yet: no such thing", id="all lacking"
        ),
        pytest.param([Case("", *OTHER)], "differs: says no", id="differs"),
        pytest.param(
            [Case("a"), Case("b", *LACKING), Case("c", *LACKING)],
            "✔; not yet (*b*, *c*): no such thing",
            id="some lacking",
        ),
        pytest.param(
            [Case("a", *LACKING), Case("b", *OTHER)],
            "differs (*b*): says no; not yet (*a*): no such thing",
            id="some lacking, some different",
        ),
    ],
)
def test_cases_alike_are_one_and_others_are_named(cases: list[Case], status: str) -> None:
    assert Behaviour("module", "Area", "It works", cases).status() == status


SUITE = '''"""Area: about it."""
import pytest

@pytest.fixture(params={engines})
def engine(request):
    return request.param

def test_it(engine):
    {docstring}
'''


@pytest.mark.parametrize(
    ("engines", "docstring", "said"),
    [
        pytest.param(["embedded", "kafka"], '"""It works."""', "", id="good"),
        pytest.param(["embedded"], '"""It works."""', "on both engines", id="one engine"),
        pytest.param(["embedded", "kafka"], "pass", "has no docstring", id="no sentence"),
        pytest.param(["embedded", "kafka"], "=", "SyntaxError", id="cannot be read"),
    ],
)
def test_a_suite_that_makes_no_page(
    tmp_path: Path, engines: list[str], docstring: str, said: str
) -> None:
    suite = SUITE.format(engines=engines, docstring=docstring)
    (tmp_path / "test_it.py").write_text(suite, encoding="utf-8")
    call = f"from ops.engines import *; behaviours(Path({str(tmp_path)!r}))"
    done = run("-c", call)
    assert said in done.stderr
    assert bool(said) == bool(done.returncode)


MARKED = '''"""Area: about it."""
import pytest
from tests.engines.deviations import differs, lacking

@pytest.fixture(params=["embedded", "kafka"])
def engine(request):
    return request.param

@lacking("no such thing")
def test_whole(engine):
    """A whole behaviour."""
    assert engine == "kafka"

@pytest.mark.parametrize("case", ["good", pytest.param("bad", marks=lacking("one case"))])
def test_case(engine, case):
    """One case."""
    assert engine == "kafka" or case == "good"

@lacking("nothing")
def test_works(engine):
    """What works already."""

@differs("says no")
def test_other(engine):
    """Another answer."""
    assert engine == "kafka"
'''


def test_marks_hold_on_the_embedded_broker_alone(tmp_path: Path) -> None:
    hooks = "from tests.engines.conftest import pytest_collection_modifyitems, pytest_configure\n"
    (tmp_path / "conftest.py").write_text(hooks, encoding="utf-8")
    (tmp_path / "test_marked.py").write_text(MARKED, encoding="utf-8")
    settings = ("-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider")
    done = run("-m", "pytest", *settings, "-q", "-rA", "--tb=no", str(tmp_path))
    said = (line.partition(" ") for line in done.stdout.splitlines() if "::" in line)
    told = {place.partition("::")[2].split(" ")[0]: outcome for outcome, _, place in said}
    assert told == {
        "test_whole[embedded]": "XFAIL",
        "test_whole[kafka]": "PASSED",
        "test_case[embedded-good]": "PASSED",
        "test_case[embedded-bad]": "XFAIL",
        "test_case[kafka-good]": "PASSED",
        "test_case[kafka-bad]": "PASSED",
        "test_works[embedded]": "FAILED",
        "test_works[kafka]": "PASSED",
        "test_other[embedded]": "FAILED",
        "test_other[kafka]": "PASSED",
    }
