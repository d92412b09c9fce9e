"""How long things are kept and how often they are expected: ISO 8601 durations."""

import re
from datetime import timedelta

LAST_STATE = "last-state"
"""The retention that keeps the last event of every key for good."""

_N = "[0-9]{1,8}"
"""Digits of a part: so few that no sum of parts is more than a length of time can be."""

_DURATION = re.compile(
    rf"P(?=.)(?:(?P<days>{_N})D)?"
    rf"(?:T(?=.)(?:(?P<hours>{_N})H)?(?:(?P<minutes>{_N})M)?(?:(?P<seconds>{_N})S)?)?"
)


def duration(text: str) -> timedelta:
    """Return an ISO 8601 duration of days, hours, minutes and seconds.

    Raises:
        ValueError: it is none, zero, or has a number of more than eight digits; months and years
            have no fixed length and are none here.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(
            f'"{text[:40]}" is no ISO 8601 duration of days or less such as P30D or PT15M, '
            "with at most eight digits in a number"
        )
    parts = {name: int(number) for name, number in found.groupdict().items() if number}
    length = timedelta(**parts)
    if not length:
        raise ValueError(f'"{text}" is no time at all')
    return length
