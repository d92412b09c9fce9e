"""What a publisher sends on a restricted contract is signed, or it is not sent."""

from pathlib import Path
from typing import Any

import pytest

from bus.avro.codec import Codec
from bus.avro.schema import parse
from bus.avro.text import from_json
from bus.contracts import load_all
from bus.errors import InvalidEvent, InvalidKey, InvalidSettings, NotVerified
from bus.event import Draft, unframe
from bus.publisher import Publisher
from bus.settings import PublisherSettings
from bus.trust import keys
from bus.trust.arrival import SKEW_MS, check_arrival
from bus.trust.keys import FileSigner
from bus.trust.projection import Projection
from bus.trust.reasons import Reason
from bus.trust.signed import Content, Signed, read_whole
from tests.city import ADDRESSES, City, records

pytestmark = pytest.mark.slow

RESIDENTS = "resident.address-changed.v1"
CONTRACT = next(contract for contract in load_all() if contract.topic == RESIDENTS)
SYSTEM = "de.mun.092720140140.meldewesen"
PROJECTION = Projection(CONTRACT.versions[-1])


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    """The key of a system, in a file."""
    return keys.make(tmp_path / "meldewesen.key")


def moved(**changes: Any) -> dict[str, Any]:
    data = CONTRACT.examples["moved"] | changes
    return dict(from_json(parse(CONTRACT.versions[-1]), data))


async def received(city: City) -> list[Signed]:
    """Return what lies on the topic, in order of partitions and offsets, not yet checked."""
    found = []
    for record in await records(city.settings.kafka, RESIDENTS):
        content = None
        if record.value is not None:
            content = Content(PROJECTION, unframe(record.value)[1])
        found.append(read_whole(RESIDENTS, record.key or b"", content, record.headers))
    return found


async def test_events_are_signed_with_the_systems_key(city: City, signer: FileSigner) -> None:
    async with Publisher(SYSTEM, city.settings, signer=signer) as publisher:
        single = await publisher.publish(RESIDENTS, moved())
        many = await publisher.publish_many(RESIDENTS, [moved(), Draft(data=moved(sealed=True))])
    found = await received(city)
    for each in found:
        each.check(signer.public)
    assert [each.claim.id.decode() for each in found] == [r.id for r in (single, *many)]
    digests = [{leaf.digest for leaf in each.leaves} for each in found]
    assert not digests[0] & digests[1], "the same said twice cannot be seen to be the same"
    contents = {leaf.name: leaf.content for leaf in found[-1].leaves}
    assert contents["@subject"] == b"\1" + CONTRACT.examples["moved"]["pseudonym"].encode()
    assert contents["sealed"] == b"\1"


async def test_tombstones_are_signed_and_say_whom_they_are_about(
    city: City, signer: FileSigner
) -> None:
    example = CONTRACT.examples["moved"]
    key = (example["register"], example["pseudonym"])
    async with Publisher(SYSTEM, city.settings, signer=signer) as publisher:
        with pytest.raises(InvalidEvent, match="municipality"):
            await publisher.tombstone(RESIDENTS, *key)
        await publisher.tombstone(RESIDENTS, *key, municipality=example["municipality"])
    (found,) = await received(city)
    found.check(signer.public)
    assert {leaf.name: leaf.content for leaf in found.leaves} == {
        "@key": ":".join(key).encode(),
        "@subject": b"\1" + example["pseudonym"].encode(),
        "@municipality": example["municipality"].encode(),
    }


async def test_nothing_is_sent_unsigned(city: City, signer: FileSigner) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        for attempt in (
            publisher.publish(RESIDENTS, moved()),
            publisher.publish_many(RESIDENTS, []),
            publisher.tombstone(RESIDENTS, "a", "b", municipality="1"),
        ):
            with pytest.raises(InvalidSettings, match=r"publisher\.signing_key"):
                await attempt
        await publisher.tombstone(ADDRESSES, "an open contract needs no key")
    async with Publisher(SYSTEM, city.settings, signer=signer) as publisher:
        with pytest.raises(InvalidEvent, match="no signature covers"):
            await publisher.publish_many(
                RESIDENTS, [Draft(data=moved(), headers={"ce_note": "seen by nobody"})]
            )
    assert await records(city.settings.kafka, RESIDENTS) == []


async def test_the_settings_name_the_key(city: City, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("open sesame\n", encoding="utf-8")
    made = keys.make(tmp_path / "locked.key", b"open sesame")
    chosen = PublisherSettings(signing_key=tmp_path / "locked.key", signing_passphrase_file=secret)
    settings = city.settings.model_copy(update={"publisher": chosen})
    async with Publisher(SYSTEM, settings) as publisher:
        await publisher.publish(RESIDENTS, moved())
    (found,) = await received(city)
    found.check(made.public)
    missing = PublisherSettings(signing_key=tmp_path / "nowhere.key")
    with pytest.raises(InvalidKey, match=r"nowhere\.key"):
        Publisher(SYSTEM, city.settings.model_copy(update={"publisher": missing}))


async def test_it_arrives_in_its_keys_partition_and_in_time(city: City, signer: FileSigner) -> None:
    async with Publisher(SYSTEM, city.settings, signer=signer) as publisher:
        receipt = await publisher.publish(RESIDENTS, moved())
    (record,), (found,) = await records(city.settings.kafka, RESIDENTS), await received(city)
    key, partitions, signed = record.key or b"", CONTRACT.partitions, found.mark.at_ms
    arrived = record.timestamp_ms
    check_arrival(found, key, receipt.partition, partitions, arrived, 60_000)
    elsewhere = (receipt.partition + 1) % partitions
    for place, time, reason in (
        (elsewhere, arrived, Reason.OTHER_PARTITION),
        (receipt.partition, signed + 60_001, Reason.TOO_OLD),
        (receipt.partition, signed - SKEW_MS - 1, Reason.TOO_NEW),
    ):
        with pytest.raises(NotVerified) as caught:
            check_arrival(found, key, place, partitions, time, 60_000)
        assert caught.value.reason == reason


def test_the_feeds_schema_can_be_registered() -> None:
    """It keeps to the bus's limits, and decodes what a feed carries."""
    data = Codec(CONTRACT.versions[-1]).encode(moved())
    pieces = PROJECTION.split(data)
    given = [
        piece if name in ("new_address", "valid_from") else None
        for name, piece in zip(PROJECTION.names, pieces, strict=True)
    ]
    decoded = Codec(PROJECTION.feed).decode(PROJECTION.join(given))
    assert decoded["new_address"]["street"] == "Beispielstraße"
    assert {name for name, value in decoded.items() if value is not None} == {
        "new_address",
        "valid_from",
    }
