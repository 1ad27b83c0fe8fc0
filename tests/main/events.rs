//! Files of events for tests.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The header line of the public files.
pub(crate) const HEADER: &str =
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n";

/// Lines of events, distinct by `seed` and number, without a header.
pub(crate) fn lines(seed: u64, rows: u64) -> String {
    let mut lines = String::new();
    for row in 0..rows {
        let number = seed * 1_000_003 + row;
        let (code, brand) = match number % 5 {
            0 => ("", ""),
            1 => ("electronics.smartphone", "samsung"),
            2 => ("", "nan"),
            3 => ("appliances.kitchen.washer", ""),
            _ => ("computers.notebook", "lenovo"),
        };
        let kind = if number.is_multiple_of(20) { "purchase" } else { "view" };
        writeln!(
            lines,
            "2019-10-{:02} {:02}:{:02}:{:02} UTC,{kind},{},{},{code},{brand},{}.{:02},{},{:08x}-0000-4000-8000-{:012x}",
            1 + row / 86_400 % 28,
            row / 3600 % 24,
            row / 60 % 60,
            row % 60,
            1_000_000 + number % 5000,
            2_053_013_555_631_882_655 + number % 700,
            number % 2574,
            number % 100,
            500_000_000 + number / 7,
            seed,
            number / 5,
        )
        .unwrap();
    }
    lines
}

/// Writes a file with a header and these lines.
pub(crate) fn file(directory: &Path, name: &str, lines: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, format!("{HEADER}{lines}")).unwrap();
    path
}

/// A path as a command line has it.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
