//! `retort datasets`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Cell, CellAlignment};
use retort_model::DatasetName;
use retort_service::{Dedup, OutputForm};
use retort_web::wire::{self, Dataset};

use super::preview::Showing;
use super::{Failure, STOPPED, confirm, print, print_json, stop_flag};
use crate::args::DryRunArgs;
use crate::changing::tell_would;
use crate::client::Client;
use crate::config::StoreArgs;
use crate::display::{bytes, count, fitted, moment_of, one_line, several, table};
use crate::progress::Bar;

/// List, preview, download, verify, rename or purge datasets.
#[derive(Args)]
pub struct Datasets {
    #[command(subcommand)]
    action: Option<Action>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Subcommand)]
enum Action {
    List(Listing),
    #[command(visible_alias = "show")]
    Preview(Preview),
    Download(Download),
    Verify(Verify),
    Stats(Stats),
    Diff(Diff),
    Rename(Rename),
    Rebuild(Rebuild),
    #[command(alias = "delete")]
    Purge(Purge),
}

/// List the datasets.
#[derive(Args)]
struct Listing {
    /// Only datasets with this text in their name.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Sort order; newest and largest come first.
    #[arg(long, value_name = "ORDER", default_value = "created")]
    sort: Sort,

    /// List everyone's datasets, as an owner of the project. In a local store, they are always listed.
    #[arg(long)]
    everyone: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is said where there are none.
const NOTHING: &str = "no dataset matches; `retort export` creates one";

#[derive(Clone, Copy, ValueEnum)]
enum Sort {
    Name,
    Created,
    Size,
    Records,
}

/// Show the first 20 records of a dataset.
#[derive(Args)]
struct Preview {
    #[command(flatten)]
    showing: Showing,

    /// Name or number of the dataset.
    #[arg(value_name = "DATASET")]
    dataset: String,
}

/// Download a dataset as a ZIP archive.
#[derive(Args)]
struct Download {
    /// Name or number of the dataset.
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// Where to write the archive: a file or a folder; `-` is standard output. A name that ends in `.jsonl`, `.csv` or `.parquet`
    /// (or `.jsonl.gz`, for example) gets the data file alone [default: the dataset's name, with `.zip`].
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Replace an existing file.
    #[arg(long)]
    force: bool,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,
}

/// Check a dataset against its receipt.
#[derive(Args)]
struct Verify {
    /// Name or number of the dataset.
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Count what is in a dataset.
///
/// Like `retort stats` for packages.
#[derive(Args)]
struct Stats {
    /// Name or number of the dataset.
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// Which duplicates to count.
    #[arg(long, value_name = "none|exact|near", default_value = "near", value_parser = str::parse::<Dedup>)]
    duplicates: Dedup,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Show what changed between two datasets, and why.
///
/// Like `retort diff` for packages.
#[derive(Args)]
struct Diff {
    /// Name or number of the first dataset.
    #[arg(value_name = "BEFORE")]
    before: String,

    /// Name or number of the second dataset.
    #[arg(value_name = "AFTER")]
    after: String,

    #[command(flatten)]
    showing: super::diff::Showing,
}

/// Rename a dataset.
///
/// The files in it keep their names.
#[derive(Args)]
struct Rename {
    /// Name or number of the dataset.
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// The new name.
    #[arg(value_name = "NAME")]
    name: DatasetName,
}

/// Permanently delete datasets and their files.
#[derive(Args)]
struct Purge {
    /// Names or numbers of the datasets.
    #[arg(value_name = "DATASET", required = true)]
    datasets: Vec<String>,

    /// Only show what would be deleted.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
}

/// Export datasets again without some of their items.
///
/// Leaves out the items that you name, and those that were purged since. The new dataset belongs to the creator of the old
/// one, and replaces it once it is complete. Owners of the project can rebuild everyone's datasets.
#[derive(Args)]
struct Rebuild {
    /// Names or numbers of the datasets.
    #[arg(value_name = "DATASET", required = true)]
    datasets: Vec<String>,

    /// Leave out the conversation, run or document with this id.
    #[arg(long, value_name = "ID")]
    without: Option<String>,

    /// Leave out what this person owns or imported; for owners of the project.
    #[arg(long, value_name = "NAME", conflicts_with = "without")]
    without_person: Option<String>,

    /// Keep the old dataset; the new one gets another name.
    #[arg(long)]
    keep: bool,

    #[command(flatten)]
    dry: DryRunArgs,

    /// Do not wait until the datasets are complete.
    #[arg(long)]
    detach: bool,

    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,
}

impl Datasets {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        match self.action {
            None => list(&client.datasets(false)?, self.json, NOTHING),
            Some(Action::List(listing)) => {
                Listing { json: listing.json || self.json, ..listing }.run(&client)
            }
            Some(Action::Preview(preview)) => preview.run(&client),
            Some(Action::Download(download)) => download.run(&client),
            Some(Action::Verify(verify)) => verify.run(&client),
            Some(Action::Stats(stats)) => stats.run(&client),
            Some(Action::Diff(diff)) => diff.run(&client),
            Some(Action::Rename(rename)) => rename.run(&client),
            Some(Action::Rebuild(rebuild)) => rebuild.run(&client),
            Some(Action::Purge(purge)) => purge.run(&client),
        }
    }
}

impl Listing {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let mut datasets = client.datasets(self.everyone)?;
        if let Some(sought) = self.search.map(|sought| sought.to_lowercase()) {
            datasets.retain(|dataset| dataset.name.to_lowercase().contains(&sought));
        }
        match self.sort {
            Sort::Name => datasets.sort_by_key(|dataset| dataset.name.to_lowercase()),
            Sort::Created => {}
            Sort::Size => datasets.sort_by_key(|dataset| std::cmp::Reverse(dataset.bytes)),
            Sort::Records => datasets.sort_by_key(|dataset| std::cmp::Reverse(dataset.records)),
        }
        list(&datasets, self.json, NOTHING)
    }
}

/// Lists datasets; `nothing` is what to say where there are none.
pub fn list(datasets: &[Dataset], json: bool, nothing: &str) -> Result<ExitCode, Failure> {
    if json {
        print_json(&datasets)?;
        return Ok(ExitCode::SUCCESS);
    }
    if datasets.is_empty() {
        eprintln!("{nothing}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&[
        "ID",
        "NAME",
        "PURPOSE",
        "DATA FORMAT",
        "NODE",
        "FILES",
        "RECORDS",
        "SIZE",
        "CREATOR",
        "CREATED",
    ]);
    for dataset in datasets {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(dataset.id),
            Cell::new(one_line(&dataset.name, 64)),
            Cell::new(one_line(&dataset.purpose, 40)),
            Cell::new(&dataset.data_format),
            Cell::new(one_line(dataset.node.as_deref().unwrap_or_default(), 40)),
            Cell::new(&dataset.file_format),
            number(count(dataset.records)),
            number(bytes(dataset.bytes)),
            Cell::new(one_line(&dataset.creator, 40)),
            Cell::new(moment_of(dataset.created_at.as_deref())),
        ]);
    }
    print(fitted(table))?;
    Ok(ExitCode::SUCCESS)
}

impl Preview {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let dataset = client.dataset(&self.dataset)?;
        self.showing.show(&client.preview(dataset.id)?, None)
    }
}

impl Download {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let dataset = client.dataset(&self.dataset)?;
        let name = format!("{}.zip", dataset.name);
        let stopped = stop_flag()?;
        let bar = Bar::new(self.quiet);
        let path = match self.output {
            Some(path) if path == Path::new("-") => {
                let printed = client.print_archive(&dataset, &bar, &stopped);
                bar.finish();
                let code = printed?.map_or(ExitCode::from(STOPPED), |_| ExitCode::SUCCESS);
                return Ok(code);
            }
            Some(path) if path.is_dir() => path.join(name),
            Some(path) => path,
            None => PathBuf::from(name),
        };
        let saved = match OutputForm::of(&path) {
            OutputForm::DataFile => {
                client.save_data_file(&dataset, &path, self.force, &bar, &stopped)
            }
            _ => client.save(&dataset, &path, self.force, &bar, &stopped),
        };
        bar.finish();
        let Some(size) = saved? else {
            eprintln!("error: {}", retort_service::Error::STOPPED);
            return Ok(ExitCode::from(STOPPED));
        };
        if !self.quiet {
            eprintln!("downloaded {} ({})", path.display(), bytes(size));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let dataset = client.dataset(&self.dataset)?;
        let bar = Bar::new(self.json);
        let verified = client.verify(&dataset, &bar, &*stop_flag()?);
        bar.finish();
        match verified? {
            Some(verified) => super::verify::tell(&verified, &dataset.name, self.json),
            None => Ok(ExitCode::from(STOPPED)),
        }
    }
}

impl Stats {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let dataset = client.dataset(&self.dataset)?;
        let stopped = stop_flag()?;
        let bar = Bar::new(self.json);
        let opened = client.package(&dataset, &bar, &stopped);
        bar.finish();
        match opened? {
            Some((mut package, _file)) => {
                super::stats::of_package(&mut package, self.duplicates, self.json, &stopped)
            }
            None => Ok(ExitCode::from(STOPPED)),
        }
    }
}

impl Diff {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let datasets = [client.dataset(&self.before)?, client.dataset(&self.after)?];
        let stopped = stop_flag()?;
        let bar = Bar::new(self.showing.is_json());
        let opened = datasets.map(|dataset| client.package(&dataset, &bar, &stopped));
        bar.finish();
        let [before, after] = opened;
        match (before?, after?) {
            (Some((mut before, _file)), Some((mut after, _other))) => {
                self.showing.show(&mut before, &mut after, &stopped)
            }
            _ => Ok(ExitCode::from(STOPPED)),
        }
    }
}

impl Rename {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let before = client.dataset(&self.dataset)?;
        client.rename_dataset(before.id, &self.name)?;
        eprintln!("renamed `{}` to `{}`", before.name, self.name);
        Ok(ExitCode::SUCCESS)
    }
}

/// The datasets of these names or numbers, each once.
fn named(client: &Client, names: &[String]) -> Result<Vec<Dataset>, Failure> {
    let mut datasets: Vec<Dataset> = Vec::new();
    for name in names {
        let dataset = client.dataset(name)?;
        if !datasets.iter().any(|one| one.id == dataset.id) {
            datasets.push(dataset);
        }
    }
    Ok(datasets)
}

/// How many datasets these are, and their names.
fn told(datasets: &[Dataset]) -> (String, String) {
    let names: Vec<_> = datasets.iter().map(|dataset| format!("`{}`", dataset.name)).collect();
    (several(datasets.len() as u64, "dataset"), names.join(", "))
}

impl Rebuild {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let datasets = named(client, &self.datasets)?;
        let is_dry = self.dry.dry_run;
        if !self.keep && !is_dry {
            let (number, names) = told(&datasets);
            confirm(&format!("{number} ({names}) will be replaced"), self.yes)?;
        }
        let asked = wire::Rebuild {
            without_id: self.without,
            without_person: self.without_person,
            keep: self.keep,
        };
        let stopped = stop_flag()?;
        for dataset in &datasets {
            let job = client.rebuild_dataset(dataset.id, &asked, is_dry)?;
            if is_dry {
                let number = several(job.items.total, job.of.as_deref().unwrap_or("item"));
                let place = match self.keep {
                    true => format!("as `{}`", job.name),
                    false => "in its place".to_owned(),
                };
                tell_would(&format!("export `{}` again with {number}, {place}", dataset.name));
                continue;
            }
            if !self.quiet {
                let number = several(job.items.total, job.of.as_deref().unwrap_or("item"));
                eprintln!("job {}      {number} of `{}` kept", job.id, dataset.name);
            }
            if self.detach {
                continue;
            }
            let code = super::export::finish_until(client, &job, self.quiet, &stopped)?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Purge {
    fn run(self, client: &Client) -> Result<ExitCode, Failure> {
        let datasets = named(client, &self.datasets)?;
        let size = datasets.iter().map(|dataset| dataset.bytes).sum();
        let (number, names) = told(&datasets);
        if self.dry_run {
            tell_would(&format!("purge {number} ({names}, {})", bytes(size)));
            return Ok(ExitCode::SUCCESS);
        }
        confirm(
            &format!("{number} ({names}, {}) will be permanently deleted", bytes(size)),
            self.yes,
        )?;
        for dataset in &datasets {
            client.delete_dataset(dataset.id)?;
            eprintln!("purged `{}`", dataset.name);
        }
        Ok(ExitCode::SUCCESS)
    }
}
