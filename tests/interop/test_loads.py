"""The same events, whatever form the file has; nothing twice."""

import gzip
from decimal import Decimal

import pytest
import zstandard

from cartlog import Store, analyses, cartlog, summary
from conftest import ROOT
from engine import COLUMNS, Engine, read

HEADER = (",".join(COLUMNS) + "\n").encode()


def assert_holds(store, engine, folder):
    """The store has exactly the events that DuckDB read."""
    exported = store.export(folder / "events.parquet")
    assert engine.differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


@pytest.fixture(scope="module")
def engine(real_rows):
    return Engine(real_rows)


def test_real_rows_have_the_known_facts(real_store, tmp_path):
    assert real_store.counts() == (17_434, 17_434, 0, 0)
    exported = real_store.export(tmp_path / "events.parquet")
    events = read(exported.read_bytes(), "parquet", None)
    kinds = {kind: events["event_type"].to_pylist().count(kind) for kind in ["view", "cart", "purchase"]}
    assert kinds == {"view": 17_055, "cart": 165, "purchase": 214}
    assert sum(events["price"].to_pylist()) == Decimal("5092137.23")
    assert events["category_code"].null_count == 5_746
    assert events["brand"].null_count == 2_477


def plain(rows):
    return rows


def crlf(rows):
    return rows.replace(b"\n", b"\r\n")


def no_header(rows):
    return rows.removeprefix(HEADER)


def no_final_newline(rows):
    return rows.removesuffix(b"\n")


def bom(rows):
    return b"\xef\xbb\xbf" + rows


def bom_without_header(rows):
    return bom(no_header(rows))


def quoted(rows):
    return b"".join(
        b",".join(b'"' + field + b'"' if field else b"" for field in line.split(b",")) + b"\n"
        for line in rows.splitlines()
    )


def iso_times(rows):
    return rows.replace(b" UTC,", b"Z,").replace(b"2019-10-01 ", b"2019-10-01T")


def offset_times(rows):
    return rows.replace(b" UTC,", b"+00:00,")


def gzip_of_crlf_without_header(rows):
    return gzip.compress(crlf(no_header(rows)))


def gzip_of_two_members(rows):
    half = rows.index(b"\n", len(rows) // 2) + 1
    return gzip.compress(rows[:half]) + gzip.compress(rows[half:])


def zstd(rows):
    return zstandard.compress(rows)


def zstd_of_two_frames(rows):
    return zstandard.compress(rows[:1_000_001]) + zstandard.compress(rows[1_000_001:])


FORMS = [
    plain, crlf, no_header, no_final_newline, bom, bom_without_header, quoted, iso_times, offset_times, gzip.compress,
    gzip_of_crlf_without_header, gzip_of_two_members, zstd, zstd_of_two_frames,
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_forms_of_a_file(form, real_rows, engine, tmp_path):
    path = tmp_path / "rows.anything"
    path.write_bytes(form(real_rows.read_bytes()))
    store = Store.load(tmp_path / "store", path)
    assert store.counts() == (17_434, 17_434, 0, 0)
    assert_holds(store, engine, tmp_path)
    assert store.again(path).counts() == (17_434, 0, 0, 17_434)


@pytest.mark.parametrize("form", [plain, gzip.compress, zstd, crlf], ids=lambda form: form.__name__)
def test_standard_input(form, real_rows, engine, tmp_path):
    store = Store.load(tmp_path / "store", "-", stdin=form(real_rows.read_bytes()))
    assert store.counts() == (17_434, 17_434, 0, 0)
    assert_holds(store, engine, tmp_path)


def test_globs_and_several_files(real_rows, engine, tmp_path):
    rows = real_rows.read_bytes()
    third = rows.index(b"\n", len(rows) // 3) + 1
    two_thirds = rows.index(b"\n", 2 * len(rows) // 3) + 1
    (tmp_path / "part-1.csv").write_bytes(rows[:third])
    (tmp_path / "part-2.csv.gz").write_bytes(gzip.compress(HEADER + rows[third:two_thirds]))
    (tmp_path / "rest.csv").write_bytes(rows[two_thirds:])
    store = Store.load(tmp_path / "store", tmp_path / "part-*", tmp_path / "rest.csv")
    assert store.counts() == (17_434, 17_434, 0, 0)
    assert_holds(store, engine, tmp_path)


def test_a_file_cut_in_the_middle_of_a_line(real_rows, tmp_path):
    rows = real_rows.read_bytes()
    start = rows.index(b"\n", len(rows) // 2) + 1
    path = tmp_path / "cut.csv"
    path.write_bytes(rows[: start + 40])
    whole = rows[:start].count(b"\n") - 1
    store = Store.load(tmp_path / "store", path)
    assert store.counts() == (whole + 1, whole, 1, 0)
    [reject] = store.rejects()
    assert (reject["line"], reject["byte_offset"]) == (whole + 2, start)


def test_the_same_load_twice_adds_nothing(real_rows, engine, tmp_path):
    store = Store.load(tmp_path / "store", real_rows)
    before = {name: store.analyze(name, "csv") for name in analyses()}
    copy = tmp_path / "renamed.csv"
    copy.write_bytes(real_rows.read_bytes())
    for path in [real_rows, copy]:
        assert store.again(path).counts() == (17_434, 0, 0, 17_434)
    assert_holds(store, engine, tmp_path)
    assert before == {name: store.analyze(name, "csv") for name in analyses()}


def test_again_adds_them_again(real_rows, tmp_path):
    store = Store.load(tmp_path / "store", real_rows)
    assert store.again(real_rows, "--again").counts() == (17_434, 17_434, 0, 0)
    events = read(store.export(tmp_path / "events.parquet").read_bytes(), "parquet", None)
    assert events.num_rows == 2 * 17_434


def test_a_file_that_has_grown_adds_what_is_new(real_rows, engine, tmp_path):
    rows = real_rows.read_bytes()
    cut = rows.index(b"\n", len(rows) // 2) + 1
    path = tmp_path / "growing.csv"
    path.write_bytes(rows[:cut])
    store = Store.load(tmp_path / "store", path)
    first = store.counts()[1]
    path.write_bytes(rows)
    assert store.again(path).counts() == (17_434, 17_434 - first, 0, first)
    assert_holds(store, engine, tmp_path)


def test_another_file_with_the_same_beginning(real_rows, tmp_path):
    rows = real_rows.read_bytes()
    store = Store.load(tmp_path / "store", real_rows)
    changed = tmp_path / "changed.csv"
    at = rows.index(b",view,", len(rows) // 2)
    changed.write_bytes(rows[:at] + b",cart," + rows[at + 6 :])
    assert store.again(changed).counts() == (17_434, 17_434, 0, 0)
    assert store.again(changed).counts() == (17_434, 0, 0, 17_434)


@pytest.mark.parametrize("words", [["--no-log"], ["--log-compression", "none"], ["--log-compression", "zstd"],
                                   ["--rows-per-record", "100"], ["--partitions", "1"], ["--threads", "1"]],
                         ids=" ".join)
def test_ways_to_load(words, real_rows, engine, tmp_path):
    store = Store.load(tmp_path / "store", real_rows, *words)
    assert store.counts() == (17_434, 17_434, 0, 0)
    assert_holds(store, engine, tmp_path)


def test_generated_rows(generated_store, generated_rows, tmp_path):
    rows = generated_rows.read_bytes().count(b"\n") - 1
    assert generated_store.counts() == (rows, rows, 0, 0)
    assert_holds(generated_store, Engine(generated_rows), tmp_path)


def test_produce_then_ingest(real_rows, engine, tmp_path):
    store = Store(tmp_path / "store")
    produced = summary("produce", real_rows, "--store", store.path)
    assert produced["rows_read"] == 17_434
    ingested = summary("ingest", "--store", store.path)
    assert (ingested["rows_read"], ingested["rows_stored"]) == (17_434, 17_434)
    assert_holds(store, engine, tmp_path)
    assert summary("ingest", "--store", store.path)["rows_stored"] == 0


def test_an_empty_file(tmp_path):
    for name, content in [("header.csv", HEADER), ("empty.csv", b"")]:
        path = tmp_path / name
        path.write_bytes(content)
        assert Store.load(tmp_path / "store", path).counts() == (0, 0, 0, 0), name


def test_wrong_usage_and_missing_files(tmp_path):
    cartlog("run", tmp_path / "missing.csv", "--store", tmp_path / "store", expect=1)
    cartlog("run", "--no-such-option", expect=2)
    cartlog("analyze", "no_such_analysis", "--store", tmp_path / "store", expect=2)


def test_the_main_job_leaves_its_files(tmp_path):
    done = summary("run", ROOT / "data/sample.csv", "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert done["rows_stored"] == 5000
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {
        "top_10_categories.csv", "top_10_categories_prices.csv", "top_10_interactions.csv",
        "user_top_category_brand.csv", "most_engaged_users.csv", "price_sensitivity.csv", "price_sensitivity.orc",
    }
    assert not [name for name in names if "tmp" in name or name.startswith(".")]
    heads = {
        "top_10_categories.csv": "category_id,category_code,interaction_count",
        "top_10_categories_prices.csv": "category_code,average_price,max_price,min_price",
        "top_10_interactions.csv": "user_id,category_code,count",
    }
    for name, head in heads.items():
        lines = (tmp_path / "out" / name).read_text().splitlines()
        assert lines[0] == head and len(lines) == 11, name


def test_verify_finds_nothing_wrong(generated_store):
    cartlog("verify", "--store", generated_store.path)
    cartlog("inspect", "--store", generated_store.path)
