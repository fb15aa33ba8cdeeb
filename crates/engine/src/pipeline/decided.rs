//! What a survey decided.

use super::repeats::Decisions;
use crate::dedup::Duplicates;
use crate::sampling::Sampled;
use crate::split_groups::Splits;

/// What was decided on all items. By default, nothing.
#[derive(Default)]
pub struct Survey {
    /// On repeated ids.
    pub repeats: Option<Decisions>,
    /// On duplicates.
    pub duplicates: Option<Duplicates>,
    /// On which items are in the sample.
    pub sampled: Option<Sampled>,
    /// On which output an item goes to.
    pub splits: Option<Splits>,
}
