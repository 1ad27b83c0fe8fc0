"""The dashboard as people use it: every picture has the numbers of the analyses, every way to choose works, for everybody."""

import collections
import csv
import io
import json
import math
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from browser import Visit, chromium, served
from cartlog import Store, cartlog

AXE = Path(__file__).parent / ".work/node/node_modules/axe-core/axe.min.js"
MEASURES = ["revenue", "purchases", "views"]
# The section, the analysis whose answer it draws, and how that is asked for.
SECTIONS = {
    "history": ("sales_history", []), "funnel": ("key_figures", []),
    "categories": ("price_bands", ["--set", "bands=0"]), "brands": ("brand_performance", []),
    "products": ("product_performance", []), "week": ("hourly_activity", []), "segments": ("customer_segments", []),
    "prices": ("price_bands", []), "price_bands": ("price_bands", []), "price_spread": ("price_sensitivity", []),
    "conversion": ("conversion_funnel", []), "engaged": ("most_engaged_users", []),
    "interactions": ("top_interactions", []), "cohorts": ("cohort_retention", []), "quality": ("data_quality", []),
}
# Texts of a picture that are cut off by its edge, or stand on one another, as the browser lays them out.
COLLISIONS = """() => [...document.querySelectorAll("section svg")].flatMap((svg) => {
  const edge = svg.getBoundingClientRect(), name = svg.closest("section").id;
  const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
  const cut = texts.filter(([, box]) => box.left < edge.left - 1 || box.right > edge.right + 1).map(([text]) => [name, text]);
  const met = texts.flatMap(([text, box], place) => texts.slice(place + 1).filter(([, other]) =>
    Math.min(box.right, other.right) - Math.max(box.left, other.left) > 0.5 &&
    Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 2).map(([other]) => [name, text, other]));
  return [...cut, ...met];
})"""
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def month_rows(tmp_path_factory):
    """Rows of a month of a small shop: 40,000 of them."""
    path = tmp_path_factory.mktemp("rows") / "month.csv"
    size = ["--users", 700, "--products", 400, "--events-per-day", 1333]
    cartlog("generate", "--events", 40_000, "--seed", 5, *size, "--out", path)
    return path


@pytest.fixture(scope="module")
def month_store(month_rows, tmp_path_factory):
    return Store.load(tmp_path_factory.mktemp("month") / "store", month_rows, "--no-log")


@pytest.fixture(scope="module")
def address(month_store):
    with served(month_store.path) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    opened = Visit(browser, address)
    yield opened
    opened.close()


def rows(store, name, *words):
    """An analysis as dictionaries: numbers as numbers, what is missing as None."""
    def value(text):
        if text == "":
            return None
        try:
            return float(text)
        except ValueError:
            return text
    table = csv.DictReader(io.StringIO(store.analyze(name, "csv", *words).decode()))
    ids = {"user_id", "product_id", "brand", "category_code"}
    return [{key: (text or None) if key in ids else value(text) for key, text in row.items()} for row in table]


def named(text):
    return "(missing)" if text is None else text


def leaders(table, key, measure, count=10):
    return sorted(([named(row[key]), row[measure]] for row in table), key=lambda row: -row[1])[:count]


def node(code, chosen):
    """The node of the category tree that a code is shown as: the top, or one level below the chosen node."""
    if code is None:
        return "(no category)"
    if chosen and not code.startswith(f"{chosen}."):
        return code
    return ".".join(code.split(".")[:len(chosen.split(".")) + 1 if chosen else 1])


def expected(section, measure, table, chosen=""):
    """What a section's picture has to show of an analysis."""
    if section == "history":
        return [[row["day"], row[measure]] for row in table]
    if section == "funnel":
        names = {"Sessions": "sessions", "viewed": "viewed_sessions", "put into the cart": "carted_sessions", "ordered": "orders"}
        return [[label, table[0][name]] for label, name in names.items()]
    if section == "categories":
        nodes = collections.Counter()
        for row in table:
            nodes[node(row["category_code"], chosen)] += row[measure]
        return sorted(map(list, nodes.items()), key=lambda row: -row[1])[:10]
    if section in ("brands", "products"):
        return leaders(table, "brand" if section == "brands" else "product_id", measure)
    if section == "week":
        measure = "views" if measure == "views" else "purchases"
        return [[f"{DAYS[int(row['weekday']) - 1]} {int(row['hour'])}", row[measure]] for row in table]
    if section == "segments":
        return [[row["segment"].replace("_", " "), row["revenue"]] for row in table]
    if section == "prices":
        bands = collections.Counter()
        for row in table:
            bands[row["band_from"]] += row[measure]
        return [[f"{int(start):,}", value] for start, value in sorted(bands.items())]
    if section == "price_bands":
        users = collections.Counter()
        for row in table:
            users[named(row["category_code"])] += row["users"]
        top = sorted(users, key=lambda name: (-users[name], name))[:10]
        return [[f"{name} {int(row['band_from']):,}+", row["users"]] for name in top for row in table if named(row["category_code"]) == name]
    if section == "price_spread":
        top = sorted(table, key=lambda row: -row["interaction_count"])[:10]
        return [[named(row["category_code"]), row["median_price"]] for row in top]
    if section == "conversion":
        share = lambda row: row["purchased"] / row["viewed"] if row["viewed"] else 0
        return [[named(row["category_code"]), share(row)] for row in table[:10]]
    if section == "engaged":
        return [[" · ".join([row["user_id"], named(row["category_code"]), named(row["brand"])]), row["max_count"]] for row in table[:10]]
    if section == "interactions":
        return [[f"{row['user_id']} · {named(row['category_code'])}", row["count"]] for row in table]
    if section == "cohorts":
        sizes = {row["cohort"]: row["buyers"] for row in table if row["weeks_later"] == 0}
        shown = list(sizes)[-12:]
        return [
            [row["cohort"], int(row["weeks_later"]), row["buyers"] / sizes[row["cohort"]]]
            for row in table if row["cohort"] in shown and 0 < row["weeks_later"] <= 12
        ]
    if section == "quality":
        names = ["missing_category", "missing_brand", "missing_session", "zero_price", "negative_price", "other_type"]
        return [table[0][name] / table[0]["events"] for name in names]
    raise AssertionError(section)


def same(got, wanted, about):
    assert len(got) == len(wanted), (about, got, wanted)
    for one, other in zip(got, wanted):
        assert one[:-1] == other[:-1] and math.isclose(one[-1], other[-1], rel_tol=1e-9, abs_tol=1e-9), (about, one, other)


def check(visit, store, section, measure, words=(), chosen=""):
    name, parameters = SECTIONS[section]
    table, got = rows(store, name, *parameters, *words), visit.marks(section)
    wanted = expected(section, measure, table, chosen)
    if section == "cohorts":
        got = [[label.split(" ")[0], int(label.split("+")[1]), value] for label, value in got]
    if section == "quality":
        got, wanted = [[value] for _, value in got[:6]], [[value] for value in wanted]
    if section in ("categories", "brands", "products", "price_spread"):
        # Equals may come in any order: their values can't.
        same([[value] for _, value in got], [[value] for _, value in wanted], (section, measure))
        assert collections.Counter(label for label, value in got if value > wanted[-1][1]) == collections.Counter(
            label for label, value in wanted if value > wanted[-1][1]), (section, got, wanted)
    else:
        same(got, wanted, (section, measure))


def check_figures(visit, store, *words):
    [table] = rows(store, "key_figures", *words)
    names = {"Revenue": "revenue", "Orders": "orders", "Average order value": "average_order_value", "Buyers": "buyers",
             "Conversion": "conversion", "Abandonment": "abandonment", "Users": "users", "Sessions": "sessions"}
    got = visit.figures()
    assert set(got) == set(names)
    for label, name in names.items():
        assert math.isclose(got[label], table[name] or 0, rel_tol=1e-9), (label, got, table)


@pytest.mark.parametrize("measure", MEASURES)
def test_every_picture_has_the_analyses_numbers(visit, month_store, measure):
    visit.open("" if measure == "revenue" else f"?measure={measure}")
    check_figures(visit, month_store)
    for section in SECTIONS:
        check(visit, month_store, section, measure)


def test_everything_follows_a_filter(visit, month_store):
    visit.open("?category=electronics&from=2019-10-03&to=2019-10-20&min_price=20&max_price=800.5&missing=drop")
    words = ["--category", "electronics", "--from", "2019-10-03", "--to", "2019-10-20", "--min-price", "20",
             "--max-price", "800.5", "--missing", "drop"]
    check_figures(visit, month_store, *words)
    for section in SECTIONS:
        check(visit, month_store, section, "revenue", words, "electronics")


def test_a_click_chooses_and_another_one_takes_it_back(visit, month_store):
    visit.open("?measure=views")
    for section, name in [("brands", "brand"), ("products", "product")]:
        label = next(label for label, _ in visit.marks(section) if label != "(missing)")
        visit.click(section, label)
        assert visit.query() == sorted([(name, label), ("measure", "views")])
        check_figures(visit, month_store, f"--{name}", label)
        assert visit.page.locator(f"#{section} svg a.chosen").get_attribute("data-label") == label
        visit.click(section, label)
        assert visit.query() == [("measure", "views")]
    # Down the tree of categories, and back by the chips.
    top = next(label for label, _ in visit.marks("categories") if label.startswith("electronics"))
    visit.click("categories", top)
    below = next(label for label, _ in visit.marks("categories") if label.startswith(f"{top}."))
    visit.click("categories", below)
    assert visit.query() == sorted([("category", below), ("measure", "views")])
    check_figures(visit, month_store, "--category", below)
    visit.page.get_by_role("link", name=f"{top} ›").click()
    visit.settled()
    assert visit.query() == sorted([("category", top), ("measure", "views")])
    visit.page.get_by_role("link", name=f"Remove category {top}").click()
    visit.settled()
    assert visit.query() == [("measure", "views")]
    # A column of prices, a user.
    visit.click("prices", "25")
    assert visit.query() == [("max_price", "49.9999"), ("measure", "views"), ("min_price", "25")]
    check_figures(visit, month_store, "--min-price", "25", "--max-price", "49.9999")
    visit.page.go_back()
    visit.settled()
    check_figures(visit, month_store)
    user = visit.marks("engaged")[0][0]
    visit.click("engaged", user)
    check_figures(visit, month_store, "--user", user.split(" ")[0])


def test_days_are_chosen_by_brush_and_by_keyboard(visit, month_store):
    visit.open()
    days = [day for day, _ in visit.marks("history")]
    assert len(days) > 6

    def middle(day):
        box = visit.page.locator(f"#history svg [data-label='{day}'] .hit").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    visit.page.mouse.move(*middle(days[1]))
    visit.page.mouse.down()
    visit.page.mouse.move(*middle(days[2]))
    visit.page.mouse.move(*middle(days[3]))
    assert visit.page.locator("#history .brush").count() == 1
    visit.page.mouse.up()
    visit.page.wait_for_url("**/?from=*")
    visit.settled()
    assert visit.query() == [("from", days[1]), ("to", days[4])]
    check_figures(visit, month_store, "--from", days[1], "--to", days[4])
    assert "%" in visit.page.locator("#figures .change").first.text_content()
    assert [day for day, _ in visit.marks("history")] == days[1:4]
    visit.page.go_back()
    visit.settled()
    assert visit.query() == []
    # The same by keyboard: the last three days.
    visit.page.locator("#history svg").focus()
    for key in ["End", "Shift+ArrowLeft", "Shift+ArrowLeft", "Enter"]:
        visit.page.keyboard.press(key)
    visit.page.wait_for_url("**/?from=*")
    visit.settled()
    assert [day for day, _ in visit.marks("history")] == days[-3:]
    check_figures(visit, month_store, "--from", days[-3])


def test_filters_are_typed_and_stand_in_the_address(visit, month_store):
    visit.open()
    visit.page.get_by_label("Brand", exact=True).fill("samsung, apple")
    visit.page.locator("select[name=event_type]").select_option("purchase")
    visit.page.keyboard.press("Tab")
    visit.page.wait_for_url("**/?*event_type=purchase*")
    visit.settled()
    assert visit.query() == [("brand", "apple"), ("brand", "samsung"), ("event_type", "purchase")]
    check_figures(visit, month_store, "--brand", "apple,samsung", "--event-type", "purchase")
    visit.page.locator("#filters").get_by_text("views", exact=True).click()
    visit.page.wait_for_url("**/?*measure=views*")
    visit.settled()
    # A bookmark shows the same.
    again = Visit(visit.context.browser, visit.address).open(visit.page.url.removeprefix(f"{visit.address}/"))
    assert again.figures() == visit.figures()
    assert again.page.get_by_label("Brand", exact=True).input_value() == "samsung, apple"
    assert again.page.locator("select[name=event_type]").input_value() == "purchase"
    again.close()
    # What isn't understood is told, and what was there stays.
    visit.page.get_by_label("Price from").fill("cheap")
    visit.page.keyboard.press("Enter")
    problem = visit.page.get_by_role("alert")
    problem.wait_for()
    assert "cheap" in problem.text_content()
    assert any("400" in text for text in visit.wrong)
    visit.wrong.clear()


def test_a_field_changes_nothing_but_itself(visit):
    asked = [("brand", "a,b"), ("brand", " samsung"), ("event_type", "view"), ("event_type", "cart"),
             ("from", "2019-10-02T05:30:00Z"), ("missing", "drop")]
    visit.open("?" + urlencode(asked))
    visit.page.locator("#filters").get_by_text("views", exact=True).click()
    visit.page.wait_for_url("**/?*measure=views*")
    visit.settled()
    assert visit.query() == sorted([*asked, ("measure", "views")])
    brand = visit.page.get_by_label("Brand", exact=True)
    assert brand.input_value() == '"a,b", " samsung"'
    brand.fill('"a,b", apple')
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/?*apple*")
    visit.settled()
    assert visit.query() == sorted([*asked[:1], ("brand", "apple"), *asked[2:], ("measure", "views")])
    # A day that is typed is asked for once it is whole.
    before = visit.page.evaluate("history.length")
    visit.page.get_by_label("Up to before").press_sequentially("10202019", delay=50)
    visit.page.wait_for_url("**/?*to=2019-10-20*")
    assert visit.page.evaluate("history.length") == before + 1


def test_a_page_finds_its_way_back(browser, month_store):
    with served(month_store.path) as address:
        visit = Visit(browser, address).open()
        shown = visit.figures()
    visit.page.get_by_text("The server doesn't answer.").wait_for()
    visit.page.get_by_label("Brand", exact=True).fill("samsung")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("alert").wait_for()
    with served(month_store.path, listen=address.removeprefix("http://")):
        visit.page.wait_for_function("() => document.getElementById('problem').hidden")
        visit.settled()
        assert visit.figures() != shown
        visit.wrong.clear()
    visit.close()


def test_tables_and_files_are_the_apis(visit, month_store):
    visit.open("?brand=samsung")
    for section, (name, parameters) in SECTIONS.items():
        expected = month_store.analyze(name, "csv", *parameters, "--brand", "samsung")
        file = visit.page.locator(f"#{section} .file")
        with visit.page.expect_download() as download:
            file.click()
        assert Path(download.value.path()).read_bytes() == expected, section
        visit.page.locator(f"#{section} summary").click()
        shown = visit.page.eval_on_selector_all(
            f"#{section} tr", "(rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))")
        header, *table = csv.reader(io.StringIO(expected.decode()))
        assert shown[0] == [column.replace("_", " ") for column in header]
        assert len(shown) - 1 == min(len(table), 100)
        for got, wanted in zip(shown[1:], table):
            for cell, value in zip(got, wanted, strict=True):
                if value == "":
                    assert cell == "(missing)"
                elif cell != value:
                    assert float(cell.replace(",", "")) == pytest.approx(float(value), abs=1e-4), (section, got, wanted)


@pytest.mark.parametrize("scheme, width", [("light", 1400), ("dark", 1400), ("light", 390), ("dark", 390)])
def test_everybody_can_read_it(browser, address, scheme, width):
    visit = Visit(browser, address, width=width, height=900, color_scheme=scheme).open("?from=2019-10-05&to=2019-10-12")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    for picture in visit.page.locator("main svg").all():
        box = picture.bounding_box()
        drawn = float(picture.get_attribute("width"))
        assert abs(box["width"] - drawn) < 24, "a picture is drawn for the room that it has, so that its text is read"
    visit.page.locator("#brands summary").click()
    # Playwright evaluates beside the page's policy, which would refuse a script from elsewhere.
    visit.page.evaluate(AXE.read_text())
    found = visit.page.evaluate("axe.run()")
    serious = [
        (violation["id"], [node["html"][:200] for node in violation["nodes"][:3]])
        for violation in found["violations"] if violation["impact"] in ("serious", "critical")
    ]
    assert serious == [] and len(found["passes"]) > 20
    visit.close()


@pytest.mark.parametrize("width", [360, 820, 1400])
def test_no_label_runs_into_another(browser, address, width):
    visit = Visit(browser, address, width=width).open()
    assert visit.page.evaluate(COLLISIONS) == []
    visit.close()


def test_the_keyboard_reaches_everything(visit):
    visit.open()
    reached = set()
    for _ in range(160):
        visit.page.keyboard.press("Tab")
        reached.add(visit.page.evaluate(
            "() => { const at = document.activeElement; const part = at.closest('[data-part]'); "
            "return `${part ? part.dataset.part : at.closest('form, nav')?.id ?? ''} ${at.localName}`; }"))
    for place in ["filters input", "filters select", "history svg", "history summary", "brands a", "categories a",
                  "products a", "prices a", "engaged a", "quality summary"]:
        assert place in reached, (place, reached)
    visit.page.locator("#brands svg a").nth(1).focus()
    label = visit.page.evaluate("document.activeElement.dataset.label")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/?brand=*")
    visit.settled()
    assert visit.page.evaluate("document.activeElement.dataset.label") == label, "the keyboard stays where it was"


def test_what_is_loaded_shows_without_a_reload(browser, month_rows, tmp_path):
    lines = Path(month_rows).read_text().splitlines(keepends=True)
    files = [tmp_path / f"{number}.csv" for number in range(2)]
    files[0].write_text("".join(lines[:20_000]) + "no event\n")
    files[1].write_text(lines[0] + "".join(lines[20_000:]))
    store = Store.load(tmp_path / "store", files[0], "--no-log")
    with served(store.path) as address:
        visit = Visit(browser, address).open()
        visit.page.evaluate("window.stays = true")
        status = visit.page.locator("#status")
        status.get_by_text("1 rejected").wait_for()
        store.again(files[1], "--no-log")
        visit.page.wait_for_function("() => document.getElementById('status').textContent.includes('40,000 events')")
        assert "live" in status.text_content() and "more a second" in status.text_content()
        wanted = rows(store, "key_figures")[0]["revenue"]
        visit.page.wait_for_function(
            "(wanted) => Math.abs(Number(document.querySelector('#figures .value').dataset.value) - wanted) < 0.01", arg=wanted)
        visit.settled()
        check(visit, store, "history", "revenue")
        assert visit.page.evaluate("window.stays"), "the page was loaded again"
        assert visit.marks("quality")[6][1] == pytest.approx(1 / 40_001)
        visit.close()


def test_names_are_shown_and_never_run(browser, tmp_path):
    brand = "<img src=x onerror=alert(1)>\"'&"
    row = "2019-10-01 10:00:0{} UTC,purchase,{},2053013555631882655,<b>.</b>,\"{}\",1.50,7,63280b81-5a96-42b4-b014-00000000000{}\n"
    path = tmp_path / "hostile.csv"
    path.write_text("".join(row.format(n, n, brand.replace('"', '""'), n) for n in range(5)))
    store = Store.load(tmp_path / "store", path, "--no-log")
    with served(store.path) as address:
        visit = Visit(browser, address).open()
        visit.page.on("dialog", lambda dialog: visit.wrong.append(dialog.message))
        assert visit.marks("brands") == [[brand, 7.5]]
        visit.click("brands", brand)
        assert visit.query() == [("brand", brand)]
        assert visit.page.locator("#chosen a").first.text_content() == f"brand: {brand} ×"
        assert visit.page.locator("img").count() == 0
        visit.close()


def test_the_api_says_what_can_be_chosen(address, month_store):
    with urlopen(f"{address}/api/values") as answer:
        values = json.load(answer)
    [counts] = [rows(month_store, "brand_performance")]
    assert values["brand"] == sorted((row["brand"] for row in counts if row["brand"]), key=str.encode)
    assert "electronics" in values["category"] and set(values["event_type"]) >= {"view", "cart", "purchase"}
    with urlopen(f"{address}/api/status") as answer:
        status = json.load(answer)
    assert status["rows"] == 40_000 and status["first_event"] < status["last_event"] and status["records_behind"] is None


@pytest.mark.parametrize("section", SECTIONS)
def test_a_picture_is_a_file(month_store, tmp_path, section):
    path = tmp_path / f"{section}.svg"
    cartlog("report", "--chart", section, "--out", path, "--width", 600, "--store", month_store.path)
    text = path.read_text()
    assert text.startswith("<svg xmlns=") and 'width="600"' in text and "var(" not in text


def test_a_picture_for_a_document(browser, month_store, tmp_path):
    words = ["--measure", "views", "--category", "electronics", "--store", month_store.path]
    for name in ["a.svg", "a.png"]:
        cartlog("report", "--chart", "brands", "--out", tmp_path / name, *words)
    page = browser.new_page()
    page.goto(f"file://{tmp_path}/a.svg")
    marks = page.eval_on_selector_all("[data-label]", "(marks) => marks.map((mark) => [mark.dataset.label, Number(mark.dataset.value)])")
    table = rows(month_store, "brand_performance", "--category", "electronics")
    assert [value for _, value in marks] == [value for _, value in leaders(table, "brand", "views")]
    size = [page.evaluate(f"document.documentElement.getAttribute('{side}')") for side in ("width", "height")]
    page.close()
    png = (tmp_path / "a.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(png[at:at + 4]) for at in (16, 20)] == [2 * int(side) for side in size]
    told = cartlog("report", "--chart", "shops", "--out", tmp_path / "a.svg", "--store", month_store.path, expect=2)
    assert told == b""
