//! Lists of messages that name the message that they follow: a tree, where several follow one.

use std::collections::HashMap;

use retort_model::{Message, Parent, Round};

use super::fields;
use super::format::{ItemError, Notes, Refusal};

/// Under what a message names itself.
const ID: [&str; 5] = ["message_id", "messageId", "id", "uuid", "msg_id"];

/// Under what it names the message that it follows.
const PARENT: [&str; 7] = [
    "parent_id",
    "parentId",
    "parent_message_id",
    "parentMessageId",
    "parent_uuid",
    "parentUuid",
    "parent",
];

/// Under what it names the conversation that it belongs to.
const CONVERSATION: [&str; 5] =
    ["message_tree_id", "conversation_id", "conversationId", "session_id", "sessionId"];

/// Makes a tree of rounds of a message each, where the messages say so. A list that follows itself stays as it is.
///
/// # Errors
/// The messages belong to several conversations.
pub(super) fn linked<'a>(
    rounds: Vec<Round<'a>>,
    notes: &mut Notes,
) -> Result<Vec<Round<'a>>, ItemError> {
    let messages = || rounds.iter().flat_map(|round| &round.messages);
    let has = |names: &[&str]| messages().any(|message| field(message, names).is_some());
    if messages().all(|message| message.metadata.is_empty()) {
        return Ok(rounds);
    }
    let mut conversations = messages().filter_map(|message| field(message, &CONVERSATION));
    if let Some(first) = conversations.next()
        && conversations.any(|other| other != first)
    {
        let why = "a list of messages that belong to several conversations";
        return Err(ItemError::new(Refusal::UnknownShape, 0, why));
    }
    if !has(&PARENT) {
        return Ok(rounds);
    }
    let groups = groups(messages());
    let ids: HashMap<String, usize> =
        groups.iter().enumerate().filter_map(|(at, group)| Some((group.id.clone()?, at))).collect();
    let parents: Vec<_> = groups
        .iter()
        .map(|group| group.parent.as_ref().and_then(|parent| ids.get(parent)).copied())
        .collect();
    if parents.iter().enumerate().skip(1).all(|(at, parent)| *parent == Some(at - 1)) {
        return Ok(rounds);
    }
    for (at, group) in groups.iter().enumerate() {
        let is_known = parents.get(at).copied().flatten().is_some_and(|parent| parent < at);
        if group.parent.is_some() && !is_known && at > 0 {
            notes.unplaced(format!("[{at}].parent"), &group.raw_parent());
        }
    }
    let sizes: Vec<_> = groups.iter().map(|group| group.messages).collect();
    Ok(tree(rounds, &sizes, &parents))
}

/// Messages that one of the source made, with its links.
struct Group {
    id: Option<String>,
    parent: Option<String>,
    messages: usize,
}

impl Group {
    fn raw_parent(&self) -> retort_json::RawJson<'static> {
        retort_json::RawJson::string(self.parent.as_deref().unwrap_or_default())
    }
}

fn groups<'m, 'a: 'm>(messages: impl Iterator<Item = &'m Message<'a>>) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut waiting = 0;
    for message in messages {
        waiting += 1;
        let (id, parent) = (field(message, &ID), field(message, &PARENT));
        if id.is_some() || parent.is_some() {
            groups.push(Group { id, parent, messages: std::mem::take(&mut waiting) });
        }
    }
    if waiting > 0 {
        groups.push(Group { id: None, parent: None, messages: waiting });
    }
    groups
}

fn tree<'a>(rounds: Vec<Round<'a>>, sizes: &[usize], parents: &[Option<usize>]) -> Vec<Round<'a>> {
    let mut tools = Vec::new();
    let mut all = Vec::new();
    for round in rounds {
        tools.extend(round.tools);
        all.extend(round.messages);
    }
    let mut all = all.into_iter();
    let mut tree: Vec<_> = sizes
        .iter()
        .zip(parents)
        .enumerate()
        .map(|(at, (size, parent))| Round {
            number: u32::try_from(at + 1).unwrap_or(u32::MAX),
            parent: parent.filter(|parent| *parent < at).map_or(Parent::Root, Parent::Round),
            messages: all.by_ref().take(*size).collect(),
            ..Round::default()
        })
        .collect();
    if let Some(first) = tree.first_mut() {
        first.tools = tools;
    }
    tree
}

fn field(message: &Message<'_>, names: &[&str]) -> Option<String> {
    let fields = &message.metadata;
    let found = names.iter().find_map(|name| fields.iter().find(|(key, _)| *key == **name));
    let id = found.and_then(|(_, raw)| fields::id(raw))?;
    Some(id.decoded().into_owned()).filter(|id| !id.is_empty())
}
