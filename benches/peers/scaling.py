#!/usr/bin/env python3
"""Measures what a plan beyond one machine counts with: bytes a row in each form, loading, and the analyses here and on Spark.

Spark runs on this machine (`--master`, by default all its cores in one process) over the Parquet that the store exports;
its session starts anew each time, as a job's does. Every answer of Spark is compared with the kernels', byte by byte.
SPARK_HOME or --spark-submit says where Spark is.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000], help="sizes to measure")
    parser.add_argument("--master", default="local[*]", help="Spark's master")
    parser.add_argument("--memory", default="4g", help="memory of Spark's driver, which is all of Spark in local mode")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/cartlog")
    parser.add_argument("--folder", type=Path, help="where to put rows and stores (default: a temporary folder)")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores; Spark {options.master}, {options.memory}\n")
    print("| rows | CSV B/row | LZ4 log B/row | store B/row | Parquet B/row | load s | with log s | export s | kernels s | "
          "Spark job s | of it analyses s |")
    print("|---:|" + "---:|" * 10)
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="cartlog-scaling-") as folder:
            print(measure(options, rows, Path(folder)), flush=True)


def measure(options, rows, folder):
    def cartlog(*words):
        start = time.monotonic()
        done = subprocess.run([options.binary, *map(str, words), "--json"], check=True, stdin=subprocess.DEVNULL,
                              capture_output=True)
        return time.monotonic() - start, json.loads(done.stdout or "null")

    csv, store, logged, events = (folder / name for name in ["rows.csv", "store", "logged", "events"])
    subprocess.run([options.binary, "generate", "--events", str(rows), "--out", csv, "--quiet"], check=True)
    load, _ = cartlog("run", csv, "--store", store, "--no-log", "--no-analyses")
    with_log, _ = cartlog("run", csv, "--store", logged, "--no-analyses")
    export, _ = cartlog("export", "--store", store, "--format", "parquet", "--partition-by", "day", "--out", events)
    kernels, _ = cartlog("analyze", "--afresh", "--store", store, "--format", "csv", "--out", folder / "kernels")
    _, job = cartlog("analyze", "--engine", "spark", "--master", options.master, "--spark-conf",
                     f"spark.driver.memory={options.memory}", "--spark-conf", "spark.ui.enabled=false", "--input", events,
                     "--format", "csv", "--out", folder / "spark")
    for answer in sorted((folder / "kernels").iterdir()):
        assert answer.read_bytes() == (folder / "spark" / answer.name).read_bytes(), answer.name
    sizes = [csv.stat().st_size, size(logged / "log"), size(store / "store"), size(events)]
    took = [load, with_log, export, kernels, job["seconds"]["spark"], job["seconds"]["analyses"]]
    cells = [f"{rows:,}", *(f"{each / rows:.1f}" for each in sizes), *(f"{each:.2f}" for each in took)]
    return f"| {' | '.join(cells)} |"


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
