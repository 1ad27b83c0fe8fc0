"""`cartlog analyze --engine spark`: the same tables as the local engine's, printed and written in the same way."""

import json
import os
import shutil
import subprocess
import sys

import pyspark
import pytest

from cartlog import BINARY, analyses, cartlog, environment
from conftest import LONG
from test_spark_analyses import FILTERS

MASTER = "local-cluster[2,1,1024]"
SETTINGS = [word for setting in ["spark.ui.enabled=false", "spark.sql.shuffle.partitions=4", "spark.driver.memory=1g"]
            for word in ["--spark-conf", setting]]


def analyze(*words, expect=0, **variables):
    """Runs the command where Spark is."""
    done = subprocess.run(
        [BINARY, "analyze", "--engine", "spark", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=900, env=environment() | {"SPARK_HOME": pyspark.__path__[0], "PYSPARK_PYTHON": sys.executable} | variables,
    )
    assert done.returncode == expect, done.stderr
    return done.stdout if expect == 0 else done.stderr


@pytest.fixture(scope="module")
def events(real_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("events") / "events"
    real_store.export(folder, "--format", "parquet", "--partition-by", "day")
    return folder


def test_the_same_files(real_store, tmp_path):
    """Analyses over the store itself, handed over to two workers; nothing is left behind. With --long, all of them."""
    names = analyses() if LONG else analyses()[2::4]
    (tmp_path / "temporary").mkdir()
    told = json.loads(analyze(*names, "--master", MASTER, *SETTINGS, "--store", real_store.path, "--out", tmp_path / "spark",
                              "--format", "csv", "--json", TMPDIR=str(tmp_path / "temporary")))
    assert told["rows"] == real_store.loaded["rows_stored"] and told["seconds"]["spark"] > 0
    assert list((tmp_path / "temporary").glob("cartlog-*")) == []
    cartlog("analyze", *names, "--store", real_store.path, "--out", tmp_path / "local", "--format", "csv")
    assert len(list((tmp_path / "spark").iterdir())) == len(names)
    for name in names:
        assert (tmp_path / "spark" / f"{name}.csv").read_bytes() == (tmp_path / "local" / f"{name}.csv").read_bytes(), name


def test_a_data_set_with_filters_and_parameters(real_store, events, tmp_path):
    words, _ = FILTERS[0]
    words = ["top_interactions", *words, "--limit", 25, "--format", "parquet"]
    spark = analyze(*words, "--master", "local[2]", *SETTINGS, "--input", events, "--out", tmp_path / "spark")
    assert "with Spark" in spark
    cartlog("analyze", *words, "--store", real_store.path, "--out", tmp_path / "local")
    name = "top_interactions.parquet"
    assert (tmp_path / "spark" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_a_filter_that_nothing_passes(real_store, tmp_path):
    words = ["price_bands", "--brand", "no such brand"]
    printed = analyze(*words, "--json", "--master", "local[2]", *SETTINGS, "--store", real_store.path)
    assert printed.encode() == cartlog("analyze", *words, "--json", "--store", real_store.path)


def test_what_is_wrong_is_told(real_store, events, tmp_path):
    store = ["--store", real_store.path]
    told = analyze("key_figures", *store, expect=1, SPARK_HOME="/nowhere", PATH=str(tmp_path))
    assert "--spark-submit" in told and "SPARK_HOME" in told
    told = analyze("key_figures", *store, "--spark-submit", tmp_path / "absent", expect=1)
    assert "absent: can't be started" in told
    told = analyze("key_figures", "--input", tmp_path / "nothing", "--master", "local[1]", *SETTINGS, expect=1)
    assert "nothing" in told and "PATH_NOT_FOUND" in told
    other = tmp_path / "other"
    cartlog("analyze", "sales_history", "--format", "parquet", "--out", other, *store)
    told = analyze("key_figures", "--input", other, "--master", "local[1]", *SETTINGS, expect=1)
    assert "no column event_time" in told and "Traceback" not in told and "INFO" not in told
    for words in [["--input", events], ["--spark-conf", "a=b"], ["--exchange", tmp_path]]:
        done = subprocess.run([BINARY, "analyze", *map(str, words), *map(str, store)], capture_output=True, text=True,
                              env=environment())
        assert done.returncode == 2 and "--engine spark" in done.stderr, done


def test_the_program_on_the_path(real_store, tmp_path):
    """Without SPARK_HOME the first spark-submit on the PATH is taken, and an exchange folder is left as it was."""
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    submit = tmp_path / "spark-submit"
    submit.write_text(f"#!/bin/sh\nSPARK_HOME={pyspark.__path__[0]} exec {pyspark.__path__[0]}/bin/spark-submit \"$@\"\n")
    submit.chmod(0o755)
    words = ["key_figures", "--format", "csv", "--store", real_store.path]
    path = f"{tmp_path}:{os.environ['PATH']}"
    printed = analyze(*words, "--master", "local[2]", *SETTINGS, "--exchange", exchange, SPARK_HOME="", PATH=path)
    assert printed.encode() == cartlog("analyze", *words)
    assert list(exchange.iterdir()) == [] and shutil.which("spark-submit", path=path) == str(submit)
