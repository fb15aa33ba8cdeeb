//! OpenAssistant's message trees: a prompt with its replies, each with replies of their own. Every message is a round of
//! the tree; of the replies to one the best ranked is on the path, the others are its siblings. Source: the trees of
//! `OpenAssistant/oasst1`.

use retort_json::{Parser, RawJson};
use retort_model::{Conversation, Message, Parent, Round};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::sniff::Sniff;

/// The format.
pub(super) struct Oasst;

/// What its messages keep beside their text.
const KNOWN: [&str; 4] = ["labels", "emojis", "events", "review_result"];

impl ImportFormat for Oasst {
    fn name(&self) -> &'static str {
        "oasst"
    }

    fn about(&self) -> &'static str {
        "OpenAssistant's message trees: `prompt` with `replies`"
    }

    fn notes(&self) -> &'static str {
        "Every message is a round of the tree; of the replies to one the best ranked is on the path."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&["prompt", "replies"]) && sniff.holds(&["prompt", "text"])
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut map = FieldMap::read(&mut parser, notes)?;
        parser.end()?;
        notes.count(&parser);
        let Some(prompt) = map.take(&["prompt"], fields::object) else {
            let why = "no `prompt` with `replies` in the item";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        };
        let id = map.take_id(&["message_tree_id", "id"]).unwrap_or_default();
        let mut conversation = Conversation { id, ..Conversation::default() };
        let best = add(&prompt, Parent::Root, &mut conversation.rounds, notes, "prompt")?;
        conversation.current = Some(best);
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}

/// Adds a message and the replies to it; gives the position of the leaf that the best replies lead to. Without
/// recursion, as trees may be as deep as JSON may.
fn add<'a>(
    prompt: &RawJson<'a>,
    parent: Parent,
    rounds: &mut Vec<Round<'a>>,
    notes: &mut Notes,
    path: &str,
) -> Result<usize, ItemError> {
    let mut waiting = vec![(prompt.clone(), parent, path.to_owned())];
    let mut best = 0;
    while let Some((raw, parent, path)) = waiting.pop() {
        let place = rounds.len();
        let Some(mut map) = FieldMap::of(&raw, notes) else {
            notes.unplaced(path, &raw);
            continue;
        };
        let mut replies: Vec<_> = map
            .take(&["replies"], fields::list)
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

/// The rank of a reply, 0 the best; those without one come last.
fn rank(reply: &RawJson<'_>) -> u64 {
    let map = FieldMap::of(reply, &mut Notes::default());
    map.and_then(|mut map| map.take(&["rank"], fields::count)).unwrap_or(u64::MAX)
}
