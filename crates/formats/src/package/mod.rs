//! What surrounds the data in a package: the receipt, `dataset_info.json` for trainers, the dataset card and the
//! list of what was left out; and all of it as one archive.

mod archive;
mod card;
mod croissant;
mod dataset_info;
mod findings;
mod manifest;
mod notes;
mod rejects;
mod series;
mod sources;

pub use archive::{Archive, Entry, Segment};
pub use card::card;
pub use croissant::{CroissantSet, Described, croissant};
pub use dataset_info::{Found as FoundDataset, dataset_info};
pub use findings::{FindingLine, List, findings_differ, write_finding};
pub use manifest::{
    BenchmarkCount, Column, Counts, DataFile, Decontamination, FORMAT_VERSION, FilterAsked,
    Finding, InputCount, LanguageCount, Lengths, Manifest, ModelCount, OriginsTold, OutputCounts,
    ReadCounts, RecordCounts, RedactedCount, RedactionCounts, RedactionProgram, Renamed, SeenBy,
    SeriesMerged, SourceRead, SplitCounts, WindowSpan, WindowTold, findings,
};
pub use notes::{PaperNotes, SourceCategory, SourceNote};
pub use rejects::{Reject, write_extra, write_reject};
pub use series::{SERIES_ENDING, SERIES_VERSION, SeriesReceipt, SeriesWindow};
pub use sources::sources;

/// The receipt's file.
pub const MANIFEST: &str = "manifest.json";
/// The trainer's file.
pub const DATASET_INFO: &str = "dataset_info.json";
/// The card's file.
pub const CARD: &str = "README.md";
/// The description for catalogues.
pub const CROISSANT: &str = "croissant.json";
/// The file on models and sources.
pub const SOURCES: &str = "SOURCES.md";
/// The file of what was left out.
pub const REJECTS: &str = "rejects.jsonl";
/// The file of repairs and warnings.
pub const FINDINGS: &str = "findings.jsonl";
/// The file of what rows could not hold.
pub const EXTRA: &str = "extra.jsonl";
/// The file of the conversations' ids, a line a record.
pub const IDS: &str = "ids.txt";
