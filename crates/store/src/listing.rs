//! Conversations listed, counted and read.

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{ConversationFilter, ItemKind, Kind, Scope, Status, Time};

use crate::body::Unpacker;
use crate::columns::{EDITED_TAGS, EDITED_TITLE, PURGED, kind_of, moment, read_texts, status_of};
use crate::dialect::{Connection, Dialect, Row};
use crate::error::Error;
use crate::filter::{SearchBy, push_conversations};
use crate::page::{page_of, room_of};
use crate::statement::Statement;
use crate::words::leading;

/// Items that an index may find before looking at rows in order costs less for a page.
pub(crate) const FEW_FOUND: i64 = 20_000;

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
    /// Bytes of its canonical line.
    pub size: u64,
    /// The store's number of its state: another one once it has changed.
    pub body: i64,
    /// Whether its title was set here, so that it is not the one of its line.
    pub title_is_set: bool,
    /// Whether its tags were set here.
    pub tags_are_set: bool,
}

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// The last changed first.
    Changed,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Newest, Self::Oldest, Self::Changed];

    /// The name to say on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Changed => "changed",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::Newest | Self::Oldest => "c.created_at",
            Self::Changed => "c.updated_at",
        }
    }

    /// The comparison with which the list goes on, and the word for its direction.
    fn direction(self) -> (&'static str, &'static str) {
        match self {
            Self::Oldest => (">", "ASC"),
            Self::Newest | Self::Changed => ("<", "DESC"),
        }
    }
}

/// Behind which conversation a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: i64,
    pub(crate) key: i64,
}

impl Cursor {
    /// Behind this conversation in that order.
    pub fn behind(one: &Summary, order: Order) -> Self {
        let at = match order {
            Order::Newest | Order::Oldest => one.created_at,
            Order::Changed => one.updated_at,
        };
        Self { at: crate::columns::micros(at), key: one.key }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}-{:x}", self.at, self.key)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok().map(u64::cast_signed);
        text.split_once('-')
            .and_then(|(at, key)| Some(Self { at: number(at)?, key: number(key)? }))
            .ok_or_else(|| {
                format!("`{text}` is no place to go on from; take it from the page before")
            })
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its conversations.
    pub conversations: Vec<Summary>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Cursor>,
}

/// The columns of a conversation (`c`).
pub(crate) const SUMMARY: &str = "SELECT c.key, c.id, c.source, c.owner, c.kind, c.status, c.title, c.tags, c.model, \
                       c.created_at, c.updated_at, c.rounds, c.messages, c.size, c.body, c.importer, c.space, c.edited";

/// How many they are.
pub(crate) const SUMMARY_COLUMNS: usize = 18;

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
        size: row.int(13)?.unsigned_abs(),
        body: row.int(14)?,
        importer: row.text_or_none(15)?,
        member: Some(row.text(16)?).filter(|space| !space.is_empty()),
        title_is_set: edited & EDITED_TITLE != 0,
        tags_are_set: edited & EDITED_TAGS != 0,
    })
}

impl crate::Store {
    /// A page of the conversations that scope and selection mean; the selection's limit does not count here.
    pub fn list(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        order: Order,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        let most = most.clamp(1, PAGE_ITEMS);
        self.look(|connection| {
            let by = page_search(connection, selection)?;
            let statement = page(connection.dialect(), scope, selection, order, after, most, by);
            let (conversations, more) =
                page_of(connection, &statement, most, read_summary, |one| {
                    let texts = [&one.title, &one.model, &one.owner, &one.importer, &one.member];
                    let texts = texts.into_iter().flatten().chain([&one.id]).chain(&one.tags);
                    room_of(texts)
                })?;
            let last = conversations.last().filter(|_| more);
            let next = last.map(|last| Cursor::behind(last, order));
            Ok(Page { conversations, next })
        })
    }

    /// The ids of some of the conversations that scope and selection mean, `most` at most, drawn by a hash of `seed`: the
    /// same seed draws the same.
    pub fn sample(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        seed: u64,
        most: usize,
    ) -> Result<Vec<String>, Error> {
        // A number below the prime, and its square: no product exceeds 63 bits.
        const PRIME: u64 = (1 << 31) - 1;
        let mixed = mixed(seed);
        let (factor, offset) = (1 + mixed % (PRIME - 1), (mixed >> 32) % PRIME);
        let place = format!("(c.key % {PRIME} * {factor} + {offset}) % {PRIME}");
        self.look(|connection| {
            let by = page_search(connection, selection)?;
            let mut statement = Statement::new("SELECT c.id");
            push_conversations(&mut statement, connection.dialect(), scope, selection, by);
            let order = format!(" ORDER BY ({place}) * ({place}) % {PRIME}, c.key LIMIT ");
            statement.push(&order).int(i64::try_from(most).unwrap_or(i64::MAX));
            connection.rows(&statement.sql, &statement.values(), |row| row.text(0))
        })
    }

    /// How many conversations scope and selection mean, without the limit.
    pub fn count(&self, scope: &Scope, selection: &ConversationFilter) -> Result<u64, Error> {
        self.look(|connection| {
            let dialect = connection.dialect();
            let mut statement = Statement::new("SELECT COUNT(*)");
            let by = page_search(connection, selection)?;
            push_conversations(&mut statement, dialect, scope, selection, by);
            self.counts.of(connection, &statement)
        })
    }

    /// The conversations with that id, those of the project before those in members' own spaces; several, if several
    /// sources gave it or several people imported it.
    pub fn find(&self, scope: &Scope, id: &str) -> Result<Vec<Summary>, Error> {
        let mut statement = Statement::new(SUMMARY);
        statement.push(" FROM conversation c").held_in(scope).push(" AND c.id = ").key(id);
        statement.push(&format!(" AND c.status <> {PURGED} ORDER BY c.space <> '', c.key"));
        self.read(|connection| connection.rows(&statement.sql, &statement.values(), read_summary))
    }

    /// The conversations whose answers were given with passages from one of these places, the newest first.
    pub fn citing(
        &self,
        scope: &Scope,
        places: &[&str],
        most: usize,
    ) -> Result<Vec<Summary>, Error> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = Statement::new(SUMMARY);
        statement.push(" FROM conversation c").held_in(scope);
        statement.push(" AND c.key IN (SELECT i.conversation FROM citation i WHERE i.place IN (");
        statement
            .each(", ", places, |list, place| list.key(place))
            .push(&format!(")) AND c.status <> {PURGED} ORDER BY c.created_at DESC, c.key DESC"));
        statement.at_most(most);
        self.look(|connection| connection.rows(&statement.sql, &statement.values(), read_summary))
    }

    /// Reads the canonical line of a conversation; none if it was purged meanwhile.
    ///
    /// # Errors
    /// It is damaged; those of the database.
    pub fn line(
        &self,
        summary: &Summary,
        unpacker: &mut Unpacker<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.line_of(ItemKind::Conversation, (summary.key, &summary.id), unpacker)
    }

    /// The database's plan for a first page, as text: for tests and measurements.
    pub fn explain(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        order: Order,
    ) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let by = page_search(connection, selection)?;
            let dialect = connection.dialect();
            let mut page = page(dialect, scope, selection, order, None, 1, by);
            let (words, column) = match dialect {
                Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
                Dialect::Postgres => ("EXPLAIN ", 0),
            };
            page.sql.insert_str(0, words);
            connection.rows(&page.sql, &page.values(), |row| row.text(column))
        })
    }
}

/// A number of which every bit depends on the seed (SplitMix64), so that small seeds draw as well as others.
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// How conversations are best searched: what is found often is soon found in order, too.
pub(crate) fn page_search(
    connection: &mut Connection,
    selection: &ConversationFilter,
) -> Result<SearchBy, Error> {
    let Some(question) = leading(connection.dialect(), selection) else {
        return Ok(SearchBy::Rows);
    };
    let mut statement = Statement::new(
        "SELECT COUNT(*) FROM (SELECT 1 FROM conversation_words WHERE conversation_words MATCH ",
    );
    statement.text(&question).push(" LIMIT ").int(FEW_FOUND).push(")");
    let found = connection.row(&statement.sql, &statement.values(), |row| row.int(0))?;
    Ok(if found.unwrap_or(0) < FEW_FOUND { SearchBy::Index } else { SearchBy::Rows })
}

fn page(
    dialect: Dialect,
    scope: &Scope,
    selection: &ConversationFilter,
    order: Order,
    after: Option<Cursor>,
    most: usize,
    by: SearchBy,
) -> Statement {
    let mut statement = Statement::new(SUMMARY);
    push_conversations(&mut statement, dialect, scope, selection, by);
    let (column, (goes_on, direction)) = (order.column(), order.direction());
    if let Some(after) = after {
        statement.push(&format!(" AND ({column}, c.key) {goes_on} ("));
        statement.int(after.at).push(", ").int(after.key).push(")");
    }
    statement.push(&format!(" ORDER BY {column} {direction}, c.key {direction} LIMIT "));
    statement.int(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
    statement
}
