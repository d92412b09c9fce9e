"""Writes the dashboards' files."""

import json
from pathlib import Path

from ops.grafana.panels import Dashboard, document
from ops.grafana.source import DASHBOARDS

FOLDER = Path(__file__).parent / "dashboards"


def text(dashboard: Dashboard) -> str:
    """Return a dashboard's file."""
    return json.dumps(document(dashboard), indent=1, ensure_ascii=False) + "\n"


def file(dashboard: Dashboard) -> Path:
    """Return where a dashboard lies."""
    return FOLDER / f"{dashboard.uid}.json"


def main() -> None:
    """Write all of them."""
    for dashboard in DASHBOARDS:
        file(dashboard).write_text(text(dashboard), encoding="utf-8")


if __name__ == "__main__":
    main()
