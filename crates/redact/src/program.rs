//! Rules whose spans a user's program finds. This crate does not run programs: the caller that applies the rules passes
//! in the code that runs them.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Default and maximum seconds that a program has for one text.
const SECONDS: u64 = 10;
const MOST_SECONDS: u64 = 600;
/// Default and maximum processes of a program; bounded because each may load a model.
const PROCESSES: usize = 4;
const MOST_PROCESSES: usize = 64;
/// The most parts of a command: the program and its arguments.
const ARGUMENTS: usize = 100;

/// Finds spans in texts. The same text always has the same spans.
pub trait Recogniser: Debug + Send + Sync {
    /// The spans of a text to replace, as byte ranges at character boundaries. After one failure, every call fails.
    ///
    /// # Errors
    /// Why it failed, without the text.
    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, String>;

    /// Why it failed; none if it has not failed.
    fn failure(&self) -> Option<String>;

    /// Makes all calls fail from now on, so that threads waiting for an answer return.
    fn stop(&self);

    /// The file name of its program, without folders.
    fn name(&self) -> &str;

    /// A hash of its command and the files that the command names.
    fn sha256(&self) -> &str;
}

/// Returns the recogniser that runs the program of a rule.
pub type Begin<'b> = dyn Fn(&Named) -> Result<Arc<dyn Recogniser>, String> + 'b;

/// A program with its arguments and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecogniserProgram {
    /// The program, and its arguments.
    pub command: Vec<String>,
    /// Seconds for one text.
    pub seconds: u64,
    /// How many processes of it may run at once.
    pub processes: usize,
}

impl RecogniserProgram {
    /// A program, with the default of each limit that is not given.
    ///
    /// # Errors
    /// Which value is wrong, by its name in files: `program`, `timeout_seconds` or `processes`.
    pub fn new(
        command: Vec<String>,
        seconds: Option<u64>,
        processes: Option<usize>,
    ) -> Result<Self, String> {
        let is_named = command.first().is_some_and(|program| !program.trim().is_empty());
        if !is_named || command.len() > ARGUMENTS {
            return Err(format!(
                "`program` must be a list of a program and its arguments, at most {ARGUMENTS}"
            ));
        }
        let seconds = seconds.unwrap_or(SECONDS);
        if !(1..=MOST_SECONDS).contains(&seconds) {
            return Err(format!("`timeout_seconds` must be 1 to {MOST_SECONDS}"));
        }
        let processes = processes.unwrap_or(PROCESSES);
        if !(1..=MOST_PROCESSES).contains(&processes) {
            return Err(format!("`processes` must be 1 to {MOST_PROCESSES}"));
        }
        Ok(Self { command, seconds, processes })
    }
}

/// The program of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Given by its command, in rules that a user gives on the command line.
    Command(RecogniserProgram),
    /// Given by its name in the configuration, which sets its limits.
    Configured(String),
}

/// The rule to replace what a program finds.
#[derive(Clone, Debug)]
pub struct ProgramRule {
    /// The program.
    pub named: Named,
    /// The hash that the program must have, if the rule gives one.
    pub sha256: Option<String>,
    /// The recogniser that runs it; none until the rules are applied.
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
