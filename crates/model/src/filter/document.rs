//! Which documents are meant.

use std::collections::BTreeSet;

use super::DateRange;

/// A choice of documents: all that match, at most `limit` of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Texts sought in name, address and path, whatever their case.
    pub search: Vec<String>,
    /// When they were taken in at the source.
    pub created: DateRange,
    /// Ids; none means all.
    pub ids: BTreeSet<String>,
    /// At most this many, the newest.
    pub limit: Option<u64>,
}
