//! Conversations coming in.

use std::collections::{BTreeSet, HashMap};

use retort_model::bounds::ROWS_AT_ONCE;
use retort_model::{Kind, Scope, Status, Time};

use crate::Error;
use crate::answered::note_done;
use crate::body::PackedBody;
use crate::dialect::{Connection, Dialect, Row, Value};
use crate::filter::{
    PURGED, Statement, array_of, column_text, key_text, micros, number_of_kind, number_of_status,
    read_texts, search_text,
};
use crate::items::{insert_bodies, write_bodies};
use crate::shares::end_shares;
use crate::store::{next, take_turn};

/// Bits of `edited`: what was set here stands above what the source says.
pub(crate) const TITLE: i64 = 1;
pub(crate) const TAGS: i64 = 2;
pub(crate) const STATUS: i64 = 4;

/// A conversation as an import brings it.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// The source's id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// Who held it.
    pub owner: Option<String>,
    /// What held it.
    pub kind: Kind,
    /// Its status at the source.
    pub status: Status,
    /// Its title at the source.
    pub title: Option<String>,
    /// Its tags at the source.
    pub tags: Vec<String>,
    /// Its model.
    pub model: Option<String>,
    /// When it began.
    pub created_at: Option<Time>,
    /// When it changed last.
    pub updated_at: Option<Time>,
    /// How many rounds it has.
    pub rounds: u64,
    /// How many messages.
    pub messages: u64,
    /// A hash of its canonical line.
    pub digest: [u8; 16],
    /// Bytes of its canonical line.
    pub size: u64,
    /// The line, compressed.
    pub body: PackedBody,
    /// Paths and addresses of the passages that its answers were given with, each once.
    pub cites: BTreeSet<String>,
    /// Whether its id came before in the same import.
    pub repeated: bool,
}

/// What became of a conversation that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was not there.
    New,
    /// It took the place of an earlier state.
    Updated,
    /// It is there, just so.
    Same,
    /// What is there is newer.
    Older,
    /// Its id came before in the same import, and it is no newer.
    Repeated,
    /// What is there is someone else's.
    Foreign,
}

/// What is there under an id.
struct Known {
    key: i64,
    owner: Option<String>,
    digest: Vec<u8>,
    updated_at: i64,
    status: i64,
    was: i64,
    edited: i64,
    title: Option<String>,
    tags: Option<String>,
    body: i64,
    /// Place among those that come in, if it came with them.
    pending: Option<usize>,
}

const COLUMNS: [&str; 20] = [
    "key",
    "project",
    "id",
    "source",
    "owner",
    "kind",
    "status",
    "was",
    "edited",
    "title",
    "tags",
    "search",
    "model",
    "created_at",
    "updated_at",
    "rounds",
    "messages",
    "digest",
    "size",
    "body",
];

/// Conversations that come in together and are worth memory for the indexes: what a server is told now and then is
/// not, and each of its connections would keep it.
pub(crate) const MANY: usize = 256;

impl crate::Store {
    /// Takes in conversations, all or none: new ones are added, known ones brought up to date where what comes is
    /// newer. What was edited here stays as it is. In a person's scope, what others hold, nobody, or whoever held it
    /// before it was purged, stays untouched.
    ///
    /// # Errors
    /// Those of the database; nothing is taken then.
    pub fn take_in(&self, scope: &Scope, incoming: &[Incoming]) -> Result<Vec<Taken>, Error> {
        self.write(|connection| {
            if incoming.len() >= MANY {
                connection.widen()?;
            }
            take_turn(connection)?;
            let mut known = known(connection, scope.project, incoming)?;
            let (taken, changes) = decide(scope, incoming, &mut known);
            add(connection, scope.project, incoming, &changes.new)?;
            if !changes.updated.is_empty() {
                let exporting = is_exporting(connection)?;
                let inserts = Inserts::of(1);
                for (place, known) in &changes.updated {
                    if let Some(one) = incoming.get(*place) {
                        update(connection, &inserts, one, Made::of(one), known, exporting)?;
                    }
                }
            }
            Ok(taken)
        })
    }

    /// What [`Store::take_in`](crate::Store::take_in) would do. Of an id that came before in the same import it is
    /// assumed that the first of it would be there.
    ///
    /// # Errors
    /// Those of the database.
    pub fn would_take_in(&self, scope: &Scope, incoming: &[Incoming]) -> Result<Vec<Taken>, Error> {
        let mut known = self.read(|connection| known(connection, scope.project, incoming))?;
        let (mut taken, _) = decide(scope, incoming, &mut known);
        for (one, what) in incoming.iter().zip(&mut taken) {
            if *what == Taken::New && one.repeated {
                *what = Taken::Repeated;
            }
        }
        Ok(taken)
    }

    /// Puts another state in the place of a conversation's, if `expected_body` still is its state; whether it was. Its
    /// owner and what was edited here stay as they are. `request` is the person and the key of the request that asked
    /// for it: it is done with it.
    ///
    /// # Errors
    /// Those of the database.
    pub fn change_body(
        &self,
        scope: &Scope,
        key: i64,
        expected_body: i64,
        item: &Incoming,
        request: Option<(i64, &str)>,
    ) -> Result<bool, Error> {
        let mut statement = Statement::new(format!("SELECT {KNOWN} FROM conversation c"));
        statement.held_in(scope).push(" AND c.key = ").int(key);
        statement.push(" AND c.body = ").int(expected_body);
        statement.push(&format!(" AND c.status <> {PURGED}"));
        self.write(|connection| {
            take_turn(connection)?;
            let known = connection.row(&statement.sql, &statement.values(), read_known)?;
            let Some(known) = known else { return Ok(false) };
            let exporting = is_exporting(connection)?;
            let made = Made { owner: known.owner.clone(), ..Made::of(item) };
            update(connection, &Inserts::of(1), item, made, &known, exporting)?;
            if let Some((person, key)) = request {
                note_done(connection, person, key)?;
            }
            Ok(true)
        })
    }
}

/// The columns of what is there.
const KNOWN: &str = "c.key, c.id, c.source, c.digest, c.updated_at, c.status, c.was, c.edited, c.title, c.tags, \
                     c.body, c.owner";

/// What is to be written.
struct Changes {
    new: Vec<usize>,
    updated: Vec<(usize, Known)>,
}

type KnownById = HashMap<(String, String), Known>;

/// What is there under the ids that come in.
fn known(
    connection: &mut Connection,
    project: i64,
    incoming: &[Incoming],
) -> Result<KnownById, Error> {
    let mut found = HashMap::new();
    for some in incoming.chunks(ROWS_AT_ONCE) {
        let mut sql =
            format!("SELECT {KNOWN} FROM conversation c WHERE c.project = $1 AND c.id IN (");
        push_parameters(&mut sql, 2, some.len());
        sql.push(')');
        let ids: Vec<_> = some.iter().map(|one| key_text(&one.id)).collect();
        let values: Vec<Value<'_>> = std::iter::once(Value::Int(project))
            .chain(ids.iter().map(|id| Value::Text(id)))
            .collect();
        connection.each(&sql, &values, &mut |row| {
            found.insert((row.text(1)?, row.text(2)?), read_known(row)?);
            Ok(())
        })?;
    }
    Ok(found)
}

fn read_known(row: &Row<'_>) -> Result<Known, Error> {
    Ok(Known {
        key: row.int(0)?,
        digest: row.bytes(3)?.unwrap_or_default().to_vec(),
        updated_at: row.int(4)?,
        status: row.int(5)?,
        was: row.int(6)?,
        edited: row.int(7)?,
        title: row.text_or_none(8)?,
        tags: row.text_or_none(9)?,
        body: row.int(10)?,
        owner: row.text_or_none(11)?,
        pending: None,
    })
}

/// Decides what becomes of each, in order.
fn decide(scope: &Scope, incoming: &[Incoming], known: &mut KnownById) -> (Vec<Taken>, Changes) {
    let owner = scope.owner.as_deref().map(key_text);
    let mut new: Vec<usize> = Vec::new();
    let mut updated: HashMap<i64, usize> = HashMap::new();
    let mut taken = Vec::with_capacity(incoming.len());
    for (place, one) in incoming.iter().enumerate() {
        let id = (key_text(&one.id).into_owned(), one.source.clone());
        let what = match known.get_mut(&id) {
            None => {
                known.insert(id, Known::pending(one, new.len()));
                new.push(place);
                Taken::New
            }
            Some(there)
                if there.pending.is_none()
                    && owner.is_some()
                    && there.owner.as_deref() != owner.as_deref() =>
            {
                Taken::Foreign
            }
            Some(there) if there.status != PURGED && there.digest == one.digest => Taken::Same,
            Some(there) if there.status != PURGED && micros(one.updated_at) < there.updated_at => {
                Taken::Older
            }
            Some(there)
                if there.status != PURGED
                    && one.repeated
                    && micros(one.updated_at) == there.updated_at =>
            {
                Taken::Repeated
            }
            Some(there) => {
                let what = if there.status == PURGED { Taken::New } else { Taken::Updated };
                there.digest = one.digest.to_vec();
                there.updated_at = micros(one.updated_at);
                match there.pending {
                    // It came a moment ago: this one comes in its stead.
                    Some(at) => new.iter_mut().skip(at).take(1).for_each(|slot| *slot = place),
                    None => {
                        updated.insert(there.key, place);
                        if there.status == PURGED {
                            there.status = number_of_status(one.status);
                            there.edited = 0;
                        }
                    }
                }
                what
            }
        };
        taken.push(what);
    }
    let mut changes = Changes { new, updated: Vec::new() };
    for (_, there) in known.drain() {
        if let Some(place) = updated.get(&there.key).filter(|_| there.pending.is_none()) {
            changes.updated.push((*place, there));
        }
    }
    changes.updated.sort_by_key(|(place, _)| *place);
    (taken, changes)
}

impl Known {
    fn pending(one: &Incoming, place: usize) -> Self {
        Self {
            key: 0,
            owner: None,
            digest: one.digest.to_vec(),
            updated_at: micros(one.updated_at),
            status: number_of_status(one.status),
            was: 0,
            edited: 0,
            title: None,
            tags: None,
            body: 0,
            pending: Some(place),
        }
    }
}

/// `$first, $…` for `count` values.
pub(crate) fn push_parameters(sql: &mut String, first: usize, count: usize) {
    for number in first..first + count {
        if number > first {
            sql.push_str(", ");
        }
        sql.push('$');
        sql.push_str(&number.to_string());
    }
}

/// `INSERT INTO table (columns) VALUES (…), (…)`.
pub(crate) fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let mut sql = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        push_parameters(&mut sql, 1 + row * columns.len(), columns.len());
        sql.push(')');
    }
    sql
}

/// A conversation's columns that have to be made.
struct Made {
    id: String,
    title: Option<String>,
    tags: Option<String>,
    search: String,
    model: Option<String>,
    owner: Option<String>,
}

impl Made {
    fn of(one: &Incoming) -> Self {
        Self {
            id: key_text(&one.id).into_owned(),
            title: one.title.as_deref().map(|title| column_text(title).into_owned()),
            tags: tags_column(&one.tags),
            search: search_text(one.title.as_deref(), &one.tags),
            model: one.model.as_deref().map(|model| column_text(model).into_owned()),
            owner: one.owner.as_deref().map(|owner| key_text(owner).into_owned()),
        }
    }
}

/// Tags as their column; none if there are none.
pub(crate) fn tags_column(tags: &[String]) -> Option<String> {
    if tags.is_empty() { None } else { Some(array_of(tags)) }
}

/// The statements that write some rows at once.
struct Inserts {
    rows: usize,
    body: String,
    conversation: String,
    search: String,
}

impl Inserts {
    fn of(rows: usize) -> Self {
        Self {
            rows,
            body: insert_bodies(rows),
            conversation: insert("conversation", &COLUMNS, rows),
            search: insert("conversation_search", &["rowid", "search"], rows),
        }
    }
}

/// Writes new conversations.
fn add(
    connection: &mut Connection,
    project: i64,
    incoming: &[Incoming],
    new: &[usize],
) -> Result<(), Error> {
    let count = i64::try_from(new.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(());
    }
    let mut key = next(connection, "item", count)?;
    let mut body = next(connection, "body", count)?;
    let at_once = connection.dialect().rows_at_once();
    let mut inserts = Inserts::of(at_once);
    for some in new.chunks(at_once) {
        let rows: Vec<(&Incoming, Made)> = some
            .iter()
            .filter_map(|place| incoming.get(*place))
            .map(|one| (one, Made::of(one)))
            .collect();
        if inserts.rows != rows.len() {
            inserts = Inserts::of(rows.len());
        }
        write_bodies(connection, &inserts.body, rows.iter().map(|(one, _)| &one.body), body)?;
        write_rows(connection, &inserts, project, &rows, key, body)?;
        write_search(connection, &inserts, &rows, key)?;
        for (key, (one, _)) in (key..).zip(&rows) {
            cite(connection, key, &one.cites)?;
        }
        key += some.len() as i64;
        body += some.len() as i64;
    }
    Ok(())
}

fn write_rows(
    connection: &mut Connection,
    inserts: &Inserts,
    project: i64,
    rows: &[(&Incoming, Made)],
    first_key: i64,
    first_body: i64,
) -> Result<(), Error> {
    let mut values = Vec::with_capacity(rows.len() * COLUMNS.len());
    for (offset, (one, made)) in (0..).zip(rows) {
        let status = number_of_status(one.status);
        values.extend([
            Value::Int(first_key + offset),
            Value::Int(project),
            Value::Text(&made.id),
            Value::Text(&one.source),
            made.owner.as_ref().into(),
            Value::Int(number_of_kind(one.kind)),
            Value::Int(status),
            Value::Int(before_deletion(status)),
            Value::Int(0),
            made.title.as_ref().into(),
            made.tags.as_ref().into(),
            Value::Text(&made.search),
            made.model.as_ref().into(),
            Value::Int(micros(one.created_at)),
            Value::Int(micros(one.updated_at)),
            Value::Int(whole(one.rounds)),
            Value::Int(whole(one.messages)),
            Value::Bytes(&one.digest),
            Value::Int(whole(one.size)),
            Value::Int(first_body + offset),
        ]);
    }
    connection.execute(&inserts.conversation, &values).map(|_| ())
}

fn write_search(
    connection: &mut Connection,
    inserts: &Inserts,
    rows: &[(&Incoming, Made)],
    first_key: i64,
) -> Result<(), Error> {
    if connection.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let mut values = Vec::with_capacity(rows.len() * 2);
    for (key, (_, made)) in (first_key..).zip(rows) {
        values.extend([Value::Int(key), Value::Text(&made.search)]);
    }
    connection.execute(&inserts.search, &values).map(|_| ())
}

/// Writes down what a conversation cites.
fn cite(connection: &mut Connection, key: i64, places: &BTreeSet<String>) -> Result<(), Error> {
    let places: BTreeSet<_> = places.iter().map(|place| key_text(place)).collect();
    for place in places {
        let sql = "INSERT INTO citation (place, conversation) VALUES ($1, $2)";
        connection.execute(sql, &[Value::Text(&place), key.into()])?;
    }
    Ok(())
}

/// Forgets what a conversation cited.
pub(crate) fn end_citations(connection: &mut Connection, key: i64) -> Result<(), Error> {
    let sql = "DELETE FROM citation WHERE conversation = $1";
    connection.execute(sql, &[key.into()]).map(|_| ())
}

/// Takes the conversation's text out of the search index, which has to be done before it changes.
pub(crate) fn forget_search(connection: &mut Connection, key: i64) -> Result<(), Error> {
    if connection.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let sql = "SELECT search FROM conversation WHERE key = $1";
    let Some(search) = connection.row(sql, &[key.into()], |row| row.text(0))? else {
        return Ok(());
    };
    let sql = "INSERT INTO conversation_search (conversation_search, rowid, search)
               VALUES ('delete', $1, $2)";
    connection.execute(sql, &[key.into(), Value::Text(&search)]).map(|_| ())
}

/// Puts the conversation's new text into the search index; every row has its place there.
pub(crate) fn search_again(
    connection: &mut Connection,
    key: i64,
    search: &str,
) -> Result<(), Error> {
    if connection.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let sql = "INSERT INTO conversation_search (rowid, search) VALUES ($1, $2)";
    connection.execute(sql, &[key.into(), search.into()]).map(|_| ())
}

/// The status to go back to when a deletion is undone.
fn before_deletion(status: i64) -> i64 {
    let deleted = number_of_status(Status::Deleted);
    if status == deleted { number_of_status(Status::Active) } else { status }
}

pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Whether an export is under way, whose frozen bodies must stay.
pub(crate) fn is_exporting(connection: &mut Connection) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM job WHERE state IN ('queued', 'running') AND kind = 'export'";
    Ok(connection.row(sql, &[], |row| row.int(0))?.unwrap_or(0) > 0)
}

/// Puts another state in the place of an earlier one.
fn update(
    connection: &mut Connection,
    inserts: &Inserts,
    one: &Incoming,
    made: Made,
    known: &Known,
    exporting: bool,
) -> Result<(), Error> {
    let body = next(connection, "body", 1)?;
    write_bodies(connection, &inserts.body, std::iter::once(&one.body), body)?;
    drop_body(connection, known.body, exporting)?;
    let kept = |bit: i64| known.edited & bit != 0;
    let title = if kept(TITLE) { known.title.clone() } else { made.title };
    let tags = if kept(TAGS) { known.tags.clone() } else { made.tags };
    let theirs = number_of_status(one.status);
    let (status, was) =
        if kept(STATUS) { (known.status, known.was) } else { (theirs, before_deletion(theirs)) };
    let search = search_text(title.as_deref(), &read_texts(tags.as_deref().unwrap_or("[]")));
    forget_search(connection, known.key)?;
    let sql = "UPDATE conversation SET owner = $1, kind = $2, status = $3, was = $4, edited = $5, title = $6,
                   tags = $7, search = $8, model = $9, created_at = $10, updated_at = $11, rounds = $12,
                   messages = $13, digest = $14, size = $15, body = $16
               WHERE key = $17";
    connection.execute(
        sql,
        &[
            made.owner.as_ref().into(),
            Value::Int(number_of_kind(one.kind)),
            Value::Int(status),
            Value::Int(was),
            Value::Int(known.edited),
            title.as_ref().into(),
            tags.as_ref().into(),
            Value::Text(&search),
            made.model.as_ref().into(),
            Value::Int(micros(one.created_at)),
            Value::Int(micros(one.updated_at)),
            Value::Int(whole(one.rounds)),
            Value::Int(whole(one.messages)),
            Value::Bytes(&one.digest),
            Value::Int(whole(one.size)),
            Value::Int(body),
            Value::Int(known.key),
        ],
    )?;
    if status == number_of_status(Status::Deleted) {
        end_shares(connection, known.key)?;
    }
    end_citations(connection, known.key)?;
    cite(connection, known.key, &one.cites)?;
    search_again(connection, known.key, &search)
}

/// Takes away a body that nothing needs any more, at once or when the exports under way have ended.
pub(crate) fn drop_body(
    connection: &mut Connection,
    body: i64,
    exporting: bool,
) -> Result<(), Error> {
    let sql = if exporting {
        "UPDATE body SET superseded = 1 WHERE key = $1"
    } else {
        "DELETE FROM body WHERE key = $1"
    };
    connection.execute(sql, &[body.into()]).map(|_| ())
}
