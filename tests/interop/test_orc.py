"""ORC files of hard cases: nulls, extreme and skewed integers, long texts, many stripes, every compression.

The cases come from the ORC writer's own tests, each with an Arrow file of the same rows to compare with. pyarrow reads
all of them, and so does Spark, in a session whose time zone is not UTC.
"""

import os
import subprocess

import pyarrow as pa
import pyarrow.compute
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet
import pytest
from pyspark.sql import SparkSession, functions

from conftest import LONG, ROOT

ZONE = "America/New_York"


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orc")
    # The whole workspace, as the tests before: of one package alone, the dependencies have other features and are built anew.
    command = ["cargo", "test", "--quiet", "--workspace", "--locked", "--lib", "orc::tests::write_the_cases"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "CARTLOG_ORC_CASES": str(folder)}, check=True)
    files = sorted(folder.glob("*.orc"))
    assert len(files) >= 30
    return files


def expected(path):
    name = path.name.split(".")[0]
    return pa.ipc.open_file(path.with_name(f"{name}.arrow")).read_all()


def differing(got, want):
    """The columns whose values are not the same, bit for bit."""
    assert got.column_names == want.column_names and got.num_rows == want.num_rows
    return [name for name in want.column_names if not same(got[name], want[name])]


def same(got, want):
    got, want = got.combine_chunks(), want.combine_chunks()
    if pa.types.is_timestamp(want.type):
        got, want = (values.cast(pa.timestamp("ms")).view(pa.int64()) for values in (got, want))
    if pa.types.is_floating(want.type):
        nan = pa.scalar(float("nan"))
        got, want = (pa.compute.if_else(pa.compute.is_nan(values), nan, values) for values in (got, want))
        got, want = got.view(pa.int64()), want.view(pa.int64())
    return got.equals(want)


def test_pyarrow_reads_every_case(cases):
    for path in cases:
        file = pa.orc.ORCFile(path)
        assert differing(file.read(), expected(path)) == [], path.name
        if path.name.startswith("many_stripes"):
            assert file.nstripes > 10
        stripes = [file.read_stripe(stripe) for stripe in range(file.nstripes)]
        assert sum(stripe.num_rows for stripe in stripes) == file.nrows, path.name


def test_spark_reads_every_case(cases, tmp_path):
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", ZONE)
        .config("spark.driver.extraJavaOptions", f"-Duser.timezone={ZONE}")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
        .getOrCreate()
    )
    try:
        for path in cases:
            want = expected(path)
            rows = spark.read.orc(str(path))
            rows.coalesce(1).write.parquet(str(tmp_path / path.name))
            got = pa.parquet.read_table(tmp_path / path.name).select(want.column_names)
            # A time without a zone is the session's, which Parquet then moves to UTC.
            assert [name for name in differing(got, want) if name != "local"] == [], path.name
            check_skipping(rows, want, path.name)
    finally:
        spark.stop()


def check_skipping(rows, want, name):
    """A predicate that the row index and the statistics are used for finds the rows that there are."""
    for column in ("small", "skewed", "repeated", "distinct", "price", "day", "pick", "rare", "brand"):
        if column not in want.column_names:
            continue
        values = want[column].drop_null()
        for index in range(0, len(values), max(1, len(values) // (3 if LONG else 2))):
            value = values[index]
            found = rows.filter(functions.col(column) >= functions.lit(value.as_py())).count()
            there = pa.compute.sum(pa.compute.greater_equal(want[column], value)).as_py()
            assert found == there, (name, column, value)
