#!/usr/bin/env python3
"""Measures `cartlog broker` beside Apache Kafka in one run: the same loads against each in turn, medians of the rounds.

A client that costs next to nothing (load.rs) shows the broker itself; Kafka's own performance tools show what a Java
program gets. Each round uses a new topic and deletes it afterwards, so that neither broker pays for fresh memory more
than the other. Processor seconds are the broker's, from /proc. Needs a release build (`cargo build --release --example
load --bin cartlog`), Java, and Kafka's jars, which tests/interop/run fetches.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/interop"))
import servers  # noqa: E402

TARGET = ROOT / "target/release"
LOAD = TARGET / "examples/load"
TICKS = os.sysconf("SC_CLK_TCK")
# Name, words for load.rs or a Java tool, what is reported.
LOADS = [
    ("500 kB, acks=1", "produce", dict(acks=1, records=500, value=1000), 2.0),
    ("500 kB, acks=all", "produce", dict(acks=-1, records=500, value=1000), 2.0),
    ("17 kB, acks=1", "produce", dict(acks=1, records=160, value=100), 0.4),
    ("17 kB, acks=all", "produce", dict(acks=-1, records=160, value=100), 0.2),
    ("17 kB, acks=all, 8 producers", "produce", dict(acks=-1, records=160, value=100, producers=8), 0.4),
]
FETCHES = [("fetch 8 MB", 8 << 20), ("fetch 1 MB", 1 << 20)]


class Server:
    """A running broker: its address, its process, and what it has used."""

    def __init__(self, name, address, process):
        self.name, self.address, self.process = name, address, process

    def cpu(self):
        fields = Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        """Peak and present resident bytes."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return tuple(1024 * int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmHWM", "VmRSS"))


class Bench:
    def __init__(self, jars, rounds, scale, folder):
        self.jars, self.rounds, self.scale, self.folder = jars, rounds, scale, folder
        self.figures = {}
        self.topics = 0

    def java(self, *words, heap="512m"):
        command = ["java", f"-Xmx{heap}", "-cp", f"{self.jars}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
        done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def topic(self, server):
        self.topics += 1
        name = f"bench-{self.topics}"
        self.java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", server.address, "--create", "--topic",
                  name, "--partitions", 1, "--replication-factor", 1)
        return name

    def drop(self, server, name):
        self.java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", server.address, "--delete", "--topic", name)
        time.sleep(1)

    def note(self, what, server, **values):
        print(f"  {server.name:<8} {what:<28} " + "  ".join(f"{name} {value:.2f}" for name, value in values.items()),
              flush=True)
        for name, value in values.items():
            self.figures.setdefault(what, {}).setdefault(name, {}).setdefault(server.name, []).append(value)

    def settle(self, gigabytes):
        """Lets the disk come to rest, and makes the machine's memory warm: a virtual machine's first touch of a page costs
        more than all that a broker does with it, and whoever comes second would find it done."""
        os.sync()
        path = self.folder / "warm"
        with open(path, "wb") as file:
            for _ in range(int(gigabytes * 1000)):
                file.write(bytes(1 << 20))
        path.unlink()
        os.sync()

    def load(self, server, command, topic, **options):
        before = server.cpu()
        words = [f"{name}={value}" for name, value in options.items()]
        done = subprocess.run([LOAD, command, server.address, topic, *words], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        got = json.loads(done.stdout)
        got["cpu"] = server.cpu() - before
        return got

    def raw(self, server, round_number):
        for what, command, options, gigabytes in LOADS:
            topic = self.topic(server)
            self.settle(1.2 * gigabytes * self.scale)
            if round_number == 0:
                self.load(server, command, topic, **options, bytes=int(0.3e9))
            got = self.load(server, command, topic, **options, bytes=int(gigabytes * self.scale * 1e9))
            self.note(what, server, **{
                "MB/s": got["bytes"] / got["seconds"] / 1e6,
                "records/s": got["records"] / got["seconds"],
                "CPU s/GB": got["cpu"] / (got["bytes"] / 1e9),
            })
            if what.startswith("500 kB, acks=all"):
                for name, most in FETCHES:
                    self.load(server, "fetch", topic, max=most, bytes=int(0.5 * self.scale * 1e9))
                    fetched = self.load(server, "fetch", topic, max=most, bytes=got["bytes"])
                    self.note(name, server, **{
                        "MB/s": fetched["bytes"] / fetched["seconds"] / 1e6,
                        "CPU s/GB": fetched["cpu"] / (fetched["bytes"] / 1e9),
                    })
            self.drop(server, topic)

    def tools(self, server):
        for size, count in [(100, 3_000_000), (1000, 500_000)]:
            count = int(count * self.scale)
            topic = self.topic(server)
            self.settle(2.4 * size * count / 1e9)
            self.produce(server, topic, size, count, -1)
            before = server.cpu()
            out = self.produce(server, topic, size, count, -1)
            self.note(f"ProducerPerformance {size} B", server, **{
                "records/s": float(re.findall(r"([\d.]+) records/sec", out)[-1]),
                "CPU s": server.cpu() - before,
            })
            before = server.cpu()
            out = self.java("org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", server.address, "--topic",
                            topic, "--num-records", 2 * count, "--timeout", 60000)
            columns = [line.split(", ") for line in out.splitlines() if line[:2] == "20"][-1]
            self.note(f"ConsumerPerformance {size} B", server, **{
                "records/s": float(columns[9]), "CPU s": server.cpu() - before,
            })
            self.drop(server, topic)
        topic = self.topic(server)
        out = self.produce(server, topic, 100, int(200_000 * self.scale), 20_000, "linger.ms=0")
        last = out.strip().splitlines()[-1]
        self.note("20,000 records/s, linger 0", server, **{
            "p50 ms": float(re.search(r"([\d.]+) ms 50th", last)[1]),
            "p99 ms": float(re.search(r"([\d.]+) ms 99th", last)[1]),
        })
        self.drop(server, topic)

    def produce(self, server, topic, size, count, throughput, *properties):
        return self.java("org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", count,
                         "--record-size", size, "--throughput", throughput, "--producer-props",
                         f"bootstrap.servers={server.address}", "acks=all", *properties)

    def report(self):
        print(f"\n| {self.rounds} rounds, median | cartlog | Apache Kafka | ratio |\n|---|---:|---:|---:|")
        for what, values in self.figures.items():
            for name, by_server in values.items():
                ours, theirs = (statistics.median(by_server[server]) for server in ("cartlog", "Kafka"))
                digits = 0 if max(ours, theirs) >= 100 else 2
                ratio = ours / theirs if name.endswith("/s") else theirs / max(ours, 1e-9)
                print(f"| {what}: {name} | {ours:,.{digits}f} | {theirs:,.{digits}f} | {ratio:.2f} |")


def process_of(address):
    """The process that listens at the address."""
    port = address.rsplit(":", 1)[1]
    out = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"pid=(\d+)", out)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the bytes of each load")
    parser.add_argument("--jars", type=Path, default=ROOT / "tests/interop/.work/kafka-jars")
    parser.add_argument("--folder", type=Path, help="where both brokers keep their logs [default: a temporary folder]")
    parser.add_argument("--no-tools", action="store_true", help="leave Java's tools out")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cartlog-bench-", dir=options.folder))
    bench = Bench(options.jars, options.rounds, options.scale, folder)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        (folder / "kafka").mkdir()
        with servers.apache_kafka(options.jars, folder / "kafka", heap="1g") as kafka, servers.cartlog_broker(
            folder / "cartlog"
        ) as cartlog:
            both = [Server("cartlog", cartlog, process_of(cartlog)), Server("Kafka", kafka, process_of(kafka))]
            for number in range(options.rounds):
                print(f"round {number + 1}", flush=True)
                for server in both:
                    bench.raw(server, number)
                    if not options.no_tools:
                        bench.tools(server)
            for server in both:
                peak, present = server.resident()
                bench.note("resident memory", server, **{"peak MB": peak / 1e6, "MB": present / 1e6})
        bench.report()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
