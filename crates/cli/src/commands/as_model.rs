//! `retort preview --as-model`: records as the model sees them.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use retort_json::Value;
use retort_service::data::DataFormat;
use retort_service::template::{Rendered, Templates, TokenCount, Tokenizer};
use retort_service::{Clock, Measure, MeasureOptions, OverLong, read_templates, read_tokenizer};
use serde_json::json;

use super::Failure;
use crate::config::MachineClock;
use crate::display::{count, lines, several, title};

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
    model: ModelArgs,
}

/// The files of the model, and how long records may be.
#[derive(Args)]
#[command(next_help_heading = "As the model sees it")]
pub struct ModelArgs {
    /// Chat template: a `.jinja` file, a `tokenizer_config.json` or a model's folder; `PATH#NAME` selects one of several.
    #[arg(long, value_name = "PATH")]
    template: Option<PathBuf>,

    /// Tokenizer to count with: a `tokenizer.json`, a model's folder, `cl100k` or `o200k` [default: count characters].
    #[arg(long, value_name = "PATH|NAME")]
    tokenizer: Option<String>,

    /// Maximum number of tokens in a record; needs `--tokenizer`.
    #[arg(long, value_name = "N", requires = "tokenizer")]
    max_tokens: Option<usize>,

    /// Maximum number of characters in a record, if no tokenizer is given.
    #[arg(long, value_name = "N", conflicts_with = "tokenizer")]
    max_characters: Option<usize>,

    /// What to do with longer records: leave them out, or split them between exchanges (never within an answer).
    #[arg(long, value_name = "leave-out|split", default_value_t = OverLong::LeaveOut)]
    over_long: OverLong,
}

impl ModelArgs {
    /// What measures the records; none if nothing is to be measured.
    pub fn measure(&self) -> Result<Option<Arc<Measure>>, Failure> {
        let options = MeasureOptions {
            template: self.template.as_deref(),
            tokenizer: self.tokenizer.as_deref(),
            max_tokens: self.max_tokens,
            max_characters: self.max_characters,
            over_long: self.over_long,
        };
        Ok(Measure::open(&options, MachineClock.now())?.map(Arc::new))
    }
}

impl AsModel {
    /// What leaves records out for their length; none if there is no limit.
    pub fn limit(&self) -> Result<Option<Arc<Measure>>, Failure> {
        let is_limited = self.model.max_tokens.or(self.model.max_characters).is_some();
        if is_limited { self.model.measure() } else { Ok(None) }
    }

    /// The view that these arguments describe; none without `--as-model`.
    pub fn view(&self, format: &'static dyn DataFormat) -> Result<Option<View>, Failure> {
        let Some(template) = self.model.template.as_ref().filter(|_| self.as_model) else {
            return Ok(None);
        };
        let templates = read_templates(template, MachineClock.now())?;
        let tokenizer = self.model.tokenizer.as_deref().map(read_tokenizer).transpose()?;
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
            None => TokenCount {
                all: rendered.text.chars().count(),
                learnt: learnt
                    .iter()
                    .filter_map(|span| rendered.text.get(span.clone()))
                    .map(|text| text.chars().count())
                    .sum(),
            },
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
