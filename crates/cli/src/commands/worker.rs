//! `retort worker`.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use retort_service::Error;

use super::{Failure, stop_flag};
use crate::config::Keeping;
use crate::progress::Bar;

/// How often the queue is looked at when it is empty.
const LOOK: Duration = Duration::from_millis(500);

/// Do the jobs that wait, and those whose workers are gone, one after another.
#[derive(Args)]
pub struct Worker {
    /// End when no job is open any more.
    #[arg(long)]
    once: bool,

    /// Say nothing but errors.
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    keeping: Keeping,
}

impl Worker {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let service = self.keeping.service()?;
        let stopped = stop_flag()?;
        while !stopped.load(Ordering::Relaxed) {
            let bar = Bar::new(self.quiet);
            let taken = service.work_one(None, &bar, &stopped);
            bar.finish();
            match taken {
                Ok(Some((job, done))) => {
                    let (id, kind, name) = (job.id, job.kind, &job.name);
                    match done {
                        Ok(_) if self.quiet => {}
                        Ok(_) => eprintln!("job {id}: {kind} `{name}` is done"),
                        Err(Error::Stopped) => eprintln!("job {id}: {kind} `{name}` was stopped"),
                        Err(error) => eprintln!("job {id}: {kind} `{name}` failed: {error}"),
                    }
                }
                Ok(None) if self.once && !service.has_open_jobs()? => break,
                Ok(None) => std::thread::sleep(LOOK),
                // Store and objects may be back in a moment; a worker that ends by itself helps nobody.
                Err(error) if may_pass(&error) && !self.once => {
                    eprintln!("{error}; trying again");
                    std::thread::sleep(LOOK * 4);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn may_pass(error: &Error) -> bool {
    match error {
        Error::Store(error) => error.may_pass(),
        Error::Objects { .. } => true,
        _ => false,
    }
}
