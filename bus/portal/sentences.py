"""Sentences of errors in the reader's language.

Errors speak English, with values in their sentences. Each sentence that a page can come to show
stands here once more with names in the places of values, and is looked up by that; where there is
none, the error's kind has a sentence, and its own words follow in English.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from bus import errors
from bus.errors import BusError
from bus.portal.language import Language
from bus.portal.trust.sentences import TRUST_SENTENCES


def _(message: str) -> str:
    """Mark a text for the catalogues; it is looked up when it is said."""
    return message


SENTENCES = (
    _("%(text)s is no day"),
    _("write it like 2026-07-01"),
    _("this is no place among disclosures"),
    _("begin without one; each answer says where the next one begins"),
    _("an event's id is a UUID"),
    _("copy it from ce_id"),
    _("disclosures cannot be read or kept: %(reason)s"),
    _(
        "let this user read and write the file; if it is damaged, delete it: it is made anew "
        "from its topic"
    ),
    _("no letter was chosen"),
    _("a letter's place is <partition>:<offset>"),
    _("the letter has no value"),
    _("the event may have sensitive fields, and its bytes have no masks"),
    _("have an administrator take the masks off on the page of these letters"),
    _("there is no contract for this topic"),
    _("schema %(id)s is none of this topic's"),
    _("%(number)s topics are followed already"),
    _("come back when somebody has stopped"),
    _("a letter is discarded for a reason"),
    _("no subscriber has ever asked for what is re-driven there"),
    _("start the group's subscriber in a version that reads it, then again"),
    _("others kept deciding at the same time; %(number)s letters were not reached"),
    _("the same again does what is left"),
    _("it was %(action)s by %(who)s at %(when)s"),
    _("redriven"),
    _("discarded"),
    _("if it failed again, there is a new letter about it"),
    _("there is no such letter, or no longer"),
    _("see `stadtbus dead show %(topic)s`"),
    _("this is no dead letter topic, whose names begin with dead."),
    _("see `stadtbus dead ls`"),
    _("its %(part)s was left out as too large; the event was at %(place)s"),
    _("it stands for a whole batch that cannot be taken apart"),
    _("it does not say which of the member's groups refused it"),
    _("no broker answers"),
    _("no broker answers: %(reason)s"),
    _("check kafka.bootstrap, and that the broker runs"),
    _("check kafka.bootstrap"),
    _("check that the brokers run"),
    _("see which brokers run; the same may succeed later"),
    _("the login was refused: %(reason)s"),
    _("check kafka.username, kafka.password_file and kafka.sasl_mechanism"),
    _("%(who)s lacks the right %(right)s"),
    _("the client, which has no kafka.username,"),
    _("the user %(user)s"),
    _(
        "have the cluster's administrator grant %(right)s to %(user)s; docs/kafka.md lists who "
        "needs which rights"
    ),
    _(
        "have the cluster's administrator grant %(right)s; docs/kafka.md lists who needs "
        "which rights"
    ),
    _("the topic does not exist"),
    _("topics come from contracts: see `stadtbus topic ls`"),
    _("partition %(partition)s of %(count)s does not exist"),
    _("the engine answered %(answer)s"),
    _("the engine sent a batch that is damaged (its CRC-32C does not match)"),
    _("the engine cannot store events now"),
    _("no acknowledgement came in time: %(reason)s"),
    _("nothing was sent, as an earlier batch is still without an answer: %(reason)s"),
    _("the event is above %(bytes)s bytes"),
    _("a batch of %(count)s events is above %(bytes)s bytes"),
    _("no answer came in time"),
    _("it speaks Kafka without TLS, but kafka.security_protocol is %(protocol)s"),
    _("it speaks TLS, but kafka.security_protocol is %(protocol)s"),
    _("it asks for no login, but kafka.security_protocol is %(protocol)s"),
    _("it asks for a login by %(offered)s, but kafka.security_protocol is %(protocol)s"),
    _("it offers a login by %(offered)s, not by %(wanted)s"),
    _("set kafka.sasl_mechanism to one that it offers"),
    _("set %(setting)s to %(value)s"),
    _("a key without its certificate"),
    _("set kafka.certificate_file, too"),
    _("certificate or key cannot be used: %(reason)s"),
    _("name files in PEM's form that this user may read"),
    _("it wants a certificate of ours, or does not take the one that it got"),
    _("check kafka.certificate_file and kafka.key_file"),
    _("its certificate cannot be verified: %(reason)s"),
    _("have it renewed: `stadtbus certificate renew`, where a secured node made it"),
    _(
        "name the certificates that it leads to in %(setting)s, and reach it by a name that "
        "its certificate bears"
    ),
    _("it takes connections, but gives no answer in %(seconds)s s"),
    _("see whether this is the engine's address, and whether the broker hangs"),
    _("is no host's name"),
    _("TLS fails: %(reason)s"),
    _("see whether this is the engine's address, and which TLS it speaks"),
    _("it answers in HTTP: this is no Kafka"),
    _("what it answers is not Kafka's protocol"),
    _("it closes the connection instead of answering: this is no Kafka, or it is starting"),
    _("its Kafka is too old: %(name)s version %(needed)s is needed, and it %(found)s"),
    _("Apache Kafka %(version)s or later is needed"),
    _("the registry does not answer: %(reason)s"),
    _("check registry.url, and that the registry runs"),
    _("check registry.url; if the registry speaks TLS, the URL begins with https:"),
    _(
        "if the registry asks clients for a certificate, check kafka.certificate_file and "
        "kafka.key_file, else check registry.url"
    ),
    _("the registry's certificate cannot be verified: %(reason)s"),
    _("what answers there speaks no TLS, but the URL begins with https:"),
    _("check registry.url; a registry without TLS has a URL with http:"),
    _("TLS with the registry fails: %(reason)s"),
    _("see which TLS it speaks; 1.2 is needed at the least"),
    _("the journal was not read yet"),
    _("try again"),
    _("this is no statement: %(reason)s"),
    _("take the whole file that `stadtbus trust sign` has signed"),
    _("this is a statement of the kind %(kind)s, and none about a grant"),
    _("hand it in by `stadtbus trust submit`"),
    _("a condition has no value, or more than one"),
    _("write one value; for one of several, write them with commas in between"),
    _("there is no such condition"),
    _("is no day"),
    _("write 2027-01-01"),
    _("the registry says no: %(reason)s"),
    _("have the node's administrator name this user in registry.writers"),
    _("the registry asks for a login"),
    _("set kafka.username and kafka.password_file"),
    _("the registry refused the login: %(reason)s"),
    _("check kafka.username and kafka.password_file"),
    _("there is no version %(version)s; %(known)s are in force"),
    _("the registry answers %(status)s: %(reason)s"),
    _("the value has %(bytes)s bytes, its frame alone takes %(frame)s"),
    _("the value begins with byte %(byte)s, not with 0"),
    _("the record has no key"),
    _("the key is no UTF-8: %(reason)s"),
    _("the key is not in Unicode's form NFC"),
    _("a part of the key is empty"),
    _("the data is not what its schema says: %(reason)s"),
    _("the data cannot be read as the version asked for: %(reason)s"),
    _("the key has % that is neither %25 nor %3A"),
    _("schema %(id)s is none of the contract's: %(reason)s"),
    _("header %(name)s is missing"),
    _("header %(name)s is there twice"),
    _("a header's value is no UTF-8"),
    _("ce_time is no time: %(reason)s"),
    _("ce_specversion is %(found)s, not 1.0"),
    _("ce_type is %(found)s, not the topic's name"),
    _("ce_id %(found)s is no UUID in lower case"),
    _("stadtbus-seq %(found)s is not <incarnation>/<number from 1>"),
    _("ce_source %(found)s is not %(source)s<system>"),
    _("it is a structured CloudEvent; only binary mode is read here"),
    _("content-type is %(found)s, not %(wanted)s"),
    *TRUST_SENTENCES,
)
"""What errors say and advise, as far as pages can show it; the first that fits counts."""

KINDS: dict[type[BusError], str] = {
    errors.InvalidContract: _("the contract breaks a rule of contracts"),
    errors.InvalidSchema: _("the schema cannot be used"),
    errors.IncompatibleSchema: _(
        "the schema breaks a promise made to those who read or write already"
    ),
    errors.InvalidEvent: _("the data does not keep to the contract"),
    errors.UndecodableEvent: _("what lies there is no event"),
    errors.NotVerified: _("the event's signature does not hold"),
    errors.InvalidKey: _("a key file cannot be used"),
    errors.InvalidStatement: _("a signed statement cannot be read"),
    errors.StatementRefused: _("a signed statement has no effect"),
    errors.InvalidGrant: _("a grant's terms cannot be used"),
    errors.BadEvent: _("a subscriber has refused the event"),
    errors.EventTooLarge: _("the event is too large"),
    errors.InvalidInput: _("a file cannot be used"),
    errors.InvalidSettings: _("a setting cannot be used"),
    errors.NotRedrivable: _("the event cannot be re-driven"),
    errors.StorageFull: _("the broker's disk is full"),
    errors.OutcomeUnknown: _("no answer came in time, and what was asked for may be done or not"),
    errors.BusUnavailable: _("the bus or the registry cannot be reached just now"),
    errors.NotAuthenticated: _("the login was refused"),
    errors.NotAuthorised: _("the node lacks a right"),
    errors.NotFound: _("there is no such thing"),
    errors.PositionLost: _("the events at this position are gone"),
    errors.Fenced: _("somebody else has taken over"),
    errors.Conflict: _("somebody else was faster"),
    errors.StorageInUse: _("another process uses the data"),
    errors.StorageUnusable: _("the data cannot be read or written"),
    errors.AddressInUse: _("the address is taken"),
    BusError: _("something went wrong"),
}
"""What kinds of errors mean where their own words are in English alone."""

LONGEST_TROUBLE = 600
"""Characters of an error that a page shows."""

_VALUE = re.compile(r"%\((\w+)\)s")


class Told(NamedTuple):
    """An error as a page tells it.

    Args:
        text: in the reader's language.
        detail: what there is in English alone; empty where there is nothing.
    """

    text: str
    detail: str


def told(error: BusError, say: Language) -> Told:
    """Return an error as a page tells it: where, what, and what to do."""
    what, advice = translated(error.what, say), translated(error.remedy, say)
    place = f"{error.where}: " if error.where else ""
    kind = next(KINDS[one] for one in type(error).__mro__ if one in KINDS)
    text = f"{place}{say.gettext(kind) if what is None else what}"
    details = [error.what] if what is None else []
    if advice is None:
        details.append(error.remedy)
    elif advice:
        text = f"{text}; {advice}"
    return Told(text, "; ".join(details))


def translated(sentence: str, say: Language) -> str | None:
    """Return an error's sentence in the reader's language; None where only English has it."""
    if not sentence:
        return ""
    for message, pattern in _patterns():
        found = pattern.fullmatch(sentence)
        if found is not None:
            values = found.groupdict()
            values |= {name: translated(value, say) or value for name, value in values.items()}
            return say.gettext(message, **values)
    return None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (message, re.compile("".join(_parts(message)), re.DOTALL)) for message in SENTENCES
    )


def _parts(message: str) -> Iterator[str]:
    """Yield the parts of a regular expression for what a text becomes with values."""
    for number, part in enumerate(_VALUE.split(message)):
        yield f"(?P<{part}>.+?)" if number % 2 else re.escape(part)
