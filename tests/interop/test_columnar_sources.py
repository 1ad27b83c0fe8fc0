"""Parquet and ORC files of other writers as sources: the store equals that of the same rows as CSV."""

import subprocess
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.orc
import pyarrow.parquet
import pytest
from pyspark.sql import SparkSession

from cartlog import BINARY, Store, environment, refusal
from engine import COLUMNS, Engine, read

ZONE = "America/New_York"
ORC_COMPRESSIONS = ["uncompressed", "zlib", "snappy", "lz4", "zstd"]


@pytest.fixture(scope="module")
def engine(small_rows):
    return Engine(small_rows)


@pytest.fixture(scope="module")
def rows(engine):
    """The events as other engines have them: instants, 64-bit ids, decimal prices, missing values."""
    table = engine.query("SELECT * FROM events")
    table = table.set_column(0, "event_time", table["event_time"].cast(pa.timestamp("ms")))
    assert table["category_code"].null_count > 0 and table["brand"].null_count > 0
    return table


def check(path, engine, tmp_path, name="store"):
    """Loads a file, compares the store with the rows, and loads it again."""
    count = engine.one("SELECT count(*) FROM events")[0]
    store = Store.load(tmp_path / name, path, "--no-log")
    assert store.counts() == (count, count, 0, 0), path
    events = read(store.export(tmp_path / f"{name}.parquet").read_bytes(), "parquet", None)
    assert engine.differences(events) == (0, 0), path
    assert store.again(path, "--no-log").counts() == (count, 0, 0, count), path


def changed(table, **columns):
    for name, column in columns.items():
        table = table.set_column(COLUMNS.index(name), name, column)
    return table


def test_parquet_of_pyarrow(rows, engine, tmp_path):
    time, price = rows["event_time"], rows["price"]
    text = {name: rows[name].cast(pa.string()) for name in ["product_id", "category_id", "price", "user_id"]}
    variants = {
        "plain": rows,
        "seconds in a zone": changed(rows, event_time=time.cast(pa.timestamp("s"), safe=False).cast(pa.timestamp("s", ZONE)))
        if pa.compute.all(pa.compute.equal(pa.compute.millisecond(time), 0)).as_py() else rows,
        "nanoseconds": changed(rows, event_time=time.cast(pa.timestamp("ns", "UTC"))),
        "doubles": changed(rows, price=price.cast(pa.float64())),
        "narrow decimals": changed(rows, price=price.cast(pa.decimal128(9, 2))),
        "texts": changed(rows, **text),
        "dictionaries": changed(rows, brand=rows["brand"].dictionary_encode(),
                                category_code=rows["category_code"].dictionary_encode()),
        "large text": changed(rows, brand=rows["brand"].cast(pa.large_string())),
        "other order": rows.select(COLUMNS[::-1]).append_column("extra", pa.array(range(rows.num_rows))),
    }
    options = [
        {"compression": "snappy"}, {"compression": "gzip", "data_page_version": "2.0"}, {"compression": "lz4"},
        {"compression": "zstd", "use_dictionary": False}, {"compression": "none", "row_group_size": 7000},
        {"compression": "snappy", "use_dictionary": False, "column_encoding": {
            "product_id": "DELTA_BINARY_PACKED", "user_session": "DELTA_BYTE_ARRAY", "price": "PLAIN"}},
        {"use_deprecated_int96_timestamps": True}, {"store_schema": False}, {"write_page_index": True},
    ]
    for number, (name, table) in enumerate(variants.items()):
        path = tmp_path / f"{name}.parquet"
        option = options[number]
        if "column_encoding" in option and not pa.types.is_integer(table["product_id"].type):
            option = {}
        pa.parquet.write_table(table, path, **option)
        check(path, engine, tmp_path, f"store-{number}")


@pytest.mark.parametrize("version", ["0.11", "0.12"])
@pytest.mark.parametrize("dictionary", [0.0, 1.0])
def test_orc_of_pyarrow(version, dictionary, rows, engine, tmp_path):
    for compression in ORC_COMPRESSIONS:
        path = tmp_path / f"{compression}.orc"
        pa.orc.write_table(rows, path, compression=compression, file_version=version, stripe_size=1 << 20,
                           compression_block_size=1 << 16, dictionary_key_size_threshold=dictionary)
        check(path, engine, tmp_path, compression)


def test_orc_types_of_pyarrow(rows, engine, tmp_path):
    columns = {"price": rows["price"].cast(pa.float64()),
               "event_time": rows["event_time"].cast(pa.timestamp("ns", "UTC")),
               "category_id": rows["category_id"].cast(pa.string())}
    for number, name in enumerate(columns):
        path = tmp_path / f"{name}.orc"
        pa.orc.write_table(changed(rows, **{name: columns[name]}), path)
        check(path, engine, tmp_path, f"store-{number}")


def test_parquet_of_duckdb(rows, engine, tmp_path):
    database = duckdb.connect()
    database.register("rows", rows)
    for number, (columns, options) in enumerate([
        ("*", "COMPRESSION zstd, PARQUET_VERSION v2"),
        ("* REPLACE (CAST(user_session AS UUID) AS user_session)", "COMPRESSION snappy"),
        ("* REPLACE (CAST(price AS DOUBLE) AS price, CAST(category_id AS HUGEINT)::VARCHAR AS category_id)",
         "COMPRESSION gzip"),
        ("* REPLACE (event_time AT TIME ZONE 'UTC' AS event_time)", "COMPRESSION uncompressed"),
        ("* REPLACE (CAST(product_id AS UBIGINT) AS product_id)", "COMPRESSION lz4_raw"),
    ]):
        path = tmp_path / f"{number}.parquet"
        database.execute(f"COPY (SELECT {columns} FROM rows) TO '{path}' (FORMAT parquet, {options})")
        check(path, engine, tmp_path, f"store-{number}")


def test_files_of_spark(rows, engine, tmp_path):
    """Spark's Parquet and ORC, and those of Hive's older types, written in UTC and in another zone."""
    pa.parquet.write_table(rows, tmp_path / "rows.parquet", coerce_timestamps="us")
    for zone in ["UTC", ZONE]:
        spark = (
            SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
            .config("spark.sql.session.timeZone", "UTC").config("spark.sql.parquet.inferTimestampNTZ.enabled", "false")
            .getOrCreate()
        )
        try:
            java = spark.sparkContext._jvm.java.util.TimeZone
            java.setDefault(java.getTimeZone(zone))
            events = spark.read.parquet(str(tmp_path / "rows.parquet")).coalesce(1)
            for kind, compression, option in [
                ("parquet", "snappy", ("spark.sql.parquet.outputTimestampType", "INT96")),
                ("parquet", "zstd", ("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")),
                ("parquet", "lz4_raw", ("spark.sql.parquet.writeLegacyFormat", "true")),
                ("orc", "zstd", ("orc.dictionary.key.threshold", "0")),
                ("orc", "snappy", ("orc.dictionary.key.threshold", "1")),
                ("orc", "lz4", ("orc.write.format", "0.11")),
                ("orc", "zlib", ("orc.encoding.strategy", "COMPRESSION")),
                ("orc", "none", ("orc.stripe.size", "1000000")),
            ]:
                folder = tmp_path / f"{zone.replace('/', '-')}-{kind}-{compression}"
                spark.conf.set(*option)
                getattr(events.write.option("compression", compression).option(*option), kind)(str(folder))
                [path] = folder.glob(f"part-*.{kind}")
                if kind == "orc" and zone != "UTC":
                    error = refusal("load", path, "--store", tmp_path / "refused")
                    assert f"column event_time holds times of the zone {ZONE}" in error, error
                else:
                    check(path, engine, tmp_path, folder.name + "-store")
        finally:
            spark.stop()


def test_own_files(small_store, engine, tmp_path):
    for name, words in [("own.parquet", []), ("text.orc", []), ("typed.orc", ["--typed-time"])]:
        check(small_store.export(tmp_path / name, *words), engine, tmp_path, f"{name}-store")


def test_rejects_stand_at_their_rows(tmp_path):
    """What is no event is rejected for the reason that the same line of CSV is, at the number of its row."""
    good = dict(event_time="2019-10-01 00:00:00 UTC", event_type="view", product_id=1.0, category_id="2", category_code=None,
                brand="x", price=1.5, user_id=Decimal(3), user_session="s")
    wrong = {
        3: (dict(event_time="yesterday"), "event_time: \"yesterday\" is not a time"),
        5: (dict(event_time=None), "event_time: missing"),
        8: (dict(product_id=2.0**60), "product_id: \"1.152921504606847e18\" is in scientific notation"),
        9: (dict(product_id=1.5), "product_id: \"1.5\" has a decimal point"),
        12: (dict(product_id=float("nan")), "product_id: missing"),
        15: (dict(category_id="2.05301E+18"), "in scientific notation"),
        20: (dict(price=1 / 3), "price: \"0.3333333333333333\" has more than 4 digits after the point"),
        21: (dict(price=float("inf")), "price: \"inf\" is not a decimal number"),
        22: (dict(user_id=Decimal(2**63)), "user_id: \"9223372036854775808\" is outside the range"),
    }
    events = [good | wrong.get(row, ({}, ""))[0] for row in range(1, 31)]
    events[25]["brand"] = "two\nlines, \"quoted\""
    table = pa.Table.from_pylist(events).set_column(7, "user_id", pa.array([e["user_id"] for e in events], pa.decimal128(20, 0)))
    # A column of nothing has no type, which ORC can't write.
    assert table.schema.field("category_code").type == pa.null()
    typed = table.set_column(4, "category_code", table["category_code"].cast(pa.string()))
    pa.parquet.write_table(table, tmp_path / "events.parquet")
    pa.orc.write_table(typed, tmp_path / "events.orc")
    for path in [tmp_path / "events.parquet", tmp_path / "events.orc"]:
        store = Store.load(tmp_path / f"store{path.suffix}", path)
        assert store.counts() == (30, 21, 9, 0)
        rejects = store.rejects()
        assert [reject["line"] for reject in rejects] == sorted(wrong)
        for reject in rejects:
            assert wrong[reject["line"]][1] in reject["reason"], reject
            assert reject["source"] == str(path)
        brands = read(store.export(tmp_path / "stored.parquet").read_bytes(), "parquet", None)["brand"].to_pylist()
        assert brands.count("two\nlines, \"quoted\"") == 1


def test_damage_shows_where_the_writer_left_a_checksum(rows, tmp_path):
    path = tmp_path / "damaged.parquet"
    pa.parquet.write_table(rows, path, compression="none", use_dictionary=False, write_page_checksum=True)
    whole = path.read_bytes()
    column = pa.parquet.ParquetFile(path).metadata.row_group(0).column(COLUMNS.index("price"))
    damaged = bytearray(whole)
    damaged[column.data_page_offset + column.total_compressed_size // 4] ^= 1
    path.write_bytes(damaged)
    assert "damaged" in (told := refusal("load", path, "--store", tmp_path / "store")) and "CRC" in told, told
    path.write_bytes(whole)
    count = len(rows)
    assert Store.load(tmp_path / "store", path).counts()[0] == count


def test_what_is_no_file_of_events_says_so(rows, tmp_path):
    def refused(table, write=pa.parquet.write_table):
        write(table, tmp_path / "refused")
        return refusal("load", tmp_path / "refused", "--store", tmp_path / "store")

    assert "no column named price, user_id" in refused(rows.drop_columns(["price", "user_id"]))
    epoch = changed(rows, event_time=rows["event_time"].cast(pa.int64()))
    for write, kind in [(pa.parquet.write_table, "Int64"), (pa.orc.write_table, "bigint")]:
        assert f"column event_time is of type {kind}, expected a timestamp or text" in refused(epoch, write)
    pa.parquet.write_table(rows, tmp_path / "cut.parquet")
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    assert "is damaged after row 0: it doesn't end with PAR1" in refusal("load", tmp_path / "cut.parquet", "--store", tmp_path / "store")
    assert "brotli" in refused(rows, lambda table, path: pa.parquet.write_table(table, path, compression="brotli")).lower()
    with open(tmp_path / "refused", "rb") as piped:
        done = subprocess.run([BINARY, "load", "-", "--store", tmp_path / "store"], stdin=piped, capture_output=True, text=True,
                              env=environment())
    assert done.returncode == 1
    assert "is Parquet, which is read from its end; save it as a file and name that" in done.stderr
