//! What was answered to requests that may come again.

use retort_model::Time;

use crate::columns::{column_text, key_text};
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::store::next;

/// How a request stands that came under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It did not come before, and is now under way.
    New,
    /// It is under way.
    UnderWay,
    /// It was done, but the process died before the answer was kept.
    Done,
    /// What came under the key was another request.
    Different,
    /// It was answered.
    Answered {
        /// With that status.
        status: i64,
        /// With that body.
        body: String,
    },
}

/// What is known under a key.
struct Known {
    fingerprint: Vec<u8>,
    at: i64,
    status: Option<i64>,
    body: Option<String>,
}

impl crate::Store {
    /// Begins a request of someone's under a key, if it is new, or was begun before `stale` and not answered since.
    pub fn begin_answer(
        &self,
        person: i64,
        key: &str,
        fingerprint: &[u8; 32],
        now: Time,
        stale: Time,
    ) -> Result<Begun, Error> {
        let key = key_text(key);
        self.write(|connection| {
            // One at a time: nothing is there yet that could be held.
            next(connection, "answered", 0)?;
            let known = known(connection, person, &key)?;
            match known {
                None => {}
                Some(known) if known.fingerprint != fingerprint => return Ok(Begun::Different),
                Some(Known { status: Some(status), body, .. }) => {
                    return Ok(Begun::Answered { status, body: body.unwrap_or_default() });
                }
                Some(Known { body: Some(_), .. }) => return Ok(Begun::Done),
                Some(known) if known.at >= stale.unix_micros() => return Ok(Begun::UnderWay),
                Some(_) => {}
            }
            let sql = "INSERT INTO answered (person, key, fingerprint, at) VALUES ($1, $2, $3, $4)
                       ON CONFLICT (person, key) DO UPDATE SET at = excluded.at";
            let at = Value::Int(now.unix_micros());
            let values = [person.into(), Value::Text(&key), Value::Bytes(fingerprint), at];
            connection.execute(sql, &values)?;
            Ok(Begun::New)
        })
    }

    /// Keeps the answer to a request under way.
    pub fn end_answer(&self, person: i64, key: &str, status: i64, body: &str) -> Result<(), Error> {
        let sql = "UPDATE answered SET status = $1, body = $2 WHERE person = $3 AND key = $4";
        self.write(|connection| {
            let body = column_text(body);
            let key = key_text(key);
            let values = [status.into(), Value::Text(&body), person.into(), Value::Text(&key)];
            connection.execute(sql, &values).map(|_| ())
        })
    }

    /// Forgets a request, so that it can be tried anew, unless it was done.
    pub fn drop_answer(&self, person: i64, key: &str) -> Result<(), Error> {
        let sql = "DELETE FROM answered WHERE person = $1 AND key = $2 AND body IS NULL";
        self.write(|connection| {
            let values = [person.into(), Value::Text(&key_text(key))];
            connection.execute(sql, &values).map(|_| ())
        })
    }

    /// Forgets the requests that came before a moment; says how many.
    pub fn clear_answers(&self, before: Time) -> Result<u64, Error> {
        let sql = "DELETE FROM answered WHERE at < $1";
        self.write(|connection| connection.execute(sql, &[Value::Int(before.unix_micros())]))
    }
}

/// Notes that a request under way is done, in the transaction that does it.
pub(crate) fn note_done(connection: &mut Connection, person: i64, key: &str) -> Result<(), Error> {
    let sql = "UPDATE answered SET body = '' WHERE person = $1 AND key = $2 AND status IS NULL";
    connection.execute(sql, &[person.into(), Value::Text(&key_text(key))]).map(|_| ())
}

fn known(connection: &mut Connection, person: i64, key: &str) -> Result<Option<Known>, Error> {
    let locked = connection.dialect().locked();
    let sql = format!(
        "SELECT fingerprint, at, status, body FROM answered WHERE person = $1 AND key = $2{locked}"
    );
    connection.row(&sql, &[person.into(), key.into()], |row| {
        Ok(Known {
            fingerprint: row.bytes(0)?.unwrap_or_default().to_vec(),
            at: row.int(1)?,
            status: row.int_or_none(2)?,
            body: row.text_or_none(3)?,
        })
    })
}
