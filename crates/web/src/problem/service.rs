//! What the service refuses, as problems.

use std::io;

use retort_service::{Error, StoreError};

use super::{Problem, RETRY, kinds};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = match &error {
            Error::NotFound { .. } => return Self::new(&kinds::NOT_FOUND, error.to_string()),
            Error::NameTaken { free, .. } => {
                return Self::new(&kinds::NAME_TAKEN, error.to_string()).with("free", &**free);
            }
            Error::Choice(why) | Error::Strict(why) => return Self::unprocessable(&**why),
            Error::Nothing(why) => return Self::new(&kinds::NOTHING, &**why),
            Error::NotSignedIn(why) => return Self::unauthenticated(*why),
            Error::NotGranted(grant) => return Self::insufficient_scope(grant.as_str()),
            Error::NotAllowed(role) => {
                return Self::forbidden(error.to_string()).with("role", role.as_str());
            }
            Error::Forbidden(why) => return Self::forbidden(*why),
            Error::TooMany(why) => return Self::new(&kinds::RATE_LIMITED, &**why).retry(RETRY),
            Error::Conflict(why) => return Self::conflict(&**why),
            Error::Stopped | Error::Store(StoreError::Stopped) => {
                return Self::unavailable("it was stopped before it was done", RETRY);
            }
            Error::Store(store) if store.may_pass() => {
                return Self::unavailable("the store is busy or cannot be reached", RETRY)
                    .because(&error);
            }
            Error::Unpack { name, source } if is_damage(source) => {
                // Only the last part: the rest may be a path of this machine.
                let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
                let detail = format!("`{name}` is damaged, or unpacks beyond what is allowed");
                return Self::new(&kinds::UNREADABLE, detail).because(&error);
            }
            Error::Read { source, .. }
            | Error::Write { source, .. }
            | Error::Unpack { source, .. } => {
                if is_full(source) {
                    return Self::full().because(&error);
                }
                return Self::internal(&error);
            }
            Error::Store(StoreError::Full) => return Self::full().because(&error),
            Error::Store(StoreError::Damaged(_)) => {
                return Self::new(&kinds::DAMAGED, "what the store keeps of it is damaged")
                    .because(&error);
            }
            Error::Store(_) | Error::Objects { .. } => return Self::internal(&error),
            Error::NotWhole { .. } => {
                return Self::new(&kinds::DAMAGED, "the dataset's files are not whole")
                    .because(&error);
            }
            // What the panic said may hold text of a conversation.
            Error::Bug { .. } => return Self::internal(error.for_log()),
            Error::Exists(_) => "the output is there already",
            Error::Busy(_) => "another run is writing the same output",
            Error::NotAPackage(_) => "the output's place holds something else, which stays",
        };
        Self::conflict(detail).because(&error)
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
        let table = [
            (Error::Read { path: path(), source: other() }, 500, "internal"),
            (Error::Write { path: path(), source: other() }, 500, "internal"),
            (Error::Write { path: path(), source: full() }, 507, "storage-full"),
            (Error::Unpack { name: "/srv/secret/a.zip".into(), source: bad }, 422, "unreadable"),
            (Error::Unpack { name: "secret rows".into(), source: other() }, 500, "internal"),
            (Error::Unpack { name: "secret rows".into(), source: full() }, 507, "storage-full"),
            (Error::Exists(path()), 409, "conflict"),
            (Error::Busy(path()), 409, "conflict"),
            (Error::NotAPackage(path()), 409, "conflict"),
            (Error::Nothing("nothing matches".into()), 422, "nothing-to-write"),
            (Error::Choice("no such node".into()), 422, "choice"),
            (Error::NotWhole { path: path(), reason: "secret".into() }, 500, "damaged"),
            (
                Error::Objects {
                    doing: "read",
                    object: "secret/1".into(),
                    reason: "a secret key".into(),
                },
                500,
                "internal",
            ),
            (Error::NameTaken { name: "a".into(), free: "a-2".into() }, 409, "name-taken"),
            (Error::NotFound { what: "job", name: "7".into() }, 404, "not-found"),
            (Error::Store(StoreError::Full), 507, "storage-full"),
            (Error::Store(StoreError::Damaged("secret".into())), 500, "damaged"),
            (Error::Stopped, 503, "unavailable"),
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
