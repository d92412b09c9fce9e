"""Writes the reference pages that are made from the code: settings, metrics, commands.

    python -m ops.reference

A test holds them up to date.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from prometheus_client import Metric
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from bus.cli.app import app
from bus.settings import Section, Settings, variable
from bus.telemetry import Telemetry

WIDTH: dict[str, Any] = {"terminal_width": 96, "max_content_width": 96}

DOCS = Path(__file__).parents[1] / "docs"

SETTINGS_HEAD = """# Settings

Each setting has one name. It can be given as a flag of the command that uses it, as an environment
variable, or in `stadtbus.toml` in the working directory; the first of these that is there wins, and
the default comes last. A name that does not exist is refused, with the nearest one that does.

In `stadtbus.toml` the part before the dot is a table:

```toml
data = "/var/lib/stadtbus"

[broker]
listen = "127.0.0.1:9092"
```

Secrets are read from files, never from flags or variables.

| setting | environment variable | default | what it is |
| --- | --- | --- | --- |
"""

METRICS_HEAD = """# Metrics

`/metrics` on the ops address (`ops.listen`) answers in Prometheus' text format. Names have the
prefix `stadtbus_` and base units. Labels are topics, groups, subjects, APIs, routes and outcomes:
their number is bounded by what an operator has created. No key, no name of a person and no payload
is ever a label. `/metrics?name[]=<name>` answers with that series alone, which costs little where
there are thousands; the parameter may be repeated.

What only a reading of the bus can tell (topics, lag, dead letters) is measured by the node that
runs the registry, through the protocol and so the same on both engines: every five seconds, or
less often where there is so much that looking takes more than a tenth of the time, yet a minute
apart at the most; `stadtbus_survey_timestamp_seconds` says when it was last. Names that begin with
`_`, the bus's own topics and groups, are left out.

- Lag in seconds is the age of the first event that a group has not committed: 0 when there is
  none, whatever else happens on the topic. It does not grow on an idle topic. A group that never
  committed has no lag in seconds, but `stadtbus_consumer_group_never_committed`.
- Topics of contracts have the broker's time. Where a topic leaves times to its publishers
  (`CreateTime`, on topics that were made otherwise), lag in seconds and the time of the newest
  record are as true as these are, within bounds: a record counts as no newer than when it was
  first seen, no older than the last look if it came since, and from when it was first seen if it
  says that it is from before 2011.
- A position before the start of the log shows as `stadtbus_consumer_group_lost_records`, one
  behind its end, which only a topic that was made anew has, as
  `stadtbus_consumer_group_ahead_records`. Lag is never negative.
- Events are in danger where `stadtbus_consumer_group_lag_seconds / on(topic) group_left
  stadtbus_topic_retention_seconds` comes near 1.
- A feed is silent where `time() - stadtbus_topic_last_record_timestamp_seconds` is more than
  `stadtbus_topic_expected_interval_seconds`; where the topic holds no record, it counts from
  `stadtbus_topic_expected_since_timestamp_seconds`, which is there once a group reads it. The
  time of the newest record is read from the log, past marks of transactions, so it is known after
  a restart, too.
- `stadtbus_lost_records_total` counts what was seen to be lost, also where the group went on since.
  A group whose position moves on within the few seconds between two looks counts as having read,
  as those do that delete what they have just read.
- `stadtbus_appended_records_total` is what came in, by the ends of logs, on either engine;
  `stadtbus_topic_records` stands still where retention takes as much as comes.
- `stadtbus_committed_records_total` is derived from positions, as the protocol does not tell what
  was fetched; `stadtbus_fetched_records_total` is the embedded broker's alone. Neither does it
  tell where a group began, at the log's start, at its end or where somebody set it: its first
  commit on a partition counts only if that was empty before.
- The embedded broker's counters of requests and of what is handed out are those of clients. What
  canary, watch and `stadtbus check` ask, by their client ids, is in `stadtbus_own_requests_total`.
- The longest turn of an event loop since the last scrape, whenever that was, is in
  `stadtbus_event_loop_turn_seconds`: `histogram_quantile(1, rate(…[5m]))`, to the next bucket. The
  loop `node` is the broker's, the registry's and that of the page's answers, `portal` the one where
  the page reads events.
- The canary (`watch.canary`) is one event a second on a topic and in a group of the bus's own,
  from an idempotent producer to a handler. It does not ask the registry, and its event has no
  schema. One that the engine did not acknowledge within 5 s counts as unacknowledged alone, as
  nobody can say whether it was taken; it is lost only if it was acknowledged and did not come.
- A node shows the metrics of its roles alone: one without the broker has no disk of the broker's,
  one without a canary none of its.
- `stadtbus_publisher_unsent_events` is shown by a publisher's own process, in the registry that
  it exposes: `Publisher(..., metrics=bus.telemetry.Publishing(prometheus_client.REGISTRY))`.

There are so many series: nine for each group and topic that it reads, one for each group, seven
for each topic, and of the embedded broker another four; a dozen for each API, two dozen for each
route; the rest is constant. 5,000 topics and 2,000 groups that read one each are about 75,000.

| metric | type | labels | what it counts |
| --- | --- | --- | --- |
"""


CLI_HEAD = """# Commands

`stadtbus NOUN VERB`. Data goes to standard output, talk to standard error. `-o json` gives one JSON
document with `"v": 1`, which later versions only add fields to; `tail` gives a line of JSON for
each event when it is piped. A closed pipe is no error.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | an internal error |
| 2 | a wrong flag, setting or input |
| 3 | answered "no": incompatible, lag over the limit, a fault found by `doctor` |
| 4 | the bus or the registry cannot be reached, or did not answer in time |
| 5 | not authenticated, or not authorised |
| 6 | there is no such topic, subject, contract or group |
| 7 | finished, with records that were skipped |
| 130 | Ctrl-C |

`stadtbus check` has the exit codes of Nagios: 0 fine, 1 warning, 2 critical, 3 unknown.

"""


def settings_page() -> str:
    """Return docs/settings.md."""
    return SETTINGS_HEAD + "".join(_settings_rows(Settings, ""))


def _settings_rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _settings_rows(inner, f"{prefix}{name}.")
        else:
            path = f"{prefix}{name}"
            yield (f"| `{path}` | `{variable(path)}` | {_default(field)} | {field.description} |\n")


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "unset"
    if isinstance(field.default, tuple):
        return f"`{','.join(field.default)}`" if field.default else "none"
    choices = get_args(field.annotation)
    others = [c for c in choices if isinstance(c, str) and c != field.default]
    extra = f" (or {', '.join(others)})" if others else ""
    return f"`{field.default}`{extra}"


def metrics_page() -> str:
    """Return docs/metrics.md."""
    telemetry = Telemetry()
    names = telemetry.labels()
    rows = (
        f"| `{_exposed(metric)}` | {metric.type} | {', '.join(names[metric.name]) or '-'} "
        f"| {metric.documentation} |\n"
        for metric in telemetry.registry.collect()
    )
    return METRICS_HEAD + "".join(sorted(rows))


def _exposed(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def cli_page() -> str:
    """Return docs/cli.md."""
    return CLI_HEAD + "\n".join(_commands(typer.main.get_command(app), ()))


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None:
        help_ = CliRunner().invoke(app, [*path, "--help"], prog_name="stadtbus", **WIDTH)
        yield f"## `stadtbus {' '.join(path)}`\n\n```text\n{help_.stdout.strip()}\n```\n"
        return
    for name, sub in inner.items():
        yield from _commands(sub, (*path, name))


PAGES = {"settings.md": settings_page, "metrics.md": metrics_page, "cli.md": cli_page}


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
