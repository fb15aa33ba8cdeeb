//! Pictures, videos and sound that go with the rows: as files of the package, named by their content, or as URLs. A message
//! is carried if all that it shows is; what answers another rests on something that the row does not have.
//!
//! Formats differ in how they hold what a message shows ([`ShownAs`]) and in what of it they hold.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retort_json::{RawJson, Text};
use retort_model::bounds::{DATA_URL_BYTES, ROW_IMAGES};
use retort_model::{Content, LeftOut, Message, Part, PartKind, Reason, Role};
use sha2::{Digest, Sha256};

use super::attachments::{has_attachments, sent_with};
use super::format::{Attachments, ShapeContext, ShapeOptions};
use super::given::{GivenFile, GivenFiles};
use super::record_file::{FileContent, RecordFile};
use super::schema::{Field, Sink, Type};
use crate::attachment::{ending, inline, is_remote, media_type_of_name, place};

/// The folder of the files in a package.
const FOLDER: &str = "files";

/// The column that lists the images of the messages, in order.
pub(super) const IMAGES: Field = Field::required("images", Type::List(&Type::Word));

/// The columns that list what the messages show, in the order of their marks in the text.
pub(super) const COLUMNS: [Field; 3] = [
    IMAGES,
    Field::required("videos", Type::List(&Type::Word)),
    Field::required("audios", Type::List(&Type::Word)),
];

/// How the rows of a format hold what their messages show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ShownAs {
    /// Not at all.
    #[default]
    Nothing,
    /// A mark in the text for each, and columns that list them ([`COLUMNS`]).
    Marks,
    /// Images as parts of the content, and a column that lists them ([`IMAGES`]).
    Parts,
    /// Images as parts of the content, with the URL in the part: of the web, or with the bytes in it.
    Urls,
    /// Images and sound of the kinds that ATIF knows, as parts of the content with a path or URL.
    Atif,
}

/// What a person sees or hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Image,
    Video,
    Audio,
}

impl Medium {
    const ALL: [Self; 3] = [Self::Image, Self::Video, Self::Audio];

    /// What is in the text where it is shown.
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

    fn word(self) -> &'static str {
        match self {
            Self::Image => "an image",
            Self::Video => "a video",
            Self::Audio => "sound",
        }
    }
}

/// A piece of what a message says and shows, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Shown(Shown),
}

/// Something that a message shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) medium: Medium,
    /// As its source says or its name tells; none of some that are on the web.
    pub(super) media_type: Option<String>,
    /// A URL, or a path in the package.
    pub(super) place: String,
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

    /// Writes the column of images.
    pub(super) fn write_images(&self, out: &mut dyn Sink) {
        let [images, ..] = &self.0;
        out.open_list();
        images.iter().for_each(|place| out.str(place));
        out.close_list();
    }

    /// Why a row is left out that shows more than OpenAI takes.
    pub(super) fn too_many(&self) -> Option<LeftOut> {
        let [images, ..] = &self.0;
        let detail = || format!("more than {ROW_IMAGES} images");
        (images.len() > ROW_IMAGES).then(|| LeftOut::new(Reason::NeedsAttachment, detail()))
    }

    /// Why a row is left out whose texts have marks where nothing is shown: trainers count them. Where images are parts of
    /// the content, a template writes a mark for each of them, and there are no other marks.
    pub(super) fn strays<'t>(
        &self,
        shown_as: ShownAs,
        texts: impl Iterator<Item = &'t Text<'t>>,
        options: &ShapeOptions,
    ) -> Option<LeftOut> {
        let marks: &[Medium] = match shown_as {
            ShownAs::Marks => &Medium::ALL,
            ShownAs::Parts => &[Medium::Image],
            ShownAs::Nothing | ShownAs::Urls | ShownAs::Atif => &[],
        };
        if options.attachments != Attachments::Keep || marks.is_empty() {
            return None;
        }
        let mut counts = [0; 3];
        for text in texts {
            count_marks(text, &mut counts);
        }
        let mut all = counts.iter().zip(&self.0).zip(marks);
        let ((_, _), medium) = all.find(|((count, places), _)| **count != places.len())?;
        let mark = medium.mark();
        let detail = format!("its text has `{mark}` where there is no attachment");
        Some(LeftOut::new(Reason::NeedsAttachment, detail))
    }
}

/// Adds how often each medium's mark is in a text. As every text of a dataset is looked through, it is decoded only if an
/// escape in it might mean a character of a mark.
fn count_marks(text: &Text<'_>, counts: &mut [usize; 3]) {
    let mut written = Cow::Borrowed(text.as_written());
    if memchr::memmem::find(written.as_bytes(), b"\\u").is_some() {
        written = text.decoded();
    }
    for at in memchr::memchr_iter(b'<', written.as_bytes()) {
        for (count, medium) in counts.iter_mut().zip(Medium::ALL) {
            let is_mark = written.get(at..).is_some_and(|rest| rest.starts_with(medium.mark()));
            *count += usize::from(is_mark);
        }
    }
}

fn key(message: &Message<'_>) -> usize {
    std::ptr::from_ref(message).addr()
}

impl Carried {
    /// What the messages of a draft show, if it is to be kept and there is a place for it, and the files of it.
    pub(super) fn of<'c>(
        messages: impl Iterator<Item = &'c Message<'c>>,
        context: &ShapeContext<'_>,
        shown_as: ShownAs,
    ) -> (Rc<Self>, Files) {
        let (mut carried, mut files) = (Self::default(), Files::default());
        if shown_as == ShownAs::Nothing || context.options.attachments != Attachments::Keep {
            return (Rc::default(), files);
        }
        for message in messages {
            if message.role != Role::User || !has_attachments(message) {
                continue;
            }
            match Showing::new(shown_as, context.given).pieces(message) {
                Ok((pieces, own)) => {
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

    /// The text of a question, with a mark for each thing that it shows; none if all of it is text.
    pub(super) fn text_of<'c>(
        &self,
        messages: impl Iterator<Item = &'c Message<'c>> + Clone,
    ) -> Option<Text<'c>> {
        if !messages.clone().any(|message| self.has(message)) {
            return None;
        }
        let mut text = String::new();
        for message in messages {
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
        Some(text.into())
    }

    /// What a question says and shows, in order; none if all of it is text.
    pub(super) fn pieces_of<'c>(
        &self,
        messages: impl Iterator<Item = &'c Message<'c>> + Clone,
    ) -> Option<Vec<Piece>> {
        if !messages.clone().any(|message| self.has(message)) {
            return None;
        }
        let mut pieces = Vec::new();
        for message in messages {
            match self.messages.get(&key(message)) {
                Some(own) => pieces.extend(own.iter().cloned()),
                None if message.words().is_blank() => {}
                None => pieces.push(Piece::Text(message.words().decoded().into_owned())),
            }
        }
        Some(pieces)
    }

    /// What some messages show.
    pub(super) fn media<'c>(&self, messages: impl Iterator<Item = &'c Message<'c>>) -> Media {
        let mut media = Media::default();
        if self.messages.is_empty() {
            return media;
        }
        for piece in messages.filter_map(|one| self.messages.get(&key(one))).flatten() {
            let Piece::Shown(shown) = piece else { continue };
            let lists = media.0.iter_mut().zip(Medium::ALL);
            for (places, _) in lists.filter(|(_, one)| *one == shown.medium) {
                places.push(shown.place.clone());
            }
        }
        media
    }
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
            Piece::Shown(shown) => text.push_str(shown.medium.mark()),
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

/// Finds what messages show, and puts it where a format holds it.
pub(super) struct Showing<'g> {
    shown_as: ShownAs,
    given: Option<&'g dyn GivenFiles>,
    files: Vec<RecordFile>,
}

/// Where the bytes of something are.
enum Location {
    Inline(Vec<u8>),
    Web(String),
    Given(GivenFile),
}

/// Something that a source shows.
struct Found {
    medium: Medium,
    media_type: Option<String>,
    location: Location,
}

impl<'g> Showing<'g> {
    pub(super) fn new(shown_as: ShownAs, given: Option<&'g dyn GivenFiles>) -> Self {
        Self { shown_as, given, files: Vec::new() }
    }

    /// What a message says and shows, in order, with the files of it.
    pub(super) fn pieces(
        mut self,
        message: &Message<'_>,
    ) -> Result<(Vec<Piece>, Vec<RecordFile>), String> {
        let mut pieces = Vec::new();
        for raw in sent_with(message) {
            for value in values(raw) {
                pieces.push(self.shown(&value, None)?);
            }
        }
        match &message.content {
            None => {}
            Some(Content::Text(text)) => pieces.push(Piece::Text(text.decoded().into_owned())),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    pieces.push(self.piece(part)?);
                }
            }
        }
        Ok((pieces, self.files))
    }

    /// The files of what was shown so far.
    pub(super) fn into_files(self) -> Vec<RecordFile> {
        self.files
    }

    pub(super) fn piece(&mut self, part: &Part<'_>) -> Result<Piece, String> {
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
        self.shown(&value.unwrap_or_default(), kind)
    }

    /// What a value shows, as a picture, video or sound; `kind` is what its source says that it is.
    fn shown(&mut self, value: &serde_json::Value, kind: Option<Medium>) -> Result<Piece, String> {
        let found = Found::in_value(value, kind, self.given)?;
        self.check(&found)?;
        let Found { medium, media_type, location } = found;
        let place = match location {
            Location::Web(url) => url,
            bytes if self.shown_as == ShownAs::Urls => {
                data_url(media_type.as_deref().unwrap_or_default(), bytes)?
            }
            Location::Inline(bytes) => {
                let sha256 = hex(&Sha256::digest(&bytes));
                let ending = ending(media_type.as_deref().unwrap_or_default());
                self.file(path_of(&sha256, ending), FileContent::Bytes(bytes))
            }
            Location::Given(file) => {
                let ending = ending_of(&file.name).unwrap_or_else(|| "bin".into());
                self.file(path_of(&file.sha256, &ending), FileContent::Given(file))
            }
        };
        Ok(Piece::Shown(Shown { medium, media_type, place }))
    }

    fn file(&mut self, path: String, content: FileContent) -> String {
        self.files.push(RecordFile { path: path.clone(), content });
        path
    }

    /// Whether the format holds it.
    fn check(&self, found: &Found) -> Result<(), String> {
        let types: &[&str] = match self.shown_as {
            ShownAs::Nothing | ShownAs::Marks => return Ok(()),
            ShownAs::Parts if found.medium == Medium::Image => return Ok(()),
            ShownAs::Parts => &[],
            // What OpenAI takes: https://developers.openai.com/api/docs/guides/vision-fine-tuning.
            ShownAs::Urls => &["image/jpeg", "image/png", "image/webp"],
            ShownAs::Atif => &ATIF_TYPES,
        };
        let is_on_web =
            matches!(found.location, Location::Web(_)) && self.shown_as == ShownAs::Urls;
        match found.media_type.as_deref() {
            Some(media_type) if types.contains(&media_type) => Ok(()),
            None if is_on_web && found.medium == Medium::Image => Ok(()),
            Some(media_type) if found.medium == Medium::Image => {
                Err(format!("an image of the type `{media_type}`, which the format cannot hold"))
            }
            _ => Err(format!("{}, which the format cannot hold", found.medium.word())),
        }
    }
}

/// The types of images and sound that ATIF 1.8 knows.
const ATIF_TYPES: [&str; 12] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "audio/wav",
    "audio/mpeg",
    "audio/mp4",
    "audio/aac",
    "audio/ogg",
    "audio/flac",
    "audio/webm",
    "audio/aiff",
];

impl Found {
    fn in_value(
        value: &serde_json::Value,
        kind: Option<Medium>,
        given: Option<&dyn GivenFiles>,
    ) -> Result<Self, String> {
        let named = |key: &str| value.get(key).and_then(serde_json::Value::as_str);
        let says = kind.or_else(|| match named("type")? {
            "video" | "video_url" | "input_video" => Some(Medium::Video),
            "image" => Some(Medium::Image),
            "audio" => Some(Medium::Audio),
            other => Medium::of_media_type(other),
        });
        let types = ["media_type", "mime_type", "mimeType", "mediaType", "contentType"];
        let told = types
            .into_iter()
            .find_map(|key| named(key).or_else(|| value.get("source")?.get(key)?.as_str()));
        let told = told.filter(|it| it.contains('/'));
        let says = says.or_else(|| Medium::of_media_type(told?));
        let nothing_fits = || "a file that is neither a picture nor a video nor sound".to_owned();
        if let Some((media_type, bytes)) = inline(value) {
            let medium =
                says.or_else(|| Medium::of_media_type(&media_type)).ok_or_else(nothing_fits)?;
            let media_type = Some(usual_type(&media_type));
            return Ok(Self { medium, media_type, location: Location::Inline(bytes) });
        }
        let place = place(value).ok_or("something without a place")?;
        let typed = |name: &str| {
            let media_type = media_type_of_name(name).or(told).map(usual_type);
            let medium = says.or_else(|| Medium::of_media_type(media_type.as_deref()?));
            medium.map(|medium| (medium, media_type)).ok_or_else(nothing_fits)
        };
        if is_remote(place) {
            let (medium, media_type) = typed(place.split(['?', '#']).next().unwrap_or(place))?;
            return Ok(Self { medium, media_type, location: Location::Web(place.to_owned()) });
        }
        let short: String = place.chars().take(80).collect();
        let file = given.and_then(|given| given.find(place)).ok_or_else(|| {
            format!("the file `{}` is not among the inputs", short.escape_debug())
        })?;
        let (medium, media_type) = typed(&file.name)?;
        Ok(Self { medium, media_type, location: Location::Given(file) })
    }
}

/// The registered name of a media type that goes by several.
fn usual_type(media_type: &str) -> String {
    let media_type = media_type.to_ascii_lowercase();
    match media_type.as_str() {
        "image/jpg" => "image/jpeg".into(),
        "audio/mp3" | "audio/mpga" | "audio/x-mpeg" => "audio/mpeg".into(),
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav".into(),
        "audio/x-m4a" | "audio/m4a" => "audio/mp4".into(),
        "audio/x-aac" => "audio/aac".into(),
        "audio/x-flac" => "audio/flac".into(),
        "audio/x-aiff" => "audio/aiff".into(),
        _ => media_type,
    }
}

/// A URL that has the bytes in it.
fn data_url(media_type: &str, location: Location) -> Result<String, String> {
    let bytes = match location {
        Location::Web(url) => return Ok(url),
        Location::Inline(bytes) => bytes,
        Location::Given(file) => {
            let mut bytes = Vec::new();
            let read = (file.open)()
                .and_then(|open| open.take(DATA_URL_BYTES + 1).read_to_end(&mut bytes));
            read.map_err(|error| format!("`{}` cannot be read: {error}", file.name))?;
            bytes
        }
    };
    if bytes.len() as u64 > DATA_URL_BYTES {
        return Err(format!("an image of more than {} MB", DATA_URL_BYTES / 1_000_000));
    }
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
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
