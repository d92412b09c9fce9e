"""One contender's run, in this process alone.

    python -m ops.bench.contender MODULE:FUNCTION TASK

The last line of standard output is what it measured, as JSON. Exit code 3: the data were not what
they should be, and there is no figure.
"""

import json
import sys

from ops.bench.model import Task, Unverified, resolve

UNVERIFIED = 3


def main() -> None:
    """Run the contender on its task, and say what it measured."""
    place, text = sys.argv[1:]
    try:
        measured = resolve(place)(Task.from_text(text))
    except Unverified as error:
        print(error, file=sys.stderr)
        sys.exit(UNVERIFIED)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
