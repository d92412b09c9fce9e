"""The command line, one module for each noun."""


def main() -> None:
    """Run the `stadtbus` command."""
    from bus.cli.app import app
    from bus.cli.edge import leaving_in_order

    with leaving_in_order():
        app()
