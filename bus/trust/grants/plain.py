"""Grants in plain words, in German and English: for who decides, and for who looks later. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from bus.trust.grants.explain import Obstacle, Why
from bus.trust.grants.rows import Said, said
from bus.trust.grants.terms import ARS_LEVELS, Owner, Terms
from bus.trust.grants.vocabulary import PURPOSES

Language: TypeAlias = Literal["de", "en"]

ZONE = ZoneInfo("Europe/Berlin")
"""Whose clock grants are told by; they themselves are in UTC."""

Name: TypeAlias = Callable[[str], str]

_WORDS: Mapping[str, Mapping[str, str]] = {
    "de": {
        "who": "{recipient} bekommt Daten von {owner}.",
        "owner": "{member}",
        "under": "allen Mitgliedern, deren Regionalschlüssel mit {ars} beginnt ({level});"
        " darüber entscheidet {member}",
        "what": 'Aus "{topic}" fließen diese Felder: {fields}.',
        "all": "Es fließt jedes Ereignis.",
        "rows": "Es fließen nur Ereignisse, bei denen {rows}.",
        "why": "Der Zweck: {purpose}.",
        "basis": "Die Grundlage: {norm} ({text}).",
        "when": "Die Freigabe gilt ab {since} und endet am {until}.",
        "and": "und",
        "or": "oder",
        "is": '"{field}" gleich {0} ist',
        "in": '"{field}" {list} ist',
        "between": '"{field}" ab {0} und vor {1} liegt',
        "from": '"{field}" ab {0} liegt',
        "to": '"{field}" vor {0} liegt',
        "prefix": '"{field}" mit {0} beginnt',
        "true": "wahr",
        "false": "falsch",
        "moment": "%d.%m.%Y, %H:%M Uhr",
        "state": "Land",
        "region": "Regierungsbezirk",
        "district": "Kreis",
        "association": "Gemeindeverband",
        "municipality": "Gemeinde",
        "requested": "Über die Anfrage ist noch nicht entschieden.",
        "refused": "Die Anfrage wurde abgelehnt.",
        "withdrawn": "Die Anfrage wurde zurückgezogen.",
        "revoked": "Die Freigabe wurde widerrufen.",
        "ended": "Die empfangende Stelle hat auf die Freigabe verzichtet.",
        "pending": "Die Freigabe gilt noch nicht.",
        "expired": "Die Freigabe ist abgelaufen.",
        "resting": "Die Freigabe ruht, weil {member} nicht tätig sein darf.",
        "row": "Es trifft nicht zu, dass {row}.",
    },
    "en": {
        "who": "{recipient} gets data of {owner}.",
        "owner": "{member}",
        "under": "all members whose official code begins with {ars} ({level});"
        " {member} decides on it",
        "what": 'Of "{topic}" these fields flow: {fields}.',
        "all": "Every event flows.",
        "rows": "Only events flow where {rows}.",
        "why": "The purpose: {purpose}.",
        "basis": "The basis: {norm} ({text}).",
        "when": "The grant holds from {since} and ends on {until}.",
        "and": "and",
        "or": "or",
        "is": '"{field}" is {0}',
        "in": '"{field}" is {list}',
        "between": '"{field}" is from {0} on and before {1}',
        "from": '"{field}" is from {0} on',
        "to": '"{field}" is before {0}',
        "prefix": '"{field}" begins with {0}',
        "true": "true",
        "false": "false",
        "moment": "%Y-%m-%d, %H:%M",
        "state": "state",
        "region": "region",
        "district": "district",
        "association": "association of municipalities",
        "municipality": "municipality",
        "requested": "The request has not been decided yet.",
        "refused": "The request was refused.",
        "withdrawn": "The request was withdrawn.",
        "revoked": "The grant was revoked.",
        "ended": "The recipient has given the grant up.",
        "pending": "The grant does not hold yet.",
        "expired": "The grant has expired.",
        "resting": "The grant rests, as {member} may not act.",
        "row": "It is not so that {row}.",
    },
}


def plain(
    terms: Terms, language: Language, *, name: Name = str, title: str | None = None
) -> list[str]:
    """Return what a grant says, in sentences.

    Args:
        terms: the grant's terms.
        language: ``de`` or ``en``.
        name: what people call a member, by its id; ids themselves if not given.
        title: what people call the contract, in the language; the topic if None.
    """
    words = _WORDS[language]
    purpose = PURPOSES[terms.purpose]
    rows = [row_words(said(one), language) for one in terms.rows]
    return [
        words["who"].format(
            recipient=name(terms.recipient), owner=_owner(terms.owner, language, name)
        ),
        words["what"].format(
            topic=title or terms.topic, fields=_listed([*terms.fields], words["and"])
        ),
        words["rows"].format(rows=_listed(rows, words["and"])) if rows else words["all"],
        words["why"].format(purpose=purpose.de if language == "de" else purpose.en),
        words["basis"].format(norm=terms.basis.norm, text=terms.basis.text),
        words["when"].format(
            since=moment(terms.since, language), until=moment(terms.until, language)
        ),
    ]


def row_words(row: Said, language: Language) -> str:
    """Return a condition as part of a sentence."""
    words = _WORDS[language]
    values = [_literal(one, language) for one in row.values]
    return words[row.how].format(*values, field=row.field, list=_listed(values, words["or"]))


def obstacle_words(obstacle: Obstacle, language: Language, *, name: Name = str) -> str:
    """Return why a grant did not apply, in a sentence."""
    row = row_words(obstacle.row, language) if obstacle.why is Why.ROW and obstacle.row else ""
    return _WORDS[language][obstacle.why].format(row=row, member=name(obstacle.member))


def moment(time: datetime, language: Language) -> str:
    """Write an instant by the clock of Berlin."""
    return time.astimezone(ZONE).strftime(_WORDS[language]["moment"])


def _owner(owner: Owner, language: Language, name: Name) -> str:
    words = _WORDS[language]
    if not owner.ars:
        return words["owner"].format(member=name(owner.member))
    level = words[ARS_LEVELS[len(owner.ars)]]
    return words["under"].format(ars=owner.ars, level=level, member=name(owner.member))


def _literal(value: str | int, language: Language) -> str:
    if isinstance(value, bool):
        return _WORDS[language]["true" if value else "false"]
    return f'"{value}"' if isinstance(value, str) else str(value)


def _listed(parts: Sequence[str], last: str) -> str:
    """Return parts as a list in a sentence: ``a, b and c``."""
    return f" {last} ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
