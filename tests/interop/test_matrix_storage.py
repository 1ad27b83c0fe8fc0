"""Kafka's own reader of log files over the files of a stopped `cartlog broker`."""

import re
import subprocess

import servers
from clients import EVERY_COMPRESSION, confluent, java
from test_clients import create


def test_kafka_reads_the_files(tmp_path):
    """Records of every compression over several segments, with their offset and time indexes."""
    store = tmp_path / "store"
    with servers.cartlog_broker(store) as address:
        create(address, "dumped", 1, **{"segment.bytes": "100000"})
        for compression in EVERY_COMPRESSION:
            values = [f"{compression} {number} {'x' * 80}".encode() for number in range(2_000)]
            confluent.produce(address, "dumped", values, compression=compression, **{"batch.num.messages": 40})
    files = sorted(file for file in store.rglob("dumped-0/*") if file.suffix in {".log", ".index", ".timeindex"})
    assert len([file for file in files if file.suffix == ".log"]) >= 3, files
    assert any(file.stat().st_size for file in files if file.suffix == ".index"), files
    said = dump(["--deep-iteration"], [file for file in files if file.suffix == ".log"])
    offsets = [int(found) for found in re.findall(r"^\| offset: (\d+)", said, re.MULTILINE)]
    assert offsets == list(range(2_000 * len(EVERY_COMPRESSION)))
    for options in (["--verify-index-only"], ["--index-sanity-check"]):
        dump(options, [file for file in files if file.suffix != ".log"])


def test_zeros_written_ahead_are_gone_from_a_stopped_log(tmp_path):
    """Small batches go over zeros while the broker runs; what Kafka's reader gets ends with the last batch."""
    store = tmp_path / "store"
    with servers.cartlog_broker(store) as address:
        create(address, "filled", 1)
        values = [f"{number} {'x' * 90}".encode() for number in range(8_000)]
        confluent.produce(address, "filled", values, compression="none", **{"batch.num.messages": 40})
        [log] = store.rglob("filled-0/*.log")
        running = log.stat().st_size
        assert running > len(values) * 90 and running % (256 << 10) == 0, running
    assert len(values) * 90 < log.stat().st_size < running
    said = dump(["--deep-iteration"], [log])
    offsets = [int(found) for found in re.findall(r"^\| offset: (\d+)", said, re.MULTILINE)]
    assert offsets == list(range(len(values)))


def dump(options, files):
    """What the tool prints about the files, which must be no complaint."""
    done = subprocess.run(java.command("DumpLogSegments", *options, "--files", ",".join(map(str, files))),
                          capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    # The tool takes -1 for the offset before a file's first one, in files of Apache Kafka too.
    said = re.sub(r"Non-consecutive offsets in \S+/0*(\d+)\.log\n(?:  -1 is followed by \1\n)", "", said)
    complaint = re.search("(?i)exception|mismatch|non-consecutive|out of order|isvalid: false|do not match", said)
    assert not complaint, said[complaint.start():][:2000]
    return said
