"""Members of every client join, leave and die; the group reads every record all the same."""

import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer, TopicPartition

from clients import CLIENTS, confluent, event
from conftest import TOPICS
from servers import offers
from test_clients import create

PARTITIONS = 4
JOIN_GROUP = 11


class Member:
    """A process that reads in a group, and what it has read."""

    def __init__(self, client, address, topic, group):
        self.records, self.ended = [], False
        self.process = subprocess.Popen(list(map(str, client.member(address, topic, group))), text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Thread(target=self.listen, daemon=True).start()
        self.said = []
        threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            got = event(line)
            if got:
                self.records.append(got[1:])

    def partitions(self, since=0):
        return {partition for partition, _, _ in self.records[since:]}

    def wait(self, condition, what, seconds=40):
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the member ended: {''.join(self.said)[-8000:]}"
            if time.monotonic() > end:
                pytest.fail(f"{what} did not come within {seconds} s: {self.history()}")
            time.sleep(0.05)

    def history(self):
        """What it has said so far, and where it stands if it is a member in Python."""
        if "member.py" in str(self.process.args):
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
        return f"{len(self.records)} records, the last {self.records[-3:]}\n{''.join(self.said)[-8000:]}"

    def leave(self):
        self.process.terminate()
        self.process.wait(20)

    def die(self):
        self.process.kill()
        self.process.wait()


class Drip(threading.Thread):
    """A slow producer to all partitions."""

    def __init__(self, address, topic):
        super().__init__()
        self.topic, self.stopping, self.sent = topic, threading.Event(), 0
        self.producer = Producer({"bootstrap.servers": address, "linger.ms": 2})

    def run(self):
        while not self.stopping.is_set():
            for partition in range(PARTITIONS):
                self.producer.produce(self.topic, str(self.sent).encode(), partition=partition)
                self.sent += 1
            self.producer.poll(0.05)

    def finish(self):
        self.stopping.set()
        self.join()
        assert self.producer.flush(20) == 0


def life_of_a_group(clients, address, topic, group):
    """One alone; two share; a third joins while the second dies; the first leaves; the third has all, and resumes."""
    create(address, topic, PARTITIONS)
    drip = Drip(address, topic)
    drip.start()
    members = []
    every = set(range(PARTITIONS))
    try:
        start = lambda at: members.append(Member(clients[at % len(clients)], address, topic, group)) or members[-1]
        first = start(0)
        first.wait(lambda: first.partitions() == every, "every partition")
        second = start(1)
        second.wait(lambda: second.records, "a share for the second member")
        mark = len(first.records)
        first.wait(lambda: len(first.records) > mark + 20, "the first member's share")
        second.die()
        third = start(2)
        third.wait(lambda: third.records, "a share for the third member")
        first.leave()
        mark = len(third.records)
        third.wait(lambda: third.partitions(mark) == every, "all partitions for the last member")
        drip.finish()
        seen = lambda: {int(value) for member in members for _, _, value in member.records}
        last_of_each = set(range(drip.sent - PARTITIONS, drip.sent))
        third.wait(lambda: last_of_each <= seen(), "the rest of the records")
        forgotten = getattr(clients[0], "FORGOTTEN_AT_LEAVE", 0)
        missing = set(range(drip.sent)) - seen()
        assert len(missing) <= forgotten, f"nobody read {sorted(missing)}"
        third.leave()
        # All was read and committed: whoever comes now gets only what is new.
        producer = Producer({"bootstrap.servers": address})
        for number in range(10):
            producer.produce(topic, f"{drip.sent + number}".encode(), partition=number % PARTITIONS)
        assert producer.flush(20) == 0
        resumed = start(0)
        resumed.wait(lambda: len(resumed.records) >= 10, "the new records")
        assert sorted(int(value) for _, _, value in resumed.records) == list(range(drip.sent, drip.sent + 10))
        resumed.leave()
        reader = confluent.consumer(address, **{"group.id": group})
        committed = reader.committed([TopicPartition(topic, index) for index in range(PARTITIONS)], timeout=20)
        ends = [reader.get_watermark_offsets(each, timeout=20)[1] for each in committed]
        assert [each.offset for each in committed] == ends
        reader.close()
    finally:
        drip.stopping.set()
        for member in members:
            if member.process.poll() is None:
                member.die()


# Members of different clients in one group need an assignor that they all have.
MIXED = [client for client in CLIENTS if client.NAME in ("confluent-kafka", "kafka-python", "java")]


@pytest.fixture(scope="module")
def groups(server):
    """The lives of all groups, at the same time: they mostly wait for session timeouts."""
    if not offers(server.address, JOIN_GROUP):
        pytest.skip("this broker offers no groups")
    kinds = {client.NAME: [client] for client in CLIENTS} | {"mixed": MIXED}
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(life_of_a_group, clients, server.address, next(TOPICS), f"group of {name}")
               for name, clients in kinds.items()}


@pytest.mark.parametrize("name", [*(client.NAME for client in CLIENTS), "mixed"])
def test_a_group_reads_everything(name, groups):
    groups[name].result(180)
