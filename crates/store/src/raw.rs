//! The bytes of a store beneath its items, for a search that proves what was erased, and what erases the last of them.

use std::io::{self, Read};
use std::path::PathBuf;

use retort_model::ItemKind;
use retort_model::bounds::{ITEM_BYTES, PAGE_ITEMS};
use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer};

use crate::dialect::Value;
use crate::error::Error;
use crate::items::table;

/// A SQLite file up to this size is rewritten with each purge, in a fraction of a second. A larger one a worker rewrites
/// within the hour, as others cannot write meanwhile.
const REWRITTEN_AT_ONCE_BYTES: u64 = 16 << 20;

/// What a body unpacks to at a time.
const STEP_BYTES: usize = 1 << 17;

impl crate::Store {
    /// What bytes unpack to that begin as a body does, as far as they go, and whether that is all of it.
    pub fn unpack_start(&self, packed: &[u8]) -> (Vec<u8>, bool) {
        let mut context = DCtx::create();
        let is_ready = match self.dictionaries.of_frame(packed) {
            Some(dictionary) => {
                dictionary.is_some_and(|one| context.ref_ddict(&one.unpack).is_ok())
            }
            None => true,
        };
        let mut line = Vec::new();
        let mut input = InBuffer::around(packed);
        while is_ready && line.len() < 2 * ITEM_BYTES {
            let start = line.len();
            line.reserve(STEP_BYTES);
            let mut output = OutBuffer::around_pos(&mut line, start);
            let before = input.pos();
            match context.decompress_stream(&mut output, &mut input) {
                Ok(0) => return (line, true),
                Ok(_) if output.pos() > start || input.pos() > before => {}
                _ => break,
            }
        }
        (line, false)
    }

    /// Hands on every body with its key, unpacked; none for one that cannot be.
    pub fn each_body(&self, look: &mut dyn FnMut(i64, Option<&[u8]>)) -> Result<(), Error> {
        self.read(|connection| self.dictionaries.load(connection))?;
        let mut behind = 0;
        loop {
            let sql = format!(
                "SELECT key, bytes FROM body WHERE key > $1 ORDER BY key LIMIT {PAGE_ITEMS}"
            );
            let page = self.read(|connection| {
                connection.rows(&sql, &[Value::Int(behind)], |row| {
                    Ok((row.int(0)?, row.bytes(1)?.unwrap_or_default().to_vec()))
                })
            })?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            behind = *last;
            for (key, packed) in page {
                let (line, is_whole) = self.unpack_start(&packed);
                look(key, is_whole.then_some(&*line));
            }
        }
    }

    /// The item whose body that is: its kind and id; none for an earlier version that an export waits for.
    pub fn item_of_body(&self, body: i64) -> Result<Option<(ItemKind, String)>, Error> {
        for &kind in ItemKind::ALL {
            let sql = format!("SELECT id FROM {} WHERE body = $1", table(kind));
            let id = self
                .read(|connection| connection.row(&sql, &[Value::Int(body)], |row| row.text(0)))?;
            if let Some(id) = id {
                return Ok(Some((kind, id)));
            }
        }
        Ok(None)
    }

    /// Hands on what is in every table but that of the bodies, with the table's name.
    ///
    /// # Errors
    /// Those of the database and of `look`.
    pub fn each_table(
        &self,
        look: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
    ) -> Result<(), Error> {
        self.read(|connection| {
            for table in connection.tables()?.iter().filter(|table| *table != "body") {
                connection.read_table(table, &mut |bytes| look(table, bytes))?;
            }
            Ok(())
        })
    }

    /// The files of a SQLite store: the database, and its logs as far as they are there.
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(file) = self.file() else { return Vec::new() };
        let beside = ["-wal", "-shm", "-journal"].map(|end| {
            let mut name = file.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        });
        [file.to_owned()]
            .into_iter()
            .chain(beside.into_iter().filter(|path| path.exists()))
            .collect()
    }

    /// Rewrites the file of a SQLite store: where SQLite moves rows from page to page, it leaves copies behind that
    /// deleting a row does not reach. Others cannot write meanwhile.
    fn rewrite_file(&self) -> Result<(), Error> {
        if self.file().is_none() {
            return Ok(());
        }
        // In one piece, the index of words keeps no word that nothing has any more.
        self.read(|connection| {
            connection.script(
                "INSERT INTO conversation_words (conversation_words) VALUES ('optimize'); VACUUM",
            )
        })?;
        self.write(|connection| {
            connection.execute("DELETE FROM meta WHERE name = 'rewrite'", &[]).map(|_| ())
        })?;
        self.empty_log()
    }

    /// Whether a purge left the file to be rewritten.
    pub fn is_rewrite_due(&self) -> Result<bool, Error> {
        let sql = "SELECT value FROM meta WHERE name = 'rewrite'";
        Ok(self.read(|connection| connection.row(sql, &[], |row| row.text(0)))?.is_some())
    }

    /// Rewrites the file if a purge left that to be done; whether it had.
    pub fn rewrite_file_if_due(&self) -> Result<bool, Error> {
        let is_due = self.is_rewrite_due()?;
        if is_due {
            self.rewrite_file()?;
        }
        Ok(is_due)
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
