"""Whether something is wrong, in the words of Nagios: what `stadtbus check` says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.watch.limits import Limits, Status
from bus.watch.names import is_internal
from bus.watch.survey import Subscription, Survey

ENDANGERED, LOSING = 0.5, 0.8
"""Lag as a part of retention at which events are in danger, and all but lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measured value, with the limits that it was held against.

    Args:
        name: what was measured.
        value: how much.
        unit: ``s``, ``B``, ``%``, or nothing for a count.
        warn: above this, or below it where less is worse, it is a warning.
        critical: above this, or below it, it is critical.
        less_is_worse: whether the limits are the least that it shall be.
    """

    name: str
    value: float
    unit: str = ""
    warn: float | None = None
    critical: float | None = None
    less_is_worse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found.

    Args:
        status: how bad it is.
        text: one sentence.
        details: a line for each thing that is wrong, worst first.
        measures: what was measured.
    """

    status: Status
    text: str
    details: Sequence[str] = ()
    measures: Sequence[Measure] = field(default=())


def lag(survey: Survey, limits: Limits, *, user: str | None = None) -> Verdict:
    """Judge how far subscribers are behind.

    Without a limit, a subscriber is held to what it promised. Whatever the limits say, events that
    were deleted unread are critical, as are those that will be soon. Where a user sees no
    subscription at all, not even the canary's, nobody can say how they are.

    Args:
        survey: what was found.
        limits: seconds.
        user: who has looked; None where nobody has to log in, and everybody sees everything.
    """
    if user is not None and not any(True for _ in survey.subscriptions()):
        return failed(
            f"there is no subscription, or none that the user {user} may see: it needs Describe on "
            "groups and topics",
            unreachable=False,
        )
    ones = [
        one
        for one in survey.subscriptions()
        if not (is_internal(one.group) or is_internal(one.topic))
    ]
    judged = sorted(
        ((*_judged(one, survey.topics[one.topic].retention, limits), one) for one in ones),
        key=lambda found: (-found[0], -(found[2].seconds or 0.0)),
    )
    wrong = [(status, words) for status, words, _ in judged if status is not Status.OK]
    worst = max((status for status, _ in wrong), default=Status.OK)
    count = f"{len(ones)} subscription{'' if len(ones) == 1 else 's'}"
    text = f"{len(wrong)} of {count} need attention" if wrong else f"{count}, none is late"
    measures = [
        Measure(
            name=f"{one.group}/{one.topic}",
            value=one.seconds,
            unit="s",
            warn=limits.warn if limits.warn is not None else one.promise,
            critical=limits.critical,
        )
        for _, _, one in judged
        if one.seconds is not None
    ]
    details = [f"{status.name}: {words}" for status, words in wrong]
    return Verdict(status=worst, text=text, details=details, measures=measures)


def _judged(one: Subscription, retention: float | None, limits: Limits) -> tuple[Status, str]:
    """Return how bad one subscription is, and why."""
    who = f"{one.group} on {one.topic}"
    if one.lost:
        return Status.CRITICAL, f"{who}: {one.lost} events were deleted before it read them"
    if one.ahead:
        return Status.CRITICAL, f"{who}: its position is {one.ahead} behind the end of the log"
    if one.seconds is None:
        if not one.records:
            return Status.OK, who
        why = "never committed" if one.never_committed else "its next event cannot be read"
        return Status.WARNING, f"{who}: {why}, {one.records} events are unread"
    share = one.seconds / retention if retention else 0.0
    if share > LOSING:
        return Status.CRITICAL, f"{who}: {share:.0%} of the time until events are deleted is over"
    if (status := _held(one, limits).above(one.seconds)) is not Status.OK:
        promised = f", promised {one.promise:g} s" if one.promise is not None else ""
        return status, f"{who}: {one.seconds:.1f} s behind{promised}, {one.records} events"
    if share > ENDANGERED:
        return Status.WARNING, f"{who}: {share:.0%} of the time until events are deleted is over"
    return Status.OK, who


def _held(one: Subscription, limits: Limits) -> Limits:
    """Return what a subscriber is held to: the limits that were given, or its own promise."""
    if limits.warn is None and limits.critical is None:
        return Limits(one.promise, None)
    return limits


def broker(brokers: int, leaderless: Sequence[str], lagging: Sequence[str]) -> Verdict:
    """Judge an engine that has answered.

    Args:
        brokers: how many there are.
        leaderless: partitions that nobody leads.
        lagging: partitions with fewer copies in step than they shall have.
    """
    details = [
        *(f"CRITICAL: {place} has no leader" for place in leaderless),
        *(f"WARNING: {place} has copies that are not in step" for place in lagging),
    ]
    status = Status.CRITICAL if leaderless else Status.WARNING if lagging else Status.OK
    text = f"{brokers} broker{'' if brokers == 1 else 's'}"
    if leaderless or lagging:
        text += f", {len(leaderless)} partitions without a leader, {len(lagging)} not in step"
    else:
        text += ", every partition is led"
    measures = (
        Measure(name="brokers", value=brokers),
        Measure(name="leaderless", value=len(leaderless)),
        Measure(name="lagging", value=len(lagging)),
    )
    return Verdict(status=status, text=text, details=details, measures=measures)


def rights(missing: Sequence[str], surplus: Sequence[str], without: Sequence[str]) -> Verdict:
    """Judge an engine's rules, as they were held against the journal.

    Args:
        missing: rules that there should be, in words.
        surplus: rules that allow a system more than it may.
        without: systems that have rights and no password, which is fine with a certificate.
    """
    details = [
        *(f"CRITICAL: too much: {rule}" for rule in surplus),
        *(f"CRITICAL: missing: {rule}" for rule in missing),
        *(f"{system} has no password" for system in without),
    ]
    drift = bool(missing or surplus)
    text = (
        f"{len(missing)} rights missing, {len(surplus)} too many"
        if drift
        else "as the journal says"
    )
    measures = (
        Measure(name="missing", value=len(missing), critical=0),
        Measure(name="surplus", value=len(surplus), critical=0),
        Measure(name="without_password", value=len(without)),
    )
    status = Status.CRITICAL if drift else Status.OK
    return Verdict(status=status, text=text, details=details, measures=measures)


def disk(where: str, free: int, total: int, limits: Limits) -> Verdict:
    """Judge the room on a disk.

    Args:
        where: the folder.
        free, total: bytes.
        limits: percent that shall be free.
    """
    share = 100 * free / total if total else 0.0
    return Verdict(
        status=limits.below(share),
        text=f"{share:.1f} % free on the disk of {where}: {free / 1e9:.1f} of {total / 1e9:.1f} GB",
        measures=(
            Measure(
                name="free",
                value=share,
                unit="%",
                warn=limits.warn,
                critical=limits.critical,
                less_is_worse=True,
            ),
            Measure(name="free_bytes", value=free, unit="B"),
        ),
    )


def canary(seconds: float | None, waited: float, limits: Limits) -> Verdict:
    """Judge an event that was sent and waited for.

    Args:
        seconds: how long it took; None if it did not come.
        waited: how long it was waited for.
        limits: seconds.
    """
    if seconds is None:
        return Verdict(
            status=Status.CRITICAL, text=f"an event has not come back within {waited:g} s"
        )
    return Verdict(
        status=limits.above(seconds),
        text=f"an event came back after {seconds:.3f} s",
        measures=(
            Measure(
                name="roundtrip",
                value=seconds,
                unit="s",
                warn=limits.warn,
                critical=limits.critical,
            ),
        ),
    )


def failed(text: str, *, unreachable: bool) -> Verdict:
    """Return the verdict where nothing could be found out.

    Args:
        text: why.
        unreachable: whether that itself is what is wrong.
    """
    return Verdict(status=Status.CRITICAL if unreachable else Status.UNKNOWN, text=text)


def nagios(check: str, verdict: Verdict, most: int = 50) -> str:
    """Return a verdict as a Nagios plug-in writes it: a line, details, values behind a bar.

    Args:
        check: what was checked.
        verdict: what was found.
        most: of how many things details and values are written, worst first.
    """
    values = " ".join(_value(one) for one in verdict.measures[:most])
    first = f"STADTBUS {check.upper()} {verdict.status.name}: {_plain(verdict.text)}"
    lines = [f"{first} | {values}" if values else first]
    lines += [_plain(line) for line in verdict.details[:most]]
    if (left := len(verdict.details) - most) > 0:
        lines.append(f"and {left} more")
    return "\n".join(lines)


def _value(one: Measure) -> str:
    # The end of a range that is missing is without bound; with one number, that is the upper end.
    colon = ":" if one.less_is_worse else ""
    limits = [
        f"{limit:g}{colon}" if limit is not None else "" for limit in (one.warn, one.critical)
    ]
    text = ";".join([f"'{_plain(one.name)}'={one.value:.6g}{one.unit}", *limits])
    return text.rstrip(";")


def _plain(text: str) -> str:
    """Return text that cannot be taken for anything else: names of groups are strangers' words."""
    return "".join("_" if c in "|'=\x7f" or not c.isprintable() else c for c in text)


def as_json(check: str, verdict: Verdict) -> dict[str, object]:
    """Return a verdict as JSON values."""
    return {
        "v": 1,
        "check": check,
        "status": verdict.status.name.lower(),
        "code": int(verdict.status),
        "text": verdict.text,
        "details": list(verdict.details),
        "measures": [
            {
                "name": one.name,
                "value": one.value,
                "unit": one.unit,
                "warn": one.warn,
                "critical": one.critical,
            }
            for one in verdict.measures
        ],
    }
