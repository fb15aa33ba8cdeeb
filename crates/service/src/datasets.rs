//! Datasets that were made: looked at, renamed, deleted, traced.

use retort_model::{Action, DatasetName, Grant};
use retort_store::{Dataset, DatasetFile};

use crate::Error;
use crate::browse::no_conversation;
use crate::caller::Caller;
use crate::objects::ObjectShelf;
use crate::package::Package;
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

impl Service {
    /// The caller's datasets, the newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn datasets(&self, caller: &Caller) -> Result<Vec<Dataset>, Error> {
        caller.needs(Grant::Export)?;
        Ok(self.store.datasets(&caller.own())?)
    }

    /// One of the caller's datasets.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn dataset<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
    ) -> Result<Dataset, Error> {
        caller.needs(Grant::Export)?;
        let which = which.into();
        let found = match which {
            DatasetRef::Named(name) => self.store.dataset(&caller.own(), name)?,
            DatasetRef::Numbered(id) => self.store.dataset_numbered(&caller.own(), id)?,
        };
        found.ok_or_else(|| Error::NotFound { what: "dataset", name: which.to_string() })
    }

    /// The files of a dataset, the receipt last.
    ///
    /// # Errors
    /// Those of the store.
    pub fn dataset_files(&self, dataset: &Dataset) -> Result<Vec<DatasetFile>, Error> {
        Ok(self.store.dataset_files(dataset)?)
    }

    /// Opens a dataset where it lies, to be previewed or verified.
    ///
    /// # Errors
    /// Its objects are not there, or not whole.
    pub fn open_dataset(&self, dataset: &Dataset) -> Result<Package, Error> {
        let files = self.store.dataset_files(dataset)?;
        let files = files.into_iter().map(|file| (file.path, file.object)).collect();
        let shelf = ObjectShelf::new(self.objects.below(&dataset.prefix), files);
        Package::on(Box::new(shelf), dataset.name.as_ref())
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

    /// Deletes one of the caller's datasets for good, with its objects.
    ///
    /// # Errors
    /// There is none; those of the store and of the place of the datasets; what is left of the latter is found by
    /// `doctor`.
    pub fn delete_dataset<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
    ) -> Result<Dataset, Error> {
        let which = which.into();
        self.audited(caller, Action::Dataset, &format!("{which}: deleted"), || {
            let dataset = self.dataset(caller, which)?;
            self.store.delete_dataset(&dataset)?;
            self.objects.remove_all(&dataset.prefix)?;
            Ok(dataset)
        })
    }

    /// The caller's datasets that hold something of a conversation or run, also if it was purged.
    ///
    /// # Errors
    /// Nothing is known of such a conversation or run; those of the store.
    pub fn trace(&self, caller: &Caller, id: &str) -> Result<Vec<Dataset>, Error> {
        caller.needs(Grant::Export)?;
        if !self.store.knows(&caller.scope(), id)? {
            return Err(no_conversation(id));
        }
        Ok(self.store.trace(&caller.own(), id)?)
    }
}
