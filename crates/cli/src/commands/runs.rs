//! `retort runs`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::{NodeRun, Run, RunFilter, canonical};
use retort_service::RunOrder;
use retort_web::wire;

use super::export::ExportOf;
use super::listing::{Listing, PageArgs, Printed};
use super::{Failure, confirm, print_json};
use crate::args::{check_chosen, order, page_length};
use crate::changing::tell_dry;
use crate::config::StoreArgs;
use crate::display::{bytes, count, fitted, lines, moment_of, one_line, several, table};
use crate::filters::{FlowArgs, RunFilterArgs};

/// List, show, export or purge runs; list copilots and recipes.
#[derive(Args)]
pub struct Runs {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Subcommand)]
enum RunsCommand {
    /// List runs.
    List(List),
    /// Show a complete run: the prompt, input, output, time and tokens of every node.
    Show(Show),
    /// Count the runs that match.
    Count(Count),
    /// Show volume, failures and latency over time.
    Stats(Stats),
    /// List the copilots and recipes that have runs, or show one with its versions and nodes.
    Flows(Flows),
    /// Export runs from the store as a dataset.
    Export(Box<ExportOf<RunFilterArgs<true>>>),
    /// Permanently delete runs. Datasets that contain them stay.
    Purge(Purge),
}

#[derive(Args)]
struct List {
    /// Print one JSON object: the runs, the number of matches, and the cursor of the next page.
    #[arg(long, conflicts_with = "lines")]
    json: bool,

    /// Print one line of JSON per run.
    #[arg(long)]
    lines: bool,

    #[command(flatten)]
    filtering: RunFilterArgs,

    /// Sort order [default: newest].
    #[arg(long, value_name = "ORDER", value_parser = order::<RunOrder>(), help_heading = "Page")]
    sort: Option<RunOrder>,

    /// Runs per page.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = page_length("runs; `--all` shows all pages"), help_heading = "Page")]
    limit: usize,

    #[command(flatten)]
    page: PageArgs,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Show {
    /// Request id of the run.
    #[arg(value_name = "REQUEST-ID")]
    id: String,

    /// Print the lossless line of JSON that `retort import` reads.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    of: FlowArgs,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Count {
    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filtering: RunFilterArgs,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Stats {
    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filtering: RunFilterArgs,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Flows {
    /// Id of the copilot or recipe to show.
    #[arg(value_name = "ID")]
    id: Option<String>,

    /// Only copilots.
    #[arg(long)]
    copilots: bool,

    /// Only recipes.
    #[arg(long, conflicts_with = "copilots")]
    recipes: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Purge {
    /// Request ids of the runs.
    #[arg(value_name = "REQUEST-ID")]
    runs: Vec<String>,

    /// All runs.
    #[arg(long, conflicts_with = "runs")]
    all: bool,

    /// Only show what would be deleted.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    /// Print the count as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filtering: RunFilterArgs,

    #[command(flatten)]
    keeping: StoreArgs,
}

/// Characters of a name or title on its line.
const NAME: usize = 200;

impl Runs {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            RunsCommand::List(list) => list.run(),
            RunsCommand::Show(show) => show.run(),
            RunsCommand::Count(count) => count.run(),
            RunsCommand::Stats(stats) => stats.run(),
            RunsCommand::Flows(flows) => flows.run(),
            RunsCommand::Export(export) => export.run(),
            RunsCommand::Purge(purge) => purge.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let selection = RunFilter::try_from(self.filtering)?;
        let order = self.sort.unwrap_or_default();
        let listing = Listing {
            kind: "run",
            columns: &[
                "REQUEST ID",
                "OF",
                "VERSION",
                "STATUS",
                "QUESTION",
                "ANSWER",
                "ERROR",
                "FILES",
                "STARTED",
            ],
            row,
            page: &|after, most| {
                let page = client.runs(&selection, order, after, most)?;
                Ok((page.runs, page.next))
            },
            total: &|| client.count_runs(&selection),
        };
        let printed = Printed::of(self.json, self.lines);
        listing.print(printed, self.limit, &self.page, &mut io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(one: &wire::Run) -> Vec<String> {
    let text = |text: &Option<String>| one_line(text.as_deref().unwrap_or_default(), 40);
    vec![
        one_line(&one.request_id, 64),
        one_line(&format!("{} {}", one.source, one.source_id), 40),
        text(&one.version),
        one.status.clone(),
        text(&one.question),
        text(&one.answer),
        text(&one.error),
        if one.files == 0 { String::new() } else { count(one.files) },
        moment_of(one.started_at.as_deref()),
    ]
}

impl Show {
    fn run(self) -> Result<ExitCode, Failure> {
        let mut of = RunFilter::default();
        self.of.narrow(&mut of)?;
        let (summary, line) =
            self.keeping.client()?.run(&self.id, of.source, of.flow.as_deref())?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            out.write_all(&line)?;
            writeln!(out)?;
        } else {
            let run = canonical::read_run(std::str::from_utf8(&line)?)?;
            print_run(&summary, &run, &mut out)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print_run(summary: &wire::Run, run: &Run<'_>, out: &mut impl Write) -> io::Result<()> {
    let name = |text: &str| one_line(text, NAME);
    let of = summary.source_name.as_deref().unwrap_or(&summary.source_id);
    writeln!(out, "{}", name(&summary.request_id))?;
    let version = summary.version.as_ref().map(|version| format!("version {}", name(version)));
    let owner = summary.owner.as_ref().map(|owner| format!("started by {}", name(owner)));
    let importer = summary.importer.as_ref().map(|who| format!("imported by {}", name(who)));
    let thread = summary.thread.as_ref().map(|thread| format!("in {}", name(thread)));
    let head = [
        Some(format!("{} {}", summary.source, name(of))),
        version,
        Some(summary.status.clone()),
        owner,
        importer,
        thread,
    ];
    writeln!(out, "{}", head.into_iter().flatten().collect::<Vec<_>>().join(" · "))?;
    let at = |word: &str, time: &Option<String>| {
        time.as_deref().map(|time| format!("{word} {}", moment_of(Some(time))))
    };
    let size = format!("{}, {}", several(summary.nodes, "node"), bytes(summary.bytes));
    let times = [at("started", &summary.started_at), at("ended", &summary.finished_at), Some(size)];
    writeln!(out, "{}", times.into_iter().flatten().collect::<Vec<_>>().join(" · "))?;
    for (what, text) in [
        ("question", &run.question),
        ("answer", &run.answer),
        ("error", &run.error),
        ("ground truth", &run.ground_truth),
    ] {
        if let Some(text) = text {
            write!(out, "\n{what}\n{}", lines(&text.decoded(), "  "))?;
        }
    }
    if let Some(inputs) = &run.inputs {
        write!(out, "\ninputs\n{}", lines(inputs.as_str(), "  "))?;
    }
    if let Some(feedback) = &run.feedback {
        let rating = feedback.rating.as_ref().map(|rating| rating.as_str().to_owned());
        let words = [&feedback.label, &feedback.comment];
        let words = words.into_iter().flatten().map(|text| name(&text.decoded()));
        let words: Vec<_> = rating.into_iter().chain(words).collect();
        writeln!(out, "\nfeedback  {}", words.join(" · "))?;
    }
    for file in &run.files {
        let title = file.name.as_ref().unwrap_or(&file.uri).decoded();
        writeln!(out, "[file: {}]  {}", name(&title), name(&file.uri.decoded()))?;
    }
    for node in &run.nodes {
        print_node(node, depth(run, node), out)?;
    }
    Ok(())
}

/// Within how many nodes it ran.
fn depth(run: &Run<'_>, node: &NodeRun<'_>) -> usize {
    let mut parent = node.parent;
    let mut depth = 0;
    // Parents come before; a chain that goes round ends all the same.
    while let Some(at) = parent.filter(|_| depth < run.nodes.len()) {
        depth += 1;
        parent = run.nodes.get(at).and_then(|node| node.parent);
    }
    depth
}

fn print_node(node: &NodeRun<'_>, depth: usize, out: &mut impl Write) -> io::Result<()> {
    let name = |text: &str| one_line(text, NAME);
    let indent = "  ".repeat(depth.min(8));
    let inner = format!("{indent}  ");
    let model = node.model.as_ref().map(|model| name(&model.decoded()));
    let took = node.started_at.zip(node.finished_at).map(|(from, to)| {
        format!("{} ms", count((to.unix_micros() - from.unix_micros()).unsigned_abs() / 1000))
    });
    let tokens = match (node.usage.input_tokens, node.usage.output_tokens) {
        (None, None) => None,
        (input, output) => Some(format!(
            "{} in, {} out",
            several(input.unwrap_or(0), "token"),
            count(output.unwrap_or(0))
        )),
    };
    let cost = node.cost_usd.map(|cost| format!("${cost}"));
    let head =
        [Some(node.kind.to_string()), Some(node.status.to_string()), model, took, tokens, cost];
    let head: Vec<_> = head.into_iter().flatten().collect();
    writeln!(out, "\n{indent}{}  ({})", name(&node.node.decoded()), head.join(" · "))?;
    let prompt = node.prompt.as_ref().map(|text| text.decoded());
    let error = node.error.as_ref().map(|text| text.decoded());
    let raw = |raw: &Option<retort_json::RawJson<'_>>| {
        raw.as_ref().map(|raw| raw.as_str().to_owned().into())
    };
    for (what, text) in [
        ("prompt", prompt),
        ("variables", raw(&node.variables)),
        ("input", raw(&node.input)),
        ("output", raw(&node.output)),
        ("error", error),
    ] {
        if let Some(text) = text {
            write!(out, "{inner}{what}\n{}", lines(&text, &format!("{inner}  ")))?;
        }
    }
    Ok(())
}

impl Count {
    fn run(self) -> Result<ExitCode, Failure> {
        let total = self.keeping.client()?.count_runs(&self.filtering.try_into()?)?;
        if self.json {
            print_json(&wire::Count { total })?;
        } else {
            super::print(total)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Stats {
    fn run(self) -> Result<ExitCode, Failure> {
        let stats = self.keeping.client()?.run_stats(&self.filtering.try_into()?)?;
        if self.json {
            print_json(&stats)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = table(&["FROM", "RUNS", "FAILURES", "P50 MS", "P95 MS", "P99 MS"]);
        for bar in stats.bars.iter().filter(|bar| bar.runs > 0) {
            let ms = |pick: fn(&wire::Latency) -> u64| {
                bar.latency.as_ref().map(|found| count(pick(found))).unwrap_or_default()
            };
            table.add_row([
                moment_of(bar.from.as_deref()),
                count(bar.runs),
                count(bar.failures),
                ms(|found| found.p50_ms),
                ms(|found| found.p95_ms),
                ms(|found| found.p99_ms),
            ]);
        }
        super::print(fitted(table))?;
        let statuses: Vec<_> = stats
            .statuses
            .iter()
            .map(|(status, number)| format!("{} {status}", count(*number)))
            .collect();
        let more = if stats.whole { "" } else { ", the most recent" };
        eprintln!("{}{more}: {}", several(stats.runs, "run"), statuses.join(", "));
        Ok(ExitCode::SUCCESS)
    }
}

impl Flows {
    fn run(self) -> Result<ExitCode, Failure> {
        use retort_model::RunSource::{Copilot, Recipe};
        let client = self.keeping.client()?;
        let source = self.copilots.then_some(Copilot).or(self.recipes.then_some(Recipe));
        if let Some(id) = &self.id {
            let flow = client.flow(source, id)?;
            if self.json {
                print_json(&flow)?;
            } else {
                show_flow(&flow)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let flows = client.flows(source)?;
        if self.json {
            print_json(&flows)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = table(&["OF", "ID", "NAME", "RUNS", "FAILURES", "LAST RUN"]);
        for flow in &flows.flows {
            table.add_row([
                flow.source.clone(),
                one_line(&flow.id, 64),
                one_line(flow.name.as_deref().unwrap_or_default(), 60),
                count(flow.runs),
                count(flow.failures),
                moment_of(flow.last_started_at.as_deref()),
            ]);
        }
        if flows.flows.is_empty() {
            eprintln!("there are no runs; import some with `retort import`");
        } else {
            super::print(fitted(table))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show_flow(flow: &wire::WholeFlow) -> Result<(), Failure> {
    let about = &flow.flow;
    let name = one_line(about.name.as_deref().unwrap_or(&about.id), NAME);
    super::print(name)?;
    super::print(format!(
        "{} {} · {} · {} failed · last run {}",
        about.source,
        one_line(&about.id, NAME),
        several(about.runs, "run"),
        count(about.failures),
        moment_of(about.last_started_at.as_deref())
    ))?;
    let mut versions = table(&["VERSION", "RUNS"]);
    for one in &flow.versions {
        versions.add_row([one_line(one.version.as_deref().unwrap_or("—"), 60), count(one.runs)]);
    }
    super::print(format!("\n{}", fitted(versions)))?;
    if !flow.nodes.is_empty() {
        let mut nodes = table(&["NODE", "KIND", "RUNS"]);
        for one in &flow.nodes {
            nodes.add_row([one_line(&one.node, 60), one.kind.clone(), count(one.runs)]);
        }
        super::print(format!("\n{}", fitted(nodes)))?;
    }
    Ok(())
}

impl Purge {
    fn run(self) -> Result<ExitCode, Failure> {
        let mut selection = RunFilter::try_from(self.filtering)?;
        selection.ids.extend(self.runs);
        check_chosen(self.all, &selection, "runs: request ids, a filter such as `--copilot ID`")?;
        let client = self.keeping.client()?;
        if let Err(error) = client.check_run_ids(&selection) {
            return Err(format!("{}; nothing was purged", one_line(&error.to_string(), 240)).into());
        }
        let meant = client.count_runs(&selection)?;
        if self.dry_run {
            return tell_dry("purge", meant, "run", self.json);
        }
        if meant > 0 {
            let question = format!(
                "{} will be permanently deleted; datasets made from them stay",
                several(meant, "run")
            );
            confirm(&question, self.yes)?;
        }
        let purged = client.purge_runs(&selection)?;
        if self.json {
            print_json(&wire::Purged { purged })?;
        } else if purged == 0 {
            eprintln!("no run matches; nothing was purged");
        } else {
            eprintln!("purged {}", several(purged, "run"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
