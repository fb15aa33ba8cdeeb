//! What can end a verb. A bad item never does: it is counted and passed over.

use std::io;
use std::path::{Path, PathBuf};

use retort_model::{Grant, ProjectRole};

/// Why a verb could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An input's compressed bytes are damaged, or unpack past the bound.
    #[error("cannot read `{name}`: {source}")]
    Unpack {
        /// The input.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Something could not be written.
    #[error("cannot write `{}`: {source}; nothing was published and what was written is removed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output is there already.
    #[error("`{}` exists already; name another output, or replace it with `--force`", .0.display())]
    Exists(PathBuf),
    /// Another run writes the same output.
    #[error("another run is writing `{}`; wait for it, or name another output", .0.display())]
    Busy(PathBuf),
    /// The output's place holds something that is no package, which is not replaced.
    #[error("`{}` is no package of Retort's, or holds other files, so it is not replaced; name another output", .0.display())]
    NotAPackage(PathBuf),
    /// Nothing was written.
    #[error("no records to write: {0}")]
    Nothing(String),
    /// Something could not be read where nothing may be refused.
    #[error("nothing was written, as `--strict` was asked: {0}")]
    Strict(String),
    /// A choice that the formats do not allow.
    #[error("{0}")]
    Choice(String),
    /// A folder or archive that is no package.
    #[error("`{}` is no whole package: {reason}", path.display())]
    NotWhole {
        /// The package.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] retort_store::Error),
    /// The place of the datasets failed.
    #[error("cannot {doing} `{object}` in the place of the datasets: {reason}")]
    Objects {
        /// What was being done.
        doing: &'static str,
        /// The object.
        object: String,
        /// Why.
        reason: String,
    },
    /// A name that is in use by the same person.
    #[error("the name `{name}` is in use; `{free}` is free")]
    NameTaken {
        /// The name.
        name: String,
        /// One like it that is not in use.
        free: String,
    },
    /// Something that is not there, or not for this person to see.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The token was not given this.
    #[error("the token does not have the scope `{0}`; make one that has")]
    NotGranted(Grant),
    /// The person is not what this takes in the project.
    #[error("only an {0} of this project can do this")]
    NotAllowed(ProjectRole),
    /// Name and password, link or token open nothing.
    #[error("{0}")]
    NotSignedIn(&'static str),
    /// Not for whoever asks in this way, whatever they are.
    #[error("{0}")]
    Forbidden(&'static str),
    /// One more than is allowed at a time.
    #[error("{0}")]
    TooMany(String),
    /// Someone else changed it meanwhile, or it is under way.
    #[error("{0}")]
    Conflict(String),
    /// A panic in Retort's own code.
    #[error(
        "this is a bug in Retort, at {place}: {message}; please report it, with what was being done"
    )]
    Bug {
        /// File and line of the source.
        place: String,
        /// What the panic said. It may hold text of a conversation, so it is for whoever asked and for no log.
        message: String,
    },
    /// The person stopped it.
    #[error("stopped; nothing was published and what was written is removed")]
    Stopped,
}

impl Error {
    /// Whether the same may succeed a little later: the store is busy or away.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_pass())
    }

    /// What a log may hold of it.
    pub fn for_log(&self) -> String {
        match self {
            Self::Bug { place, .. } => format!("a bug in Retort, at {place}"),
            other => other.to_string(),
        }
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}
