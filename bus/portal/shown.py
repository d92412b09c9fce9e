"""Text that strangers chose, shown as text: nothing in it is obeyed, and all of it can be seen."""

import re
import unicodedata

LONGEST = 160
"""Characters of a name that are shown in a row; the rest is in its title."""

LONGEST_IN_SENTENCE = 60

_TURNING = frozenset({"R", "AL", "AN"})
_PICTURES = 0x2400
_DELETE = 0x7F
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_NEEDS_CARE = re.compile(r"[^\x20-\x7e]")


def visible(text: str) -> str:
    """Return a text whose invisible characters can be seen.

    Control characters become their pictures (Unicode, block 2400); what would turn the direction
    of writing or hide itself becomes its number.
    """
    return _NEEDS_CARE.sub(_picture, text)


def visible_lines(text: str) -> str:
    """Return a text whose invisible characters can be seen, but for the ends of its lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _picture(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == _DELETE:
        return "\u2421"
    if unicodedata.category(character) in _HIDDEN:
        return f"\\u{code:04x}"
    return character


def in_sentence(text: str) -> str:
    """Return a name as it stands in a sentence: not too long, and it does not turn what follows.

    A name that is written from right to left is isolated (Unicode Bidirectional Algorithm, 2.4.2).
    """
    name = clipped(visible(text), LONGEST_IN_SENTENCE)
    turned = any(unicodedata.bidirectional(character) in _TURNING for character in name)
    return f"\u2068{name}\u2069" if turned else name


def clipped(text: str, longest: int = LONGEST) -> str:
    """Return a text of bearable length."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
