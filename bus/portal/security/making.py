"""The portal's first administrator, for a node that `--init-security` secures."""

from collections.abc import Iterator
from contextlib import closing

from bus.files import replace
from bus.portal.security.database import Database
from bus.portal.security.passwords import Passwords
from bus.portal.security.users import User, Users
from bus.portal.viewer import Role
from bus.security import ADMIN, Folder
from bus.security.password import password
from bus.settings import Settings, secret

FILE = "portal.password"
"""In the administrator's folder."""


def first_administrator(settings: Settings) -> Iterator[str]:
    """Make the first user of a portal that asks who is there, if it has none and no provider.

    Args:
        settings: where the data lies, and who has to log in.

    Yields:
        Sentences for whoever runs it.

    Raises:
        StorageUnusable, InvalidSettings: something cannot be read or written.
    """
    portal, folder = settings.portal, Folder(settings.data)
    open_to_all = portal.listen.is_loopback and portal.login != "always"
    if open_to_all or portal.oidc.issuer is not None:
        return
    with closing(Database(settings.data)) as database:
        users = Users(database)
        if users.all():
            return
        file = folder.admin / FILE
        folder.admin.mkdir(mode=0o700, exist_ok=True)
        if not file.exists():  # written before it counts: a password that nobody has is of no use
            replace(file, password())
        hashed = Passwords().hash(secret(file, "the portal's first password", "password"))
        users.add(User(ADMIN, Role.ADMINISTRATOR, hashed))
    yield f"{file}: the password of `{ADMIN}`, who can log in to the page at {portal.listen}"
