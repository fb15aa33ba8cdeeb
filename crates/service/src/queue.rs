//! Exports asked for, and jobs followed.

use std::collections::HashSet;

use retort_engine::Error as EngineError;
use retort_engine::{DatasetPlan, Package, Pinned};
use retort_formats::data;
use retort_formats::package::FilterAsked;
use retort_model::bounds::{DATASET_NAME, EXPORTS_PER_PERSON};
use retort_model::{
    Action, ConversationFilter, DatasetName, Grant, ItemFilter, JobKind, JobState, ProjectRole,
    RunFilter, Scope, Status, Time,
};
use retort_store::{Dataset, DocumentOrder, Job, NewExport, Order};

use crate::browse::with_next;
use crate::caller::Caller;
use crate::documents::fit;
use crate::error::Error;
use crate::export::KeptExport;
use crate::service::Service;

/// An export that is asked for.
#[derive(Clone)]
pub struct ExportRequest {
    /// Which conversations or runs; a limit takes the most recent.
    pub selection: ItemFilter,
    /// What is to be made of them.
    pub dataset: DatasetPlan,
}

impl ExportRequest {
    /// The request with a random key for the pseudonyms of its redaction, if it redacts and has none.
    pub(crate) fn with_key(&self) -> Result<Self, Error> {
        let mut request = self.clone();
        if request.dataset.redaction.key().is_none() {
            request.dataset.redaction.prepare_from(None, false)?;
        }
        Ok(request)
    }
}

impl Service {
    /// Queues an export; from this moment its selection is frozen.
    ///
    /// # Errors
    /// Choices that the formats do not allow, a name in use, an id that is none of the caller's, nothing that matches,
    /// or too many under way; those of the store.
    pub fn submit_export(&self, caller: &Caller, request: &ExportRequest) -> Result<i64, Error> {
        let name = request.dataset.dataset_name.as_str();
        self.audited(caller, Action::Export, name, || {
            caller.needs(Grant::Export)?;
            let request = &request.with_key()?;
            self.check_export(caller, request)?;
            let scope = caller.scope();
            if caller.person.is_some()
                && self.store.open_jobs(&caller.own(), JobKind::Export)? >= EXPORTS_PER_PERSON
            {
                return Err(Error::TooMany(format!(
                    "you already have {EXPORTS_PER_PERSON} exports waiting or running; wait for one to end"
                )));
            }
            self.check_room(caller)?;
            let now = self.clock.now();
            let kept = self.kept_export(caller, request, now)?;
            let new = NewExport {
                creator: &caller.name,
                person: caller.person,
                name,
                plan: &kept,
                part_bytes: self.settings.part_bytes,
            };
            self.or_free_name(
                caller,
                self.store.submit_export(&scope, &request.selection, &new, now),
            )
        })
    }

    /// The plan of a new export, as the job table keeps it.
    pub(crate) fn kept_export(
        &self,
        caller: &Caller,
        request: &ExportRequest,
        now: Time,
    ) -> Result<String, Error> {
        let scope = caller.scope();
        let mut dataset = request.dataset.clone();
        self.open_files(&mut dataset, now)?;
        let earlier = self.split_from(caller, &dataset)?;
        dataset.split_from = earlier.map(|(found, _)| found.id.to_string());
        if let ItemFilter::Documents(selection) = &request.selection {
            fit(&mut dataset, &self.store.document_stats(&scope, selection)?.1);
        }
        let mut asked = FilterAsked::of(&request.selection);
        if let ItemFilter::Conversations(selection) = &request.selection {
            asked.deleted_left_out = self.deleted_left_out(&scope, selection)?;
        }
        let files = dataset.measure.as_ref().map(|measure| measure.files().clone());
        let model = files.unwrap_or_default();
        let benchmarks = dataset.benchmarks.as_ref().map(|benchmarks| benchmarks.files().to_vec());
        let benchmarks = benchmarks.unwrap_or_default();
        KeptExport { dataset, selection: asked, snapshot: None, model, benchmarks }.json()
    }

    /// The earlier dataset whose items stay in their outputs, if the plan names one that fits.
    pub(crate) fn split_from(
        &self,
        caller: &Caller,
        dataset: &DatasetPlan,
    ) -> Result<Option<(Dataset, Package)>, Error> {
        let Some(name) = &dataset.split_from else { return Ok(None) };
        let found = self.dataset(caller, &**name)?;
        let package = self.open_dataset(&found)?;
        let by = (&dataset.split, dataset.group_by);
        Pinned::check(package.manifest(), found.name.as_ref(), by)?;
        Ok(Some((found, package)))
    }

    /// How many deleted conversations a selection of all that match leaves out.
    fn deleted_left_out(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
    ) -> Result<u64, Error> {
        let widened = selection.with_deleted().filter(|_| selection.limit.is_none());
        let Some(widened) = widened else { return Ok(0) };
        let (with, without) =
            (self.store.count(scope, &widened)?, self.store.count(scope, selection)?);
        Ok(with.saturating_sub(without))
    }

    /// Refuses choices that the formats do not allow, an id that is none of the caller's, a node that is none of the
    /// runs', and what matches nothing.
    pub(crate) fn check_export(
        &self,
        caller: &Caller,
        request: &ExportRequest,
    ) -> Result<(), Error> {
        self.check_choices(caller, request)?;
        let scope = caller.scope();
        let is_any = match &request.selection {
            ItemFilter::Conversations(selection) => {
                let first = self.store.list(&scope, selection, Order::default(), None, 1)?;
                !first.conversations.is_empty()
            }
            ItemFilter::Runs(selection) => self.store.has_runs(&scope, selection)?,
            ItemFilter::Documents(selection) => {
                let order = DocumentOrder::Newest;
                let first = self.store.documents(&scope, selection, order, None, 1)?;
                !first.documents.is_empty()
            }
        };
        if is_any {
            Ok(())
        } else {
            Err(EngineError::Nothing("nothing matches the selection".into()).into())
        }
    }

    /// Refuses choices that the formats do not allow, ids that the caller cannot see, and a node that the runs do not have.
    pub(crate) fn check_choices(
        &self,
        caller: &Caller,
        request: &ExportRequest,
    ) -> Result<(), Error> {
        request.dataset.check()?;
        check_kind(request)?;
        match &request.selection {
            ItemFilter::Conversations(selection) => self.check_ids(caller, selection),
            ItemFilter::Runs(selection) => {
                self.check_run_ids(caller, selection)?;
                self.check_node(caller, selection, &request.dataset)
            }
            ItemFilter::Documents(_) => caller.needs_role(ProjectRole::Admin),
        }
    }

    /// Refuses a node that no run of the copilot or recipe passed.
    fn check_node(
        &self,
        caller: &Caller,
        selection: &RunFilter,
        dataset: &DatasetPlan,
    ) -> Result<(), Error> {
        let Some(node) = dataset.node() else { return Ok(()) };
        let passed = RunFilter {
            source: selection.source,
            flow: selection.flow.clone(),
            node: Some(node.to_owned()),
            ..RunFilter::default()
        };
        if self.store.has_runs(&caller.scope(), &passed)? {
            return Ok(());
        }
        Err(Error::NotFound { what: "node", name: node.to_owned() })
    }

    /// Queues an export of everyone's conversations in the project.
    ///
    /// # Errors
    /// The caller is no admin of it; as [`Self::submit_export`].
    pub fn export_project(
        &self,
        caller: &Caller,
        dataset: DatasetPlan,
        with_deleted: bool,
    ) -> Result<i64, Error> {
        if let Err(refused) = caller.needs_role(ProjectRole::Admin) {
            return self.audited(caller, Action::Export, "the whole project", || Err(refused));
        }
        let statuses = if with_deleted { Status::ALL.to_vec() } else { Vec::new() };
        let selection = ConversationFilter { statuses, ..ConversationFilter::default() };
        self.submit_export(caller, &ExportRequest { selection: selection.into(), dataset })
    }

    /// Names one that is free, where a name is taken.
    pub(crate) fn or_free_name<T>(
        &self,
        caller: &Caller,
        result: Result<T, retort_store::Error>,
    ) -> Result<T, Error> {
        match result {
            Err(retort_store::Error::NameTaken(name)) => {
                let free = neighbour(&name, &self.names(caller)?);
                Err(Error::NameTaken { name, free })
            }
            result => Ok(result?),
        }
    }

    /// Whether a dataset of the caller may have that name, before one is asked for.
    ///
    /// # Errors
    /// The name is in use; those of the store.
    pub fn check_name(&self, caller: &Caller, name: &DatasetName) -> Result<(), Error> {
        let taken = self.names(caller)?;
        if !taken.contains(name.as_str()) {
            return Ok(());
        }
        let free = neighbour(name.as_str(), &taken);
        Err(Error::NameTaken { name: name.to_string(), free })
    }

    /// The name, or one like it, that no dataset of the caller has.
    pub fn free_name(&self, caller: &Caller, name: &str) -> Result<String, Error> {
        let taken = self.names(caller)?;
        Ok(if taken.contains(name) { neighbour(name, &taken) } else { name.to_owned() })
    }

    /// The names of the caller's datasets, and of their exports under way.
    fn names(&self, caller: &Caller) -> Result<HashSet<String>, Error> {
        Ok(self.store.dataset_names(&caller.own())?)
    }

    /// A page of the caller's jobs of a kind, the newest first, and its last job if there are more; with `everyone`, of
    /// all in the project.
    ///
    /// # Errors
    /// The caller wants everyone's and is no owner of the project; those of the store.
    pub fn jobs_of(
        &self,
        caller: &Caller,
        (kind, everyone): (JobKind, bool),
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Job>, Option<i64>), Error> {
        caller.needs(needed(kind))?;
        if everyone {
            caller.needs_role(ProjectRole::Owner)?;
        }
        let scope = if everyone { caller.overseen() } else { caller.made() };
        let (mut jobs, next) =
            with_next(self.store.job_page(&scope, Some(kind), after, most)?, |job| job.id);
        jobs.iter_mut().for_each(|job| hide_worker(caller, job));
        Ok((jobs, next))
    }

    /// One of the caller's jobs, of that kind; for an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn job_of(&self, caller: &Caller, kind: JobKind, id: i64) -> Result<Job, Error> {
        caller.needs(needed(kind))?;
        let job = self.job(caller, id);
        job.and_then(|job| if job.kind == kind { Ok(job) } else { Err(no_job(id)) })
    }

    /// One of the caller's jobs; for an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn job(&self, caller: &Caller, id: i64) -> Result<Job, Error> {
        let found = self.store.job(&caller.overseen(), id)?;
        let Some(mut job) = found else {
            if !caller.grants.has(Grant::Write) {
                caller.needs(Grant::Export)?;
            }
            return Err(no_job(id));
        };
        caller.needs(needed(job.kind))?;
        hide_worker(caller, &mut job);
        Ok(job)
    }

    /// Asks one of the caller's jobs to end; an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is none, or it has ended; those of the store.
    pub fn cancel(&self, caller: &Caller, id: i64, kind: JobKind) -> Result<Job, Error> {
        self.audited(caller, action(kind), &format!("job {id}: cancelled"), || {
            let job = self.job_of(caller, kind, id)?;
            if !self.store.cancel(&caller.overseen(), id, self.clock.now())? {
                return Err(Error::Conflict(format!("job {id} has ended: it is {}", job.state)));
            }
            let job = self.job(caller, id)?;
            if job.state == JobState::Cancelled {
                // What cannot be removed now, a worker will.
                let _ = self.clear_parts(&job);
            }
            Ok(job)
        })
    }

    /// Queues one of the caller's jobs again that failed or was cancelled, with the selection that was frozen.
    ///
    /// # Errors
    /// There is none, it did not fail, or its name is in use by now; those of the store.
    pub fn retry(&self, caller: &Caller, id: i64, kind: JobKind) -> Result<Job, Error> {
        self.audited(caller, action(kind), &format!("job {id}: again"), || {
            let job = self.job_of(caller, kind, id)?;
            if job.needs > caller.role {
                return Err(Error::NotAllowed(job.needs));
            }
            if job.schedule.is_some() {
                return Err(Error::Conflict(format!(
                    "job {id} belongs to a schedule, which retries by itself; run the schedule to retry now"
                )));
            }
            let has_failed = job.state.has_failed();
            match has_failed.then(|| self.store.retry(&caller.overseen(), id)) {
                Some(Ok(true)) => self.job(caller, id),
                Some(Err(retort_store::Error::NameTaken(name))) => Err(Error::Conflict(format!(
                    "the name `{name}` is now in use; rename that dataset, then try again"
                ))),
                Some(Err(error)) => Err(error.into()),
                Some(Ok(false)) | None => Err(Error::Conflict(format!(
                    "job {id} is {}: only failed or cancelled jobs can be retried",
                    job.state
                ))),
            }
        })
    }
}

/// Refuses a data format that cannot hold what is selected.
fn check_kind(request: &ExportRequest) -> Result<(), Error> {
    let (kind, format) = (request.selection.kind(), request.dataset.data_format);
    if format.items().contains(&kind) {
        return Ok(());
    }
    let fitting: Vec<_> = data::FORMATS
        .iter()
        .filter(|format| format.items().contains(&kind))
        .map(|format| format!("`{}`", format.name()))
        .collect();
    let (name, kinds) = (format.name(), kind.plural());
    Err(Error::Choice(format!("`{name}` cannot hold {kinds}; use {}", fitting.join(" or "))))
}

/// Members need not know which machine and process did a job.
fn hide_worker(caller: &Caller, job: &mut Job) {
    if caller.role < ProjectRole::Admin {
        job.worker = None;
    }
}

fn no_job(id: i64) -> Error {
    Error::NotFound { what: "job", name: id.to_string() }
}

fn action(kind: JobKind) -> Action {
    match kind {
        JobKind::Import => Action::Import,
        JobKind::Export => Action::Export,
    }
}

/// What a token takes to follow jobs of a kind.
fn needed(kind: JobKind) -> Grant {
    match kind {
        JobKind::Import => Grant::Write,
        JobKind::Export => Grant::Export,
    }
}

/// A name that begins like this one and is not taken. A long name is cut, as its number has to find room.
pub(crate) fn neighbour(name: &str, taken: &HashSet<String>) -> String {
    let numbered = |number: usize| {
        let end = format!("-{number}");
        let stem: String = name.chars().take(DATASET_NAME - end.len()).collect();
        stem + &end
    };
    let is_free = |name: &String| !taken.contains(name) && name.parse::<DatasetName>().is_ok();
    // One of so many is free, if they are names at all.
    (2..taken.len() + 3)
        .map(numbered)
        .find(is_free)
        .unwrap_or_else(|| format!("dataset-{}", taken.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_name_is_found_for_any_name() {
        let longest = "長".repeat(DATASET_NAME);
        for (name, taken, free) in [
            ("sales", vec!["sales"], "sales-2".to_owned()),
            ("sales", vec!["sales", "sales-2", "sales-3"], "sales-4".to_owned()),
            (&longest, vec![&*longest], format!("{}-2", "長".repeat(DATASET_NAME - 2))),
        ] {
            let taken = taken.into_iter().map(str::to_owned).collect();
            assert_eq!(neighbour(name, &taken), free);
        }
    }
}
