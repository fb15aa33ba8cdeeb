//! Pictures, sound and files of messages, wherever a system keeps them.

use retort_json::{RawJson, Text};
use retort_model::{Content, Message};

/// Whether a message has pictures, sound or files. Nearly none has.
pub(super) fn has_attachments(message: &Message<'_>) -> bool {
    let may = !message.metadata.is_empty() || matches!(message.content, Some(Content::Parts(_)));
    may && attachments_of(message).next().is_some()
}

/// Pictures, sound and files of a message, as JSON: its parts, and the fields in which some systems keep them.
pub(super) fn attachments_of<'m>(message: &'m Message<'_>) -> impl Iterator<Item = &'m str> {
    let parts = message.attachments().filter_map(|part| part.raw.as_ref()).map(RawJson::as_str);
    let fields = message
        .metadata
        .iter()
        .filter(|(key, raw)| is_attachment(key, raw))
        .map(|(_, raw)| raw.as_str());
    parts.chain(fields)
}

/// Whether a field of a message holds attachments.
pub(super) fn is_attachment(key: &Text<'_>, raw: &RawJson<'_>) -> bool {
    matches!(key.as_written(), "image_paths" | "imageUrls" | "images" | "videos" | "audios")
        && !matches!(raw.as_str(), "[]" | "null" | "\"\"")
}
