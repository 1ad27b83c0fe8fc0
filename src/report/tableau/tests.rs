//! The checker: every name in a workbook leads to something.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, SchemaRef};

use super::xml::Element;
use super::*;
use crate::analysis;

/// Two rows of every type of column; the second's texts are missing where they may be.
fn rows(schema: &SchemaRef) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from(vec![2_103_807_459_595_387_724, 7])),
            DataType::Float64 => Arc::new(Float64Array::from(vec![0.5, 1e300])),
            DataType::Utf8 if field.is_nullable() => Arc::new(StringArray::from(vec![Some("<b>\"a\",é"), None])),
            DataType::Utf8 => Arc::new(StringArray::from(vec!["loyal", "recent"])),
            DataType::Date32 => Arc::new(Date32Array::from(vec![18_170, 18_231])),
            DataType::Decimal128(precision, scale) => Arc::new(
                Decimal128Array::from(vec![12_345_600, 100]).with_precision_and_scale(*precision, *scale).unwrap(),
            ),
            other => panic!("{other}"),
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

/// The tables of the workbook, of their analyses' schemas.
fn all_tables() -> Vec<Table> {
    let table = |name: &&str| {
        let analysis = analysis::of_table(name);
        let analysis = analysis.unwrap_or_else(|| panic!("no analysis writes {name}"));
        Table { name: (*name).to_owned(), rows: rows(&analysis.schema()) }
    };
    tables().iter().map(table).collect()
}

fn document(version: TableauVersion, tables: &[Table]) -> Element {
    let sources: Vec<DataSource<'_>> = tables.iter().map(DataSource::of).collect();
    Document { version, sources: &sources }.workbook().unwrap()
}

fn named<'a>(element: &'a Element, name: &str) -> Vec<&'a Element> {
    element.all().into_iter().filter(|found| found.name == name).collect()
}

fn attribute<'a>(element: &'a Element, name: &str) -> &'a str {
    element.attribute(name).unwrap_or_else(|| panic!("{element:?} has no {name}"))
}

/// Every `[source].[instance]` in a text.
fn references(text: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = text.split(['[', ']']).collect();
    let names: Vec<&str> = parts.iter().skip(1).step_by(2).copied().collect();
    names.chunks(2).map(|pair| (pair[0].to_owned(), format!("[{}]", pair[1]))).collect()
}

/// Checks a sheet or dashboard: what it refers to is declared in it, and declared rightly.
fn check_references(holder: &Element, sources: &BTreeMap<&str, BTreeSet<&str>>) {
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    for dependencies in named(holder, "datasource-dependencies") {
        let source = attribute(dependencies, "datasource");
        let columns: BTreeSet<&str> =
            named(dependencies, "column").iter().map(|column| attribute(column, "name")).collect();
        assert!(columns.is_subset(&sources[source]), "{source}: {columns:?}");
        for instance in named(dependencies, "column-instance") {
            assert!(columns.contains(attribute(instance, "column")), "{instance:?}");
            known.insert((source.to_owned(), attribute(instance, "name").to_owned()));
        }
        for calculation in named(dependencies, "calculation") {
            let formula = attribute(calculation, "formula");
            let column = formula.split_once(']').unwrap().0.split_once('[').unwrap().1;
            assert!(columns.contains(format!("[{column}]").as_str()), "{formula}");
        }
    }
    let links: BTreeSet<&str> = named(holder, "datasource").iter().map(|link| attribute(link, "name")).collect();
    let mut used = 0;
    let all = holder.all();
    let texts = all.iter().filter_map(|element| match element.name {
        "rows" | "cols" => element.text.clone(),
        "column" => element.text.clone(),
        "filter" | "computed-sort" | "color" | "size" | "text" | "lod" | "wedge-size" | "tooltip" => {
            Some(["column", "using"].iter().filter_map(|name| element.attribute(name)).collect())
        }
        "zone" => element.attribute("param").map(str::to_owned),
        _ => None,
    });
    for (source, instance) in texts.flat_map(|text| references(&text)) {
        assert!(links.contains(source.as_str()), "{source}");
        assert!(known.contains(&(source.clone(), instance.clone())), "{source} {instance}: {known:?}");
        used += 1;
    }
    assert!(used > 0 || holder.name == "dashboard", "{holder:?}");
}

#[test]
fn every_reference_leads_to_something() {
    let tables = all_tables();
    for version in [TableauVersion::V2018_1, TableauVersion::V2026_1] {
        let document = document(version, &tables);
        let child = |name: &str| document.children.iter().find(|child| child.name == name).unwrap();
        let sources: BTreeMap<&str, BTreeSet<&str>> = child("datasources")
            .children
            .iter()
            .map(|source| {
                let columns = source.children.iter().filter(|child| child.name == "column");
                (attribute(source, "name"), columns.map(|column| attribute(column, "name")).collect())
            })
            .collect();
        assert_eq!(sources.len(), tables.len());
        let names = |list: &str| -> BTreeSet<String> {
            let children = &child(list).children;
            let names: BTreeSet<String> = children.iter().map(|found| attribute(found, "name").to_owned()).collect();
            assert_eq!(names.len(), children.len(), "{list}");
            names
        };
        let (sheets, dashboards) = (names("worksheets"), names("dashboards"));
        assert_eq!((sheets.len(), dashboards.len()), (SHEETS.len(), sheets::DASHBOARDS.len()));
        for holder in child("worksheets").children.iter().chain(&child("dashboards").children) {
            check_references(holder, &sources);
        }
        for zone in named(child("dashboards"), "zone").iter().filter_map(|zone| zone.attribute("name")) {
            assert!(sheets.contains(zone), "{zone}");
        }
        for dashboard in &child("dashboards").children {
            let ids: Vec<&str> = named(dashboard, "zone").iter().map(|zone| attribute(zone, "id")).collect();
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
            for zone in named(dashboard, "zone") {
                let end = |at, size| {
                    attribute(zone, at).parse::<u32>().unwrap() + attribute(zone, size).parse::<u32>().unwrap()
                };
                assert!(end("x", "w") <= 100_000 && end("y", "h") <= 100_000, "{zone:?}");
            }
        }
        for window in &child("windows").children {
            let known = if attribute(window, "class") == "dashboard" { &dashboards } else { &sheets };
            assert!(known.contains(attribute(window, "name")), "{window:?}");
            assert!(named(window, "viewpoint").iter().all(|point| sheets.contains(attribute(point, "name"))));
        }
        assert_eq!(child("windows").children.len(), sheets.len() + dashboards.len());
        for action in &child("actions").children {
            let source = named(action, "source")[0];
            assert!(
                sheets.contains(attribute(source, "worksheet")) && dashboards.contains(attribute(source, "dashboard"))
            );
            for param in named(action, "param") {
                let value = attribute(param, "value");
                match attribute(param, "name") {
                    "exclude" => assert!(sheets.contains(value), "{value}"),
                    "target" => assert!(dashboards.contains(value), "{value}"),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn the_package_holds_the_files_that_the_document_declares() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.twbx");
    let tables = all_tables();
    let bytes = write_workbook(&tables, TableauVersion::default(), &path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes);
    let again = folder.path().join("again.twbx");
    write_workbook(&tables, TableauVersion::default(), &again).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap(), "the same data, the same bytes");

    let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
    let names: BTreeSet<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert_eq!(names.len(), tables.len() + 1);
    let mut text = String::new();
    archive.by_name(DOCUMENT).unwrap().read_to_string(&mut text).unwrap();
    assert!(!text.contains(":\\") && !text.contains("='/"), "no absolute path");
    let document = document(TableauVersion::default(), &tables);
    for source in named(&document, "datasource").iter().filter(|source| source.attribute("inline").is_some()) {
        let file = named(source, "connection")[1];
        let name = format!("{}/{}", attribute(file, "directory"), attribute(file, "filename"));
        let mut csv = String::new();
        archive.by_name(&name).unwrap().read_to_string(&mut csv).unwrap();
        let columns = named(source, "columns")[0];
        let declared: Vec<&str> = columns.children.iter().map(|column| attribute(column, "name")).collect();
        assert_eq!(csv.lines().next().unwrap(), declared.join(","), "{name}");
        for column in &columns.children {
            if attribute(column, "name").ends_with("_id") {
                assert_eq!(attribute(column, "datatype"), "string", "{column:?}");
            }
        }
    }
}

#[test]
fn a_table_that_is_not_there_is_named() {
    let mut tables = all_tables();
    tables.retain(|table| table.name != "hourly_activity");
    let error = write_workbook(&tables, TableauVersion::default(), Path::new("unused.twbx")).unwrap_err();
    assert!(error.to_string().contains("hourly_activity"), "{error}");
}
