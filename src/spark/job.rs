//! One job: its command line, its run, its results.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::SparkError;
use super::answer::{Answer, read};
use super::script::unpack;
use crate::analysis::Analysis;

/// How often a running job is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Bytes of the end of a failed job's output that are looked through for what to tell.
const TAIL_BYTES: u64 = 64 << 10;
/// Lines of it that are told.
const TAIL_LINES: usize = 20;
/// What the job begins the line with that says what is wrong with its input or its options.
const COMPLAINT: &str = "error: ";

/// Analyses to be run by Spark.
#[derive(Clone)]
pub struct SparkJob {
    /// The program `spark-submit`.
    pub submit: PathBuf,
    /// Spark's master; `None` leaves it to Spark's configuration.
    pub master: Option<String>,
    /// Further settings of Spark, `NAME=VALUE`.
    pub settings: Vec<String>,
    /// Parquet files or folders as `cartlog export` writes them, wherever Spark can read.
    pub input: Vec<String>,
    /// The events that count, as a condition of the definitions' SQL; all if `None`.
    pub condition: Option<String>,
    /// Parameters of the analyses, `NAME=VALUE`.
    pub parameters: Vec<String>,
    /// The analyses.
    pub analyses: Vec<&'static dyn Analysis>,
}

/// The program `spark-submit`: the named one, else that of `SPARK_HOME`, else the first on the `PATH`.
///
/// # Errors
/// [`SparkError::NotFound`].
pub fn find_submit(named: Option<&Path>) -> Result<PathBuf, SparkError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let home = std::env::var_os("SPARK_HOME").map(|home| PathBuf::from(home).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = home.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join("spark-submit"));
    found.find(|file| file.is_file()).ok_or(SparkError::NotFound)
}

impl SparkJob {
    /// Runs the job and gives the answers in the order of the analyses. `folder` is for its files on this machine, and is
    /// there; `is_stopped` is asked again and again whether to end it early.
    ///
    /// # Errors
    /// [`SparkError`]; of a job that failed, with the last lines of its output.
    pub fn run(&self, folder: &Path, is_stopped: impl Fn() -> bool) -> Result<Vec<Answer>, SparkError> {
        let script = unpack(&folder.join("job"))?;
        let (results, log) = (folder.join("results"), folder.join("spark.log"));
        fs::create_dir_all(&results).map_err(SparkError::file(&results))?;
        let output = File::create(&log).map_err(SparkError::file(&log))?;
        let errors = output.try_clone().map_err(SparkError::file(&log))?;
        let mut command = self.command(&script, &results);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let start = |reason| SparkError::Start { submit: self.submit.clone(), reason };
        let status = wait(command.spawn().map_err(start)?, is_stopped).map_err(SparkError::file(&self.submit))?;
        match status {
            None => Err(SparkError::Stopped),
            Some(status) if status.success() => {
                self.analyses.iter().map(|analysis| read(*analysis, &results)).collect()
            }
            Some(status) => Err(SparkError::Failed { status: status.to_string(), tail: tail(&log) }),
        }
    }

    fn command(&self, script: &Path, results: &Path) -> Command {
        let mut command = Command::new(&self.submit);
        // The driver is to run here: it writes the results to this machine.
        command.args(["--deploy-mode", "client", "--name", "cartlog analyses"]);
        if let Some(master) = &self.master {
            command.args(["--master", master]);
        }
        for setting in &self.settings {
            command.args(["--conf", setting]);
        }
        command.arg(script).arg("--collect").arg(results).arg("--input").args(&self.input);
        if let Some(condition) = &self.condition {
            command.args(["--where", condition]);
        }
        for parameter in &self.parameters {
            command.args(["--set", parameter]);
        }
        command.arg("--analysis").args(self.analyses.iter().map(|analysis| analysis.name()));
        command
    }
}

/// Waits for a job to end; gives nothing if it was stopped.
fn wait(mut child: Child, is_stopped: impl Fn() -> bool) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if is_stopped() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// What to tell of a failed job's output: its own complaint if it has one, else its last lines.
fn tail(log: &Path) -> String {
    let text = read_tail(log).unwrap_or_else(|error| format!("{}: {error}", log.display()));
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.iter().rfind(|line| line.starts_with(COMPLAINT)) {
        Some(complaint) => (*complaint).to_owned(),
        None => lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"),
    }
}

fn read_tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::analysis::find;

    /// Held while a test writes a program and starts it: a process that another test starts just then would have the file
    /// open for writing as well, and a program that is being written can't be started.
    static WRITING: Mutex<()> = Mutex::new(());

    /// A job whose `spark-submit` is a shell script.
    fn job(folder: &Path, script: &str) -> SparkJob {
        let submit = folder.join("spark-submit");
        fs::write(&submit, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&submit, fs::Permissions::from_mode(0o755)).unwrap();
        SparkJob {
            submit,
            master: Some("local[2]".to_owned()),
            settings: vec!["spark.a=b".to_owned()],
            input: vec!["s3a://shop/events".to_owned()],
            condition: Some("brand = 'a b'".to_owned()),
            parameters: vec!["limit=3".to_owned()],
            analyses: vec![find("top_categories").unwrap()],
        }
    }

    #[test]
    fn the_job_is_given_what_it_needs_and_nothing_by_way_of_a_shell() {
        let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let job = job(folder.path(), "printf '%s\\n' \"$@\"; exit 3");
        let told = job.run(folder.path(), || false).err().unwrap().to_string();
        for part in [
            "exit status: 3",
            "\nclient\n",
            "--master\nlocal[2]",
            "--conf\nspark.a=b",
            "\nbrand = 'a b'\n",
            "--set\nlimit=3",
            "--input\ns3a://shop/events",
            "--analysis\ntop_categories",
            "analyze.py\n--collect",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_complaint_of_the_job_stands_for_all_it_said() {
        let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let job = job(folder.path(), "echo noise; echo 'error: no column brand' >&2; echo 'INFO bye'; exit 1");
        let told = job.run(folder.path(), || false).err().unwrap().to_string();
        assert!(told.ends_with(":\nerror: no column brand"), "{told}");
    }

    #[test]
    fn a_job_can_be_stopped_and_one_that_is_not_there_is_named() {
        let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let job = job(folder.path(), "exec sleep 60");
        assert!(matches!(job.run(folder.path(), || true), Err(SparkError::Stopped)));
        let absent = SparkJob { submit: folder.path().join("absent"), ..job };
        assert!(absent.run(folder.path(), || false).err().unwrap().to_string().contains("absent: can't be started"));
    }
}
