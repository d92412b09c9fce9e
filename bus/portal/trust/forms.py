"""From a form to what a statement says, and to the command that says the same. Pure."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Protocol

from bus.avro.types import Schema
from bus.contracts import Contract
from bus.errors import InvalidGrant
from bus.event import write_time
from bus.trust.grants.fitting import asked_of, check, newest
from bus.trust.grants.grant import ID_BYTES
from bus.trust.grants.granting import APPROVED, ENDED, MAX_REASON, REFUSED, REVOKED, WITHDRAWN
from bus.trust.grants.plain import ZONE
from bus.trust.grants.terms import Terms

ROWS = 4
"""Conditions that the form has room for; the command takes more."""

HOW = ("in", "from", "to", "prefix")
"""What a condition of the form can be."""

STEPS = {
    APPROVED: "approve",
    REFUSED: "refuse",
    WITHDRAWN: "withdraw",
    REVOKED: "revoke",
    ENDED: "give-up",
}
"""The commands of the steps that a grant can take, by the statement's kind."""

POSSIBLE = {"requested": (APPROVED, REFUSED, WITHDRAWN)} | dict.fromkeys(
    ("live", "pending", "resting"), (REVOKED, ENDED)
)
"""The steps that a grant can take, by what it is."""


class Form(Protocol):
    """What a browser sent."""

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a field."""

    def getlist(self, name: str) -> Sequence[str]:
        """Return all values of a field."""


def terms_of(form: Form, contract: Contract, now: datetime) -> Terms:
    """Return the terms that a form asks for.

    Args:
        form: as it was sent.
        contract: the contract in force that it is about.
        now: the time, with a time zone.

    Raises:
        InvalidGrant: they are none, or do not fit the contract.
    """
    said = {name: form.get(name, "").strip() for name in _TEXTS}
    if said["authority"] or said["ars"]:
        owner = {"authority": said["authority"], "ars": said["ars"]}
    else:
        owner = {"member": said["owner"]}
    begins = write_time(now.astimezone(UTC).replace(microsecond=0))
    terms = Terms.from_json(
        {
            "owner": owner,
            "recipient": said["recipient"],
            "topic": contract.topic,
            "fields": sorted(set(form.getlist("field"))),
            "rows": list(_rows(form, newest(contract))),
            "purpose": said["purpose"],
            "basis": {"text": said["basis"], "norm": said["norm"]},
            "from": _midnight(said["since"], "grant.from") if said["since"] else begins,
            "to": _midnight(said["until"], "grant.to"),
        }
    )
    check(terms, contract)
    return terms


_TEXTS = ("owner", "authority", "ars", "recipient", "purpose", "basis", "norm", "since", "until")


def step_says(digest: str, why: str) -> Mapping[str, str]:
    """Return what a step of a grant says.

    Args:
        digest: of the statement that asked for it, in hexadecimal.
        why: what somebody wrote beside it; may be empty.
    """
    reason = " ".join(why.split())[:MAX_REASON]
    return {"grant": digest} | ({"why": reason} if reason else {})


def asking(terms: Terms) -> str:
    """Return the command that asks for the same."""
    said = terms.to_json()
    options = [("--recipient", terms.recipient)]
    if terms.owner.ars:
        options += [("--authority", terms.owner.member), ("--ars", terms.owner.ars)]
    else:
        options.append(("--owner", terms.owner.member))
    options += [("--field", name) for name in terms.fields]
    options += [("--row", _json(row)) for row in said["rows"]]
    options += [
        ("--purpose", terms.purpose),
        ("--norm", terms.basis.norm),
        ("--basis", terms.basis.text),
        ("--since", said["from"]),
        ("--until", said["to"]),
        ("--sign", "KEYFILE"),
    ]
    words = ["stadtbus", "grant", "ask", terms.topic, *(w for option in options for w in option)]
    return shlex.join(words)


def stepping(kind: str, says: Mapping[str, str]) -> str:
    """Return the command that takes the same step."""
    words = ["stadtbus", "grant", STEPS[kind], says["grant"][: 2 * ID_BYTES]]
    if "why" in says:
        words += ["--why", says["why"]]
    return shlex.join([*words, "--sign", "KEYFILE"])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _rows(form: Form, schema: Schema) -> Sequence[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for number in range(ROWS):
        path, how, text = (form.get(f"{name}{number}", "").strip() for name in ("row", "how", "is"))
        if path:
            found.append(_row(schema, path, how, text, f"grant.rows[{len(found)}]"))
    return found


def _row(schema: Schema, path: str, how: str, text: str, where: str) -> Mapping[str, Any]:
    if how not in HOW:
        raise InvalidGrant("there is no such condition", where=where)
    kind = asked_of(schema, path).kind
    values = [_literal(part.strip(), kind) for part in text.split(",") if part.strip()]
    if not values or (how != "in" and len(values) > 1):
        raise InvalidGrant(
            "a condition has no value, or more than one",
            where=where,
            remedy="write one value; for one of several, write them with commas in between",
        )
    return {"field": path, how: values if how == "in" else values[0]}


def _literal(text: str, kind: str) -> str | int | bool:
    """Return a value as terms have it; one that is none of the field's is refused by the terms."""
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 20
    return int(text) if kind in ("number", "fraction") and is_number else text


def _midnight(text: str, where: str) -> str:
    """Return the instant at which a day begins by the clock of Berlin, as statements write it."""
    try:
        day = date.fromisoformat(text)
        return write_time(datetime.combine(day, time(), ZONE).astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise InvalidGrant("is no day", where=where, remedy="write 2027-01-01") from error
