//! `retort`: the door. A command is parsed, handed to a verb of the service, and its result printed: data to
//! standard output, everything else to standard error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the door is where printing belongs")]

mod args;
mod changing;
mod client;
mod commands;
mod config;
mod display;
#[cfg(test)]
mod docs;
mod filters;
mod options;
mod pages;
mod progress;
mod views;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use client::ClientError;
use mimalloc::MiMalloc;
use retort_service::{EngineError, Error, panics};

/// Many threads make and drop many small things: a tenth of the CPU seconds of a conversion lies in the
/// allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Turns the history of conversations with language models into datasets that people can trust.
#[derive(Parser)]
#[command(
    name = "retort",
    version,
    max_term_width = 100,
    after_help = "With `--server URL`, a server carries out the command; RETORT_TOKEN holds the token for it.\n\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 most items were refused or a check found a problem, 70 a bug in Retort, 130 stopped."
)]
struct Cli {
    #[command(flatten)]
    _before: config::Before,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Convert(commands::convert::Convert),
    Merge(commands::merge::Merge),
    Preview(commands::preview::Preview),
    Inspect(commands::inspect::Inspect),
    Stats(Box<commands::stats::Stats>),
    Verify(commands::verify::Verify),
    Sign(commands::sign::Sign),
    Diff(commands::diff::DiffPackages),
    Formats(commands::formats::Formats),
    Import(commands::import::Import),
    Keep(commands::keep::Keep),
    List(commands::list::List),
    Show(commands::show::Show),
    Tag(commands::tag::Tag),
    Judge(commands::judge::Judge),
    Favorite(commands::favorite::Favorite),
    Delete(commands::delete::Delete),
    Restore(commands::restore::Restore),
    Purge(commands::purge::Purge),
    Erase(commands::erase::Erase),
    Documents(commands::documents::Documents),
    Runs(Box<commands::runs::Runs>),
    Export(Box<commands::export::Export>),
    Datasets(commands::datasets::Datasets),
    Trace(commands::trace::Trace),
    Jobs(commands::jobs::Jobs),
    Schedules(commands::schedules::Schedules),
    Share(commands::share::Share),
    Users(commands::users::Users),
    Projects(commands::projects::Projects),
    Members(commands::members::Members),
    Tokens(commands::tokens::Tokens),
    Audit(commands::audit::Audit),
    Serve(Box<commands::serve::Serve>),
    Worker(commands::worker::Worker),
    Doctor(commands::doctor::Doctor),
    Backup(commands::backup::Backup),
    Migrate(commands::migrate::Migrate),
    Completions(commands::completions::Completions),
}

/// Something failed.
const FAILED: u8 = 1;

/// The arguments do not go together, as `clap` says of those that it refuses.
const MISUSED: u8 = 2;

/// A bug in Retort: what `sysexits.h` calls an internal software error.
const BUG: u8 = 70;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // What the panic said is part of the error.
    panics::watch(|_| ());
    let result = panics::caught(|| run(command)).unwrap_or_else(|bug| Err(bug.into()));
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let local = || error.downcast_ref().and_then(ClientError::local);
            let engine = match error.downcast_ref().or_else(local) {
                Some(Error::Engine(error)) => Some(error),
                _ => error.downcast_ref::<EngineError>(),
            };
            let refused = error.downcast_ref().is_some_and(ClientError::is_choice);
            ExitCode::from(match engine {
                Some(EngineError::Bug { .. }) => BUG,
                Some(EngineError::Choice(_)) => MISUSED,
                _ if refused => MISUSED,
                _ => FAILED,
            })
        }
    }
}

fn run(command: Command) -> Result<ExitCode, commands::Failure> {
    match command {
        Command::Convert(command) => command.run(),
        Command::Merge(command) => command.run(),
        Command::Preview(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Stats(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Sign(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Formats(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Keep(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::Tag(command) => command.run(),
        Command::Judge(command) => command.run(),
        Command::Favorite(command) => command.run(),
        Command::Delete(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Purge(command) => command.run(),
        Command::Erase(command) => command.run(),
        Command::Documents(command) => command.run(),
        Command::Runs(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Datasets(command) => command.run(),
        Command::Trace(command) => command.run(),
        Command::Jobs(command) => command.run(),
        Command::Schedules(command) => command.run(),
        Command::Share(command) => command.run(),
        Command::Users(command) => command.run(),
        Command::Projects(command) => command.run(),
        Command::Members(command) => command.run(),
        Command::Tokens(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Worker(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Completions(command) => command.run(Cli::command()),
    }
}

/// Whether the reader of the output has closed it.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_io = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    is_io || error.source().is_some_and(is_broken_pipe)
}
