//! Use cases for people: what the command line, the API and the pages ask for, and who may do what.
//!
//! Feeds the engine from the store; knows nothing of arguments, HTTP or SQL.

mod accounts;
mod analysis;
mod attachments;
mod audit;
mod audit_limits;
mod browse;
mod caller;
mod choice;
mod clock;
mod comparisons;
mod datasets;
mod doctor;
mod documents;
mod download;
mod erased;
mod erasure;
mod error;
mod export;
mod export_parts;
mod facets;
mod forgetting;
mod forgotten;
mod idempotency;
mod import;
mod intake;
mod judgements;
mod lease;
mod line;
mod links;
mod listed;
mod members;
pub mod memory;
mod models;
mod notices;
mod people;
mod preview;
mod queue;
mod rebuild;
mod rejects;
mod removal;
mod restored;
mod runs;
mod schedules;
mod schemas;
mod secret;
mod seen;
mod selected;
mod service;
mod settings;
mod shared_line;
mod shares;
mod tokens;
mod traces;
mod versions;
mod views;
mod work;

pub use accounts::{Identity, Session, Signed, ThroughProvider, Unknown};
pub use analysis::{Analysis, Counts, Read};
pub use attachments::{Attachment, FileArchive, FileInfo};
pub use browse::{first_question, keep_first_space};
pub use caller::{Caller, LOCAL, Origin};
pub use choice::{Choice, Chosen};
pub use clock::Clock;
pub use comparisons::{InputPair, VersionComparison, VersionRun, VersionSide};
pub use datasets::DatasetRef;
pub use doctor::Diagnosis;
pub use documents::NewOriginal;
pub use download::Download;
pub use erasure::{
    AffectedDataset, ERASURE_RECEIPT, ErasedFile, ErasedFrom, Erasure, ErasureDetail,
};
pub use error::Error;
pub use facets::{Facet, FacetValue, Facets};
pub use import::{ImportPlan, ImportReport, ImportedItem};
pub use intake::{IntakeRequest, Upload};
pub use judgements::{
    JudgementReport, JudgementTarget, OneJudgement, Queue, QueueNext, RunName, beginning,
    beginning_of_answer,
};
pub use line::{Excerpt, Line};
pub use links::DownloadLink;
pub use preview::Sample;
pub use queue::ExportRequest;
pub use rejects::Rejects;
pub use restored::restore_backup;
pub use runs::{Latency, RunBar, RunCharts};
pub use schedules::{SchedulePlan, Scheduled};
pub use schemas::FILES as FILE_SCHEMAS;
pub use seen::{SeenByModel, SeenPart, SeenRow};
pub use service::{Service, migrate};
pub use settings::{DestinationSettings, Quotas, Retention, Settings};
pub use shared_line::Shows;
pub use shares::{Pass, ShareRequest, Shared};
pub use tokens::TokenRequest;
pub use traces::{SpansRequest, SpansTaken, TracesImported};
pub use views::{Shown, View};
pub use work::{Done, Worked};

/// What the engine does with files and packages.
pub use retort_engine::{
    About, AskedPart, ConvertPlan, DatasetPlan, Dedup, Diff, Difference, DuplicateCounts,
    Error as EngineError, ExportOption, ExportOptions, FetchedFiles, Found, Group, Hub,
    HubRepository, HubSource, Input, Inspection, Lines, ListedHit, Measure, MeasureOptions,
    MergePlan, Merged, ModelView, NamedInputs, OPTIONS, Objects, OutputForm, OverLong, Package,
    PassedOver, Preview, PublicKey, ReadOptions, ReceiptChange, RecogniserProgram, Report,
    Searched, SecretKey, SeenRecord, SeriesFound, SoughtTexts, Stats, Values, Verified,
    VerifiedSeries, Word, allow_all_programs, check_statement, convert, diff, discard, files_of,
    files_together, first_texts, inspect, io_reason, lines_of, merge, open_envelope, output_stem,
    panics,
    pipeline::{
        Contents, FirstRefused, ItemStats, Nobody, Observer, PartNumber, Progress, SourceCount,
        threads,
    },
    preview, preview_package, sign_package, statement_path, stats, stats_of_package, verify,
    verify_package, verify_series,
};

/// The archive of files that other programs delete.
pub use retort_engine::keep;

/// The JSON Schemas of files that people write for the engine.
pub use retort_engine::FILE_SCHEMAS as ENGINE_FILE_SCHEMAS;

/// The open sets: what can be read, the shapes of records, the kinds of files.
pub use retort_formats::{data, file, import as sources, package, package::Manifest, template};

/// What the store says of what it keeps.
pub use retort_store::{
    AuditEntry, AuditFilter, Begun, Belongings, Counted, Cursor, Dataset, DatasetFile, Delivery,
    DeliveryState, DocumentOrder, DocumentPage, DocumentSummary, Edit, Ended, Error as StoreError,
    Finding, Flow, FlowParts, FrozenItem, Invitation, Job, JobProgress, ListOrder, Member, Notice,
    Order, Original, Page, Person, Project, QueueStats, RunOrder, RunPage, RunSummary, Schedule,
    ScheduleDelivery, ScheduleStats, Share, Stop, StoredErasure, Summary, Taken, Token, TraceStats,
    Wanted, Webhook, Without, client_tls,
};
