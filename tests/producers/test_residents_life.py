"""Invented people whose events keep to the contract and to each other."""

from collections import Counter
from itertools import islice

import pytest

from bus.avro.codec import Codec
from bus.contracts import load_all
from bus.errors import InvalidInput
from bus.event import Draft
from producers.residents.announcement import TOPIC
from producers.residents.life import FEWEST, RESIDENTS
from producers.residents.places import STREETS, municipalities
from producers.residents.register import announcements

SYSTEM, RINGELAI = "de.mun.092720140140.meldewesen", "092720140140"
CONTRACT = next(contract for contract in load_all() if contract.topic == TOPIC)


def first(count: int, seed: int = 1, municipality: str = RINGELAI) -> list[Draft]:
    return list(islice(announcements(SYSTEM, municipality, seed), count))


def test_the_same_seed_gives_the_same_life() -> None:
    assert first(300) == first(300)
    assert first(300) != first(300, seed=2)
    pseudonyms = {draft.data["pseudonym"] for draft in first(300)}
    assert not pseudonyms & {draft.data["pseudonym"] for draft in first(300, seed=2)}


def test_everything_happens_and_keeps_to_the_contract() -> None:
    codec, events = Codec(CONTRACT.versions[-1]), first(4000)
    for event in events:
        codec.encode(event.data)
    seen = Counter(event.data["cause"] for event in events)
    causes = {"MOVE", "BIRTH", "DEATH", "CORRECTION", "SEALED", "UNSEALED", "STREET_RENAMED"}
    assert seen.keys() == causes
    assert len({event.id for event in events}) == len(events)
    times = [event.time for event in events if event.time]
    assert times == sorted(times)


def test_each_event_goes_on_from_the_last_one_about_the_person() -> None:
    at: dict[str, Draft] = {}
    for event in first(4000):
        data, before = event.data, at.get(event.data["pseudonym"])
        if before is not None:
            assert before.data["cause"] != "DEATH", "nobody comes back"
            assert data["old_address"] == before.data["new_address"]
            sealing = data["cause"] in ("SEALED", "UNSEALED")
            assert (data["sealed"] != before.data["sealed"]) == sealing
        if data["cause"] == "CORRECTION":
            assert before is not None
            assert data["corrects"] == before.id
        at[data["pseudonym"]] = event


def test_people_and_streets_are_invented_and_municipalities_are_not() -> None:
    known = municipalities()
    assert len(known) == 12
    for event in first(2000):
        assert event.data["municipality"] == RINGELAI
        assert event.data["register"] == "de.mun.092720140140"
        for side in ("old", "new"):
            ars, address = event.data[f"{side}_municipality"], event.data[f"{side}_address"]
            assert (ars is None) == (address is None)
            if address is not None:
                assert known[ars].name == address["place"]
                assert any(street.rpartition(" ")[2] in address["street"] for street in STREETS)
        assert RINGELAI in (event.data["old_municipality"], event.data["new_municipality"])


def test_a_place_does_not_empty() -> None:
    count = RESIDENTS
    for event in first(20_000):
        old, new = event.data["old_municipality"], event.data["new_municipality"]
        count += (new == RINGELAI) - (old == RINGELAI)
        assert count >= FEWEST


def test_a_municipality_that_is_none_of_the_ilzer_land() -> None:
    with pytest.raises(InvalidInput, match="no municipality of the Ilzer Land"):
        announcements(SYSTEM, "110000000000", 1)
