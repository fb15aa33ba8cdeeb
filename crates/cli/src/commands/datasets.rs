//! `retort datasets`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Cell, CellAlignment};
use retort_model::DatasetName;
use retort_service::{Dataset, Error, preview_package, verify_package};
use serde_json::json;

use super::preview::Showing;
use super::{Failure, STOPPED, confirm, print, stop_flag};
use crate::config::{Keeping, Opened};
use crate::progress::Bar;
use crate::words::{bytes, count, moment, one_line, several, table};

/// List the datasets, look into one, download, verify, rename or delete it.
#[derive(Args)]
pub struct Datasets {
    #[command(subcommand)]
    action: Option<Action>,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: Keeping,
}

#[derive(Subcommand)]
enum Action {
    /// List the datasets.
    List(Listing),
    /// Show the first 20 records of one.
    Preview(Preview),
    /// Bring one here as a ZIP archive.
    Download(Download),
    /// Read one whole and hold it against its receipt.
    Verify(Verify),
    /// Give one another name.
    Rename(Rename),
    /// Delete some for good.
    Delete(Delete),
}

/// List the datasets.
#[derive(Args)]
struct Listing {
    /// Only datasets with this text in their name.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// What stands first: by name, the newest, or the largest.
    #[arg(long, value_name = "ORDER", default_value = "created")]
    sort: Sort,

    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is said where there are none.
const NOTHING: &str = "no dataset matches; `retort export` makes one";

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

    /// The dataset, by name or number.
    #[arg(value_name = "DATASET")]
    dataset: String,
}

/// Bring a dataset here as a ZIP archive.
#[derive(Args)]
struct Download {
    /// The dataset, by name or number.
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// The archive, or the folder for it; `-` is standard output [default: the dataset's name, with `.zip`].
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Replace a file that is there.
    #[arg(long)]
    force: bool,

    /// Say nothing but errors.
    #[arg(short, long)]
    quiet: bool,
}

/// Read a dataset whole and hold it against its receipt.
#[derive(Args)]
struct Verify {
    /// The dataset, by name or number.
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Give a dataset another name. Its files stay as they were made.
#[derive(Args)]
struct Rename {
    /// The dataset, by name or number.
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// The new name.
    #[arg(value_name = "NAME")]
    name: DatasetName,
}

/// Delete datasets for good, with their files.
#[derive(Args)]
struct Delete {
    /// The datasets, by name or number.
    #[arg(value_name = "DATASET", required = true)]
    datasets: Vec<String>,

    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

impl Datasets {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        match self.action {
            None => list(&opened.service.datasets(&opened.caller)?, self.json, NOTHING),
            Some(Action::List(listing)) => {
                Listing { json: listing.json || self.json, ..listing }.run(&opened)
            }
            Some(Action::Preview(preview)) => preview.run(&opened),
            Some(Action::Download(download)) => download.run(&opened),
            Some(Action::Verify(verify)) => verify.run(&opened),
            Some(Action::Rename(rename)) => rename.run(&opened),
            Some(Action::Delete(delete)) => delete.run(&opened),
        }
    }
}

impl Listing {
    fn run(self, opened: &Opened) -> Result<ExitCode, Failure> {
        let Opened { service, caller, .. } = opened;
        let mut datasets = service.datasets(caller)?;
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
        let datasets: Vec<_> = datasets.iter().map(as_json).collect();
        print(serde_json::to_string_pretty(&datasets)?)?;
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
            Cell::new(dataset.created_at.map(moment).unwrap_or_default()),
        ]);
    }
    print(table.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}

fn as_json(dataset: &Dataset) -> serde_json::Value {
    json!({
        "id": dataset.id,
        "name": dataset.name,
        "purpose": dataset.purpose,
        "data_format": dataset.data_format,
        "node": dataset.node,
        "file_format": dataset.file_format,
        "records": dataset.records,
        "bytes": dataset.bytes,
        "creator": dataset.creator,
        "created_at": dataset.created_at.map(|time| time.to_string()),
        "job": dataset.job,
    })
}

impl Preview {
    fn run(self, opened: &Opened) -> Result<ExitCode, Failure> {
        let Opened { service, caller, .. } = opened;
        let dataset = service.dataset(caller, &*self.dataset)?;
        self.showing.show(&preview_package(&mut service.open_dataset(&dataset)?)?, None)
    }
}

impl Download {
    fn run(self, opened: &Opened) -> Result<ExitCode, Failure> {
        let Opened { service, caller, .. } = opened;
        let (dataset, archive) = service.download(caller, &*self.dataset)?;
        let name = format!("{}.zip", dataset.name);
        let path = match self.output {
            Some(path) if path == Path::new("-") => {
                let mut out = std::io::stdout().lock();
                if out.is_terminal() {
                    return Err(
                        "an archive is nothing to look at; send standard output somewhere".into()
                    );
                }
                archive.write(0..archive.bytes(), &mut out)?;
                out.flush()?;
                return Ok(ExitCode::SUCCESS);
            }
            Some(path) if path.is_dir() => path.join(name),
            Some(path) => path,
            None => PathBuf::from(name),
        };
        let stopped = stop_flag()?;
        let bar = Bar::new(self.quiet);
        let saved = archive.save(&path, self.force, &bar, &stopped);
        bar.finish();
        match saved {
            Err(stopped @ Error::Stopped) => {
                eprintln!("error: {stopped}");
                return Ok(ExitCode::from(STOPPED));
            }
            saved => saved?,
        }
        if !self.quiet {
            eprintln!("downloaded {} ({})", path.display(), bytes(archive.bytes()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn run(self, opened: &Opened) -> Result<ExitCode, Failure> {
        let Opened { service, caller, .. } = opened;
        let dataset = service.dataset(caller, &*self.dataset)?;
        let verified = verify_package(&mut service.open_dataset(&dataset)?)?;
        super::verify::tell(&verified, &dataset.name, self.json)
    }
}

impl Rename {
    fn run(self, opened: &Opened) -> Result<ExitCode, Failure> {
        let Opened { service, caller, .. } = opened;
        let before = service.dataset(caller, &*self.dataset)?.name;
        service.rename_dataset(caller, &*self.dataset, &self.name)?;
        eprintln!("`{before}` is now called `{}`", self.name);
        Ok(ExitCode::SUCCESS)
    }
}

impl Delete {
    fn run(self, opened: &Opened) -> Result<ExitCode, Failure> {
        let Opened { service, caller, .. } = opened;
        let mut datasets: Vec<Dataset> = Vec::new();
        for name in &self.datasets {
            let dataset = service.dataset(caller, &**name)?;
            if !datasets.contains(&dataset) {
                datasets.push(dataset);
            }
        }
        let size = datasets.iter().map(|dataset| dataset.bytes).sum();
        let number = several(datasets.len() as u64, "dataset");
        let names: Vec<_> = datasets.iter().map(|dataset| format!("`{}`", dataset.name)).collect();
        let names = names.join(", ");
        confirm(&format!("{number} ({names}, {}) will be gone for good", bytes(size)), self.yes)?;
        for dataset in &datasets {
            service.delete_dataset(caller, dataset.id)?;
            eprintln!("deleted `{}`", dataset.name);
        }
        Ok(ExitCode::SUCCESS)
    }
}
