//! `retort`: the door. A command is parsed, handed to a verb of the service, and its result printed: data to
//! standard output, everything else to standard error.
//!
//! It is a library so that the Python module can include the command ([`exit_code_of`]) and read from the Hub in the same
//! way ([`hub`]).
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
mod help;
pub mod hub;
mod options;
mod pages;
mod progress;
mod views;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use client::ClientError;
use retort_service::{EngineError, Error, panics};
use serde_json::json;

/// Turns the history of conversations with language models into datasets that people can trust.
#[derive(Parser)]
#[command(
    name = "retort",
    version,
    max_term_width = 100,
    after_long_help = "With `--server URL`, the command runs on a server; RETORT_TOKEN holds the token for it.\n\nExit \
                       codes: 0 done, 1 failed, 2 wrong usage, 3 most items were refused or a check found a problem, \
                       70 a bug in Retort, 130 stopped."
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
    Push(commands::push::Push),
    Diff(commands::diff::DiffPackages),
    Formats(commands::formats::Formats),
    Import(commands::import::Import),
    Keep(commands::keep::Keep),
    Conversations(Box<commands::conversations::Conversations>),
    /// The verbs of `conversations`, which most people type most often.
    #[command(flatten)]
    OfConversations(commands::conversations::Verb),
    Runs(Box<commands::runs::Runs>),
    Documents(commands::documents::Documents),
    Judge(commands::judge::Judge),
    Erase(commands::erase::Erase),
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
    RestoreBackup(commands::restore_backup::RestoreBackup),
    Migrate(commands::migrate::Migrate),
    Completions(commands::completions::Completions),
    #[command(hide = true)]
    Man(commands::man::Man),
}

/// Something failed.
const FAILED: u8 = 1;

/// The exit code for wrong usage, the same as `clap`'s.
const MISUSED: u8 = 2;

/// A bug in Retort: what `sysexits.h` calls an internal software error.
const BUG: u8 = 70;

/// Options that only commands with a server have.
const SERVER_OPTIONS: [(&str, &str); 4] = [
    ("server", "--server"),
    ("token", "--token"),
    ("token_file", "--token-file"),
    ("insecure", "--insecure"),
];

/// Runs the command that the arguments ask for, and returns its exit code. The first argument is the program's name. Wrong
/// usage and `--help` end the process.
pub fn main(args: &[OsString]) -> ExitCode {
    // Who asks for JSON gets errors as JSON, too.
    let is_json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let mut cli = command();
    let parsed = cli.try_get_matches_from_mut(args).and_then(|matches| {
        check_server(&cli, &matches)?;
        Cli::from_arg_matches(&matches)
    });
    let command = match parsed {
        Ok(cli) => cli.command,
        Err(error) => {
            let error = error.format(&mut cli);
            if !is_json || !error.use_stderr() {
                error.exit();
            }
            return failed("usage", None, &words_of(&error), MISUSED);
        }
    };
    // What the panic said is part of the error.
    panics::watch(|_| ());
    let result = panics::caught(|| run(command)).unwrap_or_else(|bug| Err(bug.into()));
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            let (kind, code) = kind_of(&*error);
            if is_json {
                let problem = error.downcast_ref().and_then(ClientError::slug);
                return failed(kind, problem, &error.to_string(), code);
            }
            eprintln!("error: {error}");
            ExitCode::from(code)
        }
    }
}

/// As [`main`], for a caller that is not a program of Rust: the exit code as a number, with everything printed.
pub fn exit_code_of(args: &[OsString]) -> u8 {
    let code = main(args);
    // A reader who has gone gets nothing more.
    let _ = std::io::stdout().flush();
    (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).unwrap_or(FAILED)
}

/// The command line, with its help.
fn command() -> clap::Command {
    help::dressed(Cli::command())
}

/// Refuses the options of a server where the command asks none.
fn check_server(cli: &clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let (mut of, mut found, mut name) = (cli, matches, String::from("retort"));
    let mut has_server = false;
    while let Some((below, matches)) = found.subcommand() {
        let Some(command) = of.find_subcommand(below) else { break };
        (of, found) = (command, matches);
        name = format!("{name} {below}");
        let is_shown = |one: &clap::Arg| one.get_id() == "server" && !one.is_hide_set();
        has_server |= of.get_arguments().any(is_shown);
    }
    if has_server {
        return Ok(());
    }
    for (id, option) in SERVER_OPTIONS {
        let source = found.try_contains_id(id).is_ok_and(|there| there);
        let is_given = source && found.value_source(id) == Some(ValueSource::CommandLine);
        let value = found.try_get_one::<String>(id).ok().flatten();
        // `--server ''` means the local store.
        if is_given && value.is_none_or(|value| !value.is_empty()) {
            let why = format!("`{name}` does not use a server; leave `{option}` out");
            return Err(clap::Error::raw(ErrorKind::UnknownArgument, why));
        }
    }
    Ok(())
}

/// What kind of error it is, and the exit code.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> (&'static str, u8) {
    let local = || error.downcast_ref().and_then(ClientError::local);
    let engine = match error.downcast_ref().or_else(local) {
        Some(Error::Engine(error)) => Some(error),
        _ => error.downcast_ref::<EngineError>(),
    };
    let refused = error.downcast_ref().is_some_and(ClientError::is_choice);
    match engine {
        Some(EngineError::Bug { .. }) => ("bug", BUG),
        Some(EngineError::Choice(_)) => ("usage", MISUSED),
        _ if refused => ("usage", MISUSED),
        _ => ("failed", FAILED),
    }
}

/// Prints an error as JSON. `problem` is what the API calls it.
fn failed(kind: &str, problem: Option<&str>, message: &str, code: u8) -> ExitCode {
    let error = json!({"kind": kind, "problem": problem, "message": message, "exit_code": code});
    eprintln!("{}", json!({"error": error}));
    ExitCode::from(code)
}

/// What `clap` says of wrong usage, without its first word and its last line.
fn words_of(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nFor more information").next().unwrap_or(text);
    text.trim_end().to_owned()
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
        Command::Push(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Formats(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Keep(command) => command.run(),
        Command::Conversations(command) => command.run(),
        Command::OfConversations(command) => command.run(),
        Command::Runs(command) => command.run(),
        Command::Documents(command) => command.run(),
        Command::Judge(command) => command.run(),
        Command::Erase(command) => command.run(),
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
        Command::RestoreBackup(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Completions(command) => command.run(self::command()),
        Command::Man(command) => command.run(self::command()),
    }
}

/// Whether the reader of the output has closed it.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_io = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    is_io || error.source().is_some_and(is_broken_pipe)
}
