//! What a filter's conversations are like: over time, by kind, model, status and tag, in length, tokens and feedback.

use std::collections::BTreeMap;

use retort_model::bounds::{ANALYSED_BODIES, ANALYSED_BYTES, ANALYSED_ROWS};
use retort_model::{ConversationFilter, Grant};
use retort_store::{ConversationStats, Counted, Order};

use crate::browse::read;
use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// How many conversations have each of some values.
pub type Counts = Vec<(String, u64)>;

/// Bars that are shown of models and tags; the rest is counted together.
const TOP: usize = 12;

/// Ends of the classes of lengths, in messages.
const LENGTHS: [u64; 7] = [2, 4, 8, 16, 32, 64, u64::MAX];

/// What a filter's conversations are like.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// How many were looked at.
    pub total: u64,
    /// How many there are, if only the most recent were looked at.
    pub all: Option<Counted>,
    /// By the month in which they began, in order, with those between that have none.
    pub months: Counts,
    /// Whose beginning is not known.
    pub undated: u64,
    /// By type.
    pub kinds: Counts,
    /// By status.
    pub statuses: Counts,
    /// By model, the most frequent first.
    pub models: Counts,
    /// By tag, the most frequent first; a conversation may have several.
    pub tags: Counts,
    /// By length in messages.
    pub lengths: Counts,
    /// Messages in all.
    pub messages: u64,
    /// What was read whole.
    pub read: Read,
}

/// What the most recent conversations say within, where reading all would take too long.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// How many were read.
    pub conversations: u64,
    /// Of them, those that tell tokens.
    pub with_tokens: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// By tokens, in and out together.
    pub tokens: Counts,
    /// Answers by what people thought of them.
    pub feedback: Counts,
}

/// Ends of the classes of tokens.
const TOKENS: [u64; 6] = [500, 2_000, 8_000, 32_000, 128_000, u64::MAX];

impl Service {
    /// What the conversations that a filter matches are like: all of them if `is_exact`, however long it takes, else the most
    /// recent.
    pub fn analysis(
        &self,
        caller: &Caller,
        selection: &ConversationFilter,
        is_exact: bool,
    ) -> Result<Analysis, Error> {
        caller.needs(Grant::Read)?;
        let scope = caller.scope();
        let mut analysis = Analysis::default();
        let mut months: BTreeMap<(i32, u8), u64> = BTreeMap::new();
        let (mut kinds, mut statuses) = (BTreeMap::new(), BTreeMap::new());
        let (mut models, mut tags) =
            (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
        let mut lengths = [0; LENGTHS.len()];
        let mut count = |stats: ConversationStats| {
            analysis.total += 1;
            analysis.messages += stats.messages;
            match stats.created_at.map(|time| time.to_string()).as_deref().and_then(month) {
                Some(month) => *months.entry(month).or_default() += 1,
                None => analysis.undated += 1,
            }
            *kinds.entry(stats.kind).or_insert(0) += 1;
            *statuses.entry(stats.status).or_insert(0) += 1;
            if let Some(model) = stats.model {
                *models.entry(model).or_default() += 1;
            }
            for tag in stats.tags {
                *tags.entry(tag).or_default() += 1;
            }
            let class = LENGTHS.iter().position(|&end| stats.messages <= end).unwrap_or(0);
            if let Some(count) = lengths.get_mut(class) {
                *count += 1;
            }
        };
        let has_more = if is_exact {
            self.store.each_conversation_stats(&scope, selection, &mut count)?;
            false
        } else {
            self.store.each_recent_stats(&scope, selection, ANALYSED_ROWS, &mut count)?
        };
        if has_more {
            analysis.all = Some(self.store.count_quickly(&scope, selection)?);
        }
        analysis.months = every_month(&months);
        analysis.kinds = kinds.into_iter().map(|(kind, n)| (kind.to_string(), n)).collect();
        analysis.statuses =
            statuses.into_iter().map(|(status, n)| (status.to_string(), n)).collect();
        analysis.models = top(models);
        analysis.tags = top(tags);
        analysis.lengths = classes(&LENGTHS, &lengths);
        analysis.read = self.read_most_recent(caller, selection)?;
        Ok(analysis)
    }

    fn read_most_recent(
        &self,
        caller: &Caller,
        selection: &ConversationFilter,
    ) -> Result<Read, Error> {
        let mut read_ = Read::default();
        let mut tokens = [0; TOKENS.len()];
        let mut feedback = BTreeMap::<String, u64>::new();
        let page =
            self.store.list(&caller.scope(), selection, Order::Newest, None, ANALYSED_BODIES)?;
        let mut unpacker = self.store.unpacker();
        let mut bytes = 0;
        for summary in &page.conversations {
            bytes += summary.size;
            if bytes > ANALYSED_BYTES {
                break;
            }
            let Some(line) = self.store.line(summary, &mut unpacker)? else { continue };
            let conversation = read(summary, &line)?;
            read_.conversations += 1;
            let (mut input, mut output, mut tells) = (0, 0, false);
            for round in &conversation.rounds {
                tells |= round.usage.input_tokens.is_some() || round.usage.output_tokens.is_some();
                input += round.usage.input_tokens.unwrap_or(0);
                output += round.usage.output_tokens.unwrap_or(0);
                for given in round.messages.iter().filter_map(|message| message.feedback.as_ref()) {
                    let rating =
                        given.rating.as_ref().map(|rating| rating.as_str().trim_matches('"'));
                    let label = given.label.as_ref().map(|label| label.decoded().into_owned());
                    let word =
                        rating.map(str::to_owned).or(label).unwrap_or_else(|| "comment".into());
                    *feedback.entry(word).or_default() += 1;
                }
            }
            if tells {
                read_.with_tokens += 1;
                read_.input_tokens += input;
                read_.output_tokens += output;
                let class = TOKENS.iter().position(|&end| input + output <= end).unwrap_or(0);
                if let Some(count) = tokens.get_mut(class) {
                    *count += 1;
                }
            }
        }
        read_.tokens = classes(&TOKENS, &tokens);
        read_.feedback = top(feedback);
        Ok(read_)
    }
}

/// Year and month of a moment as it is written.
pub(crate) fn month(text: &str) -> Option<(i32, u8)> {
    let (year, rest) = text.split_at_checked(4)?;
    Some((year.parse().ok()?, rest.get(1..3)?.parse().ok()?))
}

/// The months from the first to the last; the years instead where there would be too many.
fn every_month(found: &BTreeMap<(i32, u8), u64>) -> Counts {
    const MOST: i32 = 60;
    let (Some((first, _)), Some((last, _))) = (found.first_key_value(), found.last_key_value())
    else {
        return Vec::new();
    };
    let number = |(year, month): (i32, u8)| year * 12 + i32::from(month) - 1;
    let (first, last) = (number(*first), number(*last));
    if last - first < MOST {
        return (first..=last)
            .map(|at| {
                let (year, month) = (at.div_euclid(12), at.rem_euclid(12) + 1);
                let key = (year, u8::try_from(month).unwrap_or(0));
                (format!("{year:04}-{month:02}"), found.get(&key).copied().unwrap_or(0))
            })
            .collect();
    }
    let mut years = BTreeMap::<i32, u64>::new();
    for ((year, _), count) in found {
        *years.entry(*year).or_default() += count;
    }
    years.into_iter().map(|(year, count)| (format!("{year:04}"), count)).collect()
}

/// The most frequent, and the rest together.
fn top(found: BTreeMap<String, u64>) -> Counts {
    let mut all: Counts = found.into_iter().collect();
    all.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
    let rest: u64 = all.iter().skip(TOP).map(|(_, count)| count).sum();
    let others = all.len().saturating_sub(TOP);
    all.truncate(TOP);
    if others > 0 {
        all.push((format!("{others} others"), rest));
    }
    all
}

fn classes(ends: &[u64], counts: &[u64]) -> Counts {
    let mut from = 0;
    ends.iter()
        .zip(counts)
        .map(|(&end, &count)| {
            let name = match end {
                u64::MAX => format!("{from} or more"),
                end => format!("{from} to {end}"),
            };
            from = end.saturating_add(1);
            (name, count)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_without_conversations_stand_between_those_with() {
        let found = BTreeMap::from([((2023, 11), 2), ((2024, 1), 1)]);
        let months = every_month(&found);
        let expect = [("2023-11", 2), ("2023-12", 0), ("2024-01", 1)];
        assert_eq!(months, expect.map(|(name, count)| (name.to_owned(), count)));
        let found = BTreeMap::from([((1970, 1), 2), ((2024, 1), 1)]);
        assert_eq!(every_month(&found), [("1970".to_owned(), 2), ("2024".to_owned(), 1)]);
    }

    #[test]
    fn what_is_rare_is_counted_together() {
        let found = (0..15).map(|n| (format!("{n:02}"), if n == 3 { 9 } else { 1 })).collect();
        let top = top(found);
        assert_eq!(top.len(), TOP + 1);
        assert_eq!(top[0], ("03".to_owned(), 9));
        assert_eq!(top[TOP], ("3 others".to_owned(), 3));
    }
}
