//! `cartlog verify`: every checksum of the store and its log, and damaged files of the store made anew.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use cartlog_storage::groups;
use cartlog_storage::io::{Directory, OsDirectory};
use cartlog_storage::log::{self, LogFault, LogReport, Remedy};
use cartlog_storage::store::{self, Damage, SortedReport, StoreError, SummariesReport, VerifyReport};
use serde_json::{Value, json};

use super::{no_store, open_store};
use crate::cli::arguments::Verify;
use crate::cli::settings::Settings;
use crate::cli::text;
use crate::pipeline::{self, RepairPlan, RepairReport, log_directory, store_directory};

pub(super) fn execute(options: &Verify, settings: &Settings) -> Result<()> {
    let start = Instant::now();
    let mut found = Found::check(settings)?;
    let mended = if options.repair { found.mend(settings)? } else { Mended::default() };
    if settings.json {
        let mut object = json(found.store.as_ref(), found.log.as_ref());
        object["sorted_copy_removed"] = json!(mended.removes_copy);
        object["summaries_removed"] = json!(mended.removes_summaries);
        object["log_mended"] = json!(mended.of_log);
        object["repair"] = mended.of_store.as_ref().map_or(Value::Null, repair_json);
        writeln!(io::stdout(), "{object}")?;
    } else {
        let mut lines = mended.lines();
        lines.extend(found.store.iter().flat_map(damage_lines));
        lines.extend(found.log.iter().flat_map(fault_lines));
        if !settings.quiet {
            lines.extend(found.summary());
            lines.push(format!("Checked in {}.", text::duration(start.elapsed())));
        }
        let mut out = io::stdout().lock();
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    let damage = found.damage();
    if damage > 0 {
        bail!("what is in {} is damaged in {}", settings.store.display(), text::counted(damage as u64, "place"));
    }
    Ok(())
}

/// What a check found; what isn't there has no report.
struct Found {
    store: Option<VerifyReport>,
    log: Option<LogReport>,
}

/// What was done about it.
#[derive(Default)]
struct Mended {
    removes_copy: bool,
    removes_summaries: bool,
    /// Files of the log that were made anew.
    of_log: Vec<String>,
    of_store: Option<RepairReport>,
}

impl Found {
    fn check(settings: &Settings) -> Result<Self> {
        let log = check_log(settings)?;
        Ok(Self { store: check_store(settings, log.is_some())?, log })
    }

    /// Mends what can be, the log first, because the store is made anew from it; then it is what another check found.
    fn mend(&mut self, settings: &Settings) -> Result<Mended> {
        let mut mended = Mended::default();
        if let Some(log) = self.log.as_ref().filter(|log| !log.is_sound()) {
            let folder = log_directory(&settings.store);
            let of_log = log::repair(&log_folder(settings)?, log);
            mended.of_log = of_log.with_context(|| format!("the log in {} can't be mended", folder.display()))?;
            self.log = check_log(settings)?;
        }
        if let Some(store) = &self.store {
            mended.removes_copy = store.sorted.as_ref().is_some_and(|copy| !copy.damage.is_empty());
            mended.removes_summaries = store.summaries.as_ref().is_some_and(|summaries| !summaries.damage.is_empty());
        }
        if mended.removes_copy {
            store::remove_copy(&open_store(settings)?).context("the damaged sorted copy can't be removed")?;
        }
        if mended.removes_summaries {
            store::remove_summaries(&open_store(settings)?).context("damaged summaries can't be removed")?;
        }
        if mended.removes_copy || mended.removes_summaries {
            self.store = check_store(settings, self.log.is_some())?;
        }
        if self.store.as_ref().is_some_and(|store| !store.is_sound()) {
            mended.of_store = Some(repair(settings)?);
            self.store = check_store(settings, self.log.is_some())?;
        }
        Ok(mended)
    }

    /// The places that are damaged.
    fn damage(&self) -> usize {
        let of_store = |report: &VerifyReport| {
            let copy = report.sorted.as_ref().map_or(0, |copy| copy.damage.len());
            let summaries = report.summaries.as_ref().map_or(0, |summaries| summaries.damage.len());
            report.damage.len() + copy + summaries
        };
        self.store.as_ref().map_or(0, of_store) + self.log.as_ref().map_or(0, |report| report.faults.len())
    }

    /// A line each of what there is.
    fn summary(&self) -> Vec<String> {
        let store = self.store.iter();
        let copy = store.clone().filter_map(|report| report.sorted.as_ref()).map(copy_summary);
        let summaries = store.clone().filter_map(|report| report.summaries.as_ref()).map(summaries_summary);
        let log = self.log.iter().map(log_summary);
        store.map(store_summary).chain(copy).chain(summaries).chain(log).collect()
    }
}

impl Mended {
    fn lines(&self) -> Vec<String> {
        let told = |is_done: bool, line: &str| is_done.then(|| line.to_owned());
        let copy = "the damaged sorted copy is removed; `cartlog compact --by-user` makes a new one";
        let summaries = "the summaries, of which some were damaged, are removed; `cartlog analyze` makes new ones";
        let log = |path: &String| format!("log/{path}: was damaged, and is made anew of the rest of the log");
        let removed = told(self.removes_copy, copy).into_iter().chain(told(self.removes_summaries, summaries));
        removed.chain(self.of_log.iter().map(log)).chain(self.of_store.iter().flat_map(repair_lines)).collect()
    }
}

/// The check of the log; `None` if there is none.
fn check_log(settings: &Settings) -> Result<Option<LogReport>> {
    let folder = log_directory(&settings.store);
    if !folder.try_exists().with_context(|| format!("can't look at {}", folder.display()))? {
        return Ok(None);
    }
    let directory = log_folder(settings)?;
    let failed = || format!("can't check the log in {}", folder.display());
    let mut report = log::verify(&directory).with_context(failed)?;
    groups::verify(&directory, &mut report).with_context(failed)?;
    Ok((report.files > 0).then_some(report))
}

/// The log's folder.
fn log_folder(settings: &Settings) -> Result<Arc<dyn Directory>> {
    let folder = log_directory(&settings.store);
    Ok(Arc::new(OsDirectory::open(&folder).with_context(|| format!("can't open {}", folder.display()))?))
}

/// The check of the store; `None` if there is none, which is right where there is a log.
fn check_store(settings: &Settings, has_log: bool) -> Result<Option<VerifyReport>> {
    let is_there = store_directory(&settings.store).try_exists().unwrap_or(true);
    if has_log && !is_there {
        return Ok(None);
    }
    match store::verify(&open_store(settings)?) {
        Err(StoreError::NoStore) if has_log => Ok(None),
        Err(StoreError::NoStore) => Err(no_store(settings)),
        checked => Ok(Some(checked?)),
    }
}

/// Makes what is damaged anew from the brokers that were named, or the embedded log if there is one.
fn repair(settings: &Settings) -> Result<RepairReport> {
    let folder = log_directory(&settings.store);
    let has_log = settings.brokers.is_some()
        || folder.try_exists().with_context(|| format!("can't look at {}", folder.display()))?;
    let plan = RepairPlan {
        store: store_directory(&settings.store),
        log: has_log.then(|| settings.log()),
        threads: settings.threads,
    };
    pipeline::repair(&plan).with_context(|| {
        format!(
            "{} can't be repaired; to begin anew, move {} away and read the log again with `cartlog ingest`, or load the \
             files again",
            settings.store.display(),
            plan.store.display()
        )
    })
}

fn repair_json(report: &RepairReport) -> Value {
    let left = report.not_repaired.iter().map(|left| {
        let rows = left.rows.as_ref().map(|rows| json!([rows.start, rows.end]));
        json!({ "file": left.file, "rows": rows, "reason": left.reason })
    });
    let left: Vec<_> = left.collect();
    let found: Vec<_> = report.found.damage.iter().map(damage_json).collect();
    json!({ "found": found, "replaced": report.replaced, "rows": report.rows, "not_repaired": left })
}

fn repair_lines(report: &RepairReport) -> Vec<String> {
    let found = report.found.damage.iter().map(|damage| format!("was damaged: {}", damage_line(damage)));
    let replaced = report.replaced.iter().map(|file| format!("store/{file}: made anew"));
    let left = report.not_repaired.iter().map(|left| match &left.rows {
        Some(rows) => format!(
            "store/{} (rows {} to {}): not repaired: {}",
            left.file,
            text::count(rows.start),
            text::count(rows.end),
            left.reason
        ),
        None => format!("store/{}: not repaired: {}", left.file, left.reason),
    });
    found.chain(replaced).chain(left).collect()
}

fn json(store: Option<&VerifyReport>, log: Option<&LogReport>) -> Value {
    let mut object = store.map_or_else(
        || json!({}),
        |report| {
            let damage: Vec<_> = report.damage.iter().map(damage_json).collect();
            let copy = report.sorted.as_ref().map(|copy| {
                json!({ "rows": copy.rows, "segments": copy.segments, "bytes": copy.bytes, "is_current": copy.is_current,
                    "damage": copy.damage })
            });
            let summaries = report.summaries.as_ref().map(|summaries| {
                json!({ "files": summaries.files, "bytes": summaries.bytes, "damage": summaries.damage })
            });
            json!({ "files": report.files, "bytes": report.bytes, "rows": report.rows, "damage": damage,
                "sorted_copy": copy, "summaries": summaries })
        },
    );
    object["log"] = log.map_or(Value::Null, |report| {
        let faults = report.faults.iter().map(|fault| {
            let offset = fault.offset.map(|offset| offset.0);
            json!({ "file": fault.path, "position": fault.position, "offset": offset, "what": fault.what })
        });
        let faults: Vec<_> = faults.collect();
        json!({ "partitions": report.partitions, "files": report.files, "bytes": report.bytes,
            "batches": report.batches, "records": report.records, "faults": faults })
    });
    object
}

fn damage_json(damage: &Damage) -> Value {
    let rows = damage.rows.as_ref().map(|rows| json!([rows.start, rows.end]));
    json!({ "file": damage.file, "offset": damage.offset, "length": damage.length, "rows": rows, "what": damage.what })
}

fn damage_lines(report: &VerifyReport) -> Vec<String> {
    let copy = report.sorted.iter().flat_map(|copy| &copy.damage);
    let summaries = report.summaries.iter().flat_map(|summaries| &summaries.damage);
    let removed = |what: &'static str| {
        move |damage: &String| format!("{what}, which `cartlog verify --repair` removes: {damage}")
    };
    let derived = copy.map(removed("sorted copy")).chain(summaries.map(removed("summaries")));
    report.damage.iter().map(damage_line).chain(derived).collect()
}

fn damage_line(damage: &Damage) -> String {
    let rows = damage.rows.as_ref();
    let rows = rows.map(|rows| format!(" (rows {} to {})", text::count(rows.start), text::count(rows.end)));
    let Damage { file, offset, what, .. } = damage;
    format!("store/{file} at byte {offset}: {what}{}", rows.unwrap_or_default())
}

fn fault_lines(report: &LogReport) -> Vec<String> {
    let line = |fault: &LogFault| {
        let offset = fault.offset.map(|offset| format!(" (offset {offset})")).unwrap_or_default();
        format!("log/{} at byte {}: {}{offset}", fault.path, fault.position, fault.what)
    };
    let remedies: BTreeSet<_> = report.faults.iter().map(LogFault::remedy).collect();
    report.faults.iter().map(line).chain(remedies.into_iter().map(|remedy| advice(remedy).to_owned())).collect()
}

/// What to do about faults of the log of one kind.
fn advice(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::Repair => {
            "`cartlog verify --repair` makes indexes, snapshots and the files that name a folder's topic anew, or has the next \
             start do so"
        }
        Remedy::CopyOfTopics => {
            "no other file says which topics there are: put log/cartlog.topics back from a copy of the whole log, or move the \
             log's folder away and load or produce once more; its partitions were checked without it"
        }
        _ => {
            "what other damaged files of the log hold is not there twice: put them back from a copy; without one, delete the topic, \
             or cartlog.groups with all offsets that groups have committed"
        }
    }
}

fn store_summary(report: &VerifyReport) -> String {
    format!(
        "store: {} in {} ({}): {}",
        text::counted(report.rows, "row"),
        text::counted(report.files, "file"),
        text::bytes(report.bytes),
        verdict(report.is_sound())
    )
}

fn copy_summary(report: &SortedReport) -> String {
    let state = match (report.damage.is_empty(), report.is_current) {
        (false, _) => "damaged",
        (true, true) => "all sound, in use",
        (true, false) => "not in use, as the store has changed what it stands for; `cartlog compact` removes it",
    };
    format!(
        "copy:  {} in order of user in {} ({}): {state}",
        text::counted(report.rows, "row"),
        text::counted(report.segments as u64, "segment"),
        text::bytes(report.bytes)
    )
}

fn summaries_summary(report: &SummariesReport) -> String {
    let state = if report.damage.is_empty() { "all sound" } else { "damaged" };
    format!(
        "sums:  summaries of segments in {} ({}): {state}",
        text::counted(report.files, "file"),
        text::bytes(report.bytes)
    )
}

fn log_summary(report: &LogReport) -> String {
    format!(
        "log:   {} in {} and {} ({}): {}",
        text::counted(report.records, "record"),
        text::counted(report.partitions, "partition"),
        text::counted(report.files, "file"),
        text::bytes(report.bytes),
        verdict(report.is_sound())
    )
}

fn verdict(is_sound: bool) -> &'static str {
    if is_sound { "all sound" } else { "damaged" }
}
