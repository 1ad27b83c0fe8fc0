"""The command `cartlog` and its store, as a user has them."""

import json
import os
import subprocess
from pathlib import Path

BINARY = Path(os.environ.get("CARTLOG_BINARY", Path(__file__).parent.parent.parent / "target/release/cartlog"))
FORMATS = ["csv", "json", "parquet", "orc", "arrow"]


def cartlog(*words, stdin=None, expect=0, timeout=600):
    """Runs the command and returns its standard output; `expect` is the exit code it must have."""
    done = subprocess.run(
        [BINARY, *map(str, words)], input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True, timeout=timeout, env=environment(),
    )
    assert done.returncode == expect, (
        f"cartlog {' '.join(map(str, words))} ended with {done.returncode}\n"
        f"{done.stdout.decode(errors='replace')[-2000:]}{done.stderr.decode(errors='replace')[-4000:]}"
    )
    return done.stdout


def refusal(*words, timeout=60):
    """Runs a command that must fail and returns what it says."""
    done = subprocess.run([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, env=environment())
    assert done.returncode == 1, done
    return done.stderr


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("CARTLOG_")}


def summary(*words, **options):
    """Runs the command with --json and returns its summary, whose rows must add up."""
    got = json.loads(cartlog(*words, "--json", **options))
    if "rows_stored" in got:
        assert got["rows_read"] == got["rows_stored"] + got["rows_rejected"] + got["rows_duplicate"], got
        assert got["seconds"]["total"] >= 0 and isinstance(got["files"], list), got
    return got


class Store:
    """A store and what loaded it."""

    def __init__(self, path, loaded=None):
        self.path, self.loaded = Path(path), loaded

    @classmethod
    def load(cls, path, *words, **options):
        path = Path(path)
        return cls(path, summary("run", *words, "--store", path, "--no-analyses", **options))

    def again(self, *words, **options):
        return Store.load(self.path, *words, **options)

    def counts(self):
        """Rows read, stored, rejected, duplicate: of the load."""
        return tuple(self.loaded[name] for name in ["rows_read", "rows_stored", "rows_rejected", "rows_duplicate"])

    def analyze(self, name, file_format, *words):
        return cartlog("analyze", name, "--format", file_format, "--store", self.path, *words)

    def export(self, path, *words):
        cartlog("export", "--out", path, "--store", self.path, *words)
        return path

    def rejects(self):
        """The rejected rows, in the order of their source and line."""
        text = cartlog("rejects", "--json", "--store", self.path).decode()
        try:
            rows = json.loads(text)
            rows = rows["rejects"] if isinstance(rows, dict) and "rejects" in rows else rows
        except json.JSONDecodeError:
            rows = [json.loads(line) for line in text.splitlines()]
        rows = [rows] if isinstance(rows, dict) else rows
        return sorted(rows, key=lambda row: (row["source"], row["line"]))


def analyses():
    return [analysis["name"] for analysis in json.loads(cartlog("analyze", "--list", "--json"))]
