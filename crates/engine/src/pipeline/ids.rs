//! Ids: those of items that came without one, and namespaces.

use retort_json::Text;
use retort_model::{Item, canonical};
use sha2::{Digest, Sha256};

use super::item::{ContentHash, ReadItem};

/// The hash of an item's canonical line.
pub fn digest(line: &[u8]) -> ContentHash {
    Sha256::digest(line).first_chunk::<16>().copied().unwrap_or_default()
}

/// A hash of what an item without an id holds. `line` is room to write in.
pub fn content_of(one: &mut ReadItem<'_>, line: &mut Vec<u8>) -> ContentHash {
    *one.item.id_mut() = Text::from("");
    line.clear();
    match &one.item {
        Item::Conversation(conversation) => canonical::write(conversation, line),
        Item::Run(run) => canonical::write_run(run, line),
        Item::Document(document) => {
            let names = [&document.readable_filename, &document.url, &document.s3_path];
            let names = names.into_iter().flatten();
            for text in names.chain(document.chunks.iter().map(|chunk| &chunk.text)) {
                text.write_string(line);
            }
        }
    }
    digest(line)
}

/// The id of an item without one: the same content gets the same id wherever it is read, and the `time`th time (from 1)
/// a next one.
pub fn content_id(content: &ContentHash, time: u64) -> String {
    let id = crate::storage::hex(content);
    if time == 1 { id } else { format!("{id}-{time}") }
}

/// Puts the id of an item into a namespace, and the id of the conversation that a run belongs to.
pub fn put_into_namespace(item: &mut Item<'_>, namespace: &str) {
    *item.id_mut() = format!("{namespace}/{}", item.id().decoded()).into();
    if let Item::Run(run) = item
        && let Some(thread) = &mut run.thread
    {
        *thread = format!("{namespace}/{}", thread.decoded()).into();
    }
}
