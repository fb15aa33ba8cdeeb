//! What the columns say of the newest conversations that a filter means, for counts beside their list.

use retort_model::{ConversationFilter, Kind, Rating, Scope, Status, Time};

use crate::columns::{kind_of, moment, read_texts, status_of};
use crate::dialect::{Connection, Dialect, Row};
use crate::error::Error;
use crate::features::{has_error, ratings};
use crate::filter::SearchBy;
use crate::listing::{beyond, first_rows, for_words, push_listed};
use crate::order::Part;
use crate::orders::Order;
use crate::page_search::page_search;
use crate::statement::Statement;
use crate::words::asks_words;

/// What the columns say of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacetRow {
    /// What held it.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// The import format.
    pub source: String,
    /// Who held it.
    pub owner: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The models that it names.
    pub models: Vec<String>,
    /// The tools that it calls.
    pub tools: Vec<String>,
    /// The code of its language.
    pub language: Option<String>,
    /// What people thought of its answers.
    pub ratings: Vec<Rating>,
    /// Who judged it.
    pub judges: Vec<String>,
    /// Whether an answer failed.
    pub has_error: bool,
    /// Messages of the user.
    pub turns: u64,
    /// Tokens that the source counted.
    pub tokens: u64,
    /// When it began.
    pub created_at: Option<Time>,
}

/// If one in so many of them matches, they show what most conversations that match have, and the others are not looked at.
const ENOUGH: usize = 50;

/// What reads a row.
type ReadRow<'r, T> = &'r dyn Fn(&Row<'_>) -> Result<T, Error>;

impl crate::Store {
    /// Hands over what the columns say of the newest conversations that scope and selection mean, `most` at most. Says
    /// whether there may be more.
    pub fn each_facet_row(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        most: usize,
        take: &mut dyn FnMut(&FacetRow),
    ) -> Result<bool, Error> {
        let columns = "c.kind, c.status, c.source, c.owner, c.tags, c.models, c.tools, c.language, c.marks, c.turns, \
                       c.tokens, c.created_at, c.judges";
        self.each_of_newest(scope, selection, most, (columns, &read_row), &mut |row| take(&row))
    }

    /// Hands over these columns of the newest conversations that scope and selection mean, as `read` reads them, `most` at
    /// most. Says whether there may be more.
    pub(crate) fn each_of_newest<T>(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        most: usize,
        (columns, read): (&str, ReadRow<'_, T>),
        take: &mut dyn FnMut(T),
    ) -> Result<bool, Error> {
        self.look(|connection| {
            let (dialect, newest) = (connection.dialect(), (Order::Newest, &Part::Onward(None)));
            let rows_by = |connection: &mut Connection, by| {
                let mut statement = Statement::new(format!("SELECT {columns}"));
                push_listed(&mut statement, dialect, scope, selection, newest, by);
                statement.push(" ORDER BY c.created_at DESC, c.key DESC");
                statement.at_most(most.saturating_add(1));
                connection.rows(&statement.sql, &statement.values(), read)
            };
            let reads_words = dialect == Dialect::Postgres && asks_words(selection);
            let by = if reads_words { SearchBy::Rows } else { page_search(connection, selection)? };
            if by != SearchBy::Index {
                let first = first_rows(dialect, selection);
                let beyond = beyond(dialect, scope, selection, newest, first);
                let beyond = connection.row(&beyond.sql, &beyond.values(), |row| row.int(0))?;
                let rows = rows_by(connection, SearchBy::First(first))?;
                if beyond.is_none() || rows.len() >= first / ENOUGH {
                    let has_more = beyond.is_some() || rows.len() > most;
                    rows.into_iter().take(most).for_each(take);
                    return Ok(has_more);
                }
            }
            let by = if reads_words { page_search(connection, selection)? } else { by };
            let rows = for_words(connection, selection, by, |connection| rows_by(connection, by))?;
            let has_more = rows.len() > most;
            rows.into_iter().take(most).for_each(take);
            Ok(has_more)
        })
    }
}

fn read_row(row: &Row<'_>) -> Result<FacetRow, Error> {
    let list = |column| {
        let array = row.text_or_none(column)?;
        Ok::<_, Error>(array.map(|array| read_texts(&array)).unwrap_or_default())
    };
    let marks = row.int(8)?;
    Ok(FacetRow {
        kind: kind_of(row.int(0)?),
        status: status_of(row.int(1)?),
        source: row.text(2)?,
        owner: row.text_or_none(3)?,
        tags: list(4)?,
        models: list(5)?,
        tools: list(6)?,
        language: row.text_or_none(7)?,
        ratings: ratings(marks),
        judges: list(12)?,
        has_error: has_error(marks),
        turns: row.int(9)?.unsigned_abs(),
        tokens: row.int(10)?.unsigned_abs(),
        created_at: moment(row.int(11)?),
    })
}
