"""The page of `cartlog report --html`, as a reader of HTML sees it: the numbers are the analyses', and nothing is fetched."""

import csv
import io
from html.parser import HTMLParser

import pytest

from cartlog import cartlog


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
    assert len(page.pictures) == 11 and page.pictures == list(page.tables)


@pytest.mark.parametrize("heading, name", [
    ("Revenue per day", "sales_history"), ("From view to purchase", "conversion_funnel"),
    ("Brands with the most revenue", "brand_performance"), ("Views by weekday and hour", "hourly_activity"),
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
                assert float(shown.replace(",", "")) == pytest.approx(float(value), abs=0.5), (heading, got, wanted)
            else:
                assert shown == value


def test_a_report_of_nothing_is_refused(real_store):
    cartlog("report", "--store", real_store.path, expect=2)
