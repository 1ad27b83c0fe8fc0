#!/usr/bin/env python3
"""Measures all analyses beside the engines that a user would pick instead: same rows, same answers, two threads each.

Rows are generated once and kept, and so is what each engine made of them in its best form. An analysis is answered once
without the clock, and its answer compared with cartlog's row by row; then with the clock until `--rounds` answers were
given or `--seconds` are over, at least once. Medians count. cartlog is measured three times: hot, in one process, as the
others are; cold, as the whole command `cartlog analyze NAME` from the start of its process to its end; both reading all
events (`--afresh`). And again, hot, with what `analyze` by default keeps of the segments for the next time it is asked.

What was measured is kept beside the rows, so that engines and analyses can be measured one at a time; each run prints
the table of all that is known. `--report` writes it into docs/BENCHMARKS.md. requirements.txt has the engines' versions.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from engines import ENGINES
from engines.base import DEFINITIONS, ROOT, THREADS

OURS = "cartlog"
HERE = Path(__file__).resolve().parent


class Bench:
    """The rows, the stores and the results of one number of rows."""

    def __init__(self, options):
        self.options = options
        self.shop = [word for name in ["users", "products"] if (number := getattr(options, name))
                     for word in [f"--{name}", number]]
        self.folder = options.folder / "-".join(map(str, [f"{options.rows}-rows", *self.shop])).replace("--", "")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file, self.store = self.folder / "events.csv", self.folder / "store"
        self.answers, self.results = self.folder / "answers", self.folder / "results.json"

    def known(self):
        return json.loads(self.results.read_text()) if self.results.exists() else {}

    def keep(self, engine, **facts):
        """Merges what was found of an engine into the results."""
        known = self.known()
        of_engine = known.setdefault(engine, {})
        for name, fact in facts.items():
            of_engine[name] = of_engine.get(name, {}) | fact if isinstance(fact, dict) else fact
        whole = self.results.with_suffix(".new")
        whole.write_text(json.dumps(known, indent=1))
        whole.rename(self.results)

    def cartlog(self, *words, **more):
        words = [self.options.binary, *words, "--threads", THREADS, "--store", self.store]
        return subprocess.run(list(map(str, words)), check=True, stdin=subprocess.DEVNULL, **more)

    def prepare(self):
        """Rows and cartlog's store, in the order of arrival and in that of its users."""
        if not self.file.exists():
            print(f"generating {self.options.rows:,} rows", flush=True)
            self.cartlog("generate", "--events", self.options.rows, *self.shop, "--out", self.file, "--quiet")
        if not (self.store / "loaded").exists():
            print("loading: cartlog", flush=True)
            self.cartlog("run", self.file, "--no-log", "--no-analyses", "--quiet", stdout=subprocess.DEVNULL)
            self.cartlog("compact", "--by-user", "--quiet", stdout=subprocess.DEVNULL)
            (self.store / "loaded").touch()

    def answer(self, names):
        """cartlog's answers, which the others are held against; an answer known from before must still be the same."""
        from comparison import compare, read

        if not names:
            return
        with tempfile.TemporaryDirectory(dir=self.folder) as new:
            self.cartlog("analyze", *names, "--afresh", "--format", "parquet", "--out", new, "--quiet", stdout=subprocess.DEVNULL)
            self.answers.mkdir(exist_ok=True)
            for name in names:
                new_answer, known = Path(new) / f"{name}.parquet", self.answers / f"{name}.parquet"
                if known.exists():
                    compare(f"{OURS}: {name}", read(new_answer), read(known))
                new_answer.replace(known)

    def hot(self, *words):
        """How long each answer takes in one process."""
        words = ["analyze", *self.options.analysis, *words, "--repeat", self.options.rounds, "--json"]
        found = json.loads(self.cartlog(*words, stdout=subprocess.PIPE).stdout)
        return {analysis["name"]: analysis["all_seconds"] for analysis in found["analyses"]}

    def ours(self):
        """cartlog hot, again and cold."""
        self.answer(self.options.analysis)
        hot = self.hot("--afresh")
        self.keep(OURS, version=version(self.options.binary), hot=hot)
        # The first one keeps what the second one reads.
        self.cartlog("analyze", *self.options.analysis, stdout=subprocess.DEVNULL)
        self.keep(OURS, again=self.hot())
        for name in self.options.analysis:
            times = []
            for _ in range(self.options.rounds):
                start = time.monotonic()
                self.cartlog("analyze", name, "--afresh", stdout=subprocess.DEVNULL)
                times.append(time.monotonic() - start)
            self.keep(OURS, cold={name: times})
            print(f"cartlog: {name}: {statistics.median(hot[name]):.4f} s, "
                  f"whole process {statistics.median(times):.4f} s", flush=True)

    def measure(self, name):
        """One engine, in a process of its own."""
        words = [self.options.python, __file__, "--child", name, "--rows", self.options.rows, *self.shop,
                 "--folder", self.options.folder, "--binary", self.options.binary,
                 "--rounds", self.options.rounds, "--seconds", self.options.seconds,
                 *(["--load-only"] if self.options.load_only else []), *(["--missing"] if self.options.missing else []),
                 *(word for analysis in self.options.analysis for word in ["--analysis", analysis])]
        subprocess.run(list(map(str, words)), check=True, stdin=subprocess.DEVNULL)

    def child(self, name):
        """In that process: loads if need be, and measures."""
        from comparison import compare, read
        from engines import engine

        if name == OURS:
            return self.ours()
        folder = self.folder / name.lower().replace(", ", "-")
        folder.mkdir(exist_ok=True)
        peer = engine(name)(self.file, folder)
        if not (folder / "loaded").exists():
            print(f"loading: {name}", flush=True)
            peer.load()
            (folder / "loaded").touch()
        if self.options.load_only:
            return
        self.keep(name, version=peer.open())
        known = self.known().get(name, {}).get("hot", {})
        self.answer([analysis for analysis in self.options.analysis if not (self.answers / f"{analysis}.parquet").exists()])
        for analysis in self.options.analysis:
            if self.options.missing and analysis in known:
                continue
            expected = read(self.answers / f"{analysis}.parquet")
            compare(f"{name}: {analysis}", peer.table(analysis), expected)
            times = fastest(peer.ways(analysis), self.options.rounds, self.options.seconds)
            self.keep(name, hot={analysis: times})
            print(f"{name}: {analysis}: {statistics.median(times):.4f} s of {len(times)}", flush=True)


def fastest(ways, rounds, seconds):
    """The times of the fastest way to answer, which a first answer by each decides."""
    firsts = []
    for way in ways:
        start = time.monotonic()
        way()
        firsts.append(time.monotonic() - start)
    way = ways[firsts.index(min(firsts))]
    times, begun = [], time.monotonic()
    while not times or (len(times) < rounds and time.monotonic() - begun < seconds):
        start = time.monotonic()
        way()
        times.append(time.monotonic() - start)
    return times


def version(binary):
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    return said.split()[-1]


def environment(folder):
    """A Python with the engines of requirements.txt."""
    wanted, stamp = HERE / "requirements.txt", folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        print("installing the engines", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", "-r", wanted], check=True)
        stamp.write_text(wanted.read_text())
    return folder / "bin/python"


def main():
    names = sorted(path.stem for path in DEFINITIONS.glob("*.sql"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--rows", type=int, default=20_000_000, help="rows to generate (default 20,000,000)")
    option("--users", type=int, help="people of the generated shop (default: as `cartlog generate` has them)")
    option("--products", type=int, help="products of the generated shop (likewise)")
    option("--engine", action="append", choices=[OURS, *ENGINES], help="only this one; may be given several times")
    option("--analysis", action="append", choices=names, help="only this one; may be given several times")
    option("--rounds", type=int, default=5, help="answers that count (default 5)")
    option("--seconds", type=float, default=60, help="after so many, no further answer to an analysis (default 60)")
    option("--missing", action="store_true", help="only what has not been measured")
    option("--load-only", action="store_true", help="rows and stores, nothing measured")
    option("--table-only", action="store_true", help="prints what is known, nothing measured")
    option("--report", action="store_true", help="writes the table into docs/BENCHMARKS.md")
    option("--binary", type=Path, default=ROOT / "target/release/cartlog")
    option("--folder", type=Path, default=ROOT / "tests/interop/.work/peers", help="where everything is kept")
    option("--python", type=Path, help="a Python that has the engines (default: one made in the folder)")
    option("--child", choices=[OURS, *ENGINES], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.analysis = options.analysis or names
    bench = Bench(options)
    if options.child:
        return bench.child(options.child)
    options.python = options.python or environment(options.folder / "venv")
    if not options.table_only:
        bench.prepare()
        for name in options.engine or [OURS, *ENGINES]:
            if name != OURS or not options.load_only:
                bench.measure(name)
    table = report.table(bench.known(), options.rows)
    print(table)
    if options.report:
        report.write(ROOT / "docs/BENCHMARKS.md", table)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
