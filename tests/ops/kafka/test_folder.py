"""What lies in a cluster's folder, and what is left alone because it is somebody else's."""

from pathlib import Path

import pytest

from bus.errors import InvalidSettings, StorageInUse, StorageUnusable
from ops.kafka.folder import claimed, emptied, known, quoted, refuse_count
from ops.kafka.properties import text


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("act", [emptied, lambda data: claimed(data).__enter__()])
def test_what_is_not_a_clusters_is_left_as_it_is(tmp_path: Path, act: object) -> None:
    for name in ("lock", "log4j2.xml", "broker-1/notes.txt", "broker-notes/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("precious", encoding="utf-8")
    before = contents(tmp_path)
    assert callable(act)
    with pytest.raises(StorageUnusable, match="no cluster's folder"):
        act(tmp_path)
    assert contents(tmp_path) == before


def test_a_clusters_folder_is_emptied_of_what_is_the_clusters(tmp_path: Path) -> None:
    with claimed(tmp_path):
        first = known(tmp_path, brokers=1, secure=False)
        with pytest.raises(StorageInUse):
            emptied(tmp_path)
    (tmp_path / "broker-1").mkdir()
    (tmp_path / "broker-notes").mkdir()
    emptied(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"lock", "broker-notes"}
    with pytest.raises(StorageUnusable):
        emptied(tmp_path)
    (tmp_path / "broker-notes").rmdir()
    with claimed(tmp_path):
        assert known(tmp_path, brokers=3, secure=True) != first


def test_a_comma_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(StorageUnusable, match="comma"), claimed(tmp_path / "a,b"):
        pytest.fail("Kafka would write to two folders")
    assert not (tmp_path / "a,b").exists()


@pytest.mark.parametrize(
    ("count", "port"),
    [
        pytest.param(2, 0, id="two brokers"),
        pytest.param(0, 0, id="none"),
        pytest.param(3, 65534, id="ports past the last one"),
    ],
)
def test_what_no_cluster_can_be(count: int, port: int) -> None:
    with pytest.raises(InvalidSettings):
        refuse_count(count, port)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        pytest.param("plain", "a=plain\n", id="plain"),
        pytest.param("C:\\data", "a=C:\\\\data\n", id="backslash"),
        pytest.param("Köln", "a=K\\u00f6ln\n", id="umlaut"),
        pytest.param("𝄞", "a=\\ud834\\udd1e\n", id="past the basic plane"),
        pytest.param("two\nlines", "a=two\\u000alines\n", id="a line's end"),
    ],
)
def test_a_property_is_read_back_as_it_was(value: str, line: str) -> None:
    """java.util.Properties, "load": Latin-1 with escapes."""
    assert text({"a": value}) == line


def test_an_argument_keeps_quotes_and_backslashes() -> None:
    assert quoted('a "b" \\c') == '"a \\"b\\" \\\\c"'
