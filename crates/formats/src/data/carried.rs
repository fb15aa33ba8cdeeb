//! Pictures, videos and sound that go with the rows: as files of the package, named by their content, or as URLs. A message
//! is carried if all that it shows is; what answers another rests on something that the row does not have.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

use retort_json::{RawJson, Text};
use retort_model::{Content, LeftOut, Message, Part, PartKind, Reason, Role};
use sha2::{Digest, Sha256};

use super::attachments::{has_attachments, sent_with};
use super::format::{Attachments, ShapeContext, ShapeOptions};
use super::record::Draft;
use super::record_file::{FileContent, RecordFile};
use super::schema::{Field, Sink, Type};
use super::turns::Turn;
use crate::attachment::{ending, inline, is_remote, place};

/// Files that lie beside a history, such as the pictures in an archive.
pub trait GivenFiles {
    /// The file that the history calls so: by its path from where the history lies, or by the id that its source gave it.
    fn find(&self, name: &str) -> Option<GivenFile>;
}

/// Opens a file, as often as it is asked to.
pub type Open = Arc<dyn Fn() -> io::Result<Box<dyn Read>> + Send + Sync>;

/// A file beside a history.
#[derive(Clone)]
pub struct GivenFile {
    /// Hexadecimal SHA-256 of its content.
    pub sha256: String,
    /// Its name.
    pub name: String,
    /// Opens it.
    pub open: Open,
}

impl std::fmt::Debug for GivenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The folder of the files in a package.
const FOLDER: &str = "files";

/// The columns that list what the messages show, in the order of their marks in the text.
pub(super) const COLUMNS: [Field; 3] = [
    Field::required("images", Type::List(&Type::Word)),
    Field::required("videos", Type::List(&Type::Word)),
    Field::required("audios", Type::List(&Type::Word)),
];

/// What a person sees or hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Image,
    Video,
    Audio,
}

impl Medium {
    const ALL: [Self; 3] = [Self::Image, Self::Video, Self::Audio];

    /// What stands in the text where it is shown.
    fn mark(self) -> &'static str {
        match self {
            Self::Image => "<image>",
            Self::Video => "<video>",
            Self::Audio => "<audio>",
        }
    }

    fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type.split('/').next()? {
            "image" => Some(Self::Image),
            "video" => Some(Self::Video),
            "audio" => Some(Self::Audio),
            _ => None,
        }
    }

    /// By the ending of a name.
    fn of_name(name: &str) -> Option<Self> {
        match ending_of(name)?.as_str() {
            "png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" | "tif" | "tiff" | "heic" | "avif" => {
                Some(Self::Image)
            }
            "mp4" | "mov" | "avi" | "mkv" | "webm" | "mpeg" | "mpg" => Some(Self::Video),
            "mp3" | "wav" | "ogg" | "flac" | "m4a" | "opus" | "aac" => Some(Self::Audio),
            _ => None,
        }
    }
}

/// A piece of what a message says and shows, in order.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(String),
    /// What is shown, as a URL or a path in the package.
    Shown(Medium, String),
}

/// What goes with a row.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// By the address of the message, which outlives it.
    messages: HashMap<usize, Vec<Piece>>,
    /// Why the first message is not carried that might have been.
    missing: Option<String>,
}

/// The files of the messages of a draft, each with the address of its message.
#[derive(Default)]
pub(super) struct Files(Vec<(usize, RecordFile)>);

impl Files {
    /// Those of the messages that are in the row, each once.
    pub(super) fn of_messages<'c>(
        self,
        messages: impl Iterator<Item = &'c Message<'c>>,
    ) -> Vec<RecordFile> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let written: HashSet<usize> = messages.map(key).collect();
        let mut paths = HashSet::new();
        let files = self.0.into_iter().filter(|(message, _)| written.contains(message));
        files.map(|(_, file)| file).filter(|file| paths.insert(file.path.clone())).collect()
    }
}

/// What the messages of a row show, by medium, in order.
#[derive(Debug, Default)]
pub(super) struct Media([Vec<String>; 3]);

impl Media {
    /// Writes the columns.
    pub(super) fn write(&self, out: &mut dyn Sink) {
        for places in &self.0 {
            out.open_list();
            places.iter().for_each(|place| out.str(place));
            out.close_list();
        }
    }

    /// Why a row is left out whose texts have marks where nothing is shown: trainers count them.
    pub(super) fn strays<'t>(
        &self,
        texts: impl Iterator<Item = Cow<'t, str>>,
        options: &ShapeOptions,
    ) -> Option<LeftOut> {
        let mut counts = [0; 3];
        for text in texts {
            for (count, medium) in counts.iter_mut().zip(Medium::ALL) {
                *count += text.matches(medium.mark()).count();
            }
        }
        let mut all = counts.iter().zip(&self.0).zip(Medium::ALL);
        let ((_, _), medium) = all.find(|((count, places), _)| **count != places.len())?;
        if options.attachments != Attachments::Keep {
            return None;
        }
        let mark = medium.mark();
        let detail = format!("its text has `{mark}` where nothing is shown");
        Some(LeftOut::new(Reason::NeedsAttachment, detail))
    }
}

fn key(message: &Message<'_>) -> usize {
    std::ptr::from_ref(message).addr()
}

impl Carried {
    /// What the messages of a draft show, if it is to be kept and there is a place for it, and the files of it.
    pub(super) fn of(
        draft: &Draft<'_>,
        context: &ShapeContext<'_>,
        has_media: bool,
    ) -> (Rc<Self>, Files) {
        let (mut carried, mut files) = (Self::default(), Files::default());
        if !has_media || context.options.attachments != Attachments::Keep {
            return (Rc::default(), files);
        }
        for message in draft.messages() {
            if message.role != Role::User || !has_attachments(message) {
                continue;
            }
            let mut own = Vec::new();
            match pieces(message, context.given, &mut own) {
                Ok(pieces) => {
                    carried.messages.insert(key(message), pieces);
                    files.0.extend(own.into_iter().map(|file| (key(message), file)));
                }
                Err(why) => {
                    carried.missing.get_or_insert(why);
                }
            }
        }
        (Rc::new(carried), files)
    }

    pub(super) fn has(&self, message: &Message<'_>) -> bool {
        !self.messages.is_empty() && self.messages.contains_key(&key(message))
    }

    pub(super) fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// The text of a question, with a mark for each thing that it shows.
    pub(super) fn text_of<'c>(&self, turn: &Turn<'c>) -> Text<'c> {
        if !turn.messages().any(|message| self.has(message)) {
            return turn.text();
        }
        let mut text = String::new();
        for message in turn.messages() {
            let said = match self.messages.get(&key(message)) {
                Some(pieces) => marked(pieces),
                None => message.words().decoded().into_owned(),
            };
            if said.trim().is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&said);
        }
        text.into()
    }

    /// What some messages show.
    pub(super) fn media<'c>(&self, messages: impl Iterator<Item = &'c Message<'c>>) -> Media {
        let mut media = Media::default();
        if self.messages.is_empty() {
            return media;
        }
        for piece in messages.filter_map(|one| self.messages.get(&key(one))).flatten() {
            let Piece::Shown(medium, place) = piece else { continue };
            let lists = media.0.iter_mut().zip(Medium::ALL);
            for (places, _) in lists.filter(|(_, one)| one == medium) {
                places.push(place.clone());
            }
        }
        media
    }
}

/// What a message says and shows, in order.
fn pieces(
    message: &Message<'_>,
    given: Option<&dyn GivenFiles>,
    files: &mut Vec<RecordFile>,
) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    for raw in sent_with(message) {
        for value in values(raw) {
            pieces.push(shown(&value, None, given, files)?);
        }
    }
    match &message.content {
        None => {}
        Some(Content::Text(text)) => pieces.push(Piece::Text(text.decoded().into_owned())),
        Some(Content::Parts(parts)) => {
            for part in parts {
                pieces.push(piece(part, given, files)?);
            }
        }
    }
    Ok(pieces)
}

/// What a message says, with marks for what it shows. Texts that follow each other are joined by line breaks.
fn marked(pieces: &[Piece]) -> String {
    let mut text = String::new();
    let mut is_after_text = false;
    for piece in pieces {
        match piece {
            Piece::Text(said) => {
                if is_after_text {
                    text.push('\n');
                }
                text.push_str(said);
            }
            Piece::Shown(medium, _) => text.push_str(medium.mark()),
        }
        is_after_text = matches!(piece, Piece::Text(_));
    }
    text
}

/// The values of a field: those of a list, or itself.
fn values(raw: &RawJson<'_>) -> Vec<serde_json::Value> {
    match serde_json::from_str(raw.as_str()) {
        Ok(serde_json::Value::Array(values)) => values,
        Ok(value) => vec![value],
        Err(_) => Vec::new(),
    }
}

fn piece(
    part: &Part<'_>,
    given: Option<&dyn GivenFiles>,
    files: &mut Vec<RecordFile>,
) -> Result<Piece, String> {
    let kind = match part.kind {
        PartKind::Text => {
            let text = part.text.as_ref().map(Text::decoded).unwrap_or_default();
            return Ok(Piece::Text(text.into_owned()));
        }
        PartKind::Image => Some(Medium::Image),
        PartKind::Audio => Some(Medium::Audio),
        PartKind::File | PartKind::Other => None,
    };
    let value = part.raw.as_ref().and_then(|raw| serde_json::from_str(raw.as_str()).ok());
    shown(&value.unwrap_or_default(), kind, given, files)
}

/// What a value shows, as a picture, video or sound; `kind` is what its source says that it is.
fn shown(
    value: &serde_json::Value,
    kind: Option<Medium>,
    given: Option<&dyn GivenFiles>,
    files: &mut Vec<RecordFile>,
) -> Result<Piece, String> {
    let named = |key: &str| value.get(key).and_then(serde_json::Value::as_str);
    let says = kind.or_else(|| match named("type")? {
        "video" | "video_url" | "input_video" => Some(Medium::Video),
        "image" => Some(Medium::Image),
        "audio" => Some(Medium::Audio),
        other => Medium::of_media_type(other),
    });
    let says = says.or_else(|| {
        let types = ["media_type", "mime_type", "mimeType", "mediaType", "contentType"];
        types.into_iter().find_map(|key| Medium::of_media_type(named(key)?))
    });
    let nothing_fits = || "a file that is neither a picture nor a video nor sound".to_owned();
    if let Some((media_type, bytes)) = inline(value) {
        let medium =
            says.or_else(|| Medium::of_media_type(&media_type)).ok_or_else(nothing_fits)?;
        let sha256 = hex(&Sha256::digest(&bytes));
        let path = path_of(&sha256, ending(&media_type));
        files.push(RecordFile { path: path.clone(), content: FileContent::Bytes(bytes) });
        return Ok(Piece::Shown(medium, path));
    }
    let place = place(value).ok_or("something without a place")?;
    let kind_of = |name: &str| says.or_else(|| Medium::of_name(name)).ok_or_else(nothing_fits);
    if is_remote(place) {
        let name = place.split(['?', '#']).next().unwrap_or(place);
        return Ok(Piece::Shown(kind_of(name)?, place.to_owned()));
    }
    let short: String = place.chars().take(80).collect();
    let given = given.and_then(|given| given.find(place));
    let Some(file) = given else {
        return Err(format!("the file `{}` is not among the inputs", short.escape_debug()));
    };
    let medium = kind_of(&file.name)?;
    let path = path_of(&file.sha256, &ending_of(&file.name).unwrap_or_else(|| "bin".into()));
    files.push(RecordFile { path: path.clone(), content: FileContent::Given(file) });
    Ok(Piece::Shown(medium, path))
}

/// A folder takes no more files than the Hub advises.
fn path_of(sha256: &str, ending: &str) -> String {
    let start = sha256.get(..2).unwrap_or_default();
    format!("{FOLDER}/{start}/{sha256}.{ending}")
}

/// What a name ends on, if that says what the file is.
fn ending_of(name: &str) -> Option<String> {
    let (_, ending) = name.rsplit_once('.')?;
    let is_plain =
        (1..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    let ending = ending.to_ascii_lowercase();
    is_plain.then(|| if ending == "jpeg" { "jpg".into() } else { ending })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
