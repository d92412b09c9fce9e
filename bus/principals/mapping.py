"""Who the owner of a certificate is to the rules: Kafka's ``ssl.principal.mapping.rules``.

Rules stand in a list with commas: ``DEFAULT`` takes the certificate's subject as it is,
``RULE:pattern/replacement/`` takes what becomes of it if the pattern matches all of it; ``L`` or
``U`` at the end makes it lower or upper case. The first that applies counts (SslPrincipalMapper of
Apache Kafka). Patterns are Python's regular expressions instead of Java's; a group is ``$1``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

ANONYMOUS = "User:ANONYMOUS"

_RULE = re.compile(
    r"\s*(?:(?P<default>DEFAULT)|"
    r"RULE:(?P<pattern>(?:\\.|[^\\/])*)/(?P<instead>(?:\\.|[^\\/])*)/(?P<case>[LU]?))\s*(?:,|$)",
    re.DOTALL,
)
_REFERENCE = re.compile(r"\$(\d+)|\\(.)|([^$\\]+|\$)", re.DOTALL)


class Unmapped(Exception):
    """A certificate whose owner is nobody to the rules."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str] | None  # None: DEFAULT
    instead: str = ""
    case: str = ""

    def apply(self, name: str) -> str | None:
        if self.pattern is None:
            return name
        found = self.pattern.fullmatch(name)
        if found is None:
            return None
        mapped = found.expand(self.instead)
        return {"L": mapped.lower(), "U": mapped.upper()}.get(self.case, mapped)


class PrincipalMapping:
    """Turns a certificate's subject into a principal.

    Args:
        text: the rules.

    Raises:
        ValueError: they cannot be read.
    """

    def __init__(self, text: str) -> None:
        self._rules: Sequence[_Rule] = _parsed(text)

    def principal(self, subject: str) -> str:
        """Return the principal, such as ``User:CN=host,O=city``.

        Raises:
            Unmapped: no rule applies.
        """
        for rule in self._rules:
            name = rule.apply(subject)
            if name is not None:
                return f"User:{name}"
        raise Unmapped(f"no rule applies to {subject!r}")


def _parsed(text: str) -> list[_Rule]:
    rules: list[_Rule] = []
    at = 0
    while at < len(text.rstrip()):
        found = _RULE.match(text, at)
        if found is None:
            raise ValueError(f'"{text[at:]}" is neither DEFAULT nor RULE:pattern/replacement/[LU]')
        at = found.end()
        rules.append(_rule(found))
    return rules or [_Rule(None)]


def _rule(found: re.Match[str]) -> _Rule:
    if found["default"]:
        return _Rule(None)
    try:
        pattern = re.compile(found["pattern"])
        # Whatever Python sees in a replacement and Java does not is put there as it is.
        instead = _REFERENCE.sub(_referred, found["instead"])
    except re.error as error:
        raise ValueError(f'"{found["pattern"]}" is no pattern: {error}') from error
    wanted = [int(one) for one in re.findall(r"\\g<(\d+)>", instead)]
    if any(number > pattern.groups for number in wanted):
        raise ValueError(f'"{found["instead"]}" refers to a group that the pattern has not')
    return _Rule(pattern, instead, found["case"])


def _referred(part: re.Match[str]) -> str:
    if part[1]:
        return f"\\g<{part[1]}>"
    return (part[2] or part[3]).replace("\\", "\\\\")
