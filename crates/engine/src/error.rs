//! What can end an export, a conversion or a check. A bad item never does: it is counted and passed over.

use std::io;
use std::path::{Path, PathBuf};

/// Why the engine could not do what was asked.
///
/// A user's mistake ([`Error::Choice`] and what follows from the input), a failing disk or service
/// ([`Error::Read`], [`Error::Write`], [`Error::Failed`], [`Error::Objects`]) and a bug ([`Error::Bug`]) are three kinds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read `{}`: {}", path.display(), io_reason(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An input's compressed bytes are damaged, or unpack past the bound.
    #[error("cannot read `{name}`: {}", io_reason(source))]
    Unpack {
        /// The input.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Something could not be written.
    #[error("cannot write `{}`: {}; nothing was published, and what had been written was \
             removed", path.display(), io_reason(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An archive that is added to could not be read or written.
    #[error("cannot store anything in `{}`: {}", path.display(), io_reason(source))]
    Keep {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something that the work itself needs failed: a temporary file, a thread.
    #[error("cannot use {what}: {}", io_reason(source))]
    Failed {
        /// What was used.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The output already exists.
    #[error("`{}` already exists; name another output, or replace it with `--force`", .0.display())]
    Exists(PathBuf),
    /// Another run writes the same output.
    #[error("another run is writing `{}`; wait for it, or name another output", .0.display())]
    Busy(PathBuf),
    /// The output's path holds something that is no package, which is not replaced.
    #[error("`{}` is not a package of Retort, or contains other files, so it is not replaced; name another output", .0.display())]
    NotAPackage(PathBuf),
    /// Nothing was written.
    #[error("no records to write: {0}")]
    Nothing(String),
    /// Something could not be read where nothing may be refused.
    #[error("nothing was written, because of `--strict`: {0}")]
    Strict(String),
    /// A choice that the formats do not allow.
    #[error("{0}")]
    Choice(String),
    /// A folder or archive that is no package.
    #[error("`{}` is not a complete package: {reason}", path.display())]
    NotWhole {
        /// The package.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// Ids are repeated in several parts of an export, which could not know of each other.
    #[error(
        "ids are repeated in several parts, so these have to be made again: {}; `{}` has the decision on each item: \
         run `retort convert` with the same `--part` and options and with `--repeats` and that file, then merge again",
        listed(parts),
        decisions.display()
    )]
    RepeatedIds {
        /// The parts that have to be made again.
        parts: Vec<u32>,
        /// The file with the decisions on all repeated ids.
        decisions: PathBuf,
    },
    /// A folder that holds no part of an export, or a damaged one.
    #[error("`{}` is not a complete part of an export: {reason}", path.display())]
    NotAPart {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The storage of the datasets failed.
    #[error("cannot {doing} `{object}` in the storage of the datasets: {reason}")]
    Objects {
        /// What was being done.
        doing: &'static str,
        /// The object.
        object: String,
        /// Why.
        reason: String,
    },
    /// A destination of datasets or the Hub failed, or its state does not allow the request.
    #[error("cannot {what}: {reason}")]
    Destination {
        /// What was being done; a path is within the destination.
        what: String,
        /// Why.
        reason: String,
    },
    /// The caller's own feed failed.
    #[error(transparent)]
    Feed(Box<dyn std::error::Error + Send + Sync>),
    /// A panic in Retort's own code.
    #[error(
        "this is a bug in Retort, at {place}: {message}; please report it, and say what you were doing"
    )]
    Bug {
        /// File and line of the source.
        place: String,
        /// What the panic said. It may hold text of a conversation, so it is for the caller and for no log.
        message: String,
    },
    /// Stopped on request.
    #[error("stopped; nothing was published, and what had been written was removed")]
    Stopped,
}

/// Why an operation failed, in words, without the error number of the system.
pub fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        io::ErrorKind::NotADirectory => "part of the path is a file, not a folder".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => {
            let text = error.to_string();
            let number = error.raw_os_error().map(|number| format!(" (os error {number})"));
            let bare = number.and_then(|number| text.strip_suffix(&number).map(str::to_lowercase));
            bare.unwrap_or(text)
        }
    }
}

impl Error {
    /// What a log may hold of it.
    pub fn for_log(&self) -> String {
        match self {
            Self::Bug { place, .. } => format!("a bug in Retort, at {place}"),
            other => other.to_string(),
        }
    }

    /// A bug that was noticed where this is called.
    #[track_caller]
    pub fn bug(message: impl Into<String>) -> Self {
        let place = std::panic::Location::caller().to_string();
        Self::Bug { place, message: message.into() }
    }

    /// A file or folder that could not be read.
    pub fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// A file or folder that could not be written.
    pub fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}

fn listed(parts: &[u32]) -> String {
    parts.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
