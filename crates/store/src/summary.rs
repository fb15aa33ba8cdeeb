//! A conversation as lists show it.

use retort_model::{Kind, Status, Time};

use crate::columns::{EDITED_TAGS, EDITED_TITLE, kind_of, moment, read_texts, status_of};
use crate::dialect::Row;
use crate::error::Error;

/// A conversation as lists show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The store's number of it.
    pub key: i64,
    /// The source's id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// Who held it.
    pub owner: Option<String>,
    /// Who imported it; none if that was not recorded.
    pub importer: Option<String>,
    /// The member in whose own space its id is; none for what admins and owners imported.
    pub member: Option<String>,
    /// What held it.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Its title.
    pub title: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its model.
    pub model: Option<String>,
    /// When it began.
    pub created_at: Option<Time>,
    /// When it changed last.
    pub updated_at: Option<Time>,
    /// How many rounds.
    pub rounds: u64,
    /// How many messages.
    pub messages: u64,
    /// How many messages of the user.
    pub turns: u64,
    /// How many tokens, of prompts and answers, as the source counted them; 0 if it did not.
    pub tokens: u64,
    /// The highest score of an answer, in millionths.
    pub score: Option<i64>,
    /// The language, as far as it can be told.
    pub language: Option<String>,
    /// Bytes of its canonical line.
    pub size: u64,
    /// The store's number of its state: another one once it has changed.
    pub body: i64,
    /// Whether its title was set here, so that it is not the one of its line.
    pub title_is_set: bool,
    /// Whether its tags were set here.
    pub tags_are_set: bool,
}

/// The columns of a conversation (`c`).
pub(crate) const SUMMARY: &str = "SELECT c.key, c.id, c.source, c.owner, c.kind, c.status, c.title, c.tags, c.model, \
                       c.created_at, c.updated_at, c.rounds, c.messages, c.size, c.body, c.importer, c.space, c.edited, c.turns, c.tokens, \
                       c.most_score, c.language";

/// How many they are.
pub(crate) const SUMMARY_COLUMNS: usize = 22;

pub(crate) fn read_summary(row: &Row<'_>) -> Result<Summary, Error> {
    let edited = row.int(17)?;
    Ok(Summary {
        key: row.int(0)?,
        id: row.text(1)?,
        source: row.text(2)?,
        owner: row.text_or_none(3)?,
        kind: kind_of(row.int(4)?),
        status: status_of(row.int(5)?),
        title: row.text_or_none(6)?,
        tags: read_texts(row.text_or_none(7)?.as_deref().unwrap_or("[]")),
        model: row.text_or_none(8)?,
        created_at: moment(row.int(9)?),
        updated_at: moment(row.int(10)?),
        rounds: row.int(11)?.unsigned_abs(),
        messages: row.int(12)?.unsigned_abs(),
        turns: row.int_or_none(18)?.unwrap_or(0).unsigned_abs(),
        tokens: row.int_or_none(19)?.unwrap_or(0).unsigned_abs(),
        score: row.int_or_none(20)?,
        language: row.text_or_none(21)?,
        size: row.int(13)?.unsigned_abs(),
        body: row.int(14)?,
        importer: row.text_or_none(15)?,
        member: Some(row.text(16)?).filter(|space| !space.is_empty()),
        title_is_set: edited & EDITED_TITLE != 0,
        tags_are_set: edited & EDITED_TAGS != 0,
    })
}
