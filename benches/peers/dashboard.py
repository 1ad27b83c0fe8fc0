#!/usr/bin/env python3
"""Measures the dashboard: how long a change of the filters takes to its first and its last chart, and what many viewers at once cost.

Asks `cartlog serve` for the parts of the page as page.js does: all at once, over the six connections that a browser opens to one
server. The changes are those of somebody who clicks through a shop, one after the other; what they choose (the category, the
brand, the product with the most) is taken from the store. No change is asked for twice of one server, so that nothing was answered
before. Then many viewers come at the same moment, each with another filter. Some answers are compared with those of `cartlog analyze`.
"""

import argparse
import csv
import http.client
import io
import itertools
import json
import os
import platform
import queue
import re
import statistics
import subprocess
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent.parent
# A browser's connections to one server (HTTP/1.1).
CONNECTIONS = 6
WIDTH = 640


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000, help="rows to generate")
    parser.add_argument("--store", type=Path, help="a store to measure in place of a generated one")
    parser.add_argument("--rounds", type=int, default=3, help="times that all changes are made, each with a new server")
    parser.add_argument("--change", action="append", help="measure this change alone; may be given several times")
    parser.add_argument("--viewers", type=int, default=50, help="viewers at once; 0 for none")
    parser.add_argument("--sections", action="store_true", help="also ask for one section at a time, to tell what each costs")
    parser.add_argument("--no-check", dest="check", action="store_false", help="don't compare answers with those of `analyze`")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/cartlog")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cartlog-dashboard-") as folder:
        store = options.store or generated(options, Path(folder))
        measure(options, store)


def generated(options, folder):
    rows, store = folder / "rows.csv", folder / "store"
    for words in (["generate", "--events", options.events, "--out", rows], ["run", rows, "--store", store, "--no-log", "--no-analyses"],
                  ["compact", "--by-user", "--store", store]):
        subprocess.run([options.binary, *map(str, words), "--quiet"], check=True, stdin=subprocess.DEVNULL)
    rows.unlink()
    return store


def measure(options, store):
    with Server(options.binary, store) as server:
        rows = server.json("/api/status")["rows"]
        parts = re.findall(r'data-part="(\w+)"', server.get("/").decode())
        changes = [change for change in clicks(server) if change[0] in (options.change or [change[0]])]
        viewers = list(itertools.islice(different(server), options.viewers))
    print(f"{rows:,} rows, {platform.machine()}, {os.cpu_count()} cores; milliseconds, medians of {options.rounds}\n")
    rounds = []
    for _ in range(options.rounds):
        with Server(options.binary, store) as server:
            rounds.append([server.visit(parts, pairs) for _, pairs in changes])
    print("| change | first chart | last chart |\n|---|---:|---:|")
    lasts = []
    for place, (name, _) in enumerate(changes):
        first, last = (statistics.median(pick(each[place].values()) for each in rounds) for pick in (min, max))
        lasts.append(last)
        print(f"| {name} | {first * 1000:.0f} | {last * 1000:.0f} |")
    print(f"| median | | {statistics.median(lasts) * 1000:.0f} |\n")
    if options.sections:
        sections(options, store, parts, changes)
    if viewers:
        crowd(options, store, parts, viewers)
    if options.check:
        check(options, store, changes)


def sections(options, store, parts, changes):
    """What each section takes when it is asked for after the ones before it, for each change."""
    shown = [change for change in changes if change[0] in ("everything", "a week", "a category", "a sub-category", "a brand")] or changes
    with Server(options.binary, store) as server:
        taken = [server.visit(parts, pairs, connections=1) for _, pairs in shown]
    print(f"| section, after those above it | {' | '.join(name for name, _ in shown)} |\n|---" + "|---:" * len(shown) + "|")
    before = [0.0] * len(shown)
    for part in parts:
        ends = [each[part] for each in taken]
        print(f"| {part} | {' | '.join(f'{(end - start) * 1000:.0f}' for start, end in zip(before, ends))} |")
        before = ends
    print()


def crowd(options, store, parts, viewers):
    """All viewers at once, each with its own connections."""
    with Server(options.binary, store) as server:
        took = [0.0] * len(viewers)

        def view(place):
            took[place] = max(server.visit(parts, viewers[place]).values())

        threads = [threading.Thread(target=view, args=(place,)) for place in range(len(viewers))]
        together(threads)
        resident, own = server.peak()
    took.sort()
    print(f"{len(viewers)} viewers at once: all charts after {statistics.median(took):.2f} s (median), {took[0]:.2f} s (first), "
          f"{took[-1]:.2f} s (last); peak memory of the server {resident:,.0f} MiB resident, maps of the store included, of it "
          f"{own:,.0f} MiB its own\n")


def check(options, store, changes):
    """The answers of the server beside those of the command, byte by byte."""
    compared = 0
    with Server(options.binary, store) as server:
        names = [analysis["name"] for analysis in server.json("/api/analyses")]
        for _, pairs in changes[::4]:
            words = [word for name, value in pairs for word in (f"--{name.replace('_', '-')}", value)]
            for name in names:
                command = [options.binary, "analyze", name, "--store", store, "--format", "csv", *words]
                told = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
                served = server.get(f"/api/analyses/{name}?{urlencode([*pairs, ('format', 'csv')])}")
                assert served == told, f"{name} differs for {pairs}"
                compared += 1
    print(f"{compared} answers equal those of `cartlog analyze`")


def clicks(server):
    """Changes of the filters as clicks make them, with what they choose taken from the store."""
    status = server.json("/api/status")
    last = date.fromisoformat(status["last_event"][:10])
    day, week = ([("from", str(last - timedelta(days=days))), ("to", str(last))] for days in (1, 7))
    product = [("product", server.rows("product_performance", limit_to=1)[0]["product_id"])]
    user = [("user", server.rows("top_interactions", limit_to=1)[0]["user_id"])]
    brand = [("brand", next(row["brand"] for row in server.rows("brand_performance") if row["brand"]))]
    codes = [row["category_code"] for row in server.rows("conversion_funnel") if row["category_code"]]
    leaf = next(code for code in codes if "." in code)
    node, below = [("category", leaf.split(".")[0])], [("category", leaf)]
    prices = [("min_price", "100"), ("max_price", "249.9999")]
    yield "everything", []
    yield "a day", day
    yield "a week", week
    yield "a month", [("from", str(last - timedelta(days=29))), ("to", str(last + timedelta(days=1)))]
    yield "views", [("event_type", "view")]
    yield "purchases", [("event_type", "purchase")]
    yield "a category", node
    yield "a sub-category", below
    yield "a brand", brand
    yield "a product", product
    yield "a price band", prices
    yield "a user", user
    yield "a week, a category", week + node
    yield "a week, a sub-category", week + below
    yield "a week, a sub-category, a brand", week + below + brand
    yield "a week, a sub-category, a brand, purchases", week + below + brand + [("event_type", "purchase")]
    yield "a sub-category, a price band", below + prices
    yield "a brand, purchases", brand + [("event_type", "purchase")]
    yield "a day, a category", day + node


def different(server):
    """Filters that differ from each other: each brand alone, in each category, on each day."""
    last = date.fromisoformat(server.json("/api/status")["last_event"][:10])
    days = [[("from", str(last - timedelta(days=back))), ("to", str(last - timedelta(days=back - 1)))] for back in range(7)]
    brands = [[("brand", row["brand"])] for row in server.rows("brand_performance", limit_to=50) if row["brand"]]
    codes = [row["category_code"] for row in server.rows("conversion_funnel") if row["category_code"]]
    categories = [[("category", code)] for code in codes]
    for several in itertools.zip_longest(brands, categories, days):
        yield from (pairs for pairs in several if pairs is not None)


class Server:
    """A `cartlog serve` of its own."""

    def __init__(self, binary, store):
        self.process = subprocess.Popen([binary, "serve", "--store", store, "--listen", "127.0.0.1:0", "--json"],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.host = json.loads(self.process.stdout.readline())["address"]
        self.own = 0.0

    def __enter__(self):
        threading.Thread(target=self.watch, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def watch(self):
        """Looks at the memory that is the server's alone, until it ends."""
        while self.process.poll() is None:
            self.own = max(self.own, self.status("RssAnon"))
            time.sleep(0.02)

    def peak(self):
        return self.status("VmHWM"), self.own

    def status(self, name):
        """A line of /proc/PID/status, in MiB; 0 when the process has gone."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return 0.0
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)

    def get(self, address, connection=None):
        connection = connection or http.client.HTTPConnection(self.host, timeout=600)
        connection.request("GET", address)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, f"{address}: {answer.status} {body[:200]}"
        return body

    def json(self, address):
        return json.loads(self.get(address))

    def rows(self, analysis, limit_to=None):
        text = self.get(f"/api/analyses/{analysis}?format=csv").decode()
        return list(itertools.islice(csv.DictReader(io.StringIO(text)), limit_to))

    def visit(self, parts, pairs, connections=CONNECTIONS):
        """Fetches the parts of the page for these filters; how many seconds after the change each was there."""
        waiting, arrived = queue.SimpleQueue(), {}
        for part in parts:
            width = [] if part == "figures" else [("width", WIDTH)]
            waiting.put((part, f"/parts/{part}?{urlencode([*pairs, *width])}"))
        start = time.monotonic()

        def fetch():
            connection = http.client.HTTPConnection(self.host, timeout=600)
            while True:
                try:
                    part, address = waiting.get_nowait()
                except queue.Empty:
                    return connection.close()
                self.get(address, connection)
                arrived[part] = time.monotonic() - start

        together([threading.Thread(target=fetch) for _ in range(connections)])
        assert len(arrived) == len(parts), f"parts are missing: {sorted(set(parts) - set(arrived))}"
        return arrived


def together(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
