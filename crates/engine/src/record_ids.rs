//! The ids of records, as finished packages have them.

use retort_json::{JsonError, Kind, Parser};

/// Columns that have the id of a record.
const ID_COLUMNS: [&str; 5] = ["convo_id", "conversation_id", "request_id", "document_id", "id"];

/// Begins the suffix of an id, which distinguishes the records of one conversation.
pub(crate) const SUFFIX: char = '#';

/// Whether a column has the id of a record. The first of a row counts.
pub(crate) fn is_id_column(name: &str) -> bool {
    ID_COLUMNS.contains(&name)
}

/// A JSON value as text, without the quotes of a string.
pub(crate) fn text_of(json: &str) -> String {
    let text = Parser::new(json).string().map(|text| text.decoded().into_owned());
    text.unwrap_or_else(|_| json.to_owned())
}

/// The part of a record's id that comes before a suffix.
pub(crate) fn item_of(id: &str) -> &str {
    let begin = id.chars().next().map_or(0, char::len_utf8);
    let suffix = id.get(begin..).and_then(|rest| rest.find(SUFFIX));
    suffix.and_then(|at| id.get(..begin + at)).unwrap_or(id)
}

/// The id in a row, given as the JSON text of an object; none if no column has one.
pub(crate) fn id_in_row(row: &str) -> Result<Option<String>, JsonError> {
    let mut parser = Parser::new(row);
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        let value = parser.raw()?;
        if is_id_column(&key) {
            return Ok(Some(text_of(value.as_str())));
        }
    }
    Ok(None)
}

/// The id and the reason of a line of rejects. Lines of findings and extras have an id, too.
pub(crate) fn id_and_reason(line: &str) -> Result<(Option<String>, Option<String>), JsonError> {
    let (mut id, mut reason) = (None, None);
    let mut parser = Parser::new(line);
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        match &*key {
            "conversation_id" | "request_id" | "document_id" if parser.kind()? == Kind::String => {
                id = Some(parser.string()?.decoded().into_owned());
            }
            "reason" => reason = Some(parser.string()?.decoded().into_owned()),
            _ => parser.skip()?,
        }
    }
    Ok((id, reason))
}
