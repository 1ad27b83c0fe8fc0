"""A member of a consumer group: `member.py CLIENT ADDRESS TOPIC GROUP`.

Prints each record, then commits what it printed; SIGTERM makes it leave, SIGUSR1 makes it say where it is.
"""

import asyncio
import faulthandler
import logging
import signal
import sys

LEAVING = []


def show(records):
    for partition, offset, value in records:
        print("record", partition, offset, value.decode())
    sys.stdout.flush()


def confluent(address, topic, group):
    from clients.confluent import consumer

    reader = consumer(address, **{"group.id": group})
    reader.subscribe([topic])
    while not LEAVING:
        messages = [message for message in reader.consume(500, timeout=0.1) if not message.error()]
        if messages:
            show((message.partition(), message.offset(), message.value()) for message in messages)
            commit_unless_moved(lambda: reader.commit(asynchronous=False))
    reader.close()


def kafka_python(address, topic, group):
    from kafka import KafkaConsumer

    reader = KafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False,
                           auto_offset_reset="earliest", session_timeout_ms=6000, heartbeat_interval_ms=500)
    # One that has joined before it knows the topic joins once more, and 3.0.12 may then never ask for its share (SyncGroup), with
    # Apache Kafka as well.
    reader.partitions_for_topic(topic)
    reader.subscribe([topic])
    while not LEAVING:
        polled = reader.poll(100)
        if polled:
            show((each.partition, each.offset, each.value) for records in polled.values() for each in records)
            commit_unless_moved(reader.commit)
    reader.close()


async def aiokafka(address, topic, group):
    from aiokafka import AIOKafkaConsumer
    from aiokafka.errors import KafkaError

    reader = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id=group, enable_auto_commit=False,
                              auto_offset_reset="earliest", session_timeout_ms=6000, heartbeat_interval_ms=500)
    await reader.start()
    while not LEAVING:
        polled = await reader.getmany(timeout_ms=100)
        if polled:
            show((each.partition, each.offset, each.value) for records in polled.values() for each in records)
            try:
                await reader.commit()
            except KafkaError as error:
                print(f"not committed: {error}", file=sys.stderr)
    await reader.stop()


def commit_unless_moved(commit):
    """Commits; the group may be in a rebalance, and then whoever gets the partition sees the records again."""
    try:
        commit()
    except Exception as error:
        print(f"not committed: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.path.insert(0, str(__file__).rsplit("/", 2)[0])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: LEAVING.append(True))
    faulthandler.register(signal.SIGUSR1)
    logging.basicConfig(level=logging.INFO)
    name, *words = sys.argv[1:]
    if name == "aiokafka":
        asyncio.run(aiokafka(*words))
    else:
        {"confluent": confluent, "kafka-python": kafka_python}[name](*words)
