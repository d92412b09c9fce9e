"""The `stadtbus` command: its nouns and verbs."""

from typing import Annotated

import typer

from bus import __version__
from bus.cli import (
    acl,
    broker,
    certificate,
    check,
    contract,
    dead,
    disclosure,
    grant,
    group,
    key,
    member,
    portal,
    schema,
    system,
    token,
    topic,
    trust,
    user,
)
from bus.cli.demo import demo
from bus.cli.doctor import doctor
from bus.cli.publish import publish
from bus.cli.serve import serve
from bus.cli.tail import tail
from bus.cli.verify import verify

app = typer.Typer(
    name="stadtbus",
    help="The event bus that lets cities talk to each other.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(serve)
app.command()(publish)
app.command()(tail)
app.command()(verify)
app.add_typer(topic.app, name="topic")
app.add_typer(contract.app, name="contract")
app.add_typer(schema.app, name="schema")
app.add_typer(group.app, name="group")
app.add_typer(dead.app, name="dead")
app.add_typer(user.app, name="user")
app.add_typer(acl.app, name="acl")
app.add_typer(token.app, name="token")
app.add_typer(certificate.app, name="certificate")
app.add_typer(trust.app, name="trust")
app.add_typer(member.app, name="member")
app.add_typer(system.app, name="system")
app.add_typer(key.app, name="key")
app.add_typer(grant.app, name="grant")
app.add_typer(disclosure.app, name="disclosure")
app.add_typer(portal.app, name="portal")
app.add_typer(broker.app, name="broker")
app.add_typer(check.app, name="check")
app.command()(doctor)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"stadtbus {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[  # its callback has done all
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which version."),
    ] = False,
) -> None: ...
