//! Pictures, sound and files of messages, wherever a system keeps them.

use retort_json::{RawJson, Text};
use retort_model::{Content, Conversation, Message, Role};

use super::execution::is_nothing;

/// Fields in which messages of either side keep attachments. They are written where the attachments of a record are.
const ATTACHMENTS: [&str; 5] = ["image_paths", "imageUrls", "images", "videos", "audios"];

/// Fields in which chat systems keep what a person sent with a question. Answers keep other things under these names, so
/// they are written as metadata.
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

/// Whether a message has pictures, sound or files. Nearly none has.
pub(super) fn has_attachments(message: &Message<'_>) -> bool {
    let may = !message.metadata.is_empty() || matches!(message.content, Some(Content::Parts(_)));
    may && (attachments_of(message).next().is_some() || is_sent_with_more(message))
}

/// Whether a question was sent with something that its reader left where it was.
fn is_sent_with_more(message: &Message<'_>) -> bool {
    message.role == Role::User && message.metadata.iter().any(|(key, raw)| is_sent(key, raw))
}

/// Whether a field of a question holds what was sent with it.
fn is_sent(key: &Text<'_>, raw: &RawJson<'_>) -> bool {
    SENT.contains(&key.as_written())
        && raw.as_str().starts_with(['[', '{', '"'])
        && !is_nothing(raw)
        && !is_empty_json(raw)
}

/// Whether it is the text of an empty list or object, as Langflow keeps no files.
fn is_empty_json(raw: &RawJson<'_>) -> bool {
    matches!(raw.as_str(), "\"[]\"" | "\"{}\"" | "\"null\"")
}

/// The fields in which a message keeps pictures, sound and files beside its parts.
pub(crate) fn sent_fields<'m, 'a>(
    message: &'m Message<'a>,
) -> impl Iterator<Item = (&'m Text<'a>, &'m RawJson<'a>)> {
    let asks = message.role == Role::User;
    let fields = message.metadata.iter().map(|(key, raw)| (key, raw));
    fields.filter(move |(key, raw)| is_attachment(key, raw) || asks && is_sent(key, raw))
}

/// Their values.
pub(super) fn sent_with<'m, 'a>(message: &'m Message<'a>) -> impl Iterator<Item = &'m RawJson<'a>> {
    sent_fields(message).map(|(_, raw)| raw)
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

/// Whether a conversation lists pictures, sound or videos beside its messages, so that it is not known which message shows
/// them. Readers move them into the messages; conversations that earlier releases stored still list them.
pub(super) fn lists_attachments(conversation: &Conversation<'_>) -> bool {
    conversation.metadata.iter().any(|(key, raw)| is_attachment(key, raw))
}

/// Whether a field of a message holds attachments.
pub(super) fn is_attachment(key: &Text<'_>, raw: &RawJson<'_>) -> bool {
    ATTACHMENTS.contains(&key.as_written())
        && !matches!(raw.as_str(), "[]" | "null" | "\"\"")
        && !is_empty_json(raw)
}
