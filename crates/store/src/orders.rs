//! The sort orders of the lists of conversations, runs and documents. Each order, except those by
//! time, has an index by the same expression in `schema/0022.sql` or `schema/0025.sql`.

use crate::columns::{UNKNOWN, micros, whole};
use crate::dialect::DOCUMENT_NAME;
use crate::document_summary::DocumentSummary;
use crate::order::{LEAST, ListItem, ListOrder, Sort, SortKey};
use crate::run_summary::RunSummary;
use crate::summary::Summary;

/// How a list of conversations is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// The most recently changed first.
    Changed,
    /// The least recently changed first.
    Unchanged,
    /// By title, from A to Z.
    Title,
    /// By title, from Z to A.
    TitleDown,
    /// The most messages of the user first.
    MostTurns,
    /// The fewest messages of the user first.
    FewestTurns,
    /// The most tokens first, as the source counted them.
    MostTokens,
    /// The fewest tokens first.
    FewestTokens,
    /// The highest score of an answer first; conversations without a score come last.
    BestScore,
}

/// How a list of runs is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunOrder {
    /// The most recently started first.
    #[default]
    Newest,
    /// The earliest started first.
    Oldest,
    /// The longest first; runs without an end come last.
    Slowest,
    /// The highest score first; runs without a score come last.
    BestScore,
    /// The lowest score first; runs without a score come last.
    WorstScore,
}

/// How a list of documents is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocumentOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// By name, from A to Z.
    Name,
    /// By name, from Z to A.
    NameDown,
    /// The most chunks first.
    MostChunks,
    /// The fewest chunks first.
    FewestChunks,
}

impl ListItem for Summary {
    fn key(&self) -> i64 {
        self.key
    }
}

impl ListItem for RunSummary {
    fn key(&self) -> i64 {
        self.key
    }
}

impl ListItem for DocumentSummary {
    fn key(&self) -> i64 {
        self.key
    }
}

impl ListOrder for Order {
    type Item = Summary;

    const ALL: &'static [Self] = &[
        Self::Newest,
        Self::Oldest,
        Self::Changed,
        Self::Unchanged,
        Self::Title,
        Self::TitleDown,
        Self::MostTurns,
        Self::FewestTurns,
        Self::MostTokens,
        Self::FewestTokens,
        Self::BestScore,
    ];

    fn sort(self) -> Sort<Summary> {
        let created = SortKey::Number("c.created_at", |one: &Summary| micros(one.created_at));
        let changed = SortKey::Number("c.updated_at", |one: &Summary| micros(one.updated_at));
        let title = SortKey::Title("c.title", |one: &Summary| one.title.as_deref());
        let turns = SortKey::Number("c.turns", |one: &Summary| whole(one.turns));
        let tokens = SortKey::Number("c.tokens", |one: &Summary| whole(one.tokens));
        let score =
            SortKey::Number("COALESCE(c.most_score, -9223372036854775807)", |one: &Summary| {
                one.score.unwrap_or(LEAST)
            });
        match self {
            Self::Newest => Sort::descending("newest", "newest first", created),
            Self::Oldest => Sort::ascending("oldest", "oldest first", created),
            Self::Changed => Sort::descending("changed", "most recently changed first", changed),
            Self::Unchanged => {
                Sort::ascending("unchanged", "least recently changed first", changed)
            }
            Self::Title => Sort::ascending("title", "title, A to Z", title),
            Self::TitleDown => Sort::descending("title-down", "title, Z to A", title),
            Self::MostTurns => Sort::descending("most-turns", "most turns first", turns),
            Self::FewestTurns => Sort::ascending("fewest-turns", "fewest turns first", turns),
            Self::MostTokens => Sort::descending("most-tokens", "most tokens first", tokens),
            Self::FewestTokens => Sort::ascending("fewest-tokens", "fewest tokens first", tokens),
            Self::BestScore => Sort::descending("best-score", "highest score first", score),
        }
    }
}

impl ListOrder for RunOrder {
    type Item = RunSummary;

    const ALL: &'static [Self] =
        &[Self::Newest, Self::Oldest, Self::Slowest, Self::BestScore, Self::WorstScore];

    fn sort(self) -> Sort<RunSummary> {
        let started = SortKey::Number("c.started_at", |one: &RunSummary| micros(one.started_at));
        let took = SortKey::Number(
            "CASE WHEN c.started_at > -9223372036854775807 AND c.finished_at > -9223372036854775807 \
             THEN c.finished_at - c.started_at ELSE -9223372036854775807 END",
            |one: &RunSummary| match (micros(one.started_at), micros(one.finished_at)) {
                (UNKNOWN, _) | (_, UNKNOWN) => LEAST,
                (from, to) => to.saturating_sub(from),
            },
        );
        match self {
            Self::Newest => Sort::descending("newest", "newest first", started),
            Self::Oldest => Sort::ascending("oldest", "oldest first", started),
            Self::Slowest => Sort::descending("slowest", "slowest first", took),
            Self::BestScore => Sort::descending(
                "best-score",
                "highest score first",
                SortKey::Number("COALESCE(c.most_score, -9223372036854775807)", |one| {
                    one.scores.map_or(LEAST, |[_, most]| most)
                }),
            ),
            Self::WorstScore => Sort::ascending(
                "worst-score",
                "lowest score first",
                SortKey::Number("COALESCE(c.least_score, 9223372036854775807)", |one| {
                    one.scores.map_or(i64::MAX, |[least, _]| least)
                }),
            ),
        }
    }
}

impl ListOrder for DocumentOrder {
    type Item = DocumentSummary;

    const ALL: &'static [Self] = &[
        Self::Newest,
        Self::Oldest,
        Self::Name,
        Self::NameDown,
        Self::MostChunks,
        Self::FewestChunks,
    ];

    fn sort(self) -> Sort<DocumentSummary> {
        let created =
            SortKey::Number("c.created_at", |one: &DocumentSummary| micros(one.created_at));
        let name = SortKey::Title(DOCUMENT_NAME, |one: &DocumentSummary| Some(one.called()));
        let chunks = SortKey::Number("c.chunks", |one: &DocumentSummary| whole(one.chunks));
        match self {
            Self::Newest => Sort::descending("newest", "newest first", created),
            Self::Oldest => Sort::ascending("oldest", "oldest first", created),
            Self::Name => Sort::ascending("name", "name, A to Z", name),
            Self::NameDown => Sort::descending("name-down", "name, Z to A", name),
            Self::MostChunks => Sort::descending("most-chunks", "most chunks first", chunks),
            Self::FewestChunks => Sort::ascending("fewest-chunks", "fewest chunks first", chunks),
        }
    }
}
