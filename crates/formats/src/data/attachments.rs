//! Pictures, sound and files of messages, wherever a system keeps them.

use retort_json::{RawJson, Text};
use retort_model::{Content, Conversation, Message, Role};

/// Whether a message has pictures, sound or files. Nearly none has.
pub(super) fn has_attachments(message: &Message<'_>) -> bool {
    let may = !message.metadata.is_empty() || matches!(message.content, Some(Content::Parts(_)));
    may && (attachments_of(message).next().is_some() || is_sent_with_more(message))
}

/// The fields in which chat systems keep what a person sent with a question; those of answers hold other things, too.
const SENT: [&str; 11] = [
    "attachments",
    "experimental_attachments",
    "experimentalAttachments",
    "files",
    "file",
    "image",
    "image_url",
    "image_urls",
    "imageUrl",
    "audio",
    "video",
];

/// Whether a question was sent with something that its reader left where it was.
fn is_sent_with_more(message: &Message<'_>) -> bool {
    let is_sent = |(key, raw): (&Text<'_>, &RawJson<'_>)| {
        SENT.contains(&key.as_written())
            && raw.as_str().starts_with(['[', '{', '"'])
            && !matches!(raw.as_str(), "[]" | "{}" | "\"\"")
    };
    message.role == Role::User && message.metadata.iter().any(|(key, raw)| is_sent((key, raw)))
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
