"""The events in every format, read by pyarrow."""

import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset
import pyarrow.orc
import pytest

from cartlog import Store, cartlog
from engine import COLUMNS, Engine, read

# The nine columns as text and numbers of the seed pipeline's ORC files.
ORC_TYPES = {
    "event_time": "string", "event_type": "string", "product_id": "int64", "category_id": "int64",
    "category_code": "string", "brand": "string", "price": "double", "user_id": "int64", "user_session": "string",
}


@pytest.fixture(scope="module", params=["real", "generated"])
def events(request):
    """A store and DuckDB with the same rows."""
    rows = request.getfixturevalue(f"{request.param}_rows")
    return request.getfixturevalue(f"{request.param}_store"), Engine(rows)


def typed(table):
    """Text times and double prices turned into the types of the events."""
    columns = {name: table[name] for name in table.column_names}
    time = columns["event_time"]
    if pa.types.is_string(time.type) or pa.types.is_large_string(time.type) or pa.types.is_dictionary(time.type):
        text = pa.compute.replace_substring(time.cast(pa.string()), " UTC", "")
        columns["event_time"] = text.cast(pa.timestamp("us"))
    if pa.types.is_floating(columns["price"].type):
        columns["price"] = pa.compute.round(columns["price"], 4).cast(pa.decimal128(38, 4), safe=False)
    return pa.table(columns)


@pytest.mark.parametrize("file_format", ["csv", "parquet", "arrow", "orc"])
def test_exported_events(file_format, events, tmp_path):
    store, engine = events
    path = store.export(tmp_path / f"events.{file_format}")
    if file_format == "csv":
        assert Engine(path).differences(engine.query("SELECT * FROM events")) == (0, 0)
        return
    table = read(path.read_bytes(), file_format, None)
    assert table.column_names == COLUMNS
    if file_format == "orc":
        assert {field.name: str(field.type) for field in table.schema} == ORC_TYPES
    assert engine.differences(typed(table)) == (0, 0)


def test_orc_with_typed_times(real_store, real_rows, tmp_path):
    path = real_store.export(tmp_path / "events.orc", "--typed-time")
    table = pa.orc.read_table(path)
    assert pa.types.is_timestamp(table["event_time"].type)
    table = table.set_column(0, "event_time", table["event_time"].cast(pa.timestamp("us")))
    assert Engine(real_rows).differences(typed(table)) == (0, 0)


def test_csv_of_the_events_is_what_was_loaded(small_store, small_rows, tmp_path):
    path = small_store.export(tmp_path / "events.csv")
    assert sorted(path.read_bytes().splitlines()) == sorted(small_rows.read_bytes().splitlines())


@pytest.mark.parametrize("file_format", ["parquet", "orc", "arrow", "csv"])
def test_events_by_day(file_format, tmp_path):
    rows = tmp_path / "days.csv"
    cartlog("generate", "--events", 20_000, "--users", 300, "--products", 200, "--seed", 3, "--out", rows)
    shifted = rows.read_text().replace("2019-10-01 00:0", "2019-10-03 00:0")
    rows.write_text(shifted)
    store = Store.load(tmp_path / "store", rows)
    folder = tmp_path / "days"
    store.export(folder, "--format", file_format, "--partition-by", "day")
    files = list(folder.glob("day=*/*"))
    assert len({path.parent for path in files}) == 2 and all(path.suffix == f".{file_format}" for path in files)
    if file_format == "csv":
        assert Engine(rows).differences(Engine(*files).query("SELECT * FROM events")) == (0, 0)
        return
    table = pa.concat_tables([read(path.read_bytes(), file_format, None) for path in files])
    assert Engine(rows).differences(typed(table)) == (0, 0)


def test_filtered_events(real_store, real_rows, tmp_path):
    engine = Engine(real_rows)
    engine.filter("event_type = 'purchase' AND price >= 500")
    path = real_store.export(tmp_path / "events.parquet", "--event-type", "purchase", "--min-price", "500")
    assert engine.differences(read(path.read_bytes(), "parquet", None)) == (0, 0)


def test_no_events_are_a_whole_file(real_store, tmp_path):
    for file_format in ["parquet", "orc", "arrow"]:
        path = real_store.export(tmp_path / f"none.{file_format}", "--brand", "no such brand")
        table = read(path.read_bytes(), file_format, None)
        assert table.num_rows == 0 and table.column_names == COLUMNS, file_format


def test_orc_has_statistics_and_stripes(generated_store, tmp_path):
    path = generated_store.export(tmp_path / "events.orc")
    file = pa.orc.ORCFile(path)
    assert file.nrows == pa.orc.read_table(path, columns=["user_id"]).num_rows
    assert file.nstripes >= 1 and file.compression != "UNKNOWN"
    for stripe in range(file.nstripes):
        assert file.read_stripe(stripe, columns=["product_id"]).num_rows > 0
