//! Requests that may come again: what creates something is done once for a key.

use std::time::Duration;

use retort_model::Grant;
use retort_model::bounds::{ANSWER_HOURS, ANSWER_STALE_SECONDS};
use retort_store::Begun;

use crate::caller::Caller;
use crate::clock::earlier;
use crate::error::Error;
use crate::service::Service;

impl Service {
    /// Begins a request under a key of the caller's, or says what was answered to it before. `fingerprint` tells
    /// requests apart. What was answered is for those alone who may still ask for it.
    ///
    /// # Errors
    /// The caller has not the grant that the request takes; those of the store.
    pub fn begin_answer(
        &self,
        caller: &Caller,
        grant: Grant,
        key: &str,
        fingerprint: &[u8; 32],
    ) -> Result<Begun, Error> {
        caller.needs(grant)?;
        let key = &in_project(caller, key);
        let now = self.clock.now();
        self.store.clear_answers(earlier(now, Duration::from_secs(60 * 60 * ANSWER_HOURS)))?;
        let stale = earlier(now, Duration::from_secs(ANSWER_STALE_SECONDS));
        Ok(self.store.begin_answer(caller.person.unwrap_or(0), key, fingerprint, now, stale)?)
    }

    /// Keeps what was answered; none if the request failed and may be begun again.
    pub fn end_answer(
        &self,
        caller: &Caller,
        key: &str,
        answer: Option<(u16, &str)>,
    ) -> Result<(), Error> {
        let key = &in_project(caller, key);
        let person = caller.person.unwrap_or(0);
        match answer {
            Some((status, body)) => {
                Ok(self.store.end_answer(person, key, i64::from(status), body)?)
            }
            None => Ok(self.store.drop_answer(person, key)?),
        }
    }
}

/// The key as the store keeps it: the same key in another project is another.
pub(crate) fn in_project(caller: &Caller, key: &str) -> String {
    format!("{}/{key}", caller.project.id)
}
