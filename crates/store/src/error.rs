//! What can go wrong with a store.

use retort_model::with_causes;
use rusqlite::ErrorCode;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached.
    #[error("cannot open the store `{store}`: {reason}")]
    Open {
        /// Where it was sought, without passwords.
        store: String,
        /// Why.
        reason: String,
    },
    /// The file is a database of something else.
    #[error("the file is not a Retort store: it has a table `{0}`; name another file")]
    Foreign(String),
    /// The store was made by another release.
    #[error(
        "the store has schema {found}, this release {known}: {}",
        if found > known { "use a newer release of Retort" } else { "run `retort migrate`" }
    )]
    Schema {
        /// The store's schema.
        found: i64,
        /// This release's.
        known: i64,
    },
    /// Someone else holds it for too long.
    #[error("the store is busy: another process has been writing for too long; try again")]
    Busy,
    /// The disk is full.
    #[error("the store's disk is full: make room and try again; what was committed is kept")]
    Full,
    /// The store may not be written.
    #[error("the store cannot be written: {0}")]
    ReadOnly(String),
    /// What was read is not what was written.
    #[error(
        "the store is damaged: {0}; `retort doctor` shows the extent; restore a backup if much is damaged"
    )]
    Damaged(String),
    /// The connection to the server broke.
    #[error("lost the connection to the store: {0}")]
    Connection(String),
    /// The disk failed.
    #[error("the store's disk failed: {0}")]
    Disk(String),
    /// A name that is in use.
    #[error("the name `{0}` is already in use")]
    NameTaken(String),
    /// A project's last owner who may sign in.
    #[error("a project needs an owner who may sign in: make someone else an owner first")]
    LastOwner,
    /// Something came into a project that is being deleted.
    #[error("something was added to the project in the meantime; delete it again")]
    InUse,
    /// The worker no longer holds the job: it was cancelled, or another worker took it over.
    #[error("the job is no longer this worker's")]
    NotHeld,
    /// It is no longer wanted.
    #[error("it was stopped before it was done")]
    Stopped,
    /// The person who asked for the job may no longer have what it makes.
    #[error("`{0}`, who asked for it, {1}; nothing was made")]
    RoleLost(String, &'static str),
    /// A dataset that is to be rebuilt is being rebuilt already, by this job.
    #[error("job {0} is already rebuilding the dataset; wait for it to end, or cancel it")]
    Rebuilding(i64),
    /// A dataset that is to be rebuilt was deleted.
    #[error("the dataset that was to be rebuilt has been deleted")]
    ReplacedGone,
    /// Anything else that the database said.
    #[error("the store failed: {0}")]
    Sql(String),
}

impl Error {
    /// Whether the same may succeed a little later: someone else holds the store, or it is away. Asked only of a store
    /// that was open before, so that one which cannot be opened is taken to be away.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Busy | Self::Connection(_) | Self::Open { .. })
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::OperationInterrupted) => Self::Stopped,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly(text)
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(text),
            Some(ErrorCode::SystemIoFailure) => Self::Disk(text),
            _ => Self::Sql(text),
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        use postgres::error::SqlState;
        let Some(server) = error.as_db_error() else {
            return Self::Connection(with_causes(&error));
        };
        match server.code() {
            &SqlState::DISK_FULL => Self::Full,
            &SqlState::QUERY_CANCELED => Self::Stopped,
            &SqlState::READ_ONLY_SQL_TRANSACTION | &SqlState::INSUFFICIENT_PRIVILEGE => {
                Self::ReadOnly(server.message().to_owned())
            }
            &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => {
                Self::Damaged(server.message().to_owned())
            }
            &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::LOCK_NOT_AVAILABLE => Self::Busy,
            &SqlState::ADMIN_SHUTDOWN
            | &SqlState::CRASH_SHUTDOWN
            | &SqlState::CANNOT_CONNECT_NOW => Self::Connection(server.message().to_owned()),
            _ => Self::Sql(server.message().to_owned()),
        }
    }
}
