//! The tables, as steps that only go forward. A step that was released is never changed: a next one is added.

use sha2::{Digest, Sha256};

use crate::dialect::{Connection, Dialect, Value};
use crate::error::Error;

/// The steps, in order; the schema's number is how many were taken.
const STEPS: [&str; 26] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
    include_str!("schema/0008.sql"),
    include_str!("schema/0009.sql"),
    include_str!("schema/0010.sql"),
    include_str!("schema/0011.sql"),
    include_str!("schema/0012.sql"),
    include_str!("schema/0013.sql"),
    include_str!("schema/0014.sql"),
    include_str!("schema/0015.sql"),
    include_str!("schema/0016.sql"),
    include_str!("schema/0017.sql"),
    include_str!("schema/0018.sql"),
    include_str!("schema/0019.sql"),
    include_str!("schema/0020.sql"),
    include_str!("schema/0021.sql"),
    include_str!("schema/0022.sql"),
    include_str!("schema/0023.sql"),
    include_str!("schema/0024.sql"),
    include_str!("schema/0025.sql"),
    include_str!("schema/0026.sql"),
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
    // A table that others refer to is rebuilt with the references off, which only works outside a transaction.
    let is_sqlite = connection.dialect() == Dialect::Sqlite;
    if is_sqlite {
        connection.script("PRAGMA foreign_keys = OFF")?;
    }
    let taken = take_steps(connection, identity);
    if is_sqlite {
        connection.script("PRAGMA foreign_keys = ON")?;
    }
    taken
}

fn take_steps(connection: &mut Connection, identity: &str) -> Result<(i64, i64), Error> {
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
            if number == 5 {
                hash_links(connection)?;
            }
            if number == 14 {
                connection.script(dialect.words_schema())?;
            }
            if number == 26 {
                connection.script(dialect.words_memory())?;
            }
            if number == 6 {
                widen_unique(connection, "conversation", "project, id, source", "space")?;
                widen_unique(connection, "run", "project, id, flow", "space")?;
            }
        }
        let sql = "INSERT INTO meta (name, value) VALUES ('schema', $1)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        connection.execute(sql, &[Value::Text(&NEWEST.to_string())])?;
        Ok((before, NEWEST))
    })
}

/// Moves public links to their new table, each under the hash of its secret.
fn hash_links(connection: &mut Connection) -> Result<(), Error> {
    let sql = "SELECT id, link FROM share_in_clear";
    let links = connection.rows(sql, &[], |row| Ok((row.int(0)?, row.text(1)?)))?;
    for (id, link) in links {
        let sql = "INSERT INTO share (id, project, conversation, secret, creator, person, password, shows, created_at,
                       expires_at)
                   SELECT s.id, s.project, s.conversation, $1, s.creator,
                       (SELECT p.id FROM person p WHERE p.name = s.creator AND p.name <> 'local'), s.password, s.shows,
                       s.created_at, s.expires_at
                   FROM share_in_clear s WHERE s.id = $2";
        let secret: [u8; 32] = Sha256::digest(link.as_bytes()).into();
        connection.execute(sql, &[Value::Bytes(&secret), id.into()])?;
    }
    // Links of people who left.
    let sql = "UPDATE share SET closed = 1 WHERE creator <> 'local' AND NOT EXISTS (
                   SELECT 1 FROM membership m JOIN person p ON p.id = m.person
                   WHERE m.project = share.project AND m.person = share.person AND p.disabled = 0)";
    connection.execute(sql, &[])?;
    connection.script("DROP TABLE share_in_clear")
}

/// Makes the rows of a table unique by one column more. SQLite keeps such a rule within the table's definition, so the
/// table is written anew.
fn widen_unique(
    connection: &mut Connection,
    table: &str,
    columns: &str,
    more: &str,
) -> Result<(), Error> {
    if connection.dialect() == Dialect::Postgres {
        let constraint = format!("{table}_{}_key", columns.replace(", ", "_"));
        return connection.script(&format!(
            "ALTER TABLE {table} DROP CONSTRAINT {constraint};
             ALTER TABLE {table} ADD CONSTRAINT {constraint} UNIQUE ({columns}, {more})"
        ));
    }
    let sql = "SELECT sql FROM sqlite_master WHERE tbl_name = $1 AND sql IS NOT NULL
               ORDER BY type = 'table' DESC, name";
    let mut definitions = connection.rows(sql, &[table.into()], |row| row.text(0))?.into_iter();
    let (_, definition) = definitions
        .next()
        .and_then(|sql| sql.split_once('(').map(|(head, tail)| (head.to_owned(), tail.to_owned())))
        .ok_or_else(|| Error::Damaged(format!("the table `{table}` has no definition")))?;
    let definition =
        definition.replace(&format!("UNIQUE ({columns})"), &format!("UNIQUE ({columns}, {more})"));
    connection.script(&format!(
        "CREATE TABLE next_{table} ({definition};
         INSERT INTO next_{table} SELECT * FROM {table};
         DROP TABLE {table};
         ALTER TABLE next_{table} RENAME TO {table}"
    ))?;
    definitions.try_for_each(|index| connection.script(&index))
}
