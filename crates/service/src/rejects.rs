//! Lists of what imports by a server could not read: a file for each import, in the storage of the datasets, kept for as
//! long as its job.

use std::io::{self, Write};

use retort_engine::Error as EngineError;
use retort_engine::NewFile;
use retort_engine::Prefix;
use retort_engine::Storage;
use retort_formats::file::ReadSeek;
use retort_model::JobKind;
use retort_model::bounds::REJECTS_BYTES;
use retort_store::{Job, Store};

use crate::caller::Caller;
use crate::error::Error;
use crate::import::ImportReport;
use crate::service::Service;

/// Where the lists are in the storage of the datasets.
pub(crate) const REJECTS: &str = "rejects";

/// The list of what an import could not read, as lines of `rejects.jsonl`.
pub struct Rejects {
    /// Its bytes.
    pub bytes: u64,
    /// The file.
    pub file: Box<dyn ReadSeek>,
}

/// The key of a job's list below [`REJECTS`].
pub(crate) fn rejects_key(store: &Store, job: i64) -> String {
    format!("{}-{job}", store.identity())
}

/// The list of an import under way. Its file is created with the first line; it keeps whole lines up to a bound and
/// counts the rest.
pub(crate) struct RejectsFile {
    storage: Prefix,
    key: String,
    file: Option<Box<dyn NewFile>>,
    bytes: u64,
    /// Lines beyond the bound.
    pub(crate) omitted: u64,
}

impl RejectsFile {
    /// Writes everything that is still held; returns the bytes of the list, if there is one. What an earlier attempt
    /// left is gone.
    pub(crate) fn finish(&mut self) -> Result<Option<u64>, Error> {
        let Some(file) = self.file.take() else {
            self.storage.remove(&self.key)?;
            return Ok(None);
        };
        file.finish()
            .map_err(|error| EngineError::write(&self.storage.describe(&self.key), error))?;
        Ok(Some(self.bytes))
    }
}

impl Write for RejectsFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(REJECTS_BYTES - self.bytes).unwrap_or(usize::MAX);
        let kept = if self.omitted > 0 { 0 } else { whole_lines(lines, room) };
        let (kept, omitted) = lines.split_at_checked(kept).unwrap_or((lines, &[]));
        self.omitted += omitted.iter().filter(|byte| **byte == b'\n').count() as u64;
        if !kept.is_empty() {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(self.storage.create(&self.key).map_err(io::Error::other)?),
            };
            file.write_all(kept)?;
            self.bytes += kept.len() as u64;
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of the lines that fit into the room.
fn whole_lines(lines: &[u8], room: usize) -> usize {
    if lines.len() <= room {
        return lines.len();
    }
    let fitting = lines.get(..room).unwrap_or_default();
    fitting.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

impl Service {
    pub(crate) fn rejects_file(&self, job: &Job) -> RejectsFile {
        let storage = self.objects.below(REJECTS);
        let key = rejects_key(&self.store, job.id);
        RejectsFile { storage, key, file: None, bytes: 0, omitted: 0 }
    }

    /// Opens the list of what one of the caller's imports could not read; none if it read everything. An owner opens that
    /// of anyone's import in the project.
    ///
    /// # Errors
    /// There is no such import, it has not ended, or no list of it is kept; failing I/O; those of the store.
    pub fn rejects(&self, caller: &Caller, id: i64) -> Result<Option<Rejects>, Error> {
        let job = self.job_of(caller, JobKind::Import, id)?;
        if !job.state.is_ended() {
            return Err(Error::Conflict(format!("import {id} has not ended: it is {}", job.state)));
        }
        if let Some(bytes) = job.rejects_bytes {
            let file = self.objects.below(REJECTS).open(&rejects_key(&self.store, id))?;
            return Ok(Some(Rejects { bytes, file }));
        }
        let report = job.report.as_deref().map(serde_json::from_str::<ImportReport>);
        match report {
            Some(Ok(report)) if report.refused_count() == 0 => Ok(None),
            _ => Err(Error::NotFound {
                what: "list of rejected items of import",
                name: id.to_string(),
            }),
        }
    }

    /// Removes the list of an import, if there is one.
    pub(crate) fn clear_rejects(&self, job: i64) -> Result<(), Error> {
        Ok(self.objects.below(REJECTS).remove(&rejects_key(&self.store, job))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_whole_or_not_at_all() {
        for (room, kept) in [(0, 0), (2, 0), (3, 3), (5, 3), (6, 6), (9, 6)] {
            assert_eq!(whole_lines(b"ab\ncd\n", room), kept, "{room}");
        }
        assert_eq!(whole_lines(b"abc", 2), 0);
    }
}
