//! `retort datasets` and `retort trace`.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use retort_model::DatasetName;
use retort_service::{Dataset, preview_package, verify_package};
use serde_json::{Value, json};

use super::Failure;
use super::edit::ask;
use crate::config::{Keeping, Opened};
use crate::words::{bytes, count, moment, one_line, several, table};

/// List datasets, look into one, bring it here, rename or delete it.
#[derive(Args)]
pub struct Datasets {
    #[command(flatten)]
    keeping: Keeping,

    #[command(subcommand)]
    action: Option<Action>,

    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// List the datasets.
    List {
        /// How the list is sorted.
        #[arg(long, value_name = "COLUMN", default_value = "created")]
        sort: Sort,

        /// Only those with this text in their name.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Show the first 20 records.
    Preview {
        /// The dataset's name or number.
        name: String,

        /// The records alone, a line of JSON each.
        #[arg(long)]
        lines: bool,
    },
    /// Bring a dataset here as a ZIP archive.
    Download {
        /// The dataset's name or number.
        name: String,

        /// Where to; `-` is standard output [default: the dataset's name, with `.zip`].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,

        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Read a dataset whole and hold it against its receipt.
    Verify {
        /// The dataset's name or number.
        name: String,
    },
    /// Give a dataset another name.
    Rename {
        /// The dataset's name or number.
        name: String,

        /// Its new name.
        to: DatasetName,
    },
    /// Delete a dataset for good.
    Delete {
        /// The dataset's name or number.
        name: String,

        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Sort {
    /// The newest first.
    Created,
    /// By name.
    Name,
    /// The largest first.
    Size,
    /// The most records first.
    Records,
}

impl Datasets {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let (service, caller) = (&opened.service, &opened.caller);
        match self.action.unwrap_or(Action::List { sort: Sort::Created, search: None }) {
            Action::List { sort, search } => {
                let mut datasets = service.datasets(caller)?;
                if let Some(sought) = search.map(|text| text.to_lowercase()) {
                    datasets.retain(|dataset| dataset.name.to_lowercase().contains(&sought));
                }
                match sort {
                    Sort::Created => {}
                    Sort::Name => datasets.sort_by_key(|dataset| dataset.name.to_lowercase()),
                    Sort::Size => datasets.sort_by_key(|dataset| std::cmp::Reverse(dataset.bytes)),
                    Sort::Records => {
                        datasets.sort_by_key(|dataset| std::cmp::Reverse(dataset.records));
                    }
                }
                list(&datasets, self.json)
            }
            Action::Preview { name, lines } => {
                let mut package = service.open_dataset(&service.dataset(caller, &name)?)?;
                super::preview::print_records(&preview_package(&mut package)?, self.json, lines)
            }
            Action::Download { name, output, force } => {
                download(&opened, &service.dataset(caller, &name)?, output, force)
            }
            Action::Verify { name } => {
                let mut package = service.open_dataset(&service.dataset(caller, &name)?)?;
                super::verify::report(&name, &verify_package(&mut package)?, self.json)
            }
            Action::Rename { name, to } => {
                service.rename_dataset(caller, &service.dataset(caller, &name)?, &to)?;
                eprintln!("`{name}` is now `{to}`");
                Ok(ExitCode::SUCCESS)
            }
            Action::Delete { name, yes } => {
                let dataset = service.dataset(caller, &name)?;
                let what = format!("the dataset `{}` ({})", dataset.name, bytes(dataset.bytes));
                if !yes && !ask(&format!("Delete {what} for good?"))? {
                    eprintln!("nothing was deleted");
                    return Ok(ExitCode::FAILURE);
                }
                service.delete_dataset(&dataset)?;
                eprintln!("deleted {what}");
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Say which datasets hold something of a conversation.
#[derive(Args)]
pub struct Trace {
    /// The conversation's id.
    #[arg(value_name = "CONVERSATION")]
    id: String,

    #[command(flatten)]
    keeping: Keeping,

    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Trace {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        list(&opened.service.trace(&opened.caller, &self.id)?, self.json)
    }
}

fn list(datasets: &[Dataset], json: bool) -> Result<ExitCode, Failure> {
    if json {
        let datasets: Vec<Value> = datasets.iter().map(as_json).collect();
        println!("{}", serde_json::to_string_pretty(&datasets)?);
        return Ok(ExitCode::SUCCESS);
    }
    if datasets.is_empty() {
        eprintln!("there are no datasets");
        return Ok(ExitCode::SUCCESS);
    }
    let header = [
        "ID",
        "NAME",
        "PURPOSE",
        "DATA FORMAT",
        "NODE",
        "FILE FORMAT",
        "RECORDS",
        "SIZE",
        "CREATOR",
        "CREATED",
    ];
    let mut table = table(&header);
    for dataset in datasets {
        table.add_row([
            dataset.id.to_string(),
            one_line(&dataset.name, 64),
            dataset.purpose.clone(),
            dataset.data_format.clone(),
            one_line(dataset.node.as_deref().unwrap_or_default(), 40),
            dataset.file_format.clone(),
            count(dataset.records),
            bytes(dataset.bytes),
            one_line(&dataset.creator, 40),
            dataset.created_at.map(moment).unwrap_or_default(),
        ]);
    }
    println!("{}", table.trim_fmt());
    Ok(ExitCode::SUCCESS)
}

/// A dataset as JSON.
fn as_json(dataset: &Dataset) -> Value {
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

fn download(
    opened: &Opened,
    dataset: &Dataset,
    output: Option<PathBuf>,
    force: bool,
) -> Result<ExitCode, Failure> {
    let archive = opened.service.download(dataset)?;
    if output.as_deref() == Some(Path::new("-")) {
        let mut out = std::io::stdout().lock();
        if out.is_terminal() {
            return Err("an archive is nothing to look at; send standard output somewhere".into());
        }
        archive.write(0..archive.bytes(), &mut out)?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    // Names of datasets are names of files, too.
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{}.zip", dataset.name)));
    if output.exists() && !force {
        let path = output.display();
        return Err(format!(
            "`{path}` exists already; name another with `--output`, or replace it with `--force`"
        )
        .into());
    }
    let fail = |error: std::io::Error| format!("cannot write `{}`: {error}", output.display());
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let partial = output.with_file_name(format!(".{name}.partial"));
    let written =
        fs::File::create(&partial).map_err(fail).map_err(Failure::from).and_then(|file| {
            let mut file = std::io::BufWriter::with_capacity(1 << 18, file);
            archive.write(0..archive.bytes(), &mut file)?;
            file.into_inner()
                .map_err(|error| fail(error.into_error()))?
                .sync_all()
                .map_err(fail)?;
            fs::rename(&partial, &output).map_err(fail)?;
            Ok(())
        });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written?;
    eprintln!(
        "{}  {} ({})",
        output.display(),
        several(dataset.records, "record"),
        bytes(archive.bytes())
    );
    Ok(ExitCode::SUCCESS)
}
