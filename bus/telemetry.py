"""The metrics of one process, and its log.

Names follow the Prometheus conventions: one prefix, base units, ``_total`` for counters. Labels are
topics, groups and APIs: their number is bounded by what an operator has created. No key, no name of
a person and no payload is ever a label.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

LATENCIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

# A counter that starts anew shows by falling; a series more for each of them would tell no more.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it


class Telemetry:
    """The metrics of one process; passed to whoever counts something."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "stadtbus_requests_total",
            "Requests to the embedded broker, by API and outcome (ok, error).",
            ["api", "outcome"],
            registry=self.registry,
        )
        self.request_duration = Histogram(
            "stadtbus_request_duration_seconds",
            "Time from a request's arrival at the embedded broker to its answer, by API; a fetch "
            "counts only the time that it was worked on, not the time that it waited for records.",
            ["api"],
            buckets=LATENCIES,
            registry=self.registry,
        )
        self.certificate_expiry = Gauge(
            "stadtbus_certificate_expiry_timestamp_seconds",
            "When a certificate of this node expires, in seconds since 1970: of its listeners, and "
            "of the authority that it made (ca).",
            ["certificate"],
            registry=self.registry,
        )
        self.connections = Gauge(
            "stadtbus_connections", "Open connections to the broker.", registry=self.registry
        )
        self.produced_records = Counter(
            "stadtbus_produced_records_total",
            "Records that the broker has stored and acknowledged, by topic.",
            ["topic"],
            registry=self.registry,
        )
        self.produced_bytes = Counter(
            "stadtbus_produced_bytes_total",
            "Bytes of the record batches that the broker has stored, by topic.",
            ["topic"],
            registry=self.registry,
        )
        self.fetched_records = Counter(
            "stadtbus_fetched_records_total",
            "Records handed to consumers by the broker, by topic.",
            ["topic"],
            registry=self.registry,
        )
        self.fetched_bytes = Counter(
            "stadtbus_fetched_bytes_total",
            "Bytes of the record batches handed to consumers, by topic.",
            ["topic"],
            registry=self.registry,
        )
        self.storage_size = Gauge(
            "stadtbus_storage_size_bytes",
            "Bytes that the broker's database and its write-ahead log take on disk.",
            registry=self.registry,
        )
        self.storage_free = Gauge(
            "stadtbus_storage_free_bytes",
            "Bytes free on the disk of the broker's database.",
            registry=self.registry,
        )
        self.commit_duration = Histogram(
            "stadtbus_commit_duration_seconds",
            "Time of one synced commit of the broker's database.",
            buckets=LATENCIES,
            registry=self.registry,
        )
        self.logins = Counter(
            "stadtbus_logins_total",
            "Logins at the embedded broker, by mechanism and outcome (ok, refused).",
            ["mechanism", "outcome"],
            registry=self.registry,
        )
        self.denials = Counter(
            "stadtbus_denials_total",
            "Times that a rule of the embedded broker kept somebody from something, by API.",
            ["api"],
            registry=self.registry,
        )
        self.throttled = Counter(
            "stadtbus_throttled_requests_total",
            "Requests after which the embedded broker told a client to be silent, by the quota "
            "that was used up (requests, produce, fetch).",
            ["quota"],
            registry=self.registry,
        )
        self.connections_refused = Counter(
            "stadtbus_connections_refused_total",
            "Connections that were not taken, by listener (broker, registry, ops) and by the limit "
            "that was reached (all, address).",
            ["listener", "limit"],
            registry=self.registry,
        )
        self.connections_given_up = Counter(
            "stadtbus_connections_given_up_total",
            "Connections that the embedded broker closed, by reason: nothing was asked (idle), the "
            "client took nothing of its answer (unread) or did not finish its request (slow).",
            ["reason"],
            registry=self.registry,
        )
        self.request_memory = Gauge(
            "stadtbus_request_memory_bytes",
            "Memory of the requests that the embedded broker reads or works on.",
            registry=self.registry,
        )
        self.fetch_memory = Gauge(
            "stadtbus_fetch_memory_bytes",
            "Memory of the embedded broker's answers to fetches that clients have not taken.",
            registry=self.registry,
        )
        self.damaged_partitions = Gauge(
            "stadtbus_damaged_partitions",
            "Partitions that the embedded broker does not serve because what is stored of them is "
            "not what was written.",
            registry=self.registry,
        )
        self.open_transactions = Gauge(
            "stadtbus_open_transactions",
            "Transactions at the embedded broker that are neither committed nor aborted.",
            registry=self.registry,
        )
        self.oldest_transaction = Gauge(
            "stadtbus_oldest_transaction_seconds",
            "Age of the oldest open transaction at the embedded broker; 0 when there is none. What "
            "comes after it waits, for those who read what is committed.",
            registry=self.registry,
        )
        self.wal_size = Gauge(
            "stadtbus_storage_wal_bytes",
            "Bytes of the write-ahead log of the broker's database.",
            registry=self.registry,
        )
        self.longest_turn = Gauge(
            "stadtbus_event_loop_longest_turn_seconds",
            "The longest time within the last second that the process' event loop was held by one "
            "piece of work.",
            registry=self.registry,
        )
        self.handshake_failures = Counter(
            "stadtbus_handshake_failures_total",
            "Connections that ended before TLS was agreed on, by listener and reason.",
            ["listener", "reason"],
            registry=self.registry,
        )
        self.certificate_reloads = Counter(
            "stadtbus_certificate_reloads_total",
            "Certificates that were read anew, by listener and outcome (ok, error: the last good "
            "one stays in use).",
            ["listener", "outcome"],
            registry=self.registry,
        )
        self.registry_requests = Counter(
            "stadtbus_registry_requests_total",
            "Requests to the schema registry, by method and HTTP status.",
            ["method", "status"],
            registry=self.registry,
        )
        self.registry_request_duration = Histogram(
            "stadtbus_registry_request_duration_seconds",
            "Time that the schema registry took to answer, by method.",
            ["method"],
            buckets=LATENCIES,
            registry=self.registry,
        )
        self.schema_rejections = Counter(
            "stadtbus_schema_rejections_total",
            "Schemas that the registry refused as incompatible, by subject.",
            ["subject"],
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "stadtbus_consumer_group_lag_records",
            "Records that a consumer group has not committed yet, by group and topic.",
            ["group", "topic"],
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "stadtbus_consumer_group_lag_seconds",
            "Age of the first record that a consumer group has not committed; 0 when there is "
            "none.",
            ["group", "topic"],
            registry=self.registry,
        )
        self.dead_letters = Gauge(
            "stadtbus_dead_letter_records",
            "Events that were set aside, by the dead letter topic that holds them.",
            ["topic"],
            registry=self.registry,
        )

    def labels(self) -> dict[str, tuple[str, ...]]:
        """Return the label names of each metric, by the metric's name without its suffix."""
        return {
            described.name: tuple(metric._labelnames)  # noqa: SLF001  # there is no public way
            for metric in vars(self).values()
            if isinstance(metric, Counter | Gauge | Histogram)
            for described in metric.describe()
        }

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class JsonLines(logging.Formatter):
    """One JSON object a line, for a log that a machine collects.

    JSON escapes control characters, so no logged value can forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(level: int = logging.INFO) -> None:
    """Log to standard error: plain sentences on a terminal, JSON lines elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    # aiokafka logs each failed attempt with a traceback's worth of words; what comes of it in the
    # end, and why, is said by bus.kafka.
    handler.addFilter(lambda record: not record.name.startswith("aiokafka"))
    if not sys.stderr.isatty():
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bus").setLevel(level)
    logging.getLogger("stadtbus").setLevel(level)  # what is noted of security
