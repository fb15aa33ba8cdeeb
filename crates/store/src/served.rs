//! Whose jobs were taken last, so that people take turns.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// People of whom it is remembered when a job of theirs was last taken.
const REMEMBERED: usize = 1000;

/// Someone who asks for jobs: a project and a name.
pub(crate) type Asker = (i64, String);

/// Whose jobs this process took, and in which order.
#[derive(Default)]
pub(crate) struct Served(Mutex<HashMap<Asker, u64>>);

impl Served {
    pub(crate) fn last(&self, asker: &Asker) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(asker).copied()
    }

    pub(crate) fn note(&self, asker: Asker) {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = served.values().max().map_or(0, |last| last + 1);
        if served.len() >= REMEMBERED {
            served.retain(|_, last| next - *last < REMEMBERED as u64 / 2);
        }
        served.insert(asker, next);
    }
}
