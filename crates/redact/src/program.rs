//! Rules whose spans are found by a user's program. This crate does not run programs: the caller that applies the rules
//! passes in the code that runs them.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Default and maximum seconds that a program has for one text.
const SECONDS: u64 = 10;
const MOST_SECONDS: u64 = 600;
/// Default and maximum processes of a program; bounded because each may hold a model.
const PROCESSES: usize = 4;
const MOST_PROCESSES: usize = 64;
/// Arguments of a program, with its name.
const ARGUMENTS: usize = 100;

/// Finds spans in texts, the same in the same text.
pub trait Recogniser: Debug + Send + Sync {
    /// The spans of a text that are to be replaced, in bytes at boundaries of characters. Once it failed, it always fails.
    ///
    /// # Errors
    /// Why it failed, without the text.
    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, String>;

    /// Why it failed before; none if it did not.
    fn failure(&self) -> Option<String>;

    /// Makes all calls fail from now on, so that threads waiting for an answer return.
    fn stop(&self);

    /// What it runs, without folders.
    fn name(&self) -> &str;

    /// A hash of what it runs.
    fn sha256(&self) -> &str;
}

/// Makes what runs the program of a rule.
pub type Begin<'b> = dyn Fn(&Named) -> Result<Arc<dyn Recogniser>, String> + 'b;

/// A program with its arguments, and how much of the machine it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecogniserProgram {
    /// The program, and its arguments.
    pub command: Vec<String>,
    /// Seconds for one text.
    pub seconds: u64,
    /// How many of it may run at once.
    pub processes: usize,
}

impl RecogniserProgram {
    /// A program, with the default of each limit that is not given.
    ///
    /// # Errors
    /// Which of them is wrong, by the names that they have in files: `program`, `timeout_seconds`, `processes`.
    pub fn new(
        command: Vec<String>,
        seconds: Option<u64>,
        processes: Option<usize>,
    ) -> Result<Self, String> {
        let is_named = command.first().is_some_and(|program| !program.trim().is_empty());
        if !is_named || command.len() > ARGUMENTS {
            return Err(format!(
                "`program` is a list of a program and its arguments, at most {ARGUMENTS}"
            ));
        }
        let seconds = seconds.unwrap_or(SECONDS);
        if !(1..=MOST_SECONDS).contains(&seconds) {
            return Err(format!("`timeout_seconds` is 1 to {MOST_SECONDS}"));
        }
        let processes = processes.unwrap_or(PROCESSES);
        if !(1..=MOST_PROCESSES).contains(&processes) {
            return Err(format!("`processes` is 1 to {MOST_PROCESSES}"));
        }
        Ok(Self { command, seconds, processes })
    }
}

/// The program of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its command, for rules that a user gives on the command line.
    Command(RecogniserProgram),
    /// By a name in the configuration, which sets its limits.
    Configured(String),
}

/// A program as a rule asks for it.
#[derive(Clone, Debug)]
pub struct ProgramRule {
    /// What it runs.
    pub named: Named,
    /// The hash that it must have, if the rule says one.
    pub sha256: Option<String>,
    /// What runs it; none until the rules are applied.
    pub(crate) runs: Option<Arc<dyn Recogniser>>,
}

/// A program that cannot be run.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);

impl Recogniser for Unavailable {
    fn spans(&self, _text: &str) -> Result<Vec<Range<usize>>, String> {
        Err(self.0.clone())
    }

    fn failure(&self) -> Option<String> {
        Some(self.0.clone())
    }

    fn stop(&self) {}

    fn name(&self) -> &'static str {
        ""
    }

    fn sha256(&self) -> &'static str {
        ""
    }
}
