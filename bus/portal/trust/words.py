"""Words for members and grants, in the reader's language."""

from bus.portal.language import Language
from bus.portal.states import State
from bus.trust.grants.plain import Language as Told

PHASES = {
    "requested": State.WARNING,
    "pending": State.QUIET,
    "live": State.GOOD,
    "resting": State.WARNING,
    "expired": State.QUIET,
    "refused": State.QUIET,
    "withdrawn": State.QUIET,
    "revoked": State.QUIET,
    "ended": State.QUIET,
}
"""How a grant is doing, by what it is."""


def language(say: Language) -> Told:
    """Return the language in which grants are told."""
    return "de" if say.code == "de" else "en"


def phase_word(phase: str, say: Language) -> str:
    """Return what a grant is in a word or two."""
    words = {
        "requested": say.gettext("asked for"),
        "pending": say.gettext("approved, begins later"),
        "live": say.gettext("in force"),
        "resting": say.gettext("rests"),
        "expired": say.gettext("expired"),
        "refused": say.gettext("refused"),
        "withdrawn": say.gettext("withdrawn"),
        "revoked": say.gettext("revoked"),
        "ended": say.gettext("given up"),
    }
    return words[phase]


def step_word(kind: str, say: Language) -> str:
    """Return what a step of a grant did."""
    words = {
        "grant-asked": say.gettext("asked for"),
        "grant-approved": say.gettext("approved"),
        "grant-refused": say.gettext("refused"),
        "grant-withdrawn": say.gettext("withdrawn"),
        "grant-revoked": say.gettext("revoked"),
        "grant-ended": say.gettext("given up"),
    }
    return words[kind]


def verb(kind: str, say: Language) -> str:
    """Return what somebody can do with a grant, as a button says it."""
    verbs = {
        "grant-approved": say.gettext("Approve …"),
        "grant-refused": say.gettext("Refuse …"),
        "grant-withdrawn": say.gettext("Withdraw …"),
        "grant-revoked": say.gettext("Revoke …"),
        "grant-ended": say.gettext("Give up …"),
    }
    return verbs[kind]


def member_word(phase: str, say: Language) -> str:
    """Return what a member is in a word."""
    words = {
        "active": say.gettext("active"),
        "suspended": say.gettext("suspended"),
        "left": say.gettext("has left"),
    }
    return words[phase]


def class_word(name: str, say: Language) -> str:
    """Return what kind of a member it is, by the class in its id."""
    words = {
        "mun": say.gettext("municipality"),
        "assoc": say.gettext("association"),
        "dist": say.gettext("district"),
        "state": say.gettext("state"),
        "fed": say.gettext("federal body"),
        "agency": say.gettext("agency"),
        "util": say.gettext("utility"),
    }
    return words[name]


def key_word(fault: str, say: Language) -> str:
    """Return whether a key counts, in a word."""
    words = {
        "": say.gettext("counts"),
        "not-yet-valid": say.gettext("does not count yet"),
        "expired": say.gettext("expired"),
        "revoked": say.gettext("revoked"),
    }
    return words[fault]
