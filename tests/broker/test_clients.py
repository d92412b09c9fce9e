"""Real clients, unmodified."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import NewTopic as ConfluentTopic

from bus.settings import KafkaSettings


async def test_smoke(kafka: KafkaSettings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("t", 3, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True) as p:
        for i in range(100):
            await p.send_and_wait("t", b"%d" % i)
    async with AIOKafkaConsumer(
        "t", bootstrap_servers=kafka.bootstrap, group_id="g", auto_offset_reset="earliest"
    ) as c:
        seen = set()
        while len(seen) < 100:
            for rs in (await c.getmany(timeout_ms=1000)).values():
                seen |= {r.value for r in rs}


def confluent(bootstrap: str) -> int:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for f in admin.create_topics([ConfluentTopic("u", 3, 1)]).values():
        f.result()
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        p = Producer(
            {"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True}
        )
        for i in range(100):
            p.produce("u", b"x" * 100 + b"%d" % i)
        assert p.flush(10) == 0
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "h", "auto.offset.reset": "earliest"})
    c.subscribe(["u"])
    n = 0
    while n < 500:
        m = c.poll(5)
        assert m is not None and m.error() is None, (n, m and m.error())
        n += 1
    c.commit(asynchronous=False)
    c.close()
    return n


async def test_confluent(kafka: KafkaSettings) -> None:
    assert await asyncio.to_thread(confluent, kafka.bootstrap) == 500
