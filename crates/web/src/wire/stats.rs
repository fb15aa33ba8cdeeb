//! What is in items, counted.

use std::collections::BTreeMap;

use retort_model::SeenLengths;
use retort_service::{Contents as Counted, DuplicateCounts, ItemStats, Stats as Kept};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;

/// What the selected items contain, and the items that a dataset of them would contain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// In the items that are selected.
    pub selected: Contents,
    /// In the items that a dataset would contain, after redaction.
    pub written: Contents,
    /// Records of the dataset.
    pub records: u64,
    /// Items that a dataset would leave out, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Items that could not be read.
    pub refused: u64,
    /// How many of the selected items are duplicates; none if they were not looked for.
    pub duplicates: Option<Duplicates>,
}

impl From<&Kept> for Stats {
    fn from(stats: &Kept) -> Self {
        let Counted { selected, written } = &stats.contents;
        let account = &stats.found.account;
        let left_out = account.left_out.iter();
        Self {
            selected: selected.into(),
            written: written.into(),
            records: account.records,
            left_out: left_out.map(|(why, count, _)| (why.as_str().to_owned(), count)).collect(),
            refused: account.refused,
            duplicates: stats.duplicates.map(Into::into),
        }
    }
}

/// How many items are duplicates of others.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Duplicates {
    /// Items that say the same as another, except for case and white space.
    pub exact: u64,
    /// Items that are at least 90 % similar to another, or its beginning. 0 if only exact ones were looked for.
    pub near: u64,
}

impl From<DuplicateCounts> for Duplicates {
    fn from(DuplicateCounts { exact, near }: DuplicateCounts) -> Self {
        Self { exact, near }
    }
}

/// What items contain. At most 1,000 different names are counted separately.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Contents {
    /// Items that were read.
    pub items: u64,
    /// How many of them were fully understood.
    pub understood: u64,
    /// Items by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Rounds of conversations, and nodes of runs.
    pub rounds: u64,
    /// Conversations with other answers or edits besides the path that is shown.
    pub branched: u64,
    /// Messages of users.
    pub turns: u64,
    /// Tokens as the sources counted them.
    pub tokens: UsedTokens,
    /// Messages by role.
    pub roles: BTreeMap<String, u64>,
    /// Parts other than text, by kind.
    pub attachments: BTreeMap<String, u64>,
    /// Answers with reasoning.
    pub reasoning: u64,
    /// Calls by the name of the tool.
    pub calls: BTreeMap<String, u64>,
    /// Results of calls.
    pub results: u64,
    /// Calls without a result.
    pub calls_without_result: u64,
    /// Definitions of tools.
    pub tools: u64,
    /// Ratings of answers.
    pub ratings: u64,
    /// Answers or runs that failed or were cut off.
    pub failed: u64,
    /// Models, with the rounds that name them, or else the conversations.
    pub models: BTreeMap<String, u64>,
    /// Conversations by the code of their language, if it is certain.
    pub languages: BTreeMap<String, u64>,
    /// Items by the month in which they began, as `2026-11`.
    pub months: BTreeMap<String, u64>,
    /// When the first item began, RFC 3339.
    pub first: Option<String>,
    /// When the last item began.
    pub last: Option<String>,
    /// Items without a date.
    pub undated: u64,
    /// Messages in each conversation, nodes in each run, chunks in each document.
    pub messages_each: Lengths,
    /// Characters per item.
    pub characters_each: Lengths,
    /// What was not understood, by its path without numbers.
    pub not_understood: BTreeMap<String, NotUnderstood>,
}

impl From<&ItemStats> for Contents {
    fn from(item_stats: &ItemStats) -> Self {
        let unknown = item_stats.not_understood.iter().map(|(path, one)| {
            (path.clone(), NotUnderstood { count: one.count, first: one.first.clone() })
        });
        Self {
            items: item_stats.items,
            understood: item_stats.understood,
            kinds: item_stats.kinds.clone(),
            rounds: item_stats.rounds,
            branched: item_stats.branched,
            turns: item_stats.turns,
            tokens: UsedTokens {
                conversations: item_stats.tokens.conversations,
                input: item_stats.tokens.input,
                output: item_stats.tokens.output,
            },
            roles: item_stats.roles.clone(),
            attachments: item_stats.attachments.clone(),
            reasoning: item_stats.reasoning,
            calls: item_stats.calls.clone(),
            results: item_stats.results,
            calls_without_result: item_stats.calls_without_result,
            tools: item_stats.tools,
            ratings: item_stats.ratings,
            failed: item_stats.failed,
            models: item_stats.models.clone(),
            languages: item_stats.languages.clone(),
            months: item_stats.months.clone(),
            first: moment(item_stats.first),
            last: moment(item_stats.last),
            undated: item_stats.undated,
            messages_each: (&item_stats.messages_each).into(),
            characters_each: (&item_stats.characters_each).into(),
            not_understood: unknown.collect(),
        }
    }
}

/// Tokens as sources counted them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UsedTokens {
    /// Conversations that report tokens.
    pub conversations: u64,
    /// Prompt tokens.
    pub input: u64,
    /// Answer tokens.
    pub output: u64,
}

/// How long items are. Percentiles are exact to three digits, rounded up.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Lengths {
    /// Of all together.
    pub total: u64,
    /// The median.
    pub median: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// Of the longest.
    pub longest: u64,
}

impl From<&SeenLengths> for Lengths {
    fn from(lengths: &SeenLengths) -> Self {
        let [median, p90, p99] = [50, 90, 99].map(|percent| lengths.percentile(percent));
        Self { total: lengths.total, median, p90, p99, longest: lengths.longest }
    }
}

/// Something that was not understood.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NotUnderstood {
    /// How often it occurs.
    pub count: u64,
    /// The id of the first item with it.
    pub first: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_and_the_api_describe_items_in_the_same_way() {
        let mut counted = ItemStats { items: 3, ..ItemStats::default() };
        counted.messages_each.add(1234, 0);
        counted.not_understood.entry("content[].type".into()).or_default().count = 2;
        assert_eq!(serde_json::to_value(Contents::from(&counted)).unwrap(), counted.to_json());
    }
}
