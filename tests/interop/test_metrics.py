"""The metrics of `cartlog broker`, read by Prometheus' own parser."""

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client import parser

from cartlog import BINARY, environment


@pytest.fixture
def measured(tmp_path):
    """The addresses of a broker and of its metrics."""
    words = ["broker", "--store", tmp_path / "store", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--json"]
    server = subprocess.Popen([BINARY, *words], stdout=subprocess.PIPE, text=True, env=environment())
    try:
        told = json.loads(server.stdout.readline())
        yield told["address"], told["metrics"]
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def read(metrics):
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    samples = [sample for family in parser.text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "a sample stands there twice"
    return found


def test_metrics_tell_what_was_done(measured):
    brokers, metrics = measured
    before = read(metrics)
    producer = Producer({"bootstrap.servers": brokers})
    for number in range(100):
        producer.produce("measured \"so\"".replace(" ", "-").replace('"', ""), value=f"{number}", partition=0)
    assert producer.flush(30) == 0
    reader = Consumer({"bootstrap.servers": brokers, "group.id": "a \"group\"\\"})
    reader.assign([TopicPartition("measured-so", 0, 0)])
    assert len(reader.consume(100, timeout=30)) == 100
    reader.commit(offsets=[TopicPartition("measured-so", 0, 30)], asynchronous=False)
    after = read(metrics)
    place = (("partition", "0"), ("topic", "measured-so"))
    assert after["cartlog_log_end_offset", *place] == 100 and after["cartlog_log_size_bytes", *place] > 100
    topic = ("topic", "measured-so")
    assert after["cartlog_topic_records_in_total", topic] == 100
    assert after["cartlog_topic_bytes_in_total", topic] == after["cartlog_log_size_bytes", *place]
    assert after["cartlog_topic_bytes_out_total", topic] >= after["cartlog_topic_bytes_in_total", topic]
    assert after["cartlog_log_sync_duration_seconds_count",] > 0
    assert after["cartlog_group_commit_duration_seconds_count",] > 0
    assert after["cartlog_group_lag", ("group", "a \"group\"\\"), *place] == 70
    produce = ("api", "Produce")
    count = after["cartlog_request_duration_seconds_count", produce]
    assert before["cartlog_request_duration_seconds_count", produce] == 0 < count
    assert after["cartlog_request_duration_seconds_bucket", produce, ("le", "+Inf")] == count
    buckets = [(float(name[2][1]), value) for name, value in after.items()
               if name[0].endswith("_bucket") and name[1] == produce]
    assert len(buckets) == 14 and [value for _, value in sorted(buckets)] == sorted(value for _, value in buckets)
    assert after["cartlog_request_duration_seconds_sum", produce] > 0
    assert after["cartlog_connections_open",] >= 2 and after["cartlog_connections_total",] >= 2
    # The system counts processor time in hundredths of a second, of which this took perhaps none.
    assert after["process_resident_memory_bytes",] > 1e6
    assert after["process_cpu_seconds_total",] >= before["process_cpu_seconds_total",]
    assert after["cartlog_request_errors_total", produce] == 0


def test_anything_else_at_the_port_does_no_harm(measured):
    _, metrics = measured
    host, port = metrics.split(":")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{metrics}/other", timeout=10)
    for sent in [b"\0" * 100_000, b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 5000]:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            try:
                connection.sendall(sent)
                assert connection.recv(100) == b""
            except ConnectionError:
                pass
    idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(5)]
    assert read(metrics)
    for one in idle:
        one.close()
