"""kcat: librdkafka on the command line."""

import subprocess

NAME = "kcat"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
# Its loop takes a record, which stores the offset, and then looks whether it was told to end: that record isn't printed.
FORGOTTEN_AT_LEAVE = 1
FAST = ["-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=500", "-X", "auto.offset.reset=earliest"]


def kcat(address, *words, stdin=None):
    return subprocess.run(["kcat", "-b", address, *words], input=stdin, capture_output=True, check=True,
                          timeout=60).stdout


def produce(address, topic, values, compression="none", idempotent=False):
    kcat(address, "-P", "-t", topic, "-z", compression, "-X", f"enable.idempotence={str(idempotent).lower()}",
         "-X", "acks=all", stdin=b"\n".join(values))


def read(address, topic, partitions, count):
    got = []
    for partition in range(partitions):
        lines = kcat(address, "-C", "-t", topic, "-p", str(partition), "-o", "beginning", "-e", "-q", "-f", "%o %s\n")
        records = (line.split(b" ", 1) for line in lines.splitlines())
        got += [(partition, int(offset), value) for offset, value in records]
    return got


def offset_at(address, topic, time_ms):
    # -1 stands for the end.
    answer = kcat(address, "-Q", "-t", f"{topic}:0:{time_ms}").decode()
    offset = int(answer.rsplit(" ", 1)[1])
    if offset >= 0:
        return offset
    return int(kcat(address, "-Q", "-t", f"{topic}:0:-1").decode().rsplit(" ", 1)[1])


def member(address, topic, group):
    return ["kcat", "-b", address, *FAST, "-q", "-u", "-f", "record %p %o %s\n", "-G", group, topic]
