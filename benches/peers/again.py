#!/usr/bin/env python3
"""Asks again: what an analysis takes when it is asked for the first time, again, and after one more row for a hundred.

A store of all generated rows but the last hundredth is answered from: reading every event (--afresh), and with the summaries that the
first answer left behind; then again when the last rows were loaded beside them. Each time the median of the answers in one process counts,
and of whole commands. Every answer must be the one that reading every event gives.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ["top_categories", "top_category_prices", "price_sensitivity", "hourly_activity", "daily_activity"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows to generate (default 20,000,000)")
    parser.add_argument("--file", type=Path, help="a CSV file to load in place of generated rows")
    parser.add_argument("--rounds", type=int, default=5, help="answers of which the median counts")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/cartlog")
    parser.add_argument("--folder", type=Path, help="where to put rows and store (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="cartlog-again-") as folder:
        Again(options, Path(folder)).measure()


class Again:
    def __init__(self, options, folder):
        self.options, self.folder, self.store = options, folder, folder / "store"

    def cartlog(self, *words, stdin=subprocess.DEVNULL):
        command = [self.options.binary, *words]
        return subprocess.run(list(map(str, command)), check=True, stdin=stdin, stdout=subprocess.PIPE).stdout

    def load(self, *lines):
        """Loads what a command prints."""
        with subprocess.Popen(list(map(str, lines)), stdout=subprocess.PIPE) as printed:
            self.cartlog("load", "-", "--quiet", "--store", self.store, stdin=printed.stdout)

    def generated(self):
        path = self.folder / "rows.csv"
        self.cartlog("generate", "--events", self.options.rows, "--out", path, "--quiet")
        return path

    def answer(self, name, *words):
        return self.cartlog("analyze", name, "--format", "csv", "--store", self.store, *words)

    def times(self, *words):
        """Medians of each analysis: in one process, and as whole commands."""
        repeat = self.cartlog("analyze", *NAMES, "--repeat", self.options.rounds, "--json", "--store", self.store, *words)
        hot = {analysis["name"]: analysis["seconds"] for analysis in json.loads(repeat)["analyses"]}
        return {name: (hot[name], statistics.median(self.command(name, *words) for _ in range(self.options.rounds)))
                for name in NAMES}

    def command(self, name, *words):
        start = time.monotonic()
        self.answer(name, *words)
        return time.monotonic() - start

    def check(self):
        for name in NAMES:
            assert self.answer(name) == self.answer(name, "--afresh"), f"{name} isn't what reading every event gives"

    def measure(self):
        path, few = self.options.file or self.generated(), self.options.rows // 100
        self.load("head", "-n", 1 + self.options.rows - few, path)
        afresh = self.times("--afresh")
        first = {name: self.command(name) for name in NAMES}
        kept = self.times()
        self.check()
        self.load("tail", "-n", few, path)
        # Those that are measured first find the new rows not summed up; --repeat keeps nothing.
        more = {}
        for name in NAMES:
            words = ["analyze", name, "--repeat", self.options.rounds, "--json", "--store", self.store]
            hot = json.loads(self.cartlog(*words))["analyses"][0]["seconds"]
            more[name] = (hot, self.command(name))
        self.check()
        files = [path for path in (self.store / "store" / "summaries").iterdir() if path.name != "lock"]
        size = sum(path.stat().st_size for path in files)
        print(f"{self.options.rows:,} rows; summaries: {len(files)} files, {size / 1e6:.1f} MB\n")
        print("| analysis | afresh | its command | the command that sums up | again | its command | 1 % more rows | its command | of the first |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for name in NAMES:
            figures = [*afresh[name], first[name], *kept[name], *more[name]]
            shown = " | ".join(f"{1000 * figure:.1f} ms" for figure in figures)
            print(f"| {name} | {shown} | {more[name][0] / afresh[name][0]:.1%} |")


if __name__ == "__main__":
    main()
