//! Schedules: exports that run by themselves.

use retort_model::{DeliverTo, ItemFilter, Keep, NamePattern, Time, TimeRule, Timing};
use retort_service::package::{self, SeriesReceipt};
use retort_service::{ExportOptions, ScheduleDelivery, SchedulePlan as Plan, Scheduled};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::export::Export;
use super::fields::{moment, word};
use super::jobs::Job;
use super::options::Options;
use crate::problem::Problem;

/// What a schedule exports, and when. It has either `cron` or `every_hours`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SchedulePlan {
    /// What is exported. `dataset_name` may contain `{date}`, `{time}` or `{n}` (a number).
    pub export: Export,
    /// Cron expression with five fields, by the clock of the time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Hours between two runs, counted from when this was set: 1 to 8784.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8784)]
    pub every_hours: Option<u32>,
    /// Time zone of the IANA database. Default: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// `all`, `changed` (new and changed since the last run) or `period` (created in the period that ended). Default:
    /// `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::words::ScheduleWindow>)]
    pub window: Option<String>,
    /// Minutes that a run waits for late arrivals after the end of a period. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 44640)]
    pub settle_minutes: Option<u32>,
    /// Keep only the newest datasets, this many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub keep_datasets: Option<u64>,
    /// Keep only the datasets of the last days, this many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub keep_days: Option<u64>,
    /// Name of the destination that the datasets are delivered to (`GET /destinations`). Default: they stay in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Folders in the destination, which may contain `{date}`, `{time}` or `{n}`. The folder of the dataset is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Whether the dataset's folder is inside a folder `date=YYYY-MM-DD`. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_date: Option<bool>,
}

impl SchedulePlan {
    /// What is asked of the service.
    ///
    /// # Errors
    /// Names and words that there are not; not one rule, or two.
    pub fn plan(self, now: Time) -> Result<Plan, Problem> {
        let rule = match (self.cron, self.every_hours) {
            (Some(cron), None) => TimeRule::Cron(word(&cron)?),
            (None, Some(hours)) => TimeRule::EveryHours(hours, now),
            _ => {
                return Err(Problem::bad_request("give either `cron` or `every_hours`"));
            }
        };
        let keep = match (self.keep_datasets, self.keep_days) {
            (Some(count), None) => Some(Keep::Datasets(count)),
            (None, Some(days)) => Some(Keep::Days(days)),
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(Problem::bad_request(
                    "give either `keep_datasets` or `keep_days`, not both",
                ));
            }
        };
        let deliver_to = match self.destination {
            Some(destination) => {
                let prefix = self.prefix.as_deref().map(word).transpose()?.unwrap_or_default();
                Some(DeliverTo { destination, prefix, by_date: self.by_date.unwrap_or(false) })
            }
            None if self.prefix.is_some() || self.by_date == Some(true) => {
                return Err(Problem::bad_request(
                    "`prefix` and `by_date` are for deliveries: name a `destination`",
                ));
            }
            None => None,
        };
        let zone = self.zone.as_deref().map(word).transpose()?.unwrap_or_default();
        let window = self.window.as_deref().map(word).transpose()?.unwrap_or_default();
        let settle_minutes = self.settle_minutes.unwrap_or(0);
        let timing = Timing { rule, zone, window, settle_minutes };
        let pattern: NamePattern = word(&self.export.dataset_name)?;
        let example = timing.name(&pattern, now, 1).map_err(Problem::bad_request)?;
        let export = Export { dataset_name: example.to_string(), ..self.export };
        let request = export.request()?;
        let (selection, dataset) = (request.selection, request.dataset);
        Ok(Plan { selection, dataset, pattern, timing, keep, deliver_to })
    }
}

impl From<&Plan> for SchedulePlan {
    fn from(plan: &Plan) -> Self {
        let (cron, every_hours) = match &plan.timing.rule {
            TimeRule::Cron(cron) => (Some(cron.to_string()), None),
            TimeRule::EveryHours(hours, _) => (None, Some(*hours)),
        };
        let (keep_datasets, keep_days) = match plan.keep {
            Some(Keep::Datasets(count)) => (Some(count), None),
            Some(Keep::Days(days)) => (None, Some(days)),
            None => (None, None),
        };
        let options = ExportOptions::of(&plan.dataset);
        let export = Export::of(plan.pattern.to_string(), &plan.selection, Options(options));
        Self {
            export,
            cron,
            every_hours,
            zone: Some(plan.timing.zone.to_string()),
            window: Some(plan.timing.window.to_string()),
            settle_minutes: Some(plan.timing.settle_minutes),
            keep_datasets,
            keep_days,
            destination: plan.deliver_to.as_ref().map(|to| to.destination.clone()),
            prefix: plan.deliver_to.as_ref().map(|to| to.prefix.to_string()),
            by_date: plan.deliver_to.as_ref().map(|to| to.by_date),
        }
    }
}

impl Export {
    /// The export of a selection.
    pub fn of(dataset_name: String, selection: &ItemFilter, options: Options) -> Self {
        let mut export = Self {
            dataset_name,
            selection: Default::default(),
            runs: None,
            documents: None,
            options,
        };
        match selection {
            ItemFilter::Conversations(meant) => export.selection = meant.clone(),
            ItemFilter::Runs(meant) => export.runs = Some(meant.clone()),
            ItemFilter::Documents(meant) => export.documents = Some(meant.clone()),
        }
        export
    }
}

/// A schedule to add.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Name of the schedule.
    #[schema(max_length = 200, min_length = 1)]
    pub name: String,
    /// What it exports, and when.
    pub plan: SchedulePlan,
}

/// A schedule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its owner; it runs as this person.
    pub owner: String,
    /// `active`, `paused` or `disabled`.
    #[schema(value_type = super::words::ScheduleState)]
    pub state: String,
    /// Why it was disabled.
    pub reason: Option<String>,
    /// What it exports, and when.
    pub plan: SchedulePlan,
    /// When it was added, RFC 3339.
    pub created_at: Option<String>,
    /// When it runs next.
    pub next_at: Option<String>,
    /// How many datasets it made.
    pub delivered: u64,
    /// How many runs have failed since the last successful one.
    pub failures: u64,
    /// The number of the job that is under way.
    pub job: Option<i64>,
    /// When a run ended last, or found nothing new.
    pub last_at: Option<String>,
    /// Why it made no dataset then.
    pub last_note: Option<String>,
    /// How many datasets wait to be delivered.
    pub undelivered: u64,
    /// Why the first of them could not be delivered.
    pub delivery_error: Option<String>,
}

impl From<&Scheduled> for Schedule {
    fn from(scheduled: &Scheduled) -> Self {
        let one = &scheduled.schedule;
        Self {
            id: one.id,
            name: one.name.clone(),
            owner: one.creator.clone(),
            state: one.state.to_string(),
            reason: one.reason.clone(),
            plan: SchedulePlan::from(&scheduled.plan),
            created_at: moment(one.created_at),
            next_at: moment(one.next_at),
            delivered: one.delivered,
            failures: one.failures,
            job: one.job,
            last_at: moment(one.last_at),
            last_note: one.last_note.clone(),
            undelivered: one.undelivered,
            delivery_error: one.delivery_error.clone(),
        }
    }
}

/// Schedules, oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Schedules {
    /// The schedules.
    pub schedules: Vec<Schedule>,
}

/// A run of a schedule that was asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRun {
    /// The job; null if there was nothing new to export.
    pub job: Option<Job>,
}

/// The latest runs of a schedule, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRuns {
    /// The jobs.
    pub jobs: Vec<Job>,
}

/// Destinations that the operator configured.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Destinations {
    /// Their names.
    pub destinations: Vec<String>,
}

/// A dataset of a schedule that was delivered, or is waiting to be.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DatasetDelivery {
    /// The number of the run that made the dataset.
    pub job: i64,
    /// The number of the dataset.
    pub dataset: i64,
    /// Name of the destination.
    pub destination: Option<String>,
    /// The dataset's folder in it.
    pub path: Option<String>,
    /// When it was delivered, RFC 3339; null if it waits.
    pub delivered_at: Option<String>,
    /// When it will be retried.
    pub next_at: Option<String>,
    /// How many attempts failed in a row.
    pub failures: u64,
    /// Why the last one failed.
    pub error: Option<String>,
}

impl From<&ScheduleDelivery> for DatasetDelivery {
    fn from(one: &ScheduleDelivery) -> Self {
        Self {
            job: one.job,
            dataset: one.dataset,
            destination: one.destination.clone(),
            path: one.path.clone(),
            delivered_at: moment(one.delivered_at),
            next_at: moment(one.next_at),
            failures: one.failures,
            error: one.error.clone(),
        }
    }
}

/// The latest deliveries of a schedule, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DatasetDeliveries {
    /// The deliveries.
    pub deliveries: Vec<DatasetDelivery>,
}

/// The receipt of a series: the windows that a schedule has exported one after another.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// Version of this shape.
    pub series_version: u32,
    /// Name of the schedule.
    pub schedule: String,
    /// Which series it is. `manifest.json` of each dataset has it under `window`.
    pub series: String,
    /// The windows in their order, the last 10,000.
    pub windows: Vec<SeriesWindow>,
}

/// A window of a series, and the dataset that has it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SeriesWindow {
    /// Its number in the series, from 1.
    pub number: u64,
    /// Number of the last change in the store before the window.
    pub changes_after: i64,
    /// Number of the last change in the window.
    pub changes_to: i64,
    /// Start of the period (inclusive), RFC 3339.
    pub from: Option<String>,
    /// End of the period (exclusive).
    pub before: Option<String>,
    /// How many items of earlier periods arrived late.
    pub late: u64,
    /// How many items were selected.
    pub items: u64,
    /// How many records the dataset has.
    pub records: u64,
    /// Name of the dataset.
    pub dataset: Option<String>,
    /// SHA-256 of the dataset's `manifest.json`, hexadecimal.
    pub manifest_sha256: Option<String>,
    /// The dataset's folder at the destination, once it is delivered.
    pub path: Option<String>,
}

impl From<SeriesReceipt> for Series {
    fn from(receipt: SeriesReceipt) -> Self {
        let SeriesReceipt { series_version, schedule, series, windows } = receipt;
        let window = |one: package::SeriesWindow| SeriesWindow {
            number: one.span.number,
            changes_after: one.span.changes_after,
            changes_to: one.span.changes_to,
            from: one.span.from,
            before: one.span.before,
            late: one.span.late,
            items: one.items,
            records: one.records,
            dataset: one.dataset,
            manifest_sha256: one.manifest_sha256,
            path: one.path,
        };
        Self {
            series_version,
            schedule,
            series,
            windows: windows.into_iter().map(window).collect(),
        }
    }
}
