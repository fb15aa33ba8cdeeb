//! MINT-bench's results: `state` with a history of messages, and the `task`. Source: `xingyaoww/mint-bench`.

use retort_json::{Kind, Parser};
use retort_model::{Conversation, Kind as Held};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::rounds::Rounds;
use super::session;
use super::sniff::Sniff;

/// The format.
pub(super) struct Mint;

impl ImportFormat for Mint {
    fn name(&self) -> &'static str {
        "mint"
    }

    fn about(&self) -> &'static str {
        "Results of MINT-bench: `state` with its `history`, and the `task`"
    }

    fn notes(&self) -> &'static str {
        "The history of the state becomes the conversation. Calls are written inside the texts of this benchmark and stay \
         there. The task, whether it succeeded, and counts are kept."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["state", "history"]) == Some(Kind::Array) && sniff.holds(&["task"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let state = map.take(&["state"], fields::map);
        let history = state.and_then(|mut state| {
            let list = state.take(&["history"], fields::json)?;
            Some((list, state))
        });
        let Some((list, state)) = history else {
            let why = "no `state` with a `history` in the item";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        };
        let mut rounds = Rounds::default();
        let mark = notes.mark();
        let mut parser = Parser::lenient(list.as_str());
        chat::each_message(&mut parser, &[], notes, |message| rounds.push(message.into_owned()))?;
        notes.under(mark, || "state.history".into());
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        conversation.rounds = rounds.finish(Vec::new());
        if let (Some(usage), [round]) =
            (state.peek("token_counter").map(session::usage_of), conversation.rounds.as_mut_slice())
        {
            round.usage = usage;
        }
        if let Some(rest) = state.rest_object() {
            map.put("state", rest);
        }
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}
