//! Records as a model sees them: how long they are, what of them is learnt, and which are left out for that.

use std::collections::BTreeMap;
use std::path::Path;

use retort_formats::data::{ChatRow, DataFormat};
use retort_formats::template::{Templates, TokenCount, Tokenizer};
use retort_json::Value;
use retort_model::{LeftOut, Reason, Time, named};

use crate::error::Error;
use crate::model_files::{read_template_files, read_tokenizer_file};

/// Measures records, and says which are too long.
pub struct Measure {
    templates: Option<Templates>,
    tokenizer: Option<Tokenizer>,
    /// The most tokens, or characters without a tokenizer, that a record may have.
    most: Option<usize>,
    /// What becomes of longer records.
    pub(crate) over_long: OverLong,
    told: BTreeMap<String, String>,
}

/// What is asked of a [`Measure`].
#[derive(Clone, Debug, Default)]
pub struct MeasureOptions<'o> {
    /// The chat template: see [`crate::read_templates`].
    pub template: Option<&'o Path>,
    /// The tokenizer: see [`crate::read_tokenizer`].
    pub tokenizer: Option<&'o str>,
    /// The most tokens that a record may have.
    pub max_tokens: Option<usize>,
    /// The most characters that a record may have.
    pub max_characters: Option<usize>,
    /// What becomes of longer records.
    pub over_long: OverLong,
}

/// What becomes of records that are too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverLong {
    /// They are left out.
    #[default]
    LeaveOut,
    /// They become several, each from a question to an answer.
    Split,
}

named!(OverLong, "treatment of long records", LeaveOut = "leave-out", Split = "split");

impl Measure {
    /// Reads the template and the tokenizer; none if nothing is to be measured. `now` is what templates print as the date.
    ///
    /// # Errors
    /// A file that can't be read, or that is not what it should be; a limit in tokens without a tokenizer.
    pub fn open(options: &MeasureOptions<'_>, now: Time) -> Result<Option<Self>, Error> {
        let MeasureOptions { template, tokenizer, max_tokens, max_characters, over_long } =
            *options;
        if max_tokens.is_some() && tokenizer.is_none() {
            return Err(Error::Choice(
                "`--max-tokens` needs `--tokenizer` to count with; `--max-characters` needs none"
                    .into(),
            ));
        }
        if over_long == OverLong::Split && max_tokens.or(max_characters).is_none() {
            return Err(Error::Choice(
                "`--over-long split` needs `--max-tokens` or `--max-characters`".into(),
            ));
        }
        if max_characters.is_some() && tokenizer.is_some() {
            return Err(Error::Choice(
                "with `--tokenizer`, the limit is `--max-tokens`, not `--max-characters`".into(),
            ));
        }
        let mut told = BTreeMap::new();
        let templates = match template {
            Some(path) => {
                let (templates, sha256) = read_template_files(path, now)?;
                told.insert("template".to_owned(), path.display().to_string());
                told.insert("template_sha256".to_owned(), sha256);
                Some(templates)
            }
            None => None,
        };
        let tokenizer = match tokenizer {
            Some(name) => {
                let (tokenizer, sha256) = read_tokenizer_file(name)?;
                told.insert("tokenizer".to_owned(), name.to_owned());
                told.extend(sha256.map(|sha256| ("tokenizer_sha256".to_owned(), sha256)));
                Some(tokenizer)
            }
            None => None,
        };
        let limits = [("max_tokens", max_tokens), ("max_characters", max_characters)];
        for (name, limit) in limits {
            told.extend(limit.map(|limit| (name.to_owned(), limit.to_string())));
        }
        if over_long != OverLong::default() {
            told.insert("over_long".to_owned(), over_long.to_string());
        }
        let most = max_tokens.or(max_characters);
        let measures = templates.is_some() || tokenizer.is_some() || most.is_some();
        Ok(measures.then_some(Self { templates, tokenizer, most, over_long, told }))
    }

    /// What it measures with, as the receipt tells it.
    pub fn told(&self) -> &BTreeMap<String, String> {
        &self.told
    }

    /// Measures a record, the JSON text of a row. Of a pair, the longer chat counts.
    pub(crate) fn row(&self, format: &dyn DataFormat, row: &str) -> Result<TokenCount, LeftOut> {
        let value = Value::parse(row).ok();
        let chats = value.as_ref().and_then(|value| format.chats(value)).unwrap_or_default();
        let mut longest = TokenCount::default();
        for chat in &chats {
            let counted = self.chat(chat)?;
            if counted.all >= longest.all {
                longest = counted;
            }
        }
        match self.most {
            Some(most) if longest.all > most => {
                let unit = unit_of(&self.told);
                let detail = format!("{} {unit}, more than {most}", longest.all);
                Err(LeftOut::new(Reason::TooLong, detail))
            }
            _ => Ok(longest),
        }
    }

    fn chat(&self, chat: &ChatRow) -> Result<TokenCount, LeftOut> {
        let (text, learnt) = match &self.templates {
            Some(templates) => {
                let rendered = templates
                    .render_row(chat)
                    .map_err(|error| LeftOut::new(Reason::TemplateError, error.to_string()))?;
                (rendered.text, rendered.learnt)
            }
            None => {
                let (text, learnt) = chat.plain();
                (text, Some(learnt))
            }
        };
        let spans = learnt.as_deref().unwrap_or_default();
        let counted = match &self.tokenizer {
            Some(tokenizer) => tokenizer
                .count(&text, spans)
                .map_err(|error| LeftOut::new(Reason::TemplateError, error.to_string()))?,
            None => TokenCount {
                all: text.chars().count(),
                learnt: spans
                    .iter()
                    .filter_map(|span| text.get(span.clone()))
                    .map(|text| text.chars().count())
                    .sum(),
            },
        };
        // Where a template writes earlier answers anew, it is not known what is learnt.
        let teaches = chat.messages.iter().any(|message| message.is_learnt);
        if teaches && learnt.is_some() && counted.learnt == 0 {
            let why = "the chat template writes nothing of the answers that are learnt";
            return Err(LeftOut::new(Reason::NothingToLearn, why));
        }
        Ok(counted)
    }
}

/// In what the lengths are, by what the receipt tells of the options.
pub(crate) fn unit_of(told: &BTreeMap<String, String>) -> &'static str {
    if told.contains_key("tokenizer") { "tokens" } else { "characters" }
}
