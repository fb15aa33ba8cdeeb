//! Streams: what they are called, how they are read, and why something is none.

use std::io;

use retort_formats::import::{self, Entry, ImportFormat, Refusal, Sides, Sniff};
use retort_model::bounds::{ITEM_BYTES, ZSTD_WINDOW_BYTES};
use retort_model::named;
use serde::{Deserialize, Serialize};

/// How inputs are read, beyond what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadOptions {
    /// Largest window of a Zstandard stream that is read, in bytes: as much memory is needed.
    pub max_window: u64,
    /// Largest single item, in bytes; no more than [`ITEM_BYTES`].
    pub max_item: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { max_window: ZSTD_WINDOW_BYTES, max_item: ITEM_BYTES }
    }
}

/// The items to read.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// Those that an import format knows.
    Known,
    /// Those of the format that was named.
    Format(&'static dyn ImportFormat),
    /// Any, so that tables with any columns are read, too.
    Any,
}

impl Wanted {
    /// Those of the format that was named, or all that are known.
    pub fn of(from: Option<&'static dyn ImportFormat>) -> Self {
        from.map_or(Self::Known, Self::Format)
    }

    /// Whether the item is wanted.
    pub(super) fn knows(self, sniff: &Sniff<'_>) -> bool {
        match self {
            Self::Known => import::recognise(sniff).is_some(),
            Self::Format(format) => format.recognises(sniff),
            Self::Any => true,
        }
    }

    /// The side files among files of these names.
    pub(super) fn sides_among(self, names: &[&str]) -> Sides {
        match &self {
            Self::Known => Sides::among(import::FORMATS, names),
            Self::Format(format) => Sides::among(std::slice::from_ref(format), names),
            Self::Any => Sides::among(&[], names),
        }
    }
}

/// What a stream is called.
#[derive(Clone)]
pub struct SourceName {
    /// In reports, and in ids that are made from places: the path below the folder or archive that was named.
    pub label: String,
    /// The format with whose items it is read, if it is a file beside them.
    pub side_of: Option<&'static dyn ImportFormat>,
}

impl SourceName {
    /// What formats learn about where its items were found.
    pub fn entry(&self) -> Entry<'_> {
        Entry { path: &self.label }
    }
}

/// A stream, or something that is not read.
pub enum Stream<'r> {
    Items(&'r mut dyn io::Read),
    /// It cannot be read, and why: an item that is refused.
    Refused(Refusal, String),
    /// It is nothing to read.
    PassedOver(PassedOver),
}

/// Why a file or an entry of an archive is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PassedOver {
    /// Neither its name nor its content is that of a history.
    NotAHistory,
    /// A kind of file that no reader takes.
    NotSupported,
    /// Its name begins with a dot.
    Hidden,
    /// What macOS keeps beside files.
    Macos,
    /// A package that Retort wrote earlier, inside a folder that was named.
    Package,
    /// A package whose records are for people to read.
    ForPeople,
    /// What an earlier run wrote where this one writes.
    Output,
    /// A link that leads out of the folder that was named.
    LinkOutside,
    /// A link to a folder that contains it.
    LinkLoop,
    /// A link to nothing.
    BrokenLink,
    /// A link to what is read under another name.
    SameFile,
    /// An earlier entry of an archive with the name of a later one.
    RepeatedEntry,
    /// Deeper in folders than is followed.
    TooDeep,
    /// A device, a socket or the like.
    Special,
    /// A file beside items that holds none.
    SideFile,
    /// What it says is of an item that was not read.
    NoItem,
}

named!(
    PassedOver,
    "reason to skip a file",
    NotAHistory = "not-a-history",
    NotSupported = "not-supported",
    Hidden = "hidden",
    Macos = "macos-metadata",
    Package = "retort-package",
    ForPeople = "for-people",
    Output = "output",
    LinkOutside = "link-outside",
    LinkLoop = "link-loop",
    BrokenLink = "broken-link",
    SameFile = "same-file",
    RepeatedEntry = "repeated-entry",
    TooDeep = "too-deep",
    Special = "special-file",
    SideFile = "side-file",
    NoItem = "no-item"
);

impl PassedOver {
    /// The reason in words.
    pub fn words(name: &str) -> &'static str {
        match name {
            "not-a-history" => "neither its name nor its content looks like a history",
            "not-supported" => "a kind of file that is not read, such as 7z or RAR",
            "hidden" => "the name begins with a dot",
            "macos-metadata" => "metadata of macOS",
            "retort-package" => "a package that Retort wrote; name it as an input to read it",
            "for-people" => {
                "an export for people to read, which cannot be read back; export the format `retort` for that"
            }
            "output" => "the output that this run replaces",
            "link-outside" => "a link out of the folder",
            "link-loop" => "a link to a folder that it is in",
            "broken-link" => "a link to nothing",
            "same-file" => "a link to a file that is read anyway",
            "repeated-entry" => {
                "an earlier entry of the same name in an archive; the last one is read"
            }
            "too-deep" => "too many folders deep",
            "special-file" => "a device, socket or the like",
            "side-file" => "a file of an export without conversations, such as `user.json`",
            "no-item" => "it belongs to a conversation that is not among the inputs",
            _ => "",
        }
    }
}
