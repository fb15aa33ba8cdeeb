//! Records as a model sees them: the text that its chat template writes, and how long that is.

use std::ops::Range;

use retort_formats::data::DataFormat;
use retort_formats::template::{Rendered, TemplateError, Templates, TokenCount, Tokenizer};
use retort_json::Value;
use retort_model::Time;
use serde_json::json;

use crate::error::Error;
use crate::model_files::{read_templates, read_tokenizer};

/// Renders and counts records of one data format.
pub struct ModelView {
    format: &'static dyn DataFormat,
    templates: Templates,
    tokenizer: Option<Tokenizer>,
}

/// A record as the model sees it.
#[derive(Debug)]
pub struct SeenRecord {
    /// Its text, and the spans of it that the model is trained on.
    pub rendered: Rendered,
    /// How long the text and the spans are.
    pub counted: TokenCount,
    /// In what that is counted.
    pub unit: &'static str,
}

impl ModelView {
    /// A view by the template and tokenizer that [`read_templates`] and [`read_tokenizer`] read. Without a tokenizer it
    /// counts characters. `now` is what templates print as the date.
    ///
    /// # Errors
    /// A file that can't be read, or that is not what it should be.
    pub fn read(
        format: &'static dyn DataFormat,
        template: &str,
        tokenizer: Option<&str>,
        now: Time,
    ) -> Result<Self, Error> {
        let templates = read_templates(template, now)?;
        let tokenizer = tokenizer.map(read_tokenizer).transpose()?;
        Ok(Self { format, templates, tokenizer })
    }

    /// In what records are counted: `token` or `character`.
    pub fn unit(&self) -> &'static str {
        if self.tokenizer.is_some() { "token" } else { "character" }
    }

    /// A record as the model sees it, or what the template raised. Of a pair, it is the chat of the first answer.
    ///
    /// # Errors
    /// Rows of the format are no chats, or the tokenizer fails.
    pub fn see(&self, record: &Value<'_>) -> Result<Result<SeenRecord, TemplateError>, Error> {
        let chats = self.format.chats(record).unwrap_or_default();
        let Some(chat) = chats.into_iter().next() else {
            return Err(Error::Choice(format!(
                "a chat template cannot render rows of `{}`; it renders those of the formats for training, in JSON \
                 Lines or Parquet",
                self.format.name()
            )));
        };
        let rendered = match self.templates.render_row(&chat) {
            Ok(rendered) => rendered,
            Err(error) => return Ok(Err(error)),
        };
        let spans = rendered.learnt.as_deref().unwrap_or_default();
        let counted = match &self.tokenizer {
            Some(tokenizer) => tokenizer
                .count(&rendered.text, spans)
                .map_err(|error| Error::Choice(error.to_string()))?,
            None => TokenCount::of_characters(&rendered.text, spans),
        };
        Ok(Ok(SeenRecord { rendered, counted, unit: self.unit() }))
    }
}

impl SeenRecord {
    /// As JSON. Spans are pairs of positions in the text, counted in characters; `null` where it is not known what the
    /// model is trained on.
    pub fn to_json(&self) -> serde_json::Value {
        let Self { rendered, counted, unit } = self;
        let chars = |end: usize| rendered.text.get(..end).map_or(0, |text| text.chars().count());
        let spans = |spans: &Vec<Range<usize>>| -> Vec<[usize; 2]> {
            spans.iter().map(|span| [chars(span.start), chars(span.end)]).collect()
        };
        json!({
            "text": rendered.text,
            "learnt": rendered.learnt.as_ref().map(spans),
            "unit": format!("{unit}s"),
            "length": counted.all,
            "learnt_length": rendered.learnt.as_ref().map(|_| counted.learnt),
        })
    }
}
