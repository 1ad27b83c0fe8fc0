"""`cartlog export --partition-by day` as a data set of other engines, in a folder and in an object store; what is added to it
by `--since-last`, undisturbed and killed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
from moto.server import ThreadedMotoServer
from pyspark.sql import SparkSession

from cartlog import BINARY, Store, cartlog, environment, refusal, summary
from engine import COLUMNS, Engine, canonical
from servers import free_ports

WORDS = ["--format", "parquet", "--partition-by", "day"]
SEED = int(os.environ.get("CARTLOG_SEED", random.randrange(1 << 32)))


@pytest.fixture(scope="module")
def several_days(tmp_path_factory):
    """60,000 rows of some ten days, in files of 6,000."""
    folder = tmp_path_factory.mktemp("days")
    whole = folder / "whole.csv"
    cartlog("generate", "--events", 60_000, "--events-per-day", 6_500, "--users", 900, "--seed", 21, "--out", whole)
    header, *lines = whole.read_bytes().splitlines(keepends=True)
    files = []
    for number in range(10):
        path = folder / f"part-{number}.csv"
        path.write_bytes(header + b"".join(lines[number * 6_000 : (number + 1) * 6_000]))
        files.append(path)
    return whole, files


@contextlib.contextmanager
def object_store(monkeypatch):
    """A server that speaks S3, with the bucket `shop`, as the environment's own."""
    [port] = free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        settings = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "key",
                    "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-central-1"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        files = pa.fs.S3FileSystem(access_key="key", secret_key="secret", endpoint_override=f"127.0.0.1:{port}",
                                   scheme="http", region="eu-central-1", allow_bucket_creation=True)
        files.create_dir("shop")
        yield files
    finally:
        server.stop()


def data_set(path, files=None):
    """The events of a data set as pyarrow reads it."""
    found = pa.dataset.dataset(path, format="parquet", partitioning="hive", filesystem=files)
    return found.to_table(columns=COLUMNS)


def assert_same(whole, events):
    assert Engine(whole).differences(events) == (0, 0)


def test_readers_see_the_store(several_days, tmp_path):
    whole, _ = several_days
    store = Store.load(tmp_path / "store", whole, "--no-log")
    folder = tmp_path / "events"
    exported = summary("export", *WORDS, "--out", folder, "--store", store.path)
    assert exported["rows"] == 60_000 and exported["commit"] == 1
    assert_same(whole, data_set(folder))

    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    for pattern in [f"{folder}/*/*.parquet", f"{folder}/**/*.parquet"]:
        source = f"read_parquet('{pattern}', hive_partitioning = true)"
        counted = f"SELECT count(*), count(*) FILTER (CAST(event_time AS DATE) <> day) FROM {source}"
        assert database.execute(counted).fetchall() == [(60_000, 0)]
        assert_same(whole, database.sql(f"SELECT * EXCLUDE (day) FROM {source}").to_arrow_table())

    spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
             .config("spark.sql.session.timeZone", "UTC").getOrCreate())
    try:
        events = spark.read.parquet(str(folder))
        assert dict(events.dtypes) == {
            "event_time": "timestamp", "event_type": "string", "product_id": "bigint", "category_id": "bigint",
            "category_code": "string", "brand": "string", "price": "decimal(18,4)", "user_id": "bigint",
            "user_session": "string", "day": "date",
        }
        assert events.where("to_date(event_time) <> day").count() == 0
        events.drop("day").coalesce(1).write.parquet(str(tmp_path / "copy"))
    finally:
        spark.stop()
    [copy] = (tmp_path / "copy").glob("*.parquet")
    assert_same(whole, pa.parquet.read_table(copy))


def test_files_have_what_engines_skip_by(several_days, tmp_path):
    whole, _ = several_days
    store = Store.load(tmp_path / "store", whole, "--no-log")
    summary("export", *WORDS, "--out", tmp_path / "events", "--store", store.path)
    for path in (tmp_path / "events").glob("day=*/part-*.parquet"):
        file = pa.parquet.ParquetFile(path)
        assert {field.name: str(field.type) for field in file.schema_arrow} == {
            "event_time": "timestamp[ms, tz=UTC]", "event_type": "string", "product_id": "int64", "category_id": "int64",
            "category_code": "string", "brand": "string", "price": "decimal128(18, 4)", "user_id": "int64",
            "user_session": "string",
        }
        for index in range(len(COLUMNS)):
            column = file.metadata.row_group(0).column(index)
            assert column.compression == "ZSTD" and column.has_column_index and column.has_offset_index
            assert column.statistics.has_min_max and column.statistics.has_null_count
        assert file.metadata.row_group(0).num_rows <= 1 << 20


def test_each_export_adds_what_is_new(several_days, tmp_path):
    whole, files = several_days
    store, folder = tmp_path / "store", tmp_path / "events"
    for number, path in enumerate(files):
        cartlog("load", path, "--store", store)
        exported = summary("export", *WORDS, "--out", folder, "--since-last", "--store", store)
        assert (exported["rows"], exported["commit"], exported["rows_in_store"]) == (6_000, number + 1, 6_000 * (number + 1))
        again = summary("export", *WORDS, "--out", folder, "--since-last", "--store", store)
        assert (again["rows"], again["commit"]) == (0, None)
        if number == 5:
            cartlog("compact", "--store", store)
    assert_same(whole, data_set(folder))
    commits = [json.loads(path.read_text()) for path in sorted(folder.glob("_cartlog/commit-*.json"))]
    listed = [file["path"] for commit in commits for file in commit["files"]]
    assert sorted(listed) == sorted(str(path.relative_to(folder)) for path in folder.glob("day=*/*"))
    assert "holds a data set already; add --since-last" in refusal("export", *WORDS, "--out", folder, "--store", store)
    # Rows that go from the store stay in the data set, and of those that come as late as they are only those that stay.
    late = tmp_path / "late.csv"
    cartlog("generate", "--events", 20_000, "--events-per-day", 6_500, "--users", 900, "--seed", 22, "--out", late)
    cartlog("load", late, "--store", store)
    assert summary("compact", "--drop-before", "2019-10-03", "--store", store)["rows_dropped"] > 20_000
    header, *lines = late.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line >= "2019-10-03"]
    late.write_text(header + "".join(kept))
    exported = summary("export", *WORDS, "--out", folder, "--since-last", "--store", store)["rows"]
    assert 1_000 < exported == len(kept) < 10_000
    assert Engine(whole, late).differences(data_set(folder)) == (0, 0)
    # The store made anew is another one, even with the same rows.
    cartlog("load", whole, "--store", tmp_path / "other")
    error = refusal("export", *WORDS, "--out", folder, "--since-last", "--store", tmp_path / "other")
    assert "it comes from the store " in error, error


def start(*words):
    return subprocess.Popen([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, env=environment())


def export_while_loading(store, folder, files, kills, moments):
    """Loads files one after the other while exports run, of which some are killed; gives how many were killed while at work."""
    loader, remaining = start("load", files[0], "--store", store), list(files[1:])
    killed, exports = 0, 0
    while not (store / "store/manifest").exists():
        time.sleep(0.01)
    while remaining or loader.poll() is None or exports < 10 or killed < kills:
        if loader.poll() is not None:
            assert loader.returncode == 0, loader.stderr.read()
            if remaining:
                loader = start("load", remaining.pop(0), "--store", store)
        export = start("export", *WORDS, "--out", folder, "--since-last", "--store", store, "--quiet")
        exports += 1
        if killed < kills and exports % 3 != 0:
            time.sleep(moments.uniform(0, 0.12))
            if export.poll() is None:
                export.send_signal(signal.SIGKILL)
                killed += 1
                if not remaining and killed < kills:
                    # Nothing new would be left to export.
                    remaining.append(files[0])
        _, errors = export.communicate(timeout=120)
        assert export.returncode in (0, -signal.SIGKILL), errors.decode()
    assert loader.wait() == 0
    return killed


def test_killed_exports_while_loading(several_days, tmp_path):
    print(f"CARTLOG_SEED={SEED}")
    whole, files = several_days
    moments = random.Random(SEED)
    store, folder = tmp_path / "store", tmp_path / "events"
    assert export_while_loading(store, folder, files, 12, moments) >= 12
    cartlog("export", *WORDS, "--out", folder, "--since-last", "--store", store)
    assert_same(whole, data_set(folder))
    assert not list(folder.glob("_cartlog/staged/*"))


def test_object_store(several_days, tmp_path, monkeypatch):
    whole, files = several_days
    with object_store(monkeypatch) as shop:
        store, url = tmp_path / "store", "s3://shop/warehouse/events"
        for number, path in enumerate(files[:3]):
            cartlog("load", path, "--store", store)
            exported = summary("export", *WORDS, "--out", url, "--since-last", "--store", store)
            assert (exported["rows"], exported["commit"]) == (6_000, number + 1)
        assert summary("export", *WORDS, "--out", url, "--since-last", "--store", store)["commit"] is None
        assert "holds a data set already" in refusal("export", *WORDS, "--out", url, "--store", store)
        assert data_set("shop/warehouse/events", shop).num_rows == 18_000

        # A single object, sent in parts.
        cartlog("load", whole, "--store", tmp_path / "whole")
        cartlog("export", "--format", "csv", "--out", "s3://shop/events.csv", "--store", tmp_path / "whole")
        with shop.open_input_stream("shop/events.csv") as stream:
            assert sorted(stream.read().splitlines()) == sorted(whole.read_bytes().splitlines())

        moments = random.Random(SEED)
        killed = export_while_loading(store, url, files[3:], 6, moments)
        assert killed >= 6
        cartlog("export", *WORDS, "--out", url, "--since-last", "--store", store)
        assert_same(whole, data_set("shop/warehouse/events", shop))

        error = refusal("export", *WORDS, "--out", "s3://elsewhere/events", "--since-last", "--store", store)
        assert "s3://elsewhere/events" in error, error
        # Two exports at once: both end, one of them perhaps with the advice to try again, and no row is there twice.
        both = [start("export", *WORDS, "--out", "s3://shop/twice", "--since-last", "--store", store) for _ in range(2)]
        endings = [export.communicate(timeout=120)[1].decode() for export in both]
        assert any(export.returncode == 0 for export in both), endings
        for export, said in zip(both, endings):
            assert export.returncode == 0 or "by another export at the same time" in said, said
        assert_same(whole, data_set("shop/twice", shop))
