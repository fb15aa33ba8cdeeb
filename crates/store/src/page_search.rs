//! How the page of a list finds what is searched: through the index, or by looking at the rows in the order of the list.
//!
//! What is found often is soon found in order. What is found rarely is taken from the index and sorted. SQLite's index quickly
//! tells which of the two it is, because it returns one item after the other. PostgreSQL's finds everything before it returns
//! anything, the planner's guess may be far off, and looking at a row means reading all its words. There, a page first looks
//! at a few rows in order. Unless they fill it, it takes everything from the index if that is not much, and otherwise looks at
//! more rows first.

use retort_model::ConversationFilter;

use crate::dialect::{Connection, Dialect, Row};
use crate::error::Error;
use crate::filter::SearchBy;
use crate::statement::Statement;
use crate::words::{leading, leading_apart, push_matches};

/// If an index may find more items than this, a page costs less when the rows are read in order.
pub(crate) const FEW_FOUND: usize = 20_000;

/// Rows that a page looks at in order before it asks PostgreSQL's index how much there is: some ten milliseconds.
const FIRST_ROWS: usize = 500;

/// Rows that a page looks at in order before it takes all from PostgreSQL's index, where that is much: a fifth of a second at
/// most, and enough where one row of a hundred passes the other filters.
const MORE_ROWS: usize = 30_000;

/// How conversations are best searched for all that a selection means, or for one page of it in SQLite.
pub(crate) fn page_search(
    connection: &mut Connection,
    selection: &ConversationFilter,
) -> Result<SearchBy, Error> {
    let dialect = connection.dialect();
    let mut statement = Statement::new("SELECT COUNT(*) FROM (");
    match dialect {
        Dialect::Sqlite => {
            let Some(question) = leading(dialect, selection) else { return Ok(SearchBy::Rows) };
            statement
                .push("SELECT 1 FROM conversation_words WHERE conversation_words MATCH ")
                .text(&question);
        }
        Dialect::Postgres => {
            let Some(question) = leading_apart(selection) else { return Ok(SearchBy::Rows) };
            push_matches(&mut statement, &question);
        }
    }
    statement.at_most(FEW_FOUND).push(") s");
    few_or_rows(connection, &statement)
}

/// By the index if it finds few items. The statement counts them, up to [`FEW_FOUND`].
pub(crate) fn few_or_rows(
    connection: &mut Connection,
    statement: &Statement,
) -> Result<SearchBy, Error> {
    let found = connection.by_index(|connection| {
        connection.row(&statement.sql, &statement.values(), |row| row.int(0))
    })?;
    let is_few = usize::try_from(found.unwrap_or(0)).is_ok_and(|found| found < FEW_FOUND);
    Ok(if is_few { SearchBy::Index } else { SearchBy::Rows })
}

/// The first row of a statement, which fills a page of one.
pub(crate) fn first_row<T>(
    connection: &mut Connection,
    statement: &Statement,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<(Option<T>, bool), Error> {
    let found = connection.row(&statement.sql, &statement.values(), read)?;
    let is_full = found.is_some();
    Ok((found, is_full))
}

/// How a list is searched.
pub(crate) struct Searching<'s> {
    /// Whether words or texts are searched.
    pub(crate) is_searched: bool,
    /// Whether the index can lead.
    pub(crate) has_index: bool,
    /// By the index if it finds few items, else by rows.
    pub(crate) by: &'s dyn Fn(&mut Connection) -> Result<SearchBy, Error>,
    /// The statement that has a row if the list has more than so many in its order, whatever is searched.
    pub(crate) beyond: &'s dyn Fn(usize) -> Statement,
}

impl Searching<'_> {
    /// Reads a page. `read` reads it in one way, and says whether it is full.
    pub(crate) fn page<T>(
        &self,
        connection: &mut Connection,
        read: impl Fn(&mut Connection, SearchBy) -> Result<(T, bool), Error>,
    ) -> Result<T, Error> {
        if connection.dialect() == Dialect::Sqlite || !self.is_searched {
            let by = (self.by)(connection)?;
            return Ok(read(connection, by)?.0);
        }
        for rows in [FIRST_ROWS, MORE_ROWS] {
            if rows > FIRST_ROWS && (self.by)(connection)? == SearchBy::Index {
                break;
            }
            let (found, is_full) = read(connection, SearchBy::First(rows))?;
            if is_full || !self.has_beyond(connection, rows)? {
                return Ok(found);
            }
        }
        let by = if self.has_index { SearchBy::Index } else { SearchBy::Rows };
        let (found, _) = connection.by_index(|connection| read(connection, by))?;
        Ok(found)
    }

    fn has_beyond(&self, connection: &mut Connection, rows: usize) -> Result<bool, Error> {
        let statement = (self.beyond)(rows);
        let found = connection.row(&statement.sql, &statement.values(), |row| row.int(0))?;
        Ok(found.is_some())
    }
}
