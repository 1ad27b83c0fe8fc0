"""rskafka, by way of a small program; it has neither groups nor idempotent producers."""

import subprocess
from pathlib import Path

NAME = "rskafka"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
PROGRAM = Path(__file__).parent.parent / ".work/rskafka/release/rskafka-client"


def program(*words, stdin=None):
    done = subprocess.run([PROGRAM, *map(str, words)], input=stdin, capture_output=True, timeout=90)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def produce(address, topic, values, compression="none", idempotent=False):
    program("produce", address, topic, compression, stdin=b"\n".join(values))


def read(address, topic, partitions, count):
    records = (line.split(b" ", 2) for line in program("read", address, topic, partitions, count).splitlines())
    return [(int(partition), int(offset), value) for partition, offset, value in records]


def offset_at(address, topic, time_ms):
    return int(program("offset-at", address, topic, time_ms))
