//! What a package keeps beside its rows: the ids of the conversations, and what the rows of a format cannot hold. Each
//! row gets back its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use retort_formats::package::{EXTRA, IDS, MANIFEST, Manifest};
use retort_json::{Parser, write_string};
use retort_model::bounds::ITEM_BYTES;

use crate::line::next_line;

/// The files beside the rows, read along with them.
pub(super) struct Beside {
    ids: Box<dyn BufRead>,
    extras: Option<Box<dyn BufRead>>,
    /// The next of the extras, and of which conversation it is.
    next: Option<(String, String)>,
}

impl Beside {
    /// Those in a folder, for the data file of this name; none if the package has no such.
    pub(super) fn in_folder(folder: &Path, data_file: &str) -> io::Result<Option<Self>> {
        let manifest = std::fs::read_to_string(folder.join(MANIFEST))?;
        let Ok(manifest) = Manifest::parse(&manifest) else { return Ok(None) };
        let before = manifest.files.iter().take_while(|file| file.path != data_file);
        let before: u64 = before.filter_map(|file| file.records).sum();
        if !manifest.files.iter().any(|file| file.path == IDS) {
            return Ok(None);
        }
        let extras = match File::open(folder.join(EXTRA)) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut beside = Self::new(File::open(folder.join(IDS))?, extras);
        for _ in 0..before {
            beside.fields()?;
        }
        Ok(Some(beside))
    }

    pub(super) fn new(ids: File, extras: Option<File>) -> Self {
        let extras = extras.map(|file| Box::new(BufReader::new(file)) as Box<dyn BufRead>);
        Self { ids: Box::new(BufReader::new(ids)), extras, next: None }
    }

    /// The fields of the next row that are beside it, each with a comma behind it.
    fn fields(&mut self) -> io::Result<String> {
        let mut out = String::new();
        let Some(id) = next_line(&mut self.ids)? else { return Ok(out) };
        if self.next.is_none() {
            self.next = self.next_extra()?;
        }
        out.push_str("\"id\":");
        write_string(&id, &mut out);
        out.push(',');
        if let Some((_, extra)) = self.next.take_if(|(of, _)| *of == id) {
            out.push_str("\"extra\":");
            out.push_str(&extra);
            out.push(',');
        }
        Ok(out)
    }

    fn next_extra(&mut self) -> io::Result<Option<(String, String)>> {
        let Some(extras) = &mut self.extras else { return Ok(None) };
        let Some(line) = next_line(extras)? else { return Ok(None) };
        let fields = || -> Result<_, retort_json::JsonError> {
            let (mut id, mut extra) = (String::new(), String::new());
            let mut parser = Parser::new(&line);
            parser.object()?;
            while let Some(key) = parser.next_key()? {
                match &*key {
                    "extra" => parser.raw()?.as_str().clone_into(&mut extra),
                    key if key.ends_with("_id") => id = parser.string()?.decoded().into_owned(),
                    _ => parser.skip()?,
                }
            }
            // Line ends in an id are spaces in the list of ids.
            Ok((id.replace(['\n', '\r'], " "), extra))
        };
        Ok(fields().ok().filter(|(_, extra)| !extra.is_empty()))
    }

    /// The rows with their fields.
    pub(super) fn rows<'r>(&'r mut self, input: &'r mut dyn Read) -> Rows<'r> {
        Rows {
            beside: self,
            input: BufReader::with_capacity(1 << 17, input),
            row: Cursor::default(),
        }
    }
}

/// Rows, a line each, with the fields that are beside them.
pub(super) struct Rows<'r> {
    beside: &'r mut Beside,
    input: BufReader<&'r mut dyn Read>,
    row: Cursor<Vec<u8>>,
}

impl Read for Rows<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.row.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            let mut row = Vec::new();
            if (&mut self.input).take(ITEM_BYTES as u64).read_until(b'\n', &mut row)? == 0 {
                return Ok(0);
            }
            if row.starts_with(b"{") {
                let mut fields = self.beside.fields()?.into_bytes();
                if row.trim_ascii() == b"{}" {
                    fields.pop();
                }
                row.splice(1..1, fields);
            }
            self.row = Cursor::new(row);
        }
    }
}
