"""Following the topic of the traffic view, on both engines."""

import json
import logging

import pytest

from bus.admin import Admin, TopicSpec
from bus.kafka import Producer, Record
from bus.settings import KafkaSettings
from bus.views.traffic import TOPIC, ViewReader

ARS = "053150000000"


def key(segment: str, start: int = 0, municipality: str = ARS) -> bytes:
    return json.dumps([f"{municipality}:{segment}", [start, start + 899.9]]).encode()


def value(code: int) -> bytes:
    return json.dumps({"v": 1, "place": [0, 0], "codes": {"1000000": code}}).encode()


async def make(kafka: KafkaSettings) -> None:
    async with Admin(kafka) as admin:
        configs = {"cleanup.policy": "compact"}
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=2, configs=configs))


async def write(kafka: KafkaSettings, *records: Record, partition: int = 0) -> None:
    producer = Producer(kafka, client_id="test")
    await producer.start()
    await producer.append(TOPIC, partition, records)
    await producer.stop()


def seen(reader: ViewReader) -> dict[str, list[int | None]]:
    return {window.segment: list(window.codes.values()) for window in reader.windows}


async def test_it_follows_the_topic(bare: KafkaSettings, caplog: pytest.LogCaptureFixture) -> None:
    async with ViewReader(bare) as reader:
        await reader.refresh()
        assert (reader.exists, reader.windows) == (False, [])
        await make(bare)
        await reader.refresh()
        assert (reader.exists, reader.windows) == (True, [])
        await write(bare, Record(key("a"), value(0)), Record(key("b"), value(1)))
        await write(bare, Record(key("c"), value(2)), partition=1)
        await reader.refresh()
        assert seen(reader) == {"a": [0], "b": [1], "c": [2]}
        with caplog.at_level(logging.WARNING):
            bad = Record(key("c"), b"<script>")
            await write(bare, Record(key("a"), value(16)), Record(key("b"), None), bad)
            await reader.refresh()
        assert seen(reader) == {"a": [16], "c": [2]}, "the last one counts; what is bad does not"
        assert f"{TOPIC}-0 at 4 is left out of the view" in caplog.text


async def test_a_topic_that_is_made_anew_is_read_anew(bare: KafkaSettings) -> None:
    async with ViewReader(bare) as reader, Admin(bare) as admin:
        await make(bare)
        await write(bare, Record(key("a"), value(0)), Record(key("b"), value(1)))
        await reader.refresh()
        await admin.delete_topic(TOPIC)
        await make(bare)
        await write(bare, Record(key("c"), value(2)))
        await reader.refresh()
        assert seen(reader) == {"c": [2]}


async def test_windows_of_one_municipality(bare: KafkaSettings) -> None:
    await make(bare)
    other = "110000000000"
    await write(bare, Record(key("a"), value(0)), Record(key("a", 0, other), value(1)))
    async with ViewReader(bare) as reader:
        await reader.refresh()
        assert [window.average for window in reader.of(other)] == [1.0]
        assert len(reader.windows) == 2
