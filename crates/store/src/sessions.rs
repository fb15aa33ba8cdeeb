//! What signs someone in: sessions, and links that do so once.

use retort_model::Time;

use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::person::{PERSON, Person, read_person};

/// The SHA-256 of a secret; the secret itself is kept nowhere.
pub type SecretHash = [u8; 32];

/// What a secret is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// To be here until it ends.
    Session,
    /// To come in, once.
    Link,
}

impl SessionKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Link => "link",
        }
    }
}

impl crate::Store {
    /// Begins a session, or makes a link.
    pub fn add_session(
        &self,
        kind: SessionKind,
        secret: &SecretHash,
        person: i64,
        now: Time,
        expires_at: Time,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO session (secret, kind, person, created_at, expires_at)
                   VALUES ($1, $2, $3, $4, $5)";
        let values = [
            Value::Bytes(secret),
            kind.as_str().into(),
            person.into(),
            Value::Int(now.unix_micros()),
            Value::Int(expires_at.unix_micros()),
        ];
        self.write(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// Whose session it is, if it has not ended and they are not kept out.
    pub fn session(&self, secret: &SecretHash, now: Time) -> Result<Option<Person>, Error> {
        let sql = format!(
            "SELECT {PERSON} FROM session s JOIN person p ON p.id = s.person
             WHERE s.secret = $1 AND s.kind = 'session' AND s.expires_at > $2 AND p.disabled = 0"
        );
        let values = [Value::Bytes(secret), Value::Int(now.unix_micros())];
        self.read(|connection| connection.row(&sql, &values, read_person))
    }

    /// Whose link it is, which then is gone; none if it has ended or they are kept out.
    pub fn take_link(&self, secret: &SecretHash, now: Time) -> Result<Option<Person>, Error> {
        self.write(|connection| {
            let sql = "DELETE FROM session WHERE secret = $1 AND kind = 'link' AND expires_at > $2
                       RETURNING person";
            let values = [Value::Bytes(secret), Value::Int(now.unix_micros())];
            let Some(person) = connection.row(sql, &values, |row| row.int(0))? else {
                return Ok(None);
            };
            let sql = format!("SELECT {PERSON} FROM person p WHERE p.id = $1 AND p.disabled = 0");
            connection.row(&sql, &[person.into()], read_person)
        })
    }

    /// Ends a session; whether there was one.
    pub fn end_session(&self, secret: &SecretHash) -> Result<bool, Error> {
        let sql = "DELETE FROM session WHERE secret = $1";
        Ok(self.write(|connection| connection.execute(sql, &[Value::Bytes(secret)]))? > 0)
    }

    /// Takes away sessions, links and invitations that have ended.
    pub fn clear_sessions(&self, now: Time) -> Result<(), Error> {
        let now = [Value::Int(now.unix_micros())];
        self.write(|connection| {
            for table in ["session", "pending_identity"] {
                connection.execute(&format!("DELETE FROM {table} WHERE expires_at <= $1"), &now)?;
            }
            connection.execute("DELETE FROM invitation WHERE expires_at <= $1", &now).map(|_| ())
        })
    }
}

/// Ends someone's sessions and links but `keep`; says how many.
pub(crate) fn end_sessions(
    connection: &mut Connection,
    person: i64,
    keep: Option<&SecretHash>,
) -> Result<u64, Error> {
    match keep {
        Some(keep) => {
            let sql = "DELETE FROM session WHERE person = $1 AND secret <> $2";
            connection.execute(sql, &[person.into(), Value::Bytes(keep)])
        }
        None => connection.execute("DELETE FROM session WHERE person = $1", &[person.into()]),
    }
}
