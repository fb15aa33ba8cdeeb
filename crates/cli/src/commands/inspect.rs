//! `retort inspect`.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;
use retort_formats::import::suggest;
use retort_service::{Inspection, ItemStats, first_texts, inspect};

use super::Failure;
use super::convert::{exit_code, findings, warn_of_most};
use crate::args::{InputArgs, plan};
use crate::display::{count, moment, one_line, several};
use crate::filters::SelectionArgs;
use crate::options::Records;
use crate::progress::Bar;

/// Items from which a mapping is drafted.
const ITEMS: usize = 200;

/// Names shown of a list; `--json` has more.
const NAMES: usize = 8;

/// Columns for labels.
const INDENT: usize = 11;

/// Columns of a line.
const WIDTH: usize = 80;

/// Show what files contain, and how much of it Retort understands.
///
/// Writes nothing. Also shows what a dataset made from the files would leave out, and why.
#[derive(Args)]
pub struct Inspect {
    #[command(flatten)]
    reading: InputArgs,

    #[command(flatten)]
    selecting: SelectionArgs,

    #[command(flatten)]
    records: Records,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,

    /// Only print a draft of a mapping for `--map`, made from the first items.
    #[arg(long, conflicts_with_all = ["json", "from", "map"])]
    suggest_map: bool,
}

impl Inspect {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let mut plan = plan(&self.reading, self.selecting, &self.records.0, "preview".parse()?)?;
        if self.suggest_map {
            let map = suggest(&first_texts(&plan, ITEMS)?);
            write!(std::io::stdout().lock(), "{map}")?;
            return Ok(ExitCode::SUCCESS);
        }
        retort_service::allow_all_programs();
        plan.dataset.redaction.prepare_from(None, false)?;
        let bar = Bar::new(false);
        let inspection = inspect(&plan, &bar, &AtomicBool::new(false));
        bar.finish();
        let inspection = inspection?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&inspection.to_json())?)?;
        } else {
            print(&inspection, self.reading.is_named(), &mut out)?;
            let found = &inspection.found;
            warn_of_most(found.account.read, found.account.refused, &mut out)?;
            writeln!(out, "\nas a dataset ({}):", plan.dataset.data_format.name())?;
            findings(found, &mut out)?;
        }
        let account = &inspection.found.account;
        Ok(exit_code(account.read, account.refused))
    }
}

/// The formats with their files, items and refusals.
fn formats(inspection: &Inspection) -> Vec<String> {
    let mut formats: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for source in &inspection.sources {
        let name = source.format.unwrap_or("(unknown)");
        let [files, items, refused] = formats.entry(name).or_default();
        *files += 1;
        *items += source.items;
        *refused += source.refused;
    }
    let told = |(name, [files, items, refused]): (&str, [u64; 3])| {
        let refused = counted(refused, "refused").map(|refused| format!(", {refused}"));
        let (items, files) = (several(items, "item"), several(files, "file"));
        format!("{name}: {items} in {files}{}", refused.unwrap_or_default())
    };
    formats.into_iter().map(told).collect()
}

fn print(inspection: &Inspection, is_named: bool, out: &mut impl Write) -> Result<(), Failure> {
    let Inspection { item_stats, .. } = inspection;
    list("format", &formats(inspection), out)?;
    let how = if is_named { "named" } else { "detected from the content" };
    let ItemStats { items, understood, .. } = item_stats;
    let understood = format!("{} of {}; format {how}", count(*understood), several(*items, "item"));
    lines("understood", &[understood], out)?;
    let kinds: Vec<_> =
        item_stats.kinds.iter().map(|(kind, number)| several(*number, kind)).collect();
    lines("kinds", &kinds, out)?;
    if item_stats.rounds > 0 {
        let branched = match item_stats.branched {
            0 => String::new(),
            number => format!(", {} with other branches", several(number, "conversation")),
        };
        lines("rounds", &[format!("{}{branched}", count(item_stats.rounds))], out)?;
    }
    lines("messages", &names(&item_stats.roles), out)?;
    lines("attached", &names(&item_stats.attachments), out)?;
    let mut calls = names(&item_stats.calls);
    calls.extend(counted(item_stats.calls_without_result, "without a result"));
    lines("calls", &calls, out)?;
    let answers = [
        counted(item_stats.reasoning, "with reasoning"),
        counted(item_stats.ratings, "rated"),
        counted(item_stats.failed, "failed or cut off"),
    ];
    lines("answers", &answers.into_iter().flatten().collect::<Vec<_>>(), out)?;
    lines("models", &names(&item_stats.models), out)?;
    lines("languages", &names(&item_stats.languages), out)?;
    let range = item_stats.first.zip(item_stats.last);
    let range = range.map(|(first, last)| format!("{} to {} UTC", moment(first), moment(last)));
    let dates = [range, counted(item_stats.undated, "without a date")];
    lines("dates", &dates.into_iter().flatten().collect::<Vec<_>>(), out)?;
    let unknown: Vec<_> = item_stats
        .not_understood
        .iter()
        .take(NAMES)
        .map(|(path, one)| {
            format!(
                "{} {} (first in {})",
                count(one.count),
                one_line(path, 60),
                one_line(&one.first, 40)
            )
        })
        .collect();
    list("unknown", &unknown, out)
}

/// A number of something, unless there is none.
fn counted(number: u64, what: &str) -> Option<String> {
    (number > 0).then(|| format!("{} {what}", count(number)))
}

/// Names with their counts, the largest first.
fn names(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let mut all: Vec<_> = counts.iter().collect();
    all.sort_by(|(_, one), (_, other)| other.cmp(one));
    let rest = all.len().saturating_sub(NAMES);
    let told = all
        .iter()
        .take(NAMES)
        .map(|(name, number)| format!("{} {}", count(**number), one_line(name, 50)));
    let more = (rest > 0).then(|| format!("{} more", count(rest as u64)));
    told.chain(more).collect()
}

/// Prints a label with its texts, one per line.
fn list(label: &str, texts: &[String], out: &mut impl Write) -> Result<(), Failure> {
    for (at, text) in texts.iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        writeln!(out, "{label:<INDENT$}{text}")?;
    }
    Ok(())
}

/// Prints a label with its texts, wrapped at the width.
fn lines(label: &str, texts: &[String], out: &mut impl Write) -> Result<(), Failure> {
    if texts.is_empty() {
        return Ok(());
    }
    let mut line = format!("{label:<INDENT$}");
    let mut is_first = true;
    for text in texts {
        let fits = line.chars().count() + 2 + text.chars().count() <= WIDTH;
        if is_first {
            line.push_str(text);
        } else if fits {
            line.push_str(", ");
            line.push_str(text);
        } else {
            writeln!(out, "{line},")?;
            line = format!("{:INDENT$}{text}", "");
        }
        is_first = false;
    }
    writeln!(out, "{line}")?;
    Ok(())
}
