"""spark/analyze.py on a cluster of two workers: every analysis equals the kernel's, row by row and in order."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet
import pyspark
import pytest

from cartlog import analyses, cartlog
from conftest import LONG, ROOT
from engine import assert_equal, read

SPARK = ROOT / "spark"
sys.path.insert(0, str(SPARK))
from dialect import DialectError, translate  # noqa: E402

# The filters as they are typed, and as a condition in the dialect of the definitions.
FILTERS = [
    (
        ["--event-type", "view,purchase", "--category", "electronics", "--min-price", "50.5", "--missing", "drop",
         "--from", "2019-10-01T00:10:00Z"],
        "event_type IN ('view', 'purchase') AND (category_code = 'electronics' OR starts_with(category_code, 'electronics.')) "
        "AND price >= 50.5 AND brand IS NOT NULL AND event_time >= TIMESTAMP '2019-10-01 00:10:00'",
    ),
    (["--brand", "no such brand"], "brand = 'no such brand'"),
]


def submit(*words, expect=0, spark_words=()):
    """Runs the job as its users do, on two workers of one core; `spark_words` are for Spark itself."""
    done = subprocess.run(
        [f"{pyspark.__path__[0]}/bin/spark-submit", "--master", "local-cluster[2,1,1024]", "--driver-memory", "1g",
         "--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=4", *spark_words,
         SPARK / "analyze.py", *map(str, words)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=900, text=True,
        env=os.environ | {"SPARK_HOME": pyspark.__path__[0], "PYSPARK_PYTHON": sys.executable},
    )
    assert done.returncode == expect, done.stdout[-2000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def result(folder, name):
    """A result's part files, one after the other."""
    parts = sorted((folder / name).glob("*.parquet"))
    return pa.concat_tables([pa.parquet.read_table(part) for part in parts])


def compare(folder, store, names, words=()):
    for name in names:
        expected = read(store.analyze(name, "parquet", *words), "parquet", None)
        assert_equal(result(folder, name), expected, f"{name} {' '.join(words)}")


# A million generated rows take Spark as many minutes as the other two together.
@pytest.mark.parametrize("rows", ["real", "small", "generated"] if LONG else ["real", "small"])
def test_all_analyses(rows, request, tmp_path):
    store = request.getfixturevalue(f"{rows}_store")
    store.export(tmp_path / "events", "--format", "parquet", "--partition-by", "day")
    submit("--input", tmp_path / "events", "--output", tmp_path / "results")
    compare(tmp_path / "results", store, analyses())


def test_filters(real_store, tmp_path):
    store = real_store
    store.export(tmp_path / "events.parquet")
    for number, (words, condition) in enumerate(FILTERS):
        # What no row passes is asked of every seventh analysis only, unless there is time.
        names = analyses() if LONG or number == 0 else analyses()[::7]
        submit("--input", tmp_path / "events.parquet", "--output", tmp_path / f"{number}", "--where", condition,
               "--analysis", *names)
        compare(tmp_path / f"{number}", store, names, words)


def test_parameters_and_several_files(small_rows, small_store, tmp_path):
    store = small_store
    store.export(tmp_path / "views.parquet", "--event-type", "view")
    store.export(tmp_path / "others.parquet", "--event-type", "cart,remove_from_cart,purchase")
    submit("--input", tmp_path / "views.parquet", tmp_path / "others.parquet", "--output", tmp_path / "results",
           "--analysis", "top_interactions", "price_bands", "category_affinity", "price_elasticity",
           "customer_segments", "--set", "limit=25", "--set", "bands=0,7,70", "--set", "min_users=3",
           "--set", "recent_days=0", "--set", "loyal_orders=2", "--files", 1)
    names = ["category_affinity", "customer_segments", "price_bands", "price_elasticity", "top_interactions"]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == names
    assert [len(list(path.glob("*.parquet"))) for path in (tmp_path / "results").iterdir()] == [1, 1, 1, 1, 1]
    compare(tmp_path / "results", store, ["top_interactions"], ["--limit", "25"])
    compare(tmp_path / "results", store, ["category_affinity"], ["--limit", "25", "--set", "min_users=3"])
    compare(tmp_path / "results", store, ["price_bands", "price_elasticity"], ["--set", "bands=0,7,70"])
    compare(tmp_path / "results", store, ["customer_segments"], ["--set", "recent_days=0", "--set", "loyal_orders=2"])


def test_wrong_usage_is_told(small_store, tmp_path):
    store = small_store
    store.export(tmp_path / "events.parquet")
    told = submit("--input", tmp_path / "events.parquet", "--output", tmp_path, "--analysis", "top_shops", expect=1)
    assert "error: there is no analysis 'top_shops'; there are: user_top_category_brand" in told
    cartlog("analyze", "sales_history", "--format", "parquet", "--out", tmp_path / "other", "--store", store.path)
    told = submit("--input", tmp_path / "other", "--output", tmp_path / "results", expect=1)
    assert "no column event_time, event_type" in told


def test_the_catalogue_is_the_registry():
    catalogue = json.loads((SPARK / "analyses.json").read_text())
    assert [entry["name"] for entry in catalogue] == analyses()


def test_only_known_sql_is_translated():
    assert translate("avg(x) / 2 AS \"a b\" -- so") == (
        "(CAST((CAST(sum(x) * 10000 AS DOUBLE) / (nullif(count(x), 0) * 10000)) * 10000 AS DOUBLE) / (2 * 10000)) AS `a b`"
    )
    assert translate("brand = 'l''or\\eal' ORDER BY a DESC, b NULLS FIRST LIMIT 3") == (
        "brand = 'l\\'or\\\\eal' ORDER BY a DESC NULLS LAST , b NULLS FIRST LIMIT 3"
    )
    for refused in ["median(price)", "strftime(t, '%Y')", "a * b / c", "datediff('week', a, b)", "count(*", "x)", "a ? b",
                    "f.lower(brand)"]:
        with pytest.raises(DialectError):
            translate(refused)
