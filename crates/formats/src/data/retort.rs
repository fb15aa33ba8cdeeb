//! `retort`: canonical lines, which lose nothing and are read back by every later release.

use retort_model::{Item, ItemKind, canonical};

use super::format::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::schema::{Schema, Sink};

/// The format.
pub(super) struct Retort;

impl DataFormat for Retort {
    fn name(&self) -> &'static str {
        "retort"
    }

    fn about(&self) -> &'static str {
        "lossless Retort format, for backup and migration"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        Schema::of(&[])
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl"]
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation, ItemKind::Run]
    }

    fn shape(
        &self,
        item: &Item<'_>,
        _context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let mut line = Vec::with_capacity(4096);
        match item {
            Item::Conversation(conversation) => canonical::write(conversation, &mut line),
            Item::Run(run) => canonical::write_run(run, &mut line),
            Item::Document(_) => return Outcome::other_kind(item),
        }
        out.begin_row();
        out.json(&String::from_utf8_lossy(&line));
        out.end_row();
        Outcome { records: vec![RecordNotes::default()], ..Outcome::default() }
    }
}
