//! What a person said about items that others hold: conversations and runs that they judged or in which they corrected an
//! answer.

use retort_model::ItemKind;

use crate::body::BodyHead;
use crate::columns::whole;
use crate::conversations::{drop_body, is_exporting};
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::items::{insert_bodies, unpack_stored, write_bodies};
use crate::judged_by::push_judged;
use crate::run_features::RunFeatureColumns;
use crate::runs::{IncomingRun, marks_of};
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
    /// How many conversations and how many runs that others hold a person judged, or corrected an answer of.
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

    /// Replaces the body `was` of a run, unless it has another by now; whether it was replaced. The states may differ in
    /// what people say of the run and in its metadata.
    pub fn change_judged_run(
        &self,
        (key, was): (i64, i64),
        run: &IncomingRun,
    ) -> Result<bool, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let body = next(connection, "body", 1)?;
            let sql = format!(
                "UPDATE run SET body = $1, size = $2, digest = $3, marks = $4, least_score = $5, most_score = $6, judges = $7,
                     {CHANGED_NOW}
                 WHERE key = $8 AND body = $9"
            );
            let columns = RunFeatureColumns::from(&run.features);
            let [_, least, most, _, judges] = columns.values();
            let values = [
                body.into(),
                Value::Int(whole(run.size)),
                Value::Bytes(&run.digest),
                Value::Int(marks_of(run)),
                least,
                most,
                judges,
                key.into(),
                was.into(),
            ];
            if connection.execute(&sql, &values)? == 0 {
                return Ok(false);
            }
            write_bodies(connection, &insert_bodies(1), std::iter::once(&run.body), body)?;
            let exporting = is_exporting(connection)?;
            drop_body(connection, was, exporting)?;
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
