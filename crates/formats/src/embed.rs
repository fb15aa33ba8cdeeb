//! Files that are beside a history, put into the messages that show them. An import may leave its source behind, and what the
//! messages show would be gone with it.
//!
//! The bytes are a data URL under [`EMBEDDED`] in the object that names the file, behind all that its source says. So the name
//! is still there, and [`retort_model::Messages`] finds the message the same as without the bytes.

use std::collections::HashMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retort_json::{RawJson, Value};
use retort_model::bounds::EMBEDDED_BYTES;
use retort_model::{Content, Conversation, EMBEDDED, Message, PartKind, without_embedded};

use crate::attachment::{inline, is_remote, media_type_of_name, place};
use crate::data::{GivenFiles, sent_fields};

/// What became of the files that a conversation names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    /// Files that are in it now.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not among those given, or too large.
    pub missing: u64,
}

/// Puts the files that the messages of a conversation name into them, up to [`EMBEDDED_BYTES`].
pub fn embed(conversation: &mut Conversation<'_>, given: &dyn GivenFiles) -> Embedded {
    let mut embedding = Embedding { given, done: Embedded::default() };
    messages(conversation).for_each(|message| embedding.message(message));
    embedding.done
}

/// Takes over the bytes that are in an earlier state of a conversation and that a later one only names. Returns whether there
/// are any.
pub fn carry_embedded(was: &Conversation<'_>, came: &mut Conversation<'_>) -> bool {
    let parts = was.rounds.iter().flat_map(|round| &round.messages).flat_map(Message::attachments);
    let known: HashMap<String, &RawJson<'_>> = parts
        .filter_map(|part| part.raw.as_ref())
        .filter_map(|raw| Some((without_embedded(raw.as_str())?, raw)))
        .collect();
    if known.is_empty() {
        return false;
    }
    let mut any = false;
    for message in messages(came) {
        let Some(Content::Parts(parts)) = &mut message.content else { continue };
        for raw in parts.iter_mut().filter_map(|part| part.raw.as_mut()) {
            if let Some(full) = known.get(raw.as_str()) {
                *raw = (*full).clone().into_owned();
                any = true;
            }
        }
    }
    any
}

fn messages<'m, 'a>(
    conversation: &'m mut Conversation<'a>,
) -> impl Iterator<Item = &'m mut Message<'a>> {
    let tasks = conversation.tasks.iter_mut().flat_map(|task| &mut task.rounds);
    conversation.rounds.iter_mut().chain(tasks).flat_map(|round| &mut round.messages)
}

struct Embedding<'g> {
    given: &'g dyn GivenFiles,
    done: Embedded,
}

impl Embedding<'_> {
    fn message(&mut self, message: &mut Message<'_>) {
        if let Some(Content::Parts(parts)) = &mut message.content {
            for part in parts.iter_mut().filter(|part| part.kind != PartKind::Text) {
                if let Some(with) = part.raw.as_ref().and_then(|raw| self.part(raw)) {
                    part.raw = Some(with);
                }
            }
        }
        let embedded: Vec<_> = sent_fields(message)
            .filter_map(|(key, raw)| Some((key.clone(), self.field(raw)?)))
            .collect();
        for (key, raw) in embedded {
            message.metadata.put(key, raw);
        }
    }

    /// A part with the bytes of the file that it names; none if it names none that is given.
    fn part(&mut self, raw: &RawJson<'_>) -> Option<RawJson<'static>> {
        let value = serde_json::from_str(raw.as_str()).ok()?;
        let url = self.url(&value)?;
        let object = raw.as_str().trim_end().strip_suffix('}')?;
        let comma = if object.trim_end().ends_with('{') { "" } else { "," };
        RawJson::owned(&format!("{object}{comma}\"{EMBEDDED}\":\"{url}\"}}")).ok()
    }

    /// A field that names files, or a list of them, with their bytes.
    fn field(&mut self, raw: &RawJson<'_>) -> Option<RawJson<'static>> {
        let mut value = Value::parse(raw.as_str()).ok()?;
        let items = match &mut value {
            Value::Array(items) => items.iter_mut().collect(),
            one => vec![one],
        };
        let mut any = false;
        for item in items {
            let Some(url) = self.url(&serde_json::from_str(&item.to_json()).ok()?) else {
                continue;
            };
            let url = (EMBEDDED.into(), Value::String(url.into()));
            if let Value::Object(fields) = item {
                fields.push(url);
            } else {
                let named = std::mem::replace(item, Value::Null);
                *item = Value::Object(vec![("path".into(), named), url]);
            }
            any = true;
        }
        any.then(|| RawJson::owned(&value.to_json()).ok()).flatten()
    }

    /// The data URL of the file that a value names, if it is one that is given.
    fn url(&mut self, value: &serde_json::Value) -> Option<String> {
        if inline(value).is_some() {
            return None;
        }
        let name = place(value).filter(|place| !is_remote(place))?;
        let left = EMBEDDED_BYTES.saturating_sub(self.done.bytes);
        let read = self.given.find(name).and_then(|file| {
            let mut bytes = Vec::new();
            (file.open)().ok()?.take(left + 1).read_to_end(&mut bytes).ok()?;
            Some((file.name, bytes)).filter(|(_, bytes)| bytes.len() as u64 <= left)
        });
        let Some((name, bytes)) = read else {
            self.done.missing += 1;
            return None;
        };
        self.done.files += 1;
        self.done.bytes += bytes.len() as u64;
        let media_type = media_type_of_name(&name).unwrap_or("application/octet-stream");
        Some(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
    }
}
