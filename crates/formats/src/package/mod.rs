//! What surrounds the data in a package: the receipt, `dataset_info.json` for trainers, the dataset card and the
//! list of what was left out; and all of it as one archive.

mod archive;
mod card;
mod dataset_info;
mod findings;
mod manifest;
mod rejects;
mod series;

pub use archive::{Archive, Entry, Segment};
pub use card::card;
pub use dataset_info::{Found as FoundDataset, dataset_info};
pub use findings::{FindingLine, List, findings_differ, write_finding};
pub use manifest::{
    BenchmarkCount, Column, Counts, DataFile, Decontamination, FORMAT_VERSION, FilterAsked,
    Finding, InputCount, Lengths, Manifest, OutputCounts, ReadCounts, RecordCounts, RedactedCount,
    RedactionCounts, Renamed, SeenBy, SeriesMerged, SplitCounts, WindowTold, findings,
};
pub use rejects::{Reject, write_extra, write_reject};
pub use series::{SERIES_ENDING, SERIES_VERSION, SeriesReceipt, SeriesWindow};

/// The receipt's file.
pub const MANIFEST: &str = "manifest.json";
/// The trainer's file.
pub const DATASET_INFO: &str = "dataset_info.json";
/// The card's file.
pub const CARD: &str = "README.md";
/// The file of what was left out.
pub const REJECTS: &str = "rejects.jsonl";
/// The file of repairs and warnings.
pub const FINDINGS: &str = "findings.jsonl";
/// The file of what rows could not hold.
pub const EXTRA: &str = "extra.jsonl";
/// The file of the conversations' ids, a line a record.
pub const IDS: &str = "ids.txt";
