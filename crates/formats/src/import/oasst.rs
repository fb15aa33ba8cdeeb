//! OpenAssistant's message trees: a prompt with its replies, each with replies of their own. Every message is a round of
//! the tree; of the replies to one the best ranked is on the path, the others are its siblings. Source: the trees of
//! `OpenAssistant/oasst1`; and its flat messages, a row each, which name their tree and the message before them.

use std::collections::{HashMap, HashSet};

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Message, Parent, Round};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::sniff::{Entry, Sniff};

/// The format.
pub(super) struct Oasst;

/// What its messages keep beside their text.
const KNOWN: [&str; 4] = ["labels", "emojis", "events", "review_result"];

impl ImportFormat for Oasst {
    fn name(&self) -> &'static str {
        "oasst"
    }

    fn about(&self) -> &'static str {
        "OpenAssistant's message trees: `prompt` with `replies`, or one message per row with its `message_tree_id`"
    }

    fn notes(&self) -> &'static str {
        "Every message is a round of the tree; of several replies, the best-ranked one is on the active path. Rows \
         with one message each (`oasst1`, `oasst2` on the Hub) are joined by their `message_tree_id`; a message whose \
         parent is missing is not understood. Messages that were deleted or failed their review are kept beside \
         the path; neither they nor answers to such questions are trained on."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        (sniff.holds(&["prompt", "replies"]) && sniff.holds(&["prompt", "text"])) || is_row(sniff)
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        if is_row(&sniff)
            && let Some(key) = sniff.word("message_tree_id")
        {
            into.push(Fragment { key, order: 0, text: text.into() });
        }
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let unknown = || {
            let why = "no `prompt` with `replies` in the item";
            ItemError::new(Refusal::UnknownShape, 0, why)
        };
        if parser.kind()? == Kind::Array {
            let mut rows = Vec::new();
            parser.array()?;
            while parser.next_element()? {
                rows.push(parser.raw()?);
            }
            parser.end()?;
            notes.count(&parser);
            return flat(rows, notes)?.map(Items::from).ok_or_else(unknown);
        }
        let row = parser.clone().raw()?;
        let mut map = FieldMap::read(&mut parser, notes)?;
        parser.end()?;
        notes.count(&parser);
        if !map.has(&["prompt"]) && map.has(&["message_tree_id"]) {
            return flat(vec![row], notes)?.map(Items::from).ok_or_else(unknown);
        }
        let prompt = map.take(&["prompt"], fields::object).ok_or_else(unknown)?;
        let id = map.take_id(&["message_tree_id", "id"]).unwrap_or_default();
        let mut conversation = Conversation { id, ..Conversation::default() };
        let none = Replies::new();
        let best = add(&prompt, &none, &mut conversation.rounds, notes, "prompt")?;
        conversation.current = Some(best);
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}

fn is_row(sniff: &Sniff<'_>) -> bool {
    ["message_tree_id", "message_id", "role", "text"].iter().all(|key| sniff.has(key))
}

/// The replies to messages, by the id of the message.
type Replies<'a> = HashMap<String, Vec<RawJson<'a>>>;

/// Reads a tree from its messages; none if none of them begins it.
fn flat<'a>(
    rows: Vec<RawJson<'a>>,
    notes: &mut Notes,
) -> Result<Option<Conversation<'a>>, ItemError> {
    let mut replies = Replies::new();
    let mut ids = HashSet::new();
    let mut prompts = Vec::new();
    for raw in &rows {
        let Some(mut map) = FieldMap::of(raw, notes) else { return Ok(None) };
        ids.extend(map.take_id(&["message_id"]).map(|id| id.decoded().into_owned()));
    }
    let mut id = Text::default();
    for raw in rows {
        let Some(mut map) = FieldMap::of(&raw, notes) else { return Ok(None) };
        id = map.take_id(&["message_tree_id"]).unwrap_or(id);
        let parent = map.take_id(&["parent_id"]).map(|id| id.decoded().into_owned());
        match parent.filter(|parent| ids.contains(parent)) {
            Some(parent) => replies.entry(parent).or_default().push(raw),
            None => prompts.push(raw),
        }
    }
    // One that follows nothing begins the tree, whatever it names as its parent.
    let Some((prompt, others)) = prompts.split_first() else { return Ok(None) };
    let mut conversation = Conversation { id, ..Conversation::default() };
    let best = add(prompt, &replies, &mut conversation.rounds, notes, "prompt")?;
    conversation.current = Some(best);
    for other in others {
        notes.unplaced("parent_id", other);
    }
    Ok(Some(conversation))
}

/// Adds a message and the replies to it; gives the position of the leaf that the best replies lead to. Without
/// recursion, as trees may be as deep as JSON may.
fn add<'a>(
    prompt: &RawJson<'a>,
    flat: &Replies<'a>,
    rounds: &mut Vec<Round<'a>>,
    notes: &mut Notes,
    path: &str,
) -> Result<usize, ItemError> {
    let mut waiting = vec![(prompt.clone(), Parent::Root, path.to_owned())];
    let mut best = 0;
    while let Some((raw, parent, path)) = waiting.pop() {
        let place = rounds.len();
        let Some(mut map) = FieldMap::of(&raw, notes) else {
            notes.unplaced(path, &raw);
            continue;
        };
        let replies = map.take(&["replies"], fields::list).or_else(|| {
            let id = map.peek("message_id").and_then(fields::id)?;
            flat.get(&*id.decoded()).cloned()
        });
        let mut replies: Vec<_> = replies
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(at, reply)| (rank(&reply), at, reply))
            .collect();
        let text = RawJson::object(&map.rest()).unwrap_or(RawJson::null()).into_cow();
        let mark = notes.mark();
        let messages = chat::message(&mut Parser::new(&text), &KNOWN, notes)?;
        notes.under(mark, || path.clone());
        rounds.push(Round {
            number: u32::try_from(place + 1).unwrap_or(u32::MAX),
            parent,
            messages: messages.into_iter().map(Message::into_owned).collect(),
            ..Round::default()
        });
        // The first that is reached with every parent on the path before it is the path's.
        if place == 0 || parent == Parent::Round(best) && best + 1 == place {
            best = place;
        }
        // The best is taken first, so that it follows its parent at once.
        replies.sort_by_key(|(rank, at, _)| std::cmp::Reverse((*rank, *at)));
        for (_, at, reply) in replies {
            waiting.push((reply, Parent::Round(place), format!("{path}.replies[{at}]")));
        }
    }
    Ok(best)
}

/// Whether a reply was deleted or failed its review, and its rank, 0 the best; those without one come last.
fn rank(reply: &RawJson<'_>) -> (bool, u64) {
    let Some(mut map) = fields::map(reply) else { return (true, u64::MAX) };
    let failed = map.peek("review_result").is_some_and(|raw| raw.as_str() == "false");
    let is_bad = failed || map.is_true("deleted");
    (is_bad, map.take(&["rank"], fields::count).unwrap_or(u64::MAX))
}
