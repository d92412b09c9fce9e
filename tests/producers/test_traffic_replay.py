"""A recorded day of traffic: its rows, its pace, and where a run goes on."""

import gzip
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from uuid import UUID

import pytest

from bus.avro.codec import Codec
from bus.contracts import load_all
from bus.errors import InvalidInput
from producers.position import Positions
from producers.traffic.announcement import TOPIC, draft
from producers.traffic.observation import Observation, lines
from producers.traffic.replay import Replay

HEADER = '"datetime_utc","identifier","auslastung","valid"\n'
AT = datetime(2014, 1, 15, 7, 30, 1, tzinfo=UTC)
ARS, SYSTEM = "053150000000", "de.mun.053150000000.verkehrslage"


def written(folder: Path, *rows: str, name: str = "load.csv") -> Path:
    """Write a file; a row is ``HH:MM:SS,segment,code,valid``."""
    path = folder / name
    path.write_text(HEADER + "".join(f"2014-01-15 {row}\n" for row in rows), encoding="utf-8")
    return path


def observations(path: Path) -> list[Observation]:
    found = list(lines(path))
    assert [line.refusal for line in found if line.refusal] == []
    return [line.observation for line in found if line.observation]


def test_the_shipped_morning() -> None:
    with as_file(files("producers.traffic") / "data" / "load_2014-01-15_05-11.csv") as path:
        day = observations(path)
    assert len(day) == 7778
    assert len({seen.segment for seen in day}) == 108
    assert sum(seen.code == 16 for seen in day) == 1743
    assert day[0] == Observation(datetime(2014, 1, 15, 5, 0, 1, tzinfo=UTC), "ST022", 0, True)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        pytest.param("00:00:01,A,0", "has 3 fields, wanted 4", id="a field is missing"),
        pytest.param("24:00:00,A,0,1", "datetime_utc", id="no such time"),
        pytest.param("00:00:01+01,A,0,1", "datetime_utc", id="an offset, where there is none"),
        pytest.param("00:00:01,,0,1", "identifier is empty", id="no segment"),
        pytest.param("00:00:01,A,high,1", 'auslastung is "high"', id="a code that is no number"),
        pytest.param("00:00:01,A,,1", 'auslastung is ""', id="no code"),
        pytest.param("00:00:01,A,99999999999,1", "auslastung", id="a code that no int holds"),
        pytest.param("00:00:01,A,0,yes", 'valid is "yes"', id="a mark that is none"),
        pytest.param("00:00:00,A,0,1", "before the time of the row before", id="back in time"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_the_next_one_goes_on(
    tmp_path: Path, row: str, said: str
) -> None:
    path = written(tmp_path, "00:00:01,A,0,1", row, "00:00:02,A,16,0")
    first, bad, last = lines(path)
    assert bad.refusal is not None
    assert f"{path}:3" in str(bad.refusal)
    assert said in str(bad.refusal)
    assert first.observation
    assert last.observation == Observation(
        datetime(2014, 1, 15, 0, 0, 2, tzinfo=UTC), "A", 16, False
    )


def test_a_row_with_a_wrong_year_is_set_aside_and_nothing_waits_for_it(tmp_path: Path) -> None:
    path = written(tmp_path, *(f"00:{minute:02}:00,A,0,1" for minute in range(60)))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("2014-01-15 00:30:00", "2104-01-15 00:30:00"), encoding="utf-8")
    refusals: list[InvalidInput] = []
    with Positions(tmp_path / "state") as positions:
        source = Replay(path, positions, 60.0, lambda one: draft(ARS, SYSTEM, one), refusals.append)
        moments = [source.due(0)]
        while source.take(source.size):
            moments.append(source.due(len(moments)))
    assert len(moments[:-1]) == 59, "all but one of the minutes"
    assert max(moments) <= 59
    assert [refusal.where for refusal in refusals] == [f"{path}:32"]
    assert "2104-01-15 00:30:00 is more than 31 days away" in str(refusals[0])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("a.csv", b"", "the columns are none", id="empty"),
        pytest.param("a.csv", b"Datetime,10\n", "wanted datetime_utc", id="another table"),
        pytest.param("a.csv.gz", HEADER.encode(), "not compressed", id="not compressed"),
        pytest.param(
            "a.csv.gz", gzip.compress(HEADER.encode() * 999)[:-9], "not compressed", id="cut short"
        ),
        pytest.param("a.csv", HEADER.encode() + b"\xe4\n", "not UTF-8", id="Latin-1"),
        pytest.param(
            "a.csv.gz", gzip.compress(HEADER.encode() + b"\xe4\n"), "a.csv.gz:2", id="and packed"
        ),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        list(lines(path))


def test_an_event_keeps_to_the_contract_and_carries_the_code_as_it_is() -> None:
    contract = next(contract for contract in load_all() if contract.topic == TOPIC)
    codec = Codec(contract.versions[-1])
    event = draft(ARS, SYSTEM, Observation(AT, "ST066", 16, True))
    assert event.data is not None
    assert codec.decode(codec.encode(event.data)) == {
        "municipality": ARS,
        "segment": "ST066",
        "observed_at": AT,
        "load_code": 16,
        "valid": True,
    }
    assert contract.key_of(event.data) == f"{ARS}:ST066"
    assert event.time == AT


def test_an_id_lasts_and_another_code_is_another_event() -> None:
    ids = {
        draft(ARS, SYSTEM, Observation(AT, segment, code, valid)).id
        for _ in range(2)
        for segment in "ab"
        for code in (0, 1)
        for valid in (True, False)
    }
    assert len(ids) == 8
    assert {UUID(id_).version for id_ in ids} == {7}


def replay(path: Path, positions: Positions, speed: float = 1.0) -> Replay:
    refusals: list[InvalidInput] = []
    return Replay(path, positions, speed, lambda seen: draft(ARS, SYSTEM, seen), refusals.append)


@pytest.mark.parametrize(
    ("speed", "due"),
    [
        pytest.param(1.0, [0.0, 1.0, 301.0], id="as fast as it was"),
        pytest.param(60.0, [0.0, 1 / 60, 301 / 60], id="sixty times as fast"),
        pytest.param(0.5, [0.0, 2.0, 602.0], id="slower"),
    ],
)
def test_a_batch_is_what_was_observed_at_one_time_and_due_as_it_was(
    tmp_path: Path, speed: float, due: list[float]
) -> None:
    rows = ["00:00:01,A,0,1", "00:00:01,B,1,1", "00:00:02,A,0,1", "00:05:02,A,2,1"]
    with Positions(tmp_path / "state") as positions:
        source = replay(written(tmp_path, *rows), positions, speed)
        moments, sizes = [], []
        for batch in range(3):
            moments.append(source.due(batch))
            sizes.append(len(source.take(source.size)))
        assert list(source.take(source.size)) == []
    assert moments == pytest.approx(due)
    assert sizes == [2, 1, 1]


@pytest.mark.parametrize("settled", range(5))
def test_a_run_goes_on_after_what_was_acknowledged(tmp_path: Path, settled: int) -> None:
    path = written(tmp_path, *(f"00:0{minute}:00,A,{minute},1" for minute in range(5)))
    with Positions(tmp_path / "state") as positions:
        before = replay(path, positions)
        for _ in range(settled):
            before.take(1)
            before.settle()
        before.take(1)  # and this one was under way
    with Positions(tmp_path / "state") as positions:
        after = replay(path, positions)
        assert after.due(0) == 0.0
        codes = [event.data["load_code"] for _ in range(5) for event in after.take(1) if event.data]
    assert codes == list(range(settled, 5))


def test_a_file_that_shrank_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "00:00:01,A,0,1")
    with Positions(tmp_path / "state") as positions:
        positions.advance(path.name, 2)
        with pytest.raises(InvalidInput, match="has 1 rows, but 2 were published already"):
            replay(path, positions)


def test_a_refused_row_is_told_of_when_its_turn_comes(tmp_path: Path) -> None:
    path = written(tmp_path, "00:00:01,A,x,1", "00:00:02,A,0,1")
    refusals: list[InvalidInput] = []
    with Positions(tmp_path / "state") as positions:
        source = Replay(
            path, positions, 1.0, lambda seen: draft(ARS, SYSTEM, seen), refusals.append
        )
        assert len(source.take(9)) == 1
    assert len(refusals) == 1
