//! What a person said about items that others hold: conversations that they judged or in which they corrected an answer,
//! and runs whose answer they corrected.

use retort_model::ItemKind;

use crate::body::BodyHead;
use crate::columns::{key_text, whole};
use crate::conversations::drop_body;
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::items::{insert_bodies, unpack_stored, write_bodies};
use crate::judged_by::push_judged;
use crate::runs::IncomingRun;
use crate::statement::Statement;
use crate::store::{CHANGED_NOW, next, take_turn};

/// An item about which a person said something, with its canonical line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JudgedItem {
    /// Its number.
    pub key: i64,
    /// The number of its body, which a change of it replaces.
    pub body: i64,
    /// The source's id.
    pub id: String,
    /// Its canonical line.
    pub line: Vec<u8>,
}

impl crate::Store {
    /// How many conversations that others hold a person judged, and of how many runs of others they corrected the answer.
    pub fn judged_by(&self, project: i64, name: &str) -> Result<[u64; 2], Error> {
        self.read(|connection| {
            let mut of = |kind| {
                let mut statement = Statement::new("SELECT COUNT(*)");
                push_judged(&mut statement, connection.dialect(), kind, (project, name), false);
                let count =
                    connection.row(&statement.sql, &statement.values(), |row| row.int(0))?;
                Ok::<_, Error>(count.unwrap_or(0).unsigned_abs())
            };
            Ok([of(ItemKind::Conversation)?, of(ItemKind::Run)?])
        })
    }

    /// The next item of a kind, behind the one with the number `behind`, about which a person said something and that
    /// others hold.
    pub fn next_judged(
        &self,
        kind: ItemKind,
        (project, name): (i64, &str),
        behind: i64,
    ) -> Result<Option<JudgedItem>, Error> {
        let mut unpacker = self.unpacker();
        self.read(|connection| {
            let mut statement = Statement::new("SELECT c.key, c.body, c.id, c.size");
            push_judged(&mut statement, connection.dialect(), kind, (project, name), true);
            statement.push(" AND c.key > ").int(behind).push(" ORDER BY c.key LIMIT 1");
            let found = connection.row(&statement.sql, &statement.values(), |row| {
                let item = JudgedItem {
                    key: row.int(0)?,
                    body: row.int(1)?,
                    id: row.text(2)?,
                    line: Vec::new(),
                };
                Ok((item, usize::try_from(row.int(3)?).unwrap_or(usize::MAX)))
            })?;
            let Some((mut item, size)) = found else { return Ok(None) };
            let stored = (item.body, BodyHead { size, ..BodyHead::default() });
            unpack_stored(connection, &mut unpacker, kind, stored, &mut item.line)?;
            Ok(Some(item))
        })
    }

    /// Puts another state of a run in the place of the one that was read, if it still is that; whether it was. Only what
    /// its metadata say may differ.
    pub fn change_run_metadata(&self, was: &JudgedItem, run: &IncomingRun) -> Result<bool, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let body = next(connection, "body", 1)?;
            let sql = format!(
                "UPDATE run SET body = $1, size = $2, digest = $3, corrected_by = $4, {CHANGED_NOW}
                 WHERE key = $5 AND body = $6"
            );
            let corrected_by = run.features.corrected_by.as_deref().map(key_text);
            let values = [
                body.into(),
                Value::Int(whole(run.size)),
                Value::Bytes(&run.digest),
                corrected_by.as_deref().into(),
                was.key.into(),
                was.body.into(),
            ];
            if connection.execute(&sql, &values)? == 0 {
                return Ok(false);
            }
            write_bodies(connection, &insert_bodies(1), std::iter::once(&run.body), body)?;
            drop_body(connection, was.body, false)?;
            Ok(true)
        })
    }

    /// Deletes the earlier states of an item that exports under way still have: they read its newest one instead.
    pub fn forget_earlier_states(&self, item: i64) -> Result<(), Error> {
        self.write(|connection| forget_earlier(connection, item))
    }
}

fn forget_earlier(connection: &mut Connection, item: i64) -> Result<(), Error> {
    let sql = "DELETE FROM body WHERE superseded = 1
               AND key IN (SELECT body FROM job_item WHERE item = $1)";
    connection.execute(sql, &[item.into()]).map(|_| ())
}
