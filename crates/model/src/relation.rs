//! How two states of a conversation relate to one another, by their messages.
//!
//! Logs that write the whole history with each answer, and exports that are made again and again, have many states of
//! one conversation. The messages tell which of two states goes on from which, and whether two items that have one id
//! are states of one conversation at all.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher};

use crate::conversation::Conversation;
use crate::message::{Content, Message, Part, Role};

/// How a state that comes relates to one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It has the same messages.
    Same,
    /// It begins with all messages of the other, and has more.
    Continues,
    /// The other begins with all of its messages, and has more.
    Begins,
    /// Some messages are in both.
    Overlaps,
    /// No message is in both.
    Apart,
}

/// The messages of a conversation, in the order of its rounds, each as a hash of who says what. System messages are
/// apart: many conversations share theirs, and logs change them from one state to the next (by the date, for instance).
/// People's corrections are left out: no source has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// What users, assistants and tools say.
    pub turns: Vec<u64>,
    /// The system messages, as one hash.
    pub system: u64,
}

impl Messages {
    /// Those of a conversation. Only hashes of one hasher can be compared.
    pub fn of(conversation: &Conversation<'_>, hasher: &impl BuildHasher) -> Self {
        let mut system = hasher.build_hasher();
        let mut turns = Vec::new();
        let rounds = conversation.rounds.iter().filter(|round| !round.is_correction());
        for message in rounds.flat_map(|round| &round.messages) {
            if message.role == Role::System {
                hash(message, &mut system);
            } else {
                turns.push(hash_of(message, hasher));
            }
        }
        Self { turns, system: system.finish() }
    }

    /// How this state relates to one that is there. System messages do not count.
    pub fn relation(&self, there: &Self) -> Relation {
        let (came, was) = (&self.turns, &there.turns);
        match (came.starts_with(was), was.starts_with(came)) {
            (true, true) => return Relation::Same,
            (true, false) => return Relation::Continues,
            (false, true) => return Relation::Begins,
            (false, false) => {}
        }
        let known: HashSet<u64> = was.iter().copied().collect();
        let overlaps = came.iter().any(|turn| known.contains(turn));
        if overlaps { Relation::Overlaps } else { Relation::Apart }
    }
}

/// A hash of who says what.
pub(crate) fn hash_of(message: &Message<'_>, hasher: &impl BuildHasher) -> u64 {
    let mut into = hasher.build_hasher();
    hash(message, &mut into);
    into.finish()
}

/// Who says what: what a message is worth without the ids and times that a source may give it anew.
fn hash(message: &Message<'_>, into: &mut impl Hasher) {
    message.role.as_str().hash(into);
    match &message.content {
        // Text alone is the same whether it is written as text or as a part.
        Some(Content::Text(text)) => hash_text(&text.decoded(), into),
        Some(Content::Parts(parts)) => parts.iter().for_each(|part| hash_part(part, into)),
        None => {}
    }
    for call in &message.tool_calls {
        call.name.decoded().hash(into);
        call.arguments.decoded().hash(into);
    }
}

/// The key under which a part has the bytes of the file that it names, as a data URL, where an import put them into it.
pub const EMBEDDED: &str = "retort_data";

/// A part as its source wrote it, if it has the bytes of its file under [`EMBEDDED`].
pub fn without_embedded(raw: &str) -> Option<String> {
    if !raw.ends_with("\"}") {
        return None;
    }
    let at = raw.rfind(&format!(",\"{EMBEDDED}\":\"data:"))?;
    Some(format!("{}}}", raw.get(..at)?))
}

fn hash_part(part: &Part<'_>, into: &mut impl Hasher) {
    match (&part.text, &part.raw) {
        (Some(text), _) => hash_text(&text.decoded(), into),
        (None, Some(raw)) => match without_embedded(raw.as_str()) {
            Some(named) => named.hash(into),
            None => raw.as_str().hash(into),
        },
        (None, None) => {}
    }
}

fn hash_text(text: &str, into: &mut impl Hasher) {
    if !text.is_empty() {
        text.hash(into);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use retort_json::RawJson;

    use super::*;
    use crate::conversation::Round;
    use crate::message::ToolCall;

    fn conversation(messages: &[(Role, &str)]) -> Conversation<'static> {
        let said = |&(role, text): &(Role, &str)| Message::text(role, text.to_owned());
        let round = Round { messages: messages.iter().map(said).collect(), ..Round::default() };
        Conversation { rounds: vec![round], ..Conversation::default() }
    }

    #[test]
    fn a_part_is_the_same_with_and_without_the_bytes_of_its_file() {
        let of = |raw: &str| {
            let part =
                Part { kind: crate::PartKind::Image, text: None, raw: RawJson::owned(raw).ok() };
            let said = Message { content: Some(Content::Parts(vec![part])), ..Message::default() };
            let round = Round { messages: vec![said], ..Round::default() };
            Conversation { rounds: vec![round], ..Conversation::default() }
        };
        let hasher = RandomState::new();
        let relation = |one: &str, other: &str| {
            Messages::of(&of(one), &hasher).relation(&Messages::of(&of(other), &hasher))
        };
        let named = r#"{"type":"image","path":"a.png"}"#;
        let whole = r#"{"type":"image","path":"a.png","retort_data":"data:image/png;base64,eA=="}"#;
        assert_eq!(relation(whole, named), Relation::Same);
        assert_eq!(relation(whole, r#"{"type":"image","path":"b.png"}"#), Relation::Apart);
        assert_eq!(without_embedded(whole).as_deref(), Some(named));
        assert_eq!(without_embedded(named), None);
    }

    #[test]
    fn states_relate_by_their_messages() {
        use Relation::{Apart, Begins, Continues, Overlaps, Same};
        use Role::{Assistant, System, User};
        let hasher = RandomState::new();
        let relation = |came: &[(Role, &str)], was: &[(Role, &str)]| {
            let of = |messages| Messages::of(&conversation(messages), &hasher);
            of(came).relation(&of(was))
        };
        let (q1, a1, q2) = ((User, "q1"), (Assistant, "a1"), (User, "q2"));
        let (monday, tuesday) = ((System, "It is Monday."), (System, "It is Tuesday."));
        for (came, was, expect) in [
            (vec![q1, a1], vec![q1, a1], Same),
            (vec![tuesday, q1, a1], vec![monday, q1, a1], Same),
            (vec![q1, a1, q2], vec![q1, a1], Continues),
            (vec![tuesday, q1, a1, q2], vec![monday, q1, a1], Continues),
            (vec![q1], vec![q1, a1], Begins),
            (vec![q1], vec![], Continues),
            (vec![], vec![q1], Begins),
            (vec![monday], vec![], Same),
            (vec![q1, q2], vec![q1, a1], Overlaps),
            (vec![q2, a1], vec![q1, a1], Overlaps),
            (vec![q2], vec![q1, a1], Apart),
            (vec![monday, q2], vec![monday, q1], Apart),
            // Who says it counts, too.
            (vec![(User, "a1")], vec![(Assistant, "a1")], Apart),
        ] {
            assert_eq!(relation(&came, &was), expect, "{came:?} after {was:?}");
        }
    }

    #[test]
    fn calls_count_and_their_ids_do_not() {
        let hasher = RandomState::new();
        let calling = |id: &str, arguments: &str| {
            let call = ToolCall {
                id: id.to_owned().into(),
                name: "look_up".into(),
                arguments: arguments.to_owned().into(),
                ..ToolCall::default()
            };
            let message =
                Message { role: Role::Assistant, tool_calls: vec![call], ..Message::default() };
            let round = Round { messages: vec![message], ..Round::default() };
            Messages::of(&Conversation { rounds: vec![round], ..Conversation::default() }, &hasher)
        };
        assert_eq!(calling("1", "{}"), calling("2", "{}"));
        assert_ne!(calling("1", "{}"), calling("1", "{\"a\":1}"));
    }
}
