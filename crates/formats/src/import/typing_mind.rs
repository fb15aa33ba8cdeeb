//! TypingMind's export of all chats. Written from the code of Big-AGI, which imports them.

use retort_json::{Kind, RawJson};
use retort_model::Conversation;

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::sniff::Sniff;
use super::thread;

/// The format.
pub(super) struct TypingMind;

impl ImportFormat for TypingMind {
    fn name(&self) -> &'static str {
        "typing-mind"
    }

    fn about(&self) -> &'static str {
        "TypingMind's export of all chats"
    }

    fn notes(&self) -> &'static str {
        "In TypingMind, Settings → App Data & Storage → Export saves one file. The system message of a chat's \
         parameters is put in front of its messages. Folders, prompts, characters and settings are dropped. Written \
         from the code of Big-AGI, which imports such files; no real export was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["data", "chats"]) == Some(Kind::Array)
            || sniff.holds(&["chats", "chatID"]) && sniff.holds(&["chats", "messages"])
            || sniff.has("chatID") && sniff.kind(&["messages"]) == Some(Kind::Array)
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let mut data = map.take(&["data"], fields::map);
        let list = data.as_mut().unwrap_or(&mut map).take(&["chats"], fields::list);
        if let Some(list) = list {
            return thread::each(&list, "chats", notes, chat);
        }
        if !map.has(&["messages"]) {
            return Err(ItemError::new(Refusal::UnknownShape, 0, "no list of `chats` in the item"));
        }
        Ok(chat(map, notes)?.into())
    }
}

fn chat<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Conversation<'a>, ItemError> {
    let list = map.take(&["messages"], fields::list).unwrap_or_default();
    let turns = thread::messages(&list, "messages", &[], notes)?;
    let parameters = map.peek("chatParams").and_then(|raw| FieldMap::of(raw, notes));
    let system = parameters.and_then(|mut map| map.take(&["systemMessage"], RawJson::text));
    let mut conversation = Conversation {
        id: map.take_id(&["chatID", "id"]).unwrap_or_default(),
        title: map.take(&["chatTitle"], RawJson::text),
        model: map.take(&["model"], RawJson::text),
        created_at: map.take(&["createdAt"], fields::time),
        updated_at: map.take(&["updatedAt"], fields::time),
        ..Conversation::default()
    };
    thread::grow(turns, None, &mut conversation, notes, |at| format!("messages[{at}]"));
    thread::instruct(&mut conversation, system);
    conversation.metadata = map.rest();
    Ok(conversation)
}
