//! Checking the store and copying it.

use std::path::Path;
use std::sync::PoisonError;

use retort_model::{ItemKind, Status, Time};

use crate::body::BodyHead;
use crate::columns::{PURGED, number_of_status};
use crate::dialect::{BUSY, Connection, Value};
use crate::error::Error;
use crate::items::table;
use crate::private;
use crate::rehearsal;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub what: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Finding {
    fn new(what: &str, problem: impl Into<String>) -> Self {
        Self { what: what.to_owned(), problem: problem.into() }
    }
}

/// Findings of one kind that are told; a broken disk has as many as it has pages.
const TOLD: usize = 20;

impl crate::Store {
    /// Looks for what is not as it should be; `deep` reads every conversation and run.
    ///
    /// # Errors
    /// The database cannot be asked at all.
    pub fn check(&self, deep: bool, now: Time) -> Result<Vec<Finding>, Error> {
        let mut found = Vec::new();
        if self.learnt_dictionaries()?.1 > 0 {
            found.push(Finding::new(
                "the store's dictionary",
                "an earlier release built it from conversations, so it may contain words of people who were purged; \
                 `retort doctor --repair` recompresses what uses it and deletes it",
            ));
        }
        self.read(|connection| {
            if let Connection::Sqlite(_) = connection {
                structure(connection, &mut found)?;
            }
            relations(connection, now, &mut found)
        })?;
        if deep {
            for &kind in ItemKind::ALL {
                self.check_bodies(kind, &mut found)?;
            }
        }
        Ok(found)
    }

    fn check_bodies(&self, kind: ItemKind, found: &mut Vec<Finding>) -> Result<(), Error> {
        let mut unpacker = self.unpacker();
        let (mut behind, mut line) = (0, Vec::new());
        loop {
            let sql = format!(
                "SELECT c.key, c.id, c.size, b.dictionary, b.crc32, b.bytes FROM {} c
                 JOIN body b ON b.key = c.body WHERE c.key > $1 ORDER BY c.key LIMIT 64",
                table(kind)
            );
            let rows = self.read(|connection| {
                connection.rows(&sql, &[Value::Int(behind)], |row| {
                    let size = usize::try_from(row.int(2)?).unwrap_or(usize::MAX);
                    let head = BodyHead { dictionary: row.int(3)?, crc32: row.int(4)?, size };
                    let bytes = row.bytes(5)?.unwrap_or_default().to_vec();
                    Ok((row.int(0)?, row.text(1)?, head, bytes))
                })
            })?;
            let Some(last) = rows.last() else { return Ok(()) };
            behind = last.0;
            for (_, id, head, bytes) in &rows {
                line.clear();
                if let Err(error) = unpacker.unpack(*head, bytes, &mut line)
                    && found.len() < TOLD
                {
                    found.push(Finding::new(
                        &format!("{kind} `{id}`"),
                        format!("{error}; import it again, or purge it"),
                    ));
                }
            }
        }
    }

    /// Erases what a purge has left behind the rows: people's words in a dictionary of an earlier release, copies in
    /// unused parts of pages, and pages in the log. PostgreSQL keeps old pages until it is told otherwise
    /// (`docs/server.md`).
    pub(crate) fn erase(&self) -> Result<(), Error> {
        if rehearsal::is_under_way() {
            // Nothing is left behind by what is undone.
            return Ok(());
        }
        self.rewrite_bodies()?;
        self.renew_words_if_due()?;
        self.rewrite_now_or_later()?;
        self.empty_log()
    }

    /// Empties SQLite's log. While a reader holds an old snapshot, the last connection to close does it.
    pub(crate) fn empty_log(&self) -> Result<(), Error> {
        self.read(|connection| connection.empty_log(BUSY))
    }

    /// Empties SQLite's log once it has grown beyond its bound. SQLite begins it anew only when a connection finds
    /// nothing left to move, and of several that import at once none ever does: it grew as long as they did.
    pub(crate) fn bound_log(&self) -> Result<(), Error> {
        let Some(file) = self.file() else { return Ok(()) };
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        let size = || std::fs::metadata(&log).map_or(0, |log| log.len());
        // While one empties it, the others wait: what they wrote meanwhile would have no bound.
        let mut bound = self.log_bound.lock().unwrap_or_else(PoisonError::into_inner);
        if size() > bound.at {
            self.read(|connection| connection.empty_log(bound.patience))?;
            bound.at = size() + bound.step;
        } else if size() < bound.step {
            bound.at = bound.step;
        }
        Ok(())
    }

    /// Makes a consistent copy of a SQLite store in a new file, while it is in use.
    ///
    /// # Errors
    /// It is no SQLite store; those of the database.
    pub fn copy_to(&self, path: &Path) -> Result<(), Error> {
        if self.file().is_none() {
            return Err(Error::Sql("a store in PostgreSQL is copied by `pg_dump`".into()));
        }
        private::make_file(path).map_err(|error| Error::Disk(error.to_string()))?;
        let path = path.to_string_lossy();
        self.read(|connection| connection.execute("VACUUM INTO $1", &[Value::Text(&path)]))?;
        Ok(())
    }

    /// How much is in the store: what it is called, and the count.
    pub fn sizes(&self) -> Result<Vec<(&'static str, u64)>, Error> {
        let tables = [
            ("projects", "SELECT COUNT(*) FROM project"),
            ("conversations", "SELECT COUNT(*) FROM conversation WHERE status < 3"),
            ("runs", "SELECT COUNT(*) FROM run WHERE status <> 3"),
            ("documents", "SELECT COUNT(*) FROM document WHERE status <> 3"),
            (
                "purged",
                "SELECT (SELECT COUNT(*) FROM conversation WHERE status = 3)
                     + (SELECT COUNT(*) FROM run WHERE status = 3)",
            ),
            ("datasets", "SELECT COUNT(*) FROM dataset"),
            ("people", "SELECT COUNT(*) FROM person"),
            ("public links", "SELECT COUNT(*) FROM share"),
            ("audit entries", "SELECT COUNT(*) FROM audit"),
            ("open jobs", "SELECT COUNT(*) FROM job WHERE state IN ('queued', 'running')"),
        ];
        let mut sizes = Vec::new();
        self.read(|connection| {
            for (name, sql) in tables {
                let count = connection.row(sql, &[], |row| row.int(0))?.unwrap_or(0);
                sizes.push((name, count.unsigned_abs()));
            }
            Ok(())
        })?;
        Ok(sizes)
    }
}

/// SQLite's own checks.
fn structure(connection: &mut Connection, found: &mut Vec<Finding>) -> Result<(), Error> {
    let sql = format!("PRAGMA integrity_check({TOLD})");
    for problem in connection.rows(&sql, &[], |row| row.text(0))? {
        if problem != "ok" {
            found.push(Finding::new("the database", format!("{problem}; restore a backup")));
        }
    }
    for table in connection.rows("PRAGMA foreign_key_check", &[], |row| row.text(0))? {
        found.push(Finding::new(
            "the database",
            format!("a row of `{table}` refers to a row that does not exist"),
        ));
    }
    for (index, what) in
        [("conversation_words", "the search index"), ("run_search", "the search index of runs")]
    {
        let sql = format!("INSERT INTO {index} ({index}) VALUES ('integrity-check')");
        if let Err(error) = connection.execute(&sql, &[]) {
            found.push(Finding::new(what, error.to_string()));
        }
    }
    Ok(())
}

/// What must hold between the tables.
fn relations(
    connection: &mut Connection,
    now: Time,
    found: &mut Vec<Finding>,
) -> Result<(), Error> {
    let count = |connection: &mut Connection, sql: &str| {
        Ok::<_, Error>(connection.row(sql, &[], |row| row.int(0))?.unwrap_or(0))
    };
    for &kind in ItemKind::ALL {
        let sql = format!(
            "SELECT COUNT(*) FROM {} c LEFT JOIN body b ON b.key = c.body
             WHERE b.key IS NULL AND c.status <> {PURGED}",
            table(kind)
        );
        let bare = count(connection, &sql)?;
        if bare > 0 {
            let problem = format!("{bare} have no content; import them again, or purge them");
            found.push(Finding::new(kind.plural(), problem));
        }
    }
    let sql = "SELECT COUNT(*) FROM body b LEFT JOIN conversation c ON c.body = b.key
               LEFT JOIN run r ON r.body = b.key LEFT JOIN document d ON d.body = b.key
               WHERE b.superseded = 0 AND c.key IS NULL AND r.key IS NULL AND d.key IS NULL";
    let orphans = count(connection, sql)?;
    if orphans > 0 {
        let problem = format!("{orphans} belong to no conversation and no run");
        found.push(Finding::new("bodies", problem));
    }
    let sql = "SELECT COUNT(*) FROM run c LEFT JOIN variant v ON v.key = c.variant
               WHERE c.status <> 3 AND v.key IS NULL";
    let odd = count(connection, sql)?;
    if odd > 0 {
        let problem = format!("{odd} have no version and no nodes; import them again");
        found.push(Finding::new("runs", problem));
    }
    let deleted = number_of_status(Status::Deleted);
    let sql = format!(
        "SELECT COUNT(*) FROM share s JOIN conversation c ON c.key = s.conversation
         WHERE c.status IN ({deleted}, {PURGED})"
    );
    let shared = count(connection, &sql)?;
    if shared > 0 {
        let problem = format!("{shared} lead to deleted conversations; revoke them");
        found.push(Finding::new("public links", problem));
    }
    // As many were added as numbers were given out.
    let sql = "SELECT COALESCE((SELECT value FROM counter WHERE name = 'audit'), 0)
                   - (SELECT COUNT(*) FROM audit)";
    let missing = count(connection, sql)?;
    if missing != 0 {
        let (by, few) = (missing.unsigned_abs(), if missing > 0 { "few" } else { "many" });
        let problem = format!("{by} entries too {few}: someone changed it without Retort");
        found.push(Finding::new("the audit log", problem));
    }
    let sql = "SELECT id, worker FROM job WHERE state = 'running' AND lease_until < $1";
    let abandoned = connection.rows(sql, &[Value::Int(now.unix_micros())], |row| {
        Ok((row.int(0)?, row.text_or_none(1)?.unwrap_or_default()))
    })?;
    for (id, worker) in abandoned {
        let problem =
            format!("its worker `{worker}` is gone; `retort worker --once` takes it over");
        found.push(Finding::new(&format!("job {id}"), problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::Store;
    use crate::store::LogBound;

    /// Writes rows of a megabyte, as other threads do, too; returns the most bytes that the log had.
    fn write_much(store: &Store, log: &Path) -> u64 {
        let mut most = 0;
        let text = "x".repeat(1 << 20);
        for number in 0..60 {
            let name = format!("{number} {:?}", std::thread::current().id());
            let write = store.write(|connection| {
                let sql = "INSERT INTO meta (name, value) VALUES ($1, $2)";
                connection.execute(sql, &[Value::Text(&name), Value::Text(&text)]).map(|_| ())
            });
            write.unwrap();
            most = most.max(log.metadata().unwrap().len());
            store.bound_log().unwrap();
        }
        most
    }

    #[test]
    fn the_log_is_bounded_while_several_connections_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("retort.sqlite");
        let store = Store::open(path.to_str().unwrap(), "one").unwrap();
        let log = PathBuf::from(format!("{}-wal", path.display()));
        let patience = Duration::from_secs(600);
        *store.log_bound.lock().unwrap() = LogBound { step: 16 << 20, at: 16 << 20, patience };
        let most = std::thread::scope(|scope| {
            let writers = [(); 3].map(|()| scope.spawn(|| write_much(&store, &log)));
            writers.map(|writer| writer.join().unwrap())
        });
        // All three write 180 MB. Each may add a row before the log is emptied, which waits until they have.
        assert!(most.into_iter().all(|most| most < 64 << 20), "{most:?}");
        store.log_bound.lock().unwrap().at = 0;
        store.bound_log().unwrap();
        assert_eq!(log.metadata().unwrap().len(), 0);
        assert_eq!(store.log_bound.lock().unwrap().at, 16 << 20);
    }
}
