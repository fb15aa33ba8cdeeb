//! Conversations listed, counted and read.

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{ConversationFilter, ItemKind, Scope};

use crate::body::Unpacker;
use crate::columns::{PURGED, whole};
use crate::dialect::{Connection, Dialect};
use crate::error::Error;
use crate::filter::{Asking, SearchBy, push_conversations, push_meant, push_range};
use crate::order::{Cursor, ListOrder, Part, neighbours};
use crate::orders::Order;
use crate::page::{page_of, room_of};
use crate::page_search::{FEW_FOUND, Searching, few_or_rows, first_row, page_search};
use crate::statement::Statement;
use crate::summary::{SUMMARY, Summary, read_summary};
use crate::words::{asks_words, leading};

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its conversations.
    pub conversations: Vec<Summary>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Cursor>,
}

/// A number of conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many were found.
    pub count: u64,
    /// Whether there may be more, because only the newest were looked at.
    pub is_least: bool,
}

/// The newest conversations, which are looked at first for numbers beside a list.
pub(crate) const FIRST_ROWS: usize = 10_000;

/// The same where PostgreSQL reads the words of each of them.
const FIRST_READ: usize = 4_000;

/// How many of the newest conversations are looked at first.
pub(crate) fn first_rows(dialect: Dialect, selection: &ConversationFilter) -> usize {
    let reads_words = dialect == Dialect::Postgres && asks_words(selection);
    if reads_words { FIRST_READ } else { FIRST_ROWS }
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
            let part = (order, &Part::Onward(after), most);
            let (conversations, more) =
                listed(connection, scope, selection, part, |connection, statement| {
                    let page = page_of(connection, statement, most, read_summary, |one| {
                        let texts =
                            [&one.title, &one.model, &one.owner, &one.importer, &one.member];
                        let texts = texts.into_iter().flatten().chain([&one.id]).chain(&one.tags);
                        room_of(texts)
                    })?;
                    let is_full = page.1;
                    Ok((page, is_full))
                })?;
            let last = conversations.last().filter(|_| more);
            let next = last.map(|last| Cursor::behind(last, order));
            Ok(Page { conversations, next })
        })
    }

    /// The conversations before and after one, in the list of this scope, selection and order.
    pub fn neighbours(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        order: Order,
        one: &Summary,
    ) -> Result<[Option<Summary>; 2], Error> {
        self.look(|connection| {
            neighbours(one, order, |part| {
                let part = (order, &part, 0);
                listed(connection, scope, selection, part, |connection, statement| {
                    first_row(connection, statement, read_summary)
                })
            })
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
            for_words(connection, selection, by, |connection| {
                connection.rows(&statement.sql, &statement.values(), |row| row.text(0))
            })
        })
    }

    /// How many conversations scope and selection mean, without the limit.
    pub fn count(&self, scope: &Scope, selection: &ConversationFilter) -> Result<u64, Error> {
        self.look(|connection| {
            let dialect = connection.dialect();
            let mut statement = Statement::new("SELECT COUNT(*)");
            let by = page_search(connection, selection)?;
            push_conversations(&mut statement, dialect, scope, selection, by);
            for_words(connection, selection, by, |connection| {
                self.counts.of(connection, &statement)
            })
        })
    }

    /// How many conversations scope and selection mean, without the limit: exactly if an index tells or it was counted
    /// since the last change, else among the newest.
    pub fn count_quickly(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
    ) -> Result<Counted, Error> {
        let least = self.look(|connection| {
            let dialect = connection.dialect();
            let by = page_search(connection, selection)?;
            if by == SearchBy::Index
                || is_counted_by_index(selection)
                || is_of_few(connection, scope, selection)?
            {
                return Ok(None);
            }
            let mut all = Statement::new("SELECT COUNT(*)");
            push_conversations(&mut all, dialect, scope, selection, by);
            let (first, newest) = (first_rows(dialect, selection), Part::Onward(None));
            let beyond = beyond(dialect, scope, selection, (Order::Newest, &newest), first);
            let beyond = connection.row(&beyond.sql, &beyond.values(), |row| row.int(0))?;
            if beyond.is_none() || self.counts.knows(connection, &all)? {
                return Ok(None);
            }
            let mut among = Statement::new("SELECT COUNT(*)");
            let (order, by) = (Order::Newest, SearchBy::First(first));
            push_listed(&mut among, dialect, scope, selection, (order, &newest), by);
            self.counts.of(connection, &among).map(Some)
        })?;
        match least {
            Some(count) => Ok(Counted { count, is_least: true }),
            None => Ok(Counted { count: self.count(scope, selection)?, is_least: false }),
        }
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

    /// The database's plan for a first page of one, as text: for tests and measurements.
    pub fn explain(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        order: Order,
    ) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let first = (order, &Part::Onward(None), 1);
            listed(connection, scope, selection, first, |connection, statement| {
                let found =
                    connection.rows(&statement.sql, &statement.values(), |row| row.int(0))?;
                Ok((connection.explained(statement)?, found.len() > 1))
            })
        })
    }
}

/// Whether an index tells that few conversations are of the one owner, or in the one language, that a selection asks for.
fn is_of_few(
    connection: &mut Connection,
    scope: &Scope,
    selection: &ConversationFilter,
) -> Result<bool, Error> {
    let wanted = match selection.search.as_slice() {
        [query] => Some(&query.wanted),
        _ => None,
    };
    if !selection.or.is_empty() {
        return Ok(false);
    }
    let asked = || std::iter::once(selection).chain(wanted.map(|wanted| &**wanted));
    let mut statement = Statement::new("SELECT COUNT(*) FROM (SELECT 1 FROM conversation c");
    statement.held_in(scope);
    if let Some([owner]) = asked().map(|one| one.owners.as_slice()).find(|all| all.len() == 1) {
        statement.push(" AND c.holder = ").key(owner);
    } else if let Some([language]) =
        asked().map(|one| one.languages.as_slice()).find(|all| all.len() == 1)
    {
        statement.push(" AND c.language = ").text(language);
    } else {
        return Ok(false);
    }
    statement.at_most(FEW_FOUND).push(") s");
    Ok(few_or_rows(connection, &statement)? == SearchBy::Index)
}

/// Whether a filter asks only for what the indexes of lists have in them.
fn is_counted_by_index(selection: &ConversationFilter) -> bool {
    let ConversationFilter { ids, kinds, statuses, created, limit, .. } = selection.clone();
    let plain = ConversationFilter::default();
    *selection == ConversationFilter { ids, kinds, statuses, created, limit, ..plain }
}

/// A number of which every bit depends on the seed (SplitMix64), so that small seeds draw as well as others.
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Does `act` with plans that use indexes if the selection asks for words, or their index leads.
pub(crate) fn for_words<T>(
    connection: &mut Connection,
    selection: &ConversationFilter,
    by: SearchBy,
    act: impl FnOnce(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let is_by_index = asks_words(selection) || by == SearchBy::Index;
    if is_by_index { connection.by_index(act) } else { act(connection) }
}

/// Reads a part of the list in an order. `read` reads the rows of a statement for it, and says whether they are all that
/// was asked for.
fn listed<T, O: ListOrder>(
    connection: &mut Connection,
    scope: &Scope,
    selection: &ConversationFilter,
    (order, part, most): (O, &Part, usize),
    read: impl Fn(&mut Connection, &Statement) -> Result<(T, bool), Error>,
) -> Result<T, Error> {
    let dialect = connection.dialect();
    let has_index = leading(dialect, selection).is_some();
    let searching = Searching {
        is_searched: asks_words(selection) || has_index,
        has_index,
        by: &|connection| page_search(connection, selection),
        beyond: &|rows| beyond(dialect, scope, selection, (order, part), rows),
    };
    searching.page(connection, |connection, by| {
        let statement = page(dialect, scope, selection, (order, part), most, by);
        read(connection, &statement)
    })
}

/// The statement that has a row if a part of a list has more than so many in the scope and period of a selection.
pub(crate) fn beyond<O: ListOrder>(
    dialect: Dialect,
    scope: &Scope,
    selection: &ConversationFilter,
    (order, part): (O, &Part),
    rows: usize,
) -> Statement {
    let mut statement = Statement::new("SELECT c.key FROM conversation c");
    push_period(&mut statement, scope, selection);
    statement.in_order(dialect, order, part.clone(), 0);
    statement.push(" OFFSET ").int(whole(rows as u64));
    statement
}

/// Appends `WHERE …` for the scope and period of a selection, which indexes find.
fn push_period(statement: &mut Statement, scope: &Scope, selection: &ConversationFilter) {
    statement.held_in(scope);
    if selection.or.is_empty() {
        push_range(statement, "c.created_at", selection.created);
    }
}

fn page<O: ListOrder>(
    dialect: Dialect,
    scope: &Scope,
    selection: &ConversationFilter,
    (order, part): (O, &Part),
    most: usize,
    by: SearchBy,
) -> Statement {
    let mut statement = Statement::new(SUMMARY);
    push_listed(&mut statement, dialect, scope, selection, (order, part), by);
    statement.in_order(dialect, order, part.clone(), most);
    statement
}

/// As [`push_conversations`], of the first rows of a part of a list if `by` says so.
pub(crate) fn push_listed<O: ListOrder>(
    statement: &mut Statement,
    dialect: Dialect,
    scope: &Scope,
    selection: &ConversationFilter,
    (order, part): (O, &Part),
    by: SearchBy,
) {
    let SearchBy::First(rows) = by else {
        return push_conversations(statement, dialect, scope, selection, by);
    };
    push_period(statement.push(" FROM (SELECT c.* FROM conversation c"), scope, selection);
    statement.in_order(dialect, order, part.clone(), rows.saturating_sub(1));
    statement.push(") c WHERE 1 = 1");
    push_meant(statement, dialect, selection, Asking::ByRow);
}
