//! Rules whose spans are found by a user's program. This crate does not run programs: the caller that applies the rules
//! passes in the code that runs them.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Default and maximum seconds that a program has for one text.
pub(crate) const SECONDS: u64 = 10;
pub(crate) const MOST_SECONDS: u64 = 600;
/// Default and maximum processes per rule; bounded because each may hold a model.
pub(crate) const PROCESSES: usize = 4;
pub(crate) const MOST_PROCESSES: usize = 64;
/// Arguments of a program, with its name.
pub(crate) const ARGUMENTS: usize = 100;

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
pub type Begin<'b> = dyn Fn(&ProgramRule) -> Result<Arc<dyn Recogniser>, String> + 'b;

/// The program of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its command, for rules that a user gives on the command line.
    Command(Vec<String>),
    /// By a name in the configuration.
    Configured(String),
}

/// A program as a rule asks for it.
#[derive(Clone, Debug)]
pub struct ProgramRule {
    /// What it runs.
    pub named: Named,
    /// Seconds for one text.
    pub seconds: u64,
    /// How many of it may run at once.
    pub processes: usize,
    /// The hash that it must have, if the rule says one.
    pub sha256: Option<String>,
    /// What runs it; none until the rules are applied.
    pub(crate) runs: Option<Arc<dyn Recogniser>>,
}

impl ProgramRule {
    /// A program with the defaults.
    pub fn new(named: Named) -> Self {
        Self { named, seconds: SECONDS, processes: PROCESSES, sha256: None, runs: None }
    }
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
