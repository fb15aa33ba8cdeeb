//! A conversation as a model sees it: the text that its chat template makes of it, which parts of that the model is trained
//! on, and how many tokens they are.

use retort_engine::{ExportOptions, read_templates, read_tokenizer, sample};
use retort_formats::data;
use retort_formats::template::{TokenCount, Tokenizer};
use retort_json::Value;
use retort_model::{Account, ConversationFilter, Grant, Status};
use retort_store::Stop;

use crate::caller::Caller;
use crate::error::Error;
use crate::listed::ListedFeed;
use crate::service::Service;

/// The data format whose rows are rendered: whole conversations with tools.
const FORMAT: &str = "openai";

/// Rows of one conversation that are rendered.
const ROWS: usize = 3;

/// Bytes of a conversation that is rendered: a page shows no more.
const BYTES: u64 = 4 << 20;

/// What a model sees of a conversation.
#[derive(Debug)]
pub struct SeenByModel {
    /// A text for each row that an export would write.
    pub rows: Vec<SeenRow>,
    /// What was found in the conversation, such as why nothing is written of it.
    pub found: Account,
    /// `token`, or `character` where the model has no tokenizer.
    pub unit: &'static str,
}

/// What a model sees of one row.
#[derive(Debug)]
pub struct SeenRow {
    /// The text, part by part; empty if the template refuses the row.
    pub parts: Vec<SeenPart>,
    /// Its length in tokens, and of what the model is trained on; none if the template does not tell.
    pub length: usize,
    /// See `length`.
    pub learnt: Option<usize>,
    /// Why the template refuses the row.
    pub error: Option<String>,
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct SeenPart {
    /// The part.
    pub text: String,
    /// Whether the model is trained on it.
    pub is_learnt: bool,
    /// Its length in tokens.
    pub length: usize,
}

impl Service {
    /// The models of the configuration.
    pub fn model_names(&self) -> Vec<String> {
        self.settings.models.keys().cloned().collect()
    }

    /// A conversation as a model of the configuration sees it.
    ///
    /// # Errors
    /// There is no such conversation or model; the model's files cannot be read; the conversation is too large.
    pub fn seen_by_model(
        &self,
        caller: &Caller,
        (id, source): (&str, Option<&str>),
        model: &str,
    ) -> Result<SeenByModel, Error> {
        caller.needs(Grant::Read)?;
        let summary = self.find_one(caller, id, source)?;
        if summary.size > BYTES {
            return Err(Error::Choice(format!(
                "conversations of more than {} MB are not rendered here; use `retort preview --as-model`",
                BYTES >> 20
            )));
        }
        let path = self.configured(model).ok_or_else(|| Error::NotFound {
            what: "model of the configuration",
            name: model.to_owned(),
        })?;
        let templates = read_templates(&path, self.clock.now())?;
        // A model without a tokenizer is measured in characters.
        let tokenizer = read_tokenizer(&path).ok();
        let dataset =
            ExportOptions::default().with("data_format", FORMAT).map_err(Error::Choice)?;
        let name = "view".parse().map_err(|_| Error::Choice("no name".into()))?;
        let dataset = dataset.resolve(name, None).map_err(Error::Choice)?;
        let selection = ConversationFilter {
            ids: [summary.id.clone()].into(),
            formats: vec![summary.source.clone()],
            statuses: Status::ALL.to_vec(),
            ..ConversationFilter::default()
        };
        let (scope, selection) = (caller.scope(), selection.into());
        let mut feed = ListedFeed::new(&self.store, &scope, &selection, (1, BYTES));
        let stop = Stop::current();
        let preview = sample(&dataset, &mut feed, stop.flag())?;
        let mut rows = Vec::new();
        for record in preview.records.iter().take(ROWS) {
            let record = Value::parse(record).map_err(|error| Error::Choice(error.to_string()))?;
            let format = data::by_name(FORMAT);
            let chats = format.and_then(|format| format.chats(&record)).unwrap_or_default();
            for chat in chats {
                rows.push(match templates.render_row(&chat) {
                    Ok(rendered) => {
                        row(&rendered.text, rendered.learnt.as_deref(), tokenizer.as_ref())?
                    }
                    Err(error) => SeenRow {
                        parts: Vec::new(),
                        length: 0,
                        learnt: None,
                        error: Some(error.to_string()),
                    },
                });
            }
        }
        let unit = if tokenizer.is_some() { "token" } else { "character" };
        Ok(SeenByModel { rows, found: preview.found.account, unit })
    }
}

fn row(
    text: &str,
    learnt: Option<&[std::ops::Range<usize>]>,
    tokenizer: Option<&Tokenizer>,
) -> Result<SeenRow, Error> {
    let count = |text: &str, learnt: &[std::ops::Range<usize>]| match tokenizer {
        Some(tokenizer) => {
            tokenizer.count(text, learnt).map_err(|error| Error::Choice(error.to_string()))
        }
        None => Ok(TokenCount::of_characters(text, learnt)),
    };
    let whole = count(text, learnt.unwrap_or_default())?;
    let mut parts = Vec::new();
    let mut at = 0;
    let ends =
        learnt.unwrap_or_default().iter().flat_map(|span| [(span.start, false), (span.end, true)]);
    for (end, is_learnt) in ends.chain([(text.len(), false)]) {
        let part = text.get(at..end).unwrap_or_default();
        if !part.is_empty() {
            let length = count(part, &[])?.all;
            parts.push(SeenPart { text: part.to_owned(), is_learnt, length });
        }
        at = end.max(at);
    }
    Ok(SeenRow { parts, length: whole.all, learnt: learnt.map(|_| whole.learnt), error: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_text_are_all_of_it() {
        let text = "user: hi\nassistant: ho!\nend";
        let seen = row(text, Some(&[20..23, 23..24]), None).unwrap();
        let parts: Vec<_> =
            seen.parts.iter().map(|part| (&*part.text, part.is_learnt, part.length)).collect();
        assert_eq!(
            parts,
            [
                ("user: hi\nassistant: ", false, 20),
                ("ho!", true, 3),
                ("\n", true, 1),
                ("end", false, 3)
            ]
        );
        assert_eq!((seen.length, seen.learnt), (27, Some(4)));
        assert_eq!(row("x", None, None).unwrap().learnt, None);
    }
}
