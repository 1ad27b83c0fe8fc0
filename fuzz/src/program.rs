//! The target as a program, for a compiler that can't guide by coverage: `frames [PATH…]`.
//!
//! A path is a folder of whole requests, such as `CARTLOG_CORPUS` made the tests of frames write, or a file whose bytes are
//! judged once. `CARTLOG_SECONDS` (60) is how long it runs, `CARTLOG_SEED` repeats a run.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::feed;
use crate::numbers::Numbers;

/// What the process may hold beyond its size after the first inputs.
const MEMORY_BYTES: u64 = 256 << 20;

/// Judges the files among `paths`, or mutates what is in the folders among them.
pub fn run(paths: impl Iterator<Item = String>) -> ExitCode {
    let (mut seeds, mut files) = (Vec::new(), 0);
    for path in paths {
        if let Err(error) = read(Path::new(&path), &mut seeds, &mut files) {
            eprintln!("error: can't read {path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    if files > 0 {
        println!("{files} files judged");
        return ExitCode::SUCCESS;
    }
    if seeds.is_empty() {
        eprintln!(
            "error: no requests; make some: CARTLOG_CORPUS=fuzz/corpus/frames cargo test -p cartlog-storage --test frames"
        );
        return ExitCode::from(2);
    }
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let seed = setting("CARTLOG_SEED", u64::try_from(now_ms).unwrap_or_default());
    let wanted = Duration::from_secs(setting("CARTLOG_SECONDS", 60));
    println!("CARTLOG_SEED={seed}, {} requests to begin with", seeds.len());
    let mut numbers = Numbers(seed);
    let (began, mut inputs, mut bytes, mut at_start, mut most) = (Instant::now(), 0_u64, 0, 0, 0);
    while began.elapsed() < wanted {
        let input = numbers.input(&seeds);
        feed(&input);
        inputs += 1;
        bytes += input.len();
        if inputs.is_multiple_of(1000) {
            let held = memory();
            at_start = if at_start == 0 { held } else { at_start };
            most = most.max(held);
            assert!(held < at_start + MEMORY_BYTES, "{held} bytes of memory, {at_start} at the start; seed {seed}");
        }
    }
    let (at_start, most) = (at_start >> 10, most >> 10);
    println!("{inputs} inputs, {bytes} bytes; memory {at_start} KiB after the first and {most} KiB at most");
    ExitCode::SUCCESS
}

fn read(path: &Path, seeds: &mut Vec<Vec<u8>>, files: &mut u64) -> std::io::Result<()> {
    if path.is_file() {
        feed(&fs::read(path)?);
        *files += 1;
        return Ok(());
    }
    let mut paths = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    // The order of a folder is no part of the seed.
    paths.sort();
    for path in paths {
        seeds.push(fs::read(path)?);
    }
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The memory of this process that is not a file's, in bytes; 0 where there is no `/proc`.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() << 10
}
