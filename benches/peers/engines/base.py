"""What an engine has to do: hold the rows in its best form, and answer."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
DEFINITIONS = ROOT / "src/analysis/sql"
COLUMNS = ["event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id",
           "user_session"]
TEXTS = ["event_type", "category_code", "brand"]
THREADS = 2


class Engine:
    """One engine over the rows of one CSV file, with `THREADS` threads.

    `folder` is its own place for what it keeps between runs. Ids of users and products are kept in 32 bits and prices
    in whole cents, the narrowest types that hold them: what a careful user of each engine would choose.
    """

    # Words of the definitions that this engine says otherwise: pattern, replacement. Each engine says why.
    REWRITES = []

    def __init__(self, file, folder):
        self.file, self.folder = file, folder

    def load(self):
        """Reads the CSV into the engine's own form in its folder; called once, before `open`."""
        raise NotImplementedError

    def open(self):
        """Makes the loaded rows ready for questions; returns the engine's version."""
        raise NotImplementedError

    def ways(self, name):
        """The ways to answer an analysis, as functions that return when the whole answer is in memory."""
        raise NotImplementedError

    def table(self, name):
        """The answer as an Arrow table, in the order of the definition."""
        raise NotImplementedError

    def sql(self, name):
        """The definition in this engine's dialect."""
        sql = re.sub(r"--[^\n]*", "", (DEFINITIONS / f"{name}.sql").read_text())
        for pattern, replacement in self.REWRITES:
            sql = re.sub(pattern, replacement, sql)
        return sql
