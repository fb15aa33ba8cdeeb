//! The columns that say what filters ask of a conversation beyond its own fields. Conversations that were taken in before
//! there were such columns get theirs, and their words in the index, when the store is opened the first time: page by page,
//! so that a kill loses no more than a page.

use std::collections::BTreeSet;

use retort_model::bounds::{ITEM_BYTES, JUDGES, MODELS, PAGE_ITEMS, TOOLS};
use retort_model::{ConversationFilter, Features, ItemKind, Label, NumberRange, Rating, canonical};

use crate::body::{BodyHead, Unpacker};
use crate::columns::{array_of, cut_tag, key_text, title_text, whole};
use crate::dialect::{Connection, Dialect, Value};
use crate::error::Error;
use crate::items::unpack_stored;
use crate::statement::{Statement, push_array};
use crate::store::take_turn;
use crate::words::{RowWords, add_words, head_words, words_of_line};

const HAS_ERROR: i64 = 1;
const HAS_ATTACHMENT: i64 = 2;

fn label_bit(label: Label) -> i64 {
    match label {
        Label::Preferred => 4,
        Label::Rejected => 8,
    }
}

fn rating_bit(rating: Rating) -> i64 {
    match rating {
        Rating::Good => 16,
        Rating::Bad => 32,
    }
}

/// Whether the marks of a conversation say that an answer failed.
pub(crate) fn has_error(marks: i64) -> bool {
    marks & HAS_ERROR != 0
}

/// The ratings that the marks of a conversation tell.
pub(crate) fn ratings(marks: i64) -> Vec<Rating> {
    Rating::ALL.iter().copied().filter(|rating| marks & rating_bit(*rating) != 0).collect()
}

/// The columns `turns`, `calls`, `marks`, `models`, `tools`, `tokens`, `least_score`, `most_score`, `language` and `judges`.
pub(crate) struct FeatureColumns {
    pub(crate) turns: i64,
    pub(crate) calls: i64,
    pub(crate) marks: i64,
    pub(crate) models: Option<String>,
    pub(crate) tools: Option<String>,
    pub(crate) tokens: i64,
    pub(crate) scores: [Option<i64>; 2],
    pub(crate) language: Option<&'static str>,
    pub(crate) judges: Option<String>,
}

impl From<&Features> for FeatureColumns {
    fn from(features: &Features) -> Self {
        let mut marks = 0;
        for (bit, is_set) in
            [(HAS_ERROR, features.has_error), (HAS_ATTACHMENT, features.has_attachment)]
        {
            marks |= if is_set { bit } else { 0 };
        }
        let labels = features.labels.iter().copied().map(label_bit);
        let ratings = features.ratings.iter().copied().map(rating_bit);
        marks |= labels.chain(ratings).sum::<i64>();
        let listed = |names: &BTreeSet<String>, most| {
            let names = (!names.is_empty()).then(|| names.iter().take(most));
            names.map(|names| array_of(names.map(|name| title_text(name))))
        };
        Self {
            turns: whole(features.turns),
            calls: whole(features.calls),
            marks,
            models: listed(&features.models, MODELS),
            tools: listed(&features.tools, TOOLS),
            tokens: whole(features.tokens),
            scores: features.scores.map_or([None; 2], |scores| scores.map(Some)),
            language: features.language,
            judges: judges_column(&features.judges),
        }
    }
}

/// The column `judges` of what these people judged.
pub(crate) fn judges_column(judges: &BTreeSet<String>) -> Option<String> {
    let names = judges.iter().take(JUDGES).map(|name| key_text(name));
    (!judges.is_empty()).then(|| array_of(names))
}

impl FeatureColumns {
    /// The values, in the order of the columns.
    pub(crate) fn values(&self) -> [Value<'_>; 10] {
        let [least, most] = self.scores;
        [
            self.turns.into(),
            self.calls.into(),
            self.marks.into(),
            self.models.as_ref().into(),
            self.tools.as_ref().into(),
            self.tokens.into(),
            least.into(),
            most.into(),
            self.language.into(),
            self.judges.as_ref().into(),
        ]
    }
}

/// Appends ` AND …` for what a filter asks beyond search, moments, type, status and ids.
pub(crate) fn push_features(
    statement: &mut Statement,
    dialect: Dialect,
    filter: &ConversationFilter,
) {
    push_numbers(statement, "c.turns", filter.turns);
    push_numbers(statement, "c.messages", filter.messages);
    push_numbers(statement, "c.calls", filter.calls);
    push_numbers(statement, "c.tokens", filter.tokens);
    // Both columns are null without scores, and null is in no range.
    if let Some(from) = filter.scores.from {
        statement.push(" AND c.least_score >= ").int(from);
    }
    if let Some(to) = filter.scores.to {
        statement.push(" AND c.most_score <= ").int(to);
    }
    push_one_or_array(statement, dialect, "c.language", filter.languages.clone());
    let labels = filter.labels.iter().copied().map(label_bit);
    let ratings = filter.ratings.iter().copied().map(rating_bit);
    for mask in [labels.fold(0, std::ops::BitOr::bitor), ratings.fold(0, std::ops::BitOr::bitor)] {
        if mask != 0 {
            statement.push(&format!(" AND (c.marks & {mask}) <> 0"));
        }
    }
    for (bit, wanted) in [(HAS_ERROR, filter.has_error), (HAS_ATTACHMENT, filter.has_attachment)] {
        if let Some(wanted) = wanted {
            let is = if wanted { "<>" } else { "=" };
            statement.push(&format!(" AND (c.marks & {bit}) {is} 0"));
        }
    }
    let keys = |texts: &[String]| texts.iter().map(|text| key_text(text).into_owned()).collect();
    push_array(statement, dialect, "c.owner", keys(&filter.owners));
    if let [owner] = filter.owners.as_slice() {
        // An owner holds what they own, and an index has what someone holds, in the order of time.
        statement.push(" AND c.holder = ").key(owner);
    }
    push_array(statement, dialect, "c.source", filter.formats.clone());
    push_judges(statement, dialect, (&filter.judges, filter.judged));
    let tags: Vec<_> = filter.tags.iter().map(|tag| cut_tag(tag)).collect();
    push_elements(statement, dialect, "c.tags", &tags);
    let models: Vec<_> = filter.models.iter().map(|model| title_text(model)).collect();
    push_elements(statement, dialect, "c.models", &models);
    let tools: Vec<_> = filter.tools.iter().map(|tool| title_text(tool)).collect();
    push_elements(statement, dialect, "c.tools", &tools);
}

/// As [`push_array`]; of one text, so that an index has what is equal to it in the order of time. Of several it would not, and
/// sorting what is frequent takes longer than a walk in order.
fn push_one_or_array(
    statement: &mut Statement,
    dialect: Dialect,
    column: &str,
    texts: Vec<String>,
) {
    match texts.as_slice() {
        [one] => {
            statement.push(&format!(" AND {column} = ")).text(one);
        }
        _ => {
            let plus = if dialect == Dialect::Sqlite { "+" } else { "" };
            push_array(statement, dialect, &format!("{plus}{column}"), texts);
        }
    }
}

/// Appends ` AND …` for who judged, and whether anyone did.
pub(crate) fn push_judges(
    statement: &mut Statement,
    dialect: Dialect,
    (judges, judged): (&[String], Option<bool>),
) {
    let keys: Vec<_> = judges.iter().map(|name| key_text(name).into_owned()).collect();
    push_elements(statement, dialect, "c.judges", &keys);
    match judged {
        Some(true) => statement.push(" AND c.judges IS NOT NULL"),
        Some(false) => statement.push(" AND c.judges IS NULL"),
        None => statement,
    };
}

fn push_numbers(statement: &mut Statement, column: &str, range: NumberRange) {
    if let Some(from) = range.from {
        statement.push(&format!(" AND {column} >= ")).int(whole(from));
    }
    if let Some(to) = range.to {
        statement.push(&format!(" AND {column} <= ")).int(whole(to));
    }
}

/// Appends that one of these texts is an element of a column's JSON array. The store wrote it without spaces, so that an
/// element stands between commas once the brackets are commas, too.
pub(crate) fn push_elements(
    statement: &mut Statement,
    dialect: Dialect,
    column: &str,
    texts: &[String],
) {
    let position = dialect.position();
    for (index, text) in texts.iter().enumerate() {
        statement.push(if index == 0 { " AND (" } else { " OR " });
        let elements = format!("',' || substr({column}, 2, length({column}) - 2) || ','");
        let array = array_of([text]);
        let element = array.get(1..array.len() - 1).unwrap_or_default();
        statement.push(&format!("{position}({elements}, "));
        statement.text(&format!(",{element},")).push(") > 0");
    }
    if !texts.is_empty() {
        statement.push(")");
    }
}

impl crate::Store {
    /// Reads from their bodies what filters ask of conversations that were taken in before it was kept. A body that is
    /// damaged says nothing.
    pub(crate) fn read_features(&self) -> Result<(), Error> {
        self.read_unread("conversation", "marks", read_page)
    }

    /// Takes page after page of the rows of a table in which this column is null, until there are none.
    pub(crate) fn read_unread(
        &self,
        table: &str,
        column: &str,
        mut read_page: impl FnMut(&mut Connection, &mut Unpacker<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let unread = format!("SELECT key FROM {table} WHERE {column} IS NULL LIMIT 1");
        if self.read(|connection| connection.row(&unread, &[], |row| row.int(0)))?.is_none() {
            return Ok(());
        }
        let mut unpacker = self.unpacker();
        while self.write(|connection| {
            // While nobody else takes a body's place.
            take_turn(connection)?;
            read_page(connection, &mut unpacker)
        })? {}
        Ok(())
    }
}

/// The line of an item by its body and its size; of a damaged body, what could be read of it.
pub(crate) fn readable_line(
    connection: &mut Connection,
    unpacker: &mut Unpacker<'_>,
    kind: ItemKind,
    (body, size): (i64, i64),
) -> Result<Vec<u8>, Error> {
    let mut line = Vec::new();
    let size = usize::try_from(size).unwrap_or(0);
    let stored = (body, BodyHead { size, ..BodyHead::default() });
    match unpack_stored(connection, unpacker, kind, stored, &mut line) {
        Ok(()) | Err(Error::Damaged(_)) => Ok(line),
        Err(error) => Err(error),
    }
}

/// Reads the features of a page of conversations; says whether there were any.
fn read_page(connection: &mut Connection, unpacker: &mut Unpacker<'_>) -> Result<bool, Error> {
    let sql = format!(
        "SELECT key, size, body, title, tags FROM conversation WHERE marks IS NULL ORDER BY key LIMIT {PAGE_ITEMS}"
    );
    let page = connection.rows(&sql, &[], |row| {
        let texts = (row.text_or_none(3)?, row.text_or_none(4)?);
        Ok((row.int(0)?, row.int(1)?, row.int(2)?, texts))
    })?;
    let mut page_bytes = 0;
    for (key, size, body, (title, tags)) in &page {
        let line = readable_line(connection, unpacker, ItemKind::Conversation, (*body, *size))?;
        let text = std::str::from_utf8(&line).unwrap_or_default();
        let features =
            canonical::read(text).map(|one| Features::with_language(&one)).unwrap_or_default();
        let columns = FeatureColumns::from(&features);
        let sql =
            "UPDATE conversation SET turns = $1, calls = $2, marks = $3, models = $4, tools = $5, tokens = $6,
                       least_score = $7, most_score = $8, language = $9, judges = $10
                   WHERE key = $11";
        let mut values: Vec<Value<'_>> = columns.values().into();
        values.push(Value::Int(*key));
        connection.execute(sql, &values)?;
        let body = words_of_line(&line);
        let head = head_words(title.as_deref(), tags.as_deref());
        add_words(connection, &[(*key, RowWords { body: &body, head: &head })])?;
        page_bytes += line.len();
        if page_bytes > ITEM_BYTES {
            break;
        }
    }
    Ok(!page.is_empty())
}
