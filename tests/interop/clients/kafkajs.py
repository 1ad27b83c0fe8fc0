"""kafkajs, by way of a small program for node."""

import json
import subprocess
from pathlib import Path

NAME = "kafkajs"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
PROGRAM = Path(__file__).parent / "kafkajs.js"
MODULES = Path(__file__).parent.parent / ".work/node/node_modules"


def words(*rest):
    return ["node", PROGRAM, MODULES, *map(str, rest)]


def node(verb, address, *rest, stdin=None):
    done = subprocess.run(words(verb, address, *rest), input=stdin, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def produce(address, topic, values, compression="none", idempotent=False):
    node("produce", address, topic, compression, str(idempotent).lower(), stdin=b"\n".join(values))


def read(address, topic, partitions, count):
    records = (line.split(b" ", 3) for line in node("read", address, topic, count).splitlines())
    return [(int(partition), int(offset), value) for _, partition, offset, value in records]


def offset_at(address, topic, time_ms):
    return int(node("offset-at", address, topic, time_ms))


def transaction(address):
    done = subprocess.run(words("transaction", address), capture_output=True, timeout=15, text=True)
    assert done.returncode == 0, done.stderr[-1000:]


def admin(address, topic):
    """What the admin client finds on its way through a topic's life."""
    return json.loads(node("admin", address, topic))


def member(address, topic, group):
    return words("member", address, topic, group)
