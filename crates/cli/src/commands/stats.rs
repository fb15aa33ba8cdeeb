//! `retort stats`.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;
use retort_model::{ConversationFilter, ItemFilter, ItemKind, Reason};
use retort_service::{
    Dedup, ExportOptions, ExportRequest, Package, SourceCount, Stats as Counted, stats,
    stats_of_package,
};
use retort_web::wire;

use super::convert::{exit_code, findings, warn_of_most};
use super::{Failure, misuse, print_json, stop_flag};
use crate::args::{InputArgs, RedactKey, plan};
use crate::config::StoreArgs;
use crate::display::{count, moment_of, one_line};
use crate::filters::{ExportFilterArgs, FilterArgs};
use crate::options::{Model, Records};

/// Names shown of a list; `--json` has more.
const NAMES: usize = 8;

/// Columns for the labels of a table, and for each of its numbers.
const LABEL: usize = 48;
const NUMBER: usize = 15;

/// Count what is in histories, packages or the store.
///
/// Counts turns, tokens, models, languages, tools, dates, lengths and duplicates.
///
/// Writes nothing. The column `selected` counts the items that the filter selects, and `written` those that a dataset
/// made with the same options would contain. For a package, it counts what is in its data. Without INPUT, it counts
/// what is in the store.
#[derive(Args)]
#[command(mut_arg("inputs", |inputs| inputs.required(false).help(
    "Files, folders or archives with histories, or a package; `-` is standard input [default: the store]"
)))]
pub struct Stats {
    #[command(flatten)]
    reading: InputArgs,

    /// Which duplicates to count; with `--dedup`, those that it leaves out. Not counted with `--limit` or `--sample`.
    #[arg(long, value_name = "none|exact|near", default_value = "near", value_parser = str::parse::<Dedup>)]
    duplicates: Dedup,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    selecting: ExportFilterArgs,

    #[command(flatten)]
    records: Records,

    #[command(flatten)]
    model: Model,

    #[command(flatten)]
    key: RedactKey,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Stats {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if let [path] = self.reading.inputs.as_slice()
            && let Ok(mut package) = Package::open(path)
        {
            let everything = ItemFilter::Conversations(ConversationFilter::default());
            let chosen = self.records.0.and(self.model.0);
            if self.selecting.0 != everything || chosen != ExportOptions::default() {
                return Err(misuse(format!(
                    "`{}` is a package, which is counted as it is: remove the filters and the options for records",
                    path.display()
                )));
            }
            return of_package(&mut package, self.duplicates, self.json, &*stop_flag()?);
        }
        let options = self.records.0.and(self.model.0);
        let selection = self.selecting.0;
        if self.reading.inputs.is_empty() {
            let client = self.keeping.client()?;
            let name = "stats".parse()?;
            let dataset = options.resolve(name, Some(selection.kind()))?;
            let mut request = ExportRequest { selection, dataset };
            let stats = match client.opened() {
                Some(opened) => {
                    opened.service.open_local_files(&mut request.dataset)?;
                    let counting = (self.duplicates, &*stop_flag()?);
                    let (service, caller) = (&opened.service, &opened.caller);
                    let counted = service.export_stats(caller, &request, counting.0, counting.1)?;
                    wire::Stats::from(&counted)
                }
                None => client.export_stats(&request, self.duplicates)?,
            };
            match self.json {
                true => print_json(&stats)?,
                false => {
                    let mut out = std::io::stdout().lock();
                    table(&stats, true, &mut out)?;
                    left_out(&stats, &mut out)?;
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        let ItemFilter::Conversations(selection) = selection else {
            let kinds = selection.kind().plural();
            return Err(misuse(format!(
                "in files, only conversations can be selected, not {kinds}"
            )));
        };
        let mut plan = plan(&self.reading, FilterArgs(selection), &options, "stats".parse()?)?;
        retort_service::allow_all_programs();
        plan.dataset.redaction.prepare_from(self.key.redact_key.as_deref(), false)?;
        let counted = stats(&plan, self.duplicates, &*stop_flag()?)?;
        let account = &counted.found.account;
        if self.json {
            print_json(&as_json(&counted)?)?;
        } else {
            let mut out = std::io::stdout().lock();
            table(&(&counted).into(), true, &mut out)?;
            warn_of_most(account.read, account.refused, &mut out)?;
            writeln!(out, "\nas a dataset ({}):", plan.dataset.data_format.name())?;
            findings(&counted.found, &mut out)?;
        }
        Ok(exit_code(account.read, account.refused))
    }
}

/// Counts what is in the data of a package, and shows it.
pub fn of_package(
    package: &mut Package,
    counting: Dedup,
    json: bool,
    stopped: &AtomicBool,
) -> Result<ExitCode, Failure> {
    let counted = stats_of_package(package, counting, stopped)?;
    if json {
        print_json(&as_json(&counted)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    table(&(&counted).into(), false, &mut out)?;
    writeln!(out, "\nfrom its receipt:")?;
    let manifest = package.manifest();
    for (kind, counts) in manifest.counts().filter(|(_, counts)| counts.selected > 0) {
        let (kind, selected, written) = (kind.plural(), counts.selected, counts.written);
        writeln!(out, "{kind}: {} selected, {} written", count(selected), count(written))?;
        for finding in &counts.left_out_by_reason {
            reason(&finding.kind, finding.count, &mut out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(counted: &Counted) -> Result<serde_json::Value, Failure> {
    let mut whole = serde_json::to_value(wire::Stats::from(counted))?;
    if let Some(object) = whole.as_object_mut() {
        object.insert("sources".into(), counted.sources.iter().map(SourceCount::to_json).collect());
        object.insert("dataset".into(), counted.found.to_json());
    }
    Ok(whole)
}

/// Prints what was counted, in one column for what is selected, or in two.
fn table(stats: &wire::Stats, is_dataset: bool, out: &mut impl Write) -> std::io::Result<()> {
    let wire::Stats { selected, written, duplicates, .. } = stats;
    let mut table = Table { columns: if is_dataset { 2 } else { 1 }, out };
    if is_dataset {
        table.line("", &["selected", "written"].map(str::to_owned))?;
    }
    let of = [selected, written];
    for kind in ItemKind::ALL {
        let number = |contents: &wire::Contents| {
            contents.kinds.get(kind.as_str()).copied().unwrap_or_default()
        };
        table.numbers(kind.plural(), of.map(number))?;
    }
    let not_understood = |contents: &wire::Contents| contents.items - contents.understood;
    table.numbers("  not fully understood", of.map(not_understood))?;
    if let Some(wire::Duplicates { exact, near }) = duplicates {
        table.line("  duplicates", &[count(*exact)])?;
        table.line("  near duplicates", &[count(*near)])?;
    }
    table.numbers("  with other branches", of.map(|contents| contents.branched))?;
    table.numbers("rounds", of.map(|contents| contents.rounds))?;
    table.numbers("user turns", of.map(|contents| contents.turns))?;
    table.names("messages", of.map(|contents| &contents.roles))?;
    table.lengths("messages or chunks per item", of.map(|contents| &contents.messages_each))?;
    table.lengths("characters per item", of.map(|contents| &contents.characters_each))?;
    table.numbers("characters", of.map(|contents| contents.characters_each.total))?;
    table.numbers("prompt tokens", of.map(|contents| contents.tokens.input))?;
    table.numbers("answer tokens", of.map(|contents| contents.tokens.output))?;
    table
        .numbers("  reported by conversations", of.map(|contents| contents.tokens.conversations))?;
    table.names("models", of.map(|contents| &contents.models))?;
    table.names("languages", of.map(|contents| &contents.languages))?;
    table.names("tool calls", of.map(|contents| &contents.calls))?;
    table.numbers("  without a result", of.map(|contents| contents.calls_without_result))?;
    table.names("attachments", of.map(|contents| &contents.attachments))?;
    table.numbers("answers with reasoning", of.map(|contents| contents.reasoning))?;
    table.numbers("answers with a rating", of.map(|contents| contents.ratings))?;
    table.numbers("failed or cut off", of.map(|contents| contents.failed))?;
    if selected.first.is_some() {
        let first = of.map(|contents| moment_of(contents.first.as_deref()));
        table.line("first (UTC)", &first)?;
        table.line("last (UTC)", &of.map(|contents| moment_of(contents.last.as_deref())))?;
    }
    table.numbers("without a date", of.map(|contents| contents.undated))?;
    table.names("months", of.map(|contents| &contents.months))
}

/// Prints why a dataset would have nothing of some of the items.
fn left_out(stats: &wire::Stats, out: &mut impl Write) -> std::io::Result<()> {
    if !stats.left_out.is_empty() {
        writeln!(out, "\nleft out")?;
    }
    stats.left_out.iter().try_for_each(|(why, number)| reason(why, *number, out))
}

fn reason(why: &str, number: u64, out: &mut impl Write) -> std::io::Result<()> {
    let words = why.parse().map_or(why, |reason: Reason| reason.words());
    writeln!(out, "  {:>8}  {words}", count(number))
}

/// A table of labels and numbers, as wide as a terminal at least is.
struct Table<'t, W> {
    columns: usize,
    out: &'t mut W,
}

impl<W: Write> Table<'_, W> {
    fn line(&mut self, label: &str, cells: &[String]) -> std::io::Result<()> {
        write!(self.out, "{}", one_line(label, LABEL - 1))?;
        let mut end = one_line(label, LABEL - 1).chars().count();
        for (at, cell) in cells.iter().take(self.columns).enumerate() {
            let next = LABEL + (at + 1) * NUMBER;
            write!(self.out, "{cell:>width$}", width = next.saturating_sub(end))?;
            end = next;
        }
        writeln!(self.out)
    }

    /// A line of numbers, unless all are 0.
    fn numbers(&mut self, label: &str, numbers: [u64; 2]) -> std::io::Result<()> {
        if numbers.iter().take(self.columns).all(|&number| number == 0) {
            return Ok(());
        }
        self.line(label, &numbers.map(count))
    }

    /// How many there are of all names, and of those that are the most frequent in the first column.
    fn names(&mut self, label: &str, of: [&BTreeMap<String, u64>; 2]) -> std::io::Result<()> {
        let number = |counts: &BTreeMap<String, u64>, name: &str| {
            counts.get(name).copied().unwrap_or_default()
        };
        self.numbers(label, of.map(|counts| counts.values().sum()))?;
        let mut names: Vec<&String> =
            of.iter().take(self.columns).flat_map(|one| one.keys()).collect();
        names.sort();
        names.dedup();
        names.sort_by_key(|name| std::cmp::Reverse(of.map(|counts| number(counts, name))));
        for name in names.iter().take(NAMES) {
            self.numbers(&format!("  {name}"), of.map(|counts| number(counts, name)))?;
        }
        let rest = names.get(NAMES..).unwrap_or_default();
        let sum =
            |counts: &BTreeMap<String, u64>| rest.iter().map(|name| number(counts, name)).sum();
        self.numbers(&format!("  {} more", count(rest.len() as u64)), of.map(sum))
    }

    fn lengths(&mut self, label: &str, of: [&wire::Lengths; 2]) -> std::io::Result<()> {
        self.numbers(&format!("{label}, median"), of.map(|one| one.median))?;
        self.numbers("  90 % have at most", of.map(|one| one.p90))?;
        self.numbers("  99 % have at most", of.map(|one| one.p99))?;
        self.numbers("  the longest has", of.map(|one| one.longest))
    }
}
