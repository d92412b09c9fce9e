"""Who sees a topic's payloads without masks for a while, and what is noted of who sees payloads."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bus.audit import Notes, log, quoted
from bus.portal.application import Application
from bus.portal.security.forms import place
from bus.portal.viewer import Role, Viewer, address, require

UNMASK = "/unmask"

SECONDS = 600.0
"""For so long a topic stays unmasked."""

MOST = 1000
"""Topics that are unmasked at a time, over all viewers."""

SHORTEST_REASON, LONGEST_REASON = 5, 200
"""Characters of a reason."""


@dataclass(frozen=True, slots=True)
class _Place:
    browser: str
    viewer: str
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """What a page says of a topic's masks.

    Args:
        topic: the topic.
        on: whether something is masked.
        left: for how many seconds nothing is.
        may_unmask: whether who looks may take the masks off.
        refused: a reason was missing, too short or too long.
    """

    topic: str
    on: bool
    left: float
    may_unmask: bool
    refused: bool
    span: float = SECONDS
    least: int = SHORTEST_REASON
    most: int = LONGEST_REASON


class Unmasking:
    """Remembers whose masks are off; a restart puts them all on.

    It holds for one topic and one browser, until somebody logs in or out there.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[_Place, float] = {}
        self._notes = Notes()

    def routes(self, _: Application) -> Iterable[Route]:
        """Return what is served: the form that takes masks off."""
        yield Route(UNMASK, self._unmask, methods=["POST"])

    def left(self, request: Request, topic: str) -> float:
        """Return for how many seconds a topic's masks are off; 0 if they are on."""
        if request.state.viewer.role < Role.ADMINISTRATOR:
            return 0.0
        return max(self._until.get(_place(request, topic), 0.0) - self._clock(), 0.0)

    def masks(self, request: Request, topic: str, *, on: bool) -> Masks:
        """Return what a page says of a topic's masks.

        Args:
            request: who looks.
            topic: the topic.
            on: whether something is masked.
        """
        return Masks(
            topic=topic,
            on=on,
            left=self.left(request, topic),
            may_unmask=request.state.viewer.role >= Role.ADMINISTRATOR,
            refused="refused" in request.query_params,
        )

    def looked(self, request: Request, topic: str, *, clear: bool, what: str = "") -> None:
        """Note that somebody looks at a topic's payloads; what repeats is counted by the minute.

        Args:
            request: who looks.
            topic: the topic.
            clear: nothing is masked.
            what: more of what they see, as it stands in the line.
        """
        masks = "off" if clear else "on"
        line = f"payloads viewed {_who(request, topic)} masks={masks}{what and f' {what}'}"
        viewer: Viewer = request.state.viewer
        who = f"{viewer.name}@{address(request)}"
        self._notes.tell("payloads viewed", who, (who, topic, clear, what), line)

    def unmasked(self, request: Request, topic: str, reason: str) -> bool:
        """Note that somebody sees a topic's payloads without masks this once, for a reason.

        Returns:
            Whether it is a reason, and who looks may.
        """
        reason = " ".join(reason.split())
        if request.state.viewer.role < Role.ADMINISTRATOR or not _is_reason(reason):
            return False
        log.warning("payloads unmasked %s reason=%s", _who(request, topic), quoted(reason))
        return True

    async def _unmask(self, request: Request) -> Response:
        """Take a topic's masks off for a while, for a reason, and note it."""
        require(request, Role.ADMINISTRATOR)
        form = request.state.form
        topic, reason = form.get("topic", ""), " ".join(form.get("reason", "").split())
        then = place(form.get("then", "/"))
        if not _is_reason(reason):
            refused = urlencode({"refused": "1"})
            return RedirectResponse(f"{then}{'&' if '?' in then else '?'}{refused}", 303)
        now = self._clock()
        self._until = {known: until for known, until in self._until.items() if until > now}
        while len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        log.warning("payloads unmasked %s reason=%s", _who(request, topic), quoted(reason))
        self._until[_place(request, topic)] = now + SECONDS
        return RedirectResponse(then, 303)


def _is_reason(text: str) -> bool:
    return SHORTEST_REASON <= len(text) <= LONGEST_REASON


def _place(request: Request, topic: str) -> _Place:
    # What proves a form to be ours is known to this browser alone, and another after each login.
    return _Place(request.state.csrf, request.state.viewer.name, topic)


def _who(request: Request, topic: str) -> str:
    name = request.state.viewer.name
    return f"user={quoted(name)} address={quoted(address(request))} topic={quoted(topic)}"
