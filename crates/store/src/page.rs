//! Pages of lists: bounded in rows and in bytes.

use retort_model::bounds::PAGE_BYTES;

use crate::dialect::{Connection, Dialect, Row};
use crate::error::Error;
use crate::statement::Statement;

/// Bytes of a row around its texts: names of fields, numbers and moments.
const ROW_BYTES: usize = 768;

/// Bytes that one byte of a text becomes at most, in JSON (`\u0001`) and in HTML (`&quot;`).
const ESCAPED_BYTES: usize = 6;

/// Bytes that a row with these texts has at most, as JSON or HTML.
pub(crate) fn room_of(texts: impl IntoIterator<Item = impl AsRef<str>>) -> usize {
    let bytes = |byte: u8| match byte {
        0..=0x1f | 0x7f | b'"' | b'\\' | b'&' | b'<' | b'>' | b'\'' => ESCAPED_BYTES,
        _ => 1,
    };
    let room = |text: &str| text.bytes().map(bytes).sum::<usize>();
    ROW_BYTES + texts.into_iter().map(|text| room(text.as_ref())).sum::<usize>()
}

impl Statement {
    /// Appends that a page holds the newest rows: the first behind the row of number `after`, or of all; one more than
    /// `most`, as [`page_of`] takes them. `id` is the column of the numbers.
    pub(crate) fn newest_behind(&mut self, id: &str, after: Option<i64>, most: usize) -> &mut Self {
        if let Some(after) = after {
            self.push(&format!(" AND {id} < ")).int(after);
        }
        self.push(&format!(" ORDER BY {id} DESC")).at_most(most.saturating_add(1))
    }
}

impl Connection {
    /// The database's plan for a query, as text.
    pub(crate) fn explained(&mut self, statement: &Statement) -> Result<Vec<String>, Error> {
        let (words, column) = match self.dialect() {
            Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
            Dialect::Postgres => ("EXPLAIN ", 0),
        };
        let sql = format!("{words}{}", statement.sql);
        self.rows(&sql, &statement.values(), |row| row.text(column))
    }
}

/// The first rows, at most `most` of them and no more than [`PAGE_BYTES`] of what `room` says of each, but at least
/// one; and whether there are more. The statement asks for one row more than `most`.
pub(crate) fn page_of<T>(
    connection: &mut Connection,
    statement: &Statement,
    most: usize,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
    room: impl Fn(&T) -> usize,
) -> Result<(Vec<T>, bool), Error> {
    let (mut found, mut bytes, mut more) = (Vec::new(), 0, false);
    connection.each(&statement.sql, &statement.values(), &mut |row| {
        if more || found.len() == most {
            more = true;
            return Ok(());
        }
        let one = read(row)?;
        bytes += room(&one);
        more = bytes > PAGE_BYTES && !found.is_empty();
        if !more {
            found.push(one);
        }
        Ok(())
    })?;
    Ok((found, more))
}
