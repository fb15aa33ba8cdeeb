//! Counts beside a list: how the conversations that a filter means are spread over the values of its fields.

use std::collections::BTreeMap;

use retort_model::bounds::{FACET_ITEMS, FACET_VALUES};
use retort_model::{ConversationFilter, Grant, condition};
use retort_store::FacetRow;

use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// How conversations are spread over the values of some fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// How many conversations were counted: all that match, or the newest of them.
    pub counted: u64,
    /// Whether more may match than were counted.
    pub has_more: bool,
    /// The fields that have values.
    pub fields: Vec<Facet>,
}

/// The values of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The field; `month` is a range of `created_from` and `created_before`.
    pub field: &'static str,
    /// The most frequent values; ranges and months in their order.
    pub values: Vec<FacetValue>,
}

/// One value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetValue {
    /// The value, as lists show it.
    pub value: String,
    /// How many of the counted conversations have it.
    pub count: u64,
    /// What to add to a query to find those that have it.
    pub query: String,
}

/// Ranges of numbers, as filters have them.
const TURNS: &[(&str, u64)] =
    &[("0", 0), ("1", 1), ("2", 2), ("3..5", 5), ("6..10", 10), ("11..50", 50), ("51..", u64::MAX)];
const TOKENS: &[(&str, u64)] = &[
    ("1..1000", 1_000),
    ("1001..10000", 10_000),
    ("10001..100000", 100_000),
    ("100001..", u64::MAX),
];

impl Service {
    /// How the conversations that a filter means are spread over the values of its fields. Of many, the newest are
    /// counted.
    pub fn facets(&self, caller: &Caller, filter: &ConversationFilter) -> Result<Facets, Error> {
        caller.needs(Grant::Read)?;
        let mut counting = Counting::default();
        let scope = caller.scope();
        let has_more =
            self.store.each_facet_row(&scope, filter, FACET_ITEMS, &mut |row| counting.add(row))?;
        Ok(Facets { counted: counting.rows, has_more, fields: counting.facets() })
    }
}

/// Counts of values, by their text.
type Values = BTreeMap<String, u64>;

#[derive(Default)]
struct Counting {
    rows: u64,
    by_name: BTreeMap<&'static str, Values>,
    turns: BTreeMap<usize, u64>,
    tokens: BTreeMap<usize, u64>,
    months: BTreeMap<(i32, u8), u64>,
}

/// Fields of names, in the order in which they are shown.
const NAMES: &[&str] = &[
    "type",
    "status",
    "tag",
    "model",
    "owner",
    "format",
    "tool",
    "language",
    "rating",
    "judged",
    "judged_by",
    "has_error",
];

impl Counting {
    fn add(&mut self, row: &FacetRow) {
        self.rows += 1;
        self.name("type", row.kind.as_str());
        self.name("status", row.status.as_str());
        self.name("format", &row.source);
        self.name("has_error", if row.has_error { "true" } else { "false" });
        row.tags.iter().for_each(|tag| self.name("tag", tag));
        row.models.iter().for_each(|model| self.name("model", model));
        row.tools.iter().for_each(|tool| self.name("tool", tool));
        row.ratings.iter().for_each(|rating| self.name("rating", rating.as_str()));
        self.name("judged", if row.judges.is_empty() { "false" } else { "true" });
        row.judges.iter().for_each(|judge| self.name("judged_by", judge));
        row.owner.iter().for_each(|owner| self.name("owner", owner));
        row.language.iter().for_each(|code| self.name("language", code));
        *self.turns.entry(range_of(TURNS, row.turns)).or_default() += 1;
        if row.tokens > 0 {
            *self.tokens.entry(range_of(TOKENS, row.tokens)).or_default() += 1;
        }
        let month = row.created_at.map(|time| time.to_string());
        if let Some(month) = month.as_deref().and_then(crate::analysis::month) {
            *self.months.entry(month).or_default() += 1;
        }
    }

    fn name(&mut self, field: &'static str, value: &str) {
        if value.is_empty() {
            return;
        }
        let values = self.by_name.entry(field).or_default();
        match values.get_mut(value) {
            Some(count) => *count += 1,
            None => {
                values.insert(value.to_owned(), 1);
            }
        }
    }

    fn facets(mut self) -> Vec<Facet> {
        let mut facets = Vec::new();
        for &field in NAMES {
            let values = self.by_name.remove(field).unwrap_or_default();
            // That nothing failed says nothing, nor that nobody has begun to judge.
            if ["has_error", "judged"].contains(&field) && !values.contains_key("true") {
                continue;
            }
            let mut values: Vec<_> = values.into_iter().collect();
            values.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            let values = values.into_iter().filter_map(|(value, count)| {
                let query = condition(field, &value)?;
                Some(FacetValue { value, count, query })
            });
            facets.push(Facet { field, values: values.take(FACET_VALUES).collect() });
        }
        for (field, ranges, counts) in
            [("turns", TURNS, self.turns), ("tokens", TOKENS, self.tokens)]
        {
            let value = |(place, count): (usize, u64)| {
                let (range, _) = ranges.get(place)?;
                Some(FacetValue {
                    value: (*range).to_owned(),
                    count,
                    query: condition(field, range)?,
                })
            };
            facets.push(Facet { field, values: counts.into_iter().filter_map(value).collect() });
        }
        let months = self.months.into_iter().rev().take(FACET_VALUES);
        let months = months.map(|((year, month), count)| {
            let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            FacetValue {
                value: format!("{year:04}-{month:02}"),
                count,
                query: format!(
                    "created_from:{year:04}-{month:02}-01 created_before:{next_year:04}-{next:02}-01"
                ),
            }
        });
        facets.push(Facet { field: "month", values: months.collect() });
        facets.retain(|facet| !facet.values.is_empty());
        facets
    }
}

fn range_of(ranges: &[(&str, u64)], number: u64) -> usize {
    ranges.iter().position(|(_, most)| number <= *most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use retort_model::{Query, Time};

    use super::*;

    #[test]
    fn every_count_has_a_query_that_finds_what_it_counts() {
        let row = FacetRow {
            source: "openai".into(),
            owner: Some("ann@example.org".into()),
            tags: vec!["to review".into(), "a \"b\"".into(), "done".into()],
            models: vec!["gpt-4o".into()],
            tools: vec!["search".into()],
            language: Some("en".into()),
            has_error: true,
            turns: 4,
            tokens: 1200,
            created_at: Time::parse("2025-12-31T12:00:00Z").ok(),
            ..FacetRow::default()
        };
        let mut counting = Counting::default();
        counting.add(&row);
        counting.add(&FacetRow { turns: 60, ..FacetRow::default() });
        let facets = counting.facets();
        let told: Vec<_> = facets
            .iter()
            .map(|facet| {
                let values = facet.values.iter().map(|one| format!("{} {}", one.query, one.count));
                format!("{}: {}", facet.field, values.collect::<Vec<_>>().join(", "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "type: type:chat 2",
                "status: status:active 2",
                "tag: tag:done 1, tag:\"to review\" 1",
                "model: model:gpt-4o 1",
                "owner: owner:ann@example.org 1",
                "format: format:openai 1",
                "tool: tool:search 1",
                "language: language:en 1",
                "has_error: has_error:false 1, has_error:true 1",
                "turns: turns:3..5 1, turns:51.. 1",
                "tokens: tokens:1001..10000 1",
                "month: created_from:2025-12-01 created_before:2026-01-01 1",
            ]
        );
        for value in facets.iter().flat_map(|facet| &facet.values) {
            value.query.parse::<Query>().unwrap();
        }
    }
}
