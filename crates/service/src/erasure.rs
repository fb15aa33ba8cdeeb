//! Erasure: deletes a person's items from a project, and their rows from everyone's datasets.
//!
//! A person's items are those that they hold: the ones that they own, and the ones that they imported and that name no
//! owner. Datasets are queued to be made again before anything is purged, as a purged item no longer has a holder. So an
//! erasure that was interrupted can be repeated.

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Action, ConversationFilter, Grant, ProjectRole, RunFilter, Scope, Status};
use retort_store::{Dataset, Edit, Without};

use crate::caller::Caller;
use crate::datasets::DatasetRef;
use crate::error::Error;
use crate::service::Service;

/// What a person has in a project.
#[derive(Clone, Debug, Default)]
pub struct Erasure {
    /// Conversations that they hold.
    pub conversations: u64,
    /// Runs that they hold.
    pub runs: u64,
    /// Documents that they hold.
    pub documents: u64,
    /// Everyone's datasets that were made from at least one of their items.
    pub datasets: Vec<AffectedDataset>,
}

/// A dataset that was made from items of the person.
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
        self.conversations + self.runs + self.documents == 0 && self.datasets.is_empty()
    }
}

impl Service {
    /// What a person has in the caller's project.
    ///
    /// # Errors
    /// The caller does not own the project; those of the store.
    pub fn erasure(&self, caller: &Caller, name: &str) -> Result<Erasure, Error> {
        caller.needs(Grant::Manage)?;
        caller.needs_role(ProjectRole::Owner)?;
        let [conversations, runs, documents] = self.store.held(caller.project.id, name)?;
        let mut erasure = Erasure { conversations, runs, documents, datasets: Vec::new() };
        let (scope, mut after) = (Scope::project(caller.project.id), None);
        loop {
            let (page, has_more) = self.store.made_of_held(&scope, name, after, PAGE_ITEMS)?;
            after = page.last().map(|dataset| dataset.id);
            for dataset in page {
                let leaving =
                    self.store.leaving(&dataset, Without::Held(name), &Default::default())?;
                let (leaving, selected) = (leaving.count, leaving.selected);
                erasure.datasets.push(AffectedDataset { dataset, leaving, selected });
            }
            if !has_more {
                return Ok(erasure);
            }
        }
    }

    /// Purges everything that a person holds in the caller's project, deletes the datasets that hold nothing else, and
    /// queues the others to be made again without the person's items. Returns the jobs.
    ///
    /// # Errors
    /// The caller does not own the project; a dataset is being rebuilt already; those of the store and of the datasets'
    /// storage.
    pub fn erase(&self, caller: &Caller, name: &str, found: &Erasure) -> Result<Vec<i64>, Error> {
        self.audited(caller, Action::Purge, "everything of a person: erased", || {
            caller.needs(Grant::Manage)?;
            caller.needs_role(ProjectRole::Owner)?;
            let mut jobs = Vec::new();
            for affected in &found.datasets {
                let which = DatasetRef::Numbered(affected.dataset.id);
                if affected.is_emptied() {
                    self.delete_dataset(caller, which)?;
                } else {
                    jobs.push(self.rebuild_dataset(caller, which, Without::Held(name), false)?);
                }
            }
            let theirs = Scope::person(caller.project.id, name);
            let statuses = Status::ALL.to_vec();
            let all = ConversationFilter { statuses, ..ConversationFilter::default() };
            self.store.edit(&theirs, &all, &Edit::Purge)?;
            self.store.purge_runs(&theirs, &RunFilter::default())?;
            let mut originals = Vec::new();
            let project = caller.project.id;
            self.store.purge_documents_held(project, name, &mut |more| originals.extend(more))?;
            self.forget_originals(&originals)?;
            Ok(jobs)
        })
    }
}
