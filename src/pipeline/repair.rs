//! Damaged files of a store made anew from the log.
//!
//! The store knows of each segment which offsets and which ranges of sources gave its rows. They are read again, parsed as
//! they were the first time, and handed to the store, which compares them with what it knows and takes them only if they
//! are the same. What can't be made anew stays as it is, with the reason.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use cartlog_storage::io::OsDirectory;
use cartlog_storage::store::{
    Delivery, KnownSource, LogPosition, LogSpan, Origin as RowOrigin, Reject, Repair, SourceId, StoreError,
    VerifyReport, WriterOptions,
};
use tokio::runtime::Runtime;

use super::deliver::pieces;
use super::error::PipelineError;
use super::plan::LogPlan;
use super::session::ReachedLog;
use super::unit::{Origin, Portion, portions};
use crate::event::{BRAND, BlockParser, CATEGORY_CODE, EVENT_TYPE, EventDictionaries, Parsed, schema};
use crate::kafka::{EmbeddedLog, KafkaClient, runtime};

/// Offsets and ranges that a reason names.
const NAMED_PLACES: usize = 12;

/// A store to repair.
#[derive(Debug, Clone)]
pub struct RepairPlan {
    /// The store's directory (see [`store_directory`](super::store_directory)).
    pub store: PathBuf,
    /// The log that its rows came through; `None` if there is none any more.
    pub log: Option<LogPlan>,
    /// Threads of the log's client.
    pub threads: usize,
}

/// What a repair found and did.
#[derive(Debug, Default)]
pub struct RepairReport {
    /// What was damaged.
    pub found: VerifyReport,
    /// The damaged files that new ones have replaced.
    pub replaced: Vec<String>,
    /// Rows that were read again.
    pub rows: u64,
    /// What is as damaged as before.
    pub not_repaired: Vec<NotRepaired>,
}

/// A damaged file that was not made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRepaired {
    /// The file, relative to the store's folder.
    pub file: String,
    /// Its rows, counted through all segments from 0; `None` if it holds none.
    pub rows: Option<Range<u64>>,
    /// Why it was not made anew, and where its rows came from.
    pub reason: String,
}

/// Makes what is damaged of a store anew, as far as the log has what it was made of.
///
/// Until the one commit at the end the store is as it was. Rows of a segment that was made anew may stand in another
/// order.
///
/// # Errors
///
/// [`PipelineError`] if the store can't be opened, its manifest is damaged, or the log can't be reached. Damage that
/// can't be repaired is no error but in the report.
pub fn repair(plan: &RepairPlan) -> Result<RepairReport, PipelineError> {
    let directory = OsDirectory::open(&plan.store)
        .map_err(|reason| PipelineError::Directory { directory: plan.store.display().to_string(), reason })?;
    let mut repair = Repair::open(Arc::new(directory), &schema(), WriterOptions::default())?;
    let mut report = RepairReport::default();
    if repair.report().is_sound() {
        return Ok(report);
    }
    let mut log = plan.log.as_ref().map(|log| Log::open(log, plan.threads)).transpose()?;
    let made = remake(&mut repair, log.as_mut(), &mut report);
    // Whatever happened, the log is stopped before anything is said.
    let stopped = log.map_or(Ok(()), Log::close);
    made?;
    stopped?;
    report.found = repair.report().clone();
    if !repair.lost().iter().all(|lost| lost.is_rebuilt) {
        let dictionaries = report.found.damage.iter().filter(|damage| damage.file.starts_with("dictionary"));
        let names: Vec<_> = dictionaries.map(|damage| damage.file.clone()).collect();
        report.not_repaired.extend(names.into_iter().map(|file| NotRepaired {
            file,
            rows: None,
            reason:
                "the codes of every segment stand for its texts, and not every segment could be made anew".to_owned(),
        }));
    }
    let done = repair.commit()?;
    report.replaced = done.replaced;
    report.rows = done.rows;
    Ok(report)
}

/// Makes anew what can be, and notes what can't.
fn remake(repair: &mut Repair, log: Option<&mut Log>, report: &mut RepairReport) -> Result<(), PipelineError> {
    let Some(log) = log else {
        let reason = |what: String| format!("there is no log to read again from; {what}");
        let lost = repair.lost().iter().map(|lost| NotRepaired {
            file: lost.file.clone(),
            rows: Some(lost.rows.clone()),
            reason: reason(provenance(&lost.origins)),
        });
        report.not_repaired.extend(lost);
        report.not_repaired.extend(repair.lost_rejects().map(|file| NotRepaired {
            file: file.to_owned(),
            rows: None,
            reason: reason("its lines stand in their sources".to_owned()),
        }));
        return Ok(());
    };
    let mut parser = BlockParser::new(EventDictionaries {
        event_type: repair.dictionary(EVENT_TYPE),
        category_code: repair.dictionary(CATEGORY_CODE),
        brand: repair.dictionary(BRAND),
    });
    for number in 0..repair.lost().len() {
        let lost = repair.lost()[number].clone();
        let origins: Result<Vec<_>, String> =
            lost.origins.iter().map(|origin| log.deliveries(origin, &mut parser)).collect();
        let reason = match origins {
            Err(reason) => reason,
            Ok(origins) => match repair.rebuild(number, origins) {
                Ok(()) => continue,
                Err(StoreError::NotTheRows { what, .. }) => what,
                Err(error) => return Err(error.into()),
            },
        };
        let reason = format!("{reason}; {}", provenance(&lost.origins));
        report.not_repaired.push(NotRepaired { file: lost.file, rows: Some(lost.rows), reason });
    }
    if let Some(file) = repair.lost_rejects().map(str::to_owned) {
        let (positions, sources) = repair.known();
        let reason = match log.rejects(positions, &sources, &mut parser) {
            Err(reason) => Some(reason),
            Ok(rejects) => match repair.rebuild_rejects(&rejects) {
                Ok(()) => None,
                Err(StoreError::NotTheRows { what, .. }) => Some(format!(
                    "{what}; lines that were mended, that came past the log or that are too long for it can't be told apart"
                )),
                Err(error) => return Err(error.into()),
            },
        };
        report.not_repaired.extend(reason.map(|reason| NotRepaired { file, rows: None, reason }));
    }
    Ok(())
}

/// Where rows came from, in words.
fn provenance(origins: &[RowOrigin]) -> String {
    let mut parts = Vec::new();
    for origin in origins {
        let rows = format!("{} rows", origin.rows);
        if origin.is_unknown() {
            parts.push(format!("{rows} are mended rejects, or were loaded by a cartlog that did not note from where"));
            continue;
        }
        let spans = origin
            .spans
            .iter()
            .map(|span| format!("offsets {} to {} of {}/{}", span.start, span.end, span.topic, span.partition));
        let ranges = origin.sources().flat_map(|source| {
            source
                .ranges
                .iter()
                .map(|known| format!("bytes {} to {} of {}", known.range.start, known.range.end, source.name))
        });
        let places: Vec<_> = spans.chain(ranges).collect();
        let more = match places.len().saturating_sub(NAMED_PLACES) {
            0 => String::new(),
            more => format!(" and {more} more places"),
        };
        parts.push(format!("{rows} came from {}{more}", places[..places.len().min(NAMED_PLACES)].join(", ")));
    }
    parts.join("; ")
}

/// The log that is read again.
struct Log {
    client: KafkaClient,
    embedded: Option<EmbeddedLog>,
    /// Dropped last: everything above runs on it.
    runtime: Runtime,
}

impl Log {
    fn open(plan: &LogPlan, threads: usize) -> Result<Self, PipelineError> {
        let runtime = runtime(threads)?;
        let ReachedLog { embedded, brokers, options } = runtime.block_on(ReachedLog::of(plan))?;
        let client = runtime.block_on(KafkaClient::connect(&brokers, &options))?;
        Ok(Self { client, embedded, runtime })
    }

    fn close(self) -> Result<(), PipelineError> {
        let Self { client, embedded, runtime } = self;
        drop(client);
        Ok(embedded.map_or(Ok(()), |embedded| runtime.block_on(embedded.shutdown()))?)
    }

    /// The rows of an origin, read again; the error is the reason why they can't be.
    fn deliveries(&mut self, origin: &RowOrigin, parser: &mut BlockParser) -> Result<Vec<Delivery>, String> {
        if origin.spans.is_empty() {
            return Err(format!("{} of its rows did not come through a log", origin.rows));
        }
        let mut wanted = Wanted::new(origin.sources());
        let mut deliveries = Vec::new();
        for span in &origin.spans {
            self.read(span, parser, &mut wanted, &mut |delivery| deliveries.push(delivery))?;
        }
        Ok(deliveries)
    }

    /// The rejects of all that the store has read of the log, each range once.
    fn rejects(
        &mut self,
        positions: &[LogPosition],
        sources: &[KnownSource],
        parser: &mut BlockParser,
    ) -> Result<Vec<Reject>, String> {
        let mut wanted = Wanted::new(sources.iter());
        let mut rejects = Vec::new();
        for LogPosition { topic, topic_id, partition, next_offset } in positions.iter().cloned() {
            let span = LogSpan { topic, topic_id, partition, start: 0, end: next_offset };
            self.read(&span, parser, &mut wanted, &mut |delivery| rejects.extend(delivery.rejects))?;
        }
        Ok(rejects)
    }

    /// Reads a span of offsets, and parses what is wanted of it.
    fn read(
        &mut self,
        span: &LogSpan,
        parser: &mut BlockParser,
        wanted: &mut Wanted,
        found: &mut dyn FnMut(Delivery),
    ) -> Result<(), String> {
        let LogSpan { topic, topic_id, partition, start, end } = span;
        let place = format!("{topic}/{partition}");
        let unreadable = |error: crate::kafka::KafkaError| format!("{place} can't be read: {error}");
        let partitions = self.runtime.block_on(self.client.topic(topic)).map_err(unreadable)?.partitions;
        if !partitions.contains(partition) {
            return Err(format!("topic {topic} has no partition {partition} any more"));
        }
        let present = self.runtime.block_on(self.client.topic_id(topic)).map_err(unreadable)?;
        if topic_id.zip(present).is_some_and(|(known, present)| known != present) {
            return Err(format!("topic {topic} was deleted and created anew since"));
        }
        let held = self.runtime.block_on(self.client.offsets(topic, *partition)).map_err(unreadable)?;
        if *start < held.start || *end > held.end {
            let gone = if *start < held.start { *start..held.start.min(*end) } else { held.end.max(*start)..*end };
            return Err(format!("offsets {} to {} of {place} are no longer in the log", gone.start, gone.end));
        }
        let topic_name = Arc::from(topic.as_str());
        let mut consumer = self.client.consumer(topic, *partition, *start);
        while consumer.next_offset() < *end {
            let fetched = self.runtime.block_on(consumer.fetch()).map_err(unreadable)?;
            let records = fetched.records.into_iter().take_while(|record| record.offset < *end).collect();
            for Portion { bytes, origin, .. } in portions(records, &topic_name, *partition) {
                match origin {
                    Origin::Range(lines) => {
                        let claimed = wanted.take(&lines.source, lines.range.clone());
                        pieces(parser, &bytes, &lines, &claimed).1.into_iter().for_each(&mut *found);
                    }
                    Origin::Messages(messages) => {
                        let (Parsed { batch, rejects }, _) = messages.parse(parser);
                        found(Delivery { batch, rejects, ..Delivery::default() });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Ranges of sources that have not been found yet.
struct Wanted(HashMap<SourceId, Vec<Range<u64>>>);

impl Wanted {
    fn new<'s>(sources: impl Iterator<Item = &'s KnownSource>) -> Self {
        let ranges = |source: &KnownSource| source.ranges.iter().map(|known| known.range.clone()).collect();
        Self(sources.map(|source| (source.id.clone(), ranges(source))).collect())
    }

    /// The parts of a range that are wanted, which are not wanted any more.
    fn take(&mut self, source: &SourceId, range: Range<u64>) -> Vec<Range<u64>> {
        let Some(wanted) = self.0.get_mut(source) else { return Vec::new() };
        let mut taken = Vec::new();
        let mut left = Vec::with_capacity(wanted.len() + 1);
        for known in wanted.drain(..) {
            let both = known.start.max(range.start)..known.end.min(range.end);
            if both.is_empty() {
                left.push(known);
                continue;
            }
            left.extend([known.start..both.start, both.end..known.end].into_iter().filter(|part| !part.is_empty()));
            taken.push(both);
        }
        *wanted = left;
        taken
    }
}

#[cfg(test)]
mod tests {
    use cartlog_storage::store::KnownRange;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn wanted_ranges_are_taken_once(
            known in prop::collection::vec((0..40_u64, 1..9_u64), 0..6),
            asked in prop::collection::vec((0..60_u64, 0..20_u64), 0..12),
        ) {
            let mut oracle = std::collections::BTreeSet::new();
            let mut ranges = Vec::new();
            let mut next = 0;
            for (gap, length) in known {
                next += gap;
                ranges.push(KnownRange { range: next..next + length, crc32c: 0 });
                oracle.extend(next..next + length);
                next += length + 1;
            }
            let source = KnownSource { id: "id".into(), name: "a.csv".to_owned(), ranges };
            let mut wanted = Wanted::new([&source].into_iter());
            for (start, length) in asked {
                let taken: Vec<u64> = wanted.take(&"id".into(), start..start + length).into_iter().flatten().collect();
                let expected: Vec<u64> = (start..start + length).filter(|byte| oracle.remove(byte)).collect();
                prop_assert_eq!(taken, expected);
            }
            prop_assert_eq!(wanted.take(&"other".into(), 0..100), Vec::<Range<u64>>::new());
        }
    }
}
