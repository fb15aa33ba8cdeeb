//! The files that are in the messages of a conversation.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::ops::Range;

use retort_formats::attachment::{ending, inline};
use retort_formats::package::{Archive, Entry, Segment};
use retort_model::{Message, PartKind};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// A file that is in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// A safe file name, unique in the conversation.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A file without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// A safe file name, unique in the conversation.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub bytes: u64,
}

impl From<Attachment> for FileInfo {
    fn from(file: Attachment) -> Self {
        let Attachment { name, media_type, bytes } = file;
        Self { name, media_type, bytes: bytes.len() as u64 }
    }
}

/// Takes files out of messages, one message after another.
#[derive(Default)]
pub(crate) struct Files {
    names: FileNames,
    found: usize,
}

impl Files {
    /// Hands on the files in a message, in order. A link to a file elsewhere is not a file.
    pub(crate) fn each_of<E>(
        &mut self,
        message: &Message<'_>,
        each: &mut dyn FnMut(Attachment) -> Result<(), E>,
    ) -> Result<(), E> {
        for part in message.attachments() {
            let Some(raw) = &part.raw else { continue };
            let Ok(value) = serde_json::from_str::<serde_json::Value>(raw.as_str()) else {
                continue;
            };
            let Some((media_type, bytes)) = inline(&value) else { continue };
            let wanted =
                name_in(&value).map(|name| file_name(&name)).filter(|name| !name.is_empty());
            self.found += 1;
            let name = wanted.unwrap_or_else(|| {
                let kind = match part.kind {
                    PartKind::Image => "image",
                    PartKind::Audio => "audio",
                    PartKind::Text | PartKind::File | PartKind::Other => "file",
                };
                format!("{kind}-{}.{}", self.found, ending(&media_type))
            });
            each(Attachment { name: self.names.free(&name), media_type, bytes })?;
        }
        Ok(())
    }
}

/// All files as one ZIP archive.
pub struct FileArchive {
    files: Vec<Attachment>,
    archive: Archive,
}

impl FileArchive {
    /// The archive of these files; none without files.
    pub(crate) fn of(files: Vec<Attachment>) -> Option<Self> {
        let entry = |file: &Attachment| Entry {
            name: file.name.clone(),
            bytes: file.bytes.len() as u64,
            crc32: crc32fast::hash(&file.bytes),
            packed_bytes: None,
        };
        let archive = Archive::new(files.iter().map(entry).collect());
        (!files.is_empty()).then_some(Self { files, archive })
    }

    /// Bytes of the archive.
    pub fn bytes(&self) -> u64 {
        self.archive.len()
    }

    /// The SHA-256 of its contents.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for file in &self.files {
            for part in [file.name.as_bytes(), &file.bytes] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    /// Writes a part of it.
    ///
    /// # Errors
    /// The output fails.
    pub fn write(&self, range: Range<u64>, out: &mut dyn Write) -> Result<(), Error> {
        for segment in self.archive.segments(range) {
            let bytes = match &segment {
                Segment::Bytes(bytes) => bytes,
                Segment::Entry { index, range } => {
                    let range = usize::try_from(range.start).unwrap_or(usize::MAX)
                        ..usize::try_from(range.end).unwrap_or(usize::MAX);
                    self.files
                        .get(*index)
                        .and_then(|file| file.bytes.get(range))
                        .unwrap_or_default()
                }
            };
            out.write_all(bytes).map_err(Error::gone)?;
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use retort_formats::import::{self, Notes};
    use retort_testing::growth;

    use super::*;

    fn attachments(conversation: &retort_model::Conversation<'_>) -> Vec<Attachment> {
        let (mut files, mut found) = (Files::default(), Vec::new());
        for message in conversation.messages() {
            let take = &mut |file| {
                found.push(file);
                Ok::<_, ()>(())
            };
            files.each_of(message, take).unwrap();
        }
        found
    }

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
