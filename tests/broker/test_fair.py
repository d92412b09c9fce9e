"""Rounds that many sources share, and what one of them gets."""

from bus.broker.fair import ALONE_AFTER, CROWD, SHARE, SHARE_BYTES, Fair

JOBS, SIZE = 80, 800


def flooded(count: int, size: int = 1) -> Fair[str]:
    """Return what one source has put so much into."""
    fair: Fair[str] = Fair(JOBS, SIZE)
    for number in range(count):
        fair.put("flood", f"flood {number}", size)
    return fair


def test_each_source_keeps_its_order_and_nothing_is_lost_or_doubled() -> None:
    fair: Fair[str] = Fair(JOBS, SIZE)
    put = [(source, f"{source} {number}") for number in range(100) for source in "abc"]
    for source, job in put:
        fair.put(source, job, 3)
    taken = []
    while fair:
        taken += fair.take(0.0)
    assert sorted(taken) == sorted(job for _, job in put)
    for source in "abc":
        assert [job for job in taken if job[0] == source] == [j for s, j in put if s == source]


def test_who_comes_while_another_floods_is_in_the_next_round() -> None:
    fair = flooded(10_000)
    fair.take(0.0)
    fair.put("polite", "polite", 1)
    assert "polite" in fair.take(0.0)


def test_a_flood_gets_a_share_of_a_round_while_there_are_others() -> None:
    fair = flooded(10_000)
    fair.put("polite", "polite", 1)
    assert len(fair.take(0.0)) == JOBS // SHARE + 1
    assert len(fair.take(0.5)) == JOBS // SHARE  # the polite one may come again
    assert len(fair.take(0.5 + ALONE_AFTER)) == JOBS


def test_bytes_count_as_jobs_do() -> None:
    fair = flooded(1000, size=50)
    fair.put("polite", "polite", 1)
    assert len(fair.take(0.0)) == SIZE // SHARE_BYTES // 50 + 1
    fair.take(0.5)
    assert len(fair.take(0.5 + ALONE_AFTER)) == SIZE // 50


def test_a_place_counts_once_in_each_round() -> None:
    fair: Fair[int] = Fair(1000, SIZE, place=95)
    for job in range(60):
        fair.put("a", job, 5, job % 2)
    first = (SIZE // SHARE_BYTES - 2 * 95) // 5
    assert [fair.take(0.0), fair.take(0.0)] == [[*range(first)], [*range(first, 60)]]


def test_a_round_is_never_larger_than_it_may_be_and_who_did_not_fit_is_next() -> None:
    fair: Fair[str] = Fair(JOBS, SIZE)
    for number in range(3):
        fair.put("small", f"small {number}", 300)
        fair.put("large", f"large {number}", 700)
    rounds = [fair.take(0.0) for _ in range(6)]
    assert rounds[:2] == [["small 0", "small 1"], ["large 0"]]
    assert sorted(job for taken in rounds for job in taken) == sorted(
        f"{source} {number}" for source in ("small", "large") for number in range(3)
    )


def test_a_job_that_is_larger_than_a_round_comes_alone() -> None:
    fair: Fair[str] = Fair(JOBS, SIZE)
    for source in "ab":
        fair.put(source, source, 10 * SIZE)
    assert [fair.take(0.0), fair.take(0.0), fair.take(0.0)] == [["a"], ["b"], []]


def test_with_many_sources_all_get_their_turn() -> None:
    fair: Fair[int] = Fair(JOBS, SIZE)
    for source in range(500):
        for _ in range(5):
            fair.put(source, source, 1)
    rounds = 0
    seen: set[int] = set()
    while len(seen) < 500:
        taken = fair.take(0.0)
        assert len(taken) <= JOBS
        seen.update(taken)
        rounds += 1
    assert rounds <= 500 * 5 / (JOBS / CROWD) + 1


def test_what_comes_from_nobody_makes_no_crowd() -> None:
    fair = flooded(1000)
    fair.take(0.0)
    fair.put(None, "commit", 0)
    assert len(fair.take(ALONE_AFTER)) == JOBS
    taken = fair.take(ALONE_AFTER + 0.1)
    assert (taken[0], len(taken)) == ("commit", JOBS)


def test_one_that_is_alone_fills_a_round() -> None:
    fair = flooded(1000)
    fair.take(0.0)
    assert len(fair.take(ALONE_AFTER)) == JOBS
