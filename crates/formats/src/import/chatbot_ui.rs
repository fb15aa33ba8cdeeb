//! chatbot-ui's export of all conversations, as its first versions and the many products made of them write it. Written
//! from its code (`utils/app/importExport.ts`) and from an export that LibreChat tests its import with.

use retort_json::{Kind, RawJson};
use retort_model::Conversation;

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::sniff::Sniff;
use super::thread;

/// The format.
pub(super) struct ChatbotUi;

impl ImportFormat for ChatbotUi {
    fn name(&self) -> &'static str {
        "chatbot-ui"
    }

    fn about(&self) -> &'static str {
        "chatbot-ui's export: `history` with conversations, and `folders`"
    }

    fn notes(&self) -> &'static str {
        "In chatbot-ui and products made of it, Export data saves one file. The prompt of a conversation becomes a system \
         message. Folders and saved prompts are dropped. Written from chatbot-ui's code and a shared export."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("version")
            && sniff.kind(&["history"]) == Some(Kind::Array)
            && (sniff.holds(&["history", "messages"])
                || sniff.kind(&["folders"]) == Some(Kind::Array))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map.take(&["history"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of conversations under `history`")
        })?;
        thread::each(&list, "history", notes, |mut map, notes| {
            let list = map.take(&["messages"], fields::list).unwrap_or_default();
            let turns = thread::messages(&list, "messages", &[], notes)?;
            let model = map.take(&["model"], |raw| fields::text_or_under(raw, &["id", "name"]));
            let mut conversation = Conversation {
                id: map.take_id(&["id"]).unwrap_or_default(),
                title: map.take(&["name"], RawJson::text),
                model,
                ..Conversation::default()
            };
            thread::grow(turns, None, &mut conversation, notes, |at| format!("messages[{at}]"));
            thread::instruct(&mut conversation, map.take(&["prompt"], RawJson::text));
            conversation.metadata = map.rest();
            Ok(conversation)
        })
    }
}
