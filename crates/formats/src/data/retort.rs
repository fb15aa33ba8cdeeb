//! `retort`: canonical lines, which lose nothing and are read back by every later release.

use retort_model::{Item, canonical};

use super::schema::{Schema, Sink};
use super::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};

/// The format.
pub(super) struct Retort;

static NOTHING: Schema = Schema { fields: &[] };

impl DataFormat for Retort {
    fn name(&self) -> &'static str {
        "retort"
    }

    fn about(&self) -> &'static str {
        "everything Retort knows of each conversation, to archive it or to move it"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> &'static Schema {
        &NOTHING
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl"]
    }

    fn is_whole_json(&self) -> bool {
        true
    }

    fn shape(
        &self,
        item: &Item<'_>,
        _context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Conversation(conversation) = item else { return Outcome::other_kind(item) };
        let mut line = Vec::with_capacity(4096);
        canonical::write(conversation, &mut line);
        out.begin_row();
        out.json(&String::from_utf8_lossy(&line));
        out.end_row();
        Outcome { records: vec![RecordNotes::default()], ..Outcome::default() }
    }
}
