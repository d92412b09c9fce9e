"""What a secured node needs: certificates, its own login, the first administrator.

A town that has neither an authority nor users lets `bus.security.making.initialise` make them in
``<data>/security``; once that folder is there, `in_force` has every listener of the node use it.
What needs the library for certificates is not loaded here: it takes a tenth of a second.
"""

from bus.security.folder import ADMIN, RENEW_DAYS, Folder, Login, in_force, own_login
from bus.security.openness import (
    LOGINS,
    asks_for_password,
    asks_who,
    lacking,
    refuse_open_listeners,
)
from bus.security.watching import CertificateWatch, watched

__all__ = [
    "ADMIN",
    "LOGINS",
    "RENEW_DAYS",
    "CertificateWatch",
    "Folder",
    "Login",
    "asks_for_password",
    "asks_who",
    "in_force",
    "lacking",
    "own_login",
    "refuse_open_listeners",
    "watched",
]
