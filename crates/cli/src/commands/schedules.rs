//! `retort schedules`.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand};
use retort_model::{FolderPattern, NamePattern, WindowKind};
use retort_service::ExportOptions;
use retort_web::wire;
use serde_json::json;

use super::{Failure, confirm, misuse, print, print_json, stop_flag};
use crate::args::DryRunArgs;
use crate::changing::{print_dry, report, tell_would};
use crate::client::Client;
use crate::config::StoreArgs;
use crate::display::{count, fitted, moment_of, one_line, several, table};
use crate::filters::ExportFilterArgs;
use crate::options::{Model, Package, Records};
use crate::views::{ViewArgs, Views};

/// Add, change, run or purge scheduled exports.
///
/// Schedules run in `retort serve` and `retort worker`. If runs were missed while neither was running, one run makes up for them.
#[derive(Args)]
pub struct Schedules {
    #[command(subcommand)]
    action: Option<Action>,

    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Subcommand)]
enum Action {
    /// List the schedules.
    List {
        /// List everyone's schedules, as an owner of the project. In a local store, they are always listed.
        #[arg(long)]
        everyone: bool,
    },
    /// Add a schedule. It exports with the filters and options given here.
    Add(Box<Add>),
    /// Show a schedule, its last runs and where their datasets were delivered.
    Show {
        /// Name or number of the schedule.
        schedule: String,
    },
    /// Change when a schedule runs, how its datasets are named and how many are kept.
    Edit(Box<Edit>),
    /// List the windows that a schedule has exported one after another. With `--json`, this is the receipt of the series,
    /// which `retort verify` compares with the datasets in its folder.
    Series {
        /// Name or number of the schedule.
        schedule: String,
    },
    /// List the destinations that schedules may deliver to.
    Destinations,
    /// Pause a schedule.
    Pause {
        /// Name or number of the schedule.
        schedule: String,

        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Resume a schedule that was paused or disabled.
    Resume {
        /// Name or number of the schedule.
        schedule: String,

        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Run a schedule now.
    Run {
        /// Name or number of the schedule.
        schedule: String,

        #[command(flatten)]
        dry: DryRunArgs,

        /// Only queue the job, for `retort worker` to run.
        #[arg(long, conflicts_with = "dry_run")]
        detach: bool,

        /// Print only errors, and whether there is nothing new to export.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Permanently delete a schedule. Its datasets stay.
    #[command(alias = "delete")]
    Purge {
        /// Name or number of the schedule.
        schedule: String,

        #[command(flatten)]
        dry: DryRunArgs,

        /// Do not ask for confirmation.
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Args)]
struct Add {
    /// Name of the schedule.
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    dry: DryRunArgs,

    #[command(flatten)]
    when: When,

    /// What each run exports: everything that matches, what is new or changed since the last run, or what was created in
    /// the period since the last run.
    #[arg(long, value_name = "all|changed|period", default_value = "all", value_parser = parse_window)]
    window: WindowKind,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    filtering: ExportFilterArgs,

    #[command(flatten)]
    records: Records,

    #[command(flatten)]
    model: Model,

    #[command(flatten)]
    package: Package,
}

#[derive(Args)]
struct Edit {
    /// Name or number of the schedule.
    schedule: String,

    #[command(flatten)]
    dry: DryRunArgs,

    #[command(flatten)]
    when: When,

    /// Keep all datasets again.
    #[arg(long, conflicts_with_all = ["keep", "keep_days"])]
    keep_all: bool,

    /// Stop delivering. The next run exports everything again.
    #[arg(long, conflicts_with_all = ["deliver_to", "prefix", "by_date"])]
    deliver_nowhere: bool,
}

/// When it runs, and what becomes of its datasets.
#[derive(Args)]
struct When {
    /// When it runs, as a cron expression: minute, hour, day of the month, month, day of the week.
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "every_hours")]
    cron: Option<String>,

    /// Run every N hours.
    #[arg(long, value_name = "N")]
    every_hours: Option<u32>,

    /// Time zone of the cron expression and of dates in names, such as `Europe/Berlin` [default: UTC].
    #[arg(long, hide_short_help = true, value_name = "ZONE")]
    zone: Option<String>,

    /// Minutes to wait for late arrivals after a period has ended [default: 0].
    #[arg(long, hide_short_help = true, value_name = "MINUTES")]
    settle: Option<u32>,

    /// Name of each dataset, with `{date}`, `{time}` or a running number (`n` in braces) [default: the schedule's name and `_{date}`].
    #[arg(long, hide_short_help = true, value_name = "PATTERN", value_parser = parse_pattern)]
    dataset_name: Option<NamePattern>,

    /// Keep only the newest N datasets.
    #[arg(long, hide_short_help = true, value_name = "N", conflicts_with = "keep_days")]
    keep: Option<u64>,

    /// Keep only the datasets of the last N days.
    #[arg(long, hide_short_help = true, value_name = "N")]
    keep_days: Option<u64>,

    /// Deliver each dataset to a destination of the configuration, which `retort schedules destinations` lists.
    #[arg(long, hide_short_help = true, value_name = "DESTINATION")]
    deliver_to: Option<String>,

    /// Folders in the destination, with `{date}`, `{time}` or a running number (`n` in braces); each dataset becomes a folder below
    /// [default: none].
    #[arg(long, hide_short_help = true, value_name = "PATTERN", value_parser = parse_prefix)]
    prefix: Option<FolderPattern>,

    /// Put each dataset in a folder `date=YYYY-MM-DD`, which query engines recognize as a partition.
    #[arg(long, hide_short_help = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    by_date: Option<bool>,
}

fn parse_window(text: &str) -> Result<WindowKind, String> {
    text.parse()
}

fn parse_prefix(text: &str) -> Result<FolderPattern, String> {
    text.parse()
}

fn parse_pattern(text: &str) -> Result<NamePattern, String> {
    text.parse()
}

impl When {
    /// Sets what was given.
    fn set(self, plan: &mut wire::SchedulePlan) {
        if self.cron.is_some() || self.every_hours.is_some() {
            (plan.cron, plan.every_hours) = (self.cron, self.every_hours);
        }
        if self.keep.is_some() || self.keep_days.is_some() {
            (plan.keep_datasets, plan.keep_days) = (self.keep, self.keep_days);
        }
        plan.destination = self.deliver_to.or(plan.destination.take());
        plan.prefix = self.prefix.map(|prefix| prefix.to_string()).or(plan.prefix.take());
        plan.by_date = self.by_date.or(plan.by_date);
        plan.zone = self.zone.or(plan.zone.take());
        plan.settle_minutes = self.settle.or(plan.settle_minutes);
        if let Some(pattern) = self.dataset_name {
            plan.export.dataset_name = pattern.to_string();
        }
    }
}

impl Add {
    fn schedule(self, client: &Client) -> Result<wire::NewSchedule, Failure> {
        if self.when.cron.is_none() && self.when.every_hours.is_none() {
            return Err(misuse("say when it runs, with `--cron '0 2 * * *'` or `--every-hours 6`"));
        }
        let selection = self.view.selection(client, self.filtering.0)?;
        let options = self.records.0.and(self.model.0).and(self.package.0);
        let dataset = options.resolve("any".parse()?, Some(selection.kind()))?;
        let options = wire::Options(ExportOptions::of(&dataset));
        let pattern = format!("{}_{{date}}", self.name);
        let mut plan = wire::SchedulePlan {
            export: wire::Export::of(pattern, &selection, options),
            cron: None,
            every_hours: None,
            zone: None,
            window: Some(self.window.to_string()),
            settle_minutes: None,
            keep_datasets: None,
            keep_days: None,
            destination: None,
            prefix: None,
            by_date: None,
        };
        self.when.set(&mut plan);
        Ok(wire::NewSchedule { name: self.name, plan })
    }
}

impl Schedules {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let json = self.json;
        match self.action.unwrap_or(Action::List { everyone: false }) {
            Action::List { everyone } => list(&client.schedules(everyone)?, json)?,
            Action::Add(add) => {
                let is_dry = add.dry.dry_run;
                let added = client.add_schedule(&add.schedule(&client)?, is_dry)?;
                told(&added, is_dry.then_some("add"), json)?;
            }
            Action::Show { schedule } => show(&client, &client.schedule(&schedule)?, json)?,
            Action::Edit(edit) => {
                let wire::Schedule { id, mut plan, .. } = client.schedule(&edit.schedule)?;
                if edit.keep_all {
                    (plan.keep_datasets, plan.keep_days) = (None, None);
                }
                if edit.deliver_nowhere {
                    (plan.destination, plan.prefix, plan.by_date) = (None, None, None);
                }
                edit.when.set(&mut plan);
                let is_dry = edit.dry.dry_run;
                let edited = client.edit_schedule(id, &plan, is_dry)?;
                told(&edited, is_dry.then_some("change"), json)?;
            }
            Action::Series { schedule } => {
                series(&client.schedule_series(client.schedule(&schedule)?.id)?, json)?;
            }
            Action::Destinations => {
                let found = client.destinations()?;
                match json {
                    true => print_json(&found)?,
                    false if found.is_empty() => eprintln!("the configuration has no destinations"),
                    false => print(found.join("\n"))?,
                }
            }
            Action::Pause { schedule, dry: DryRunArgs { dry_run } } => {
                let id = client.schedule(&schedule)?.id;
                let paused = client.pause_schedule(id, (true, dry_run))?;
                told(&paused, dry_run.then_some("pause"), json)?;
            }
            Action::Resume { schedule, dry: DryRunArgs { dry_run } } => {
                let id = client.schedule(&schedule)?.id;
                let resumed = client.pause_schedule(id, (false, dry_run))?;
                told(&resumed, dry_run.then_some("resume"), json)?;
            }
            Action::Run { schedule, dry: DryRunArgs { dry_run }, detach, quiet } => {
                let schedule = client.schedule(&schedule)?;
                let Some(job) = client.run_schedule(schedule.id, dry_run)? else {
                    eprintln!("there is nothing new to export");
                    return Ok(ExitCode::SUCCESS);
                };
                if dry_run && json {
                    print_dry(&job)?;
                    return Ok(ExitCode::SUCCESS);
                }
                if dry_run {
                    let items = several(job.items.total, job.of.as_deref().unwrap_or("item"));
                    tell_would(&format!("export {items} as `{}`", one_line(&job.name, 64)));
                    return Ok(ExitCode::SUCCESS);
                }
                let quiet = quiet || json;
                if !quiet {
                    eprintln!("job {}      {} selected", job.id, count(job.items.total));
                }
                let code = if detach {
                    ExitCode::SUCCESS
                } else {
                    let stopped = stop_flag()?;
                    let code = super::export::finish_until(&client, &job, quiet, &stopped)?;
                    if code == ExitCode::SUCCESS && schedule.plan.destination.is_some() {
                        wait_for_delivery(&client, (schedule.id, job.id), quiet, &stopped)?;
                    }
                    code
                };
                if json {
                    print_json(&client.job(job.id)?)?;
                }
                return Ok(code);
            }
            Action::Purge { schedule, dry: DryRunArgs { dry_run }, yes } => {
                let found = client.schedule(&schedule)?;
                let name = one_line(&found.name, 80);
                if !dry_run {
                    let question = format!(
                        "the schedule `{name}` will be permanently deleted; its datasets stay"
                    );
                    confirm(&question, yes)?;
                    client.delete_schedule(found.id)?;
                }
                report(
                    (json, dry_run),
                    &json!({"purged": found.name}),
                    &format!("purge schedule `{name}`, and keep its datasets"),
                    &format!("purged schedule `{name}`"),
                )?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How often it is looked whether a dataset was delivered.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until the dataset of a run is delivered.
fn wait_for_delivery(
    client: &Client,
    (schedule, job): (i64, i64),
    quiet: bool,
    stopped: &AtomicBool,
) -> Result<(), Failure> {
    loop {
        let all = client.schedule_deliveries(schedule)?;
        let Some(own) = all.iter().find(|one| one.job == job) else { return Ok(()) };
        if own.delivered_at.is_some() {
            if !quiet {
                eprintln!("delivered  {}", one_line(&place(own), 200));
            }
            return Ok(());
        }
        // Those before it come first.
        let failing = all.iter().rev().find(|one| one.delivered_at.is_none() && one.failures > 0);
        if let Some(failing) = failing {
            let why = failing.error.as_deref().unwrap_or_default();
            let again = match &failing.next_at {
                Some(next) => format!("it is tried again at {}", moment_of(Some(next))),
                None => "`retort schedules resume` tries again".to_owned(),
            };
            let job = failing.job;
            return Err(format!(
                "the dataset of job {job} is in the store, but not delivered: {why}; {again}"
            )
            .into());
        }
        if stopped.load(Ordering::Relaxed) {
            return Err("the dataset is in the store, but not delivered yet".into());
        }
        std::thread::sleep(LOOK);
    }
}

/// Where a dataset is delivered: `lake: date=2026-11-29/nightly-1`.
fn place(one: &wire::DatasetDelivery) -> String {
    let named = [one.destination.as_deref(), one.path.as_deref()];
    named.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// When a schedule runs.
fn rule(plan: &wire::SchedulePlan) -> String {
    let zone = plan.zone.as_deref().unwrap_or("UTC");
    match (&plan.cron, plan.every_hours) {
        (Some(cron), _) => format!("{cron} ({zone})"),
        (None, Some(hours)) => format!("every {}", several(hours.into(), "hour")),
        (None, None) => String::new(),
    }
}

fn list(schedules: &[wire::Schedule], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&schedules);
    }
    if schedules.is_empty() {
        eprintln!("there are no schedules; `retort schedules add` adds one");
        return Ok(());
    }
    let owners: BTreeSet<&str> = schedules.iter().map(|one| one.owner.as_str()).collect();
    let mut header = vec!["ID", "NAME", "STATE", "WHEN", "WINDOW", "NEXT"];
    if owners.len() > 1 {
        header.push("OWNER");
    }
    let mut shown = table(&header);
    for one in schedules {
        let mut row = vec![
            one.id.to_string(),
            one_line(&one.name, 40),
            one.state.clone(),
            one_line(&rule(&one.plan), 60),
            one.plan.window.clone().unwrap_or_default(),
            moment_of(one.next_at.as_deref()),
        ];
        if owners.len() > 1 {
            row.push(one_line(&one.owner, 40));
        }
        shown.add_row(row);
    }
    print(fitted(shown))?;
    for one in schedules {
        if let Some(trouble) = trouble(one) {
            eprintln!("schedule `{}`: {}", one_line(&one.name, 40), one_line(trouble, 400));
        }
    }
    Ok(())
}

/// What is wrong with a schedule.
fn trouble(one: &wire::Schedule) -> Option<&str> {
    let failed = one.last_note.as_deref().filter(|_| one.failures > 0);
    one.reason.as_deref().or(one.delivery_error.as_deref()).or(failed)
}

/// Says when a schedule runs next; after a dry run, what `would` be done to it.
fn told(schedule: &wire::Schedule, would: Option<&str>, json: bool) -> Result<(), Failure> {
    let name = one_line(&schedule.name, 80);
    let next = schedule.next_at.as_deref().map(|next| moment_of(Some(next)));
    let then = next.as_ref().map(|next| format!(", to run next at {next}"));
    let done = match &next {
        Some(next) => format!("schedule `{name}` runs next at {next}"),
        None => format!("schedule `{name}` is {}", schedule.state),
    };
    let verb = would.unwrap_or_default();
    let would_be = format!("{verb} schedule `{name}`{}", then.unwrap_or_default());
    report((json, would.is_some()), schedule, &would_be, &done)
}

fn show(client: &Client, schedule: &wire::Schedule, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(schedule);
    }
    let mut told = table(&[]);
    let mut tell = |name: &str, words: String| {
        if !words.is_empty() {
            told.add_row([name.to_owned(), words]);
        }
    };
    let plan = &schedule.plan;
    let window = match plan.window.as_deref() {
        Some("changed") => "what is new or changed since the last run",
        Some("period") => "what was created in the period since the last run",
        _ => "everything that matches",
    };
    let kept = match (plan.keep_datasets, plan.keep_days) {
        (Some(most), _) => format!("; the newest {} kept", several_are(most)),
        (None, Some(days)) => format!("; kept for {}", several(days, "day")),
        (None, None) => String::new(),
    };
    let above = plan.prefix.as_deref().filter(|prefix| !prefix.is_empty());
    let by_date = plan.by_date.unwrap_or(false).then_some("date=…");
    let to = [plan.destination.as_deref(), above, by_date];
    let last = match &schedule.last_note {
        Some(note) => {
            format!("{}: {}", moment_of(schedule.last_at.as_deref()), one_line(note, 400))
        }
        None => moment_of(schedule.last_at.as_deref()),
    };
    tell("schedule", format!("{}: {}", schedule.id, one_line(&schedule.name, 200)));
    tell("owner", one_line(&schedule.owner, 200));
    tell("state", schedule.state.clone());
    tell("reason", one_line(schedule.reason.as_deref().unwrap_or_default(), 400));
    tell("when", one_line(&rule(plan), 200));
    tell("exports", window.to_owned());
    tell(
        "datasets",
        format!("{}{kept}; {} made so far", plan.export.dataset_name, count(schedule.delivered)),
    );
    tell("delivers to", to.into_iter().flatten().collect::<Vec<_>>().join("/"));
    tell("next run", moment_of(schedule.next_at.as_deref()));
    tell("last run", last);
    print(fitted(told))?;
    runs(&client.schedule_runs(schedule.id)?, &client.schedule_deliveries(schedule.id)?)
}

/// `7 are`, or `one is`.
fn several_are(count: u64) -> String {
    if count == 1 { "one is".to_owned() } else { format!("{count} are") }
}

/// The runs of a schedule with their deliveries, and below what went wrong.
fn runs(runs: &[wire::Job], deliveries: &[wire::DatasetDelivery]) -> Result<(), Failure> {
    if runs.is_empty() {
        return Ok(());
    }
    let delivery = |job: &wire::Job| deliveries.iter().find(|one| one.job == job.id);
    let mut header = vec!["JOB", "STATE", "ENDED", "RECORDS", "DATASET"];
    if !deliveries.is_empty() {
        header.push("DELIVERED");
    }
    let (mut shown, mut notes) = (table(&header), Vec::new());
    for job in runs {
        let made = if job.dataset.is_some() { one_line(&job.name, 64) } else { String::new() };
        let mut row = vec![
            job.id.to_string(),
            job.state.clone(),
            moment_of(job.finished_at.as_deref()),
            count(job.records),
            made,
        ];
        if let Some(why) = &job.error {
            notes.push(format!("job {}: {}", job.id, one_line(why, 400)));
        }
        if !deliveries.is_empty() {
            row.push(delivery(job).map_or_else(String::new, |one| match &one.delivered_at {
                Some(at) => moment_of(Some(at)),
                None => "not yet".to_owned(),
            }));
        }
        shown.add_row(row);
        let Some(one) = delivery(job) else { continue };
        if let (Some(error), None) = (&one.error, &one.delivered_at) {
            let again = match &one.next_at {
                Some(next) => format!("it is tried again at {}", moment_of(Some(next))),
                None => "`retort schedules resume` tries again".to_owned(),
            };
            notes.push(format!("job {}: not delivered: {}; {again}", job.id, one_line(error, 400)));
        } else if one.delivered_at.is_some() {
            notes.push(format!("job {}: {}", job.id, one_line(&place(one), 400)));
        }
    }
    print("")?;
    print(fitted(shown))?;
    if !notes.is_empty() {
        print("")?;
        print(notes.join("\n"))?;
    }
    Ok(())
}

fn series(series: &wire::Series, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(series);
    }
    if series.windows.is_empty() {
        eprintln!("no window has been exported yet");
        return Ok(());
    }
    let have_periods = series.windows.iter().any(|one| one.from.is_some());
    let mut header = vec!["WINDOW", "CHANGES", "ITEMS", "RECORDS", "DATASET"];
    if have_periods {
        header.splice(2..2, ["LATE", "PERIOD"]);
    }
    let mut shown = table(&header);
    for one in &series.windows {
        let moment = |time: &Option<String>| moment_of(time.as_deref());
        let mut row = vec![
            one.number.to_string(),
            format!("{} to {}", one.changes_after + 1, one.changes_to),
            count(one.items),
            count(one.records),
            one_line(one.dataset.as_deref().unwrap_or_default(), 80),
        ];
        if have_periods {
            let period = format!("{} to {}", moment(&one.from), moment(&one.before));
            row.splice(2..2, [count(one.late), period]);
        }
        shown.add_row(row);
    }
    print(fitted(shown))
}
