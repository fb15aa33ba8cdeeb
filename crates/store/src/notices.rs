//! Notices that exports ended, and their deliveries to webhooks.

use retort_model::{JobState, Scope, Time};

use crate::columns::{column_text, moment, whole};
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::statement::Statement;
use crate::store::next;

/// Deliveries of one webhook that are told: enough to see what is wrong with it.
const DELIVERIES_TOLD: usize = 100;

/// An export that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The store's number of it; later ones have larger numbers.
    pub id: i64,
    /// The export.
    pub job: i64,
    /// The dataset's name.
    pub name: String,
    /// How it ended.
    pub state: JobState,
    /// The dataset that it made.
    pub dataset: Option<i64>,
    /// When it ended.
    pub at: Option<Time>,
    /// The name of the schedule that asked for it.
    pub schedule: Option<String>,
    /// Why that schedule was disabled.
    pub disabled: Option<String>,
}

/// Where someone wants to be told of their exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The store's number of it.
    pub id: i64,
    /// Where notices go.
    pub url: String,
    /// What they are signed with.
    pub secret: String,
    /// When it was made.
    pub created_at: Option<Time>,
    /// Hours for which a notice's link to the dataset works; none if notices have no link.
    pub link_hours: Option<u64>,
    /// The schedule whose runs alone it gets notices of; none for all exports.
    pub schedule: Option<i64>,
}

/// A webhook to add.
#[derive(Clone, Copy, Debug)]
pub struct NewWebhook<'a> {
    /// Where notices go.
    pub url: &'a str,
    /// What they are signed with.
    pub secret: &'a str,
    /// Hours for which a notice's link to the dataset works; none if notices have no link.
    pub link_hours: Option<u64>,
    /// The schedule whose runs alone it gets notices of; none for all exports.
    pub schedule: Option<i64>,
}

/// A notice that is to go to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The webhook.
    pub webhook: i64,
    /// What it is to be told.
    pub notice: Notice,
    /// The project's name.
    pub project: String,
    /// Where it goes.
    pub url: String,
    /// What it is signed with.
    pub secret: String,
    /// How often it was tried, this time among them.
    pub attempts: u64,
    /// Hours for which its link to the dataset works; none if it has no link.
    pub link_hours: Option<u64>,
}

/// Whose a webhook is, and what its links are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookOwner {
    /// The project.
    pub project: i64,
    /// The name of who added it.
    pub creator: String,
    /// What it signs with.
    pub secret: String,
}

/// How far a delivery came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryState {
    /// The notice.
    pub notice: i64,
    /// How often it was tried.
    pub attempts: u64,
    /// When it is tried next; none if it arrived or was given up.
    pub next_at: Option<Time>,
    /// The status of the last answer.
    pub status: Option<i64>,
    /// Why it did not arrive.
    pub error: Option<String>,
}

/// The columns of a notice.
const NOTICE: &str = "n.id, n.job, n.name, n.state, n.dataset, n.at,
                      (SELECT s.name FROM schedule s WHERE s.id = n.schedule), n.disabled";

fn read_notice(row: &Row<'_>) -> Result<Notice, Error> {
    Ok(Notice {
        id: row.int(0)?,
        job: row.int(1)?,
        name: row.text(2)?,
        state: row.text(3)?.parse().map_err(Error::Damaged)?,
        dataset: row.int_or_none(4)?,
        at: moment(row.int(5)?),
        schedule: row.text_or_none(6)?,
        disabled: row.text_or_none(7)?,
    })
}

impl crate::Store {
    /// Notices in a scope, the oldest first: the first behind `after`, or the newest there are.
    pub fn notices(
        &self,
        scope: &Scope,
        after: Option<i64>,
        most: usize,
    ) -> Result<Vec<Notice>, Error> {
        let mut statement = Statement::new(format!("SELECT {NOTICE} FROM notice n"));
        statement.made_in(scope);
        match after {
            Some(after) => statement.push(" AND n.id > ").int(after).push(" ORDER BY n.id"),
            None => statement.push(" ORDER BY n.id DESC"),
        };
        statement.at_most(most);
        let mut found = self
            .read(|connection| connection.rows(&statement.sql, &statement.values(), read_notice))?;
        if after.is_none() {
            found.reverse();
        }
        Ok(found)
    }

    /// Adds a webhook; its number, or none if its creator has no such schedule.
    pub fn add_webhook(
        &self,
        project: i64,
        creator: &str,
        new: &NewWebhook<'_>,
        now: Time,
    ) -> Result<Option<i64>, Error> {
        self.write(|connection| {
            if let Some(schedule) = new.schedule {
                let mut theirs = Statement::new("SELECT id FROM schedule");
                theirs.made_in(&Scope::person(project, creator)).push(" AND id = ").int(schedule);
                // A deletion of the schedule waits for this, and then finds the webhook.
                theirs.push(connection.dialect().locked());
                if connection.row(&theirs.sql, &theirs.values(), |row| row.int(0))?.is_none() {
                    return Ok(None);
                }
            }
            let id = next(connection, "webhook", 1)?;
            let sql = "INSERT INTO webhook
                           (id, project, creator, url, secret, created_at, link_hours, schedule)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
            let values = [
                id.into(),
                project.into(),
                Value::Text(&column_text(creator)),
                Value::Text(&column_text(new.url)),
                new.secret.into(),
                Value::Int(now.unix_micros()),
                new.link_hours.map(whole).into(),
                new.schedule.into(),
            ];
            connection.execute(sql, &values)?;
            Ok(Some(id))
        })
    }

    /// Webhooks in a scope, the oldest first.
    pub fn webhooks(&self, scope: &Scope) -> Result<Vec<Webhook>, Error> {
        let mut statement =
            Statement::new("SELECT id, url, secret, created_at, link_hours, schedule FROM webhook");
        statement.made_in(scope).push(" ORDER BY id");
        self.read(|connection| {
            connection.rows(&statement.sql, &statement.values(), |row| {
                Ok(Webhook {
                    id: row.int(0)?,
                    url: row.text(1)?,
                    secret: row.text(2)?,
                    created_at: moment(row.int(3)?),
                    link_hours: row.int_or_none(4)?.map(i64::unsigned_abs),
                    schedule: row.int_or_none(5)?,
                })
            })
        })
    }

    /// Whose a webhook is; none if there is no such webhook.
    pub fn webhook_owner(&self, id: i64) -> Result<Option<WebhookOwner>, Error> {
        let sql = "SELECT project, creator, secret FROM webhook WHERE id = $1";
        self.read(|connection| {
            connection.row(sql, &[id.into()], |row| {
                let (project, creator, secret) = (row.int(0)?, row.text(1)?, row.text(2)?);
                Ok(WebhookOwner { project, creator, secret })
            })
        })
    }

    /// Takes a webhook in a scope away, with what was on its way there; whether there was one.
    pub fn end_webhook(&self, scope: &Scope, id: i64) -> Result<bool, Error> {
        self.write(|connection| forget_webhooks(connection, scope, Which::One(id)))
    }

    /// Takes deliveries that are due, and puts them off until then for everyone else.
    pub fn claim_deliveries(
        &self,
        now: Time,
        until: Time,
        most: usize,
    ) -> Result<Vec<Delivery>, Error> {
        let mut due = Statement::new("SELECT webhook, notice FROM delivery WHERE next_at <= ");
        due.int(now.unix_micros()).push(" ORDER BY next_at, notice, webhook").at_most(most);
        let read = |row: &Row<'_>| Ok((row.int(0)?, row.int(1)?));
        // Mostly there are none, and nobody has to wait for that.
        if self.read(|connection| connection.row(&due.sql, &due.values(), read))?.is_none() {
            return Ok(Vec::new());
        }
        self.write(|connection| {
            due.push(connection.dialect().skip_locked());
            let due = connection.rows(&due.sql, &due.values(), read)?;
            due.into_iter()
                .map(|(webhook, notice)| claim(connection, webhook, notice, until))
                .collect()
        })
    }

    /// Notes that a delivery arrived, or was given up.
    pub fn end_delivery(
        &self,
        webhook: i64,
        notice: i64,
        status: Option<i64>,
        error: Option<&str>,
    ) -> Result<(), Error> {
        self.set_delivery(webhook, notice, None, status, error)
    }

    /// Notes that a delivery did not arrive and is to be tried again.
    pub fn put_off_delivery(
        &self,
        webhook: i64,
        notice: i64,
        next_at: Time,
        status: Option<i64>,
        error: Option<&str>,
    ) -> Result<(), Error> {
        self.set_delivery(webhook, notice, Some(next_at), status, error)
    }

    fn set_delivery(
        &self,
        webhook: i64,
        notice: i64,
        next_at: Option<Time>,
        status: Option<i64>,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let sql = "UPDATE delivery SET next_at = $1, status = $2, error = $3
                   WHERE webhook = $4 AND notice = $5";
        let error = error.map(column_text);
        let values = [
            next_at.map(Time::unix_micros).into(),
            status.into(),
            error.as_deref().into(),
            webhook.into(),
            notice.into(),
        ];
        self.write(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// The last deliveries to a webhook in a scope, the newest first.
    pub fn deliveries(&self, scope: &Scope, webhook: i64) -> Result<Vec<DeliveryState>, Error> {
        let mut statement = Statement::new(
            "SELECT d.notice, d.attempts, d.next_at, d.status, d.error
             FROM delivery d JOIN webhook w ON w.id = d.webhook",
        );
        statement.made_in(scope).push(" AND w.id = ").int(webhook);
        statement.push(" ORDER BY d.notice DESC").at_most(DELIVERIES_TOLD);
        self.read(|connection| {
            connection.rows(&statement.sql, &statement.values(), |row| {
                Ok(DeliveryState {
                    notice: row.int(0)?,
                    attempts: row.int(1)?.unsigned_abs(),
                    next_at: row.int_or_none(2)?.and_then(moment),
                    status: row.int_or_none(3)?,
                    error: row.text_or_none(4)?,
                })
            })
        })
    }
}

/// Puts a delivery off for everyone else.
fn claim(
    connection: &mut Connection,
    webhook: i64,
    notice: i64,
    until: Time,
) -> Result<Delivery, Error> {
    let sql = "UPDATE delivery SET next_at = $1, attempts = attempts + 1
               WHERE webhook = $2 AND notice = $3";
    let until = Value::Int(until.unix_micros());
    connection.execute(sql, &[until, webhook.into(), notice.into()])?;
    let sql = format!(
        "SELECT {NOTICE}, p.name, w.url, w.secret, d.attempts, w.link_hours FROM delivery d
         JOIN notice n ON n.id = d.notice JOIN webhook w ON w.id = d.webhook
         JOIN project p ON p.id = n.project WHERE d.webhook = $1 AND d.notice = $2"
    );
    let found = connection.row(&sql, &[webhook.into(), notice.into()], |row| {
        Ok(Delivery {
            webhook,
            notice: read_notice(row)?,
            project: row.text(8)?,
            url: row.text(9)?,
            secret: row.text(10)?,
            attempts: row.int(11)?.unsigned_abs(),
            link_hours: row.int_or_none(12)?.map(i64::unsigned_abs),
        })
    })?;
    found.ok_or_else(|| Error::Damaged("a delivery is of no notice".into()))
}

/// Notifies the person who asked for an export, and each of their webhooks that wants to know, that it ended.
pub(crate) fn notify(connection: &mut Connection, job: i64, now: Time) -> Result<(), Error> {
    let sql = "SELECT project, creator, schedule FROM job WHERE id = $1 AND kind = 'export'";
    let read = |row: &Row<'_>| Ok((row.int(0)?, row.text(1)?, row.int_or_none(2)?));
    let Some((project, creator, schedule)) = connection.row(sql, &[job.into()], read)? else {
        return Ok(());
    };
    let notice = next(connection, "notice", 1)?;
    let sql = "INSERT INTO notice (id, project, creator, job, name, state, dataset, at, schedule, disabled)
               SELECT CAST($1 AS BIGINT), project, creator, id, name, state, dataset, CAST($2 AS BIGINT), schedule,
                   (SELECT s.reason FROM schedule s WHERE s.id = job.schedule AND s.state = 'disabled')
               FROM job WHERE id = $3";
    let at = Value::Int(now.unix_micros());
    connection.execute(sql, &[notice.into(), at, job.into()])?;
    for webhook in held(connection, &Scope::person(project, creator), Which::Told(schedule))? {
        let sql =
            "INSERT INTO delivery (webhook, notice, attempts, next_at) VALUES ($1, $2, 0, $3)";
        connection.execute(sql, &[webhook.into(), notice.into(), at])?;
    }
    Ok(())
}

/// Which webhooks in a scope.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    All,
    One(i64),
    /// Those that are limited to a schedule.
    LimitedTo(i64),
    /// Those that get notices of an export: of a run of a schedule, or of no schedule.
    Told(Option<i64>),
}

/// Takes away webhooks in a scope, with what was on its way there; whether there were any.
pub(crate) fn forget_webhooks(
    connection: &mut Connection,
    scope: &Scope,
    which: Which,
) -> Result<bool, Error> {
    let webhooks = held(connection, scope, which)?;
    for webhook in &webhooks {
        let webhook = [Value::Int(*webhook)];
        connection.execute("DELETE FROM delivery WHERE webhook = $1", &webhook)?;
        connection.execute("DELETE FROM webhook WHERE id = $1", &webhook)?;
    }
    Ok(!webhooks.is_empty())
}

/// Webhooks in a scope that nobody else takes away or sends notices to meanwhile.
fn held(connection: &mut Connection, scope: &Scope, which: Which) -> Result<Vec<i64>, Error> {
    let mut statement = Statement::new("SELECT id FROM webhook");
    statement.made_in(scope);
    match which {
        Which::All => &mut statement,
        Which::One(id) => statement.push(" AND id = ").int(id),
        Which::LimitedTo(schedule) => statement.push(" AND schedule = ").int(schedule),
        Which::Told(None) => statement.push(" AND schedule IS NULL"),
        Which::Told(Some(schedule)) => {
            statement.push(" AND (schedule IS NULL OR schedule = ").int(schedule).push(")")
        }
    };
    statement.push(" ORDER BY id").push(connection.dialect().locked());
    connection.rows(&statement.sql, &statement.values(), |row| row.int(0))
}
