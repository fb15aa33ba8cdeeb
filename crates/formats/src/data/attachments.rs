//! Pictures, sound and files of messages, wherever a system keeps them.

use retort_json::{RawJson, Text};
use retort_model::{Content, Conversation, Message};

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

/// Whether a conversation lists pictures, sound or videos beside its messages, so that nobody knows which message shows
/// them. Readers place them; what was stored before they did is as it was.
pub(super) fn lists_attachments(conversation: &Conversation<'_>) -> bool {
    conversation.metadata.iter().any(|(key, raw)| is_attachment(key, raw))
}

/// Whether a field of a message holds attachments.
pub(super) fn is_attachment(key: &Text<'_>, raw: &RawJson<'_>) -> bool {
    matches!(key.as_written(), "image_paths" | "imageUrls" | "images" | "videos" | "audios")
        && !matches!(raw.as_str(), "[]" | "null" | "\"\"")
}
