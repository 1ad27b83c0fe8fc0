"""aiokafka, Python's asynchronous client."""

import asyncio
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

NAME = "aiokafka"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce(address, topic, values, compression="none", idempotent=False):
    async def run():
        kind = None if compression == "none" else compression
        producer = AIOKafkaProducer(bootstrap_servers=address, linger_ms=5, acks="all", compression_type=kind,
                                    enable_idempotence=idempotent)
        await producer.start()
        try:
            sent = [await producer.send(topic, value) for value in values]
            await asyncio.wait_for(asyncio.gather(*sent), 60)
        finally:
            await producer.stop()

    asyncio.run(run())


def read(address, topic, partitions, count):
    async def run(reader):
        reader.assign([TopicPartition(topic, partition) for partition in range(partitions)])
        await reader.seek_to_beginning()
        got = []
        while len(got) < count:
            polled = await reader.getmany(timeout_ms=30_000)
            assert polled, f"only {len(got)} of {count} records came"
            got += [(each.partition, each.offset, each.value) for records in polled.values() for each in records]
        return got

    return asyncio.run(with_consumer(address, run))


def offset_at(address, topic, time_ms):
    async def run(reader):
        partition = TopicPartition(topic, 0)
        found = (await reader.offsets_for_times({partition: time_ms}))[partition]
        return found.offset if found else (await reader.end_offsets([partition]))[partition]

    return asyncio.run(with_consumer(address, run))


async def with_consumer(address, run):
    reader = AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    await reader.start()
    try:
        return await run(reader)
    finally:
        await reader.stop()


def transaction(address):
    async def run():
        producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id="shop")
        try:
            await asyncio.wait_for(producer.start(), 15)
        finally:
            await producer.stop()

    asyncio.run(run())


def member(address, topic, group):
    return [sys.executable, Path(__file__).parent / "member.py", "aiokafka", address, topic, group]
