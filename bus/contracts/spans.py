"""How long things are kept and how often they are expected: ISO 8601 durations."""

import re
from datetime import timedelta

LAST_STATE = "last-state"
"""The retention that keeps the last event of every key for good."""

_DURATION = re.compile(
    r"P(?=.)(?:(?P<days>\d+)D)?(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)


def duration(text: str) -> timedelta:
    """Return an ISO 8601 duration of days, hours, minutes and seconds.

    Raises:
        ValueError: it is none, or zero; months and years have no fixed length and are none here.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(f'"{text}" is no ISO 8601 duration such as P30D or PT15M')
    parts = {name: int(number) for name, number in found.groupdict().items() if number}
    length = timedelta(**parts)
    if not length:
        raise ValueError(f'"{text}" is no time at all')
    return length
