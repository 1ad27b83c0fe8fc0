//! The job's files, carried in this binary.

use std::fs;
use std::path::{Path, PathBuf};

use super::SparkError;

/// The file that `spark-submit` is given; the others stand beside it.
const MAIN: &str = "analyze.py";

/// All files of the job.
const FILES: [(&str, &str); 5] = [
    (MAIN, include_str!("../../spark/analyze.py")),
    ("definitions.py", include_str!("../../spark/definitions.py")),
    ("dialect.py", include_str!("../../spark/dialect.py")),
    ("topic.py", include_str!("../../spark/topic.py")),
    ("analyses.json", include_str!("../../spark/analyses.json")),
];

/// Writes the job into a folder and gives the file to submit.
pub(super) fn unpack(folder: &Path) -> Result<PathBuf, SparkError> {
    fs::create_dir_all(folder).map_err(SparkError::file(folder))?;
    for (name, content) in FILES {
        let path = folder.join(name);
        fs::write(&path, content).map_err(SparkError::file(&path))?;
    }
    Ok(folder.join(MAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_job_is_carried() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/spark");
        let mut there: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        there.retain(|name| name != "README.md" && name != "__pycache__");
        there.sort_unstable();
        let mut carried: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        carried.sort_unstable();
        assert_eq!(carried, there);
    }
}
