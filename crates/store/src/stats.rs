//! What the columns say about each conversation, for statistics.

use retort_model::{ConversationFilter, Kind, Scope, Status, Time};

use crate::columns::{kind_of, moment, read_texts, status_of};
use crate::dialect::Row;
use crate::error::Error;
use crate::filter::{push_conversations, search_by, walk_or};
use crate::statement::Statement;

/// What the columns say of one conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversationStats {
    /// When it began.
    pub created_at: Option<Time>,
    /// What held it.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Its model.
    pub model: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// How many messages.
    pub messages: u64,
}

const COLUMNS: &str = "c.created_at, c.kind, c.status, c.model, c.tags, c.messages";

fn read_stats(row: &Row<'_>) -> Result<ConversationStats, Error> {
    Ok(ConversationStats {
        created_at: moment(row.int(0)?),
        kind: kind_of(row.int(1)?),
        status: status_of(row.int(2)?),
        model: row.text_or_none(3)?,
        tags: read_texts(row.text_or_none(4)?.as_deref().unwrap_or("[]")),
        messages: row.int(5)?.unsigned_abs(),
    })
}

impl crate::Store {
    /// As [`Store::each_conversation_stats`](crate::Store::each_conversation_stats) of the newest of them, `most` at most.
    /// Says whether there may be more.
    pub fn each_recent_stats(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        most: usize,
        take: &mut dyn FnMut(ConversationStats),
    ) -> Result<bool, Error> {
        self.each_of_newest(scope, selection, most, (COLUMNS, &read_stats), take)
    }

    /// Hands over what the columns say of each conversation that scope and selection mean, in no order.
    pub fn each_conversation_stats(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        take: &mut dyn FnMut(ConversationStats),
    ) -> Result<(), Error> {
        self.read(|connection| {
            let dialect = connection.dialect();
            let mut statement = Statement::new(format!("SELECT {COLUMNS}"));
            let by = walk_or(search_by(dialect, selection), scope, selection);
            push_conversations(&mut statement, dialect, scope, selection, by);
            connection.each(&statement.sql, &statement.values(), &mut |row| {
                take(read_stats(row)?);
                Ok(())
            })
        })
    }
}
