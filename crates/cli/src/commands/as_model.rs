//! `retort preview --as-model`: records as the model sees them.

use std::io::Write;

use clap::Args;
use retort_json::Value;
use retort_service::data::DataFormat;
use retort_service::template::{Rendered, Templates, TokenCount, Tokenizer};
use retort_service::{Clock, MeasureOptions, read_templates, read_tokenizer};
use serde_json::json;

use super::Failure;
use crate::config::MachineClock;
use crate::display::{count, lines, several, title};
use crate::options::Model;

/// The marks around a span that the model is trained on.
const MARKS: [char; 2] = ['⟦', '⟧'];

/// How the model sees records.
#[derive(Args)]
#[command(next_help_heading = "As the model sees it")]
pub struct AsModel {
    /// Show the text that the model sees, with the parts it is trained on in ⟦ ⟧.
    #[arg(long, requires = "template")]
    as_model: bool,

    #[command(flatten)]
    pub model: Model,
}

impl AsModel {
    /// The view that these arguments describe; none without `--as-model`.
    pub fn view(&self, format: &'static dyn DataFormat) -> Result<Option<View>, Failure> {
        let dataset = self.model.0.resolve("view".parse()?, None)?;
        let MeasureOptions { template, tokenizer, .. } = dataset.measuring;
        let Some(template) = template.filter(|_| self.as_model) else { return Ok(None) };
        let templates = read_templates(&template, MachineClock.now())?;
        let tokenizer = tokenizer.as_deref().map(read_tokenizer).transpose()?;
        Ok(Some(View { format, templates, tokenizer }))
    }
}

/// Renders and counts records.
pub struct View {
    format: &'static dyn DataFormat,
    templates: Templates,
    tokenizer: Option<Tokenizer>,
}

/// A record as the model sees it.
struct Seen {
    rendered: Rendered,
    counted: TokenCount,
}

impl View {
    /// Shows records: as JSON (one array, or a line each), or to read.
    pub fn show(&self, records: &[String], is_json: bool, is_lines: bool) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let mut all = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let record = Value::parse(record)?;
            let seen = self.see(&record)?;
            if is_lines {
                writeln!(out, "{}", self.json(&seen))?;
            } else if is_json {
                all.push(self.json(&seen));
            } else {
                let separator = if index > 0 { "\n" } else { "" };
                writeln!(
                    out,
                    "{separator}{}. {}: {}",
                    index + 1,
                    title(&record),
                    self.words(&seen)
                )?;
                if let Ok(Seen { rendered, .. }) = &seen {
                    write!(out, "{}", lines(&marked(rendered), "  "))?;
                }
            }
        }
        if is_json {
            writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "records": all }))?)?;
        }
        Ok(())
    }

    /// A record as the model sees it, or the error that the template raised.
    fn see(&self, record: &Value<'_>) -> Result<Result<Seen, String>, Failure> {
        let chats = self.format.chats(record).unwrap_or_default();
        let Some(chat) = chats.into_iter().next() else {
            return Err(format!(
                "`--as-model` cannot read chats from rows of `{}`; it reads the formats for training, in JSON Lines or Parquet",
                self.format.name()
            )
            .into());
        };
        let rendered = match self.templates.render_row(&chat) {
            Ok(rendered) => rendered,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let learnt = rendered.learnt.as_deref().unwrap_or_default();
        let counted = match &self.tokenizer {
            Some(tokenizer) => tokenizer.count(&rendered.text, learnt)?,
            None => TokenCount::of_characters(&rendered.text, learnt),
        };
        Ok(Ok(Seen { rendered, counted }))
    }

    fn unit(&self) -> &'static str {
        if self.tokenizer.is_some() { "token" } else { "character" }
    }

    fn words(&self, seen: &Result<Seen, String>) -> String {
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => return format!("not rendered: {error}"),
        };
        let all = several(seen.counted.all as u64, self.unit());
        if seen.rendered.learnt.is_none() {
            return format!(
                "{all}; cannot tell what the model is trained on, because the template changes earlier messages and has no `{{% generation %}}` marks"
            );
        }
        format!("{all}, {} learnt", count(seen.counted.learnt as u64))
    }

    fn json(&self, seen: &Result<Seen, String>) -> serde_json::Value {
        let Seen { rendered, counted } = match seen {
            Ok(seen) => seen,
            Err(error) => return json!({ "error": error }),
        };
        let chars = |end: usize| rendered.text.get(..end).map_or(0, |text| text.chars().count());
        let spans = |spans: &Vec<std::ops::Range<usize>>| -> Vec<[usize; 2]> {
            spans.iter().map(|span| [chars(span.start), chars(span.end)]).collect()
        };
        json!({
            "text": rendered.text,
            "learnt": rendered.learnt.as_ref().map(spans),
            "unit": format!("{}s", self.unit()),
            "length": counted.all,
            "learnt_length": rendered.learnt.as_ref().map(|_| counted.learnt),
        })
    }
}

/// The text with marks around the spans that the model is trained on.
fn marked(rendered: &Rendered) -> String {
    let mut out = String::with_capacity(rendered.text.len() + 16);
    let mut at = 0;
    for span in rendered.learnt.iter().flatten() {
        out.push_str(rendered.text.get(at..span.start).unwrap_or_default());
        out.push(MARKS[0]);
        out.push_str(rendered.text.get(span.clone()).unwrap_or_default());
        out.push(MARKS[1]);
        at = span.end;
    }
    out.push_str(rendered.text.get(at..).unwrap_or_default());
    out
}
