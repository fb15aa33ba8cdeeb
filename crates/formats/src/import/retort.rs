//! Retort's own lines: the canonical JSON of the model, which loses nothing.

use retort_model::json::{JsonError, Parser};
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
        (shape.has("retort") && shape.has("rounds")) || shape.has("retort_run")
    }

    fn read<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Item<'a>, ItemError> {
        let mut parser = Parser::new(item);
        let item = match is_run(&mut parser.clone())? {
            true => canonical::read_run_from(&mut parser)?.into(),
            false => canonical::read_from(&mut parser)?.into(),
        };
        parser.end()?;
        notes.lone_surrogates += u64::from(parser.lone_surrogates());
        Ok(item)
    }
}

/// Whether the version is that of a run; it stands first in what Retort writes.
fn is_run(parser: &mut Parser<'_>) -> Result<bool, JsonError> {
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        match &*key {
            "retort_run" => return Ok(true),
            "retort" => return Ok(false),
            _ => parser.skip()?,
        }
    }
    Ok(false)
}
