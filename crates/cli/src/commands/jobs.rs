//! `retort jobs`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use retort_model::JobState;
use retort_service::{Observer, Progress};
use retort_web::wire;

use super::{Failure, STOPPED, print, print_json, stop_flag};
use crate::backend::Backend;
use crate::config::StoreArgs;
use crate::display::{bytes, count, moment_of, one_line, table};
use crate::progress::Bar;

/// How often a job is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// List, watch, cancel or retry jobs.
#[derive(Args)]
pub struct Jobs {
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
    /// List the newest jobs.
    List {
        /// Maximum number of jobs.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,

        /// List everyone's jobs, as an owner of the project. In a local store, they are always listed.
        #[arg(long)]
        everyone: bool,
    },
    /// Show the progress of a job until it ends.
    Watch {
        /// Number of the job.
        id: i64,
    },
    /// Cancel a job.
    Cancel {
        /// Number of the job.
        id: i64,
    },
    /// Print the items that a server's import could not read, one line of JSON each.
    Rejects {
        /// Number of the job.
        id: i64,
    },
    /// Retry a failed or cancelled job now, with the selection that was frozen when it was submitted.
    Retry {
        /// Number of the job.
        id: i64,

        /// Only queue the job, for `retort worker` to run.
        #[arg(long)]
        detach: bool,
    },
}

impl Jobs {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let backend = self.keeping.backend()?;
        match self.action.unwrap_or(Action::List { limit: 20, everyone: false }) {
            Action::List { limit, everyone } => list(&backend.jobs(limit, everyone)?, self.json),
            Action::Watch { id } => watch(&backend, id, self.json),
            Action::Cancel { id } => {
                let job = backend.cancel(id)?;
                if self.json {
                    print_json(&job)?;
                } else if job.state == JobState::Cancelled.as_str() {
                    eprintln!("job {id} is cancelled");
                } else {
                    eprintln!("job {id} is being cancelled");
                }
                Ok(ExitCode::SUCCESS)
            }
            Action::Rejects { id } => {
                backend.rejects(id, &mut std::io::stdout().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            Action::Retry { id, detach } => {
                let job = backend.retry(id)?;
                if detach {
                    return list(&[job], self.json);
                }
                super::export::finish(&backend, &job, self.json)
            }
        }
    }
}

pub fn list(jobs: &[wire::Job], json: bool) -> Result<ExitCode, Failure> {
    if json {
        print_json(&jobs)?;
        return Ok(ExitCode::SUCCESS);
    }
    if jobs.is_empty() {
        eprintln!("there are no jobs");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&[
        "ID",
        "KIND",
        "STATE",
        "NAME",
        "DONE",
        "SIZE",
        "RECORDS",
        "CREATOR",
        "ASKED FOR",
        "WHY",
    ]);
    for job in jobs {
        table.add_row([
            job.id.to_string(),
            job.kind.clone(),
            job.state.clone(),
            one_line(&job.name, 40),
            done(job),
            bytes(job.bytes.total),
            count(job.records),
            one_line(&job.creator, 40),
            moment_of(job.created_at.as_deref()),
            one_line(job.error.as_deref().unwrap_or_default(), 80),
        ]);
    }
    print(table.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}

/// How far a job is.
fn done(job: &wire::Job) -> String {
    match (job.bytes.done * 100).checked_div(job.bytes.total) {
        _ if job.is_completed() => "100%".into(),
        Some(percent) => format!("{}%", percent.min(100)),
        None => String::new(),
    }
}

fn watch(backend: &Backend, id: i64, json: bool) -> Result<ExitCode, Failure> {
    let bar = Bar::new(json || !std::io::stderr().is_terminal());
    let mut job = backend.job(id)?;
    match backend {
        Backend::Local(_) => {
            while !job.is_ended() {
                bar.progress(Progress {
                    read_bytes: job.bytes.done,
                    total_bytes: job.bytes.total,
                    records: job.records,
                });
                std::thread::sleep(LOOK);
                job = backend.job(id)?;
            }
        }
        Backend::Remote(client) => match client.follow(&job, &bar, &*stop_flag()?)? {
            Some(ended) => job = ended,
            None => return Ok(ExitCode::from(STOPPED)),
        },
    }
    bar.finish();
    list(std::slice::from_ref(&job), json)?;
    Ok(if job.is_completed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
