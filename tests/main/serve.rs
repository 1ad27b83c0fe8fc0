//! The dashboard's server, spoken to over sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use cartlog::analysis::{Filter, Input, Parameters, registry};
use cartlog::export::{self, Stream, WriteOptions};
use cartlog::kafka::runtime;
use cartlog::pipeline::{Interrupt, LoadPlan, NoProgress, load, store_directory};
use cartlog::report::SECTIONS;
use cartlog::serve::{Answers, LogEnd, Server, prepare};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::store::Snapshot;
use tempfile::tempdir;

use crate::events::{file, text};

/// Rows whose brand is what a hostile shop may call itself.
fn rows(day: u32, count: u32) -> String {
    let row = |number: u32| {
        let kind = ["view", "cart", "purchase"][number as usize % 3];
        format!(
            "2019-10-{day:02} 10:00:{:02} UTC,{kind},{number},2053013555631882655,a.b,<script>&,{number}.50,{},63280b81-5a96-42b4-b014-{:012}\n",
            number % 60,
            number % 7,
            number % 9
        )
    };
    (0..count).map(row).collect()
}

fn fill(directory: &Path, name: &str, rows: &str) {
    let path = file(directory, name, rows);
    let plan = LoadPlan::new(vec![text(&path)], store_directory(directory), None);
    load(&plan, &NoProgress, &Interrupt::default()).unwrap();
}

/// The head and the body of the answer to a request, which ends its connection.
fn ask(address: SocketAddr, target: &str, headers: &[&str]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let named = headers.iter().any(|header| header.starts_with("Host:"));
    let host = if named { "" } else { "Host: localhost\r\n" };
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    // What is too long may be refused before it is sent to its end.
    let _ = write!(stream, "GET {target} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(answer.len(), |end| end + 4);
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end..].to_vec())
}

fn status(address: SocketAddr, target: &str, headers: &[&str]) -> String {
    ask(address, target, headers).0.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Runs a test against the server of a small store in a folder.
fn with_server(test: impl FnOnce(SocketAddr, &Path)) {
    let directory = tempdir().unwrap();
    fill(directory.path(), "a.csv", &(rows(1, 90) + &rows(2, 60) + &rows(3, 30)));
    let answers = Answers::open(Arc::new(OsDirectory::open(store_directory(directory.path())).unwrap())).unwrap();
    let runtime = runtime(2).unwrap();
    let server = runtime.block_on(Server::bind("127.0.0.1:0", Arc::new(answers))).unwrap();
    let address = server.address().unwrap();
    let running = runtime.spawn(server.run(std::future::pending()));
    test(address, directory.path());
    running.abort();
}

#[test]
fn a_store_in_another_ones_place_is_answered_from() {
    with_server(|address, directory| {
        let rows_of = || {
            let (_, body) = ask(address, "/api/status", &[]);
            let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let (_, csv) = ask(address, "/api/analyses/data_quality?format=csv", &[]);
            let csv = String::from_utf8(csv).unwrap();
            (status["rows"].as_u64().unwrap(), csv.lines().nth(1).unwrap().split(',').next().unwrap().to_owned())
        };
        assert_eq!(rows_of(), (180, "180".to_owned()));
        // Of fewer commits, and of as many.
        for more in [&[][..], &["b.csv"]] {
            std::fs::remove_dir_all(store_directory(directory)).unwrap();
            let mut expected = 7;
            fill(directory, "c.csv", &rows(4, 7));
            for name in more {
                fill(directory, name, &rows(5, 5));
                expected += 5;
            }
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert_eq!(rows_of(), (expected, expected.to_string()));
        }
    });
}

#[test]
fn the_first_page_is_answered_before_anybody_asks() {
    let directory = tempdir().unwrap();
    fill(directory.path(), "a.csv", &rows(1, 90));
    let answers = Answers::open(Arc::new(OsDirectory::open(store_directory(directory.path())).unwrap())).unwrap();
    let (answers, runtime) = (Arc::new(answers), runtime(2).unwrap());
    runtime.block_on(prepare(Arc::clone(&answers)));
    let prepared = answers.computed();
    assert!(prepared > 10, "{prepared}");
    let server = runtime.block_on(Server::bind("127.0.0.1:0", Arc::clone(&answers))).unwrap();
    let address = server.address().unwrap();
    let running = runtime.spawn(server.run(std::future::pending()));
    for name in SECTIONS.iter().map(|section| section.name).chain(["figures"]) {
        assert_eq!(status(address, &format!("/parts/{name}"), &[]), "200", "{name}");
    }
    assert_eq!(answers.computed(), prepared);
    assert_eq!(status(address, "/parts/history?event_type=view", &[]), "200");
    assert_eq!(answers.computed(), prepared + 1);
    running.abort();
}

#[test]
fn every_analysis_is_answered_as_the_command_line_does() {
    with_server(|address, directory| {
        let snapshot = Snapshot::open(Arc::new(OsDirectory::open(store_directory(directory)).unwrap())).unwrap();
        let mut some = Filter { brands: vec!["<script>&".to_owned()], ..Filter::default() };
        some.set_from("2019-10-02").unwrap();
        for (filter, query) in [(Filter::default(), ""), (some, "?brand=%3Cscript%3E%26&from=2019-10-02")] {
            let input = Input::of(&snapshot, &filter).unwrap();
            for analysis in registry() {
                let table = analysis.answer(&input, &Parameters::default()).unwrap();
                for (format, accept) in
                    [("csv", "text/csv"), ("json", "*/*"), ("arrow", "application/vnd.apache.arrow.file, */*")]
                {
                    let mut expected = Vec::new();
                    let sink = Box::new(Stream(&mut expected));
                    export::write_table(&table, export::format(format).unwrap(), sink, WriteOptions::default())
                        .unwrap();
                    let target = format!("/api/analyses/{}{query}", analysis.name());
                    let (head, body) = ask(address, &target, &[&format!("Accept: {accept}")]);
                    assert!(head.starts_with("HTTP/1.1 200"), "{target}: {head}");
                    assert_eq!(body, expected, "{target} {format}");
                }
                let accept = "Accept: application/vnd.apache.arrow.stream, */*";
                let (head, body) = ask(address, &format!("/api/analyses/{}{query}", analysis.name()), &[accept]);
                assert!(head.contains("content-type: application/vnd.apache.arrow.stream"), "{head}");
                let read: Vec<_> = StreamReader::try_new(&body[..], None).unwrap().map(Result::unwrap).collect();
                assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), table.rows.num_rows());
            }
        }
    });
}

#[test]
fn every_section_is_drawn_and_its_links_lead_to_the_page() {
    with_server(|address, _| {
        for section in &SECTIONS {
            let (head, body) = ask(address, &format!("/parts/{}?brand=%3Cscript%3E%26", section.name), &[]);
            let body = String::from_utf8(body).unwrap();
            assert!(head.starts_with("HTTP/1.1 200") && body.contains("<svg"), "{head}");
            assert!(!body.contains("<script") && body.contains("format=csv"), "{body}");
        }
        let part = |target: &str| String::from_utf8(ask(address, &format!("/parts/{target}"), &[]).1).unwrap();
        let brands = part("brands?from=2019-10-01&measure=views");
        assert!(brands.contains("href=\"/?from=2019-10-01&amp;measure=views&amp;brand=%3Cscript%3E%26\""), "{brands}");
        assert!(brands.contains("href=\"/api/analyses/brand_performance?from=2019-10-01&amp;format=csv\""), "{brands}");
        let chosen = part("brands?brand=%3Cscript%3E%26&width=333");
        assert!(chosen.contains("viewBox=\"0 0 333 ") && chosen.contains("<a href=\"/\" class=\"chosen\""), "{chosen}");
        assert!(part("categories?category=a").contains("data-label=\"a.b\""));
        let figures = |query: &str| String::from_utf8(ask(address, &format!("/parts/figures{query}"), &[]).1).unwrap();
        assert!(!figures("").contains("class=\"change"));
        let changed = figures("?from=2019-10-02&to=2019-10-03");
        assert!(
            changed.contains("class=\"change bad\">▼ −") && changed.contains("2019-10-01 00:00:00 UTC to"),
            "{changed}"
        );
    });
}

#[test]
fn what_is_not_understood_is_told_and_harmless() {
    with_server(|address, _| {
        for (target, expected, told) in [
            ("/api/analyses/top_shops", "404", "top_categories"),
            ("/api/analyses/top_categories?colour=red", "400", "colour"),
            ("/api/analyses/top_categories?from=never", "400", "never"),
            ("/api/analyses/top_categories?format=xlsx", "400", "json, csv or arrow"),
            ("/parts/shops", "404", "/parts/shops"),
            ("/parts/brands?limit=5", "400", "limit"),
            ("/parts/categories?bands=0,1", "400", "bands"),
            ("/parts/brands?width=99999999999999999999", "400", "from 200 to 2000"),
            ("/parts/brands?width=NaN", "400", "from 200 to 2000"),
            ("/parts/history?measure=%3Cscript%3E", "400", "revenue, purchases or views"),
            ("/api/analyses/top_categories?measure=views", "400", "measure"),
            ("/api/analyses/top_categories?product=1;drop", "400", "product"),
            ("/nothing", "404", "/nothing"),
            ("/api/analyses/top_categories?brand=%FF", "400", r"brand: got `\xff`, expected UTF-8"),
            ("/parts/brands?brand=%C3", "400", "expected UTF-8"),
            ("/api/analyses/top_categories?format=csv&format=json", "400", "format is given more than once"),
            ("/parts/brands?width=300&width=400", "400", "width is given more than once"),
            ("/parts/brands?measure=views&measure=views", "400", "measure is given more than once"),
            (&format!("/api/status?{}", "x".repeat(20_000)), "431", "at most 16384 are taken"),
        ] {
            let (head, body) = ask(address, target, &[]);
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {expected}")), "{target}: {head}");
            assert!(body["error"].as_str().unwrap().contains(told), "{target}: {body}");
        }
        assert_eq!(status(address, "/", &["Host: shop.example"]), "421");
        assert_eq!(status(address, "/api/status", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"]), "403");
        assert_eq!(status(address, "/", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]), "200");
        let got = status(address, &format!("/?brand={}", "x".repeat(100_000)), &[]);
        assert!(got.is_empty() || got.starts_with('4'), "{got}");
        assert_eq!(status(address, &format!("/api/analyses/top_categories?{}", "brand=b&".repeat(400)), &[]), "400");
        let (head, body) = ask(address, "/?brand=%22%3E%3Cscript%3E", &[]);
        assert!(head.to_lowercase().contains("content-security-policy: default-src 'none'"), "{head}");
        assert_eq!(body, ask(address, "/", &[]).1, "the page holds nothing of its address");
    });
}

#[test]
fn what_a_load_commits_is_seen_without_a_new_start() {
    with_server(|address, directory| {
        let rows_now = || {
            let status: serde_json::Value = serde_json::from_slice(&ask(address, "/api/status", &[]).1).unwrap();
            status["rows"].as_u64().unwrap()
        };
        assert_eq!(rows_now(), 180);
        let days = || {
            ask(address, "/api/analyses/sales_history", &["Accept: text/csv"]).1.split(|&byte| byte == b'\n').count()
        };
        let before = days();
        fill(directory, "b.csv", &rows(9, 40));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(rows_now(), 220);
        assert_eq!(days(), before + 1);
    });
}

#[test]
fn only_loopback_is_listened_on() {
    let directory = tempdir().unwrap();
    fill(directory.path(), "a.csv", &rows(1, 3));
    let answers = Answers::open(Arc::new(OsDirectory::open(store_directory(directory.path())).unwrap())).unwrap();
    let runtime = runtime(1).unwrap();
    let told = runtime.block_on(Server::bind("0.0.0.0:0", Arc::new(answers))).unwrap_err().to_string();
    assert!(told.contains("loopback") && told.contains("ssh -L"), "{told}");
}

#[test]
fn how_far_the_store_is_behind_its_topic_is_told() {
    let directory = tempdir().unwrap();
    fill(directory.path(), "a.csv", &rows(1, 9));
    let store = OsDirectory::open(store_directory(directory.path())).unwrap();
    let answers = Arc::new(Answers::open(Arc::new(store)).unwrap());
    let snapshot = runtime(1).unwrap().block_on(answers.snapshot()).unwrap();
    assert_eq!(answers.behind(&snapshot), None);
    answers.log_ends(Some(vec![LogEnd { topic: "events".to_owned(), partition: 0, earliest: 3, latest: 10 }]));
    assert_eq!(answers.behind(&snapshot), Some(7));
    answers.log_ends(None);
    assert_eq!(answers.behind(&snapshot), None);
}
