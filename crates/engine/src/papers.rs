//! `--papers`: what others ask of a dataset, beside its data: a description for catalogues, and where it comes from.

use crate::error::Error;
use crate::storage::{Storage, StoredFile, write_text};
use retort_formats::package::{
    CROISSANT, CroissantSet, DataFile, Described, InputCount, Manifest, PaperNotes, SOURCES,
    croissant, sources,
};

/// Bytes of a file of notes: a person writes it.
const NOTES_BYTES: usize = 256 * 1024;

/// The papers that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Papers {
    notes: PaperNotes,
    text: String,
}

impl Papers {
    /// With the notes of a TOML file, which may be empty.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > NOTES_BYTES {
            return Err(format!("notes for papers have at most {NOTES_BYTES} bytes"));
        }
        let notes = toml::from_str(text).map_err(|error| format!("notes for papers: {error}"))?;
        Ok(Self { notes, text: text.to_owned() })
    }

    /// The text that they were read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Writes the papers of a package whose other files are there.
    pub(crate) fn write(
        &self,
        storage: &dyn Storage,
        described: &Described<'_>,
        inputs: &[InputCount],
    ) -> Result<[StoredFile; 2], Error> {
        let described = Described { notes: &self.notes, ..*described };
        let about = sources(described.manifest, inputs, &self.notes);
        Ok([
            write_text(storage, CROISSANT, &croissant(&described))?,
            write_text(storage, SOURCES, &about)?,
        ])
    }

    pub(crate) fn described<'d>(
        &'d self,
        manifest: &'d Manifest,
        sets: &'d [CroissantSet<'d>],
        files: &'d [DataFile],
    ) -> Described<'d> {
        Described { manifest, notes: &self.notes, sets, files, schema: None }
    }
}
