//! What a run hands on: rows for the files of the outputs, and what goes beside them.

use retort_formats::file::Chunk;
use retort_formats::import::Refusal;
use retort_model::{Account, Tally};

use super::totals::{FirstRefused, ListedHit};

/// Some rows for the file of an output, and what goes to the files beside it.
#[derive(Default)]
pub struct Delivery {
    /// The output.
    pub output: usize,
    /// None if there is something beside the data alone.
    pub chunk: Option<Chunk>,
    /// Whether the output's file may end behind the rows: which rows those are depends on what is in them alone.
    pub may_end_file: bool,
    /// Lines of `rejects.jsonl`.
    pub rejects: Vec<u8>,
    /// Lines of `findings.jsonl`.
    pub findings: Vec<u8>,
    /// Lines of the output's file of ids.
    pub ids: Vec<u8>,
    /// For each item that was written, the hash of its group and its output.
    pub groups: Vec<u8>,
    /// Lines of the file of extras.
    pub extras: Vec<u8>,
    /// What was counted up to here, where that was asked.
    pub account: Option<Counted>,
    /// A batch of a part, instead of all else.
    pub batch: Option<PartBatch>,
}

impl Delivery {
    pub(super) fn records(&self) -> u64 {
        let chunk = self.chunk.as_ref().map(|chunk| chunk.rows);
        chunk.or(self.batch.as_ref().map(|batch| batch.records)).unwrap_or(0)
    }
}

/// What was counted up to a delivery.
pub struct Counted {
    /// What was found in the items.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// The first items that could not be read.
    pub first_refused: FirstRefused,
    /// The first hits of redaction, where they are listed.
    pub hits: Vec<ListedHit>,
}

/// What a part keeps of one batch.
pub struct PartBatch {
    /// Its rows and what goes beside them, packed.
    pub rows: Vec<u8>,
    /// How many rows.
    pub records: u64,
    /// What repeated ids are decided on by, item by item.
    pub items: Vec<Vec<u8>>,
    /// The verdicts on repeated ids that were followed.
    pub verdicts: Vec<Vec<u8>>,
}
