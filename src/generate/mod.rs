//! Synthetic events in the public layout with the public data's shape.
//!
//! Benchmarks, examples and tests need events by the million that may be passed on, and the public data's licence is not
//! an open one. What is made here has its shape: heavy-tailed users, products and brands, categories with and without a
//! code, sessions in which a purchase follows a view, a daily rhythm, prices that change rarely. It is in the order of
//! time, the same for a seed on every machine and any number of threads, and the first events of a long stream are
//! those of a short one. `stream` says how it is made in parallel.

mod catalogue;
mod names;
mod random;
mod render;
mod rhythm;
mod session;
mod stream;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use stream::{Model, Stream};

/// The most users that have distinct ids of 8 or 9 digits.
const MOST_USERS: u32 = 50_000_000;
/// The most products: their texts take 1.4 GB of memory, and are counted in 32 bits.
const MOST_PRODUCTS: u32 = 20_000_000;
/// The most days that the data may span: their times must stay years of four digits, and below 2^32 seconds.
const MOST_DAYS: u64 = 36_500;

/// What to generate.
///
/// ```
/// use cartlog::generate::{Generator, Options};
///
/// let options = Options { events: 1000, seed: 7, ..Options::default() };
/// let mut csv = Vec::new();
/// let summary = Generator::new(options)?.write(&mut csv, |_| ())?;
/// assert_eq!(summary.events, 1000);
/// assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), 1001);
/// # Ok::<(), cartlog::generate::GenerateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many events.
    pub events: u64,
    /// What the randomness starts from: the same seed and sizes give the same bytes.
    pub seed: u64,
    /// How many people may come, 1 to 50 million. Most come rarely, so that fewer appear in a short stream.
    pub users: u32,
    /// How many products the shop has, 1 to 20 million; each takes some 70 bytes of memory.
    pub products: u32,
    /// How dense the events are, at least 1: the more a day, the shorter the time that they span.
    pub events_per_day: u64,
    /// Whether the first line is the header.
    pub header: bool,
    /// How many threads make events; 0 for one a core. It does not show in the result.
    pub threads: usize,
}

impl Default for Options {
    /// A million events at the public data's size and density (42.4 million events in 31 days).
    fn default() -> Self {
        Self {
            events: 1_000_000,
            seed: 42,
            users: 5_450_000,
            products: 206_876,
            events_per_day: 1_369_315,
            header: true,
            threads: 0,
        }
    }
}

/// Why events could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// An option is outside what the layout can hold.
    #[error("{option} is {got}, expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        got: u64,
        /// What it may be.
        expected: String,
    },
    /// No threads could be started.
    #[error("cannot start the threads that make events: {0}; ask for fewer threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The events could not be written.
    #[error("cannot write generated events after byte {after}: {source}")]
    Write {
        /// How many bytes had been written before.
        after: u64,
        /// What the writer said.
        source: io::Error,
    },
}

/// How far a generator is, and at the end what it made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events written.
    pub events: u64,
    /// Bytes written, the header line included.
    pub bytes: u64,
}

/// Makes synthetic events; see [`Options`] for an example.
#[derive(Debug)]
pub struct Generator {
    options: Options,
    model: Arc<Model>,
}

impl Generator {
    /// Sets up the shop and its shoppers, a few hundredths of a second of work at the default sizes.
    ///
    /// # Errors
    /// [`GenerateError::Option`] names the option that is out of range.
    pub fn new(options: Options) -> Result<Self, GenerateError> {
        let within = |option, got: u64, low: u64, high: u64| {
            if (low..=high).contains(&got) {
                Ok(())
            } else {
                Err(GenerateError::Option { option, got, expected: format!("{low} to {high}") })
            }
        };
        within("users", options.users.into(), 1, MOST_USERS.into())?;
        within("products", options.products.into(), 1, MOST_PRODUCTS.into())?;
        within("events per day", options.events_per_day, 1, 1_000_000_000_000)?;
        within("events", options.events, 0, options.events_per_day.saturating_mul(MOST_DAYS))?;
        let model = Model::new(options.seed, options.events_per_day, options.users, options.products);
        Ok(Self { options, model: Arc::new(model) })
    }

    /// Writes the events as CSV and calls `progress` a few times a second of work.
    ///
    /// Memory beside the products' stays below about 60 MB a thread however many events there are. The writer is called on this thread while
    /// others make what comes next.
    ///
    /// # Errors
    /// [`GenerateError::Write`] when the writer fails, [`GenerateError::Threads`] when no thread can be started.
    pub fn write<W: Write>(&self, out: &mut W, mut progress: impl FnMut(Progress)) -> Result<Progress, GenerateError> {
        let mut done = Progress::default();
        let failed = |after| move |source| GenerateError::Write { after, source };
        if self.options.header {
            out.write_all(render::HEADER).map_err(failed(0))?;
            done.bytes = render::HEADER.len() as u64;
        }
        // A pool of its own: the caller may be a worker of another one, which must not wait for itself.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.options.threads).build()?;
        let width = pool.current_num_threads() as u64 * 2;
        let (sender, receiver) = sync_channel(1);
        let (model, events) = (Arc::clone(&self.model), self.options.events);
        pool.spawn(move || {
            let mut stream = Stream::new(&model, events);
            loop {
                let wave = stream.next_wave(width);
                // The other end is gone when its writer failed.
                if wave.is_empty() || sender.send(wave).is_err() {
                    break;
                }
            }
        });
        for (events, bytes) in receiver.into_iter().flatten() {
            out.write_all(&bytes).map_err(failed(done.bytes))?;
            done.events += events;
            done.bytes += bytes.len() as u64;
            progress(done);
        }
        out.flush().map_err(failed(done.bytes))?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
