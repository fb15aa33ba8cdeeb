//! Conversations changed, deleted, restored and purged.

use retort_model::bounds::{PAGE_ITEMS, TAG_CHARACTERS, TAGS};
use retort_model::{ConversationFilter, ItemKind, Scope, Status, canonical};

use crate::body::{BodyHead, Unpacker};
use crate::columns::{
    EDITED_STATUS, EDITED_TAGS, EDITED_TITLE, PURGED, column_text, number_of_status, read_texts,
};
use crate::conversations::{end_citations, is_exporting, tags_column};
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::filter::{push_conversations, search_by};
use crate::items::{is_named, purge_bodies, unpack_stored};
use crate::shares::end_shares;
use crate::statement::Statement;
use crate::store::{CHANGED_NOW, take_turn};
use crate::traces::forget_imported;
use crate::words::{head_words, remove_stored_words, replace_head};

/// Bytes of the tags that are set for one conversation: as many as there may be, of the longest characters.
const TAGS_BYTES: usize = TAGS * TAG_CHARACTERS * 4;

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Another title; none takes it away.
    Title(Option<String>),
    /// Tags to add and to take away. A conversation that would have more than 100 keeps those it has.
    Tags {
        /// Those that are to be there.
        add: Vec<String>,
        /// Those that are not to be there.
        remove: Vec<String>,
    },
    /// Marked as a favourite, or no longer.
    Favorite(bool),
    /// Deleted, so that it can be restored; links to it are gone for good.
    Delete,
    /// No longer deleted.
    Restore,
    /// Gone for good; its id stays where datasets were made of it.
    Purge,
}

/// A conversation under an edit.
struct Edited {
    key: i64,
    status: i64,
    was: i64,
    title: Option<String>,
    tags: Option<String>,
    edited: i64,
    body: i64,
    size: i64,
}

impl crate::Store {
    /// Changes the conversations that scope and selection mean; says how many were changed. Many are changed a
    /// page at a time, each page whole.
    pub fn edit(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        edit: &Edit,
    ) -> Result<u64, Error> {
        let (mut changed, mut behind) = (0, 0);
        let mut unpacker = self.unpacker();
        loop {
            let (count, last) = self.write(|connection| {
                take_turn(connection)?;
                let page = page(connection, scope, selection, behind)?;
                let purges = matches!(edit, Edit::Purge);
                if purges && !page.is_empty() {
                    forget_imported(connection, scope.project)?;
                }
                let exporting = purges && is_exporting(connection)?;
                let mut count = 0;
                for one in &page {
                    count += u64::from(change(connection, &mut unpacker, one, edit, exporting)?);
                }
                Ok((count, page.last().map(|one| one.key)))
            })?;
            changed += count;
            match last {
                Some(last) => behind = last,
                None if matches!(edit, Edit::Purge) => return self.erase().map(|()| changed),
                None => return Ok(changed),
            }
        }
    }
}

fn page(
    connection: &mut Connection,
    scope: &Scope,
    selection: &ConversationFilter,
    behind: i64,
) -> Result<Vec<Edited>, Error> {
    let dialect = connection.dialect();
    let mut statement =
        Statement::new("SELECT c.key, c.status, c.was, c.title, c.tags, c.edited, c.body, c.size");
    push_conversations(&mut statement, dialect, scope, selection, search_by(dialect, selection));
    statement.push(" AND c.key > ").int(behind);
    statement.push(&format!(" ORDER BY c.key LIMIT {PAGE_ITEMS}"));
    connection.rows(&statement.sql, &statement.values(), |row| {
        Ok(Edited {
            key: row.int(0)?,
            status: row.int(1)?,
            was: row.int(2)?,
            title: row.text_or_none(3)?,
            tags: row.text_or_none(4)?,
            edited: row.int(5)?,
            body: row.int(6)?,
            size: row.int(7)?,
        })
    })
}

/// Changes one; says whether that changed anything.
fn change(
    connection: &mut Connection,
    unpacker: &mut Unpacker<'_>,
    one: &Edited,
    edit: &Edit,
    exporting: bool,
) -> Result<bool, Error> {
    let deleted = number_of_status(Status::Deleted);
    match edit {
        Edit::Title(title) => {
            let title = title.as_deref().map(|title| column_text(title).into_owned());
            if title == one.title {
                return Ok(false);
            }
            retitle(connection, one, title.as_ref(), one.tags.as_ref(), EDITED_TITLE)?;
        }
        Edit::Tags { add, remove } => {
            let before = tags_of(connection, unpacker, one)?;
            let mut tags = before.clone();
            tags.retain(|tag| !remove.contains(tag));
            for tag in add {
                if !tags.contains(tag) {
                    tags.push(tag.clone());
                }
            }
            let column = tags_column(&tags);
            let bytes = column.as_ref().map_or(0, String::len);
            if tags == before || tags.len() > TAGS || bytes > TAGS_BYTES {
                return Ok(false);
            }
            retitle(connection, one, one.title.as_ref(), column.as_ref(), EDITED_TAGS)?;
        }
        Edit::Favorite(favorite) => {
            let status =
                number_of_status(if *favorite { Status::Favorite } else { Status::Active });
            if one.status == deleted {
                // It shows when it is restored.
                if one.was == status {
                    return Ok(false);
                }
                set_status(connection, one.key, deleted, status)?;
            } else if one.status == status {
                return Ok(false);
            } else {
                set_status(connection, one.key, status, status)?;
            }
        }
        Edit::Delete => {
            if one.status == deleted {
                return Ok(false);
            }
            set_status(connection, one.key, deleted, one.status)?;
            end_shares(connection, one.key)?;
        }
        Edit::Restore => {
            if one.status != deleted {
                return Ok(false);
            }
            set_status(connection, one.key, one.was, one.was)?;
        }
        Edit::Purge => purge(connection, unpacker, one, exporting)?,
    }
    Ok(true)
}

fn set_status(connection: &mut Connection, key: i64, status: i64, was: i64) -> Result<(), Error> {
    let sql = format!(
        "UPDATE conversation SET status = $1, was = $2, edited = edited | {EDITED_STATUS}, {CHANGED_NOW}
         WHERE key = $3"
    );
    connection.execute(&sql, &[status.into(), was.into(), key.into()]).map(|_| ())
}

/// All tags of a conversation: what its column has, unless that was cut.
fn tags_of(
    connection: &mut Connection,
    unpacker: &mut Unpacker<'_>,
    one: &Edited,
) -> Result<Vec<String>, Error> {
    let tags = read_texts(one.tags.as_deref().unwrap_or("[]"));
    let may_be_cut = |tag: &String| tag.chars().nth(TAG_CHARACTERS - 1).is_some();
    let is_whole = tags.len() < TAGS && !tags.iter().any(may_be_cut);
    if is_whole || one.edited & EDITED_TAGS != 0 {
        return Ok(tags);
    }
    let mut line = Vec::new();
    let head = BodyHead { size: usize::try_from(one.size).unwrap_or(0), ..BodyHead::default() };
    unpack_stored(connection, unpacker, ItemKind::Conversation, (one.body, head), &mut line)?;
    let damaged = || Error::Damaged("a conversation cannot be read".into());
    let text = std::str::from_utf8(&line).map_err(|_| damaged())?;
    let whole = canonical::read(text).map_err(|_| damaged())?;
    Ok(whole.tags.iter().map(|tag| tag.decoded().into_owned()).collect())
}

fn retitle(
    connection: &mut Connection,
    one: &Edited,
    title: Option<&String>,
    tags: Option<&String>,
    bit: i64,
) -> Result<(), Error> {
    let was = head_words(one.title.as_deref(), one.tags.as_deref());
    let becomes = head_words(title.map(String::as_str), tags.map(String::as_str));
    replace_head(connection, one.key, &was, &becomes)?;
    let sql = format!(
        "UPDATE conversation SET title = $1, tags = $2, edited = edited | {bit}, {CHANGED_NOW} WHERE key = $3"
    );
    connection.execute(&sql, &[title.into(), tags.into(), one.key.into()]).map(|_| ())
}

/// Takes everything of a conversation away, also from exports under way; its bare id stays if a dataset names it.
fn purge(
    connection: &mut Connection,
    unpacker: &mut Unpacker<'_>,
    one: &Edited,
    exporting: bool,
) -> Result<(), Error> {
    let key = Value::Int(one.key);
    let head = head_words(one.title.as_deref(), one.tags.as_deref());
    remove_stored_words(connection, unpacker, one.key, (one.body, one.size), &head)?;
    purge_bodies(connection, (one.key, one.body), exporting)?;
    end_shares(connection, one.key)?;
    end_citations(connection, one.key)?;
    if !is_named(connection, one.key)? {
        return connection.execute("DELETE FROM conversation WHERE key = $1", &[key]).map(|_| ());
    }
    let sql = format!(
        "UPDATE conversation SET status = {PURGED}, was = 0, edited = 0, owner = NULL, importer = NULL,
             holder = NULL, title = NULL, tags = NULL,
             model = NULL, rounds = 0, messages = 0, turns = 0, calls = 0, marks = 0, models = NULL, tools = NULL,
             tokens = 0, least_score = NULL, most_score = NULL, language = NULL, judges = NULL, digest = $1, size = 0, body = 0
         WHERE key = $2"
    );
    connection.execute(&sql, &[Value::Bytes(&[]), key]).map(|_| ())
}
