//! From items to datasets: sources (files, archives, objects), the pipeline, packages, and what is done with them:
//! `convert`, `merge`, `preview`, `verify`.
//!
//! Knows no database, user or job. To read items from elsewhere, implement [`pipeline::Feed`] and send packed batches.

mod checkpoint;
mod convert;
mod convert_plan;
mod counted;
mod decontaminate;
mod dedup;
mod deflate;
mod destination;
mod diff;
mod disk;
mod draft;
mod error;
mod files;
mod inspect;
pub mod keep;
mod kept_rows;
mod line;
mod measure;
mod merge;
mod merging;
mod model_files;
mod objects;
mod options;
mod output;
mod package;
mod packed;
pub mod panics;
mod papers;
mod parts;
pub mod pipeline;
mod plan;
mod preview;
mod receipt;
mod record_files;
mod record_ids;
mod redaction;
mod row;
mod sampling;
mod seen;
mod series;
mod series_merge;
mod signing;
mod sorter;
mod sought;
mod source;
mod split;
mod statement;
mod stats;
mod storage;
mod verify;

pub use checkpoint::{Checkpoint, Known, STORE};
pub use convert::{Found, Report, convert};
pub use convert_plan::{AskedPart, ByKind, ConvertPlan};
pub use decontaminate::{BenchmarkFile, Benchmarks, Contaminated, DecontaminateOptions};
pub use dedup::{Dedup, DuplicateCounts, Duplicates};
pub use deflate::{deflate, is_worth_packing};
pub use destination::{Delivered, Destination};
pub use diff::{About, Change, Diff, ReceiptChange, RecordChange, diff};
pub use disk::{TEMPORARY_PREFIX, make_private_folder, temporary_file, temporary_folder};
pub use draft::discard;
pub use error::{Error, io_reason};
pub use files::{Assembled, OutputFiles, Part, PartWriter, assemble};
pub use inspect::{Inspection, first_texts, inspect};
pub use measure::{Measure, MeasureOptions, OverLong};
pub use merge::{MergePlan, Merged, merge};
pub use model_files::{ModelFile, ModelFiles, ModelPaths};
pub use model_files::{read_templates, read_tokenizer};
pub use objects::{DatasetFiles, Objects, Prefix, Unchanged};
pub use options::{ExportOption, ExportOptions, Group, OPTIONS, Values, Word};
pub use output::{OutputForm, output_stem};
pub use package::Package;
pub use papers::Papers;
pub use pipeline::ListedHit;
pub use plan::{Compression, DatasetPlan, PlanPaths};
pub use preview::{Lines, Preview, lines_of, preview, preview_package, sample};
pub use receipt::{Origin, Outputs, manifest};
pub use record_files::RecordFiles;
pub use redaction::{Redaction, random_key};
pub use sampling::{SampleBy, SampleSize, Sampling};
pub use seen::{IdHash, SeenIds, message_hasher};
pub use series::{FaultKind, SeriesFault, SeriesFound, VerifiedSeries, verify_series};
pub use signing::{IN_TOTO, PublicKey, SecretKey, open_envelope};
pub use sought::SoughtTexts;
pub use source::search::{FoundText, Search, Searched};
pub use source::{
    AttachedFiles, Input, Inputs, NamedInputs, PassedOver, ReadOptions, SourceName, files_of,
    is_packed,
};
pub use split::{GroupBy, LeakTest, Split};
pub use statement::{check_statement, sign_package, statement_path};
pub use stats::{Stats, stats, stats_of, stats_of_package};
pub use storage::{NewFile, Storage, StoredFile, hex, read_through, write_text};
pub use verify::{Difference, Verified, rows_of, verify, verify_package};
