"""What is said in the reader's language: texts, numbers, times; and which language that is.

Texts are looked up by their English sentences (gettext). The catalogues in ``locale`` are read as
they are, so that none has to be compiled.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Any, Literal

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

SOURCE = "en"
"""The language that texts are written in."""

DEFAULT = "de"
"""For readers who ask for none that there is."""

_BYTES = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte")
EARLIEST, LATEST = -62_000_000_000.0, 253_000_000_000.0
"""Seconds since 1970: the years 5 and 9987, in every zone."""

_SPANS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_FEW = 10
"""Of fewer of a unit the next smaller one is told, too; of fewer seconds a decimal."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language that pages are written in.

    Args:
        code: ``de``, as HTML and HTTP have it.
        locale: how it writes numbers and times.
        texts: what it says instead of the English.
    """

    code: str
    locale: Locale
    texts: NullTranslations

    @property
    def name(self) -> str:
        """The language's name in itself."""
        return self.locale.get_display_name(self.locale) or self.code

    def gettext(self, message: str, **values: Any) -> str:
        """Return a text, with values in the places of ``%(name)s``."""
        text = self.texts.gettext(message)
        return text % values if values else text

    def ngettext(self, one: str, many: str, number: float, **values: Any) -> str:
        """Return a text about a number of things; ``%(number)s`` is the number as it is written."""
        whole = int(number) if number == int(number) else 2  # 1.5 is many
        text = self.texts.ngettext(one, many, whole)
        return text % {"number": self.number(number), **values}

    def number(self, value: float) -> str:
        """Write a number: whole if it is large, else with as many decimals as tell something."""
        digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 1 else 2
        rounded = round(value, digits)
        return str(format_decimal(rounded, locale=self.locale))

    def percent(self, share: float) -> str:
        """Write a share of 1 as percent."""
        return str(format_percent(share, locale=self.locale))

    def bytes(self, size: float) -> str:
        """Write an amount of bytes, in the unit that leaves few digits (1 kB is 1000 bytes)."""
        power = 0 if size < 1000 else min(int(math.log10(size)) // 3, len(_BYTES) - 1)
        value = round(size / 1000**power, 0 if power == 0 else 1)
        unit = f"digital-{_BYTES[power]}"
        return str(format_unit(value, unit, length="short", locale=self.locale))

    def span(self, seconds: float, length: Literal["short", "long"] = "short") -> str:
        """Write how long something takes: in a large unit, and in the next where few are full.

        So what is late can be told from what was promised: 75 s from a minute.

        Args:
            seconds: how long.
            length: whether the units are abbreviated.
        """
        return " ".join(
            str(format_unit(value, f"duration-{unit}", length=length, locale=self.locale))
            for unit, value in _parts(max(seconds, 0.0))
        )

    def whole_span(self, seconds: float) -> str | None:
        """Write how long something takes without rounding; None where two units do not tell it."""
        sizes = dict(_SPANS)
        told = sum(value * sizes[unit] for unit, value in _parts(seconds))
        return self.span(seconds, "long") if told == seconds else None

    def ago(self, seconds: float) -> str:
        """Write how long ago something was."""
        whole = -max(round(seconds), 0) or -1
        return str(format_timedelta(whole, add_direction=True, locale=self.locale, threshold=1.2))

    def moment(self, timestamp: float) -> str:
        """Write a time, in the zone of this machine."""
        return str(format_datetime(_local(timestamp), "medium", locale=self.locale))

    def short_moment(self, timestamp: float, *, with_day: bool) -> str:
        """Write a time as briefly as a table's row needs it."""
        skeleton = "EEE dd.MM. HH:mm" if self.code == "de" else "EEE d MMM, HH:mm"
        pattern = skeleton if with_day else "HH:mm"
        return str(format_datetime(_local(timestamp), pattern, locale=self.locale))


def _parts(seconds: float) -> Iterator[tuple[str, float]]:
    """Yield a span's units and how many there are of each, rounded."""
    if seconds < _FEW:
        yield "second", round(seconds, 1)
        return
    whole = round(seconds)
    place = next(index for index, (_, size) in enumerate(_SPANS) if whole >= size)
    unit, size = _SPANS[place]
    smaller, step = _SPANS[min(place + 1, len(_SPANS) - 1)]
    steps = round(whole / step)
    if steps * step >= _FEW * size:
        yield unit, round(whole / size)
        return
    yield unit, steps * step // size
    if rest := steps % (size // step):
        yield smaller, rest


def iso(timestamp: float) -> str:
    """Return a time as ISO 8601 has it, with milliseconds and zone."""
    return _local(timestamp).isoformat(timespec="milliseconds")


def _local(timestamp: float) -> datetime:
    """Return a time in this machine's zone; one beyond the calendar as the nearest within it.

    Publishers choose the times of records where a topic lets them.
    """
    within = min(max(timestamp, EARLIEST), LATEST)
    return datetime.fromtimestamp(within, UTC).astimezone()


@cache
def languages() -> Mapping[str, Language]:
    """Return all languages by their codes; their catalogues are read once."""
    found = {SOURCE: Language(SOURCE, Locale.parse(SOURCE), NullTranslations())}
    for file in sorted(files("bus.portal").joinpath("locale").iterdir(), key=lambda one: one.name):
        code, dot, suffix = file.name.rpartition(".")
        if dot and suffix == "po":
            with file.open("rb") as written:
                catalogue = read_po(written, locale=code)
            compiled = BytesIO()
            write_mo(compiled, catalogue)
            compiled.seek(0)
            found[code] = Language(code, Locale.parse(code), GNUTranslations(compiled))
    return dict(sorted(found.items()))


def choose(wanted: str | None, kept: str | None, accepted: str) -> Language:
    """Return the language of an answer.

    Args:
        wanted: what the address asks for.
        kept: what was asked for before.
        accepted: the header ``Accept-Language`` (RFC 9110, section 12.5.4).
    """
    known = languages()
    for code in (wanted, kept):
        if code is not None and code in known:
            return known[code]
    return next((known[code] for code in _preferred(accepted) if code in known), known[DEFAULT])


def _preferred(accepted: str) -> Iterator[str]:
    """Yield the languages of a header, best first."""
    weighed = []
    for part in accepted[:1000].split(","):
        tag, _, parameter = part.strip().partition(";")
        weighed.append((_weight(parameter), tag.strip().lower().partition("-")[0]))
    for weight, code in sorted(weighed, key=lambda one: -one[0]):
        if weight > 0:
            yield code


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
