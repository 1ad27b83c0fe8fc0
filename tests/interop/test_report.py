"""The page of `cartlog report --html`, as a reader of HTML sees it: the numbers are the analyses', and nothing is fetched."""

import csv
import io
from html.parser import HTMLParser

import pytest

from cartlog import Store, cartlog


class Page(HTMLParser):
    """The tables of a page by the heading before them, its pictures, and whatever refers to something else."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.pictures, self.references = {}, [], []
        self.path, self.heading = [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.references += [(tag, name) for name in ("src", "href", "action", "xlink:href") if name in attributes]
        if tag == "script":
            self.references.append((tag, ""))
        if tag == "svg":
            self.pictures.append(attributes["aria-label"])
        if tag == "tr":
            self.tables[self.heading].append([])
        if tag in ("td", "th"):
            self.tables[self.heading][-1].append("")
        self.path.append(tag)

    def handle_endtag(self, tag):
        while self.path and self.path.pop() != tag:
            pass

    def handle_data(self, data):
        if not self.path:
            return
        if self.path[-1] == "h2":
            self.heading = data
            self.tables[data] = []
        if self.path[-1] in ("td", "th"):
            self.tables[self.heading][-1][-1] += data


@pytest.fixture(scope="module")
def page(real_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "shop.html"
    cartlog("report", "--html", path, "--store", real_store.path)
    return Page(path.read_text(encoding="utf-8"))


def test_it_refers_to_nothing(page):
    assert page.references == []
    assert len(page.tables) == 16 and list(page.tables)[0] == "Key figures"
    # Each picture is there for a broad and for a narrow place.
    assert len(page.pictures) == 30 and page.pictures[::2] == page.pictures[1::2]


@pytest.mark.parametrize("heading, name", [
    ("Sales history by revenue", "sales_history"), ("Conversion of categories", "conversion_funnel"),
    ("Brands by revenue", "brand_performance"), ("Weekday and hour by purchases", "hourly_activity"),
    ("Data quality", "data_quality"), ("Price spread of categories", "price_sensitivity"),
])
def test_its_tables_are_the_analyses(page, real_store, heading, name):
    header, *rows = page.tables[heading]
    expected = list(csv.reader(io.StringIO(real_store.analyze(name, "csv").decode())))
    assert header == [column.replace("_", " ") for column in expected[0]]
    assert len(rows) == min(len(expected) - 1, 100)
    for got, wanted in zip(rows, expected[1:]):
        for shown, value in zip(got, wanted, strict=True):
            if value == "":
                assert shown == "(missing)"
            elif value.replace(".", "").replace("-", "").isdigit() and value.count("-") < 2:
                assert float(shown.replace(",", "")) == pytest.approx(float(value), abs=1e-4), (heading, got, wanted)
            else:
                assert shown == value


def test_a_choice_of_days_is_compared_with_the_days_before(tmp_path):
    path, rows = tmp_path / "week.html", tmp_path / "rows.csv"
    cartlog("generate", "--events", 40_000, "--events-per-day", 2000, "--seed", 4, "--out", rows)
    store = Store.load(tmp_path / "store", rows, "--no-log")
    words = ["--brand", "samsung", "--store", store.path]
    cartlog("report", "--html", path, "--from", "2019-10-08", "--to", "2019-10-15", *words)
    text = path.read_text(encoding="utf-8")
    assert " of 40,000 events: those from 2019-10-08 00:00:00 UTC, to before 2019-10-15 00:00:00 UTC, of brand samsung." in text
    assert "against 2019-10-01 00:00:00 UTC to 2019-10-08 00:00:00 UTC before" in text
    revenue = [
        float(list(csv.DictReader(io.StringIO(store.analyze(
            "key_figures", "csv", "--from", start, "--to", end, "--brand", "samsung").decode())))[0]["revenue"])
        for start, end in [("2019-10-01", "2019-10-08"), ("2019-10-08", "2019-10-15")]
    ]
    change = 100 * (revenue[1] / revenue[0] - 1)
    assert f">{'▲ +' if change > 0 else '▼ −'}{abs(change):.1f} %<" in text


def test_a_report_of_nothing_is_refused(real_store):
    cartlog("report", "--store", real_store.path, expect=2)
