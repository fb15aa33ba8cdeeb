//! Erasure: deletes a person's items from a project, and their rows from everyone's datasets, with a signed receipt.
//!
//! A person's items are those that they hold: the ones that they own, and the ones that they imported and that name no
//! owner. The person's judgements and corrections of other people's items are removed (`forgetting.rs`).
//!
//! Each step records what it will do before it starts, and is safe to repeat. So a worker can resume an erasure whose
//! process was killed once its lease expires, and the receipt still counts everything. First, the datasets that
//! contain items of the person are recorded and running exports are cancelled. Then judgements are removed, datasets
//! are queued for rebuilding, and last the items are purged, as a purged item has no owner. The erasure is completed
//! by the worker or caller that first finds all its datasets rebuilt. Tombstones keep imports from restoring erased
//! items (`store/src/erasures.rs`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use retort_engine::panics::point;
use retort_engine::{PublicKey, SecretKey};
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{
    Action, ConversationFilter, Grant, JobState, ProjectRole, RunFilter, Scope, Status,
};
use retort_store::{Dataset, Edit, StoreSecret, StoredErasure, Without};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::caller::Caller;
use crate::clock::later;
use crate::error::Error;
use crate::lease::while_kept;
use crate::secret::chance;
use crate::service::Service;

/// The type of a receipt of an erasure, in its envelope.
pub const ERASURE_RECEIPT: &str = "application/vnd.retort.erasure+json";

/// What a person has in a project.
#[derive(Clone, Debug, Default)]
pub struct Erasure {
    /// Conversations that they hold.
    pub conversations: u64,
    /// Runs that they hold.
    pub runs: u64,
    /// Documents that they hold.
    pub documents: u64,
    /// Public links to their conversations.
    pub links: u64,
    /// Conversations of others that they judged, or in which they corrected an answer.
    pub judged: u64,
    /// Runs of others that they judged, or whose answer they corrected.
    pub judged_runs: u64,
    /// Everyone's datasets that were made from at least one of all these.
    pub datasets: Vec<AffectedDataset>,
}

/// A dataset that was made from items of the person, or from items about which they said something.
#[derive(Clone, Debug)]
pub struct AffectedDataset {
    /// The dataset.
    pub dataset: Dataset,
    /// Items of the person from which it was made, and items that were purged since.
    pub leaving: u64,
    /// All items from which it was made.
    pub selected: u64,
}

impl AffectedDataset {
    /// Whether nothing would be left in it, so that it is deleted instead.
    pub fn is_emptied(&self) -> bool {
        self.leaving == self.selected
    }
}

impl Erasure {
    /// Whether the person has nothing.
    pub fn is_nothing(&self) -> bool {
        let items = self.conversations + self.runs + self.documents;
        items + self.judged + self.judged_runs == 0 && self.datasets.is_empty()
    }
}

/// What an erasure found and did. It does not name the person, nor datasets, which may be named after them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureDetail {
    /// Conversations that were erased.
    pub conversations: u64,
    /// Runs.
    pub runs: u64,
    /// Documents.
    pub documents: u64,
    /// Public links to the conversations.
    pub links: u64,
    /// Conversations of others that they judged, or in which they corrected an answer.
    #[serde(default)]
    pub judged: u64,
    /// Runs of others that they judged, or whose answer they corrected.
    #[serde(default, alias = "corrected")]
    pub judged_runs: u64,
    /// Traces that waited to be imported, or were kept for later spans.
    pub traces: u64,
    /// Exports under way that were cancelled.
    pub cancelled: Vec<i64>,
    /// Datasets that are still to be deleted or queued to be rebuilt.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pending: Vec<i64>,
    /// Hashes of original files that are still to be removed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub originals: Vec<String>,
    /// Datasets that were deleted or rebuilt.
    pub datasets: Vec<ErasedFrom>,
    /// Whether the items are purged.
    pub is_purged: bool,
}

/// A dataset that was made from items of the person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedFrom {
    /// Its number.
    pub dataset: i64,
    /// Where its files were.
    #[serde(default)]
    pub prefix: String,
    /// All items from which it was made.
    pub items: u64,
    /// Those that were left out.
    pub erased: u64,
    /// The job that makes it again; none if it is deleted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<i64>,
    /// The number of the dataset that took its place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rebuilt_as: Option<i64>,
    /// Its files before.
    pub before: Vec<ErasedFile>,
    /// The files of the dataset that took its place.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub after: Vec<ErasedFile>,
}

/// A file of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedFile {
    /// Its path in the package.
    pub path: String,
    /// Records in it, for data files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub records: Option<u64>,
    /// Its size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

impl ErasureDetail {
    /// Reads what the store keeps of an erasure.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(erasure: &StoredErasure) -> Result<Self, Error> {
        if erasure.detail.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(&erasure.detail)
            .map_err(|error| Error::Conflict(format!("erasure {}: {error}", erasure.id)))
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What an erasure waits for before it is complete.
enum WaitsFor {
    Nothing,
    /// Jobs that make datasets again, or that are being cancelled.
    Jobs,
    /// An owner of the project, who is to do this.
    Owner(String),
}

fn may_erase(caller: &Caller) -> Result<(), Error> {
    caller.needs(Grant::Manage)?;
    caller.needs_role(ProjectRole::Owner)
}

impl Service {
    /// What a person has in the caller's project.
    ///
    /// # Errors
    /// The caller does not own the project; those of the store.
    pub fn erasure(&self, caller: &Caller, name: &str) -> Result<Erasure, Error> {
        may_erase(caller)?;
        self.found_of(caller.project.id, name)
    }

    fn found_of(&self, project: i64, name: &str) -> Result<Erasure, Error> {
        let [conversations, runs, documents] = self.store.held(project, name)?;
        let links = self.store.shares_of_held(project, name)?;
        let [judged, judged_runs] = self.store.judged_by(project, name)?;
        let mut erasure = Erasure {
            conversations,
            runs,
            documents,
            links,
            judged,
            judged_runs,
            ..Erasure::default()
        };
        let (scope, mut after) = (Scope::project(project), None);
        loop {
            let (page, has_more) = self.store.made_of_held(&scope, name, after, PAGE_ITEMS)?;
            after = page.last().map(|dataset| dataset.id);
            for dataset in page {
                erasure.datasets.push(self.affected(dataset, name)?);
            }
            if !has_more {
                return Ok(erasure);
            }
        }
    }

    fn affected(&self, dataset: Dataset, name: &str) -> Result<AffectedDataset, Error> {
        let leaving = self.store.leaving(&dataset, Without::Held(name), &Default::default())?;
        Ok(AffectedDataset { dataset, leaving: leaving.count, selected: leaving.selected })
    }

    /// Purges everything that a person holds in the caller's project, takes back what they said about items of others,
    /// deletes the datasets that hold nothing else, and queues the others to be rebuilt without it. Imports leave out from
    /// then on what was erased, and whatever names the person as its owner. The erasure is completed once the datasets are
    /// made.
    ///
    /// # Errors
    /// The caller does not own the project; there is nothing of the person; those of the store and of the datasets' storage.
    /// After an error, a worker or the next call resumes the erasure.
    pub fn erase(&self, caller: &Caller, name: &str) -> Result<StoredErasure, Error> {
        self.audited(caller, Action::Purge, "everything of a person: erased", || {
            may_erase(caller)?;
            let project = caller.project.id;
            let mut running = self.store.running_erasures()?.into_iter();
            let id = match running.find(|one| one.project == project && one.is_of(name)) {
                Some(begun) => begun.id,
                None if self.found_of(project, name)?.is_nothing() => return Err(nothing_of(name)),
                None => {
                    let (fresh, now) = (chance::<32>()?, self.clock.now());
                    self.store.begin_erasure(project, &caller.name, name, &fresh, now)?
                }
            };
            self.go_on_with_erasure(project, id, caller.person)?;
            self.complete_erasure(&self.stored_erasure(project, id)?)?;
            self.stored_erasure(project, id)
        })
    }

    /// Resumes an erasure up to the purge, unless another process does; datasets are rebuilt for a person, or for
    /// someone who opens the store directly.
    fn go_on_with_erasure(&self, project: i64, id: i64, person: Option<i64>) -> Result<(), Error> {
        let now = self.clock.now();
        let lease = self.settings.lease;
        let held = Mutex::new(later(now, lease));
        if !self.store.claim_erasure(id, now, later(now, lease))? {
            return Ok(());
        }
        // A process that was too slow leaves the lease to the one that claimed it since.
        let keep = |until: Option<retort_model::Time>| -> Result<(), Error> {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            if self.store.keep_erasure(id, *held, until)? {
                *held = until.unwrap_or(*held);
            }
            Ok(())
        };
        let done = while_kept(lease / 4, &|| keep(Some(later(self.clock.now(), lease))), || {
            self.erase_up_to_purge(&self.stored_erasure(project, id)?, person)
        });
        let freed = keep(None);
        done.and(freed)
    }

    fn erase_up_to_purge(&self, erasure: &StoredErasure, person: Option<i64>) -> Result<(), Error> {
        let mut detail = ErasureDetail::of(erasure)?;
        let Some(name) = erasure.person.as_deref().filter(|_| !detail.is_purged) else {
            return Ok(());
        };
        let (project, id) = (erasure.project, erasure.id);
        let note = |detail: &ErasureDetail| self.store.note_erasure(id, &detail.json(), None);
        let found = self.found_of(project, name)?;
        detail.conversations = detail.conversations.max(found.conversations);
        detail.runs = detail.runs.max(found.runs);
        detail.documents = detail.documents.max(found.documents);
        detail.links = detail.links.max(found.links);
        detail.judged = detail.judged.max(found.judged);
        detail.judged_runs = detail.judged_runs.max(found.judged_runs);
        detail.traces = detail.traces.max(self.store.traces_of(project, name)?);
        for affected in found.datasets {
            let number = affected.dataset.id;
            if !detail.pending.contains(&number) && !self.is_made_again(&detail, number)? {
                detail.pending.push(number);
            }
        }
        for original in self.store.originals_held(project, name)? {
            if !detail.originals.contains(&original) {
                detail.originals.push(original);
            }
        }
        note(&detail)?;
        // No import brings anything back from here on, and no export under way keeps anything.
        self.store.bury_held(project, id, name)?;
        for job in self.store.cancel_exports_of_held(project, name)? {
            if !detail.cancelled.contains(&job) {
                detail.cancelled.push(job);
            }
        }
        note(&detail)?;
        point("erasure.judgements");
        self.forget_judgements(project, name)?;
        point("erasure.datasets");
        while let Some(number) = detail.pending.first().copied() {
            if !self.leave_out_of((erasure, person), number, name, &mut detail)? {
                return Ok(());
            }
            detail.pending.retain(|one| *one != number);
            note(&detail)?;
        }
        point("erasure.purge");
        self.purge_held(project, id, name)?;
        self.forget_originals(&detail.originals)?;
        detail.originals.clear();
        detail.is_purged = true;
        Ok(note(&detail)?)
    }

    /// Whether a dataset was queued to be rebuilt, and that did not fail.
    fn is_made_again(&self, detail: &ErasureDetail, number: i64) -> Result<bool, Error> {
        let queued = detail.datasets.iter().find(|one| one.dataset == number);
        let Some(job) = queued.and_then(|one| one.job) else { return Ok(false) };
        Ok(self.store.job_ends(&[job])?.iter().all(|(_, state, _)| !state.has_failed()))
    }

    /// Deletes a dataset, or queues it to be rebuilt without what a person holds, and notes it in the detail of the erasure;
    /// false if that has to wait for an export under way to be cancelled.
    fn leave_out_of(
        &self,
        (erasure, person): (&StoredErasure, Option<i64>),
        number: i64,
        name: &str,
        detail: &mut ErasureDetail,
    ) -> Result<bool, Error> {
        let queued = self.store.rebuild_of(number)?;
        if let Some((job, state)) = queued.filter(|(job, _)| detail.cancelled.contains(job))
            && !state.is_ended()
        {
            detail.datasets.retain(|one| one.job != Some(job));
            return Ok(false);
        }
        // It was queued just before the process was killed.
        let queued = queued.filter(|(_, state)| !state.has_failed()).map(|(job, _)| job);
        let scope = Scope::project(erasure.project);
        let dataset = self.store.dataset_numbered(&scope, number)?;
        if let Some(dataset) = &dataset {
            let affected = self.affected(dataset.clone(), name)?;
            let before = self.erased_files(dataset)?;
            detail.datasets.retain(|one| one.dataset != number);
            detail.datasets.push(ErasedFrom {
                dataset: number,
                prefix: dataset.prefix.clone(),
                items: affected.selected,
                erased: affected.leaving,
                before,
                ..ErasedFrom::default()
            });
            self.store.note_erasure(erasure.id, &detail.json(), None)?;
            point("erasure.noted");
            if affected.is_emptied() {
                self.remove_dataset(dataset)?;
                return Ok(true);
            }
        }
        let job = match (queued, &dataset) {
            (Some(job), _) => Some(job),
            (None, Some(dataset)) => {
                let replaces = (true, &*dataset.name);
                Some(self.submit_rebuild(dataset, Without::Held(name), person, replaces)?)
            }
            // Deleted just before the process was killed, or by someone else.
            (None, None) => None,
        };
        point("erasure.queued");
        if let Some(one) = detail.datasets.iter_mut().find(|one| one.dataset == number) {
            one.job = job;
        }
        Ok(true)
    }

    fn erased_files(&self, dataset: &Dataset) -> Result<Vec<ErasedFile>, Error> {
        let files = self.store.dataset_files(dataset)?.into_iter();
        Ok(files
            .map(|file| ErasedFile {
                path: file.path,
                records: file.records,
                bytes: file.bytes,
                sha256: file.sha256,
            })
            .collect())
    }

    /// Purges what a person holds, and takes their name and the names of their files out of what is kept of jobs and
    /// filters.
    fn purge_held(&self, project: i64, erasure: i64, name: &str) -> Result<(), Error> {
        let theirs = Scope::person(project, name);
        let statuses = Status::ALL.to_vec();
        let all = ConversationFilter { statuses, ..ConversationFilter::default() };
        self.store.edit(&theirs, &all, &Edit::Purge)?;
        point("erasure.purging");
        self.store.purge_runs(&theirs, &RunFilter::default())?;
        self.store.purge_documents_held(project, name, &mut |_| ())?;
        self.store.forget_traces_of(project, name)?;
        self.forget_file_names_in(project, name)?;
        self.forget_asked(project, name)?;
        self.forget_maker(project, erasure, name)
    }

    /// Resumes erasures that no process works on, and completes those whose datasets are rebuilt.
    pub(crate) fn complete_erasures(&self) -> Result<(), Error> {
        for mut erasure in self.store.running_erasures()? {
            if !ErasureDetail::of(&erasure)?.is_purged {
                self.go_on_with_erasure(erasure.project, erasure.id, None)?;
                erasure = self.stored_erasure(erasure.project, erasure.id)?;
            }
            self.complete_erasure(&erasure)?;
        }
        Ok(())
    }

    /// Completes an erasure, unless datasets are still to be made.
    fn complete_erasure(&self, erasure: &StoredErasure) -> Result<(), Error> {
        let mut detail = ErasureDetail::of(erasure)?;
        let Some(name) = erasure.person.as_deref().filter(|_| detail.is_purged) else {
            return Ok(());
        };
        match self.waits_for(erasure, &mut detail)? {
            WaitsFor::Nothing => {}
            WaitsFor::Jobs => return self.note_erasure(erasure, &detail, None),
            WaitsFor::Owner(what) => return self.note_erasure(erasure, &detail, Some(&what)),
        }
        let left: u64 = self.store.held(erasure.project, name)?.iter().sum();
        if left + self.said_by(erasure.project, name)? > 0 {
            let why =
                "new items of this person were stored in the meantime; erase the person again";
            detail.is_purged = false;
            return self.note_erasure(erasure, &detail, Some(why));
        }
        self.store.forget_bare_ids(erasure.project, erasure.id)?;
        // A worker that made a dataset again in the meantime had read the name before, and a process that was killed may have
        // left files of deleted datasets behind.
        self.forget_maker(erasure.project, erasure.id, name)?;
        let scope = Scope::project(erasure.project);
        for one in detail.datasets.iter().filter(|one| !one.prefix.is_empty()) {
            if self.store.dataset_numbered(&scope, one.dataset)?.is_none() {
                self.objects.remove_all(&one.prefix)?;
            }
        }
        point("erasure.complete");
        let receipt = self.erasure_receipt(erasure, &detail)?;
        let ended = (&*detail.json(), &*receipt);
        Ok(self.store.complete_erasure(erasure.id, ended, self.clock.now())?)
    }

    /// Keeps how far an erasure is, if that changed: workers look at those that wait again and again.
    fn note_erasure(
        &self,
        erasure: &StoredErasure,
        detail: &ErasureDetail,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let detail = detail.json();
        if detail == erasure.detail && error == erasure.error.as_deref() {
            return Ok(());
        }
        Ok(self.store.note_erasure(erasure.id, &detail, error)?)
    }

    /// Notes which datasets are rebuilt, and says what the erasure still waits for.
    fn waits_for(
        &self,
        erasure: &StoredErasure,
        detail: &mut ErasureDetail,
    ) -> Result<WaitsFor, Error> {
        let scope = Scope::project(erasure.project);
        let jobs: Vec<i64> = detail.datasets.iter().filter_map(|one| one.job).collect();
        let watched: Vec<i64> = jobs.iter().chain(&detail.cancelled).copied().collect();
        let ends: HashMap<i64, (JobState, Option<i64>)> = self
            .store
            .job_ends(&watched)?
            .into_iter()
            .map(|(job, state, dataset)| (job, (state, dataset)))
            .collect();
        let mut waits = WaitsFor::Nothing;
        for one in &mut detail.datasets {
            let Some(job) = one.job else { continue };
            match ends.get(&job) {
                Some((state, _)) if !state.is_ended() => waits = WaitsFor::Jobs,
                Some((JobState::Failed | JobState::Cancelled, _))
                    if self.store.dataset_numbered(&scope, one.dataset)?.is_some() =>
                {
                    return Ok(WaitsFor::Owner(format!(
                        "dataset {} was not rebuilt: retry job {job}, or delete the dataset",
                        one.dataset
                    )));
                }
                Some((_, Some(made))) if one.after.is_empty() => {
                    if let Some(dataset) = self.store.dataset_numbered(&scope, *made)? {
                        one.rebuilt_as = Some(*made);
                        one.after = self.erased_files(&dataset)?;
                    }
                }
                _ => {}
            }
        }
        // An export that was cancelled too late has made a dataset.
        for job in detail.cancelled.clone() {
            let Some((state, dataset)) = ends.get(&job) else { continue };
            if !state.is_ended() {
                waits = WaitsFor::Jobs;
                continue;
            }
            let dataset = dataset.map(|id| self.store.dataset_numbered(&scope, id)).transpose()?;
            let Some(dataset) = dataset.flatten() else { continue };
            if detail.datasets.iter().any(|one| one.dataset == dataset.id) {
                continue;
            }
            if !detail.pending.contains(&dataset.id) {
                detail.pending.push(dataset.id);
            }
            detail.is_purged = false;
            waits = WaitsFor::Jobs;
        }
        Ok(waits)
    }

    /// The signed receipt of an erasure.
    fn erasure_receipt(
        &self,
        erasure: &StoredErasure,
        detail: &ErasureDetail,
    ) -> Result<String, Error> {
        let asked_by = Some(&erasure.creator).filter(|name| Some(*name) != erasure.person.as_ref());
        let project = self.store.projects()?.into_iter().find(|one| one.id == erasure.project);
        let datasets: Vec<_> = detail
            .datasets
            .iter()
            .map(|one| {
                json!({
                    "dataset": one.dataset,
                    "action": if one.job.is_some() { "rebuilt" } else { "deleted" },
                    "items": one.items,
                    "items_erased": one.erased,
                    "before": one.before,
                    "rebuilt_as": one.rebuilt_as,
                    "after": one.after,
                })
            })
            .collect();
        let receipt = json!({
            "receipt": "erasure",
            "version": 1,
            "retort_version": env!("CARGO_PKG_VERSION"),
            "store": self.store.identity(),
            "project": project.map(|one| one.name),
            "erasure": erasure.id,
            "person_hmac": erasure.name_hash,
            "asked_by": asked_by,
            "began_at": erasure.created_at.map(|time| time.to_string()),
            "completed_at": self.clock.now().to_string(),
            "erased": {
                "conversations": detail.conversations,
                "runs": detail.runs,
                "documents": detail.documents,
                "public_links": detail.links,
                "judged_conversations_of_others": detail.judged,
                "judged_runs_of_others": detail.judged_runs,
                "waiting_traces": detail.traces,
            },
            "datasets": datasets,
            "exports_cancelled": detail.cancelled.len(),
            "left": {
                "conversations": 0,
                "runs": 0,
                "documents": 0,
                "judged_conversations_of_others": 0,
                "judged_runs_of_others": 0,
            },
            "not_covered": [
                "backups that were made before",
                "datasets that were downloaded or delivered before",
                "the account of the person, what they made with it as long as they are in the project, and entries of the audit log that name them",
                "items of others that quote the person, and names that others gave to datasets, views and schedules",
            ],
        });
        let key = self.signing_key()?;
        let payload = serde_json::to_vec(&receipt).unwrap_or_default();
        Ok(key.seal(ERASURE_RECEIPT, &payload))
    }

    /// The key that signs: the one of the settings, or else the store's own.
    fn signing_key(&self) -> Result<SecretKey, Error> {
        match &self.settings.signing_key {
            Some(path) => Ok(SecretKey::read(path)?),
            None => {
                let fresh = chance::<32>()?;
                Ok(SecretKey::of_bytes(&self.store.secret(StoreSecret::Signing, &fresh)?))
            }
        }
    }

    /// The public half of the key that signs receipts of erasures.
    ///
    /// # Errors
    /// The caller does not own the project; those of the store.
    pub fn receipt_key(&self, caller: &Caller) -> Result<PublicKey, Error> {
        may_erase(caller)?;
        Ok(self.signing_key()?.public())
    }

    /// The erasures of the caller's project, the newest first: behind the one of number `after`, and the last of the page if
    /// there are more.
    ///
    /// # Errors
    /// The caller does not own the project; those of the store.
    pub fn erasures(
        &self,
        caller: &Caller,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<StoredErasure>, Option<i64>), Error> {
        may_erase(caller)?;
        let page = self.store.erasures(caller.project.id, after, most.min(PAGE_ITEMS))?;
        Ok(crate::browse::with_next(page, |one| one.id))
    }

    /// An erasure of the caller's project.
    ///
    /// # Errors
    /// The caller does not own the project; there is none of that number; those of the store.
    pub fn erasure_of(&self, caller: &Caller, id: i64) -> Result<StoredErasure, Error> {
        may_erase(caller)?;
        self.stored_erasure(caller.project.id, id)
    }

    fn stored_erasure(&self, project: i64, id: i64) -> Result<StoredErasure, Error> {
        let found = self.store.stored_erasure(project, id)?;
        found.ok_or_else(|| Error::NotFound { what: "erasure", name: id.to_string() })
    }

    /// Lets imports bring back what was erased of a person, and what names them as its owner.
    ///
    /// # Errors
    /// The caller does not own the project; nothing of the person was erased, or is being erased; those of the store.
    pub fn lift_erasure(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        self.audited(caller, Action::Purge, "erasure of a person: lifted", || {
            may_erase(caller)?;
            match self.store.lift_erasures(caller.project.id, name)? {
                0 => Err(Error::Choice(format!(
                    "there is no completed erasure of `{name}` to lift in this project"
                ))),
                _ => Ok(()),
            }
        })
    }
}

fn nothing_of(name: &str) -> Error {
    Error::Choice(format!("nothing in this project belongs to `{name}`"))
}
