//! `cartlog generate`: synthetic events in the public data's layout.

use std::io::{self, BufWriter};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cli::Usage;
use crate::cli::arguments::Generate;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::export::{AtomicFile, Sink, Stream};
use crate::generate::{GenerateError, Generator, Options, Progress};

pub(super) fn execute(options: &Generate, settings: &Settings) -> Result<()> {
    let defaults = Options::default();
    let plan = Options {
        events: options.events,
        seed: options.seed,
        users: options.users.unwrap_or(defaults.users),
        products: options.products.unwrap_or(defaults.products),
        events_per_day: options.events_per_day.unwrap_or(defaults.events_per_day),
        threads: settings.threads,
        ..defaults
    };
    let generator = Generator::new(plan).map_err(|error| match error {
        GenerateError::Option { .. } => Usage(error.to_string()).into(),
        other => anyhow::Error::from(other),
    })?;
    let progress = TerminalProgress::new(settings.quiet || options.out.is_none());
    let start = Instant::now();
    let mut shown = start;
    let mut show = |done: Progress| {
        if shown.elapsed().as_millis() >= 100 {
            shown = Instant::now();
            let percent = done.events * 100 / options.events.max(1);
            progress.say(format!("generating, {} ({percent} %)", text::counted(done.events, "event")));
        }
    };
    let Some(path) = &options.out else {
        let mut out = Stream(BufWriter::new(io::stdout().lock()));
        generator.write(&mut out, show)?;
        return Ok(());
    };
    let mut file = Box::new(AtomicFile::create(path)?);
    let made = generator.write(&mut file, &mut show)?;
    file.complete().with_context(|| format!("can't finish {}", path.display()))?;
    progress.clear();
    let mut summary =
        Summary::new(format!("Generated {} with seed {}", text::counted(made.events, "event"), options.seed));
    summary.field("events", made.events);
    summary.field("bytes", made.bytes);
    summary.stage("generate", start.elapsed());
    summary.file(WrittenFile { path: path.clone(), rows: made.events, bytes: made.bytes });
    settings.print(&summary)
}
