//! How the service is set up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use retort_engine::RecogniserProgram;
use retort_model::bounds::{SERVED_ITEM_BYTES, TRACE_BYTES};

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store: a file's path, or `postgres://…`.
    pub store: String,
    /// The place of the datasets: a folder, or a URL.
    pub objects: String,
    /// What this worker is called.
    pub worker: String,
    /// What a store is called that has to be made.
    pub identity: String,
    /// How long a worker may be silent before another takes its job.
    pub lease: Duration,
    /// How long requests to the place of the datasets are repeated.
    pub patience: Duration,
    /// Threads of one job.
    pub threads: usize,
    /// Bytes of history in one part of an export.
    pub part_bytes: u64,
    /// How long what nobody needs any more is kept.
    pub retention: Retention,
    /// How much one person and one project may have.
    pub quotas: Quotas,
    /// The models whose chat templates and tokenizers exports may name, with their folders or files.
    pub models: BTreeMap<String, String>,
    /// The benchmarks that exports may name, with their files.
    pub benchmarks: BTreeMap<String, String>,
    /// The programs that redaction rules may name.
    pub recognisers: BTreeMap<String, RecogniserProgram>,
    /// The file of the key that signs receipts of erasures; none for the store's own.
    pub signing_key: Option<PathBuf>,
    /// Where schedules may deliver their datasets, by name.
    pub destinations: BTreeMap<String, DestinationSettings>,
}

/// A destination that the operator allows schedules to deliver to.
#[derive(Clone, Default)]
pub struct DestinationSettings {
    /// A folder that exists, or a bucket: `s3://…`, `gs://…`, `az://…`.
    pub location: String,
    /// The projects whose schedules may deliver there; none for all.
    pub projects: Option<Vec<String>>,
    /// Options of the bucket's service, such as keys; the environment has the others.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for DestinationSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Options hold keys.
        f.debug_struct("DestinationSettings")
            .field("location", &self.location)
            .field("projects", &self.projects)
            .finish_non_exhaustive()
    }
}

/// For how many days what has ended is kept; none keeps it for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Jobs that have ended without a dataset that is still there.
    pub job_days: Option<u64>,
    /// Notices that exports ended, and their deliveries to webhooks.
    pub notice_days: Option<u64>,
    /// Entries of the audit log.
    pub audit_days: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { job_days: Some(365), notice_days: Some(90), audit_days: None }
    }
}

/// How much one person and one project may have; none is as much as there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Imports of one person that wait or run.
    pub imports_per_person: u64,
    /// Bytes of one person: their datasets, and uploads that wait to be imported.
    pub person_bytes: Option<u64>,
    /// Bytes of a project: its conversations, runs and documents, and everyone's datasets.
    pub project_bytes: Option<u64>,
    /// Bytes of one conversation, run or document that comes through the network.
    pub item_bytes: usize,
    /// Entries that one person can add to the audit log of a project in a day. Further ones are only counted.
    pub audit_per_day: u64,
    /// Bytes on disk of spans of a project that wait for the rest of their traces.
    pub trace_bytes: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            imports_per_person: 20,
            person_bytes: None,
            project_bytes: None,
            item_bytes: SERVED_ITEM_BYTES,
            audit_per_day: 10_000,
            trace_bytes: TRACE_BYTES,
        }
    }
}
