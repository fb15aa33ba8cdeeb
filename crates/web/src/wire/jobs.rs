//! Imports and exports under way.

use retort_model::{JobKind, JobState};
use retort_service::Job as StoreJob;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;
use super::words;

/// Items done so far, and in total.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// Done.
    pub done: u64,
    /// Of how many; 0 if unknown.
    pub total: u64,
}

/// An import or export with its progress.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// `import` or `export`.
    #[schema(value_type = words::JobKind)]
    pub kind: String,
    /// `queued`, `running`, `completed`, `completed_with_skips`, `failed` or `cancelled`.
    #[schema(value_type = words::JobState)]
    pub state: String,
    /// The dataset's name, or what is imported.
    pub name: String,
    /// Who created it.
    pub creator: String,
    /// When it was created; an export contains the state of this moment.
    pub created_at: Option<String>,
    /// When a worker first started it.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// The worker that runs it, or ran it last; null for members.
    pub worker: Option<String>,
    /// What an export is of: `conversation`, `run` or `document`; null for an import.
    #[schema(value_type = Option<words::ItemKind>)]
    pub of: Option<String>,
    /// Workers that have started it since its last progress.
    pub attempts: u64,
    /// Whether it is being cancelled.
    pub cancelled: bool,
    /// Why it failed, or why it made no dataset.
    pub error: Option<String>,
    /// Items done.
    pub items: Done,
    /// Bytes read.
    pub bytes: Done,
    /// Records written, or items imported.
    pub records: u64,
    /// The number of the dataset that it made.
    pub dataset: Option<i64>,
    /// The number of the dataset that this job's dataset replaces, if it is a rebuild.
    #[serde(default)]
    pub replaces: Option<i64>,
    /// The number of the schedule that asked for it.
    #[serde(default)]
    pub schedule: Option<i64>,
    /// The result.
    #[schema(value_type = Option<Object>)]
    pub report: Option<serde_json::Value>,
}

impl From<&StoreJob> for Job {
    fn from(job: &StoreJob) -> Self {
        let progress = &job.progress;
        Self {
            id: job.id,
            kind: job.kind.to_string(),
            state: job.state.to_string(),
            name: job.name.clone(),
            creator: job.creator.clone(),
            created_at: moment(job.created_at),
            started_at: moment(job.started_at),
            finished_at: moment(job.finished_at),
            worker: job.worker.clone(),
            of: (job.kind == JobKind::Export).then(|| job.items.to_string()),
            attempts: job.attempts,
            cancelled: job.is_cancelled,
            error: job.error.clone(),
            items: Done { done: progress.items_done, total: progress.items_total },
            bytes: Done { done: progress.bytes_done, total: progress.bytes_total },
            records: progress.records,
            dataset: job.dataset,
            replaces: job.replaces,
            schedule: job.schedule,
            report: job.report.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        }
    }
}

impl Job {
    /// Whether the job has ended.
    pub fn is_ended(&self) -> bool {
        self.state.parse::<JobState>().is_ok_and(JobState::is_ended)
    }

    /// Whether it succeeded, even if it left something out.
    pub fn is_completed(&self) -> bool {
        [JobState::Completed, JobState::CompletedWithSkips]
            .iter()
            .any(|one| self.state == one.as_str())
    }

    /// What it does.
    pub fn is(&self, kind: JobKind) -> bool {
        self.kind == kind.as_str()
    }
}

/// The server-sent events of a job.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only described")]
pub struct Event {
    /// `progress` each time it has changed, `end` when it has ended.
    event: String,
    /// The job as JSON.
    data: String,
}

/// Jobs, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<i64>,
}
