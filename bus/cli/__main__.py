"""`python -m bus.cli`: the `stadtbus` command, of this interpreter's installation."""

from bus.cli import main

main()
