"""`stadtbus portal user`: who can log in to the page with a password."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bus.cli.edge import say
from bus.cli.options import Data, Format, Output
from bus.cli.output import show
from bus.errors import InvalidSettings

if TYPE_CHECKING:
    from bus.portal.security.users import Users

app = typer.Typer(help="The page that operators look at.", no_args_is_help=True)
user = typer.Typer(help="Who can log in to the page with a password.", no_args_is_help=True)
app.add_typer(user, name="user")

Name = Annotated[str, typer.Argument(help="the user, such as anna.beispiel")]
Rights = Annotated[
    Literal["viewer", "operator", "administrator"],
    typer.Option("--role", help="what the user may do; each may do what those before it may"),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="a file whose first line is the password; - is standard input [default: asked for]",
        show_default=False,
    ),
]


@user.command("ls")
def ls(data: Data = None, output: Output = Format.table) -> None:
    """List the users and what they may do."""
    with _users(data) as users:
        officers = users.officers()
        rows = [
            {
                "user": one.name,
                "role": one.role.name.lower(),
                "officer_of": officers.get(one.name),
            }
            for one in users.all()
        ]
    show("users", rows, ("user", "role", "officer_of"), output)


@user.command("add")
def add(
    name: Name, role: Rights = "viewer", password_file: PasswordFile = None, data: Data = None
) -> None:
    """Make a user, who can log in at once, also where the node runs already."""
    from bus.portal.security.users import ROLES, User, require_name

    require_name(name)
    with _users(data) as users:
        users.add(User(name, ROLES[role], _hashed(password_file)))
    say(f"{name} can log in to the page as {role}")


@user.command("rm")
def rm(name: Name, data: Data = None) -> None:
    """Remove a user, who is logged out everywhere."""
    with _users(data) as users:
        users.remove(name)
    say(f"{name} can log in to the page no more")


@user.command("password")
def password(name: Name, password_file: PasswordFile = None, data: Data = None) -> None:
    """Give a user another password, and log them out everywhere."""
    with _users(data) as users:
        users.set_hash(name, _hashed(password_file))
    say(f"{name} has another password")


@user.command("role")
def role(
    name: Name,
    role: Annotated[
        Literal["viewer", "operator", "administrator"], typer.Argument(help="what they may do")
    ],
    data: Data = None,
) -> None:
    """Give a user another role, and log them out everywhere."""
    from bus.portal.security.users import ROLES

    with _users(data) as users:
        users.set_role(name, ROLES[role])
    say(f"{name} is {role} from now on")


@user.command("officer")
def officer(
    name: Name,
    member: Annotated[
        str,
        typer.Argument(metavar="MEMBER", help="such as de.mun.092720140140; none for no member"),
    ],
    data: Data = None,
) -> None:
    """Make a user the data protection officer of a member, and log them out everywhere.

    The officer sees what was disclosed of this member's data and to it, and of no other member.
    """
    of = None if member == "none" else member
    with _users(data) as users:
        users.set_officer(name, of)
    say(f"{name} is the data protection officer of {of or 'no member'} from now on")


@contextmanager
def _users(data: Path | None) -> "Iterator[Users]":
    """Yield the users of this machine's portal."""
    from bus.portal.security.database import Database
    from bus.portal.security.users import Users
    from bus.settings import load

    database = Database(load({"data": data}).data)
    try:
        yield Users(database)
    finally:
        database.close()


def _hashed(file: Path | None) -> str:
    """Return the hash of a password that a file has, or that somebody types."""
    from bus.portal.security.passwords import Passwords
    from bus.portal.security.users import require_password
    from bus.settings import secret

    if file == Path("-"):
        given = sys.stdin.readline().rstrip("\r\n")
    elif file is not None:
        given = secret(file, "--password-file", "password")
    elif sys.stdin.isatty():
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise InvalidSettings(
            "nobody can be asked for the password here",
            where="--password-file",
            remedy="name a file whose first line it is, or - for standard input",
        )
    require_password(given)
    return Passwords().hash(given)
