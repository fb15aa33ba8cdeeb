//! What the service refuses, as problems.

use std::io;
use std::sync::Arc;

use retort_service::{EngineError, Error, StoreError};

use super::{Problem, RETRY, kinds};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let problem = of(&error);
        Self { error: Some(Arc::new(error)), ..problem }
    }
}

fn of(error: &Error) -> Problem {
    match error {
        Error::NotFound { .. } => Problem::new(&kinds::NOT_FOUND, error.to_string()),
        Error::NameTaken { free, .. } => {
            Problem::new(&kinds::NAME_TAKEN, error.to_string()).with("free", &**free)
        }
        Error::Choice(why) => Problem::unprocessable(&**why),
        Error::NotSignedIn(why) => Problem::unauthenticated(*why),
        Error::NotGranted(grant) => Problem::insufficient_scope(grant.as_str()),
        Error::NotAllowed(role) => {
            Problem::forbidden(error.to_string()).with("role", role.as_str())
        }
        Error::Forbidden(why) => Problem::forbidden(*why),
        Error::TooMany(why) => Problem::new(&kinds::RATE_LIMITED, &**why).retry(RETRY),
        Error::NoMemory => Problem::unavailable(error.to_string(), RETRY),
        Error::Conflict(why) => Problem::conflict(&**why),
        Error::Store(StoreError::Stopped) => stopped(),
        Error::Store(store) if store.may_pass() => {
            Problem::unavailable("the store is busy or cannot be reached", RETRY).because(error)
        }
        Error::Store(StoreError::Full) => Problem::full().because(error),
        Error::Store(StoreError::Damaged(_)) => {
            Problem::new(&kinds::DAMAGED, "the stored copy of this item is damaged").because(error)
        }
        Error::Store(_) | Error::System { .. } => Problem::internal(error),
        Error::Engine(engine) => from_engine(engine),
    }
}

fn stopped() -> Problem {
    Problem::unavailable("it was stopped before it was done", RETRY)
}

fn from_engine(error: &EngineError) -> Problem {
    match error {
        EngineError::Choice(why) | EngineError::Strict(why) => Problem::unprocessable(&**why),
        EngineError::RepeatedIds { .. } => Problem::unprocessable(error.to_string()),
        EngineError::Nothing(why) => Problem::new(&kinds::NOTHING, &**why),
        EngineError::Stopped => stopped(),
        EngineError::Unpack { name, source } if is_damage(source) => {
            // Only the last part: the rest may be a path of this machine.
            let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
            let detail = format!("`{name}` is damaged, or unpacks beyond what is allowed");
            Problem::new(&kinds::UNREADABLE, detail).because(error)
        }
        EngineError::Read { source, .. }
        | EngineError::Write { source, .. }
        | EngineError::Failed { source, .. }
        | EngineError::Keep { source, .. }
        | EngineError::Unpack { source, .. } => {
            if is_full(source) {
                Problem::full().because(error)
            } else {
                Problem::internal(error)
            }
        }
        EngineError::Objects { .. } | EngineError::Destination { .. } | EngineError::Feed(_) => {
            Problem::internal(error)
        }
        EngineError::NotWhole { .. } | EngineError::NotAPart { .. } => {
            Problem::new(&kinds::DAMAGED, "the dataset's files are incomplete").because(error)
        }
        // What the panic said may hold text of a conversation.
        EngineError::Bug { .. } => Problem::internal(error.for_log()),
        EngineError::Exists(_) => Problem::conflict("the output already exists").because(error),
        EngineError::Busy(_) => {
            Problem::conflict("another run is writing the same output").because(error)
        }
        EngineError::NotAPackage(_) => {
            Problem::conflict("there is something else at the output's path; it was not replaced")
                .because(error)
        }
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use retort_model::{Grant, ProjectRole};

    use super::*;

    #[test]
    fn every_refusal_has_its_status_and_none_shows_the_machine() {
        let path = || PathBuf::from("/srv/secret/file");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let other = || io::Error::other("a secret of the disk");
        let bad = io::Error::new(io::ErrorKind::InvalidData, "a secret byte");
        let table: [(Error, u16, &str); 29] = [
            (EngineError::Read { path: path(), source: other() }.into(), 500, "internal"),
            (EngineError::Write { path: path(), source: other() }.into(), 500, "internal"),
            (EngineError::Write { path: path(), source: full() }.into(), 507, "storage-full"),
            (
                EngineError::Unpack { name: "/srv/secret/a.zip".into(), source: bad }.into(),
                422,
                "unreadable",
            ),
            (
                EngineError::Unpack { name: "secret rows".into(), source: other() }.into(),
                500,
                "internal",
            ),
            (
                EngineError::Unpack { name: "secret rows".into(), source: full() }.into(),
                507,
                "storage-full",
            ),
            (EngineError::Keep { path: path(), source: full() }.into(), 507, "storage-full"),
            (EngineError::Exists(path()).into(), 409, "conflict"),
            (EngineError::Busy(path()).into(), 409, "conflict"),
            (EngineError::NotAPackage(path()).into(), 409, "conflict"),
            (EngineError::Nothing("nothing matches".into()).into(), 422, "nothing-to-write"),
            (EngineError::Choice("no such shape".into()).into(), 422, "choice"),
            (EngineError::bug("secret").into(), 500, "internal"),
            (EngineError::Failed { what: "a file", source: full() }.into(), 507, "storage-full"),
            (Error::System { what: "random bytes", reason: "secret".into() }, 500, "internal"),
            (Error::Choice("no such node".into()), 422, "choice"),
            (
                EngineError::NotWhole { path: path(), reason: "secret".into() }.into(),
                500,
                "damaged",
            ),
            (
                EngineError::Objects {
                    doing: "read",
                    object: "secret/1".into(),
                    reason: "a secret key".into(),
                }
                .into(),
                500,
                "internal",
            ),
            (Error::NameTaken { name: "a".into(), free: "a-2".into() }, 409, "name-taken"),
            (Error::NotFound { what: "job", name: "7".into() }, 404, "not-found"),
            (Error::Store(StoreError::Full), 507, "storage-full"),
            (Error::Store(StoreError::Damaged("secret".into())), 500, "damaged"),
            (Error::STOPPED, 503, "unavailable"),
            (Error::NotSignedIn("the token has expired"), 401, "unauthenticated"),
            (Error::NotGranted(Grant::Share), 403, "insufficient-scope"),
            (Error::NotAllowed(ProjectRole::Admin), 403, "forbidden"),
            (Error::Forbidden("not by a token"), 403, "forbidden"),
            (Error::TooMany("too many exports".into()), 429, "rate-limited"),
            (Error::Conflict("it has ended".into()), 409, "conflict"),
        ];
        for (error, status, slug) in table {
            let told = error.to_string();
            let problem = Problem::from(error);
            assert_eq!((problem.kind().status, problem.kind().slug), (status, slug), "{told}");
            let body = problem.json(None);
            assert!(!body.contains("secret"), "{told}: {body}");
        }
    }

    #[test]
    fn a_name_in_use_tells_a_free_one() {
        let error = Error::NameTaken { name: "a".into(), free: "a-2".into() };
        let body = Problem::from(error).json(None);
        assert!(body.contains(r#""free":"a-2""#), "{body}");
    }
}
