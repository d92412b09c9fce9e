"""Who looks at a page, and what they may do there."""

from dataclasses import dataclass
from enum import IntEnum

from starlette.exceptions import HTTPException
from starlette.requests import Request


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    NOBODY = 0
    """Has not logged in where one has to."""
    VIEWER = 1
    OPERATOR = 2
    ADMINISTRATOR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody who looks at a page.

    Args:
        name: who it is; empty where nobody is asked.
        role: what they may do.
        officer_of: the member whose data protection officer it is, who sees what was disclosed of
            and to this member; empty: of none.
    """

    name: str
    role: Role
    officer_of: str = ""


LOCAL = Viewer(name="", role=Role.ADMINISTRATOR)
"""Whoever sits at this machine: nobody else reaches a listener on loopback."""

ANYBODY = Viewer(name="", role=Role.VIEWER)
"""Whoever reaches a portal that was opened to everybody."""

STRANGER = Viewer(name="", role=Role.NOBODY)
"""Whoever has not logged in where one has to."""


def require(request: Request, role: Role) -> Viewer:
    """Return who looks.

    Raises:
        HTTPException: 401, they have to log in; 403, they may not.
    """
    viewer: Viewer = request.state.viewer
    if viewer.role < role:
        raise HTTPException(401 if viewer.role is Role.NOBODY else 403)
    return viewer


def address(request: Request) -> str:
    """Return from which address a request came; through a trusted proxy, the one that it tells."""
    return request.client.host if request.client else ""
