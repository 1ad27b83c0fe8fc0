//! The process that the broker runs in, under the names that Prometheus' own clients give; nothing where there is no `/proc`.

use std::fs;

use super::text::Text;

/// Ticks in a second of the times in `/proc`, on every architecture this runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// Memory, processor time, files and the start.
pub(super) fn report(out: &mut Text) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    if let Some(kibibytes) = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()) {
        out.gauge("process_resident_memory_bytes", "Resident memory of the process.").value(&[], kibibytes * 1024);
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, which may hold spaces, ends at the last bracket.
    let fields: Vec<_> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / TICKS_A_SECOND);
    if let (Some(user), Some(system)) = (seconds(11), seconds(12)) {
        out.counter("process_cpu_seconds_total", "Processor time of the process, user and system.")
            .value(&[], user + system);
    }
    if let (Some(started), Some(boot)) = (seconds(19), boot_time()) {
        out.gauge("process_start_time_seconds", "When the process started, since 1970.").value(&[], boot + started);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        out.gauge("process_open_fds", "Open files and connections of the process.").value(&[], files.count());
    }
    if let Some(most) = open_files_limit() {
        out.gauge("process_max_fds", "The most files and connections that the process may open.").value(&[], most);
    }
}

/// When the machine started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    fs::read_to_string("/proc/stat").ok()?.lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok())
}

fn open_files_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_process_is_measured() {
        let mut out = Text::default();
        report(&mut out);
        let out = out.into_string();
        let value = |name: &str| -> f64 {
            let line = out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {out}"));
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6 && value("process_cpu_seconds_total") >= 0.0, "{out}");
        assert!((3.0..=value("process_max_fds")).contains(&value("process_open_fds")), "{out}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "started {age} seconds ago");
    }
}
