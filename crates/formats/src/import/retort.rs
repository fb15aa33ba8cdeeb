//! Retort's own lines: the canonical JSON of the model, which loses nothing.

use retort_json::{JsonError, Parser};
use retort_model::{Item, ItemKind, canonical};

use super::format::{ImportFormat, ItemError, Items, Notes};
use super::sniff::Sniff;

/// The format.
pub(super) struct Retort;

impl ImportFormat for Retort {
    fn name(&self) -> &'static str {
        "retort"
    }

    fn about(&self) -> &'static str {
        "Retort's own JSON Lines, which keep everything (the data format `retort` writes them)"
    }

    fn notes(&self) -> &'static str {
        "`retort convert --data-format retort` writes such lines, and `retort export` does from the store. \
         Everything is kept."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        (sniff.has("retort") && sniff.has("rounds"))
            || sniff.has("retort_run")
            || sniff.has("retort_document")
    }

    fn has_marks(&self) -> bool {
        // They were applied when the conversation was first read; people may have judged it since.
        false
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::new(item);
        let item: Item<'_> = match kind_of(&mut parser.clone())? {
            ItemKind::Conversation => canonical::read_from(&mut parser)?.into(),
            ItemKind::Run => canonical::read_run_from(&mut parser)?.into(),
            ItemKind::Document => canonical::read_document_from(&mut parser)?.into(),
        };
        parser.end()?;
        notes.count(&parser);
        Ok(item.into())
    }
}

/// Of which kind of item the version is; it stands first in what Retort writes.
fn kind_of(parser: &mut Parser<'_>) -> Result<ItemKind, JsonError> {
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        match &*key {
            "retort_run" => return Ok(ItemKind::Run),
            "retort_document" => return Ok(ItemKind::Document),
            "retort" => return Ok(ItemKind::Conversation),
            _ => parser.skip()?,
        }
    }
    Ok(ItemKind::Conversation)
}
