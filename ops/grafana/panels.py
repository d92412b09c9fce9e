"""What a dashboard is made of, and how Grafana writes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

WIDTH, HEIGHT = 24, 8
"""Columns of a dashboard, and rows of a panel, in Grafana's grid."""

SCHEMA = 39
"""The version of Grafana's dashboard model, as Grafana 10 has it; later ones bring it forward."""

SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of Prometheus, and what its lines are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Args:
        title: what it shows.
        tells: how to read it.
        queries: what is drawn.
        unit: Grafana's name of the unit, such as ``s``, ``bytes``, ``short``.
        kind: a chart over time, one number, or a table of what is now.
        width: columns, of 24.
        limits: from where on it is yellow, and from where on red.
    """

    title: str
    tells: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 12
    limits: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Variable:
    """What a viewer chooses: the values of a label of a metric."""

    name: str
    metric: str

    @property
    def query(self) -> str:
        """What Grafana asks for."""
        return f"label_values({self.metric}, {self.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard."""

    uid: str
    title: str
    variables: Sequence[Variable]
    panels: Sequence[Panel]


def document(dashboard: Dashboard) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["stadtbus"],
        "schemaVersion": SCHEMA,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {"type": "dashboards", "tags": ["stadtbus"], "title": "Stadtbus", "asDropdown": True}
        ],
        "templating": {"list": [_source(), *map(_variable, dashboard.variables)]},
        "panels": _placed(dashboard.panels),
    }


def _source() -> dict[str, Any]:
    return {"type": "datasource", "name": "source", "label": "Prometheus", "query": "prometheus"}


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "type": "query",
        "name": variable.name,
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "definition": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """Lay panels out from left to right, and begin a row where one does not fit."""
    placed, x, y = [], 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > WIDTH:
            x, y = 0, y + HEIGHT
        place = {"x": x, "y": y, "w": panel.width, "h": HEIGHT}
        placed.append({"id": number, "gridPos": place, **_panel(panel)})
        x += panel.width
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    now = panel.kind != "timeseries"
    made: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.tells,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "instant": now,
                "range": not now,
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for number, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
    }
    if panel.kind == "table":
        hidden = {"Time": True, "job": True, "__name__": True, "instance": True}
        made["transformations"] = [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": hidden}},
        ]
    return made


def _field(panel: Panel) -> dict[str, Any]:
    warn, critical = panel.limits
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if warn is not None:
        steps.append({"color": "yellow", "value": warn})
    if critical is not None:
        steps.append({"color": "red", "value": critical})
    shown = panel.kind == "timeseries" and len(steps) > 1
    return {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {"thresholdsStyle": {"mode": "dashed"}} if shown else {},
    }
