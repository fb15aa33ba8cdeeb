//! What is in a feed, counted: kinds, turns, roles, calls, tokens, models, languages, dates, lengths, and what was not
//! understood.

use std::collections::{BTreeMap, HashSet};

use retort_model::{
    Conversation, Document, Item, Message, Role, Run, SeenLengths, Time, Usage, language_of,
};
use serde_json::{Map, Value, json};

use super::item::ReadItem;

/// Names that are counted apart in each list. A person reads no more of them, and inputs may have any number.
const NAMES: usize = 1000;

/// Under which the rest is counted.
const OTHERS: &str = "(others)";

/// What is in a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemStats {
    /// Items that were read.
    pub items: u64,
    /// How many of them were wholly understood.
    pub understood: u64,
    /// Items by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Rounds of conversations, and nodes of runs.
    pub rounds: u64,
    /// Conversations with other answers or edits beside the path that is shown.
    pub branched: u64,
    /// Messages of users, on all branches.
    pub turns: u64,
    /// What sources say about tokens.
    pub tokens: Tokens,
    /// Messages by role. A word of the source that Retort does not know is there as it is.
    pub roles: BTreeMap<String, u64>,
    /// Parts other than text, by kind.
    pub attachments: BTreeMap<String, u64>,
    /// Answers with reasoning.
    pub reasoning: u64,
    /// Calls by the name of the tool.
    pub calls: BTreeMap<String, u64>,
    /// Results of calls.
    pub results: u64,
    /// Calls that no result names.
    pub calls_without_result: u64,
    /// Definitions of tools.
    pub tools: u64,
    /// Ratings of answers.
    pub ratings: u64,
    /// Answers or runs that failed or were cut off.
    pub failed: u64,
    /// Models, with the rounds that name them, or else the conversations.
    pub models: BTreeMap<String, u64>,
    /// Conversations by the code of their language, where it is sure.
    pub languages: BTreeMap<String, u64>,
    /// Items by the month in which they began, as `2026-11`.
    pub months: BTreeMap<String, u64>,
    /// Messages in each conversation, nodes in each run, chunks in each document.
    pub messages_each: SeenLengths,
    /// Characters in each item: what is said and called in a conversation, the question and the answer of a run, the text
    /// of a document.
    pub characters_each: SeenLengths,
    /// When the first item began.
    pub first: Option<Time>,
    /// When the last item began.
    pub last: Option<Time>,
    /// Items without a date.
    pub undated: u64,
    /// What was not understood, by its path without numbers, with the id of the first item.
    pub not_understood: BTreeMap<String, Unknown>,
}

/// Tokens as sources counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Conversations that tell tokens.
    pub conversations: u64,
    /// Tokens of prompts.
    pub input: u64,
    /// Tokens of answers.
    pub output: u64,
}

/// Something that was not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// How often it is there.
    pub count: u64,
    /// The id of the first item with it.
    pub first: String,
}

impl ItemStats {
    /// The counts as JSON. Lengths are told by their percentiles, moments as RFC 3339.
    pub fn to_json(&self) -> Value {
        let not_understood = self.not_understood.iter();
        let not_understood = not_understood
            .map(|(path, one)| (path.clone(), json!({"count": one.count, "first": one.first})));
        json!({
            "items": self.items,
            "understood": self.understood,
            "kinds": self.kinds,
            "rounds": self.rounds,
            "branched": self.branched,
            "turns": self.turns,
            "tokens": {
                "conversations": self.tokens.conversations,
                "input": self.tokens.input,
                "output": self.tokens.output,
            },
            "roles": self.roles,
            "attachments": self.attachments,
            "reasoning": self.reasoning,
            "calls": self.calls,
            "results": self.results,
            "calls_without_result": self.calls_without_result,
            "tools": self.tools,
            "ratings": self.ratings,
            "failed": self.failed,
            "models": self.models,
            "languages": self.languages,
            "months": self.months,
            "first": self.first.map(|time| time.to_string()),
            "last": self.last.map(|time| time.to_string()),
            "undated": self.undated,
            "messages_each": lengths(&self.messages_each),
            "characters_each": lengths(&self.characters_each),
            "not_understood": not_understood.collect::<Map<_, _>>(),
        })
    }
}

fn lengths(lengths: &SeenLengths) -> Value {
    let [median, p90, p99] = [50, 90, 99].map(|percent| lengths.percentile(percent));
    json!({"total": lengths.total, "median": median, "p90": p90, "p99": p99, "longest": lengths.longest})
}

/// The name under which to count another: [`OTHERS`] for a new one once there are too many.
fn counted_as<'n, T>(counts: &BTreeMap<String, T>, name: &'n str) -> &'n str {
    if counts.len() >= NAMES && !counts.contains_key(name) { OTHERS } else { name }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str, by: u64) {
    let name = counted_as(counts, name);
    match counts.get_mut(name) {
        Some(count) => *count += by,
        None => drop(counts.insert(name.to_owned(), by)),
    }
}

impl ItemStats {
    /// What is in the items of a batch.
    pub(super) fn of(items: &[ReadItem<'_>]) -> Self {
        let mut item_stats = Self::default();
        for one in items {
            item_stats.count(&one.item);
        }
        item_stats
    }

    /// What is in one item.
    pub(super) fn of_one(item: &Item<'_>) -> Self {
        let mut item_stats = Self::default();
        item_stats.count(item);
        item_stats
    }

    fn count(&mut self, item: &Item<'_>) {
        self.items += 1;
        self.understood += u64::from(item.not_understood().is_empty());
        bump(&mut self.kinds, item.kind().as_str(), 1);
        for one in item.not_understood() {
            self.unknown(&without_numbers(&one.path), 1, || item.id().decoded().into_owned());
        }
        let time = match item {
            Item::Conversation(conversation) => {
                self.conversation(conversation);
                conversation.created_at.or(conversation.updated_at)
            }
            Item::Run(run) => {
                self.run(run);
                run.started_at.or(run.finished_at)
            }
            Item::Document(document) => return self.document(document),
        };
        self.undated += u64::from(time.is_none());
        if let Some(time) = time {
            bump(&mut self.months, time.to_string().get(..7).unwrap_or_default(), 1);
        }
        self.time(time, time);
    }

    fn unknown(&mut self, path: &str, count: u64, first: impl FnOnce() -> String) {
        let path = counted_as(&self.not_understood, path).to_owned();
        let unknown = self.not_understood.entry(path).or_default();
        if unknown.count == 0 {
            unknown.first = first();
        }
        unknown.count += count;
    }

    /// Extends the time from the first to the last item.
    fn time(&mut self, first: Option<Time>, last: Option<Time>) {
        self.first = [self.first, first].into_iter().flatten().min();
        self.last = self.last.max(last);
    }

    fn conversation(&mut self, conversation: &Conversation<'_>) {
        self.rounds += conversation.rounds.len() as u64;
        self.branched += u64::from(conversation.active_path().len() < conversation.rounds.len());
        let mut is_named = false;
        for round in &conversation.rounds {
            self.tools += round.tools.len() as u64;
            if let Some(model) = &round.model {
                is_named = true;
                bump(&mut self.models, &model.decoded(), 1);
            }
        }
        if let Some(model) = conversation.model.as_ref().filter(|_| !is_named) {
            bump(&mut self.models, &model.decoded(), 1);
        }
        if let Some(language) = language_of(conversation) {
            bump(&mut self.languages, language, 1);
        }
        let usages = || conversation.rounds.iter().map(|round| round.usage);
        let sum = |count: fn(Usage) -> Option<u64>| {
            usages().filter_map(count).fold(0_u64, u64::saturating_add)
        };
        self.tokens.add(Tokens {
            conversations: u64::from(
                usages().any(|usage| usage.input_tokens.or(usage.output_tokens).is_some()),
            ),
            input: sum(|usage| usage.input_tokens),
            output: sum(|usage| usage.output_tokens),
        });
        let (mut number, mut characters) = (0, 0);
        let tasks = conversation.tasks.iter().flat_map(|task| &task.rounds);
        let messages = conversation.messages().chain(tasks.flat_map(|round| &round.messages));
        let mut answered: HashSet<String> = HashSet::new();
        let mut called = Vec::new();
        for message in messages {
            self.message(message);
            number += 1;
            characters += characters_of(message);
            called.extend(message.tool_calls.iter().map(|call| call.id.decoded().into_owned()));
            answered.extend(message.tool_call_id.as_ref().map(|id| id.decoded().into_owned()));
        }
        self.calls_without_result +=
            called.iter().filter(|id| !answered.contains(*id)).count() as u64;
        self.messages_each.add(number, 0);
        self.characters_each.add(characters, 0);
    }

    fn document(&mut self, document: &Document<'_>) {
        self.messages_each.add(document.chunks.len() as u64, 0);
        let chunks = document.chunks.iter();
        self.characters_each.add(chunks.map(|chunk| length(&chunk.text.decoded())).sum(), 0);
    }

    fn message(&mut self, message: &Message<'_>) {
        let role = match (&message.source_role, message.role) {
            (Some(word), Role::Other) => word.decoded().into_owned(),
            (_, role) => role.as_str().to_owned(),
        };
        bump(&mut self.roles, &role, 1);
        for part in message.attachments() {
            bump(&mut self.attachments, part.kind.as_str(), 1);
        }
        for call in &message.tool_calls {
            bump(&mut self.calls, &call.name.decoded(), 1);
        }
        self.reasoning += u64::from(message.reasoning.is_some());
        self.results += u64::from(message.role == Role::Tool);
        self.turns += u64::from(message.role == Role::User);
        self.ratings += u64::from(message.feedback.is_some());
        let failed = message.error.is_some() || message.is_cut_off();
        self.failed += u64::from(failed && message.role == Role::Assistant);
    }

    fn run(&mut self, run: &Run<'_>) {
        self.rounds += run.nodes.len() as u64;
        self.ratings += u64::from(run.feedback.is_some());
        self.failed += u64::from(run.error.is_some());
        self.messages_each.add(run.nodes.len() as u64, 0);
        let texts = [&run.question, &run.answer].into_iter().flatten();
        self.characters_each.add(texts.map(|text| length(&text.decoded())).sum(), 0);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (own, other) in [
            (&mut self.kinds, other.kinds),
            (&mut self.roles, other.roles),
            (&mut self.attachments, other.attachments),
            (&mut self.calls, other.calls),
            (&mut self.models, other.models),
            (&mut self.languages, other.languages),
            (&mut self.months, other.months),
        ] {
            other.iter().for_each(|(name, count)| bump(own, name, *count));
        }
        for (path, unknown) in other.not_understood {
            self.unknown(&path, unknown.count, || unknown.first);
        }
        for (own, other) in [
            (&mut self.items, other.items),
            (&mut self.understood, other.understood),
            (&mut self.rounds, other.rounds),
            (&mut self.branched, other.branched),
            (&mut self.turns, other.turns),
            (&mut self.reasoning, other.reasoning),
            (&mut self.results, other.results),
            (&mut self.calls_without_result, other.calls_without_result),
            (&mut self.tools, other.tools),
            (&mut self.ratings, other.ratings),
            (&mut self.failed, other.failed),
            (&mut self.undated, other.undated),
        ] {
            *own += other;
        }
        self.tokens.add(other.tokens);
        self.messages_each.merge(other.messages_each);
        self.characters_each.merge(other.characters_each);
        self.time(other.first, other.last);
    }
}

impl Tokens {
    fn add(&mut self, other: Self) {
        self.conversations += other.conversations;
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
    }
}

/// Characters of what a message says, thinks and calls.
fn characters_of(message: &Message<'_>) -> u64 {
    let reasoning = message.reasoning.iter().map(|text| length(&text.decoded()));
    let calls = message.tool_calls.iter().map(|call| length(&call.arguments.decoded()));
    length(&message.words().decoded()) + reasoning.sum::<u64>() + calls.sum::<u64>()
}

fn length(text: &str) -> u64 {
    text.chars().count() as u64
}

/// A path with `[]` for each place in a list: what is wrong with many items is counted once.
fn without_numbers(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut in_brackets = false;
    for c in path.chars() {
        in_brackets = match c {
            '[' => true,
            ']' => false,
            _ => in_brackets,
        };
        if !(in_brackets && c.is_ascii_digit()) {
            plain.push(c);
        }
    }
    plain
}
