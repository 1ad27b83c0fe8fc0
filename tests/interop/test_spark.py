"""Apache Spark's Kafka source over `cartlog broker`: the real rows by offsets, and from a moment on."""

import json

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from test_clients import create

PARTITIONS = 3
START_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def spark():
    session = (
        SparkSession.builder.master("local[2]").appName("cartlog")
        .config("spark.ui.enabled", "false").config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", "2").getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def test_spark_reads_the_real_rows(spark, cartlog_server, real_rows, topic):
    """One row a record; record N is of second N and stands in partition N modulo 3."""
    lines = real_rows.read_bytes().splitlines()[1:]
    create(cartlog_server, topic, PARTITIONS)
    producer = Producer({"bootstrap.servers": cartlog_server, "linger.ms": 5, "compression.type": "lz4"})
    for number, line in enumerate(lines):
        producer.produce(topic, line, partition=number % PARTITIONS, timestamp=START_MS + number * 1000)
    assert producer.flush(60) == 0

    def read(**options):
        reader = spark.read.format("kafka").option("kafka.bootstrap.servers", cartlog_server)
        frame = reader.option("subscribe", topic).options(**options).load().select("partition", "offset", "value")
        return sorted((row.partition, row.offset, bytes(row.value)) for row in frame.collect())

    expected = sorted((number % PARTITIONS, number // PARTITIONS, line) for number, line in enumerate(lines))
    assert read(startingOffsets="earliest", endingOffsets="latest") == expected
    within = {str(partition): [100 + partition, 3_000 + partition] for partition in range(PARTITIONS)}
    ends = [json.dumps({topic: {name: ends[at] for name, ends in within.items()}}) for at in (0, 1)]
    assert read(startingOffsets=ends[0], endingOffsets=ends[1]) == [
        (partition, offset, line) for partition, offset, line in expected
        if 100 + partition <= offset < 3_000 + partition
    ]
    half = len(lines) // 2
    assert read(startingTimestamp=START_MS + half * 1000) == [
        (partition, offset, line) for partition, offset, line in expected if offset * PARTITIONS + partition >= half
    ]
