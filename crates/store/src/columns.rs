//! What is in columns: texts and ids that fit, numbers of closed sets, moments.

use retort_model::bounds::{TAG_CHARACTERS, TAGS, TITLE_CHARACTERS};
use retort_model::{Kind, Status, Time};

/// The moment that stands for an unknown one: before all others.
pub(crate) const UNKNOWN: i64 = i64::MIN;

/// The status of a conversation that was purged: nothing is left but its id.
pub(crate) const PURGED: i64 = 3;

/// Bits of the column `edited`: what was set in Retort stands above what the source says.
pub(crate) const EDITED_TITLE: i64 = 1;
pub(crate) const EDITED_TAGS: i64 = 2;
pub(crate) const EDITED_STATUS: i64 = 4;

/// Longest id or owner that is kept whole, in characters: an index of PostgreSQL holds no more than 2,700 bytes.
const KEY_CHARACTERS: usize = 250;

/// Texts as a JSON array.
pub(crate) fn array_of(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut out = String::from("[");
    for (index, text) in texts.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        retort_json::write_string(text.as_ref(), &mut out);
    }
    out.push(']');
    out
}

/// The texts of a JSON array that the store wrote.
pub(crate) fn read_texts(array: &str) -> Vec<String> {
    use retort_json::Value as Json;
    match Json::parse(array) {
        Ok(Json::Array(items)) => {
            items.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Text for a column: PostgreSQL has no NUL.
pub(crate) fn column_text(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// A text cut to so many characters, for its column: the body keeps it whole.
fn cut_text(text: &str, characters: usize) -> std::borrow::Cow<'_, str> {
    if text.char_indices().nth(characters).is_none() {
        return text.into();
    }
    let end = text.char_indices().nth(characters.saturating_sub(1)).map_or(0, |(end, _)| end);
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

/// A title or name for its column.
pub(crate) fn title_text(title: &str) -> String {
    column_text(&cut_text(title, TITLE_CHARACTERS)).into_owned()
}

/// Tags for their column: the first of them.
pub(crate) fn tag_texts(tags: &[String]) -> Vec<String> {
    tags.iter().take(TAGS).map(|tag| cut_tag(tag)).collect()
}

/// A tag for its column.
pub(crate) fn cut_tag(tag: &str) -> String {
    cut_text(tag, TAG_CHARACTERS).into_owned()
}

/// An id or the name of a person for its column: a very long one as its start and a hash. The body keeps it whole. What
/// was shortened stays as it is, so that an id is found as lists show it, too.
pub(crate) fn key_text(text: &str) -> std::borrow::Cow<'_, str> {
    let Some((end, _)) = text.char_indices().nth(KEY_CHARACTERS) else { return column_text(text) };
    if text.get(end..).is_some_and(is_key_end) {
        return column_text(text);
    }
    let hash = retort_model::fnv1a(text);
    format!("{}…{hash:016x}", column_text(text.get(..end).unwrap_or_default())).into()
}

/// Whether this is how [`key_text`] ends what it shortened.
fn is_key_end(end: &str) -> bool {
    let hash = end.strip_prefix('…');
    hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(crate) fn number_of_kind(kind: Kind) -> i64 {
    match kind {
        Kind::Chat => 0,
        Kind::Agent => 1,
        Kind::Graph => 2,
    }
}

pub(crate) fn kind_of(number: i64) -> Kind {
    Kind::ALL.iter().copied().find(|kind| number_of_kind(*kind) == number).unwrap_or_default()
}

pub(crate) fn number_of_status(status: Status) -> i64 {
    match status {
        Status::Active => 0,
        Status::Favorite => 1,
        Status::Deleted => 2,
    }
}

pub(crate) fn status_of(number: i64) -> Status {
    Status::ALL.iter().copied().find(|one| number_of_status(*one) == number).unwrap_or_default()
}

/// A moment as its column.
pub(crate) fn micros(time: Option<Time>) -> i64 {
    time.map_or(UNKNOWN, Time::unix_micros)
}

/// A column as its moment.
pub(crate) fn moment(micros: i64) -> Option<Time> {
    if micros == UNKNOWN { None } else { Time::from_unix_micros(micros) }
}

/// A count as its column.
pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
