#!/usr/bin/env python3
"""Measures loading beside other engines, in one run: CSV in the page cache to a committed store, synced to disk.

Every engine reads the same file with the same types (times parsed, integers, prices as decimals or doubles, texts) into
its own fastest durable form, in a process of its own with both cores, in turn, round after round; medians count. Each
then says how many rows it holds and what their prices add up to, which must agree. cartlog is measured from the start of
its process to its end; the others without the time to start Python and import themselves.

Installs polars, duckdb and chdb with pip into a folder beside the interop tests' work unless --python names one that has
them.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COLUMNS = ["event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id",
           "user_session"]
# Three loads of cartlog: into the store alone, through its own log as it does by default, and through one that isn't
# compressed.
OURS = {
    "cartlog": ["--no-log"],
    "cartlog, log and tee": [],
    "cartlog, log and tee, no compression": ["--log-compression", "none"],
}


def sync(folder):
    """Every file of a folder to disk."""
    for path in [folder, *folder.rglob("*")]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def polars(file, folder):
    import polars

    types = {"product_id": polars.Int64, "category_id": polars.Int64, "price": polars.Float64, "user_id": polars.Int64}
    types = {name: types.get(name, polars.String) for name in COLUMNS}

    def load():
        rows = polars.scan_csv(file, schema=types)
        rows = rows.with_columns(polars.col("event_time").str.to_datetime("%Y-%m-%d %H:%M:%S UTC"))
        rows.sink_ipc(folder / "events.arrow", compression="uncompressed")

    def check():
        rows = polars.scan_ipc(folder / "events.arrow")
        return rows.select(polars.len(), polars.col("price").sum().alias("sum")).collect().row(0)

    return load, check


def duckdb(file, folder):
    import duckdb

    base = duckdb.connect(folder / "events.duckdb")
    base.execute("SET preserve_insertion_order = false")
    types = dict(zip(COLUMNS, ["TIMESTAMP", "VARCHAR", "BIGINT", "BIGINT", "VARCHAR", "VARCHAR", "DOUBLE", "BIGINT",
                               "VARCHAR"]))

    def load():
        base.execute(f"CREATE TABLE events AS FROM read_csv('{file}', header = true, columns = {types}, "
                     "timestampformat = '%Y-%m-%d %H:%M:%S UTC')")
        base.execute("CHECKPOINT")

    return load, lambda: base.execute("SELECT count(*), sum(price) FROM events").fetchone()


def clickhouse(file, folder):
    from chdb import session

    base = session.Session(str(folder / "chdb"))
    base.query("CREATE DATABASE shop ENGINE = Atomic")
    base.query("""CREATE TABLE shop.events (event_time DateTime('UTC'), event_type LowCardinality(String),
        product_id Int64, category_id Int64, category_code LowCardinality(String), brand LowCardinality(String),
        price Float64, user_id Int64, user_session String) ENGINE = MergeTree ORDER BY tuple()""")

    def load():
        base.query(f"""INSERT INTO shop.events SELECT parseDateTimeBestEffort(event_time), * EXCEPT (event_time)
            FROM file('{file}', 'CSVWithNames', 'event_time String, event_type String, product_id Int64,
            category_id Int64, category_code String, brand String, price Float64, user_id Int64, user_session String')""")

    def check():
        rows, total = str(base.query("SELECT count(), sum(price) FROM shop.events", "CSV")).strip().split(",")
        return int(rows), float(total)

    return load, check


OTHERS = {"Polars": polars, "DuckDB": duckdb, "ClickHouse": clickhouse}


def child(name, file, folder):
    """Loads with one of the others and prints what it took and holds."""
    load, check = OTHERS[name](file, folder)
    start = time.monotonic()
    load()
    sync(folder)
    seconds = time.monotonic() - start
    rows, total = check()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(json.dumps({"seconds": seconds, "rows": rows, "total": float(total), "bytes": size}))


def measure_other(options, name, folder):
    words = [options.python, __file__, "--child", name, "--file", options.file, "--folder", folder]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure_ours(options, name, folder):
    words = [options.binary, "run", options.file, "--store", folder / "store", "--out", folder / "out", "--json",
             "--no-analyses", *OURS[name]]
    start = time.monotonic()
    out = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout
    seconds = time.monotonic() - start
    summary = json.loads(out.splitlines()[-1])
    # The sum of all prices, by another engine from the exported rows, is a test's matter; here the counts are checked.
    log = sum(path.stat().st_size for path in (folder / "store").glob("log/**/*") if path.is_file())
    size = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file()) - log
    return {"seconds": seconds, "rows": summary["rows_stored"], "bytes": size}


def environment(folder):
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "polars", "duckdb", "chdb"], check=True)
    return python


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000, help="rows to generate (default 20,000,000)")
    parser.add_argument("--file", type=Path, help="a CSV file to load in place of generated rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="only these engines; may be given several times")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/cartlog")
    parser.add_argument("--python", type=Path, help="a Python that has polars, duckdb and chdb")
    parser.add_argument("--folder", type=Path, help="where to put rows and stores (default: a temporary folder)")
    parser.add_argument("--child", choices=OTHERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child, options.file, options.folder)
    options.python = options.python or environment(ROOT / "tests/interop/.work/venv-loading")
    engines = [name for name in [*OURS, *OTHERS] if not options.only or name in options.only]
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="cartlog-bench-") as folder:
        folder = Path(folder)
        if options.file is None:
            options.file = folder / "rows.csv"
            words = [options.binary, "generate", "--events", str(options.events), "--out", options.file, "--quiet"]
            subprocess.run(list(map(str, words)), check=True)
        results = {name: [] for name in engines}
        for number in range(options.rounds):
            # Reads the file, so that every engine finds it in the page cache.
            size, rows = options.file.stat().st_size, count_rows(options.file)
            for name in engines:
                place = folder / "place"
                place.mkdir()
                os.sync()
                result = (measure_ours if name in OURS else measure_other)(options, name, place)
                shutil.rmtree(place)
                assert result["rows"] == rows, (name, result, rows)
                results[name].append(result)
                print(f"round {number + 1}: {name:<40} {result['seconds']:.2f} s", flush=True)
        totals = {round(result["total"]) for runs in results.values() for result in runs if "total" in result}
        assert len(totals) <= 1, totals
        report(results, rows, size)


def count_rows(path):
    with open(path, "rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 22), b"")) - 1


def report(results, rows, size):
    print(f"\n{rows:,} rows, {size / 1e6:,.0f} MB; {platform.machine()}, {os.cpu_count()} cores\n")
    print("| engine | seconds, median | spread | MB/s | bytes a row |\n|---|---:|---:|---:|---:|")
    for name, runs in results.items():
        seconds = sorted(run["seconds"] for run in runs)
        median = statistics.median(seconds)
        stored = statistics.median(run["bytes"] for run in runs) / rows
        print(f"| {name} | {median:.2f} | {seconds[0]:.2f} – {seconds[-1]:.2f} | {size / median / 1e6:,.0f} | "
              f"{stored:.1f} |")
    others = [statistics.median(run["seconds"] for run in results[name]) for name in OTHERS if name in results]
    for name in OURS:
        if name in results and others:
            ours = statistics.median(run["seconds"] for run in results[name])
            print(f"\n{name}: {min(others) / ours:.2f} times as fast as the fastest of the others")


if __name__ == "__main__":
    main()
