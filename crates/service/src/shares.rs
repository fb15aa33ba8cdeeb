//! Public links to conversations: read-only, unguessable, and gone the moment they are revoked.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use retort_engine::{Redaction, hex};
use retort_formats::package::{Archive, Entry, Segment};
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Action, Conversation, Grant, PartKind, ProjectRole, Role, Time, canonical};
use retort_store::{NewShare, Share, Summary};

use crate::browse::{no_conversation, read, with_edits, with_next};
use crate::caller::Caller;
use crate::error::Error;
use crate::memory::take_for_item;
use crate::secret::{hash, hash_any_password, is_password, new_secret};
use crate::service::Service;

/// What of a conversation a link shows that is left out unless asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shows {
    /// System prompts.
    pub system: bool,
    /// Definitions of tools.
    pub tools: bool,
    /// Token counts.
    pub usage: bool,
    /// Secrets and personal data as they are, which are masked otherwise.
    pub unredacted: bool,
}

impl Shows {
    fn number(self) -> i64 {
        i64::from(self.system)
            | i64::from(self.tools) << 1
            | i64::from(self.usage) << 2
            | i64::from(self.unredacted) << 3
    }

    /// As the store keeps it.
    pub fn of(share: &Share) -> Self {
        let shows = share.shows;
        Self {
            system: shows & 1 != 0,
            tools: shows & 2 != 0,
            usage: shows & 4 != 0,
            unredacted: shows & 8 != 0,
        }
    }
}

/// A link that is asked for.
#[derive(Clone, Debug, Default)]
pub struct ShareRequest {
    /// The conversation's id.
    pub conversation: String,
    /// Its source, where the id alone is not enough.
    pub source: Option<String>,
    /// When the link ends by itself.
    pub expires_at: Option<Time>,
    /// What opens it, besides the link.
    pub password: Option<String>,
    /// What it shows.
    pub shows: Shows,
}

/// A conversation behind a link, without what the link does not show.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The link.
    pub share: Share,
    /// The conversation, as its list shows it.
    pub summary: Summary,
    /// The canonical line of what is shown.
    pub line: Vec<u8>,
    /// How many secrets and personal data are masked in it; none if the link shows them as they are.
    pub masked: Option<u64>,
    /// What opens the link again in place of its password, until that is gone.
    pub proof: Option<String>,
}

/// What someone shows besides a link that takes a password.
#[derive(Clone, Copy, Debug)]
pub enum Pass<'p> {
    /// Nothing.
    None,
    /// The password.
    Password(&'p str),
    /// What was given for the password before.
    Proof(&'p str),
}

/// A file that lies in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it may be called: no path, and no two alike.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Service {
    /// Makes a public link to a conversation that the caller holds, or administers. Its secret is never shown again.
    ///
    /// # Errors
    /// There is no such conversation for the caller, or several; it is deleted.
    pub fn share(&self, caller: &Caller, request: &ShareRequest) -> Result<(Share, String), Error> {
        self.audited(caller, Action::Share, &request.conversation, || {
            caller.needs(Grant::Share)?;
            let summary =
                self.find_one(caller, &request.conversation, request.source.as_deref())?;
            let now = self.clock.now();
            if request.expires_at.is_some_and(|until| until <= now) {
                return Err(Error::Choice("the link would have expired already".into()));
            }
            let password = match request.password.as_deref() {
                Some("") => return Err(Error::Choice("the password is empty".into())),
                Some(password) => Some(hash_any_password(password)?),
                None => None,
            };
            let secret = new_secret("")?;
            let new = NewShare {
                conversation: summary.key,
                secret: hash(&secret),
                creator: &caller.name,
                person: caller.person,
                password: password.as_deref(),
                shows: request.shows.number(),
                expires_at: request.expires_at,
            };
            let id = self.store.add_share(&caller.scope(), &new, now)?;
            let id = id.ok_or_else(|| Error::NotFound {
                what: "conversation",
                name: request.conversation.clone(),
            })?;
            let (all, _) =
                self.store.shares(&caller.scope(), Some(summary.key), None, PAGE_ITEMS)?;
            let made = all.into_iter().find(|share| share.id == id);
            Ok((made.ok_or_else(|| no_share(id))?, secret))
        })
    }

    /// A page of the links to conversations that the caller may see, the newest first, and its last link if there are
    /// more.
    pub fn shares(
        &self,
        caller: &Caller,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Share>, Option<i64>), Error> {
        caller.needs(Grant::Share)?;
        let page = self.store.shares(&caller.scope(), None, after, most.min(PAGE_ITEMS))?;
        Ok(with_next(page, |one| one.id))
    }

    /// The links to one conversation, the newest first; none for whose token makes no links.
    pub fn shares_of(&self, caller: &Caller, summary: &Summary) -> Result<Vec<Share>, Error> {
        if !caller.grants.has(Grant::Share) {
            return Ok(Vec::new());
        }
        Ok(self.store.shares(&caller.scope(), Some(summary.key), None, PAGE_ITEMS)?.0)
    }

    /// Ends a link at once.
    ///
    /// # Errors
    /// There is none that the caller may end.
    pub fn unshare(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Share, &format!("{id}: revoked"), || {
            caller.needs(Grant::Share)?;
            self.store.end_share(&caller.scope(), id)?.map(|_| ()).ok_or_else(|| no_share(id))
        })
    }

    /// Opens a link again that closed as its maker lost the role that let them make it. From then on it is the caller's.
    ///
    /// # Errors
    /// The caller is no admin, or there is no such link.
    pub fn keep_share(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Share, &format!("{id}: kept open"), || {
            caller.needs(Grant::Share)?;
            caller.needs_role(ProjectRole::Admin)?;
            if self.store.keep_share(&caller.scope(), id, (&caller.name, caller.person))? {
                return Ok(());
            }
            Err(no_share(id))
        })
    }

    /// What is behind a link; for anyone who has it.
    ///
    /// # Errors
    /// There is no such link any more, which is not told from there never having been one; the password is wrong.
    pub fn shared(&self, link: &str, pass: Pass<'_>) -> Result<Shared, Error> {
        let found = self.store.share_behind(&hash(link), self.clock.now())?;
        let (share, summary, kept) =
            found.ok_or_else(|| Error::NotFound { what: "link", name: "of that name".into() })?;
        let proof = kept.as_deref().map(|kept| hex(&hash(&format!("{link} {kept}"))));
        let is_open = match (pass, &proof) {
            (_, None) => true,
            (Pass::None, _) => return Err(Error::NotSignedIn("the link takes a password")),
            (Pass::Password(password), _) => is_password(password, kept.as_deref()),
            // Both sides are hashes, so that time tells nothing of how far they are alike.
            (Pass::Proof(shown), Some(proof)) => hash(shown) == hash(proof),
        };
        if !is_open {
            return Err(Error::NotSignedIn("the password of the link is another"));
        }
        take_for_item(summary.size, summary.messages)?;
        let mut unpacker = self.store.unpacker();
        let line = self.store.line(&summary, &mut unpacker)?;
        let line = line.ok_or_else(|| no_conversation(&summary.id))?;
        let line = with_edits(&summary, &line)?;
        let shows = Shows::of(&share);
        let line = shown(&summary, &line, shows)?;
        let (mut summary, mut line, mut masked) = (summary, line, None);
        if !shows.unredacted {
            let (redacted, count) = redacted(line)?;
            let title = read(&summary, &redacted)?.title.map(|title| title.decoded().into_owned());
            (summary.title, line, masked) = (title, redacted, Some(count));
        }
        Ok(Shared { share, summary, line, masked, proof })
    }

    /// The files that lie in a shared conversation.
    ///
    /// # Errors
    /// It is damaged.
    pub fn attachments(&self, shared: &Shared) -> Result<Vec<Attachment>, Error> {
        let conversation = read(&shared.summary, &shared.line)?;
        Ok(attachments(&conversation))
    }
}

/// All files as one ZIP archive; none if there is no file.
pub fn pack(files: &[Attachment]) -> Option<Vec<u8>> {
    if files.is_empty() {
        return None;
    }
    let entries = files
        .iter()
        .map(|file| Entry {
            name: file.name.clone(),
            bytes: file.bytes.len() as u64,
            crc32: crc32fast::hash(&file.bytes),
            packed_bytes: None,
        })
        .collect();
    let archive = Archive::new(entries);
    let mut out = Vec::with_capacity(usize::try_from(archive.len()).unwrap_or(0));
    for segment in archive.segments(0..archive.len()) {
        match segment {
            Segment::Bytes(bytes) => out.extend_from_slice(&bytes),
            Segment::Entry { index, range } => {
                let range = usize::try_from(range.start).unwrap_or(usize::MAX)
                    ..usize::try_from(range.end).unwrap_or(usize::MAX);
                out.extend_from_slice(
                    files.get(index).and_then(|file| file.bytes.get(range)).unwrap_or_default(),
                );
            }
        }
    }
    Some(out)
}

fn no_share(id: i64) -> Error {
    Error::NotFound { what: "share", name: id.to_string() }
}

impl Shared {
    /// The conversation.
    ///
    /// # Errors
    /// It is damaged.
    pub fn conversation(&self) -> Result<Conversation<'_>, Error> {
        read(&self.summary, &self.line)
    }
}

/// The canonical line of what a link shows: nothing of whose it is, how it was sorted, or what its source kept
/// beside the messages.
fn shown(summary: &Summary, line: &[u8], shows: Shows) -> Result<Vec<u8>, Error> {
    let mut conversation = read(summary, line)?;
    conversation.owner = None;
    conversation.project = None;
    conversation.tags.clear();
    conversation.metadata.clear();
    for task in &mut conversation.tasks {
        task.metadata.clear();
    }
    let tasks = conversation.tasks.iter_mut().flat_map(|task| &mut task.rounds);
    for round in conversation.rounds.iter_mut().chain(tasks) {
        round.metadata.clear();
        if !shows.tools {
            round.tools.clear();
        }
        if !shows.usage {
            round.usage = retort_model::Usage::default();
        }
        if !shows.system {
            round.messages.retain(|message| message.role != Role::System);
        }
        for message in &mut round.messages {
            message.metadata.clear();
            message.feedback = None;
            if message.role == Role::User {
                message.name = None;
            }
            for call in &mut message.tool_calls {
                call.metadata.clear();
            }
        }
    }
    let mut out = Vec::with_capacity(line.len());
    canonical::write(&conversation, &mut out);
    Ok(out)
}

/// A line with its secrets and personal data masked, and how many there are.
fn redacted(line: Vec<u8>) -> Result<(Vec<u8>, u64), Error> {
    static RULES: OnceLock<Redaction> = OnceLock::new();
    let rules = match RULES.get() {
        Some(rules) => rules,
        None => {
            let rules = Redaction::of_public()?;
            RULES.get_or_init(|| rules)
        }
    };
    let found = rules.line(&String::from_utf8_lossy(&line));
    Ok(found.map_or((line, 0), |(redacted, count)| (redacted.into_bytes(), count)))
}

/// Files that lie in the messages, in order. What only points elsewhere is none.
fn attachments(conversation: &Conversation<'_>) -> Vec<Attachment> {
    let mut found: Vec<Attachment> = Vec::new();
    let mut names = FileNames::default();
    for part in conversation.messages().flat_map(retort_model::Message::attachments) {
        let Some(raw) = &part.raw else { continue };
        let Ok(value) = serde_json::from_str::<serde_json::Value>(raw.as_str()) else { continue };
        let Some((media_type, bytes)) = inline(&value) else { continue };
        let wanted = name_in(&value).map(|name| file_name(&name)).filter(|name| !name.is_empty());
        let name = wanted.unwrap_or_else(|| {
            let kind = match part.kind {
                PartKind::Image => "image",
                PartKind::Audio => "audio",
                PartKind::Text | PartKind::File | PartKind::Other => "file",
            };
            format!("{kind}-{}.{}", found.len() + 1, ending(&media_type))
        });
        found.push(Attachment { name: names.free(&name), media_type, bytes });
    }
    found
}

/// Names of files, no two of which are alike on any file system.
#[derive(Default)]
struct FileNames {
    taken: HashSet<String>,
    /// How often each name was asked for, so that no number is tried twice.
    times: HashMap<String, u32>,
}

impl FileNames {
    /// The name, with a number where there is one like it.
    fn free(&mut self, name: &str) -> String {
        let times = self.times.entry(name.to_ascii_lowercase()).or_default();
        loop {
            *times += 1;
            let free = match name.rsplit_once('.') {
                _ if *times == 1 => name.to_owned(),
                Some((stem, ending)) => format!("{stem}-{times}.{ending}"),
                None => format!("{name}-{times}"),
            };
            if self.taken.insert(free.to_ascii_lowercase()) {
                return free;
            }
        }
    }
}

/// The bytes that a part holds itself: as a `data:` URL anywhere in it, or as Base64 beside its type.
fn inline(value: &serde_json::Value) -> Option<(String, Vec<u8>)> {
    use base64::Engine;
    let decode = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let engines = [
            base64::engine::general_purpose::STANDARD,
            base64::engine::general_purpose::STANDARD_NO_PAD,
        ];
        engines.iter().find_map(|engine| engine.decode(&text).ok())
    };
    match value {
        serde_json::Value::String(text) => {
            let (head, data) = text.strip_prefix("data:")?.split_once(',')?;
            let media_type = head.split(';').next().unwrap_or_default();
            let bytes = if head.ends_with(";base64") {
                decode(data)?
            } else {
                percent_encoding::percent_decode_str(data).collect()
            };
            Some((media_type_of(media_type), bytes))
        }
        serde_json::Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(serde_json::Value::as_str);
            if let (Some(data), Some(kind)) =
                (text("data"), text("media_type").or(text("mime_type")).or(text("format")))
                && !data.starts_with("data:")
            {
                let kind = if kind.contains('/') { kind.into() } else { format!("audio/{kind}") };
                return Some((media_type_of(&kind), decode(data)?));
            }
            fields.values().find_map(inline)
        }
        serde_json::Value::Array(values) => values.iter().find_map(inline),
        _ => None,
    }
}

/// A media type that can stand in a header.
fn media_type_of(text: &str) -> String {
    let is_fit = |text: &str| {
        (3..=100).contains(&text.len())
            && text.matches('/').count() == 1
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b))
    };
    if is_fit(text) { text.to_ascii_lowercase() } else { "application/octet-stream".into() }
}

fn name_in(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Object(fields) => ["filename", "file_name", "name"]
            .iter()
            .find_map(|key| fields.get(*key)?.as_str().map(str::to_owned))
            .or_else(|| fields.values().find_map(name_in)),
        serde_json::Value::Array(values) => values.iter().find_map(name_in),
        _ => None,
    }
}

/// The last part of a name, without what makes it a path, hides it or breaks a line.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last
        .chars()
        .filter(|c| !c.is_control() && !"<>:\"|?*\u{202a}\u{202b}\u{202d}\u{202e}".contains(*c))
        .take(120)
        .collect();
    kept.trim_matches([' ', '.']).to_owned()
}

fn ending(media_type: &str) -> &str {
    match media_type {
        "image/jpeg" => "jpg",
        "image/svg+xml" => "svg",
        "text/plain" => "txt",
        "audio/mpeg" => "mp3",
        "application/octet-stream" => "bin",
        other => other.rsplit(['/', '+', '-', '.']).next().unwrap_or("bin"),
    }
}

#[cfg(test)]
mod tests {
    use retort_formats::import::{self, Notes};
    use retort_testing::growth;

    use super::*;

    fn files_of(parts: &str) -> Vec<Attachment> {
        let item = format!(r#"{{"messages":[{{"role":"user","content":{parts}}}]}}"#);
        let format = import::by_name("openai").unwrap();
        let item = format.read(&item, &mut Notes::default()).unwrap();
        attachments(&item.into_conversation().unwrap())
    }

    fn names(files: &[Attachment]) -> Vec<&str> {
        files.iter().map(|file| &*file.name).collect()
    }

    #[test]
    fn files_come_out_whole_and_under_names_of_their_own() {
        let files = files_of(
            r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},
                {"type":"file","file":{"filename":"../../etc/passwd","file_data":"data:text/plain,a%20b"}},
                {"type":"file","file":{"filename":"c:\\x\\passwd","file_data":"data:text/plain;base64,aGk"}},
                {"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}},
                {"type":"image_url","image_url":{"url":"https://example.org/a.png"}}]"#,
        );
        assert_eq!(names(&files), ["image-1.png", "passwd", "passwd-2", "audio-4.wav"]);
        assert!(files.iter().all(|file| file.bytes == b"hi" || file.bytes == b"a b"));
        assert_eq!(files[3].media_type, "audio/wav");
    }

    #[test]
    fn many_files_of_one_name_are_named_in_time_that_grows_with_their_number() {
        let item = |names: &mut dyn Iterator<Item = String>| {
            let part = |name| {
                format!(r#"{{"type":"file","file":{{"filename":"{name}","file_data":"data:,"}}}}"#)
            };
            let parts = growth::list(names.map(part));
            format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#)
        };
        let n = 1500;
        let same = |n: usize| item(&mut (0..n).map(|_| "a.txt".into()));
        let numbered = |n: usize| {
            item(
                &mut (0..n).map(|i| if i % 2 == 0 { "a.txt".into() } else { format!("a-{i}.txt") }),
            )
        };
        for make in [&same as &dyn Fn(usize) -> String, &numbered] {
            let items = [make(n), make(n * growth::TIMES)];
            let format = import::by_name("openai").unwrap();
            let [small, large] = items.each_ref().map(|item| {
                format.read(item, &mut Notes::default()).unwrap().into_conversation().unwrap()
            });
            assert_eq!(attachments(&small).len(), n);
            growth::check(
                "attachments",
                || drop(attachments(&small)),
                || drop(attachments(&large)),
            );
        }
    }

    #[test]
    fn a_type_that_would_break_a_header_is_none() {
        let files = files_of(
            r#"[{"type":"file","file":{"filename":"a\r\nb\u202e.txt","file_data":"data:te xt/\r\nhtml;base64,aGk="}}]"#,
        );
        assert_eq!(names(&files), ["ab.txt"]);
        assert_eq!(files[0].media_type, "application/octet-stream");
    }
}
