//! The bytes of a SQLite file beneath its rows: what erases the last copies of rows that were purged.

use crate::error::Error;

/// A SQLite file up to this size is rewritten with each purge, in a fraction of a second. A larger one a worker rewrites
/// within the hour, as others cannot write meanwhile.
const REWRITTEN_AT_ONCE_BYTES: u64 = 16 << 20;

impl crate::Store {
    /// Rewrites the file of a SQLite store: where SQLite moves rows from page to page, it leaves copies behind that
    /// deleting a row does not reach. Others cannot write meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub fn rewrite_file(&self) -> Result<(), Error> {
        if self.file().is_none() {
            return Ok(());
        }
        self.read(|connection| connection.script("VACUUM"))?;
        self.write(|connection| {
            connection.execute("DELETE FROM meta WHERE name = 'rewrite'", &[]).map(|_| ())
        })?;
        self.empty_log()
    }

    /// Whether a purge left the file to be rewritten.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_rewrite_due(&self) -> Result<bool, Error> {
        let sql = "SELECT value FROM meta WHERE name = 'rewrite'";
        Ok(self.read(|connection| connection.row(sql, &[], |row| row.text(0)))?.is_some())
    }

    /// Rewrites the file if a purge left that to be done.
    ///
    /// # Errors
    /// Those of the database.
    pub fn rewrite_file_if_due(&self) -> Result<(), Error> {
        if self.is_rewrite_due()? { self.rewrite_file() } else { Ok(()) }
    }

    /// Rewrites a small file at once, and leaves a large one, and one that others write to, to a worker.
    pub(crate) fn rewrite_now_or_later(&self) -> Result<(), Error> {
        let Some(file) = self.file() else { return Ok(()) };
        let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        self.write(|connection| {
            let sql = "INSERT INTO meta (name, value) VALUES ('rewrite', 'due')
                       ON CONFLICT (name) DO NOTHING";
            connection.execute(sql, &[]).map(|_| ())
        })?;
        if bytes > REWRITTEN_AT_ONCE_BYTES {
            return Ok(());
        }
        match self.rewrite_file() {
            // What was purged is purged; the rest can wait.
            Err(Error::Busy | Error::Full | Error::Stopped) => Ok(()),
            done => done,
        }
    }
}
