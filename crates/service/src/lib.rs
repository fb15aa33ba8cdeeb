//! The verbs of Retort: what the command line, the API and the pages ask for.
//!
//! Opens files, drives the pipeline and publishes packages; knows nothing of arguments, HTTP or SQL.

mod accounts;
mod analysis;
mod answers;
mod audit;
mod browse;
mod caller;
mod checkpoint;
mod choice;
mod convert;
mod datasets;
mod deflate;
mod disk;
mod doctor;
mod documents;
mod download;
mod draft;
mod error;
mod export;
mod files;
mod import;
mod intake;
mod keeper;
mod notices;
mod objects;
mod package;
mod packed;
pub mod panics;
mod pipeline;
mod place;
mod plan;
mod preview;
mod queue;
mod receipt;
mod removal;
mod runs;
mod secret;
mod seen;
mod service;
mod shares;
mod shelf;
mod sorter;
mod source;
mod verify;

pub use accounts::{Identity, Session, Signed, ThroughProvider, TokenRequest, Unknown};
pub use analysis::{Analysis, Counts, Read};
pub use browse::{first_question, keep_first_space};
pub use caller::{Caller, LOCAL, Origin};
pub use choice::{Choice, Chosen};
pub use convert::{ByKind, ConvertPlan, Found, Report, convert};
pub use datasets::DatasetRef;
pub use doctor::Diagnosis;
pub use documents::NewOriginal;
pub use download::Download;
pub use draft::discard;
pub use error::Error;
pub use import::{ImportPlan, ImportReport, Met};
pub use intake::{IntakeRequest, Upload};
pub use objects::Objects;
pub use package::Package;
pub use pipeline::{FirstRefused, Nobody, Observer, Progress};
pub use plan::{Compression, DatasetPlan, PlanNames, usual_dialect};
pub use preview::{Preview, Sample, left_out, preview, preview_package};
pub use queue::ExportRequest;
pub use runs::{Latency, RunBar, RunCharts};
pub use service::{Clock, Done, Quotas, Retention, Service, Settings, Worked, migrate};
pub use shares::{Attachment, Pass, ShareRequest, Shared, Shows, pack};
pub use source::{Input, NamedInputs, PassedOver, ReadOptions, files_of};
pub use verify::{Difference, Verified, verify, verify_package};

/// The open sets: what can be read, the shapes of records, the kinds of files.
pub use retort_formats::{data, file, import as sources, package::Manifest};

/// What the store says of what it keeps.
pub use retort_store::{
    AuditEntry, AuditFilter, Begun, Belongings, Cursor, Dataset, DatasetFile, Delivery,
    DeliveryState, DocumentPage, DocumentSummary, Edit, Ended, Error as StoreError, Finding, Flow,
    FlowParts, Invitation, Job, JobProgress, Member, Notice, Order, Original, Page, Person,
    Project, QueueFacts, RunPage, RunSummary, Share, Stop, Summary, Taken, Token, Webhook,
    client_tls,
};
