//! Datasets rebuilt without a conversation, a person, or what was purged since.

use std::collections::HashSet;

use retort_engine::Sampling;
use retort_model::bounds::EXPORTS_PER_PERSON;
use retort_model::{Action, Grant, JobKind, ProjectRole, Scope};
use retort_store::{Dataset, Job, Rebuild, Without};
use serde_json::{Map, Value};

use crate::caller::Caller;
use crate::datasets::DatasetRef;
use crate::error::Error;
use crate::export::KeptExport;
use crate::forgotten::{forget_asked, forget_name};
use crate::queue::neighbour;
use crate::service::Service;

impl Service {
    /// Queues an export that makes one of the caller's datasets again without some of its items and without what was
    /// purged since; an owner, anyone's in the project. It is its maker's. With `keep` it gets a name of its own; else it
    /// takes the place of the old one, which is deleted at that moment.
    ///
    /// # Errors
    /// There is no such dataset; it has no such item, or no other; it is being rebuilt; the caller names a person and is no
    /// owner of the project; too many exports are under way; those of the store.
    pub fn rebuild_dataset<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
        without: Without<'_>,
        keep: bool,
    ) -> Result<Job, Error> {
        let which = which.into();
        let what = match without {
            Without::Purged => "what was purged".to_owned(),
            Without::Id(id) => format!("`{id}`"),
            Without::Person(name) => format!("items of `{name}`"),
            // The audit log must not name them any more.
            Without::Held(_) => "what someone held".to_owned(),
        };
        self.audited(caller, Action::Dataset, &format!("{which}: rebuilt without {what}"), || {
            caller.needs(Grant::Export)?;
            if matches!(without, Without::Person(_) | Without::Held(_)) {
                caller.needs_role(ProjectRole::Owner)?;
            }
            let dataset = self.overseen_dataset(caller, which)?;
            let maker = Scope::person(caller.project.id, &*dataset.creator);
            if caller.person.is_some()
                && self.store.open_jobs(&maker, JobKind::Export)? >= EXPORTS_PER_PERSON
            {
                return Err(Error::TooMany(format!(
                    "{EXPORTS_PER_PERSON} exports of {} are already waiting or running; wait for one to end",
                    dataset.creator
                )));
            }
            let mut name = dataset.name.clone();
            if keep {
                self.check_room(caller)?;
                name = neighbour(&name, &self.store.dataset_names(&maker)?);
            }
            let job = self.submit_rebuild(&dataset, without, caller.person, (!keep, &name))?;
            self.job(caller, job)
        })
    }

    /// Queues an export that makes a dataset again, in its place or beside it, for a person; none is someone who opens the
    /// store directly.
    pub(crate) fn submit_rebuild(
        &self,
        dataset: &Dataset,
        without: Without<'_>,
        person: Option<i64>,
        (replace, name): (bool, &str),
    ) -> Result<i64, Error> {
        let (plan, only_written) = self.plan_without(dataset, without, name)?;
        let part_bytes = self.settings.part_bytes;
        let plan = &plan;
        let rebuild =
            Rebuild { dataset, without, only_written, replace, person, name, plan, part_bytes };
        let submitted = self.store.submit_rebuild(&rebuild, self.clock.now());
        submitted.map_err(|error| match error {
            retort_store::Error::Rebuilding(_) | retort_store::Error::ReplacedGone => {
                Error::Conflict(error.to_string())
            }
            error => error.into(),
        })
    }

    /// The plan to make a dataset again, whose receipt names nothing that is left out; and whether only items with a record
    /// in the dataset are used: a new sample would put others in the place of those that are left out.
    fn plan_without(
        &self,
        dataset: &Dataset,
        without: Without<'_>,
        name: &str,
    ) -> Result<(String, bool), Error> {
        let made = self.store.job_of_dataset(dataset)?;
        let mut kept = KeptExport::read(&made)?;
        let mut named = HashSet::new();
        let text = |id: &Value| id.as_str().map(str::to_owned);
        each_ids(&mut kept.selection.fields, &mut |ids| named.extend(ids.iter().filter_map(text)));
        let leaving = self.store.leaving(dataset, without, &named)?;
        // What an erased person said about its items is removed from them.
        if leaving.count == 0 && !matches!(without, Without::Held(_)) {
            return Err(Error::Conflict(format!(
                "dataset {} has nothing to leave out: it contains no such item",
                dataset.id
            )));
        }
        if leaving.count == leaving.selected {
            return Err(Error::Conflict(format!(
                "dataset {} contains nothing else: delete it instead",
                dataset.id
            )));
        }
        let is_left_out = |id: &Value| id.as_str().is_some_and(|id| leaving.ids.contains(id));
        each_ids(&mut kept.selection.fields, &mut |ids| ids.retain(|id| !is_left_out(id)));
        if let Without::Held(person) = without {
            forget_name(&mut kept.selection.fields, person);
            forget_asked(&mut kept.selection.fields, person);
        }
        kept.snapshot = kept.snapshot.or(made.created_at.map(|time| time.to_string()));
        if let Ok(name) = name.parse() {
            kept.dataset.dataset_name = name;
        }
        if kept.dataset.split_needs_survey() {
            // What stays in it stays in its output.
            kept.dataset.split_from = Some(dataset.id.to_string());
        }
        let was_sampled = kept.dataset.sampling.is_any();
        if was_sampled {
            let asked = kept.dataset.options().into_iter();
            let asked = asked.filter(|(name, _)| SAMPLING.contains(&&**name));
            let asked = asked.map(|(name, value)| (name, value.into())).collect();
            kept.selection.fields.insert("sampled".into(), Value::Object(asked));
            kept.dataset.sampling = Sampling::default();
        }
        Ok((kept.json()?, was_sampled))
    }
}

/// The options of a sample.
const SAMPLING: [&str; 4] = ["sample", "seed", "sample_by", "balance"];

/// Visits the lists of ids in what was asked for.
fn each_ids(asked: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Vec<Value>)) {
    for (name, value) in asked {
        match (name.as_str(), value) {
            ("id" | "except", Value::Array(ids)) => visit(ids),
            ("or", Value::Array(others)) => {
                for one in others.iter_mut().filter_map(Value::as_object_mut) {
                    each_ids(one, visit);
                }
            }
            _ => {}
        }
    }
}
