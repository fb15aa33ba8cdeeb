//! Which documents are meant.

use std::collections::BTreeSet;

use super::field::{Filter, FilterField, FilterValues, add, limit, list, one, time};
use super::range::DateRange;
use crate::item::ItemKind;

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

impl Filter for DocumentFilter {
    const KIND: ItemKind = ItemKind::Document;
    const NAME: &'static str = "DocumentFilter";
    const FIELDS: &'static [FilterField<Self>] = &[
        list!(
            "search",
            "Only documents with this text in the name, URL or path",
            FilterValues::Text,
            search
        ),
        one!(
            "created_from",
            "Only documents added to their source at or after this date or time",
            FilterValues::Time,
            created.from,
            time
        ),
        one!(
            "created_before",
            "Only documents added to their source before this date or time",
            FilterValues::Time,
            created.before,
            time
        ),
        list!("id", "Only the document with this id", FilterValues::Text, ids)
            .formerly(&["ids"], &[]),
        one!(
            "limit",
            "At most this many documents, newest first",
            FilterValues::Limit,
            limit,
            limit
        ),
    ];
}
