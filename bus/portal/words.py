"""Words for what code has names for, in the reader's language."""

from bus.contracts import LAST_STATE, duration
from bus.portal.changes import Change, Kind
from bus.portal.judging import Finding
from bus.portal.language import Language
from bus.portal.shown import clipped, visible
from bus.portal.states import State
from bus.portal.viewer import Role
from bus.trust.grants.vocabulary import PURPOSES
from bus.watch.rates import Trend


def page_title(name: str, say: Language) -> str:
    """Return what a page is called."""
    titles = {
        "overview": say.gettext("Overview"),
        "topics": say.gettext("Topics"),
        "subscribers": say.gettext("Subscribers"),
        "contracts": say.gettext("Contracts"),
        "contract": say.gettext("Contract"),
        "tail": say.gettext("Events"),
        "traffic": say.gettext("Traffic"),
        "disclosures": say.gettext("Disclosures"),
        "letters": say.gettext("Dead letters"),
        "node": say.gettext("Node"),
        "members": say.gettext("Members"),
        "member": say.gettext("Member"),
        "grants": say.gettext("Grants"),
        "grant": say.gettext("Grant"),
        "grant_new": say.gettext("Ask for a grant"),
        "grant_prepared": say.gettext("To be signed"),
        "grant_hand_in": say.gettext("Hand in what was signed"),
        "register": say.gettext("Register of processing"),
        "login": say.gettext("Log in"),
        "logged_out": say.gettext("Logged out"),
    }
    return titles[name]


def state_word(state: State, say: Language) -> str:
    """Return a state in a word."""
    words = {
        State.GOOD: say.gettext("in order"),
        State.WARNING: say.gettext("needs a look"),
        State.BAD: say.gettext("needs help"),
        State.QUIET: say.gettext("quiet"),
        State.UNKNOWN: say.gettext("not known"),
    }
    return words[state]


def flow_word(state: State, say: Language) -> str:
    """Return in a word whether something flows on a topic."""
    words = {
        State.GOOD: say.gettext("flows"),
        State.QUIET: say.gettext("quiet"),
        State.WARNING: say.gettext("silent"),
    }
    return words[state]


def finding_word(finding: Finding, say: Language) -> str:
    """Return in a word or two what can be said of a subscription."""
    words = {
        Finding.LOST: say.gettext("missed events"),
        Finding.VANISHING: say.gettext("about to miss events"),
        Finding.STRAYED: say.gettext("position is lost"),
        Finding.STALLED: say.gettext("makes no progress"),
        Finding.ENDANGERED: say.gettext("far behind"),
        Finding.LATE: say.gettext("late"),
        Finding.NEVER: say.gettext("never committed"),
        Finding.UNREADABLE: say.gettext("not known"),
        Finding.READING: say.gettext("reading"),
        Finding.CURRENT: say.gettext("up to date"),
    }
    return words[finding]


def trend_word(trend: Trend | None, say: Language) -> str:
    """Return in a word where a lag is going."""
    words = {
        "growing": say.gettext("growing"),
        "shrinking": say.gettext("shrinking"),
        "steady": say.gettext("steady"),
        None: say.gettext("not known"),
    }
    return words[trend]


def origin_word(origin: str, say: Language) -> str:
    """Return where a setting comes from; a file's name stays as it is."""
    words = {
        "default": say.gettext("default"),
        "environment": say.gettext("environment"),
        "flags": say.gettext("command line"),
        "node": say.gettext("set by the node"),
    }
    return words.get(origin, origin)


def change_sentence(change: Change, say: Language) -> str:
    """Return in a sentence what changed between two versions."""
    sentences = {
        Kind.ADDED: say.gettext("%(field)s was added: %(new)s."),
        Kind.REMOVED: say.gettext("%(field)s was removed; it was %(old)s."),
        Kind.RETYPED: say.gettext("%(field)s was %(old)s, and is now %(new)s."),
        Kind.GAINED: say.gettext("%(field)s can now also be %(new)s."),
        Kind.LOST: say.gettext("%(field)s can no longer be %(old)s."),
        Kind.DEFAULT: say.gettext("If %(field)s is missing, %(new)s is read instead of %(old)s."),
        Kind.DOCUMENTED: say.gettext("What %(field)s means is worded anew."),
    }
    sentence = sentences[change.kind]
    if change.kind is Kind.ADDED and change.old is not None:
        sentence = say.gettext(
            "%(field)s was added: %(new)s. In events without it, %(old)s is read."
        )
    nothing = say.gettext("nothing")
    old = nothing if change.old is None else clipped(visible(change.old))
    new = nothing if change.new is None else clipped(visible(change.new))
    return sentence % {"field": change.path, "old": old, "new": new}


def access_word(access: str, say: Language) -> str:
    """Return in a word who may read a contract's events."""
    words = {"open": say.gettext("open"), "restricted": say.gettext("restricted")}
    return words.get(access, access)


def lasting(text: str, say: Language) -> str:
    """Return in words how long a contract's events are kept, or how often they are expected.

    What two units do not tell, as 25.5 hours, stays as the contract has it.
    """
    if text == LAST_STATE:
        return say.gettext("the last state of each key, for good")
    seconds = duration(text).total_seconds()
    span = say.whole_span(seconds)
    return text if span is None else span


def sensitivity_word(word: str, say: Language) -> str:
    """Return how far a field may be shown."""
    words = {
        "public": say.gettext("public"),
        "internal": say.gettext("internal"),
        "confidential": say.gettext("confidential"),
        "restricted": say.gettext("restricted"),
    }
    return words.get(word, word)


def fault_word(fault: str, say: Language) -> str:
    """Return why a record is not shown as an event; what has no words stays as it is."""
    words = {
        "bad-envelope": say.gettext("Not decoded: its headers are not those of an event."),
        "bad-batch": say.gettext("Not decoded: its batch cannot be taken apart."),
        "bad-key": say.gettext("Not decoded: its key is none."),
        "bad-frame": say.gettext("Not decoded: no schema's number stands before its data."),
        "bad-data": say.gettext("Not decoded: its data is not what its schema says."),
        "unknown-schema": say.gettext("Not decoded: the contract has no such schema."),
        "no-contract": say.gettext("Not decoded: the topic has no contract."),
        "no-registry": say.gettext("Not decoded: the registry cannot be reached."),
    }
    return words.get(fault, fault)


def role_word(role: Role, say: Language) -> str:
    """Return what somebody may do in a word."""
    words = {
        Role.NOBODY: say.gettext("not logged in"),
        Role.VIEWER: say.gettext("viewer"),
        Role.OPERATOR: say.gettext("operator"),
        Role.ADMINISTRATOR: say.gettext("administrator"),
    }
    return words[role]


def purpose_word(purpose: str, say: Language) -> str:
    """Return what data may be used for; a word of a newer vocabulary stays as it is."""
    known = PURPOSES.get(purpose)
    if known is None:
        return purpose
    return known.de if say.code == "de" else known.en


def purposes(say: Language) -> list[tuple[str, str]]:
    """Return what data may be used for, each as a word and in the reader's language, sorted."""
    known = [(word, purpose_word(word, say)) for word in PURPOSES]
    return sorted(known, key=lambda one: one[1].casefold())


def problem(status: int, say: Language) -> tuple[str, str]:
    """Return the title of an error's page, and what to do."""
    form = (
        say.gettext("This form is out of date"),
        say.gettext("Load the page again, and send the form once more. Nothing was changed."),
    )
    known = {
        400: form,
        413: form,
        415: form,
        401: (
            say.gettext("You are not logged in"),
            say.gettext("Log in, and try again."),
        ),
        403: (
            say.gettext("You may not see this page"),
            say.gettext("Ask an administrator of the bus for the right to."),
        ),
        404: (
            say.gettext("There is no such page"),
            say.gettext("Choose one from the menu."),
        ),
        405: (
            say.gettext("This cannot be done here"),
            say.gettext("Choose a page from the menu."),
        ),
    }
    unknown = (
        say.gettext("Something went wrong"),
        say.gettext("The node's log says what. Load the page again, or report it."),
    )
    return known.get(status, unknown)
