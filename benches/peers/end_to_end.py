#!/usr/bin/env python3
"""Measures `cartlog run` from CSV to results: bytes a second, rows a second, peak memory.

Memory is sampled from /proc every 10 ms: "own" is anonymous memory, which the process asked for itself; "resident" also
holds the parts of mapped files (the CSV, the segments) that the kernel happens to keep, and may take back.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WAYS = {
    "run": [],
    "run --no-analyses": ["--no-analyses"],
    "run --no-analyses --no-log": ["--no-analyses", "--no-log"],
    "run --no-analyses --log-compression none": ["--no-analyses", "--log-compression", "none"],
    "run --no-analyses --log-compression zstd": ["--no-analyses", "--log-compression", "zstd"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000, help="rows to generate (default 5,000,000)")
    parser.add_argument("--file", type=Path, help="a CSV file to load in place of generated rows")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each way, of which the median counts")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/cartlog")
    parser.add_argument("--folder", type=Path, help="where to put rows and stores (default: a temporary folder)")
    parser.add_argument("--way", action="append", choices=WAYS, help="only this way; may be given several times")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="cartlog-bench-") as folder:
        measure(options, Path(folder))


def measure(options, folder):
    path = options.file or folder / "rows.csv"
    if options.file is None:
        seconds, _, _, _ = run(options.binary, "generate", "--events", options.events, "--out", path, "--quiet")
        print(f"generated {options.events:,} rows in {seconds:.2f} s ({options.events / seconds / 1e6:.2f} M rows/s)\n")
    # Reads the file once, so that every way finds it in the page cache.
    size, rows = path.stat().st_size, count_lines(path) - 1
    print(f"{rows:,} rows, {size / 1e6:,.0f} MB of CSV; {platform.machine()}, {os.cpu_count()} cores; median of "
          f"{options.repeat} runs\n")
    print("| way | MB/s | rows/s | seconds | own memory | resident | store on disk |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    stages = {}
    for way in options.way or WAYS:
        results = []
        for _ in range(options.repeat):
            store = folder / "store"
            seconds, own, resident, out = run(
                options.binary, "run", path, "--store", store, "--out", folder / "out", "--json", *WAYS[way]
            )
            summary = json.loads(out)
            assert summary["rows_stored"] == rows, summary
            disk = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
            results.append((seconds, own, resident, disk))
            stages.setdefault(way, []).append(summary["seconds"])
            shutil.rmtree(store)
        seconds, own, resident, disk = (statistics.median(column) for column in zip(*results))
        print(f"| `{way}` | {size / seconds / 1e6:,.0f} | {rows / seconds / 1e6:.2f} M | {seconds:.2f} | "
              f"{own / 2**20:,.0f} MiB | {resident / 2**20:,.0f} MiB | {disk / 1e6:,.0f} MB |", flush=True)
    print("\nSeconds by stage (medians):\n")
    for way, runs in stages.items():
        parts = {name: statistics.median(run.get(name, 0.0) for run in runs) for name in runs[0]}
        print(f"- `{way}`: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items()))


def run(*words):
    """Seconds, peak own bytes, peak resident bytes and standard output of a command."""
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    own = resident = 0
    while process.poll() is None:
        held = memory(process.pid)
        own, resident = max(own, held.get("RssAnon", 0)), max(resident, held.get("VmHWM", 0))
        time.sleep(0.01)
    seconds = time.monotonic() - start
    out = process.stdout.read()
    process.stdout.close()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))} ended with {process.returncode}")
    return seconds, own, resident, out


def memory(pid):
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":") for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def count_lines(path):
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


if __name__ == "__main__":
    main()
