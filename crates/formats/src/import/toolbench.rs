//! ToolBench's answers: a search for an answer with tools, whose messages are under `answer_generation`. Source: the
//! answers of `OpenBMB/ToolBench`.

use retort_json::{Parser, RawJson};
use retort_model::{Conversation, Kind as Held, Message, Role};

use super::chat;
use super::definitions;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::rounds::Rounds;
use super::sniff::Sniff;

/// The format.
pub(super) struct ToolBench;

impl ImportFormat for ToolBench {
    fn name(&self) -> &'static str {
        "toolbench"
    }

    fn about(&self) -> &'static str {
        "Answers of ToolBench: `answer_generation` with `train_messages`"
    }

    fn notes(&self) -> &'static str {
        "The path that led to the answer becomes the conversation: `train_messages` repeats it for each step, and the \
         last and longest version is read. The search tree, with its dead ends, is kept. If there was no answer, only \
         the question is read."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&["answer_generation", "train_messages"])
            || (sniff.holds(&["answer_generation", "query"]) && sniff.holds(&["tree"]))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let answer = map.take(&["answer_generation"], fields::map);
        let mut answer = answer.ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no `answer_generation` in the item")
        })?;
        let mut rounds = Rounds::default();
        let told = answer.take(&["train_messages"], fields::list).unwrap_or_default();
        let longest = told.iter().max_by_key(|raw| fields::list(raw).map_or(0, |list| list.len()));
        match longest {
            Some(list) => {
                let mark = notes.mark();
                let mut parser = Parser::lenient(list.as_str());
                chat::each_message(&mut parser, &[], notes, |message| {
                    rounds.push(message.into_owned());
                })?;
                notes.under(mark, || "answer_generation.train_messages".into());
            }
            None => {
                let asked = answer.peek("query").and_then(RawJson::text).unwrap_or_default();
                rounds.push(Message::text(Role::User, asked));
            }
        }
        let tools = answer.take(&["function"], fields::list).unwrap_or_default();
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        conversation.rounds = rounds.finish(definitions::definitions(tools, notes));
        // Another telling says something only where the last does not begin with it.
        for (at, raw) in told.iter().enumerate() {
            let inside = raw.as_str().trim_end().trim_end_matches(']').trim_end();
            if longest.is_some_and(|longest| !longest.as_str().starts_with(inside)) {
                conversation.metadata.put(format!("train_messages_{at}").into(), raw.clone());
            }
        }
        if let Some(rest) = answer.rest_object() {
            map.put("answer_generation", rest);
        }
        for (key, raw) in map.rest() {
            conversation.metadata.put(key, raw);
        }
        Ok(conversation.into())
    }
}
