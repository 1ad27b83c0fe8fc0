//! The threads that parse.
//!
//! Units come in through an unbounded queue, which the gate keeps short, and leave as events to the tee. Each thread
//! keeps a parser of its own, because a parser's caches of codes are what makes it fast.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::error::PipelineError;
use super::tee::Event;
use super::unit::{Messages, Origin, Unit};
use crate::event::{BlockParser, EventDictionaries, Gathered, Parsed, count_rows};

/// A unit with what its bytes hold.
#[derive(Debug)]
pub(super) struct ParsedUnit {
    pub(super) unit: Unit,
    pub(super) parsed: Parsed,
    /// Of the unit's range.
    pub(super) crc32c: u32,
    /// Its rows, counted by line ends and not by what the parser made of them, so that the two can be compared.
    pub(super) rows: u64,
}

/// A pool of parsing threads.
#[derive(Debug)]
pub(super) struct Workers {
    pool: ThreadPool,
    parsers: Arc<[Mutex<BlockParser>]>,
}

impl Workers {
    /// Starts `threads` threads that take their codes from these dictionaries.
    pub(super) fn start(threads: usize, dictionaries: &EventDictionaries) -> Result<Self, PipelineError> {
        let threads = threads.max(1);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("cartlog-parse-{number}"))
            .build()
            .map_err(|error| PipelineError::Worker(format!("the threads that parse can't be started: {error}")))?;
        let parsers = (0..threads).map(|_| Mutex::new(BlockParser::new(dictionaries.clone()))).collect();
        Ok(Self { pool, parsers })
    }

    /// Parses a unit, in the order of calls, and sends it on.
    pub(super) fn parse(&self, unit: Unit, events: Sender<Event>) {
        let parsers = Arc::clone(&self.parsers);
        self.pool.spawn_fifo(move || {
            let number = rayon::current_thread_index().unwrap_or_default();
            let mut parser = parsers[number].lock().unwrap_or_else(PoisonError::into_inner);
            let parsed = ParsedUnit::parse(unit, &mut parser);
            drop(parser);
            // The tee is gone only when the job is failing; then nobody waits for this unit.
            let _ = events.send(Event::Parsed(Box::new(parsed)));
        });
    }
}

impl ParsedUnit {
    /// Parses a unit on this thread.
    pub(super) fn parse(unit: Unit, parser: &mut BlockParser) -> Self {
        match &unit.origin {
            Origin::Range(lines) => {
                let parsed = parser.parse(&unit.bytes, &lines.position());
                let crc32c = lines.cut.unwrap_or_else(|| crc32c::crc32c(&unit.bytes));
                let rows = unit.rows.unwrap_or_else(|| count_rows(&unit.bytes));
                Self { unit, parsed, crc32c, rows }
            }
            Origin::Messages(messages) => {
                let (parsed, rows) = messages.parse(parser);
                Self { unit, parsed, crc32c: 0, rows }
            }
        }
    }
}

impl Messages {
    /// Parses the messages on this thread, and counts their rows.
    pub(super) fn parse(&self, parser: &mut BlockParser) -> (Parsed, u64) {
        let mut gathered = Gathered::with_room(self.values.len());
        let rows = self.values.iter().map(|(offset, value)| {
            let found = parser.add_message(&mut gathered, value, || self.name(*offset));
            // Events of a JSON message are not lines; there the parser's word is taken.
            if is_json(value) { found } else { count_rows(value) }
        });
        let rows = rows.sum();
        (gathered.finish(), rows)
    }
}

fn is_json(message: &[u8]) -> bool {
    matches!(message.trim_ascii_start().first(), Some(b'{' | b'['))
}
