//! Which job a worker takes next: people take turns, so that nobody waits behind all that someone else asked for.

use retort_model::Time;

use crate::Store;
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::job::{JOB, Job, read_job};
use crate::jobs::{FAR_LEASE_MICROS, end_abandoned};
use crate::served::Asker;
use crate::statement::Statement;

/// Which jobs a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any.
    Any,
    /// The one with this number.
    One(i64),
    /// Those of people of whom no other job runs, so that they need not wait for someone's long one.
    OfIdlePeople,
}

/// Until when the lease of a job counts: from `now` to `far`. One that ends later is of a clock that was wrong.
#[derive(Clone, Copy)]
struct Leases {
    now: i64,
    far: i64,
}

impl Store {
    /// Takes a job for a worker: one that waits, or one whose worker has not been heard of. Of several people who wait,
    /// those come first of whom no job runs, and of these who was served longest ago.
    pub fn claim(
        &self,
        worker: &str,
        wanted: Wanted,
        now: Time,
        lease_until: Time,
    ) -> Result<Option<Job>, Error> {
        self.write(|connection| {
            let far = far(now, lease_until);
            end_abandoned(connection, now, far)?;
            let leases = Leases { now: now.unix_micros(), far };
            let take = |connection: &mut Connection, which: &Which<'_>| {
                take(connection, worker, which, leases, lease_until)
            };
            if let Wanted::One(id) = wanted {
                return take(connection, &Which::One(id));
            }
            let mut waiting = waiting(connection, leases)?;
            if wanted == Wanted::OfIdlePeople {
                waiting.retain(|one| !one.is_busy);
            }
            waiting
                .sort_by_cached_key(|one| (one.is_busy, self.served.last(&one.asker), one.since));
            for one in waiting {
                // Another worker may have taken it meanwhile.
                if let Some(job) = take(connection, &Which::FirstOf(&one.asker))? {
                    self.served.note(one.asker);
                    return Ok(Some(job));
                }
            }
            Ok(None)
        })
    }
}

/// Beyond which moment no lease of this length ends that is not of a clock that was wrong.
pub(crate) fn far(now: Time, lease_until: Time) -> i64 {
    let span = lease_until.unix_micros().saturating_sub(now.unix_micros());
    span.saturating_mul(4).max(FAR_LEASE_MICROS).saturating_add(now.unix_micros())
}

/// Someone whose jobs wait.
struct Waiting {
    asker: Asker,
    /// When the first of them was asked for.
    since: i64,
    /// Whether one runs.
    is_busy: bool,
}

fn waiting(connection: &mut Connection, leases: Leases) -> Result<Vec<Waiting>, Error> {
    let mut statement = Statement::new("SELECT project, creator, MIN(created_at) FROM job WHERE ");
    statement.claimable(leases).push(" GROUP BY project, creator");
    let mut waiting = connection.rows(&statement.sql, &statement.values(), |row| {
        let asker = (row.int(0)?, row.text(1)?);
        Ok(Waiting { asker, since: row.int(2)?, is_busy: false })
    })?;
    if waiting.is_empty() {
        return Ok(waiting);
    }
    let sql = "SELECT DISTINCT project, creator FROM job
               WHERE state = 'running' AND lease_until >= $1 AND lease_until <= $2";
    let values = [Value::Int(leases.now), Value::Int(leases.far)];
    let busy: Vec<Asker> = connection.rows(sql, &values, |row| Ok((row.int(0)?, row.text(1)?)))?;
    for one in &mut waiting {
        one.is_busy = busy.contains(&one.asker);
    }
    Ok(waiting)
}

enum Which<'w> {
    One(i64),
    FirstOf(&'w Asker),
}

fn take(
    connection: &mut Connection,
    worker: &str,
    which: &Which<'_>,
    leases: Leases,
    lease_until: Time,
) -> Result<Option<Job>, Error> {
    let skip_locked = connection.dialect().skip_locked();
    let mut statement = Statement::new("UPDATE job SET state = 'running', worker = ");
    statement.text(worker).push(", lease_until = ").int(lease_until.unix_micros());
    statement.push(", attempts = attempts + 1, started_at = COALESCE(started_at, ");
    statement.int(leases.now).push(") WHERE id = (SELECT id FROM job WHERE ").claimable(leases);
    match which {
        Which::One(id) => statement.push(" AND id = ").int(*id),
        Which::FirstOf((project, creator)) => {
            statement.push(" AND project = ").int(*project).push(" AND creator = ").text(creator)
        }
    };
    statement.push(&format!(" ORDER BY created_at, id LIMIT 1{skip_locked}) RETURNING id"));
    let id = connection.row(&statement.sql, &statement.values(), |row| row.int(0))?;
    let Some(id) = id else { return Ok(None) };
    connection.row(&format!("{JOB} WHERE id = $1"), &[id.into()], read_job)
}

impl Statement {
    /// Appends the condition for jobs that nobody works on.
    fn claimable(&mut self, leases: Leases) -> &mut Self {
        self.push("(state = 'queued' OR (state = 'running' AND (lease_until < ").int(leases.now);
        self.push(" OR lease_until > ").int(leases.far).push(")))")
    }
}
