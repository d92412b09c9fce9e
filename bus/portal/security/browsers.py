"""Browsers that a user has logged in with before: no flood of failures keeps the user out there.

OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import hmac
import secrets

from bus.portal.security.users import User

_PURPOSE = b"stadtbus browser "


def mark(user: User) -> str:
    """Return what a browser keeps of a user who has logged in there.

    It is signed by the hash of the user's password, which nobody else knows, so another password
    ends it.
    """
    browser = secrets.token_hex(16)
    return f"{browser}.{_signed(browser, user)}"


def known(kept: str, user: User) -> str:
    """Return which browser of a user's it is; empty if it is none.

    Args:
        kept: what the browser keeps.
        user: who says to be there.
    """
    browser, _, signature = kept.partition(".")
    genuine = hmac.compare_digest(signature.encode(), _signed(browser, user).encode())
    return browser if browser and genuine else ""


def _signed(browser: str, user: User) -> str:
    told = _PURPOSE + f"{browser} {user.name}".encode()
    return hmac.digest(user.hash.encode(), told, "sha256").hex()
