//! `cartlog analyze --engine spark`: the store as Parquet (or a data set that is there), a job of Spark, its tables.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use cartlog_storage::store::StoreIdentity;

use super::{find_format, open_snapshot, open_store};
use crate::analysis::{Analysis, Filter, Input};
use crate::cli::arguments::{Analyze, EngineOptions};
use crate::cli::interrupt;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::cli::{Usage, text};
use crate::export::dataset::{DataSetPlan, LocalPlace, Place, export_data_set};
use crate::export::events::{EventBatches, RowSelector, write_events};
use crate::export::{AtomicFile, WriteOptions};
use crate::spark::{Answer, SparkJob, find_submit};

/// What happens to a job when the user asks to stop.
const STOPPING: &str = "the job of Spark is being stopped";

impl EngineOptions {
    /// Refuses what only Spark takes.
    pub(super) fn refuse_for_local(&self) -> Result<(), Usage> {
        let typed = [
            ("--input", !self.input.is_empty()),
            ("--exchange", self.exchange.is_some()),
            ("--spark-conf", !self.spark_conf.is_empty()),
        ];
        match typed.iter().find(|(_, is_typed)| *is_typed) {
            Some((option, _)) => {
                Err(Usage(format!("{option} is for --engine spark; the local engine reads the store")))
            }
            None => Ok(()),
        }
    }
}

/// The answers of Spark to these analyses, in their order, and the start of a summary.
pub(super) fn answers(
    options: &Analyze,
    settings: &Settings,
    analyses: &[&'static dyn Analysis],
    filter: &Filter,
    progress: &TerminalProgress,
) -> Result<(Vec<Answer>, Summary)> {
    let engine = &options.engine;
    let submit = find_submit(engine.spark_submit.as_deref())?;
    let interrupt = interrupt::listen(STOPPING)?;
    let folder = Folder::create(&std::env::temp_dir(), Some(0o700))?;
    let limit = options.limit.map(|limit| format!("limit={limit}"));
    let mut job = SparkJob {
        submit,
        master: engine.master.clone(),
        settings: engine.spark_conf.clone(),
        input: engine.input.clone(),
        condition: None,
        parameters: options.parameters.iter().cloned().chain(limit).collect(),
        analyses: analyses.to_vec(),
    };
    let start = Instant::now();
    let exchange = engine.exchange.as_deref().map(|at| Folder::create(at, None)).transpose()?;
    let mut summary = if engine.input.is_empty() {
        progress.say("exporting the store for Spark");
        let events = exchange.as_ref().unwrap_or(&folder).path.join("events");
        let rows = export(settings, filter, &events)?;
        job.input = vec![path_of_spark(&events)?];
        let store = settings.store.display();
        let mut summary = Summary::new(format!("Analysed {} of {store} with Spark", text::counted(rows, "row")));
        summary.number("rows", "rows", rows);
        summary.stage("handover", start.elapsed());
        summary
    } else {
        job.condition = (!filter.covers_everything()).then(|| filter.sql());
        Summary::new(format!("Analysed {} with Spark", engine.input.join(" ")))
    };
    progress.say("Spark is at work");
    let start = Instant::now();
    let answers = job.run(&folder.path, || interrupt.is_requested())?;
    summary.stage("spark", start.elapsed());
    Ok((answers, summary))
}

/// Exports the events that a filter covers, a folder a day, and gives their number.
fn export(settings: &Settings, filter: &Filter, events: &Path) -> Result<u64> {
    let snapshot = open_snapshot(settings)?;
    let input = Input::of(&snapshot, filter)?;
    let covered = |segment, rows, into: &mut Vec<usize>| input.selection().rows(input.events(), segment, rows, into);
    let format = find_format("parquet")?;
    let plan = DataSetPlan {
        selector: (!filter.covers_everything()).then_some(&covered as &RowSelector<'_>),
        filter: if filter.covers_everything() { String::new() } else { filter.sql() },
        ..DataSetPlan::new(&snapshot, StoreIdentity::of(&open_store(settings)?)?, format)
    };
    let place: Arc<dyn Place> = Arc::new(LocalPlace::open(events)?);
    let rows = export_data_set(&place, &plan)?.commit.map_or(0, |commit| commit.rows);
    if rows == 0 {
        // Without any day there would be no file, and without a file no columns.
        fs::create_dir_all(events).with_context(|| format!("can't make the folder {}", events.display()))?;
        let file = AtomicFile::create(&events.join("none.parquet"))?;
        write_events(
            EventBatches::new(&snapshot, plan.mapping)?.rows(0..0),
            format,
            Box::new(file),
            WriteOptions::default(),
        )?;
    }
    Ok(rows)
}

/// A local folder as Spark is to be told it: it may be configured to look somewhere else by default.
fn path_of_spark(folder: &Path) -> Result<String> {
    let whole = fs::canonicalize(folder).with_context(|| format!("can't look at {}", folder.display()))?;
    let path = whole.to_str().with_context(|| format!("{} is not UTF-8, which Spark needs", whole.display()))?;
    Ok(format!("file://{path}"))
}

/// A folder that is removed with all it holds when it is dropped.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn create(within: &Path, mode: Option<u32>) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = within.join(format!("cartlog-spark-{}-{}", std::process::id(), now.as_nanos()));
        let mut builder = DirBuilder::new();
        if let Some(mode) = mode {
            builder.mode(mode);
        }
        builder.create(&path).with_context(|| format!("can't make the folder {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::error!(%error, "{} can't be removed", self.path.display());
        }
    }
}
