"""Apache Kafka's own tools, each in a virtual machine of its own."""

import json
import subprocess
import tempfile
from pathlib import Path

NAME = "java"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
JARS = Path(__file__).parent.parent / ".work/kafka-jars"
# The first compiler alone and the simplest collector: these programs live for a second.
JAVA = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JARS}/*",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]


def command(tool, *words):
    name = tool if tool.startswith("kafka.") else f"org.apache.kafka.tools.{tool}"
    return [*JAVA, name, *map(str, words)]


def tool(name, address, *words, stdin=None, expect=0, timeout=60):
    """Runs a tool and returns what it prints."""
    done = subprocess.run(command(name, "--bootstrap-server", address, *words), input=stdin, capture_output=True,
                          timeout=timeout, text=True)
    assert done.returncode == expect, f"{name} {words}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr if expect else done.stdout


def produce(address, topic, values, compression="none", idempotent=False):
    tool("ConsoleProducer", address, "--topic", topic, "--compression-codec", compression,
         "--command-property", f"enable.idempotence={str(idempotent).lower()}",
         "--command-property", "acks=all", stdin=b"\n".join(values).decode() + "\n")


def read(address, topic, partitions, count):
    """The console consumer assigns one partition at a time; several come by way of a group of one."""
    words = ["--partition", "0", "--offset", "earliest"] if partitions == 1 else ["--from-beginning"]
    lines = tool("consumer.ConsoleConsumer", address, "--topic", topic, *words, "--max-messages", count,
                 "--timeout-ms", 30_000, "--formatter-property", "print.partition=true",
                 "--formatter-property", "print.offset=true")
    got = []
    for line in lines.splitlines():
        partition, offset, value = line.split("\t", 2)
        got.append((int(partition.split(":")[1]), int(offset.split(":")[1]), value.encode()))
    return got


def offset_at(address, topic, time_ms):
    answer = tool("GetOffsetShell", address, "--topic-partitions", f"{topic}:0", "--time", time_ms).strip()
    if not answer:
        # Nothing is that young.
        answer = tool("GetOffsetShell", address, "--topic-partitions", f"{topic}:0", "--time", "latest").strip()
    return int(answer.rsplit(":", 1)[1])


def transaction(address):
    words = ["--topic", "anything", "--num-records", 1, "--record-size", 10, "--throughput", -1,
             "--transactional-id", "shop", "--command-property", "max.block.ms=15000"]
    tool("ProducerPerformance", address, *words)


def member(address, topic, group):
    with tempfile.NamedTemporaryFile("w", suffix=".properties", delete=False) as properties:
        properties.write("heartbeat.interval.ms=500\n")
    return command("VerifiableConsumer", "--bootstrap-server", address, "--topic", topic, "--group-id", group,
                   "--verbose", "--reset-policy", "earliest", "--session-timeout", 6000,
                   "--command-config", properties.name)


def event(line):
    """What a line of the verifiable consumer says."""
    said = json.loads(line)
    if said["name"] == "record_data":
        return ("record", said["partition"], said["offset"], said["value"])
    return None
