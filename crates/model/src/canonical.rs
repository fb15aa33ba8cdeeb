//! The canonical JSON of a conversation: one line that holds everything the model holds, with a version, and
//! that every later release reads. The store keeps it, and `retort` files are lines of it.

mod conversation;
mod document;
mod excerpt;
mod line;
mod run;

use crate::item::{Item, ItemKind};

pub use conversation::{read, read_from, read_judgements, write, write_judgements};
pub use document::{read_document, read_document_from, write_document};
pub use excerpt::{Cutter, Excerpt, Level, MessagePlace, Piece};
pub use line::{CanonicalError, RUN_VERSION, VERSION};
pub(crate) use run::write_node;
pub use run::{read_run, read_run_from, write_run};

/// Appends an item of any kind as one line, without the line's end.
pub fn write_item(item: &Item<'_>, out: &mut Vec<u8>) {
    match item {
        Item::Conversation(conversation) => write(conversation, out),
        Item::Run(run) => write_run(run, out),
        Item::Document(document) => write_document(document, out),
    }
}

/// Reads the line of an item whose kind is known.
///
/// # Errors
/// It is no such line.
pub fn read_item(kind: ItemKind, line: &str) -> Result<Item<'_>, CanonicalError> {
    Ok(match kind {
        ItemKind::Conversation => read(line)?.into(),
        ItemKind::Run => read_run(line)?.into(),
        ItemKind::Document => read_document(line)?.into(),
    })
}
