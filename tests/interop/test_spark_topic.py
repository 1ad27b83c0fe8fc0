"""spark/analyze.py reading the topic itself: the rows, rejects and duplicates that `cartlog ingest` counts, and its answers."""

import collections
import datetime
import decimal
import json
import sys

import pyarrow as pa
import pyarrow.parquet
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from cartlog import Store, analyses, cartlog, summary
from conftest import LONG, ROOT, SPARK_JARS
from engine import canonical, read
from test_clients import create
from test_spark import spark  # noqa: F401
from test_spark_analyses import submit

sys.path.insert(0, str(ROOT / "spark"))
from topic import open_topic  # noqa: E402

PARTITIONS = 3
LINE = (
    "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,"
    "72d76fde-8bb3-4e00-8c23-a032dfed738c"
)
EVENT = (
    '{"event_time":"2019-10-01T00:00:00Z","event_type":"view","product_id":44600062,"category_id":2103807459595387724,'
    '"category_code":null,"brand":"a\\"\\u00e9","price":489.07,"user_id":541312140,"more":[1]}'
)
PRICES = [
    "35.", "-.5", ".", "", "1e3", "1,5", "12.34500", "12.34567", "+7", "99999999999999.9999", "0.00001", " 3", "3\u2028",
    "35.79\r",
]
TIMES = [
    "2019-10-01T00:00:00Z", "2019-10-01t00:00:00.1239+02:00", "2019-10-01 00:00:00 +0530", "2019-10-01 00:00:00-03",
    "2019-10-01 00:00:00", "2019-10-01 00:00:00 ", "2019-02-29 00:00:00 UTC", "2020-02-29 23:59:59.9 z",
    "2019-13-01 00:00:00", "2019-10-01 24:00:00", "2019-10-01 00:60:00", "2019-10-01 00:00", "2019-10-01",
    "0000-01-01 00:00:00", "0001-01-01 00:00:00+01:00", "9999-12-31 23:59:59-00:01", "2019-10-01 00:00:00 CET",
    "2019-10-01 00:00:00+24:00", "2019-10-01 00:00:00  UTC", "2019-10-01 00:00:59.999999 UTC", "19-10-01 00:00:00 UTC",
    "2019-10-01 00:00:00. UTC", "2019-10-01 00:00:00+02:60",
]
IDS = ["2.1E+18", "9223372036854775807", "9223372036854775808", "-5", "+5", "1.0", "12a", ""]
BRANDS = ['"a, ""b"""', '"a', '"a"b', 'a"b', '""', "y" * 65_536, "y" * 65_537, "é" * 32_768, "nan", " ", "\\n", "日本"]
MESSAGES = [
    LINE, f"{LINE}\n{LINE}\r\n\r\n\n{LINE}\r", "event_time,event_type,product_id,category_id,category_code,brand,price,"
    f"user_id,user_session\n{LINE}", f"{LINE},x", LINE.replace(",", ";"), LINE.replace("view", ""),
    LINE.rsplit(",", 1)[0] + ",", f"{LINE}x", "x" * 70_000 + LINE, "", f"\ufeff{LINE}",
    *(LINE.replace("35.79", text) for text in PRICES),
    *(LINE.replace("2019-10-01 00:00:00 UTC", text) for text in TIMES),
    *(LINE.replace("2103807459595387724", text) for text in IDS),
    *(LINE.replace("shiseido", text) for text in BRANDS),
    EVENT, f"  {EVENT} ", f"[{EVENT},{EVENT}]", f'[{EVENT}, 5, "x", {{}}]', "[]", "[[1]]", f"{EVENT}\n{EVENT}",
    f"{EVENT}\n{LINE}", f"{EVENT},{EVENT}", f"[{EVENT}", EVENT[:-1], EVENT.replace("489.07", '"489.07"'),
    EVENT.replace("489.07", "4.8907e2"), EVENT.replace("489.07", "489.07001"), EVENT.replace("489.07", "true"),
    EVENT.replace("489.07", "12.0"), EVENT.replace("489.07", "-0.50"), EVENT.replace("44600062", "44600062.0"),
    EVENT.replace("44600062", '"44600062"'), EVENT.replace("2103807459595387724", "92103807459595387724"),
    EVENT.replace('"view"', "5"), EVENT.replace('"view"', '""'), EVENT.replace('"view"', "null"),
    EVENT.replace('"brand"', '"price":1,"brand"'), EVENT.replace("{", "{ \n", 1), f"{LINE}\n{EVENT}", f"{EVENT} x", "{",
]


def messages():
    damaged = LINE.encode().replace(b"shiseido", b"\xff")
    return [*(message.encode() for message in MESSAGES), damaged, b"\n".join([LINE.encode(), damaged, LINE.encode()]), None]


def send(address, topic, values):
    producer = Producer({"bootstrap.servers": address, "message.max.bytes": 2_000_000})
    for number, value in enumerate(values):
        producer.produce(topic, value, partition=number % PARTITIONS)
    assert producer.flush(60) == 0


def counts(done):
    return {name: done[name] for name in ["rows_read", "rows_stored", "rows_rejected", "rows_duplicate"]}


def read_by_spark(spark, address, topic):  # noqa: F811
    """What spark/topic.py makes of a topic: counts, and the events as a table."""
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    rows = open_topic(spark, address, topic, {})
    fates = {row["fate"]: row["count"] for row in rows.groupBy("fate").count().collect()}
    events = rows.where("fate = 'stored'").drop("fate").toArrow()
    rows.unpersist()
    told = {f"rows_{fate}": fates.get(fate, 0) for fate in ["stored", "rejected", "duplicate"]}
    return {"rows_read": sum(told.values())} | told, events


def in_order(table):
    table = canonical(table)
    time = table.schema.get_field_index("event_time")
    # A zone is only how it is shown: all are UTC.
    table = table.set_column(time, "event_time", table["event_time"].cast(pa.timestamp("us")))
    return table.sort_by([(name, "ascending") for name in table.schema.names])


def same_rows(store, events, folder):
    stored = pa.parquet.read_table(store.export(folder / "stored.parquet"))
    assert in_order(events.select(stored.schema.names)).equals(in_order(stored))


def test_messages_of_others(spark, cartlog_server, topic, tmp_path):  # noqa: F811
    create(cartlog_server, topic, PARTITIONS)
    send(cartlog_server, topic, messages())
    store = Store(tmp_path / "store")
    ingested = summary("ingest", "--brokers", cartlog_server, "--topic", topic, "--store", store.path)
    told, events = read_by_spark(spark, cartlog_server, topic)
    assert told == counts(ingested)
    assert told["rows_stored"] > 40 and told["rows_rejected"] > 40
    same_rows(store, events, tmp_path)


def test_what_is_there_twice(spark, cartlog_server, topic, small_rows, tmp_path):  # noqa: F811
    """A load that the topic's other records overlap: cut at other places, in whole, and in a file that has grown."""
    brokers = ["--brokers", cartlog_server]
    whole = small_rows.read_bytes()
    cut = whole[: whole.index(b"\n", len(whole) // 2) - 20]
    (tmp_path / "rows.csv").write_bytes(cut)
    create(cartlog_server, topic, PARTITIONS)
    store = Store(tmp_path / "store")
    ingested = collections.Counter()
    # Two stores that don't know of each other send the same bytes, the second in other blocks.
    for number, (rows, content) in enumerate([(700, cut), (1100, whole), (300, whole)]):
        (tmp_path / "rows.csv").write_bytes(content)
        cartlog("run", tmp_path / "rows.csv", "--no-analyses", "--store", tmp_path / f"sent-{number}", "--quiet", *brokers,
                "--topic", f"{topic}-{number}", "--rows-per-record", rows)
        copy(cartlog_server, f"{topic}-{number}", topic)
        # Each time at once, because whether the line that was cut is read before the whole one is up to partitions' order.
        ingested.update(counts(summary("ingest", *brokers, "--topic", topic, "--store", store.path)))
    assert ingested["rows_duplicate"] > 0
    told, events = read_by_spark(spark, cartlog_server, topic)
    assert told == ingested
    same_rows(store, events, tmp_path)


def copy(address, source, target):
    """Copies the records of a topic with their headers into partitions of another one."""
    producer = Producer({"bootstrap.servers": address})
    consumer = Consumer({"bootstrap.servers": address, "group.id": "copy", "enable.auto.commit": False})
    for partition in range(4):
        _, end = consumer.get_watermark_offsets(TopicPartition(source, partition), timeout=10)
        consumer.assign([TopicPartition(source, partition, 0)])
        for _ in range(end):
            message = consumer.consume(1, timeout=30)[0]
            producer.produce(target, message.value(), headers=message.headers(), partition=partition % PARTITIONS)
    consumer.close()
    assert producer.flush(60) == 0


def test_analyses_of_a_topic(cartlog_server, topic, real_rows, real_store, tmp_path):
    cartlog("produce", real_rows, "--brokers", cartlog_server, "--topic", topic, "--rows-per-record", 500)
    (tmp_path / "results").mkdir()
    # That the rows are the same, the tests above show; what Spark answers about rows, test_spark_analyses.py.
    names = analyses() if LONG else analyses()[1::4]
    told = submit("--topic", topic, "--brokers", cartlog_server, "--kafka", "minPartitions=8", "--collect", tmp_path / "results",
                  "--analysis", *names, spark_words=["--jars", SPARK_JARS])
    lines = [line for line in told.splitlines() if line.startswith('{"rows_read"')]
    rows = real_store.loaded["rows_read"]
    assert json.loads(lines[0]) == {"rows_read": rows, "rows_stored": rows, "rows_rejected": 0, "rows_duplicate": 0}
    assert sorted(path.stem for path in (tmp_path / "results").iterdir()) == sorted(names)
    for name in names:
        head, *rows = (tmp_path / "results" / f"{name}.jsonl").read_text().splitlines()
        assert json.loads(head)["seconds"] > 0
        expected = read(real_store.analyze(name, "parquet"), "parquet", None).to_pylist()
        assert [json.loads(row) for row in rows] == [[as_text(value) for value in row.values()] for row in expected], name


def as_text(value):
    """A value as the job writes it."""
    if value is None or isinstance(value, str):
        return value
    return format(value, "f") if isinstance(value, decimal.Decimal) else value.isoformat() if isinstance(
        value, datetime.date) else repr(value)
