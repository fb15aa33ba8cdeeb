//! `retort jobs`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use retort_model::JobState;
use retort_service::{Job, Observer, Progress};
use serde_json::json;

use super::{Failure, print};
use crate::config::{Keeping, Opened};
use crate::progress::Bar;
use crate::words::{count, one_line, table};

/// How often a job is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// List the jobs, follow one, end it, or try it again.
#[derive(Args)]
pub struct Jobs {
    #[command(subcommand)]
    action: Option<Action>,

    /// As JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    keeping: Keeping,
}

#[derive(Subcommand)]
enum Action {
    /// List the newest jobs.
    List {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Follow a job until it ends.
    Watch {
        /// The job.
        id: i64,
    },
    /// End a job.
    Cancel {
        /// The job.
        id: i64,
    },
    /// Try a job again that failed or was cancelled, with the selection that was frozen, and do it at once.
    Retry {
        /// The job.
        id: i64,

        /// Queue it and leave it to a worker.
        #[arg(long)]
        detach: bool,
    },
}

impl Jobs {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let (service, caller) = (&opened.service, &opened.caller);
        match self.action.unwrap_or(Action::List { limit: 20 }) {
            Action::List { limit } => list(&service.jobs(caller, limit)?, self.json),
            Action::Watch { id } => watch(&opened, id, self.json),
            Action::Cancel { id } => {
                let kind = service.job(caller, id)?.kind;
                let job = service.cancel(caller, id, kind)?;
                if self.json {
                    print(serde_json::to_string_pretty(&as_json(&job))?)?;
                } else if job.state == JobState::Cancelled {
                    eprintln!("job {id} is cancelled");
                } else {
                    eprintln!("job {id} ends as soon as its worker hears of it");
                }
                Ok(ExitCode::SUCCESS)
            }
            Action::Retry { id, detach } => {
                let kind = service.job(caller, id)?.kind;
                service.retry(caller, id, kind)?;
                if detach {
                    return list(&[service.job(caller, id)?], self.json);
                }
                super::export::finish(&opened, id, self.json)
            }
        }
    }
}

fn list(jobs: &[Job], json: bool) -> Result<ExitCode, Failure> {
    if json {
        let jobs: Vec<_> = jobs.iter().map(as_json).collect();
        print(serde_json::to_string_pretty(&jobs)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if jobs.is_empty() {
        eprintln!("there are no jobs");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["ID", "KIND", "STATE", "NAME", "DONE", "RECORDS", "ASKED FOR", "WHY"]);
    for job in jobs {
        table.add_row([
            job.id.to_string(),
            job.kind.to_string(),
            job.state.to_string(),
            one_line(&job.name, 40),
            done(job),
            count(job.progress.records),
            job.created_at.map(crate::words::moment).unwrap_or_default(),
            one_line(job.error.as_deref().unwrap_or_default(), 80),
        ]);
    }
    print(table.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}

/// How far a job is.
fn done(job: &Job) -> String {
    let progress = &job.progress;
    match (progress.bytes_done * 100).checked_div(progress.bytes_total) {
        _ if job.state == JobState::Completed || job.state == JobState::CompletedWithSkips => {
            "100%".into()
        }
        Some(percent) => format!("{}%", percent.min(100)),
        None => String::new(),
    }
}

fn watch(opened: &Opened, id: i64, json: bool) -> Result<ExitCode, Failure> {
    let bar = Bar::new(json || !std::io::stderr().is_terminal());
    let job = loop {
        let job = opened.service.job(&opened.caller, id)?;
        if job.state.is_ended() {
            break job;
        }
        bar.progress(Progress {
            read_bytes: job.progress.bytes_done,
            total_bytes: job.progress.bytes_total,
            records: job.progress.records,
        });
        std::thread::sleep(LOOK);
    };
    bar.finish();
    list(std::slice::from_ref(&job), json)?;
    Ok(match job.state {
        JobState::Completed | JobState::CompletedWithSkips => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// A job as JSON.
pub fn as_json(job: &Job) -> serde_json::Value {
    let progress = &job.progress;
    let report = job.report.as_deref().and_then(|text| serde_json::from_str(text).ok());
    json!({
        "id": job.id,
        "kind": job.kind.as_str(),
        "state": job.state.as_str(),
        "name": job.name,
        "created_at": job.created_at.map(|time| time.to_string()),
        "started_at": job.started_at.map(|time| time.to_string()),
        "finished_at": job.finished_at.map(|time| time.to_string()),
        "worker": job.worker,
        "attempts": job.attempts,
        "cancelled": job.is_cancelled,
        "error": job.error,
        "items": {"done": progress.items_done, "total": progress.items_total},
        "bytes": {"done": progress.bytes_done, "total": progress.bytes_total},
        "records": progress.records,
        "dataset": job.dataset,
        "report": report.unwrap_or(serde_json::Value::Null),
    })
}
