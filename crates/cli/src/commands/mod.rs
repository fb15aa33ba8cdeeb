//! One file a command.

pub mod as_model;
pub mod audit;
pub mod backup;
pub mod completions;
pub mod conversations;
pub mod convert;
pub mod datasets;
pub mod delete;
pub mod diff;
pub mod doctor;
pub mod documents;
pub mod erase;
pub mod export;
pub mod favorite;
pub mod formats;
pub mod import;
pub mod inspect;
pub mod jobs;
pub mod judge;
pub mod keep;
pub mod list;
pub mod listing;
pub mod man;
pub mod members;
pub mod merge;
pub mod migrate;
pub mod preview;
pub mod projects;
pub mod purge;
pub mod push;
pub mod restore;
pub mod restore_backup;
pub mod runs;
pub mod schedules;
pub mod serve;
pub mod share;
pub mod show;
pub mod sign;
pub mod stats;
pub mod tag;
pub mod tokens;
pub mod trace;
pub mod users;
pub mod verify;
pub mod worker;

use std::fmt::Display;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use retort_service::EngineError;

/// Whatever ends a command.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What shells report of a run that was interrupted.
pub const STOPPED: u8 = 130;

/// Something is not as it should be: a package, the store or a dataset.
pub const FOUND: u8 = 3;

/// Bytes of a line that are read as a password; the bound on passwords is below.
const PASSWORD_LINE: u64 = 4096;

/// Arguments that do not go together, or that the command cannot do: wrong usage.
pub fn misuse(why: impl Into<String>) -> Failure {
    EngineError::Choice(why.into()).into()
}

/// Prints to standard output, which someone may have closed.
pub fn print(text: impl Display) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Prints JSON over several lines.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(serde_json::to_string_pretty(value)?)
}

/// A password that is in the first line of standard input.
pub fn read_password() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        eprint!("password (visible as you type): ");
    }
    let mut line = String::new();
    std::io::stdin().lock().take(PASSWORD_LINE).read_line(&mut line)?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err("there is no password on standard input".into()),
        password => Ok(password.to_owned()),
    }
}

/// A flag that is set when the person wants the command to stop; the second wish ends it at once.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(STOPPED.into());
        }
    })?;
    Ok(stopped)
}

/// Asks before something is done that cannot be undone; where nobody is there to be asked, that is an error.
pub fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(misuse(format!("{what}; confirm with `--yes`")));
    }
    eprint!("{what}. Continue? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err("nothing was changed".into()),
    }
}
