//! What people or evaluators say of answers: CSV, JSON Lines or a JSON list, a row for each answer that is judged. The
//! columns may be called as Retort's evaluation files call them, for any evaluator.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use retort_json::Value;

use crate::import::split::{Batch, Splitter};
use crate::import::table::Table;

/// What is said of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The id of the run or conversation, as exports name it: `ID#2` is the second answer of a conversation.
    pub id: String,
    /// The source of the conversation, where the id alone is not enough.
    pub source: Option<String>,
    /// What the answer should have been.
    pub ground_truth: Option<String>,
    /// A score or rating, as JSON.
    pub score: Option<String>,
    /// A word for the answer.
    pub label: Option<String>,
    /// What else was said.
    pub comment: Option<String>,
    /// A better answer.
    pub corrected: Option<String>,
    /// Who says so.
    pub author: Option<String>,
}

/// Names of the column with the id.
pub(crate) const ID: [&str; 6] =
    ["id", "request_id", "conversation_id", "name", "description", "__description"];
const SOURCE: [&str; 1] = ["source"];
const GROUND_TRUTH: [&str; 5] =
    ["ground_truth", "reference", "expected_output", "target", "__expected"];
const SCORE: [&str; 3] = ["score", "rating", "__metadata:score"];
const LABEL: [&str; 2] = ["label", "__metadata:label"];
const COMMENT: [&str; 4] = ["comment", "comments", "feedback", "__metadata:comment"];
const CORRECTED: [&str; 3] = ["corrected_answer", "corrected", "correction"];
const AUTHOR: [&str; 3] = ["author", "annotator", "reviewer"];

/// The names of all columns.
pub(crate) const COLUMNS: [&[&str]; 8] =
    [&ID, &SOURCE, &GROUND_TRUTH, &SCORE, &LABEL, &COMMENT, &CORRECTED, &AUTHOR];

/// Objects in which rows for some evaluators have these.
const WITHIN: [&str; 2] = ["item", "metadata"];

impl Judgement {
    /// Reads a row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(row: &str) -> Result<Self, String> {
        let value = Value::parse(row).map_err(|error| error.to_string())?;
        let Value::Object(_) = &value else { return Err("a judgement is a JSON object".into()) };
        let find = |names: &[&str]| {
            let within = WITHIN.iter().filter_map(|name| value.get(name));
            let mut places = std::iter::once(&value).chain(within);
            places.find_map(|place| {
                let mut found = names.iter().filter_map(|name| place.get(name));
                found.find(|value| !is_empty(value))
            })
        };
        let text = |names: &[&str]| {
            find(names).map(|value| value.as_str().map_or_else(|| value.to_json(), str::to_owned))
        };
        let id = text(&ID).ok_or("it has no `id`, `request_id` or `conversation_id`")?;
        let equals = |text: String| match text.strip_prefix("equals:") {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        Ok(Self {
            id,
            source: text(&SOURCE),
            ground_truth: text(&GROUND_TRUTH).map(equals),
            score: find(&SCORE).map(score),
            label: text(&LABEL),
            comment: text(&COMMENT),
            corrected: text(&CORRECTED),
            author: text(&AUTHOR),
        })
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.ground_truth.is_none()
            && self.score.is_none()
            && self.label.is_none()
            && self.comment.is_none()
            && self.corrected.is_none()
    }
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A score as JSON: a number in a text is that number.
fn score(value: &Value<'_>) -> String {
    match value.as_str().map(str::trim) {
        Some(text) if matches!(Value::parse(text), Ok(Value::Number(_))) => text.to_owned(),
        _ => value.to_json(),
    }
}

/// The rows of a file, each as the text of a JSON object.
pub struct Rows<R> {
    kind: Kind<R>,
}

enum Kind<R> {
    Json(Box<Splitter<R>>, VecDeque<String>),
    Table(Box<Table<R>>),
}

impl<R: BufRead> Rows<R> {
    /// Opens a file; its first character says whether it is JSON or CSV.
    ///
    /// # Errors
    /// Those of the input.
    pub fn open(mut input: R) -> io::Result<Self> {
        let start = input.fill_buf()?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
        let kind = match first {
            Some(b'{' | b'[') | None => Kind::Json(Box::new(Splitter::new(input)), VecDeque::new()),
            Some(_) => Kind::Table(Box::new(Table::read(input)?)),
        };
        Ok(Self { kind })
    }

    fn next_row(&mut self) -> io::Result<Option<String>> {
        match &mut self.kind {
            Kind::Table(table) => {
                let row = table.next().transpose()?;
                let text = |row| {
                    String::from_utf8(row).map_err(|_| {
                        io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8")
                    })
                };
                row.map(text).transpose()
            }
            Kind::Json(splitter, waiting) => {
                while waiting.is_empty() {
                    let Some(batch) = splitter.next(Batch::default()).map_err(io::Error::other)?
                    else {
                        return Ok(None);
                    };
                    let text = |span| String::from_utf8_lossy(batch.item(span)).into_owned();
                    waiting.extend(batch.items.iter().map(text));
                }
                Ok(waiting.pop_front())
            }
        }
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Vec<Result<Judgement, String>> {
        Rows::open(file.as_bytes()).unwrap().map(|row| Judgement::read(&row.unwrap())).collect()
    }

    #[test]
    fn tables_and_json_say_the_same() {
        let expect = Judgement {
            id: "r1".into(),
            ground_truth: Some("Thirty.".into()),
            score: Some("0.5".into()),
            label: Some("wrong".into()),
            corrected: Some("30, of course".into()),
            author: Some("ann".into()),
            ..Judgement::default()
        };
        for file in [
            "request_id,ground_truth,score,label,corrected_answer,author,comment\nr1,Thirty.,0.5,wrong,\"30, of course\",ann,\n",
            "{\"id\":\"r1\",\"reference\":\"Thirty.\",\"rating\":0.5,\"label\":\"wrong\",\"correction\":\"30, of course\",\"annotator\":\"ann\"}\n",
            "[{\"id\":\"r1\",\"target\":\"Thirty.\",\"metadata\":{\"score\":0.5,\"label\":\"wrong\"},\"corrected\":\"30, of course\",\"reviewer\":\"ann\"}]",
            "__description,__expected,__metadata:score,__metadata:label,corrected,author\nr1,equals:Thirty.,0.5,wrong,\"30, of course\",ann\n",
        ] {
            assert_eq!(read(file), [Ok(expect.clone())], "{file}");
        }
    }

    #[test]
    fn a_score_is_any_json() {
        let score = |file: &str| read(file).remove(0).unwrap().score;
        assert_eq!(score("id,rating\na,5\n").as_deref(), Some("5"));
        assert_eq!(score("id,rating\na,good\n").as_deref(), Some("\"good\""));
        assert_eq!(score("{\"id\":\"a\",\"score\":true}").as_deref(), Some("true"));
        assert_eq!(score("{\"id\":\"a\",\"score\":null}"), None);
    }

    #[test]
    fn a_row_without_an_id_is_refused() {
        assert_eq!(
            read("score\n1\n"),
            [Err("it has no `id`, `request_id` or `conversation_id`".to_owned())]
        );
        assert!(read("").is_empty());
    }
}
