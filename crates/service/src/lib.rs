//! The verbs of Retort: what the command line, the API and the pages ask for.
//!
//! Opens files, drives the pipeline and publishes packages; knows nothing of arguments, HTTP or SQL.

mod checkpoint;
mod convert;
mod disk;
mod doctor;
mod download;
mod draft;
mod error;
mod export;
mod files;
mod import;
mod keeper;
mod objects;
mod package;
mod packed;
mod pipeline;
mod place;
mod plan;
mod preview;
mod receipt;
mod seen;
mod service;
mod shelf;
mod source;
mod verify;

pub use convert::{ConvertPlan, Report, convert};
pub use doctor::Diagnosis;
pub use download::Download;
pub use draft::discard;
pub use error::Error;
pub use import::{ImportPlan, ImportReport};
pub use objects::Objects;
pub use package::Package;
pub use pipeline::{Observer, Progress};
pub use plan::{Compression, DatasetPlan};
pub use preview::{Preview, preview, preview_package};
pub use service::{Caller, Clock, Done, ExportRequest, Service, Settings, Worked, migrate};
pub use source::Input;
pub use verify::{Difference, Verified, verify, verify_package};

/// What the store says of what it keeps.
pub use retort_store::{
    Cursor, Dataset, DatasetFile, Edit, Finding, Job, JobProgress, Order, Page, Project, Summary,
};
