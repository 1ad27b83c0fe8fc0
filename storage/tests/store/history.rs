//! Seeded histories of everything a commit can hold, cut off at every operation and at random ones, again and again.
//!
//! A history is a log of a few partitions: records with blocks of lines of a few sources, some of them again, cut
//! elsewhere or beside each other, and records of nobody known. The loader goes on as the pipeline does after a crash:
//! from the position of each partition, in whatever order the partitions come, and what it may store is what it can
//! claim. However often it was cut off, the end holds what an undisturbed load holds.
//!
//! `CARTLOG_SEED` repeats a history, `CARTLOG_CRASH_POINTS` asks for more points than the usual ones.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{
    Batch, ColumnValues, Delivery, IdentifierException, IdentifierValues, LogPosition, Reject, Snapshot, SourceRange,
    StoreError, StoreWriter, verify,
};

use crate::support::{self, Content};

const TOPIC: &str = "events";
const PARTITIONS: usize = 3;
const SOURCES: u64 = 3;
/// Bytes of a line of a source.
const LINE: u64 = 10;
/// Points of the usual form.
const POINTS: u64 = 2400;

/// Numbers by chance, the same for a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// A record of the log: lines of a source, or foreign ones.
#[derive(Debug, Clone)]
struct Record {
    source: Option<u64>,
    lines: Range<u64>,
}

/// What a log holds: for each partition its records by offset; an offset may hold none.
#[derive(Debug)]
struct History {
    seed: u64,
    partitions: Vec<Vec<Option<Record>>>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut partitions = vec![Vec::new(); PARTITIONS];
        let mut ends = [0; SOURCES as usize];
        for _ in 0..20 + chance.below(25) {
            let source = chance.below(SOURCES);
            let end = &mut ends[source as usize];
            let length = 1 + chance.below(19);
            let record = match chance.below(10) {
                // A gap, as a compacted topic or a mark of a transaction leaves it.
                0 => None,
                1 => Some(Record { source: None, lines: 0..length }),
                // Something the source had already, cut as it comes.
                2 | 3 if *end > 0 => {
                    let start = chance.below(*end);
                    Some(Record { source: Some(source), lines: start..start + length })
                }
                _ => {
                    // Now and then a part is left out, which another record may bring later.
                    let start = *end + chance.below(8) / 7 * 3;
                    Some(Record { source: Some(source), lines: start..start + length })
                }
            };
            if let Some(Record { source: Some(source), lines }) = &record {
                ends[*source as usize] = ends[*source as usize].max(lines.end);
            }
            partitions[chance.below(PARTITIONS as u64) as usize].push(record);
        }
        Self { seed, partitions }
    }

    /// Loads from wherever the store stands; gives the generation of the last commit that was acknowledged.
    fn load(&self, directory: Arc<dyn Directory>, order: u64, acknowledged: &mut u64) -> Result<(), StoreError> {
        let writer = StoreWriter::open(directory, support::schema(), support::options())?;
        let mut chance = Chance(self.seed ^ order.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let next = |partition: usize| writer.position(TOPIC, partition as i32).map_or(0, |at| at.next_offset as usize);
        let mut next: Vec<usize> = (0..PARTITIONS).map(next).collect();
        loop {
            let open: Vec<usize> = (0..PARTITIONS).filter(|&at| next[at] < self.partitions[at].len()).collect();
            if open.is_empty() {
                break;
            }
            let partition = open[chance.below(open.len() as u64) as usize];
            let offset = next[partition];
            next[partition] += 1;
            deliver(&writer, self.partitions[partition][offset].as_ref(), partition as i32, offset as i64)?;
            if chance.below(9) == 0 {
                *acknowledged = writer.commit()?.generation;
            }
        }
        *acknowledged = writer.close()?.generation;
        Ok(())
    }
}

/// One record into the store, as the pipeline does it: what can be claimed, then the rest as duplicates.
fn deliver(writer: &StoreWriter, record: Option<&Record>, partition: i32, offset: i64) -> Result<(), StoreError> {
    let position =
        Some(LogPosition { topic: TOPIC.to_owned(), topic_id: Some([7; 16]), partition, next_offset: offset + 1 });
    match record {
        None => writer.append(Delivery { position, ..Delivery::default() }),
        Some(Record { source: None, lines }) => {
            let name = format!("{TOPIC}/{partition}@{offset}");
            let seed = 1_000_003 * (partition as u64 + 1) + offset as u64 * 1009;
            let (batch, rejects) = parse(writer, &name, seed, lines.clone())?;
            writer.append(Delivery { batch, rejects, position, ..Delivery::default() })
        }
        Some(Record { source: Some(source), lines }) => {
            let id = format!("source-{source}").into();
            let mut duplicates = lines.end - lines.start;
            let mut deliveries = Vec::new();
            for range in writer.claim(&id, lines.start * LINE..lines.end * LINE) {
                let name = format!("file-{source}.csv");
                let claimed = range.start / LINE..range.end / LINE;
                duplicates -= claimed.end - claimed.start;
                let (batch, rejects) = parse(writer, &name, source * 100_000, claimed)?;
                let range = Some(SourceRange { source: id.clone(), name, crc32c: checksum(&range), range });
                deliveries.push(Delivery { batch, rejects, range, ..Delivery::default() });
            }
            deliveries.push(Delivery { rows_duplicate: duplicates, position, ..Delivery::default() });
            writer.append_together(deliveries)
        }
    }
}

/// The rows and rejects of some lines.
fn parse(writer: &StoreWriter, name: &str, seed: u64, lines: Range<u64>) -> Result<(Batch, Vec<Reject>), StoreError> {
    let is_reject = |line: &u64| Chance(seed + line).below(15) == 0;
    let brands = writer.dictionary(1);
    let numbers: Vec<u64> = lines.clone().filter(|line| !is_reject(line)).map(|line| seed + line).collect();
    let brand = |&number: &u64| match Chance(number).below(40) {
        0..4 => Ok(0),
        // A text that is met once, and now and then a long one.
        4 => brands.code_for(&format!("rare {number} {}", "x".repeat((number % 3 * 700) as usize))),
        brand => brands.code_for(&format!("brand {brand}")),
    };
    let mut sessions = IdentifierValues::default();
    for (row, number) in numbers.iter().enumerate() {
        sessions.uuids.push(u128::from(number / 4) * 7);
        if number % 9 == 0 {
            let text = (number % 2 == 0).then(|| {
                let text = format!("session {}", number / 18);
                sessions.text.extend_from_slice(text.as_bytes());
                ((sessions.text.len() - text.len()) as u32, text.len() as u32)
            });
            sessions.exceptions.push(IdentifierException { row: row as u32, text });
        }
    }
    let columns = vec![
        ColumnValues::Integers(numbers.iter().map(|&number| 1_570_000_000_000 + number as i64 * 1000).collect()),
        ColumnValues::Codes(numbers.iter().map(brand).collect::<Result<_, _>>()?),
        ColumnValues::Integers(numbers.iter().map(|&number| (number * number % 100_000) as i64).collect()),
        ColumnValues::Identifiers(sessions),
    ];
    let rejects = lines.filter(is_reject).map(|line| Reject {
        source: name.to_owned(),
        line: line + 1,
        byte_offset: line * LINE,
        reason: "expected 9 fields, got 3".to_owned(),
        raw: Bytes::from(format!("a,b,{line}")),
    });
    Ok((Batch { columns, rows: numbers.len() }, rejects.collect()))
}

fn checksum(range: &Range<u64>) -> u32 {
    crc32c::crc32c(&range.clone().map(|byte| byte as u8).collect::<Vec<_>>())
}

/// The content without the order in which the partitions came.
fn content(directory: MemoryDirectory) -> Content {
    let mut content = support::content(Arc::new(directory));
    content.rows.sort();
    content.rejects.sort_by(|left, right| (&left.source, left.line).cmp(&(&right.source, right.line)));
    content.positions.sort_by_key(|position| position.partition);
    content
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn a_history_that_is_cut_off_anywhere_ends_as_an_undisturbed_one() {
    let first = number_of("CARTLOG_SEED").unwrap_or(20_191_001);
    let wanted = number_of("CARTLOG_CRASH_POINTS").unwrap_or(POINTS);
    let (mut points, mut seed) = (0, first);
    while points < wanted {
        let history = History::new(seed);
        let memory = MemoryDirectory::new();
        let counting = FaultDirectory::new(Arc::new(memory.clone()), u64::MAX, Fault::Crash);
        history.load(Arc::new(counting.clone()), 0, &mut 0).unwrap();
        let expected = content(memory);
        assert!(expected.totals.is_balanced(), "seed {seed}");
        for at in 0..counting.operations() {
            for variant in 0..3 {
                points += cut_off(&history, at, variant, counting.operations(), &expected);
            }
        }
        seed += 1;
    }
    println!("{points} points, CARTLOG_SEED={first}, {} histories", seed - first);
}

/// Cuts a load off at an operation, the loads after it up to twice more, and lets the last one end.
fn cut_off(history: &History, at: u64, variant: u64, operations: u64, expected: &Content) -> u64 {
    let case = format!("CARTLOG_SEED={}, operation {at}, variant {variant}", history.seed);
    let mut chance = Chance(history.seed ^ (at << 8) ^ variant);
    let mut directory = MemoryDirectory::new();
    // Every other point is met by further crashes: one of them while the store is being recovered, or just after.
    let mut crashes = vec![at];
    if chance.below(2) == 0 {
        crashes.extend([chance.below(8), chance.below(operations)]);
    }
    let mut points = 0;
    for (order, &at) in crashes.iter().enumerate() {
        let fault = if chance.below(2) == 0 { Fault::Crash } else { Fault::TornCrash };
        let faulty = FaultDirectory::new(Arc::new(directory.clone()), at, fault);
        let mut acknowledged = 0;
        let ended = history.load(Arc::new(faulty), order as u64, &mut acknowledged).is_ok();
        // What was not synced is dropped, kept, or decided change by change.
        let loss = [0, 1, 2 + chance.below(1 << 40)][chance.below(3) as usize];
        directory = directory.after_power_loss(loss);
        match Snapshot::open(Arc::new(directory.clone())) {
            Ok(snapshot) => {
                assert!(snapshot.totals().is_balanced(), "{case}");
                assert!(snapshot.generation() >= acknowledged, "{case}: an acknowledged commit is gone");
            }
            Err(error) => {
                assert!(matches!(error, StoreError::NoStore) && acknowledged == 0, "{case}: {error}");
            }
        }
        points += 1;
        if ended {
            break;
        }
    }
    history.load(Arc::new(directory.clone()), 99, &mut 0).unwrap_or_else(|error| panic!("{case}: {error}"));
    let report = verify(&directory).unwrap();
    assert!(report.is_sound(), "{case}: {:?}", report.damage);
    assert_eq!(&content(directory), expected, "{case}");
    points
}
