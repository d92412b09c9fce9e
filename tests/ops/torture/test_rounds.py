"""What a campaign does: every combination, in an order that its seed settles."""

from itertools import islice

from ops.torture.rounds import Fault, Target, plan


def test_six_rounds_hold_every_combination_once() -> None:
    rounds = list(islice(plan(7), 6))
    assert {(one.fault, one.target) for one in rounds} == {(f, t) for f in Fault for t in Target}


def test_a_seed_settles_the_order() -> None:
    first, again, other = (list(islice(plan(seed), 24)) for seed in (7, 7, 8))
    assert first == again != other
