//! The parts of exports. The worker that holds a job makes its parts one after another, and workers that have nothing
//! else to do help: each part is taken by itself, with a lease of its own. A worker holds a part by the number of
//! the attempt, so a worker that lost the part to another is refused, even within one process.

use retort_model::{JobState, Time};

use crate::Store;
use crate::claims::far;
use crate::columns::whole;
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::job::{JOB, Job, read_job};
use crate::jobs::{held, still_held};

/// A part of an export: some items in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    /// Its place among the parts, from 0.
    pub number: u64,
    /// Its first item.
    pub first: u64,
    /// Its last.
    pub last: u64,
    /// Bytes of history in it.
    pub bytes: u64,
    /// How often it was taken.
    pub attempt: u64,
    /// What came of it, as the service wrote it; none if it is to be done.
    pub result: Option<String>,
}

/// How much of an export is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardsDone {
    /// Items of finished parts.
    pub items: u64,
    /// Bytes of history, also in parts under way.
    pub bytes: u64,
    /// Records, also in parts under way.
    pub records: u64,
}

const SHARD: &str = "number, first, last, bytes, attempt, result";

fn read_shard(row: &Row<'_>) -> Result<Shard, Error> {
    let count = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
    Ok(Shard {
        number: count(0)?,
        first: count(1)?,
        last: count(2)?,
        bytes: count(3)?,
        attempt: count(4)?,
        result: row.text_or_none(5)?,
    })
}

impl Store {
    /// The parts of an export.
    pub fn shards(&self, job: i64) -> Result<Vec<Shard>, Error> {
        let sql = format!("SELECT {SHARD} FROM job_shard WHERE job = $1 ORDER BY number");
        self.read(|connection| connection.rows(&sql, &[job.into()], read_shard))
    }

    /// How many parts of an export are not finished.
    pub fn unfinished_shards(&self, job: i64) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) FROM job_shard WHERE job = $1 AND result IS NULL";
        let count = self.read(|connection| connection.row(sql, &[job.into()], |row| row.int(0)))?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    /// How much of an export is done, but for one part.
    pub fn shards_done(&self, job: i64, but: Option<u64>) -> Result<ShardsDone, Error> {
        let sql = "SELECT
                CAST(COALESCE(SUM(CASE WHEN result IS NOT NULL THEN last - first + 1 END), 0) AS BIGINT),
                CAST(COALESCE(SUM(bytes_done), 0) AS BIGINT), CAST(COALESCE(SUM(records), 0) AS BIGINT)
            FROM job_shard WHERE job = $1 AND number <> $2";
        let values = [job.into(), Value::Int(but.map_or(-1, whole))];
        let done = self.read(|connection| {
            connection.row(sql, &values, |row| {
                let count = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
                Ok(ShardsDone { items: count(0)?, bytes: count(1)?, records: count(2)? })
            })
        })?;
        Ok(done.unwrap_or_default())
    }

    /// Keeps what all parts of an export share, as the service wrote it. From then on other workers may help.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn prepare(&self, job: i64, worker: &str, prepared: &str) -> Result<(), Error> {
        let sql =
            "UPDATE job SET prepared = $1 WHERE id = $2 AND worker = $3 AND state = 'running'";
        let values = [prepared.into(), job.into(), worker.into()];
        still_held(self.write(|connection| connection.execute(sql, &values))?)
    }

    /// Takes a part for the worker that holds the job: the first that nobody makes, or whose worker has not been heard
    /// of. None if there is none.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn take_shard(
        &self,
        job: i64,
        worker: &str,
        now: Time,
        lease_until: Time,
    ) -> Result<Option<Shard>, Error> {
        self.write(|connection| {
            held(connection, job, worker)?;
            let free = "(lease_until IS NULL OR lease_until < $3 OR lease_until > $4)";
            let bounds = [Value::Int(now.unix_micros()), Value::Int(far(now, lease_until))];
            take(connection, job, lease_until, free, &bounds)
        })
    }

    /// Takes a part of a job that another worker holds, if there is one that nobody has taken. The first part is the
    /// holder's, and so is what another worker did not finish: what ends workers ends no more than one of those who
    /// help.
    pub fn help(
        &self,
        worker: &str,
        now: Time,
        lease_until: Time,
    ) -> Result<Option<(Job, Shard)>, Error> {
        let sql = format!(
            "{JOB} j WHERE state = 'running' AND kind = 'export' AND cancel = 0 AND prepared IS NOT NULL
                 AND worker <> $1 AND lease_until >= $2 AND lease_until <= $3
                 AND EXISTS (SELECT 1 FROM job_shard s WHERE s.job = j.id AND s.number > 0
                     AND s.result IS NULL AND s.lease_until IS NULL)
             ORDER BY created_at, id LIMIT 1"
        );
        let (from, far) = (Value::Int(now.unix_micros()), Value::Int(far(now, lease_until)));
        let values = [worker.into(), from, far];
        let found = self.read(|connection| connection.row(&sql, &values, read_job))?;
        let Some(job) = found else { return Ok(None) };
        let free = "number > 0 AND lease_until IS NULL";
        let shard = self.write(|connection| take(connection, job.id, lease_until, free, &[]))?;
        Ok(shard.map(|shard| (job, shard)))
    }

    /// Says that the worker that took a part is still at it, and how much of it is done.
    ///
    /// # Errors
    /// It has lost the part, or the job is to end; those of the database.
    pub fn keep_shard(
        &self,
        job: i64,
        shard: &Shard,
        (bytes, records): (u64, u64),
        lease_until: Time,
    ) -> Result<(), Error> {
        let sql = "UPDATE job_shard SET lease_until = $1, bytes_done = $2, records = $3
                   WHERE job = $4 AND number = $5 AND attempt = $6 AND result IS NULL AND lease_until IS NOT NULL
                       AND EXISTS (SELECT 1 FROM job WHERE id = $4 AND cancel = 0 AND state IN ('queued', 'running'))";
        let values = [
            Value::Int(lease_until.unix_micros()),
            Value::Int(whole(bytes)),
            Value::Int(whole(records)),
            job.into(),
            Value::Int(whole(shard.number)),
            Value::Int(whole(shard.attempt)),
        ];
        still_held(self.write(|connection| connection.execute(sql, &values))?)
    }

    /// Keeps what came of a part, how many records it has, and which of its items nothing was written of.
    ///
    /// # Errors
    /// Its worker has lost it, or the job has ended; those of the database.
    pub fn finish_shard(
        &self,
        job: i64,
        shard: &Shard,
        (result, records): (&str, u64),
        left_out: &[u64],
    ) -> Result<(), Error> {
        self.write(|connection| {
            // It came forward, so the count of attempts begins anew.
            let sql = "UPDATE job SET attempts = CASE WHEN state = 'running' THEN 1 ELSE attempts END
                       WHERE id = $1 AND state IN ('queued', 'running')";
            still_held(connection.execute(sql, &[job.into()])?)?;
            let sql = "UPDATE job_shard SET result = $1, records = $2, bytes_done = bytes, lease_until = NULL
                       WHERE job = $3 AND number = $4 AND attempt = $5 AND result IS NULL
                           AND lease_until IS NOT NULL";
            let values = [
                result.into(),
                Value::Int(whole(records)),
                job.into(),
                Value::Int(whole(shard.number)),
                Value::Int(whole(shard.attempt)),
            ];
            still_held(connection.execute(sql, &values)?)?;
            // It may have been made before.
            let sql = "DELETE FROM job_left_out WHERE job = $1 AND ordinal >= $2 AND ordinal <= $3";
            let [first, last] = [shard.first, shard.last].map(|place| Value::Int(whole(place)));
            connection.execute(sql, &[job.into(), first, last])?;
            for &ordinal in left_out {
                let sql = "INSERT INTO job_left_out (job, ordinal) VALUES ($1, $2)";
                connection.execute(sql, &[job.into(), Value::Int(whole(ordinal))])?;
            }
            Ok(())
        })
    }

    /// Lets go of a part that was not finished. Unless `for_all`, only the worker that holds the job takes it then: it
    /// failed here. One that was lost to another worker stays with it.
    pub fn free_shard(&self, job: i64, shard: &Shard, for_all: bool) -> Result<(), Error> {
        let sql = "UPDATE job_shard SET lease_until = $1, bytes_done = 0, records = 0
                   WHERE job = $2 AND number = $3 AND attempt = $4 AND result IS NULL AND lease_until IS NOT NULL";
        let values = [
            (!for_all).then_some(0).into(),
            job.into(),
            Value::Int(whole(shard.number)),
            Value::Int(whole(shard.attempt)),
        ];
        self.write(|connection| connection.execute(sql, &values)).map(|_| ())
    }

    /// Has a finished part made again.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn reopen_shard(&self, job: i64, worker: &str, number: u64) -> Result<(), Error> {
        self.write(|connection| {
            held(connection, job, worker)?;
            let sql = "UPDATE job_shard SET result = NULL, bytes_done = 0, records = 0
                       WHERE job = $1 AND number = $2 AND result IS NOT NULL";
            connection.execute(sql, &[job.into(), Value::Int(whole(number))]).map(|_| ())
        })
    }

    /// Forgets what came of the parts of an export that has ended without a dataset: a retry does them anew. Says
    /// whether another worker was still at one of them.
    pub fn forget_parts(&self, job: i64, now: Time) -> Result<bool, Error> {
        self.write(|connection| {
            let sql = "UPDATE job SET prepared = NULL WHERE id = $1 AND state IN ($2, $3)";
            let ended = JobState::FAILED.map(JobState::as_str);
            let values = [job.into(), ended[0].into(), ended[1].into()];
            if connection.execute(sql, &values)? == 0 {
                return Ok(false);
            }
            let sql = "SELECT COUNT(*) FROM job_shard WHERE job = $1 AND lease_until >= $2";
            let values = [job.into(), Value::Int(now.unix_micros())];
            let under_way = connection.row(sql, &values, |row| row.int(0))?.unwrap_or(0);
            let sql = "UPDATE job_shard SET result = NULL, lease_until = NULL, bytes_done = 0, records = 0
                       WHERE job = $1";
            connection.execute(sql, &[job.into()])?;
            connection.execute("DELETE FROM job_left_out WHERE job = $1", &[job.into()])?;
            Ok(under_way > 0)
        })
    }
}

/// Takes the first part that is to be done and free.
fn take(
    connection: &mut Connection,
    job: i64,
    lease_until: Time,
    free: &str,
    bounds: &[Value<'_>],
) -> Result<Option<Shard>, Error> {
    let skip_locked = connection.dialect().skip_locked();
    let sql = format!(
        "UPDATE job_shard SET attempt = attempt + 1, lease_until = $1, bytes_done = 0, records = 0
         WHERE job = $2 AND number = (SELECT number FROM job_shard WHERE job = $2 AND result IS NULL AND {free}
             ORDER BY number LIMIT 1{skip_locked})
         RETURNING {SHARD}"
    );
    let mut values = vec![Value::Int(lease_until.unix_micros()), job.into()];
    values.extend_from_slice(bounds);
    connection.row(&sql, &values, read_shard)
}
