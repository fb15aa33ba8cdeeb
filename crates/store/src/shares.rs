//! Public links to single conversations.

use retort_model::{Scope, Status, Time};

use crate::columns::{PURGED, column_text, moment, number_of_status};
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::page::{page_of, room_of};
use crate::sessions::SecretHash;
use crate::statement::Statement;
use crate::store::{next, take_turn};
use crate::summary::{SUMMARY, SUMMARY_COLUMNS, Summary, read_summary};

/// A public link to a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The store's number of it.
    pub id: i64,
    /// The project.
    pub project: i64,
    /// The store's number of the conversation.
    pub conversation: i64,
    /// The source's id of it.
    pub conversation_id: String,
    /// Its title.
    pub title: Option<String>,
    /// Who made it, or last decided to keep it open.
    pub creator: String,
    /// Whether it leads nowhere, as its maker lost the role that let them make it.
    pub is_closed: bool,
    /// Whether a password has to be given.
    pub has_password: bool,
    /// What is not left out, as the service numbers it.
    pub shows: i64,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it ends; none is never.
    pub expires_at: Option<Time>,
}

/// A link to be added.
#[derive(Clone, Debug)]
pub struct NewShare<'n> {
    /// The store's number of the conversation.
    pub conversation: i64,
    /// What is secret in the link, hashed.
    pub secret: SecretHash,
    /// The name of who makes it.
    pub creator: &'n str,
    /// Their number; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// The hash of the password that has to be given.
    pub password: Option<&'n str>,
    /// What is not left out, as the service numbers it.
    pub shows: i64,
    /// When it ends; none is never.
    pub expires_at: Option<Time>,
}

/// The columns of a share (`s`) and its conversation (`c`).
const SHARE: &str = "s.id, s.project, s.conversation, c.id, c.title, s.closed, s.creator, s.password, s.shows, \
                     s.created_at, s.expires_at";

const SHARED: &str = " FROM share s JOIN conversation c ON c.key = s.conversation";

/// The share in the columns from `first` on, with the hash of its password.
fn read_share(row: &Row<'_>, first: usize) -> Result<(Share, Option<String>), Error> {
    let password = row.text_or_none(first + 7)?;
    let share = Share {
        id: row.int(first)?,
        project: row.int(first + 1)?,
        conversation: row.int(first + 2)?,
        conversation_id: row.text(first + 3)?,
        title: row.text_or_none(first + 4)?,
        is_closed: row.int(first + 5)? != 0,
        creator: row.text(first + 6)?,
        has_password: password.is_some(),
        shows: row.int(first + 8)?,
        created_at: moment(row.int(first + 9)?),
        expires_at: row.int_or_none(first + 10)?.and_then(moment),
    };
    Ok((share, password))
}

/// A conversation (`c`) that is there, neither deleted nor purged.
fn is_there() -> String {
    format!(" AND c.status NOT IN ({}, {PURGED})", number_of_status(Status::Deleted))
}

impl crate::Store {
    /// Makes a link to a conversation; its number, or none if the conversation is not in the scope or not there.
    pub fn add_share(
        &self,
        scope: &Scope,
        new: &NewShare<'_>,
        now: Time,
    ) -> Result<Option<i64>, Error> {
        self.write(|connection| {
            // Nobody deletes it meanwhile.
            take_turn(connection)?;
            let mut found = Statement::new("SELECT c.project FROM conversation c");
            found.held_in(scope).push(" AND c.key = ").int(new.conversation).push(&is_there());
            let project = connection.row(&found.sql, &found.values(), |row| row.int(0))?;
            let Some(project) = project else { return Ok(None) };
            let id = next(connection, "share", 1)?;
            let sql = "INSERT INTO share (id, project, conversation, secret, creator, person, password, shows, created_at,
                           expires_at)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
            let values = [
                id.into(),
                project.into(),
                new.conversation.into(),
                Value::Bytes(&new.secret),
                Value::Text(&column_text(new.creator)),
                new.person.into(),
                new.password.into(),
                new.shows.into(),
                Value::Int(now.unix_micros()),
                new.expires_at.map(Time::unix_micros).into(),
            ];
            connection.execute(sql, &values)?;
            Ok(Some(id))
        })
    }

    /// What a link leads to, and the hash of its password: while it has not ended and its conversation is there.
    pub fn share_behind(
        &self,
        secret: &SecretHash,
        now: Time,
    ) -> Result<Option<(Share, Summary, Option<String>)>, Error> {
        let sql = format!(
            "{SUMMARY}, {SHARE}{SHARED} WHERE s.secret = $1 AND s.closed = 0
                 AND (s.expires_at IS NULL OR s.expires_at > $2){}",
            is_there()
        );
        let values = [Value::Bytes(secret), Value::Int(now.unix_micros())];
        self.read(|connection| {
            connection.row(&sql, &values, |row| {
                let (share, password) = read_share(row, SUMMARY_COLUMNS)?;
                Ok((share, read_summary(row)?, password))
            })
        })
    }

    /// Opens a link in a scope again that closed as its maker lost their role, in another's name; whether there is
    /// such a link.
    pub fn keep_share(
        &self,
        scope: &Scope,
        id: i64,
        (name, person): (&str, Option<i64>),
    ) -> Result<bool, Error> {
        let mut statement = Statement::new(format!("SELECT {SHARE}{SHARED}"));
        statement.held_in(scope).push(" AND s.id = ").int(id).push(&is_there());
        self.write(|connection| {
            let found = connection
                .row(&statement.sql, &statement.values(), |row| Ok(read_share(row, 0)?.0))?;
            let Some(share) = found else { return Ok(false) };
            let sql = "UPDATE share SET closed = 0, creator = $1, person = $2 WHERE id = $3";
            let name = column_text(name);
            Ok(connection.execute(sql, &[Value::Text(&name), person.into(), share.id.into()])? > 0)
        })
    }

    /// Links to the conversations in a scope, or to one of them, the newest first: the first behind `after`, or of
    /// all.
    pub fn shares(
        &self,
        scope: &Scope,
        conversation: Option<i64>,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Share>, bool), Error> {
        let mut statement = Statement::new(format!("SELECT {SHARE}{SHARED}"));
        statement.held_in(scope).push(" AND s.project = ").int(scope.project);
        if let Some(conversation) = conversation {
            statement.push(" AND s.conversation = ").int(conversation);
        }
        statement.newest_behind("s.id", after, most);
        let read = |row: &Row<'_>| Ok(read_share(row, 0)?.0);
        let room = |share: &Share| {
            let title = share.title.as_deref().unwrap_or_default();
            room_of([&share.conversation_id, title, &share.creator])
        };
        self.read(|connection| page_of(connection, &statement, most, read, room))
    }

    /// Takes away a link to a conversation in a scope; which it was.
    pub fn end_share(&self, scope: &Scope, id: i64) -> Result<Option<Share>, Error> {
        let mut statement = Statement::new(format!("SELECT {SHARE}{SHARED}"));
        statement.held_in(scope).push(" AND s.id = ").int(id);
        self.write(|connection| {
            let found = connection
                .row(&statement.sql, &statement.values(), |row| Ok(read_share(row, 0)?.0))?;
            let sql = "DELETE FROM share WHERE id = $1";
            match found {
                Some(share) if connection.execute(sql, &[share.id.into()])? > 0 => Ok(Some(share)),
                _ => Ok(None),
            }
        })
    }
}

/// Takes away the links to a conversation that is deleted or purged.
pub(crate) fn end_shares(connection: &mut Connection, conversation: i64) -> Result<(), Error> {
    let sql = "DELETE FROM share WHERE conversation = $1";
    connection.execute(sql, &[conversation.into()]).map(|_| ())
}
