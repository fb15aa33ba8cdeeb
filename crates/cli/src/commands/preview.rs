//! `retort preview`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{Cell, CellAlignment};
use retort_json::Value;
use retort_service::{Found, Package, preview, preview_package};
use serde_json::json;
use std::sync::atomic::AtomicBool;

use super::Failure;
use super::as_model::{AsModel, View};
use super::convert::{exit_code, findings, rejects_to, warn_of_most};
use crate::args::{InputArgs, RedactKey, plan};
use crate::display::{one_line, table, title};
use crate::filters::SelectionArgs;
use crate::options::Records;

/// Characters of a text shown in the table.
const CELL: usize = 160;

/// Show the first 20 records of a conversion or of a package.
#[derive(Args)]
pub struct Preview {
    #[command(flatten)]
    reading: InputArgs,

    #[command(flatten)]
    selecting: SelectionArgs,

    #[command(flatten)]
    records: Records,

    /// Write to this file one line of JSON for each item that cannot be read or is left out.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    #[command(flatten)]
    key: RedactKey,

    #[command(flatten)]
    showing: Showing,

    #[command(flatten)]
    as_model: AsModel,
}

/// How records are shown.
#[derive(Args)]
pub struct Showing {
    /// Print one JSON object with the records and any findings.
    #[arg(long, conflicts_with = "lines")]
    json: bool,

    /// Print only the records, as one line of JSON each.
    #[arg(long)]
    lines: bool,
}

impl Preview {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if let Some(mut package) = self.package() {
            let view = match retort_service::data::by_name(&package.manifest().data_format) {
                Some(format) => self.as_model.view(format)?,
                None => None,
            };
            let records = preview_package(&mut package)?;
            return self.showing.show_as(view.as_ref(), &records, None);
        }
        let mut rejects = rejects_to(self.rejects.as_deref())?;
        let options = self.records.0.and(self.as_model.model.0.clone());
        let mut plan = plan(&self.reading, self.selecting, &options, "preview".parse()?)?;
        retort_service::allow_all_programs();
        plan.dataset.redaction.prepare_from(self.key.redact_key.as_deref(), false)?;
        if !plan.dataset.measuring.has_limit() {
            // What a template raises is shown for each record.
            plan.dataset.measure = None;
        }
        let view = self.as_model.view(plan.dataset.data_format)?;
        let preview = preview(&plan, &AtomicBool::new(false), &mut *rejects)?;
        rejects.flush()?;
        self.showing.show_as(view.as_ref(), &preview.records, Some(&preview.found))
    }

    /// The input as a package, if it is one.
    fn package(&self) -> Option<Package> {
        let [path] = self.reading.inputs.as_slice() else { return None };
        Package::open(path).ok()
    }
}

impl Showing {
    /// Shows records as the model sees them, if a view is given.
    fn show_as(
        &self,
        view: Option<&View>,
        records: &[String],
        found: Option<&Found>,
    ) -> Result<ExitCode, Failure> {
        let Some(view) = view else { return self.show(records, found) };
        view.show(records, self.json, self.lines)?;
        Ok(found.map_or(ExitCode::SUCCESS, |found| {
            exit_code(found.account.read, found.account.refused)
        }))
    }

    /// Shows records, and the findings in the conversations from which they were made.
    pub fn show(&self, records: &[String], found: Option<&Found>) -> Result<ExitCode, Failure> {
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
            if let (Some(found), Some(object)) = (found, whole.as_object_mut()) {
                object.insert("findings".into(), found.to_json());
            }
            writeln!(out, "{}", serde_json::to_string_pretty(&whole)?)?;
        } else {
            print(records, &mut out)?;
            if let Some(found) = found {
                let mut err = std::io::stderr().lock();
                warn_of_most(found.account.read, found.account.refused, &mut err)?;
                findings(found, &mut err)?;
                redaction_hits(found, &mut err)?;
            }
        }
        Ok(found.map_or(ExitCode::SUCCESS, |found| {
            exit_code(found.account.read, found.account.refused)
        }))
    }
}

/// The first places where redaction found something.
fn redaction_hits(found: &Found, out: &mut impl Write) -> Result<(), Failure> {
    if found.hits.is_empty() {
        return Ok(());
    }
    writeln!(out, "first redactions")?;
    let mut table = table(&["RULE", "ITEM", "PLACE", "CONTEXT"]);
    for hit in &found.hits {
        table.add_row([
            one_line(&hit.rule, 40),
            one_line(&hit.id, 40),
            one_line(&hit.place, 60),
            one_line(&hit.context, 100),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
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
