"""The first page: does it work, who is late, how much flows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bus.portal.chart import Point, compared, points
from bus.portal.condition import Condition, condition
from bus.portal.judging import Finding
from bus.portal.language import Language
from bus.portal.page import Page, Query, Sources
from bus.portal.picture import Picture
from bus.portal.shown import in_sentence
from bus.portal.states import State
from bus.portal.sums import MINUTE, Sum
from bus.portal.troubles import Trouble, troubles_of
from bus.portal.viewer import Role

NAMED = 3
"""Subscribers that the first sentence names; it counts the rest."""

LISTED = 20
"""Subscribers in trouble that the page lists; the page of subscribers has all."""

DAY = 24 * 60
RECENT = 5
"""Minutes that are compared with the same minutes of yesterday."""

SPANS = {"1h": (60, 1), "24h": (DAY, 15), "7d": (7 * DAY, 120)}
"""What the chart can show: minutes in all, and minutes that one point stands for."""

USUAL_SPAN = "1h"

SOUND = Condition()

_LOSING = {Finding.LOST, Finding.VANISHING}
_BEHIND = {Finding.STALLED, Finding.STRAYED, Finding.ENDANGERED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """Dead letters that wait."""

    topic: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the first page shows.

    Args:
        at: when the bus was seen; None: never yet.
        stale: that was long ago.
        state: of the bus as a whole.
        condition: how it is, its subscribers aside.
        received, sent: events a second; None: not known yet.
        recent: the last minutes, against yesterday's.
        topics, topics_active: how many topics there are, and how many of them got events just now.
        groups, groups_reading: how many groups there are, and how many have members.
        troubles: the worst first, at most as many as are listed.
        trouble_count: how many there are in all.
        late: those that are later than promised, the latest first.
        losing: those that lost events, or are about to.
        letters: dead letters, the most first.
        letter_count: in all.
        span: what the chart shows.
        points: the chart.
    """

    at: float | None
    stale: bool
    state: State
    condition: Condition
    received: float | None
    sent: float | None
    recent: Point
    topics: int
    topics_active: int
    groups: int
    groups_reading: int
    troubles: Sequence[Trouble]
    trouble_count: int
    late: Sequence[Trouble]
    losing: Sequence[Trouble]
    letters: Sequence[Letters]
    letter_count: int
    span: str
    points: Sequence[Point]

    def sentences(self, say: Language) -> Iterator[str]:
        """Yield what is to be known first, a sentence each."""
        if self.at is None:
            yield say.gettext(
                "Nothing is known yet: the bus is being looked at for the first time."
            )
            return
        if self.stale:
            yield say.gettext("The bus does not answer: what is shown here is old.")
            return
        failures = [*self.condition.failures(say), *_losing(self.losing, say)]
        if failures:
            yield from failures
        elif self.state is State.BAD:
            yield say.gettext("Something needs attention.")
        elif self.received is None:
            yield say.gettext("Everything works. The rate is being measured.")
        else:
            yield say.ngettext(
                "Everything works: %(number)s event a second.",
                "Everything works: %(number)s events a second.",
                self.received,
            )
        yield from self.condition.warnings(say)
        yield from _late(self.late, say)
        others = [one for one in self.troubles if one.finding in _BEHIND]
        if others:
            yield say.ngettext(
                "%(number)s subscriber makes no progress or is far behind.",
                "%(number)s subscribers make no progress or are far behind.",
                len(others),
            )
        if self.letter_count:
            yield say.ngettext(
                "%(number)s event was set aside and waits.",
                "%(number)s events were set aside and wait.",
                self.letter_count,
            )


def view(
    picture: Picture | None,
    now: float,
    *,
    span: str = USUAL_SPAN,
    points: Sequence[Point] = (),
    recent: Point | None = None,
    condition: Condition = SOUND,
) -> Overview:
    """Return what the first page shows.

    Args:
        picture: the bus as it was last seen; None: never yet.
        now: seconds since 1970.
        span: what the chart shows, one of `SPANS`.
        points: the chart.
        recent: the last minutes.
        condition: how the bus is, its subscribers aside.
    """
    troubles = troubles_of(picture) if picture else ()
    survey = picture.survey if picture else None
    stale = picture is not None and picture.stale(now)
    topics = picture.topics() if picture else ()
    groups = picture.groups() if picture else ()
    letters = sorted(
        (
            Letters(topic=name, count=count)
            for name, count in (survey.dead if survey else {}).items()
            if count
        ),
        key=lambda one: (-one.count, one.topic),
    )
    late = [one for one in troubles if one.finding is Finding.LATE]
    return Overview(
        at=survey.at if survey else None,
        stale=stale,
        state=_state(survey is not None and not stale, troubles, condition, bool(letters)),
        condition=condition,
        received=picture.rates.into if picture and picture.rates else None,
        sent=picture.rates.out if picture and picture.rates else None,
        recent=recent or compared({}, {}),
        topics=len(topics),
        topics_active=sum(1 for one in topics if picture and picture.received(one.topic)),
        groups=len(groups),
        groups_reading=sum(1 for one in groups if one.members),
        troubles=troubles[:LISTED],
        trouble_count=len(troubles),
        late=sorted(late, key=lambda one: -(one.seconds or 0.0)),
        losing=[one for one in troubles if one.finding in _LOSING],
        letters=letters[:LISTED],
        letter_count=sum(one.count for one in letters),
        span=span,
        points=points,
    )


def _losing(losing: Sequence[Trouble], say: Language) -> Iterator[str]:
    lost = sum(one.finding is Finding.LOST for one in losing)
    if lost:
        yield say.ngettext(
            "Events are being lost: %(number)s subscriber is affected.",
            "Events are being lost: %(number)s subscribers are affected.",
            lost,
        )
    if len(losing) > lost:
        yield say.ngettext(
            "%(number)s subscriber may lose events soon.",
            "%(number)s subscribers may lose events soon.",
            len(losing) - lost,
        )


def _late(late: Sequence[Trouble], say: Language) -> Iterator[str]:
    if not late:
        return
    named = "; ".join(
        say.gettext(
            "%(group)s, %(span)s, promised %(promise)s",
            group=in_sentence(one.group),
            span=say.span(one.seconds or 0.0, "long"),
            promise=say.span(one.promise or 0.0, "long"),
        )
        for one in late[:NAMED]
    )
    if len(late) == 1:
        yield say.gettext("One subscriber is late: %(named)s.", named=named)
    elif len(late) <= NAMED:
        yield say.gettext(
            "%(number)s subscribers are late: %(named)s.", number=say.number(len(late)), named=named
        )
    else:
        yield say.gettext(
            "%(number)s subscribers are late, above all: %(named)s.",
            number=say.number(len(late)),
            named=named,
        )


def _state(known: bool, troubles: Sequence[Trouble], condition: Condition, letters: bool) -> State:
    if not known:
        return State.UNKNOWN
    states = [condition.state, *(one.finding.state for one in troubles)]
    if letters:
        states.append(State.WARNING)
    return max(states, key=lambda state: state.severity, default=State.GOOD)


def _look(sources: Sources, query: Query) -> Overview:
    span = query.get("span", "")
    span = span if span in SPANS else USUAL_SPAN
    minutes, step = SPANS[span]
    this = int(sources.now // MINUTE)
    end = this // step + 1
    first = end - minutes // step
    return view(
        sources.picture,
        sources.now,
        span=span,
        points=points(*_sums(sources, first, end, step), first, end, step),
        recent=compared(*_sums(sources, this - RECENT, this, 1)),
        condition=condition(
            sources.picture, sources.silence, sources.roles, sources.telemetry, sources.now
        ),
    )


def _sums(
    sources: Sources, first: int, end: int, step: int
) -> tuple[dict[int, Sum], dict[int, Sum]]:
    """Return what was counted in whiles, and a day before each of them."""
    day = DAY // step
    now = sources.sums.read(first * step, end * step, step)
    before = sources.sums.read((first - day) * step, (end - day) * step, step)
    return now, {number + day: counted for number, counted in before.items()}


PAGE = Page(name="overview", path="/", role=Role.VIEWER, view=_look)
