"""What a subscriber promises, as it travels in the metadata of its commits.

``stadtbus/1 promise=30``: a mark with a version, then names and values. What others write beside
their positions is theirs, and says nothing here.
"""

import math
import re

_MARK = "stadtbus/1"
_PROMISE = re.compile(r"(?:^| )promise=([0-9]{1,9}(?:\.[0-9]{1,3})?)(?: |$)")


def metadata(promise: float | None) -> str:
    """Return what a subscriber writes beside its positions; nothing without a promise.

    Args:
        promise: how far it will be behind at the most, in seconds.
    """
    if promise is None:
        return ""
    return f"{_MARK} promise={promise:.3f}".rstrip("0").rstrip(".")


def promised(text: str) -> float | None:
    """Return the seconds that were promised; None where there is no promise that we can read."""
    if not text.startswith(f"{_MARK} "):
        return None
    found = _PROMISE.search(text)
    return float(found[1]) if found and float(found[1]) > 0 else None


def is_promise(seconds: float) -> bool:
    """Whether a subscriber can promise that: from a thousandth of a second to thirty years."""
    return math.isfinite(seconds) and 0.001 <= seconds < 1e9
