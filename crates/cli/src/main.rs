//! `retort`: the door. A command is parsed, handed to a verb of the service, and its result printed: data to
//! standard output, everything else to standard error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the door is where printing belongs")]

mod args;
mod commands;
mod config;
mod progress;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Many threads make and drop many small things: a tenth of the CPU seconds of a conversion lies in the
/// allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Turns the history of conversations with language models into datasets that people can trust.
#[derive(Parser)]
#[command(
    name = "retort",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 what was checked is not as it should be, 130 stopped."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read histories and write a dataset package.
    Convert(commands::convert::Convert),
    /// Show the first 20 records as they would be written, or those of a package.
    Preview(commands::preview::Preview),
    /// Read a package whole and hold it against its receipt.
    Verify(commands::verify::Verify),
    /// Read histories into the store.
    Import(commands::import::Import),
    /// List the conversations in the store.
    List(commands::list::List),
    /// Show a conversation in the store.
    Show(commands::show::Show),
    /// Add tags to conversations and take tags away.
    Tag(commands::edit::Tag),
    /// Mark conversations as favourites.
    Favorite(commands::edit::Favorite),
    /// Delete conversations so that they can be restored.
    Delete(commands::edit::Delete),
    /// Restore deleted conversations.
    Restore(commands::edit::Restore),
    /// Remove conversations for good.
    Purge(commands::edit::Purge),
    /// Make a dataset of conversations in the store.
    Export(commands::export::Export),
    /// List datasets, look into one, bring it here, rename or delete it.
    Datasets(commands::datasets::Datasets),
    /// Say which datasets hold something of a conversation.
    Trace(commands::datasets::Trace),
    /// List the jobs, follow one, end it, or try it again.
    Jobs(commands::jobs::Jobs),
    /// Do the jobs that wait.
    Worker(commands::worker::Worker),
    /// Check the store, the objects, the jobs and the disk.
    Doctor(commands::upkeep::Doctor),
    /// Copy the store and all datasets while they are in use.
    Backup(commands::upkeep::Backup),
    /// Bring the tables of a store to this release's.
    Migrate(commands::upkeep::Migrate),
    /// List the import, data and file formats.
    Formats(commands::formats::Formats),
    /// Print completions for a shell.
    Completions(commands::completions::Completions),
}

/// Something failed.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Convert(command) => command.run(),
        Command::Preview(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::Tag(command) => command.run(),
        Command::Favorite(command) => command.run(),
        Command::Delete(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Purge(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Datasets(command) => command.run(),
        Command::Trace(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Jobs(command) => command.run(),
        Command::Worker(command) => command.run(),
        Command::Formats(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    match result {
        Ok(code) => code,
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(FAILED)
        }
    }
}
