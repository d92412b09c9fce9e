"""What is measured, in groups; each metric has its name, what it tells, and its labels."""

from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from bus.telemetry.series import Series

LATENCIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

# A counter that starts anew shows by falling; a series more for each of them would tell no more.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it


class Group:
    """Metrics of one registry, under names that begin alike."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def _counter(self, name: str, tells: str, *labels: str) -> Counter:
        return Counter(f"stadtbus_{name}", tells, labels, registry=self.registry)

    def _gauge(self, name: str, tells: str, *labels: str) -> Gauge:
        return Gauge(f"stadtbus_{name}", tells, labels, registry=self.registry)

    def _series(
        self, name: str, tells: str, *labels: str, kind: Literal["gauge", "counter"] = "gauge"
    ) -> Series:
        return Series(f"stadtbus_{name}", tells, labels, kind=kind, registry=self.registry)

    def _seconds(self, name: str, tells: str, *labels: str) -> Histogram:
        name = f"stadtbus_{name}_duration_seconds"
        return Histogram(name, tells, labels, buckets=LATENCIES, registry=self.registry)


class Requests(Group):
    """Requests to the embedded broker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.requests = self._counter(
            "requests_total",
            "Requests to the embedded broker, by API and outcome (ok, error), those left out by "
            "which the bus looks at itself.",
            "api",
            "outcome",
        )
        self.own_requests = self._counter(
            "own_requests_total",
            "Requests to the embedded broker of canary, watch, checks and of who looks what "
            "answers there, whose client ids begin with _stadtbus., by API and outcome (ok, "
            "error).",
            "api",
            "outcome",
        )
        self.request_duration = self._seconds(
            "request",
            "Time from a request's arrival at the embedded broker to its answer, by API, of those "
            "that stadtbus_requests_total counts; a fetch counts only the time that it was worked "
            "on, not the time that it waited for records.",
            "api",
        )
        self.throttled = self._counter(
            "throttled_requests_total",
            "Requests after which the embedded broker told a client to be silent, by the quota "
            "that was used up (requests, produce, fetch).",
            "quota",
        )
        self.connections = self._gauge(
            "connections",
            "Open connections to the broker.",
        )
        self.request_memory = self._gauge(
            "request_memory_bytes",
            "Memory of the requests that the embedded broker reads or works on.",
        )
        self.fetch_memory = self._gauge(
            "fetch_memory_bytes",
            "Memory of the embedded broker's answers to fetches that clients have not taken.",
        )


class Records(Group):
    """Records that the embedded broker takes and hands out."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.produced_records = self._counter(
            "produced_records_total",
            "Records that the broker has stored and acknowledged, by topic.",
            "topic",
        )
        self.produced_bytes = self._counter(
            "produced_bytes_total",
            "Bytes of the record batches that the broker has stored, by topic.",
            "topic",
        )
        self.fetched_records = self._counter(
            "fetched_records_total",
            "Records handed to consumers by the broker, by topic, to canary, watch and checks left "
            "out.",
            "topic",
        )
        self.fetched_bytes = self._counter(
            "fetched_bytes_total",
            "Bytes of the record batches handed to consumers, by topic, to canary, watch and "
            "checks left out.",
            "topic",
        )
        self._by_topic = (
            self.produced_records,
            self.produced_bytes,
            self.fetched_records,
            self.fetched_bytes,
        )
        self.open_transactions = self._gauge(
            "open_transactions",
            "Transactions at the embedded broker that are neither committed nor aborted.",
        )
        self.oldest_transaction = self._gauge(
            "oldest_transaction_seconds",
            "Age of the oldest open transaction at the embedded broker; 0 when there is none. "
            "What comes after it waits, for those who read what is committed.",
        )

    def forget_topic(self, topic: str) -> None:
        """Show nothing any more of a topic that was deleted."""
        for counter in self._by_topic:
            counter.remove(topic)


class Storage(Group):
    """The embedded broker's database."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.storage_size = self._gauge(
            "storage_size_bytes",
            "Bytes that the broker's database and its write-ahead log take on disk.",
        )
        self.storage_free = self._gauge(
            "storage_free_bytes",
            "Bytes free on the disk of the broker's database.",
        )
        self.storage_disk = self._gauge(
            "storage_disk_bytes",
            "Bytes that the disk of the broker's database has in all.",
        )
        self.wal_size = self._gauge(
            "storage_wal_bytes",
            "Bytes of the write-ahead log of the broker's database.",
        )
        self.longest_step = self._gauge(
            "storage_longest_step_seconds",
            "The longest time within the last second that commits had to wait for what is deleted, "
            "compacted or given back to the file system.",
        )
        self.commit_duration = self._seconds(
            "commit",
            "Time of one synced commit of the broker's database.",
        )
        self.damaged_partitions = self._gauge(
            "damaged_partitions",
            "Partitions that the embedded broker does not serve because what is stored of them is "
            "not what was written.",
        )


class Connections(Group):
    """Who comes to a listener, and who does not get in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.connections_refused = self._counter(
            "connections_refused_total",
            "Connections that were not taken, by listener (broker, registry, ops) and by the "
            "limit that was reached (all, address).",
            "listener",
            "limit",
        )
        self.connections_given_up = self._counter(
            "connections_given_up_total",
            "Connections that the embedded broker closed, by reason: nothing was asked (idle), "
            "the client took nothing of its answer (unread) or did not finish its request (slow).",
            "reason",
        )
        self.handshake_failures = self._counter(
            "handshake_failures_total",
            "Connections that ended before TLS was agreed on, by listener and reason.",
            "listener",
            "reason",
        )
        self.logins = self._counter(
            "logins_total",
            "Logins at the embedded broker and the page, by mechanism and outcome (ok, refused).",
            "mechanism",
            "outcome",
        )
        self.denials = self._counter(
            "denials_total",
            "Times that a rule kept somebody from something, by API of the embedded broker; at the "
            "registry: registry.",
            "api",
        )


class Certificates(Group):
    """The certificates of the listeners."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.certificate_expiry = self._gauge(
            "certificate_expiry_timestamp_seconds",
            "When a certificate of this node expires, in seconds since 1970: of its listeners, "
            "and of the authority that it made (ca).",
            "certificate",
        )
        self.certificate_reloads = self._counter(
            "certificate_reloads_total",
            "Certificates that were read anew, by listener and outcome (ok, error: the last good "
            "one stays in use).",
            "listener",
            "outcome",
        )


class Loops(Group):
    """The event loops of a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.turns = Histogram(
            "stadtbus_event_loop_turn_seconds",
            "How late an event loop of the process came to what was due, looked at 50 times a "
            "second, by loop: what all work on it had to wait for one piece of it.",
            ["loop"],
            buckets=(*LATENCIES[1:], 10.0),
            registry=registry,
        )
        self.longest_turn = self._gauge(
            "event_loop_longest_turn_seconds",
            "The longest time within the last second that an event loop of the process was held by "
            "one piece of work, by loop.",
            "loop",
        )


class HttpRequests(Group):
    """Requests to the listeners that speak HTTP."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.http_requests = self._counter(
            "http_requests_total",
            "Requests over HTTP, by listener (registry, portal), method, route and class of the "
            "status (2xx, 3xx, 4xx, 5xx); what no route answers has the route other.",
            "listener",
            "method",
            "route",
            "status",
        )
        self.http_request_duration = self._seconds(
            "http_request",
            "Time from a request over HTTP to the beginning of its answer, by listener and route.",
            "listener",
            "route",
        )


class Registrations(Group):
    """The schema registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.schema_rejections = self._counter(
            "schema_rejections_total",
            "Schemas that the registry refused as incompatible, by subject.",
            "subject",
        )
        self.trust_alarms = self._series(
            "trust_alarms",
            "Entries of the journal that everybody should see: statements that do not verify, and "
            "keys that the root alone gave a member. All that there are, since the journal began.",
            kind="counter",
        )


class Rights(Group):
    """Systems' rights on the engine, held against the journal; nothing where nobody looks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.drift = self._series(
            "rights_drift_rules",
            "Rules on the engine that were found changed by somebody else than the registry, by "
            "what they were: missing, or surplus. As of the last look; they are repaired.",
            "state",
        )
        self.repaired = self._counter(
            "rights_repaired_total",
            "Rules on the engine that somebody else had changed and the registry has put right, by "
            "what they were: missing, or surplus.",
            "state",
        )
        self.looked = self._series(
            "rights_last_look_timestamp_seconds",
            "When all rules on the engine were last held against the journal, in seconds since "
            "1970.",
        )
        self.without_login = self._series(
            "rights_systems_without_password",
            "Systems of the journal that have rights on the engine and no password there: nobody "
            "made one, or they log in with a certificate.",
        )


class Subscriptions(Group):
    """Consumer groups, as the protocol tells them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        by = ("group", "topic")
        self.lag_records = self._series(
            "consumer_group_lag_records",
            "Records that a consumer group has not committed yet, by group and topic.",
            *by,
        )
        self.lag_seconds = self._series(
            "consumer_group_lag_seconds",
            "Age of the first record that a consumer group has not committed; 0 when there is "
            "none.",
            *by,
        )
        self.never_committed = self._series(
            "consumer_group_never_committed",
            "1 for a consumer group that reads a topic and has never committed a position on it.",
            *by,
        )
        self.lost_records = self._series(
            "consumer_group_lost_records",
            "Records by which a consumer group's position lies before the start of the log now: "
            "they were deleted before it had read them.",
            *by,
        )
        self.ahead_records = self._series(
            "consumer_group_ahead_records",
            "Records by which a consumer group's position lies behind the end of the log, as after "
            "a topic was made anew: its subscriber cannot go on.",
            *by,
        )
        self.promise = self._series(
            "consumer_group_promise_seconds",
            "How far behind a consumer group says that it is at the most, as its commits carry it.",
            *by,
        )
        self.last_progress = self._series(
            "consumer_group_last_progress_timestamp_seconds",
            "When a consumer group's positions were last seen to move, or first seen, in seconds "
            "since 1970.",
            *by,
        )
        self.members = self._series(
            "consumer_group_members", "Members of a consumer group.", "group"
        )
        self.committed_records = self._series(
            "committed_records",
            "Records that a consumer group has committed, derived from its positions: the protocol "
            "does not tell what was fetched. Its first commit counts where the partition was empty "
            "before; else nobody can tell where it began.",
            *by,
            kind="counter",
        )
        self.records_lost = self._series(
            "lost_records",
            "Records that were deleted before a consumer group had read them: the log's start has "
            "passed its position.",
            *by,
            kind="counter",
        )


class Topics(Group):
    """Topics, as the protocol tells them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.topic_records = self._series(
            "topic_records", "Records that a topic holds, by its partitions' offsets.", "topic"
        )
        self.appended_records = self._series(
            "appended_records",
            "Records that were ever appended to a topic, by its partitions' end offsets; marks of "
            "transactions' ends are among them.",
            "topic",
            kind="counter",
        )
        self.topic_size = self._series(
            "topic_size_bytes",
            "Bytes of a topic on the disks of the brokers that lead its partitions.",
            "topic",
        )
        self.topic_last_record = self._series(
            "topic_last_record_timestamp_seconds",
            "When the newest record of a topic was appended, in seconds since 1970.",
            "topic",
        )
        self.topic_retention = self._series(
            "topic_retention_seconds",
            "How long a topic keeps its records; absent where that is not bounded by time.",
            "topic",
        )
        self.topic_expected_interval = self._series(
            "topic_expected_interval_seconds",
            "How often its contract says that an event is to be expected at the least.",
            "topic",
        )
        self.topic_expected_since = self._series(
            "topic_expected_since_timestamp_seconds",
            "When a contract began to expect events in this interval, in seconds since 1970, where "
            "a group reads them: such a topic that holds no record is silent since then.",
            "topic",
        )
        self.dead_letters = self._series(
            "dead_letter_records",
            "Events that were set aside and wait: neither re-driven nor discarded.",
            "topic",
        )
        self.survey_seconds = self._gauge(
            "survey_duration_seconds",
            "Time of the last look at all topics and consumer groups.",
        )
        self.survey_timestamp = self._gauge(
            "survey_timestamp_seconds",
            "When topics and consumer groups were looked at last, in seconds since 1970.",
        )
        self.survey_failures = self._counter(
            "survey_failures_total",
            "Looks at topics and consumer groups that failed.",
        )


class Canaries(Group):
    """Events of our own, sent through the whole path."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.canary_roundtrip = Histogram(
            "stadtbus_canary_roundtrip_seconds",
            "Time from the publishing of a canary event to its handler.",
            buckets=(*LATENCIES, 10.0, 30.0, 60.0),
            registry=registry,
        )
        self.canary_sent = self._counter(
            "canary_sent_total", "Canary events that were sent, and acknowledged by the engine."
        )
        self.canary_unacknowledged = self._counter(
            "canary_unacknowledged_total",
            "Canary events that the engine did not acknowledge in 5 seconds: it is away, or takes "
            "nothing. They are neither sent nor lost.",
        )
        self.canary_late = self._counter(
            "canary_late_total",
            "Canary events that took longer than 5 seconds to their handler, those that are lost "
            "left out.",
        )
        self.canary_lost = self._counter(
            "canary_lost_total",
            "Canary events that were acknowledged and had not reached their handler after 60 "
            "seconds.",
        )


class Routes(Group):
    """What the router makes of the events on shared topics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.routed = self._counter(
            "routed_events_total", "Events that the router passed on, by shared topic.", "topic"
        )
        self.repeated = self._counter(
            "repeated_events_total",
            "Events that the router dropped because they were there before, by shared topic.",
            "topic",
        )
        self.refused = self._counter(
            "refused_events_total",
            "Events that the router refused, by shared topic and reason.",
            "topic",
            "reason",
        )
        self.unrouted = self._counter(
            "unrouted_records_total",
            "Records that were deleted from a shared topic before the router had read them.",
            "topic",
        )


class Backlog(Protocol):
    """Somebody who has not sent everything yet."""

    @property
    def unsent(self) -> int:
        """How many events."""


class Publishing(Group):
    """What the publishers of a process have not sent yet, in whatever registry it exposes.

    Args:
        registry: where it is shown, such as ``prometheus_client.REGISTRY``.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._publishers: set[Backlog] = set()
        self.unsent = self._gauge(
            "publisher_unsent_events",
            "Events that the publishers of this process were given and that the engine has not "
            "acknowledged yet.",
        )
        self.unsent.set_function(lambda: sum(one.unsent for one in tuple(self._publishers)))

    def add(self, publisher: Backlog) -> None:
        """Count what a publisher has not sent."""
        self._publishers.add(publisher)

    def remove(self, publisher: Backlog) -> None:
        """Count it no more."""
        self._publishers.discard(publisher)
