//! The tables, as steps that only go forward. A step that was released is never changed: a next one is added.

use crate::Error;
use crate::dialect::{Connection, Dialect, Value};

/// The steps, in order; the schema's number is how many were taken.
const STEPS: [&str; 4] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
];

/// The number of the newest schema.
pub(crate) const NEWEST: i64 = STEPS.len() as i64;

/// The number of the store's schema; 0 if it is empty.
pub(crate) fn found(connection: &mut Connection) -> Result<i64, Error> {
    let known = match connection.dialect() {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'meta'",
        Dialect::Postgres => {
            "SELECT COUNT(*) FROM information_schema.tables
             WHERE table_name = 'meta' AND table_schema = current_schema()"
        }
    };
    if connection.row(known, &[], |row| row.int(0))?.unwrap_or(0) == 0 {
        return refuse_foreign(connection).map(|()| 0);
    }
    let sql = "SELECT value FROM meta WHERE name = 'schema'";
    let text = connection.row(sql, &[], |row| row.text(0))?.unwrap_or_default();
    text.parse().map_err(|_| Error::Damaged(format!("its schema is called `{text}`")))
}

/// A file that holds tables of others; a server's schema may be shared.
fn refuse_foreign(connection: &mut Connection) -> Result<(), Error> {
    if connection.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 1";
    match connection.row(sql, &[], |row| row.text(0))? {
        Some(table) => Err(Error::Foreign(table)),
        None => Ok(()),
    }
}

/// Takes the steps that are missing; says from which schema to which.
pub(crate) fn migrate(connection: &mut Connection, identity: &str) -> Result<(i64, i64), Error> {
    connection.transaction(|connection| {
        if connection.dialect() == Dialect::Postgres {
            // Two processes that start at once take the steps one after the other.
            connection.script("SELECT pg_advisory_xact_lock(125780070724212)")?;
        }
        let before = found(connection)?;
        if before > NEWEST {
            return Err(Error::Schema { found: before, known: NEWEST });
        }
        let dialect = connection.dialect();
        for (number, step) in (1..).zip(STEPS) {
            if number <= before {
                continue;
            }
            connection.script(&dialect.schema(step))?;
            if number == 1 {
                connection.script(dialect.search_schema())?;
                let sql = "INSERT INTO meta (name, value) VALUES ('identity', $1)";
                connection.execute(sql, &[Value::Text(identity)])?;
            }
            if number == 2 {
                connection.script(dialect.audit_schema())?;
            }
            if number == 3 {
                connection.script(dialect.run_search_schema())?;
            }
        }
        let sql = "INSERT INTO meta (name, value) VALUES ('schema', $1)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        connection.execute(sql, &[Value::Text(&NEWEST.to_string())])?;
        Ok((before, NEWEST))
    })
}
