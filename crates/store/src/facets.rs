//! What the columns say of the newest conversations that a filter means, for counts beside their list.

use retort_model::{ConversationFilter, Kind, Rating, Scope, Status, Time};

use crate::columns::{kind_of, moment, read_texts, status_of};
use crate::error::Error;
use crate::features::{has_error, ratings};
use crate::filter::push_conversations;
use crate::page_search::page_search;
use crate::statement::Statement;

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

impl crate::Store {
    /// Hands over what the columns say of the newest `most` conversations that scope and selection mean; whether there
    /// are more.
    pub fn each_facet_row(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        most: usize,
        take: &mut dyn FnMut(&FacetRow),
    ) -> Result<bool, Error> {
        self.look(|connection| {
            let by = page_search(connection, selection)?;
            let mut statement = Statement::new(
                "SELECT c.kind, c.status, c.source, c.owner, c.tags, c.models, c.tools, c.language, c.marks, c.turns,
                        c.tokens, c.created_at, c.judges",
            );
            push_conversations(&mut statement, connection.dialect(), scope, selection, by);
            statement.push(" ORDER BY c.created_at DESC, c.key DESC");
            statement.at_most(most.saturating_add(1));
            let mut count = 0;
            connection.each(&statement.sql, &statement.values(), &mut |row| {
                count += 1;
                if count > most {
                    return Ok(());
                }
                let list = |column| {
                    let array = row.text_or_none(column)?;
                    Ok::<_, Error>(array.map(|array| read_texts(&array)).unwrap_or_default())
                };
                let marks = row.int(8)?;
                take(&FacetRow {
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
                });
                Ok(())
            })?;
            Ok(count > most)
        })
    }
}
