//! What is counted on the way.

use std::collections::BTreeMap;

use retort_formats::import::Refusal;
use retort_model::bounds::RENAMED_TOOLS_LISTED;
use retort_model::{Account, ItemKind, Tally};

use super::item_stats::ItemStats;

/// By reason, where the first item stands that was refused for it, and what is wrong with it.
pub type FirstRefused = BTreeMap<String, String>;

/// What was counted on the way.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// What was found in the items.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// The first items that could not be read.
    pub first_refused: FirstRefused,
    /// The streams that were read.
    pub sources: Vec<SourceCount>,
    /// What readers can learn from the rows of each output.
    pub learnt: Vec<InferredTypes>,
    /// Tools whose names were changed, with their new names.
    pub renamed_tools: BTreeMap<String, String>,
    /// Places of packed items of which nothing was written.
    pub without_records: Vec<u64>,
    /// The first hits of redaction, where they are listed.
    pub hits: Vec<ListedHit>,
    /// What is in the items, where that is counted.
    pub contents: Option<Box<Contents>>,
    /// Whether an id is repeated on which nothing was decided, so that all has to begin again.
    pub is_undecided: bool,
}

impl Totals {
    /// Adds tools whose names were changed, as far as they are listed.
    pub fn add_renamed_tools(&mut self, renamed: impl IntoIterator<Item = (String, String)>) {
        for (from, to) in renamed {
            if self.renamed_tools.len() < RENAMED_TOOLS_LISTED {
                self.renamed_tools.insert(from, to);
            }
        }
    }
}

/// What is in the items before and after all that a dataset leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// In those that the selection chose.
    pub selected: ItemStats,
    /// In those of which something was written, as they were written: with what redaction replaced.
    pub written: ItemStats,
}

impl Contents {
    pub(super) fn add(&mut self, other: Self) {
        self.selected.add(other.selected);
        self.written.add(other.written);
    }
}

/// What readers that infer types can learn from the rows of an output.
#[derive(Clone, Debug, Default)]
pub struct InferredTypes {
    /// Rows that must come before all others, as they complete the types of the columns.
    pub front: Vec<FrontRow>,
    /// What can be learnt from the rows so far, with what was known before them.
    pub evidence: u64,
    /// What the rows themselves show, wherever they are written.
    pub shown: u64,
    /// Bytes of rows written so far.
    pub bytes_before: u64,
}

/// A row moved to the front, and the line of its id.
#[derive(Clone, Debug, Default)]
pub struct FrontRow {
    /// The encoded row.
    pub row: Vec<u8>,
    /// Its line in the file of ids.
    pub id: Vec<u8>,
}

/// What was found in one stream.
#[derive(Clone, Debug, Default)]
pub struct SourceCount {
    /// What errors and receipts call it.
    pub name: String,
    /// The import format it was read as.
    pub format: Option<&'static str>,
    /// Items that were found in it.
    pub items: u64,
    /// Items that could not be read.
    pub refused: u64,
}

impl SourceCount {
    /// The counts as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let Self { name, format, items, refused } = self;
        serde_json::json!({"name": name, "format": format, "items": items, "refused": refused})
    }
}

/// A place in an item where redaction found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedHit {
    /// The kind of item.
    pub kind: ItemKind,
    /// Its id, redacted.
    pub id: String,
    /// The path of the field in the canonical line.
    pub place: String,
    /// The name of the rule.
    pub rule: String,
    /// The text around it, redacted.
    pub context: String,
}
