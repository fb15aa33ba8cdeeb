//! `retort preview`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{Cell, CellAlignment};
use retort_formats::import::Refusal;
use retort_model::json::Value;
use retort_model::{Account, Tally};
use retort_service::{Package, preview, preview_package};
use serde_json::json;

use super::Failure;
use super::convert::{findings, findings_json};
use crate::args::{Reading, Selecting, Shaping, plan};
use crate::words::{one_line, table};

/// Characters of a text shown in the table.
const CELL: usize = 160;

/// Show the first 20 records as they would be written, or those of a package.
#[derive(Args)]
pub struct Preview {
    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    selecting: Selecting,

    #[command(flatten)]
    shaping: Shaping,

    #[command(flatten)]
    showing: Showing,
}

/// How records are shown.
#[derive(Args)]
pub struct Showing {
    /// As JSON: the records, and the findings where there are some, in one object.
    #[arg(long, conflicts_with = "lines")]
    json: bool,

    /// The records alone, a line of JSON each.
    #[arg(long)]
    lines: bool,
}

impl Preview {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let (records, found) = match self.package() {
            Some(mut package) => (preview_package(&mut package)?, None),
            None => {
                let preview = preview(&plan(&self.reading, self.selecting, &self.shaping)?)?;
                (preview.records, Some((preview.account, preview.refused)))
            }
        };
        self.showing.show(&records, found.as_ref().map(|(account, refused)| (account, refused)))
    }

    /// The input as a package, if it is one.
    fn package(&self) -> Option<Package> {
        let [path] = self.reading.inputs.as_slice() else { return None };
        Package::open(path).ok()
    }
}

impl Showing {
    /// Shows records, and what was found in the conversations that they were made of.
    pub fn show(
        &self,
        records: &[String],
        found: Option<(&Account, &Tally<Refusal>)>,
    ) -> Result<ExitCode, Failure> {
        let mut out = std::io::stdout().lock();
        if self.lines {
            for record in records {
                writeln!(out, "{record}")?;
            }
        } else if self.json {
            let values = records
                .iter()
                .map(|record| serde_json::from_str(record))
                .collect::<Result<Vec<serde_json::Value>, _>>()?;
            let mut whole = json!({"records": values});
            if let (Some((account, refused)), Some(object)) = (found, whole.as_object_mut()) {
                object.insert("findings".into(), findings_json(account, refused));
            }
            writeln!(out, "{}", serde_json::to_string_pretty(&whole)?)?;
        } else {
            print(records, &mut out)?;
            if let Some((account, refused)) = found {
                let mut err = std::io::stderr().lock();
                findings(account, refused, &mut err)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The records as tables to read: their messages if they have any, else their columns.
fn print(records: &[String], out: &mut impl Write) -> Result<(), Failure> {
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let value = Value::parse(record)?;
        writeln!(out, "{}. {}", index + 1, title(&value))?;
        let mut table = table(&[]);
        let messages = value.get("messages").or_else(|| value.get("convo")?.get("messages"));
        match messages {
            Some(Value::Array(messages)) => {
                for message in messages {
                    let role = message.get("role").and_then(Value::as_str).unwrap_or("?");
                    table.add_row([
                        Cell::new(role).set_alignment(CellAlignment::Right),
                        Cell::new(said(message)),
                    ]);
                }
            }
            _ => {
                let Value::Object(fields) = &value else { continue };
                for (name, value) in fields {
                    table.add_row([Cell::new(one_line(name, CELL)), Cell::new(shown(value))]);
                }
            }
        }
        writeln!(out, "{}", table.trim_fmt())?;
    }
    Ok(())
}

fn title(record: &Value<'_>) -> String {
    let text = |key: &str| record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let parts = [
        text("conversation_id").or(text("convo_id")).or(text("id")),
        text("data_source"),
        text("model"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| one_line(part, 60)).collect();
    if parts.is_empty() { "record".into() } else { parts.join(" · ") }
}

fn said(message: &Value<'_>) -> String {
    let mut text = message.get("content").map(shown).unwrap_or_default();
    if let Some(Value::Array(calls)) = message.get("tool_calls") {
        for call in calls {
            let Some(function) = call.get("function") else { continue };
            let part = |key: &str| {
                function.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            text.push_str(&one_line(&format!(" → {}({})", part("name"), part("arguments")), CELL));
        }
    }
    text
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::String(text) => one_line(text, CELL),
        other => one_line(&other.to_json(), CELL),
    }
}
