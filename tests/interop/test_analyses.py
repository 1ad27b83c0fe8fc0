"""Every analysis equals its SQL definition executed by DuckDB: values, order and ties."""

import csv
import io

import pytest

from cartlog import FORMATS, analyses, cartlog
from conftest import SHARED
from engine import DEFINITIONS, Engine, assert_equal, read

# The filters as they are typed, and as SQL over the same columns.
FILTERS = {
    "from": (["--from", "2019-10-01 01:30:00 UTC"], "event_time >= TIMESTAMP '2019-10-01 01:30:00'"),
    "to": (["--to", "2019-10-01T02:10:00Z"], "event_time < TIMESTAMP '2019-10-01 02:10:00'"),
    "event type": (["--event-type", "purchase"], "event_type = 'purchase'"),
    "event types": (["--event-type", "cart,purchase"], "event_type IN ('cart', 'purchase')"),
    "category": (
        ["--category", "electronics"], "(category_code = 'electronics' OR category_code LIKE 'electronics.%')",
    ),
    "whole category": (["--category", "apparel.shoes"], "(category_code = 'apparel.shoes' OR category_code LIKE 'apparel.shoes.%')"),
    "brand": (["--brand", "samsung"], "brand = 'samsung'"),
    "brand called nan": (["--brand", "nan"], "brand = 'nan'"),
    "prices": (["--min-price", "100", "--max-price", "489.07"], "price BETWEEN 100 AND 489.07"),
    "missing": (["--missing", "drop"], "category_code IS NOT NULL AND brand IS NOT NULL"),
    "several": (
        ["--event-type", "view", "--category", "appliances", "--min-price", "50", "--from", "2019-10-01T00:10:00+00:00"],
        "event_type = 'view' AND (category_code = 'appliances' OR category_code LIKE 'appliances.%') AND price >= 50 "
        "AND event_time >= TIMESTAMP '2019-10-01 00:10:00'",
    ),
    "nothing": (["--brand", "no such brand"], "brand = 'no such brand'"),
}


@pytest.fixture(scope="module")
def real_engine(real_rows):
    return Engine(real_rows)


@pytest.fixture(scope="module")
def generated_engine(generated_rows):
    return Engine(generated_rows)


@pytest.fixture(scope="module")
def small_engine(small_rows):
    return Engine(small_rows)


def compare(store, engine, name, formats, words=()):
    expected = engine.analysis(name)
    for file_format in formats:
        got = read(store.analyze(name, file_format, *words), file_format, expected.schema)
        assert_equal(got, expected, f"{name}.{file_format} {' '.join(words)}")


def test_all_analyses_are_there():
    assert set(analyses()) >= {
        "user_top_category_brand", "most_engaged_users", "price_sensitivity", "price_bands", "top_categories",
        "top_category_prices", "top_interactions", "sales_history", "conversion_funnel", "session_metrics",
        "customer_segments", "product_performance", "brand_performance", "hourly_activity", "cohort_retention",
        "daily_activity", "key_figures", "category_affinity", "price_elasticity", "data_quality",
    }


def test_definitions_are_the_shared_ones():
    if not (SHARED / "sql").exists():
        pytest.skip(f"no definitions at {SHARED}/sql")
    shared = {path.stem for path in (SHARED / "sql").glob("*.sql")}
    assert shared <= set(analyses())
    for name in shared:
        assert (DEFINITIONS / f"{name}.sql").read_text() == (SHARED / f"sql/{name}.sql").read_text(), name
        assert cartlog("analyze", name, "--sql").decode().strip() == (SHARED / f"sql/{name}.sql").read_text().strip()


def test_real_rows(real_store, real_engine):
    for name in analyses():
        compare(real_store, real_engine, name, FORMATS)


def test_averages_are_those_of_duckdb_to_the_bit(real_store, real_engine):
    """Where its optimiser makes no quotient of sums of them, as docs/ANALYSES.md says."""
    def averages():
        rows = real_engine.analysis("price_sensitivity").to_pylist()
        return [(row["category_code"], row["average_price"]) for row in rows]
    rewritten = averages()
    real_engine.connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    exact = averages()
    real_engine.connection.execute("RESET disabled_optimizers")
    got = csv.DictReader(io.StringIO(real_store.analyze("price_sensitivity", "csv").decode()))
    assert [(row["category_code"] or None, float(row["average_price"])) for row in got] == exact
    assert rewritten != exact, "DuckDB doesn't rewrite averages any longer: docs/ANALYSES.md needn't say so"


def test_generated_rows(generated_store, generated_engine):
    for name in analyses():
        compare(generated_store, generated_engine, name, ["csv", "json", "parquet"])


def test_rows_with_many_ties(small_store, small_engine):
    for name in analyses():
        compare(small_store, small_engine, name, ["csv", "orc"])


@pytest.mark.parametrize("label", FILTERS)
def test_filters(label, real_store, real_engine, small_store, small_engine):
    words, condition = FILTERS[label]
    for store, engine in [(real_store, real_engine), (small_store, small_engine)]:
        engine.filter(condition)
        try:
            for name in analyses():
                compare(store, engine, name, ["csv", "parquet"], words)
        finally:
            engine.filter("TRUE")


@pytest.mark.parametrize("word, column", [("--user", "user_id"), ("--product", "product_id")])
def test_filter_by_ids(word, column, real_store, real_engine):
    ids = [row[0] for row in real_engine.connection.execute(
        f"SELECT {column} FROM events GROUP BY {column} ORDER BY count(*) DESC, {column} LIMIT 3").fetchall()]
    real_engine.filter(f"{column} IN ({', '.join(map(str, ids))})")
    try:
        for name in analyses():
            compare(real_store, real_engine, name, ["csv"], [word, ",".join(map(str, ids))])
    finally:
        real_engine.filter("TRUE")


def test_filters_on_generated_rows(generated_store, generated_engine):
    words, condition = FILTERS["several"]
    generated_engine.filter(condition)
    try:
        for name in analyses():
            compare(generated_store, generated_engine, name, ["parquet"], words)
    finally:
        generated_engine.filter("TRUE")


def test_threads_do_not_show(generated_store):
    for name in analyses():
        one = generated_store.analyze(name, "csv", "--threads", "1")
        assert one == generated_store.analyze(name, "csv", "--threads", "3"), name


def test_limit_is_a_parameter(real_store, real_engine):
    expected = real_engine.query((DEFINITIONS / "top_categories.sql").read_text().replace("LIMIT 10", "LIMIT 25"))
    got = read(real_store.analyze("top_categories", "csv", "--limit", "25"), "csv", expected.schema)
    assert_equal(got, expected, "top_categories --limit 25")


def test_fewest_users_are_a_parameter(small_store, small_engine):
    sql = (DEFINITIONS / "category_affinity.sql").read_text()
    assert sql.count("HAVING count(*) >= 10") == sql.count("LIMIT 100") == 1
    for fewest, limit in [(1, 9000), (40, 100)]:
        expected = small_engine.query(sql.replace(">= 10", f">= {fewest}").replace("LIMIT 100", f"LIMIT {limit}"))
        got = small_store.analyze("category_affinity", "csv", "--set", f"min_users={fewest}", "--limit", limit)
        assert_equal(read(got, "csv", expected.schema), expected, f"category_affinity of {fewest} users")


def test_all_analyses_into_a_folder(real_store, real_engine, tmp_path):
    cartlog("analyze", "--format", "parquet", "--out", tmp_path / "results", "--store", real_store.path)
    for name in analyses():
        expected = real_engine.analysis(name)
        got = read((tmp_path / f"results/{name}.parquet").read_bytes(), "parquet", expected.schema)
        assert_equal(got, expected, name)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(f"{n}.parquet" for n in analyses())
