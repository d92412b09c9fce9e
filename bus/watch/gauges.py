"""What a survey found, as metrics; the bus's own topics and groups stay out of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from bus.telemetry import Series, Telemetry
from bus.watch.expected import Expected
from bus.watch.names import is_aside, is_internal
from bus.watch.survey import Subscription, Survey, TopicState
from bus.watch.totals import Totals

_Value = tuple[tuple[str, ...], float | None]


class Gauges:
    """Keeps the metrics of topics and groups as the last survey found them.

    Args:
        telemetry: whose metrics they are.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._totals = Totals()

    def show(self, survey: Survey, expected: Mapping[str, Expected]) -> None:
        """Show a survey.

        Args:
            survey: what was found.
            expected: how often an event is expected at the least, by topic.
        """
        telemetry = self._telemetry
        telemetry.survey_seconds.set(survey.took)
        telemetry.survey_timestamp.set(survey.at)
        _set(telemetry.dead_letters, (((t,), count) for t, count in survey.dead.items()))
        subscriptions = [
            one
            for one in survey.subscriptions()
            if not (is_internal(one.group) or is_internal(one.topic))
        ]
        topics = [topic for topic in survey.topics.values() if not is_internal(topic.topic)]
        self._show_topics(topics, expected, read={one.topic for one in subscriptions})
        self._show_subscriptions(subscriptions)
        telemetry.members.replace(
            ((g.group,), g.members) for g in survey.groups.values() if not is_internal(g.group)
        )
        self._show_totals(survey, {(one.group, one.topic) for one in subscriptions})

    def clear(self) -> None:
        """Show nothing rather than what is no longer true; counters stay as they are."""
        telemetry = self._telemetry
        for metric in vars(telemetry).values():
            if isinstance(metric, Series) and metric.kind == "gauge":
                metric.clear()

    def _show_totals(self, survey: Survey, keys: Collection[tuple[str, str]]) -> None:
        telemetry, totals = self._telemetry, self._totals
        totals.take(survey)
        telemetry.appended_records.replace(
            ((topic,), count)
            for topic, count in totals.appended.items()
            if not (is_internal(topic) or is_aside(topic))
        )
        for series, counts in (
            (telemetry.committed_records, totals.committed),
            (telemetry.records_lost, totals.lost),
        ):
            series.replace((key, count) for key, count in counts.items() if key in keys)

    def _show_topics(
        self, topics: Sequence[TopicState], expected: Mapping[str, Expected], read: Collection[str]
    ) -> None:
        telemetry = self._telemetry
        shown = [t for t in topics if not is_aside(t.topic)]
        _set(telemetry.topic_records, (((t.topic,), t.records) for t in shown))
        _set(telemetry.topic_size, (((t.topic,), t.size) for t in topics))
        _set(telemetry.topic_last_record, (((t.topic,), t.newest) for t in shown))
        _set(telemetry.topic_retention, (((t.topic,), t.retention) for t in shown))
        promised = [((t.topic,), expected[t.topic]) for t in shown if t.topic in expected]
        _set(telemetry.topic_expected_interval, ((key, one.interval) for key, one in promised))
        # A contract that nobody publishes and nobody reads is in force everywhere, and no trouble.
        awaited = ((key, one.since) for key, one in promised if key[0] in read)
        _set(telemetry.topic_expected_since, awaited)

    def _show_subscriptions(self, subscriptions: Iterable[Subscription]) -> None:
        telemetry = self._telemetry
        keyed = [((one.group, one.topic), one) for one in subscriptions]
        _set(telemetry.lag_records, ((key, one.records) for key, one in keyed))
        _set(telemetry.lag_seconds, ((key, one.seconds) for key, one in keyed))
        _set(telemetry.never_committed, ((k, 1.0 if o.never_committed else None) for k, o in keyed))
        _set(telemetry.lost_records, ((key, one.lost) for key, one in keyed))
        _set(telemetry.ahead_records, ((key, one.ahead) for key, one in keyed))
        _set(telemetry.promise, ((key, one.promise) for key, one in keyed))
        _set(telemetry.last_progress, ((key, one.moved) for key, one in keyed))


def _set(series: Series, values: Iterable[_Value]) -> None:
    """Show the values that are known."""
    series.replace((labels, value) for labels, value in values if value is not None)
