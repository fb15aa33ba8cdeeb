//! Datasets that were made: looked at, renamed, deleted, traced.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use retort_engine::panics::point;
use retort_engine::{
    DatasetFiles, Difference, Error as EngineError, Objects, Package, Verified, left_out_among,
    read_through, verify_package,
};
use retort_formats::package::MANIFEST;
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Action, DatasetName, Grant, ProjectRole, Scope};
use retort_store::{Dataset, DatasetFile, FrozenItem, Store};

use crate::browse::with_next;
use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// Which dataset is meant.
#[derive(Clone, Copy, Debug)]
pub enum DatasetRef<'d> {
    /// The one of that name, or else of that number.
    Named(&'d str),
    /// The one of that number.
    Numbered(i64),
}

impl std::fmt::Display for DatasetRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Numbered(id) => write!(f, "{id}"),
        }
    }
}

impl<'d> From<&'d str> for DatasetRef<'d> {
    fn from(name: &'d str) -> Self {
        Self::Named(name)
    }
}

impl From<i64> for DatasetRef<'_> {
    fn from(id: i64) -> Self {
        Self::Numbered(id)
    }
}

/// Opens a dataset where it is stored.
///
/// # Errors
/// Its objects are not there, or not whole.
pub(crate) fn open_dataset(
    store: &Store,
    objects: &Objects,
    dataset: &Dataset,
) -> Result<Package, Error> {
    let files = store.dataset_files(dataset)?.into_iter();
    let files = files.map(|file| (file.path, file.object)).collect();
    let storage = DatasetFiles::new(objects.below(&dataset.prefix), files);
    Ok(Package::on(Box::new(storage), dataset.name.as_ref())?)
}

impl Service {
    /// The caller's datasets, the newest first; someone who opens the store directly sees everyone's in the project.
    pub fn datasets(&self, caller: &Caller) -> Result<Vec<Dataset>, Error> {
        caller.needs(Grant::Export)?;
        Ok(still_theirs(caller, self.store.datasets(&caller.made())?))
    }

    /// A page of the caller's datasets, the newest first, and its last dataset if there are more; with `everyone`, of all
    /// in the project.
    ///
    /// # Errors
    /// The caller wants everyone's and is no owner of the project; those of the store.
    pub fn dataset_page(
        &self,
        caller: &Caller,
        everyone: bool,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, Option<i64>), Error> {
        caller.needs(Grant::Export)?;
        if everyone {
            caller.needs_role(ProjectRole::Owner)?;
            let page = self.store.dataset_page(&caller.overseen(), after, most)?;
            return Ok(with_next(page, |one| one.id));
        }
        let page = self.store.dataset_page(&caller.made(), after, most)?;
        let (datasets, next) = with_next(page, |one| one.id);
        Ok((still_theirs(caller, datasets), next))
    }

    /// One of the caller's datasets, to be read or changed.
    ///
    /// # Errors
    /// There is none, or several people have one of that name; those of the store.
    pub fn dataset<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
    ) -> Result<Dataset, Error> {
        self.dataset_in(caller, &caller.made(), which.into())
    }

    /// A page of the items that a dataset was made of, behind that place of its frozen selection, and the place of the last
    /// one if there are more: those that were selected, or those that its sample left out. A page may have fewer items than
    /// asked for.
    ///
    /// # Errors
    /// Those of the store, and of the storage of the dataset.
    pub fn items_of(
        &self,
        dataset: &Dataset,
        not_sampled: bool,
        (after, most): (i64, usize),
    ) -> Result<(Vec<FrozenItem>, Option<i64>), Error> {
        let page = (after, most.min(PAGE_ITEMS));
        let (mut items, has_more) = self.store.frozen_items(dataset, not_sampled, page)?;
        let next = items.last().filter(|_| has_more).map(|last| last.ordinal);
        let mut package = self.open_dataset(dataset)?;
        if package.manifest().selection.not_sampled == 0 {
            // What has no record was left out.
            items.retain(|_| !not_sampled);
            return Ok((items, next));
        }
        let without = items.iter().filter(|one| !one.has_record).map(|one| one.id.clone());
        let left_out = left_out_among(&mut package, &without.collect())?;
        items.retain(|one| not_sampled != (one.has_record || left_out.contains(&one.id)));
        Ok((items, next))
    }

    /// One of the datasets that the caller may look at from outside, and delete: an owner anyone's in the project.
    ///
    /// # Errors
    /// As [`Self::dataset`].
    pub fn overseen_dataset<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
    ) -> Result<Dataset, Error> {
        self.dataset_in(caller, &caller.overseen(), which.into())
    }

    fn dataset_in(
        &self,
        caller: &Caller,
        scope: &Scope,
        which: DatasetRef<'_>,
    ) -> Result<Dataset, Error> {
        caller.needs(Grant::Export)?;
        let found = match which {
            DatasetRef::Named(name) => match self.store.dataset(&caller.own(), name)? {
                None if scope.owner.is_none() => self.only_dataset_named(scope, name)?,
                own => own,
            },
            DatasetRef::Numbered(id) => self.store.dataset_numbered(scope, id)?,
        };
        let found = found.filter(|dataset| dataset.needs <= caller.role);
        found.ok_or_else(|| Error::NotFound { what: "dataset", name: which.to_string() })
    }

    /// Names are one's own: several people may have a dataset of the same.
    fn only_dataset_named(&self, scope: &Scope, name: &str) -> Result<Option<Dataset>, Error> {
        let mut named = self.store.datasets(scope)?;
        named.retain(|dataset| dataset.name == name);
        if named.len() > 1 {
            let numbers: Vec<String> = named
                .iter()
                .map(|dataset| format!("{} of {}", dataset.id, dataset.creator))
                .collect();
            let numbers = numbers.join(", ");
            return Err(Error::Choice(format!(
                "several people have a dataset `{name}`; name one by its number: {numbers}"
            )));
        }
        Ok(match named.pop() {
            None => name
                .parse()
                .ok()
                .map(|id| self.store.dataset_numbered(scope, id))
                .transpose()?
                .flatten(),
            named => named,
        })
    }

    /// The files of a dataset, the receipt last.
    pub fn dataset_files(&self, dataset: &Dataset) -> Result<Vec<DatasetFile>, Error> {
        Ok(self.store.dataset_files(dataset)?)
    }

    /// Opens a dataset where it is stored, to be previewed or verified.
    ///
    /// # Errors
    /// Its objects are not there, or not whole.
    pub fn open_dataset(&self, dataset: &Dataset) -> Result<Package, Error> {
        open_dataset(&self.store, &self.objects, dataset)
    }

    /// Reads a dataset whole and compares it with its receipt, and that with what the store says of it.
    ///
    /// # Errors
    /// Its objects are not there, or not whole. What differs is no error but the result.
    pub fn verify_dataset(&self, dataset: &Dataset) -> Result<Verified, Error> {
        let mut package = self.open_dataset(dataset)?;
        let mut verified = verify_package(&mut package, &AtomicBool::new(false))?;
        let listed = verified.manifest.files.iter().map(|one| (&*one.path, &*one.sha256));
        let listed: HashMap<&str, &str> = listed.collect();
        for file in self.store.dataset_files(dataset)? {
            let found = match listed.get(&*file.path) {
                Some(&listed) => listed.to_owned(),
                None if file.path == MANIFEST => {
                    let fail = |source| EngineError::Unpack { name: MANIFEST.into(), source };
                    read_through(&mut package.file(MANIFEST).map_err(fail)?).map_err(fail)?.1
                }
                None => "none".to_owned(),
            };
            if found != file.sha256 {
                let what = format!("SHA-256 {found}, the store says {}", file.sha256);
                verified.differences.push(Difference { file: file.path, what });
            }
        }
        Ok(verified)
    }

    /// Gives one of the caller's datasets another name. Its files stay as they were made.
    ///
    /// # Errors
    /// There is none; the name is in use; those of the store.
    pub fn rename_dataset<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
        new: &DatasetName,
    ) -> Result<Dataset, Error> {
        let which = which.into();
        self.audited(caller, Action::Dataset, &format!("{which}: now {new}"), || {
            let dataset = self.dataset(caller, which)?;
            let renamed = self.store.rename_dataset(&dataset, new.as_str());
            self.or_free_name(caller, renamed)?;
            Ok(Dataset { name: new.as_str().to_owned(), ..dataset })
        })
    }

    /// Deletes one of the caller's datasets for good, with its objects; an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is none; those of the store and of the place of the datasets. What is left of the latter, a worker
    /// removes.
    pub fn delete_dataset<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
    ) -> Result<Dataset, Error> {
        let which = which.into();
        self.audited(caller, Action::Dataset, &format!("{which}: deleted"), || {
            let dataset = self.overseen_dataset(caller, which)?;
            self.remove_dataset(&dataset)?;
            Ok(dataset)
        })
    }

    /// Deletes a dataset and its files.
    pub(crate) fn remove_dataset(&self, dataset: &Dataset) -> Result<(), Error> {
        self.store.delete_dataset(dataset)?;
        point("dataset.delete");
        self.objects.remove_all(&dataset.prefix)?;
        Ok(self.store.cleared(dataset.job)?)
    }

    /// The datasets that hold something of a conversation, run or document, also if it was purged: the caller's, and
    /// for an owner anyone's in the project. A page of them, the newest first, and its last dataset if there are more.
    ///
    /// # Errors
    /// Nothing is known of such an item; those of the store.
    pub fn trace(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, Option<i64>), Error> {
        caller.needs(Grant::Export)?;
        if !self.store.knows(&caller.scope(), id)? {
            return Err(Error::NotFound {
                what: "conversation, run or document",
                name: id.to_owned(),
            });
        }
        let page = self.store.trace(&caller.overseen(), id, after, most.min(PAGE_ITEMS))?;
        let (datasets, next) = with_next(page, |one| one.id);
        Ok((still_theirs(caller, datasets), next))
    }

    /// Anyone's datasets in the project that hold something of a person, what they own, imported or held: a page as
    /// [`trace`](Self::trace) has them.
    ///
    /// # Errors
    /// The caller is no owner of the project; those of the store.
    pub fn trace_person(
        &self,
        caller: &Caller,
        name: &str,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, Option<i64>), Error> {
        caller.needs(Grant::Export)?;
        caller.needs_role(ProjectRole::Owner)?;
        let most = most.min(PAGE_ITEMS);
        let page = self.store.trace_person(&caller.overseen(), name, after, most)?;
        Ok(with_next(page, |one| one.id))
    }
}

/// Without those that hold what others own, unless the caller is still an admin: they were made as one.
fn still_theirs(caller: &Caller, datasets: Vec<Dataset>) -> Vec<Dataset> {
    datasets.into_iter().filter(|dataset| dataset.needs <= caller.role).collect()
}
