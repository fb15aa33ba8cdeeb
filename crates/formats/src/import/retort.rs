//! Retort's own lines: the canonical JSON of the model, which loses nothing.

use retort_model::json::Parser;
use retort_model::{Item, canonical};

use super::{ImportFormat, ItemError, Notes, Shape};

/// The format.
pub(super) struct Retort;

impl ImportFormat for Retort {
    fn name(&self) -> &'static str {
        "retort"
    }

    fn about(&self) -> &'static str {
        "Retort's own JSON Lines, which keep everything (the data format `retort` writes them)"
    }

    fn recognises(&self, shape: &Shape<'_>) -> bool {
        shape.has("retort") && shape.has("rounds")
    }

    fn read<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Item<'a>, ItemError> {
        let mut parser = Parser::new(item);
        let conversation = canonical::read_from(&mut parser)?;
        parser.end()?;
        notes.lone_surrogates += u64::from(parser.lone_surrogates());
        Ok(conversation.into())
    }
}
