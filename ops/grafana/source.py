"""The dashboards: what they show, and why. The bus's own topics and groups stay out of them."""

from ops.grafana.panels import Dashboard, Panel, Query, Variable

RATE = "$__rate_interval"
JOB = 'job=~"$job"'
ON_TOPIC = f'{JOB}, topic=~"$topic", topic!~"_.*"'
OF_GROUP = f'{ON_TOPIC}, group=~"$group", group!~"_.*"'

JOBS = Variable("job", "stadtbus_event_loop_longest_turn_seconds")
TOPICS = Variable("topic", "stadtbus_topic_records")
GROUPS = Variable("group", "stadtbus_consumer_group_lag_records")

APPENDED = f'rate(stadtbus_appended_records_total{{{JOB}, topic!~"_.*"}}[{RATE}]'
"""What comes in, by the ends of logs: the same on both engines."""

AGE = f"(time() - max by (topic) (stadtbus_topic_last_record_timestamp_seconds{{{ON_TOPIC}}}))"

OVERVIEW = Dashboard(
    uid="stadtbus-overview",
    title="Stadtbus: overview",
    variables=(JOBS,),
    panels=(
        Panel(
            title="Up",
            tells="1 if the node answers.",
            queries=[Query(f"min by (instance) (up{{{JOB}}})", "{{instance}}")],
            kind="stat",
            width=6,
        ),
        Panel(
            title="Canary, 99th percentile",
            tells="From publishing to the handler, for one event a second of the bus's own.",
            queries=[Query(f"stadtbus:canary_roundtrip_seconds:p99_5m{{{JOB}}}", "{{instance}}")],
            unit="s",
            kind="stat",
            width=6,
            limits=(1, 5),
        ),
        Panel(
            title="Late subscribers",
            tells="How many are further behind than they promised.",
            queries=[
                Query(
                    f"count(stadtbus:consumer_group_lag_seconds:max{{{JOB}}}"
                    " > on (job, group, topic) max by (job, group, topic)"
                    " (stadtbus_consumer_group_promise_seconds))"
                    " or vector(0)",
                    "late",
                )
            ],
            kind="stat",
            width=6,
            limits=(1, None),
        ),
        Panel(
            title="Dead letters",
            tells="Events that were set aside and lie there.",
            queries=[
                Query(f"sum(max by (topic) (stadtbus_dead_letter_records{{{JOB}}}))", "events")
            ],
            kind="stat",
            width=6,
            limits=(1, None),
        ),
        Panel(
            title="Events in",
            tells="Events a second, by the ends of logs, now and at the same time yesterday.",
            queries=[
                Query(f"sum(max by (job, topic) ({APPENDED})))", "now"),
                Query(f"sum(max by (job, topic) ({APPENDED} offset 1d)))", "yesterday"),
            ],
        ),
        Panel(
            title="Events out",
            tells="Events a second, as fetched (embedded broker) and as committed by groups.",
            queries=[
                Query(
                    f'sum(rate(stadtbus_fetched_records_total{{{JOB}, topic!~"_.*"}}[{RATE}]))',
                    "fetched",
                ),
                Query(
                    "sum(max by (group, topic)"
                    f" (rate(stadtbus_committed_records_total{{{JOB}}}[{RATE}])))",
                    "committed (derived from positions)",
                ),
            ],
        ),
        Panel(
            title="Publishing: time to the acknowledgement",
            tells="Half and 99 of a hundred requests take no longer.",
            queries=[
                Query(
                    "histogram_quantile(0.5, sum by (le) (rate("
                    f'stadtbus_request_duration_seconds_bucket{{{JOB}, api="produce"}}[{RATE}])))',
                    "median",
                ),
                Query(
                    f"stadtbus:produce_duration_seconds:p99_5m{{{JOB}}}",
                    "99th percentile {{instance}}",
                ),
            ],
            unit="s",
            limits=(0.5, 2),
        ),
        Panel(
            title="Requests that fail",
            tells="Part of the requests to the embedded broker that are answered with an error.",
            queries=[Query(f"stadtbus:request_errors:ratio_5m{{{JOB}}}", "{{instance}}")],
            unit="percentunit",
            limits=(0.01, 0.05),
        ),
    ),
)

TOPIC = Dashboard(
    uid="stadtbus-topics",
    title="Stadtbus: topics",
    variables=(JOBS, TOPICS),
    panels=(
        Panel(
            title="Events in by topic",
            tells="Events a second, by the ends of logs.",
            queries=[
                Query(
                    f"max by (topic) (rate(stadtbus_appended_records_total{{{ON_TOPIC}}}[{RATE}]))",
                    "{{topic}}",
                )
            ],
        ),
        Panel(
            title="Bytes in by topic",
            tells="Bytes of record batches a second, at the embedded broker.",
            queries=[
                Query(
                    f"sum by (topic) (rate(stadtbus_produced_bytes_total{{{ON_TOPIC}}}[{RATE}]))",
                    "{{topic}}",
                )
            ],
            unit="Bps",
        ),
        Panel(
            title="Topics",
            tells="Events stored, bytes, retention in seconds, and seconds since the last event.",
            queries=[
                Query(f"max by (topic) (stadtbus_topic_records{{{ON_TOPIC}}})"),
                Query(f"max by (topic) (stadtbus_topic_size_bytes{{{ON_TOPIC}}})"),
                Query(f"max by (topic) (stadtbus_topic_retention_seconds{{{ON_TOPIC}}})"),
                Query(AGE),
            ],
            kind="table",
            width=24,
        ),
        Panel(
            title="Silence, as a part of what the contract expects",
            tells="Time since the last event by what the contract expects: above 1 it is silent.",
            queries=[
                Query(
                    f"{AGE} / on (topic)"
                    f" max by (topic) (stadtbus_topic_expected_interval_seconds{{{ON_TOPIC}}})",
                    "{{topic}}",
                )
            ],
            unit="percentunit",
            limits=(1, None),
        ),
        Panel(
            title="Dead letters by topic",
            tells="Events that subscribers set aside.",
            queries=[Query(f"max by (topic) (stadtbus_dead_letter_records{{{JOB}}})", "{{topic}}")],
            limits=(1, None),
        ),
        Panel(
            title="Schemas refused",
            tells="Schemas that would have broken readers, since the node's start, by subject.",
            queries=[
                Query(
                    f"sum by (subject) (stadtbus_schema_rejections_total{{{JOB}}})", "{{subject}}"
                )
            ],
        ),
        Panel(
            title="Events out by topic",
            tells="Events a second that the embedded broker handed to consumers.",
            queries=[
                Query(
                    f"sum by (topic) (rate(stadtbus_fetched_records_total{{{ON_TOPIC}}}[{RATE}]))",
                    "{{topic}}",
                )
            ],
        ),
    ),
)

SUBSCRIBERS = Dashboard(
    uid="stadtbus-subscribers",
    title="Stadtbus: subscribers",
    variables=(JOBS, TOPICS, GROUPS),
    panels=(
        Panel(
            title="Lag in seconds: the ten latest",
            tells="Age of the first event that a group has not committed; 0 when there is none.",
            queries=[
                Query(
                    "topk(10, max by (group, topic)"
                    f" (stadtbus_consumer_group_lag_seconds{{{OF_GROUP}}}))",
                    "{{group}} on {{topic}}",
                )
            ],
            unit="s",
        ),
        Panel(
            title="Lag, as a part of what was promised",
            tells="Above 1 a promise is broken.",
            queries=[
                Query(
                    f"max by (group, topic) (stadtbus_consumer_group_lag_seconds{{{OF_GROUP}}})"
                    " / on (group, topic) max by (group, topic)"
                    f" (stadtbus_consumer_group_promise_seconds{{{OF_GROUP}}})",
                    "{{group}} on {{topic}}",
                )
            ],
            unit="percentunit",
            limits=(1, None),
        ),
        Panel(
            title="Danger of loss",
            tells="Lag as a part of the topic's retention; at 1 events are deleted unread.",
            queries=[
                Query(f"stadtbus:retention_used:ratio{{{OF_GROUP}}}", "{{group}} on {{topic}}")
            ],
            unit="percentunit",
            limits=(0.5, 0.8),
        ),
        Panel(
            title="Events committed",
            tells="Events a second, derived from positions, as the protocol does not tell them.",
            queries=[
                Query(
                    "max by (group, topic)"
                    f" (rate(stadtbus_committed_records_total{{{OF_GROUP}}}[{RATE}]))",
                    "{{group}} on {{topic}}",
                )
            ],
        ),
        Panel(
            title="Subscribers",
            tells="Unread events, lag in seconds, events lost, seconds since progress.",
            queries=[
                Query(f"max by (group, topic) (stadtbus_consumer_group_lag_records{{{OF_GROUP}}})"),
                Query(f"max by (group, topic) (stadtbus_consumer_group_lag_seconds{{{OF_GROUP}}})"),
                Query(
                    f"max by (group, topic) (stadtbus_consumer_group_lost_records{{{OF_GROUP}}})"
                ),
                Query(
                    "time() - max by (group, topic)"
                    f" (stadtbus_consumer_group_last_progress_timestamp_seconds{{{OF_GROUP}}})"
                ),
            ],
            kind="table",
            width=24,
        ),
        Panel(
            title="Members",
            tells="Members of each group; none means that its program does not run.",
            queries=[
                Query(
                    f'max by (group) (stadtbus_consumer_group_members{{{JOB}, group=~"$group"}})',
                    "{{group}}",
                )
            ],
        ),
        Panel(
            title="Unread events",
            tells="Events that a group has not committed.",
            queries=[
                Query(
                    f"max by (group, topic) (stadtbus_consumer_group_lag_records{{{OF_GROUP}}})",
                    "{{group}} on {{topic}}",
                )
            ],
        ),
    ),
)

NODE = Dashboard(
    uid="stadtbus-node",
    title="Stadtbus: node",
    variables=(JOBS,),
    panels=(
        Panel(
            title="Disk",
            tells="Bytes free on the disk of the broker's data, and bytes that the data take.",
            queries=[
                Query(f"stadtbus_storage_free_bytes{{{JOB}}}", "free {{instance}}"),
                Query(f"stadtbus_storage_size_bytes{{{JOB}}}", "data {{instance}}"),
                Query(f"stadtbus_storage_wal_bytes{{{JOB}}}", "write-ahead log {{instance}}"),
            ],
            unit="bytes",
        ),
        Panel(
            title="Commits",
            tells="How long a synced commit takes: half and 99 of a hundred take no longer.",
            queries=[
                Query(
                    f"histogram_quantile({part}, sum by (le)"
                    f" (rate(stadtbus_commit_duration_seconds_bucket{{{JOB}}}[{RATE}])))",
                    name,
                )
                for part, name in ((0.5, "median"), (0.99, "99th percentile"))
            ],
            unit="s",
            limits=(0.1, None),
        ),
        Panel(
            title="Requests by API",
            tells="Requests a second to the embedded broker.",
            queries=[
                Query(f"sum by (api) (rate(stadtbus_requests_total{{{JOB}}}[{RATE}]))", "{{api}}")
            ],
            unit="reqps",
        ),
        Panel(
            title="What holds others up",
            tells="The longest turn of an event loop, to the next bucket, and the longest wait for "
            "maintenance.",
            queries=[
                Query(
                    "histogram_quantile(1, sum by (instance, loop, le)"
                    f" (rate(stadtbus_event_loop_turn_seconds_bucket{{{JOB}}}[{RATE}])))",
                    "event loop {{loop}} {{instance}}",
                ),
                Query(
                    f"stadtbus_storage_longest_step_seconds{{{JOB}}}", "maintenance {{instance}}"
                ),
            ],
            unit="s",
            limits=(0.1, None),
        ),
        Panel(
            title="Requests to registry and page",
            tells="Requests a second over HTTP, by listener and class of the status.",
            queries=[
                Query(
                    "sum by (listener, status)"
                    f" (rate(stadtbus_http_requests_total{{{JOB}}}[{RATE}]))",
                    "{{listener}} {{status}}",
                )
            ],
            unit="reqps",
        ),
        Panel(
            title="Registry and page: time to the answer, by route",
            tells="99 of a hundred requests take no longer.",
            queries=[
                Query(
                    "histogram_quantile(0.99, sum by (listener, route, le)"
                    f" (rate(stadtbus_http_request_duration_seconds_bucket{{{JOB}}}[{RATE}])))",
                    "{{listener}} {{route}}",
                )
            ],
            unit="s",
        ),
        Panel(
            title="Memory that clients hold",
            tells="Requests that are worked on, and answers that are not taken.",
            queries=[
                Query(f"stadtbus_request_memory_bytes{{{JOB}}}", "requests {{instance}}"),
                Query(f"stadtbus_fetch_memory_bytes{{{JOB}}}", "answers {{instance}}"),
            ],
            unit="bytes",
        ),
        Panel(
            title="Connections",
            tells="Open connections to the broker.",
            queries=[Query(f"stadtbus_connections{{{JOB}}}", "{{instance}}")],
        ),
        Panel(
            title="Logins and denials",
            tells="Since the node's start: logins by outcome, and requests that rules denied.",
            queries=[
                Query(f"sum by (outcome) (stadtbus_logins_total{{{JOB}}})", "logins {{outcome}}"),
                Query(f"sum by (api) (stadtbus_denials_total{{{JOB}}})", "denied {{api}}"),
            ],
        ),
        Panel(
            title="Certificates: time left",
            tells="Until the certificates of the node expire.",
            queries=[
                Query(
                    "min by (instance, certificate)"
                    f" (stadtbus_certificate_expiry_timestamp_seconds{{{JOB}}}) - time()",
                    "{{certificate}} {{instance}}",
                )
            ],
            unit="s",
        ),
        Panel(
            title="Damaged partitions",
            tells="Partitions that are out of service.",
            queries=[Query(f"stadtbus_damaged_partitions{{{JOB}}}", "{{instance}}")],
            kind="stat",
            limits=(None, 1),
        ),
        Panel(
            title="Transactions",
            tells="Age of the oldest open transaction: who reads what is committed waits for it.",
            queries=[Query(f"stadtbus_oldest_transaction_seconds{{{JOB}}}", "{{instance}}")],
            unit="s",
        ),
    ),
)

DASHBOARDS = (OVERVIEW, TOPIC, SUBSCRIBERS, NODE)
