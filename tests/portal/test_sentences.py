"""What errors say on pages, in every language; what the product says is read from its source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus import errors
from bus.errors import BusError, BusUnavailable, InvalidContract, NotAuthorised, NotFound
from bus.portal.language import languages
from bus.portal.sentences import KINDS, SENTENCES, told, translated

BUS = Path(errors.__file__).parent
GERMAN, ENGLISH = languages()["de"], languages()["en"]

SHOWN = (
    "portal/**/*.py",
    "letters/*.py",
    "admin/connection.py",
    "avro/codec.py",
    "disclosures/question.py",
    "disclosures/store.py",
    "event/envelope.py",
    "event/framing.py",
    "event/keys.py",
    "kafka/connection.py",
    "kafka/inquiry.py",
    "kafka/producer.py",
    "kafka/unpack.py",
    "probe.py",
    "registry/granting.py",
    "schemas.py",
    "subscriber/decoding.py",
    "trust/grants/conditions.py",
    "trust/grants/fitting.py",
    "trust/grants/granting.py",
    "trust/grants/terms.py",
    "trust/grants/vocabulary.py",
    "trust/ledger.py",
)
"""Where the errors begin that pages can come to show."""

ELSEWHERE = {"InvalidEvent", "TryLater"}
"""What is raised there for publishers, and what the login's page has words for."""

LOGIN = BUS / "portal" / "security"
"""Its page says the same to all who are refused."""


def kinds() -> Iterator[type[BusError]]:
    """Yield every kind of error that `bus.errors` has."""
    waiting: list[type[BusError]] = [BusError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.__module__ == errors.__name__:
            yield kind


def example(node: ast.expr) -> Iterator[str]:
    """Yield what a text becomes, with a value in each place for one."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "a value" for part in parts
            )
        case ast.IfExp(body=one, orelse=other):
            yield from example(one)
            yield from example(other)


def sentences() -> Iterator[tuple[str, str]]:
    """Yield what is said where errors are made, and where: what is wrong, and what to do."""
    names = {kind.__name__ for kind in kinds()} - ELSEWHERE | {"_bad"}
    for pattern in SHOWN:
        for file in sorted(BUS.glob(pattern)):
            if file.is_relative_to(LOGIN):
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=args) if name in names:
                        said = [*args[:1], *(k.value for k in node.keywords if k.arg == "remedy")]
                        for one in said:
                            for text in example(one):
                                yield text, f"{file.relative_to(BUS)}:{node.lineno}"


ALL = dict(sentences())


def test_there_are_sentences() -> None:
    assert len(ALL) > 70


@pytest.mark.parametrize("text", list(ALL))
def test_every_sentence_of_an_error_is_said_in_german(text: str) -> None:
    said = translated(text, GERMAN)
    assert said is not None, f"add it to bus/portal/sentences.py; it is from {ALL[text]}"
    assert said != text or text.startswith("see `")


@pytest.mark.parametrize("text", list(ALL))
def test_in_english_it_stays_as_it_is(text: str) -> None:
    assert translated(text, ENGLISH) == text


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_kind_has_a_sentence(kind: type[BusError]) -> None:
    assert GERMAN.gettext(KINDS[kind]) != KINDS[kind]


@pytest.mark.parametrize("message", SENTENCES)
def test_every_sentence_finds_itself(message: str) -> None:
    """And no earlier one takes its place."""
    said = re.sub(r"%\((\w+)\)s", r"<\1>", message)
    there = re.sub(r"%\((\w+)\)s", r"<\1>", GERMAN.gettext(message))
    assert translated(said, GERMAN) == there


def test_an_error_says_where_what_and_what_to_do() -> None:
    error = NotFound("there is no such letter, or no longer", where="dead.x-0@7")
    assert told(error, GERMAN) == (
        "dead.x-0@7: dieses Ereignis gibt es nicht oder nicht mehr",
        "",
    )
    away = BusUnavailable("no broker answers: x", where="h:1", remedy="check kafka.bootstrap")
    assert told(away, GERMAN).text == "h:1: kein Broker antwortet: x; prüfen Sie kafka.bootstrap"
    assert told(away, ENGLISH).text == str(away)


def test_what_only_english_has_follows_in_english() -> None:
    error = InvalidContract("is odd", where="x.v1", remedy="do it")
    assert told(error, GERMAN) == (
        "x.v1: der Vertrag verletzt eine Regel für Verträge",
        "is odd; do it",
    )


def test_a_right_that_is_lacking_is_said_whole() -> None:
    error = NotAuthorised.lacking("Read on the topic x", user="anna", where="h:1")
    text, detail = told(error, GERMAN)
    assert "dem Benutzer anna fehlt das Recht Read on the topic x" in text
    assert detail == ""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            "is not signed by one member, with a key that counts now",
            "ist nicht von einem Mitglied mit einem Schlüssel unterschrieben, der jetzt gilt",
        ),
        ("the grant is requested, not approved", "die Freigabe ist angefragt, nicht freigegeben"),
        ("this is for de.x to say, not for de.y", "das hat de.x zu sagen, nicht de.y"),
        ("de.x asks for de.y, not itself", "de.x fragt für de.y an und nicht für sich selbst"),
        ("nobody asked for the grant ff", "niemand hat die Freigabe ff angefragt"),
        (
            "was said before, and a statement counts once",
            "wurde schon gesagt, und eine Erklärung zählt einmal",
        ),
    ],
)
def test_why_a_grant_s_statement_has_no_effect_is_said_in_german(what: str, said: str) -> None:
    assert translated(what, GERMAN) == said


def test_what_a_sentence_quotes_is_said_in_the_same_language() -> None:
    whole = "nothing was sent, as an earlier batch is still without an answer: no broker answers"
    said = translated(whole, GERMAN)
    assert said is not None
    assert said.endswith("kein Broker antwortet")
