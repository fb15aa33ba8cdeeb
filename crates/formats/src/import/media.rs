//! Pictures, videos, sound and files that a row lists beside its messages: `images`, `videos` and `audios` of LLaMA-Factory,
//! ms-swift and TRL, `image` of LLaVA and of tables about pictures. The text marks where each belongs (`<image>`), or a part
//! without a source does (`{"type": "image"}`). Here they become parts of the messages, as other dialects have them, so that
//! all code that reads a message finds them.

use retort_json::{RawJson, Text, Value};
use retort_model::{Content, Conversation, Fields, Message, Part, PartKind, Role};

use crate::attachment::{is_remote, media_type_of_name};

/// What a row lists.
struct Listed {
    /// The fields for a list.
    many: &'static [&'static str],
    /// The fields for one alone. The first may be a text of any kind if the text has marks; without marks it only counts if it
    /// says where a file is.
    one: &'static [&'static str],
    mark: &'static str,
    kind: PartKind,
}

const LISTED: [Listed; 4] = [
    Listed {
        many: &["images"],
        one: &["image", "image_path", "image_url", "image_file", "img", "img_path", "picture"],
        mark: "<image>",
        kind: PartKind::Image,
    },
    Listed {
        many: &["videos"],
        one: &["video", "video_path", "video_url"],
        mark: "<video>",
        kind: PartKind::Other,
    },
    Listed {
        many: &["audios"],
        one: &["audio", "audio_path", "audio_url", "audio_file"],
        mark: "<audio>",
        kind: PartKind::Audio,
    },
    Listed {
        many: &["files", "attachments"],
        one: &["file"],
        mark: "<file>",
        kind: PartKind::File,
    },
];

/// Moves pictures, videos and sound that are listed beside the messages into them.
pub(super) fn place(conversation: &mut Conversation<'_>) {
    if !conversation.metadata.is_empty() {
        let has_marks = |listed: &&Listed| listed.kind != PartKind::File;
        LISTED.iter().filter(has_marks).for_each(|listed| listed.place(conversation, false));
    }
}

/// The same for a row of a dataset or of a log, and also for files, for what is beside the text of a question, and for one
/// picture without a mark. Exports of products have other things under these names, such as portraits.
pub(super) fn place_in_row(conversation: &mut Conversation<'_>) {
    for listed in &LISTED {
        for message in conversation.rounds.iter_mut().flat_map(|round| &mut round.messages) {
            listed.place_in(message);
        }
        if !conversation.metadata.is_empty() {
            listed.place(conversation, true);
        }
    }
}

/// Whether a value says where a picture, a sound or a file is, or has its bytes.
fn is_source(value: &Value<'_>) -> bool {
    const PLACES: [&str; 8] =
        ["bytes", "path", "url", "data", "src", "filename", "file_id", "file_name"];
    match value {
        Value::String(text) => {
            is_remote(text) || text.starts_with("data:") || media_type_of_name(text).is_some()
        }
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| PLACES.contains(&&**key) && !is_null(value))
        }
        Value::Array(items) => !items.is_empty() && items.iter().all(is_source),
        _ => false,
    }
}

impl Listed {
    /// Puts what is listed beside the text of a question in front of it.
    fn place_in(&self, message: &mut Message<'_>) {
        if message.role != Role::User || message.metadata.is_empty() {
            return;
        }
        for key in self.many.iter().chain(self.one) {
            let sources = self.sources(&message.metadata, key, true);
            if !sources.is_empty() {
                self.put_before(message, &sources);
                message.metadata.take(key);
            }
        }
    }

    fn place(&self, conversation: &mut Conversation<'_>, is_row: bool) {
        let found = |names: &[&'static str], must_say: bool| {
            names.iter().find_map(|key| {
                let sources = self.sources(&conversation.metadata, key, must_say);
                (!sources.is_empty()).then_some((*key, sources))
            })
        };
        let many = found(self.many, self.kind == PartKind::File);
        let has_one = || self.one.iter().any(|key| conversation.metadata.get(key).is_some());
        if many.is_none() && !has_one() {
            return;
        }
        // The number of marks before each round on its path: branches share those of the rounds that they share.
        let mut before: Vec<usize> = Vec::with_capacity(conversation.rounds.len());
        let mut behind: Vec<usize> = Vec::with_capacity(conversation.rounds.len());
        for (at, round) in conversation.rounds.iter().enumerate() {
            let parent = conversation.parent_of(at);
            let start = parent.and_then(|at| behind.get(at)).copied().unwrap_or_default();
            before.push(start);
            behind.push(start + round.messages.iter().map(|one| self.marks(one)).sum::<usize>());
        }
        let marks = behind.iter().copied().max().unwrap_or_default();
        let one = || if marks > 0 || is_row { found(self.one, marks == 0) } else { None };
        let Some((key, sources)) = many.or_else(one) else { return };
        for (round, start) in conversation.rounds.iter_mut().zip(before) {
            let mut sources = sources.iter().skip(start);
            for message in &mut round.messages {
                self.fill(message, &mut sources);
            }
        }
        // What has no mark belongs to the first question.
        let unmarked = sources.get(marks..).unwrap_or_default();
        if !unmarked.is_empty() && !self.put_first(conversation, unmarked) {
            return;
        }
        conversation.metadata.take(key);
    }

    /// What is listed under a key, as the JSON of parts; nothing if anything in it is no source. With `must_say`, each has to
    /// say where it is.
    fn sources(&self, fields: &Fields<'_>, key: &str, must_say: bool) -> Vec<RawJson<'static>> {
        let items = match fields.get(key).map(|raw| Value::parse(raw.as_str())) {
            Some(Ok(Value::Array(items))) => items,
            Some(Ok(other)) => vec![other],
            _ => return Vec::new(),
        };
        if must_say && !items.iter().all(|item| is_null(item) || is_source(item)) {
            return Vec::new();
        }
        let parts = items.iter().filter(|item| !is_null(item)).map(|item| self.source(item));
        parts.collect::<Option<_>>().unwrap_or_default()
    }

    /// A text or an object with something in it, as the JSON of a part.
    fn source(&self, item: &Value<'_>) -> Option<RawJson<'static>> {
        match item {
            Value::String(text) if !text.is_empty() => {}
            Value::Object(fields) if !fields.is_empty() => {}
            _ => return None,
        }
        let name = self.one.first()?;
        RawJson::owned(&format!(r#"{{"type":"{name}","{name}":{}}}"#, item.to_json())).ok()
    }

    /// How many of them a message marks.
    fn marks(&self, message: &Message<'_>) -> usize {
        let in_text = |text: &Text<'_>| text.decoded().matches(self.mark).count();
        match &message.content {
            None => 0,
            Some(Content::Text(text)) => in_text(text),
            Some(Content::Parts(parts)) => parts
                .iter()
                .map(|part| match &part.text {
                    Some(text) if part.kind == PartKind::Text => in_text(text),
                    _ => usize::from(self.is_bare(part)),
                })
                .sum(),
        }
    }

    /// Whether a part shows something and does not say what.
    fn is_bare(&self, part: &Part<'_>) -> bool {
        let value = part.raw.as_ref().and_then(|raw| Value::parse(raw.as_str()).ok());
        let Some(Value::Object(fields)) = value else { return false };
        part.kind == self.kind
            && fields.iter().all(|(key, value)| {
                key == "type" || is_null(value) || value.as_str().is_some_and(str::is_empty)
            })
    }

    /// Puts sources in place of the marks of a message.
    fn fill<'s>(
        &self,
        message: &mut Message<'_>,
        sources: &mut impl Iterator<Item = &'s RawJson<'static>>,
    ) {
        if self.marks(message) == 0 {
            return;
        }
        let parts = match message.content.take() {
            Some(Content::Parts(parts)) => parts,
            Some(Content::Text(text)) => {
                vec![Part::text(text)]
            }
            None => Vec::new(),
        };
        let mut filled = Vec::with_capacity(parts.len() + 1);
        for mut part in parts {
            if self.is_bare(&part) {
                part.raw = sources.next().cloned().or(part.raw);
                filled.push(part);
                continue;
            }
            match &part.text {
                Some(text) if part.kind == PartKind::Text && text.decoded().contains(self.mark) => {
                    self.split(&text.decoded(), sources, &mut filled);
                }
                _ => filled.push(part),
            }
        }
        message.content = Some(Content::Parts(filled));
    }

    /// Splits a text at its marks. A line break between a mark and the text is dropped with the mark.
    fn split<'s>(
        &self,
        text: &str,
        sources: &mut impl Iterator<Item = &'s RawJson<'static>>,
        into: &mut Vec<Part<'_>>,
    ) {
        let say = |text: &str, into: &mut Vec<Part<'_>>| {
            if !text.is_empty() {
                into.push(Part::text(text.to_owned().into()));
            }
        };
        let mut rest = text;
        while let Some((said, behind)) = rest.split_once(self.mark) {
            let Some(source) = sources.next() else { break };
            say(said.strip_suffix('\n').unwrap_or(said), into);
            into.push(self.part(source));
            rest = behind.strip_prefix('\n').unwrap_or(behind);
        }
        say(rest, into);
    }

    fn part(&self, source: &RawJson<'static>) -> Part<'static> {
        Part { kind: self.kind, text: None, raw: Some(source.clone()) }
    }

    /// Puts parts in front of the first question of each beginning; false if there is none.
    fn put_first(&self, conversation: &mut Conversation<'_>, sources: &[RawJson<'static>]) -> bool {
        let is_first = |at: &usize| conversation.parent_of(*at).is_none();
        let firsts: Vec<_> = (0..conversation.rounds.len()).filter(is_first).collect();
        let mut any = false;
        for at in firsts {
            let Some(round) = conversation.rounds.get_mut(at) else { continue };
            let asks = |message: &&mut Message<'_>| message.role == Role::User;
            let Some(message) = round.messages.iter_mut().find(asks) else { continue };
            self.put_before(message, sources);
            any = true;
        }
        any
    }

    fn put_before(&self, message: &mut Message<'_>, sources: &[RawJson<'static>]) {
        let mut parts: Vec<Part<'_>> = sources.iter().map(|one| self.part(one)).collect();
        match message.content.take() {
            Some(Content::Parts(said)) => parts.extend(said),
            Some(Content::Text(text)) => parts.push(Part::text(text)),
            None => {}
        }
        message.content = Some(Content::Parts(parts));
    }
}

fn is_null(value: &Value<'_>) -> bool {
    matches!(value, Value::Null)
}
