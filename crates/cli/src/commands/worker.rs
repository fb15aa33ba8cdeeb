//! `retort worker`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use retort_service::{Error, Job, Service};

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

/// What a worker tells of.
pub enum Told<'t> {
    /// A job is done.
    Done(&'t Job),
    /// A job was given back, or cancelled.
    Stopped(&'t Job),
    /// A job failed.
    Failed(&'t Job, &'t Error),
    /// Something failed that may be well again in a moment.
    Waiting(&'t Error),
}

impl Worker {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let service = self.keeping.service()?;
        let stopped = stop_flag()?;
        work_until(&service, &stopped, self.once, self.quiet, &mut |told| match told {
            Told::Done(_) if self.quiet => {}
            Told::Done(job) => eprintln!("job {}: {} `{}` is done", job.id, job.kind, job.name),
            Told::Stopped(job) => {
                eprintln!("job {}: {} `{}` was stopped", job.id, job.kind, job.name);
            }
            Told::Failed(job, error) => {
                eprintln!("job {}: {} `{}` failed: {error}", job.id, job.kind, job.name);
            }
            Told::Waiting(error) => eprintln!("{error}; trying again"),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Does jobs until it is to stop, or `once` none is open any more.
pub fn work_until(
    service: &Service,
    stopped: &AtomicBool,
    once: bool,
    quiet: bool,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<(), Error> {
    while !stopped.load(Ordering::Relaxed) {
        let bar = Bar::new(quiet);
        let taken = service.work_one(None, &bar, stopped);
        bar.finish();
        match taken {
            Ok(Some((job, Ok(_)))) => tell(Told::Done(&job)),
            Ok(Some((job, Err(Error::Stopped)))) => tell(Told::Stopped(&job)),
            Ok(Some((job, Err(error)))) => tell(Told::Failed(&job, &error)),
            Ok(None) if once && !service.has_open_jobs()? => break,
            Ok(None) => std::thread::sleep(LOOK),
            // Store and objects may be back in a moment; a worker that ends by itself helps nobody.
            Err(error) if may_pass(&error) && !once => {
                tell(Told::Waiting(&error));
                std::thread::sleep(LOOK * 4);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn may_pass(error: &Error) -> bool {
    match error {
        Error::Store(error) => error.may_pass(),
        Error::Objects { .. } => true,
        _ => false,
    }
}
