//! Session traces in the simple form that the Hugging Face Hub shows (STS): a line about the session, and one for each
//! message. Reference: `docs/hub/session-traces-format.md` of the Hub's documentation.

use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::sniff::{Entry, Sniff};
use super::{pi, session};

/// The format.
pub(super) struct Sts;

impl ImportFormat for Sts {
    fn name(&self) -> &'static str {
        "sts"
    }

    fn about(&self) -> &'static str {
        "Session traces of the Hugging Face Hub: a line about the session, then one message per line"
    }

    fn notes(&self) -> &'static str {
        "The Hub's own shape for sessions of agents, which any harness can be turned into: a first line \
         `{\"type\": \"session\", \"harness\", \"id\"}` and a line `{\"type\": \"message\", \"message\": …}` for each \
         message. Reasoning, calls, results, times and models are kept. Sessions that the Hub shows as they were \
         recorded (Claude Code, Codex, Pi, …) are read by the formats of those."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.text(&["type"]).as_deref() == Some("session") && sniff.holds(&["harness"])
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        session::line_of_file(text, entry, into);
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        pi::read(text, notes)
    }
}
