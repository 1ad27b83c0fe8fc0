"""`kill -9` of the broker under load: what was acknowledged is there after the restart, in order, without a gap.

Plain and idempotent producers (librdkafka, acks=all) write numbered records to several partitions while the broker is killed
at random moments and started again on the same store and port, and a member of a group reads them meanwhile. The seed is printed, and
CARTLOG_SEED repeats it; CARTLOG_BROKER_KILLS is the number of rounds.
"""

import collections
import contextlib
import os
import random
import signal
import subprocess
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from cartlog import BINARY, environment
from conftest import BROKER_KILLS
from servers import free_ports, wait_for_port
from test_clients import create

PARTITIONS = 3


class Broker:
    """A broker that is killed and started again."""

    def __init__(self, folder):
        [self.port] = free_ports(1)
        self.address, self.folder = f"127.0.0.1:{self.port}", folder
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "broker", "--store", self.folder / "store", "--listen", self.address],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
        )
        wait_for_port(self.address, self.process)

    def kill(self):
        assert self.process.poll() is None, f"the broker ended by itself with {self.process.returncode}"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0


class Load(threading.Thread):
    """A producer of numbered records that notes what was acknowledged: (partition, offset) by number."""

    def __init__(self, address, topic, idempotent, seed):
        super().__init__(daemon=True)
        self.topic, self.random, self.stopping = topic, random.Random(seed), threading.Event()
        self.sent, self.acknowledged, self.failed = 0, {}, []
        self.producer = Producer({
            "bootstrap.servers": address, "acks": "all", "enable.idempotence": idempotent, "linger.ms": 2,
            "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50, "retry.backoff.ms": 20,
            "message.timeout.ms": 60_000, "socket.timeout.ms": 10_000, "log_level": 0,
            # One in flight keeps the order of a plain producer through its retries too.
            **({} if idempotent else {"max.in.flight": 1}),
        })

    def note(self, number):
        def delivered(error, message):
            if error:
                self.failed.append((number, error))
            else:
                self.acknowledged[number] = (message.partition(), message.offset())

        return delivered

    def run(self):
        while not self.stopping.is_set():
            for _ in range(self.random.randrange(1, 60)):
                number, self.sent = self.sent, self.sent + 1
                value = f"{number} {'x' * self.random.randrange(200)}".encode()
                while len(self.producer) >= 10_000 and not self.stopping.is_set():
                    self.producer.poll(0.01)
                self.producer.produce(self.topic, value, partition=number % PARTITIONS, on_delivery=self.note(number))
            self.producer.poll(0.003)

    def wait_for_more(self, seconds=60):
        """Waits until the broker has acknowledged something new."""
        before, end = len(self.acknowledged), time.monotonic() + seconds
        while len(self.acknowledged) == before:
            assert not self.failed, self.failed[:3]
            assert time.monotonic() < end, f"nothing was acknowledged within {seconds} s"
            time.sleep(0.01)

    def finish(self):
        self.stopping.set()
        self.join()
        assert self.producer.flush(60) == 0
        assert not self.failed, self.failed[:3]
        assert len(self.acknowledged) == self.sent > 0


class Follower(threading.Thread):
    """A member of a group that reads and commits through all kills, and notes the number at each place."""

    def __init__(self, address, topic):
        super().__init__(daemon=True)
        self.stopping, self.seen, self.changed = threading.Event(), {}, []
        self.reader = Consumer({
            "bootstrap.servers": address, "group.id": "reader", "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 100, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
            "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50, "log_level": 0,
        })
        self.reader.subscribe([topic])

    def run(self):
        while not self.stopping.is_set():
            for message in self.reader.consume(1_000, timeout=0.05):
                # A lost connection is said here too; the client tries again by itself.
                if message.error():
                    continue
                place, number = (message.partition(), message.offset()), int(message.value().split(b" ", 1)[0])
                if self.seen.setdefault(place, number) != number:
                    self.changed.append((place, self.seen[place], number))

    def finish(self, got, seconds=60):
        """Everything reaches the group, and whatever it was ever given is still what stands there."""
        there = {(partition, offset): number for partition, records in enumerate(got) for offset, number in records}
        end = time.monotonic() + seconds
        while len(self.seen) < len(there) and time.monotonic() < end:
            time.sleep(0.05)
        self.stopping.set()
        self.join()
        self.reader.close()
        assert not self.changed, f"(place, first read, read again): {self.changed[:3]}"
        vanished = [(place, number) for place, number in self.seen.items() if there.get(place) != number]
        assert not vanished, f"read by the group, then gone: {vanished[:3]}"
        assert len(self.seen) == len(there), f"the group was given {len(self.seen)} of {len(there)} records"


def read_all(address, topic):
    """[(offset, number)] of each partition, from the start to the end."""
    reader = Consumer({"bootstrap.servers": address, "group.id": "check", "enable.auto.commit": False,
                       "enable.partition.eof": False})
    ends = [reader.get_watermark_offsets(TopicPartition(topic, index), timeout=20)[1] for index in range(PARTITIONS)]
    reader.assign([TopicPartition(topic, index, 0) for index in range(PARTITIONS)])
    got = [[] for _ in range(PARTITIONS)]
    while any(len(records) < end for records, end in zip(got, ends)):
        messages = reader.consume(10_000, timeout=10)
        assert messages, f"{[len(records) for records in got]} of {ends} records came"
        for message in messages:
            assert not message.error(), message.error()
            got[message.partition()].append((message.offset(), int(message.value().split(b" ", 1)[0])))
    reader.close()
    return got


def check(load, got):
    """Every acknowledged record is at its offset; offsets have no gap; nothing is there that was never sent."""
    for partition, records in enumerate(got):
        assert [offset for offset, _ in records] == list(range(len(records))), f"a gap in partition {partition}"
        firsts = list(collections.OrderedDict.fromkeys(number for _, number in records))
        assert firsts == list(range(partition, load.sent, PARTITIONS)), f"partition {partition} lost its order"
    for number, (partition, offset) in load.acknowledged.items():
        assert got[partition][offset] == (offset, number), f"record {number} is not at {partition}/{offset}"


@pytest.mark.parametrize("kind", ["plain", "idempotent"])
def test_acknowledged_records_outlive_kills(kind, tmp_path):
    seed = int(os.environ.get("CARTLOG_SEED", time.time_ns() % 1_000_000_007))
    print(f"CARTLOG_SEED={seed}")
    numbers = random.Random(seed)
    broker = Broker(tmp_path)
    with contextlib.ExitStack() as at_end:
        at_end.callback(lambda: broker.process.poll() is None and broker.process.kill())
        create(broker.address, "load", PARTITIONS)
        load = Load(broker.address, "load", kind == "idempotent", seed)
        at_end.callback(load.stopping.set)
        load.start()
        follower = Follower(broker.address, "load")
        at_end.callback(follower.stopping.set)
        follower.start()
        committed = 0
        for _ in range(BROKER_KILLS):
            load.wait_for_more()
            time.sleep(numbers.uniform(0, 0.4))
            committed = commit_and_compare(broker.address, committed)
            broker.kill()
            broker.start()
        load.finish()
        # Once more without a load: a clean kill right after the last acknowledgement.
        broker.kill()
        broker.start()
        got = read_all(broker.address, "load")
        check(load, got)
        follower.finish(got)
        copies = sum(map(len, got)) - load.sent
        print(f"{BROKER_KILLS} kills, {load.sent} records acknowledged, {copies} more than once")
        assert kind == "plain" or copies == 0, "an idempotent producer's records are there once"
        broker.stop()


def commit_and_compare(address, committed):
    """A group's offset never goes back behind what was acknowledged before the last kill."""
    member = Consumer({"bootstrap.servers": address, "group.id": "follower", "enable.auto.commit": False})
    try:
        [found] = member.committed([TopicPartition("load", 0)], timeout=20)
        assert max(found.offset, 0) == committed, f"{found.offset} is committed, {committed} was acknowledged"
        member.commit(offsets=[TopicPartition("load", 0, committed + 1)], asynchronous=False)
        return committed + 1
    finally:
        member.close()
