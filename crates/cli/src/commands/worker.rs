//! `retort worker`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use retort_service::{Done, Error, Job, Service, Wanted};

use super::{Failure, stop_flag};
use crate::config::StoreArgs;
use crate::progress::Bar;

/// How often the queue is looked at when it is empty.
const LOOK: Duration = Duration::from_millis(500);

/// The longest pause between two attempts to reach a store that is away.
const PAUSE_MOST: Duration = Duration::from_secs(8);

/// Run queued jobs.
///
/// Jobs of workers that died are continued, too.
#[derive(Args)]
pub struct Worker {
    /// Exit when no jobs are left.
    #[arg(long)]
    once: bool,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    keeping: StoreArgs<false, false>,
}

/// What a worker tells of.
pub enum Told<'t> {
    /// A job is done.
    Done(&'t Job),
    /// A part of an export that another worker runs is done, or failed and is left to that worker.
    Part(&'t Job, u64, Option<&'t Error>),
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
        work_until(
            &service,
            Wanted::Any,
            &stopped,
            self.once,
            self.quiet,
            &mut |told| match told {
                Told::Done(_) | Told::Part(_, _, None) if self.quiet => {}
                Told::Done(job) => eprintln!("job {}: {} `{}` is done", job.id, job.kind, job.name),
                Told::Part(job, number, None) => {
                    eprintln!("job {}: part {number} of export `{}` is done", job.id, job.name);
                }
                Told::Part(job, number, Some(error)) => eprintln!(
                    "job {}: part {number} of export `{}` failed and is left to the other worker: {error}",
                    job.id, job.name
                ),
                Told::Stopped(job) => {
                    eprintln!("job {}: {} `{}` was stopped", job.id, job.kind, job.name);
                }
                Told::Failed(job, error) => {
                    eprintln!("job {}: {} `{}` failed: {error}", job.id, job.kind, job.name);
                }
                Told::Waiting(error) => eprintln!("{error}; trying again"),
            },
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Does the jobs that are wanted until it is to stop, or `once` none is open any more.
pub fn work_until(
    service: &Service,
    wanted: Wanted,
    stopped: &AtomicBool,
    once: bool,
    quiet: bool,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<(), Error> {
    let mut pause = Pause::default();
    while !stopped.load(Ordering::Relaxed) {
        let bar = Bar::new(quiet);
        let taken = service.work_one(wanted, &bar, stopped);
        bar.finish();
        match taken {
            Ok(Some((job, Ok(Done::Part { error: Some(error), .. })))) if error.is_stopped() => {
                tell(Told::Stopped(&job));
            }
            Ok(Some((job, Ok(Done::Part { number, error })))) => {
                tell(Told::Part(&job, number + 1, error.as_ref()));
            }
            Ok(Some((job, Ok(_)))) => tell(Told::Done(&job)),
            Ok(Some((job, Err(error)))) if error.is_stopped() => tell(Told::Stopped(&job)),
            Ok(Some((job, Err(error)))) => {
                tell(Told::Failed(&job, &error));
                if error.may_pass() {
                    pause.wait(stopped);
                    continue;
                }
            }
            Ok(None) if once && !service.has_open_jobs()? => break,
            Ok(None) => std::thread::sleep(LOOK),
            // Whatever it is, it may be over in a moment; a worker that ends by itself helps nobody.
            Err(error) if !once => {
                tell(Told::Waiting(&error));
                pause.wait(stopped);
                continue;
            }
            Err(error) => return Err(error),
        }
        pause = Pause::default();
    }
    Ok(())
}

/// How long a worker waits for a store that is away: longer each time, up to a bound.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(LOOK)
    }
}

impl Pause {
    fn wait(&mut self, stopped: &AtomicBool) {
        let mut left = self.0;
        while !left.is_zero() && !stopped.load(Ordering::Relaxed) {
            let step = left.min(LOOK);
            std::thread::sleep(step);
            left -= step;
        }
        self.0 = (self.0 * 2).min(PAUSE_MOST);
    }
}
