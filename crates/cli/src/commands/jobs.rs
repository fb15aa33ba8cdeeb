//! `retort jobs`.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::JobState;
use retort_web::wire;

use super::{Failure, STOPPED, print, print_json, stop_flag};
use crate::args::whole;
use crate::client::Client;
use crate::config::StoreArgs;
use crate::display::{bytes, count, fitted, moment_of, one_line, table};
use crate::progress::Bar;

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
    #[command(visible_alias = "follow")]
    Watch {
        /// Number of the job.
        #[arg(value_parser = whole::<i64, 1, { u64::MAX }>)]
        id: i64,
    },
    /// Cancel a job.
    Cancel {
        /// Number of the job.
        #[arg(value_parser = whole::<i64, 1, { u64::MAX }>)]
        id: i64,
    },
    /// Print the items that a server's import could not read, one line of JSON each.
    Rejects {
        /// Number of the job.
        #[arg(value_parser = whole::<i64, 1, { u64::MAX }>)]
        id: i64,
    },
    /// Retry a failed or cancelled job now, with the selection that was frozen when it was submitted.
    Retry {
        /// Number of the job.
        #[arg(value_parser = whole::<i64, 1, { u64::MAX }>)]
        id: i64,

        /// Only queue the job, for `retort worker` to run.
        #[arg(long)]
        detach: bool,
    },
}

impl Jobs {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        match self.action.unwrap_or(Action::List { limit: 20, everyone: false }) {
            Action::List { limit, everyone } => list(&client.jobs(limit, everyone)?, self.json),
            Action::Watch { id } => watch(&client, id, self.json),
            Action::Cancel { id } => {
                let job = client.cancel(id)?;
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
                client.rejects(id, &mut std::io::stdout().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            Action::Retry { id, detach } => {
                let job = client.retry(id)?;
                if detach {
                    return list(&[job], self.json);
                }
                let code = super::export::finish(&client, &job, self.json)?;
                if self.json {
                    list(&[client.job(id)?], true)?;
                }
                Ok(code)
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
        "ID", "KIND", "STATE", "NAME", "DONE", "SIZE", "RECORDS", "CREATOR", "CREATED", "ERROR",
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
    print(fitted(table))?;
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

fn watch(client: &Client, id: i64, json: bool) -> Result<ExitCode, Failure> {
    let bar = Bar::new(json || !std::io::stderr().is_terminal());
    let Some(job) = client.follow(&client.job(id)?, &bar, &*stop_flag()?)? else {
        return Ok(ExitCode::from(STOPPED));
    };
    bar.finish();
    list(std::slice::from_ref(&job), json)?;
    Ok(if job.is_completed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
