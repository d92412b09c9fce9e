"""What a survey found is what /metrics shows."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from bus.telemetry import Telemetry
from bus.watch.expected import Expected
from bus.watch.gauges import Gauges
from tests.test_telemetry import listed
from tests.watch.bus import behind, surveyed

BOUNDS = {0: (5, 15)}


def shown(telemetry: Telemetry) -> dict[tuple[str, ...], float]:
    """Return what is exposed of topics and groups, by name and labels' values."""
    return {
        (sample.name.removeprefix("stadtbus_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(telemetry.exposition().decode())
        for sample in family.samples
    }


def test_everything_that_was_found_is_shown(telemetry: Telemetry) -> None:
    late = behind(records=4, seconds=47.0, promise=30.0, lost=2)
    new = behind("de.c.d", records=10, seconds=None, positions={})
    survey = surveyed(100.0, {"t": BOUNDS, "dead.de.a.t": BOUNDS}, [late, new], retention=600.0)
    survey = replace(survey, dead={"dead.de.a.t": 4})
    Gauges(telemetry).show(survey, {"t": Expected(900.0, 40.0)})
    found = shown(telemetry)
    wanted = {
        ("consumer_group_lag_records", "de.a.b", "t"): 4,
        ("consumer_group_lag_seconds", "de.a.b", "t"): 47,
        ("consumer_group_promise_seconds", "de.a.b", "t"): 30,
        ("consumer_group_lost_records", "de.a.b", "t"): 2,
        ("lost_records_total", "de.a.b", "t"): 2,
        ("consumer_group_ahead_records", "de.a.b", "t"): 0,
        ("consumer_group_last_progress_timestamp_seconds", "de.a.b", "t"): 1,
        ("consumer_group_members", "de.a.b"): 1,
        ("consumer_group_never_committed", "de.c.d", "t"): 1,
        ("consumer_group_lag_records", "de.c.d", "t"): 10,
        ("topic_records", "t"): 10,
        ("appended_records_total", "t"): 15,
        ("topic_size_bytes", "t"): 100,
        ("topic_last_record_timestamp_seconds", "t"): 97,
        ("topic_retention_seconds", "t"): 600,
        ("topic_expected_interval_seconds", "t"): 900,
        ("topic_expected_since_timestamp_seconds", "t"): 40,
        ("dead_letter_records", "dead.de.a.t"): 4,
        ("survey_duration_seconds",): 0.5,
        ("survey_timestamp_seconds",): 100,
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert ("consumer_group_lag_seconds", "de.c.d", "t") not in found, "no time is known"
    assert ("consumer_group_never_committed", "de.a.b", "t") not in found
    assert ("topic_records", "dead.de.a.t") not in found, "dead letters are no events"
    assert {f"stadtbus_{name}" for name, *_ in found} <= listed()


def test_nobody_waits_for_what_no_group_reads(telemetry: Telemetry) -> None:
    reading = [behind("de.a.b", "t")]
    both = {"t": BOUNDS, "u": BOUNDS}
    expected = dict.fromkeys(both, Expected(900.0, 40.0))
    Gauges(telemetry).show(surveyed(100.0, both, reading), expected)
    found = shown(telemetry)
    for topic in both:
        assert found["topic_expected_interval_seconds", topic] == 900
    assert found["topic_expected_since_timestamp_seconds", "t"] == 40
    assert ("topic_expected_since_timestamp_seconds", "u") not in found


def test_what_is_committed_only_grows(telemetry: Telemetry) -> None:
    gauges = Gauges(telemetry)
    counted = []
    for at, position in enumerate([5, 9, 0, 3]):
        survey = surveyed(float(at), {"t": BOUNDS}, [behind(positions={0: position})])
        gauges.show(survey, {})
        counted.append(shown(telemetry)["committed_records_total", "de.a.b", "t"])
    assert counted == [0, 4, 4, 7], "a group that was set back did not read by that"


def test_the_bus_own_topics_and_groups_stay_out(telemetry: Telemetry) -> None:
    own = "_stadtbus.canary"
    mine = behind(f"{own}.host", own, records=3, seconds=9.0)
    survey = surveyed(1.0, {own: BOUNDS, "__consumer_offsets": BOUNDS}, [mine])
    Gauges(telemetry).show(survey, {})
    assert not [name for name in shown(telemetry) if any(part[:1] == "_" for part in name[1:])]


def test_nothing_is_shown_that_is_no_longer_true(telemetry: Telemetry) -> None:
    gauges = Gauges(telemetry)
    gauges.show(surveyed(1.0, {"t": BOUNDS}, [behind()]), {})
    gauges.show(surveyed(2.0, {}, []), {})
    assert [name for name in shown(telemetry) if len(name) > 1 and name[1] in ("t", "de.a.b")] == []
    gauges.show(surveyed(3.0, {"t": BOUNDS}, [behind()]), {})
    gauges.clear()
    left = {name[0] for name in shown(telemetry) if len(name) > 1 and name[1] in ("t", "de.a.b")}
    totals = {"appended_records_total", "committed_records_total", "lost_records_total"}
    assert left == totals, "a counter does not forget"
