//! ShareGPT: `conversations` of `from` and `value` (or `role` and `content`), as LLaMA-Factory, FastChat and
//! Axolotl read it; and the rows of Retort's own `standard` data format, which descend from it.

use retort_model::Conversation;
use retort_model::json::Parser;

use super::{ImportFormat, ItemError, Notes, Shape, openai};

/// The format.
pub(super) struct ShareGpt;

impl ImportFormat for ShareGpt {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn about(&self) -> &'static str {
        "ShareGPT: `conversations` of `from` and `value`, with `tools` as JSON text or list"
    }

    fn recognises(&self, shape: &Shape<'_>) -> bool {
        (shape.has("conversations") && (shape.message_has("from") || shape.message_has("role")))
            || (shape.has("messages") && (shape.message_has("from") || shape.has("data_source")))
    }

    fn read<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Conversation<'a>, ItemError> {
        let mut parser = Parser::new(item);
        let conversation = openai::object(&mut parser, &["conversations", "messages"], notes)?;
        parser.end()?;
        notes.lone_surrogates += u64::from(parser.lone_surrogates());
        Ok(conversation)
    }
}
