//! What can end a use case. A bad item never does: it is counted and passed over.

use retort_engine::Error as EngineError;
use retort_model::{Grant, ProjectRole};

/// Why the service could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading, shaping or writing failed.
    #[error(transparent)]
    Engine(EngineError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] retort_store::Error),
    /// A choice that is not allowed.
    #[error("{0}")]
    Choice(String),
    /// The operating system did not give what the service needs, such as random bytes.
    #[error("cannot get {what}: {reason}")]
    System {
        /// What is needed.
        what: &'static str,
        /// Why it cannot be had.
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
    /// Something that does not exist, or not for this person to see.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The token was not given this.
    #[error("the token does not have the scope `{0}`; create one that does")]
    NotGranted(Grant),
    /// The person is not what this takes in the project.
    #[error("only an {0} of this project can do this")]
    NotAllowed(ProjectRole),
    /// Name and password, link or token open nothing.
    #[error("{0}")]
    NotSignedIn(&'static str),
    /// This kind of credential may not do it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// More than are allowed at a time.
    #[error("{0}")]
    TooMany(String),
    /// Other requests hold too much memory for something this large.
    #[error("the server is reading too many large items at once")]
    NoMemory,
    /// Someone else changed it meanwhile, or it is under way.
    #[error("{0}")]
    Conflict(String),
}

impl From<EngineError> for Error {
    /// An error of the service that went through the engine becomes that error again.
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Feed(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Engine(EngineError::Feed(other)),
            },
            other => Self::Engine(other),
        }
    }
}

impl From<Error> for EngineError {
    /// For code of the service that the engine calls.
    fn from(error: Error) -> Self {
        match error {
            Error::Engine(error) => error,
            other => Self::Feed(Box::new(other)),
        }
    }
}

impl Error {
    /// Stopped on request.
    pub const STOPPED: Self = Self::Engine(EngineError::Stopped);

    /// The output failed: its reader has gone.
    pub fn gone(source: std::io::Error) -> Self {
        Self::Engine(EngineError::Failed { what: "the connection", source })
    }

    /// Whether the work was stopped on request.
    pub fn is_stopped(&self) -> bool {
        matches!(
            self,
            Self::Engine(EngineError::Stopped) | Self::Store(retort_store::Error::Stopped)
        )
    }

    /// Whether the same may succeed a little later: the store is busy or away.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_pass())
    }

    /// What a log may hold of it.
    pub fn for_log(&self) -> String {
        match self {
            Self::Engine(error) => error.for_log(),
            other => other.to_string(),
        }
    }
}
