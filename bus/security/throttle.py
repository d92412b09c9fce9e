"""How long somebody who failed to log in has to wait; pure, and bounded in memory."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

FREE = 3
"""Failures that cost no time: people mistype."""

LONGEST_OF_ADDRESS, LONGEST_OF_USER = 900.0, 60.0
"""Seconds. A user's pauses stay short: anybody can cause them, and shall not keep users out."""

FORGOTTEN = 3600.0
"""Seconds after which a failure counts no more."""

MOST = 10_000
"""Addresses, and users, that are remembered; of more, those who failed the longest ago are not."""


LONGEST_ADDRESS = 64
"""Characters that are remembered of an address that is none, as a proxy may tell one."""


class Throttle:
    """Pauses that grow with each failure, by address and by user.

    An attempt counts as a failure from when it begins, so that many at once are no way around.
    A user's name counts whether or not there is such a user. In a browser that a user has logged
    in with before, only what fails there counts: what others do elsewhere keeps nobody out.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._addresses = _Failures(clock, LONGEST_OF_ADDRESS)
        self._users = _Failures(clock, LONGEST_OF_USER)
        self._browsers = _Failures(clock, LONGEST_OF_USER)

    def attempt(self, address: str, user: str, browser: str = "") -> float:
        """Return how many seconds to wait; 0: now, and this is an attempt.

        Args:
            address: from where.
            user: who somebody says to be.
            browser: which of the browsers that this user has logged in with; empty: none.
        """
        counted = [(self._users, user)]
        if browser:
            counted = [(self._browsers, browser)]
        elif place := network(address):
            counted.append((self._addresses, place))
        wait = max(failures.wait(who) for failures, who in counted)
        if wait <= 0:
            for failures, who in counted:
                failures.add(who)
        return max(wait, 0.0)

    def succeeded(self, address: str, user: str, browser: str = "") -> None:
        """Forget the failures of a user who got in, and take back the attempt of the address.

        What the address failed with before stays: an attacker may have a password of their own.
        """
        if browser:
            self._browsers.forget(browser)
            return
        self._users.forget(user)
        if place := network(address):
            self._addresses.take_back(place)


class _Failures:
    """Failures of many, each with how many there were and until when to wait."""

    def __init__(self, clock: Callable[[], float], longest: float) -> None:
        self._clock, self._longest = clock, longest
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, who: str) -> float:
        count, at = self._counted(who)
        return at + self._pause(count) - self._clock()

    def add(self, who: str) -> None:
        count, _ = self._counted(who)
        self._known[who] = count + 1, self._clock()
        self._known.move_to_end(who)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def take_back(self, who: str) -> None:
        count, at = self._counted(who)
        if count > 1:
            self._known[who] = count - 1, at
        else:
            self.forget(who)

    def forget(self, who: str) -> None:
        self._known.pop(who, None)

    def _counted(self, who: str) -> tuple[int, float]:
        count, at = self._known.get(who, (0, 0.0))
        return (count, at) if self._clock() - at < FORGOTTEN else (0, at)

    def _pause(self, count: int) -> float:
        return 0.0 if count < FREE else min(2.0 ** min(count - FREE, 30), self._longest)


def network(address: str) -> str:
    """Return whose address it is: one of IPv6 stands for the 64 bits that one customer has.

    This machine's own is nobody's: a proxy's, behind which everybody is.
    """
    try:
        known = ip_address(address)
    except ValueError:
        return address[:LONGEST_ADDRESS]
    if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
        known = known.ipv4_mapped
    if known.is_loopback:
        return ""
    if not isinstance(known, IPv6Address):
        return str(known)
    return str(ip_network((known, 64), strict=False))
