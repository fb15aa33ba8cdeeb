//! `retort diff`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;
use retort_formats::package::Finding;
use retort_service::{About, Diff, Package, ReceiptChange, diff, io_reason};

use super::{Failure, print_json, stop_flag};
use crate::display::{count, one_line};
use crate::progress::Bar;

/// Ids shown of each kind of change; `--list` has all.
const IDS: usize = 3;

/// Fields of the receipts that are shown; `--json` has more.
const FIELDS: usize = 30;

/// Columns of a line.
const WIDTH: usize = 80;

/// Show what changed between two packages, and why.
///
/// Compares the records by their ids, in any order and in any data files. For records that only one package has, it says
/// whether the other one left them out and why, or never had them; for changed records, it names the columns. Also shows
/// where the receipts differ: version, selection, options and inputs.
#[derive(Args)]
pub struct DiffPackages {
    /// Folder or archive of the first package.
    before: PathBuf,

    /// Folder or archive of the second package.
    after: PathBuf,

    #[command(flatten)]
    showing: Showing,
}

/// How a comparison is shown.
#[derive(Args)]
pub struct Showing {
    /// Write one line of JSON to this file for each record that differs.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl DiffPackages {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let (mut before, mut after) = (Package::open(&self.before)?, Package::open(&self.after)?);
        self.showing.show(&mut before, &mut after, &*stop_flag()?)
    }
}

impl Showing {
    /// Whether what is printed is for a program.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Compares two packages and shows what was found.
    pub fn show(
        &self,
        before: &mut Package,
        after: &mut Package,
        stopped: &AtomicBool,
    ) -> Result<ExitCode, Failure> {
        let mut list = match &self.list {
            Some(path) => Some(BufWriter::new(File::create(path).map_err(|error| {
                format!("cannot write `{}`: {}", path.display(), io_reason(&error))
            })?)),
            None => None,
        };
        let bar = Bar::new(false);
        let found = diff(before, after, u64::MAX, (&bar, stopped), &mut |one| {
            let Some(list) = &mut list else { return Ok(()) };
            serde_json::to_writer(&mut *list, one)?;
            list.write_all(b"\n")
        });
        bar.finish();
        let found = found?;
        if let Some(mut list) = list {
            list.flush()?;
        }
        if self.json {
            print_json(&found)?;
        } else {
            tell(&found, &mut std::io::stdout().lock())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(found: &Diff, out: &mut impl Write) -> std::io::Result<()> {
    let [before, after] = found.records.map(count);
    writeln!(out, "records    {before} before, {after} after")?;
    writeln!(out, "same       {}", count(found.same))?;
    for (label, findings) in [
        ("moved", &found.moved),
        ("added", &found.added),
        ("gone", &found.gone),
        ("changed", &found.changed),
    ] {
        let total: u64 = findings.iter().map(|finding| finding.count).sum();
        writeln!(out, "{label:<11}{}", count(total))?;
        for finding in findings {
            writeln!(out, "{}", one_line(&line_of(finding), WIDTH))?;
        }
    }
    let (counts, others): (Vec<_>, Vec<_>) =
        found.receipts.iter().partition(|one| one.about() == About::Counts);
    if !others.is_empty() {
        writeln!(out, "\nreceipts")?;
    }
    for change in others.iter().take(FIELDS) {
        writeln!(out, "{}", one_line(&field(change), WIDTH))?;
    }
    let more = counts.len() + others.len().saturating_sub(FIELDS);
    if more > 0 {
        writeln!(out, "  {} more fields differ; `--json` lists them", count(more as u64))?;
    }
    Ok(())
}

fn line_of(finding: &Finding) -> String {
    let ids: Vec<&str> = finding.first_ids.iter().take(IDS).map(String::as_str).collect();
    let more = if finding.count > ids.len() as u64 { ", …" } else { "" };
    format!("  {:>8}  {} ({}{more})", count(finding.count), finding.kind, ids.join(", "))
}

fn field(change: &ReceiptChange) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".into());
    format!("  {}: {} -> {}", change.field, text(&change.before), text(&change.after))
}
