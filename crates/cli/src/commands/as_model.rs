//! `retort preview --as-model`: records as the model sees them.

use std::io::Write;

use clap::Args;
use retort_json::Value;
use retort_service::data::DataFormat;
use retort_service::template::{Rendered, TemplateError};
use retort_service::{Clock, MeasureOptions, ModelView, SeenRecord};
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
        let view = ModelView::read(format, &template, tokenizer.as_deref(), MachineClock.now())?;
        Ok(Some(View(view)))
    }
}

/// Shows records as the model sees them.
pub struct View(ModelView);

impl View {
    /// Shows records: as JSON (one array, or a line each), or to read.
    pub fn show(&self, records: &[String], is_json: bool, is_lines: bool) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let mut all = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let record = Value::parse(record)?;
            let seen = self.0.see(&record)?;
            if is_lines {
                writeln!(out, "{}", json_of(&seen))?;
            } else if is_json {
                all.push(json_of(&seen));
            } else {
                let separator = if index > 0 { "\n" } else { "" };
                writeln!(out, "{separator}{}. {}: {}", index + 1, title(&record), words(&seen))?;
                if let Ok(SeenRecord { rendered, .. }) = &seen {
                    write!(out, "{}", lines(&marked(rendered), "  "))?;
                }
            }
        }
        if is_json {
            writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "records": all }))?)?;
        }
        Ok(())
    }
}

fn words(seen: &Result<SeenRecord, TemplateError>) -> String {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return format!("not rendered: {error}"),
    };
    let all = several(seen.counted.all as u64, seen.unit);
    if seen.rendered.learnt.is_none() {
        return format!(
            "{all}; cannot tell what the model is trained on, because the template changes earlier messages and has no `{{% generation %}}` marks"
        );
    }
    format!("{all}, trained on {}", count(seen.counted.learnt as u64))
}

fn json_of(seen: &Result<SeenRecord, TemplateError>) -> serde_json::Value {
    match seen {
        Ok(seen) => seen.to_json(),
        Err(error) => json!({ "error": error.to_string() }),
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
