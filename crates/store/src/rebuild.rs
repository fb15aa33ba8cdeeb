//! Datasets rebuilt without some of their items.

use std::collections::HashSet;

use retort_model::{JobKind, JobState, Time};

use crate::columns::PURGED;
use crate::cut::{cut, set_totals};
use crate::datasets::{Dataset, Without, made_by};
use crate::dialect::Connection;
use crate::error::Error;
use crate::items::table;
use crate::job::{Job, refuse_taken};
use crate::jobs::add_job;
use crate::statement::Statement;
use crate::store::take_turn;

/// A dataset that is to be rebuilt.
#[derive(Clone, Copy, Debug)]
pub struct Rebuild<'r> {
    /// The dataset.
    pub dataset: &'r Dataset,
    /// What it leaves out.
    pub without: Without<'r>,
    /// Whether items without a record in the dataset are left out, too: it was made from a sample.
    pub only_written: bool,
    /// Whether the new one takes the place and the name of the old one when it is there.
    pub replace: bool,
    /// The number of the person who asks; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// The name of the new one.
    pub name: &'r str,
    /// What is to be done.
    pub plan: &'r str,
    /// Bytes of history after which a next part begins.
    pub part_bytes: u64,
}

/// What a rebuilt dataset would leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    /// Items of the dataset's selection.
    pub selected: u64,
    /// How many of them are left out.
    pub count: u64,
    /// Those of some ids that are left out.
    pub ids: HashSet<String>,
}

impl crate::Store {
    /// What a rebuilt dataset would leave out, and which of the ids `named`.
    pub fn leaving(
        &self,
        dataset: &Dataset,
        without: Without<'_>,
        named: &HashSet<String>,
    ) -> Result<Leaving, Error> {
        self.read(|connection| {
            let made = made_by(connection, dataset)?;
            let mut statement = Statement::new("SELECT c.id");
            push_leaving(&mut statement, &made, without, false);
            let (mut ids, mut count) = (HashSet::new(), 0);
            connection.each(&statement.sql, &statement.values(), &mut |row| {
                count += 1;
                let id = row.text(0)?;
                if named.contains(&id) {
                    ids.insert(id);
                }
                Ok(())
            })?;
            Ok(Leaving { selected: number_of_items(connection, made.id)?, count, ids })
        })
    }

    /// The last export that was queued to take the place of a dataset, and its state.
    pub fn rebuild_of(&self, dataset: i64) -> Result<Option<(i64, JobState)>, Error> {
        let sql = "SELECT id, state FROM job WHERE replaces = $1 ORDER BY id DESC LIMIT 1";
        self.read(|connection| {
            connection.row(sql, &[dataset.into()], |row| {
                Ok((row.int(0)?, row.text(1)?.parse().map_err(Error::Damaged)?))
            })
        })
    }

    /// Queues an export of what a dataset was made of, without some of it, as a job of the dataset's maker.
    ///
    /// # Errors
    /// The name is in use; the dataset is being rebuilt, or is gone; those of the database.
    pub fn submit_rebuild(&self, rebuild: &Rebuild<'_>, now: Time) -> Result<i64, Error> {
        let dataset = rebuild.dataset;
        self.write(|connection| {
            take_turn(connection)?;
            let made = made_by(connection, dataset)?;
            if rebuild.replace {
                refuse_second(connection, dataset.id)?;
            } else {
                refuse_taken(connection, made.project, &made.creator, rebuild.name, None)?;
            }
            let who = (&*made.creator, rebuild.person, made.needs);
            let texts = (rebuild.name, rebuild.plan);
            let job = add_job(connection, made.project, JobKind::Export, who, texts, now)?;
            let sql = "UPDATE job SET items = $1, replaces = $2 WHERE id = $3";
            let replaces = rebuild.replace.then_some(dataset.id);
            connection.execute(sql, &[made.items.as_str().into(), replaces.into(), job.into()])?;
            copy(connection, &made, rebuild, job)?;
            cut(connection, job, rebuild.part_bytes)?;
            set_totals(connection, job)?;
            Ok(job)
        })
    }
}

fn number_of_items(connection: &mut Connection, job: i64) -> Result<u64, Error> {
    let sql = "SELECT COUNT(*) FROM job_item WHERE job = $1";
    let count = connection.row(sql, &[job.into()], |row| row.int(0))?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// Refuses to rebuild a dataset a second time meanwhile: both would take its place.
fn refuse_second(connection: &mut Connection, dataset: i64) -> Result<(), Error> {
    let sql = "SELECT id FROM job WHERE replaces = $1 AND state IN ('queued', 'running')";
    match connection.row(sql, &[dataset.into()], |row| row.int(0))? {
        Some(job) => Err(Error::Rebuilding(job)),
        None => Ok(()),
    }
}

/// Appends `FROM …` for the frozen items (`i`) of an export that are to be left out.
fn push_leaving(statement: &mut Statement, made: &Job, without: Without<'_>, only_written: bool) {
    let table = table(made.items);
    statement.push(&format!(" FROM job_item i JOIN {table} c ON c.key = i.item WHERE i.job = "));
    statement.int(made.id).push(" AND (c.status = ").int(PURGED);
    if only_written {
        statement.push(
            " OR EXISTS (SELECT 1 FROM job_left_out o WHERE o.job = i.job AND o.ordinal = i.ordinal)",
        );
    }
    let (columns, text) = without.columns(made.items);
    for column in columns {
        statement.push(&format!(" OR c.{column} = ")).key(text);
    }
    statement.push(")");
}

/// Copies the frozen items of an export that stay. Each has as many bytes as before.
fn copy(
    connection: &mut Connection,
    made: &Job,
    rebuild: &Rebuild<'_>,
    job: i64,
) -> Result<(), Error> {
    let mut copy = Statement::new(
        "INSERT INTO job_item (job, ordinal, item, body, status, title, tags, ends) SELECT CAST(",
    );
    copy.int(job).push(
        " AS BIGINT), ROW_NUMBER() OVER (ORDER BY s.ordinal), s.item, s.body, s.status, s.title, s.tags,
          CAST(SUM(s.size) OVER (ORDER BY s.ordinal) AS BIGINT)
          FROM (SELECT i.*, i.ends - COALESCE(LAG(i.ends) OVER (ORDER BY i.ordinal), 0) AS size
                FROM job_item i WHERE i.job = ",
    );
    copy.int(made.id).push(") s WHERE s.ordinal NOT IN (SELECT i.ordinal");
    push_leaving(&mut copy, made, rebuild.without, rebuild.only_written);
    copy.push(")");
    connection.execute(&copy.sql, &copy.values())?;
    // What is copied is what stays: a damaged page leaves out nothing in silence.
    let before = number_of_items(connection, made.id)?;
    let copied = number_of_items(connection, job)?;
    let mut count = Statement::new("SELECT COUNT(*)");
    push_leaving(&mut count, made, rebuild.without, rebuild.only_written);
    let left = connection.row(&count.sql, &count.values(), |row| row.int(0))?.unwrap_or(0);
    let expected = before.saturating_sub(left.unsigned_abs());
    if copied == expected {
        return Ok(());
    }
    Err(Error::Damaged(format!(
        "{expected} items of job {} are to be copied, but {copied} were",
        made.id
    )))
}
