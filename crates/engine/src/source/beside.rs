//! What a package keeps beside its rows: the ids of the conversations, and what the rows of a format cannot hold. Each
//! row gets back its own.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use retort_formats::package::{EXTRA, IDS, MANIFEST, Manifest};
use retort_json::{Parser, write_string};
use retort_model::bounds::ITEM_BYTES;

use crate::line::next_line;
use crate::seen::{IdHash, SeenIds};

/// The most rows that exports move to the front of a data file. What they have beside them stays where it was, and is not
/// looked for.
const MOVED_ROWS: usize = 256;

/// The files beside the rows, read along with them.
pub(super) struct Beside {
    ids: BufReader<File>,
    extras: Option<BufReader<File>>,
    /// The next of the extras, and of which conversation it is.
    next: Option<(String, String)>,
    /// The ids of the rows of a data file that is one of several: extras are in the order of the input, not of the files.
    own: Option<SeenIds>,
    /// The first rows that had nothing beside them.
    early: HashSet<String>,
}

impl Beside {
    /// Those in a folder, for the data file of this name; none if the package has no such.
    pub(super) fn in_folder(folder: &Path, data_file: &str) -> io::Result<Option<Self>> {
        let manifest = std::fs::read_to_string(folder.join(MANIFEST))?;
        let Ok(manifest) = Manifest::parse(&manifest) else { return Ok(None) };
        if !manifest.files.iter().any(|file| file.path == IDS) {
            return Ok(None);
        }
        let extras = match File::open(folder.join(EXTRA)) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut beside = Self::new(File::open(folder.join(IDS))?, extras);
        beside.begin(&manifest, data_file)?;
        Ok(Some(beside))
    }

    pub(super) fn new(ids: File, extras: Option<File>) -> Self {
        Self {
            ids: BufReader::new(ids),
            extras: extras.map(BufReader::new),
            next: None,
            own: None,
            early: HashSet::new(),
        }
    }

    /// Goes to the first row of a data file.
    pub(super) fn begin(&mut self, package: &Manifest, data_file: &str) -> io::Result<()> {
        let data = || package.files.iter().filter(|file| file.records.is_some());
        let before = data().take_while(|file| file.path != data_file);
        let before: u64 = before.filter_map(|file| file.records).sum();
        let rows = data().find(|file| file.path == data_file).and_then(|file| file.records);
        self.ids.rewind()?;
        for _ in 0..before {
            next_line(&mut self.ids)?;
        }
        (self.next, self.own, self.early) = (None, None, HashSet::new());
        let Some(extras) = &mut self.extras else { return Ok(()) };
        extras.rewind()?;
        if data().count() > 1 {
            let first = self.ids.stream_position()?;
            let mut own = SeenIds::new();
            for _ in 0..rows.unwrap_or_default() {
                let Some(id) = next_line(&mut self.ids)? else { break };
                own.add(IdHash::of(&[&id]))?;
            }
            self.own = Some(own);
            self.ids.seek(SeekFrom::Start(first))?;
        }
        Ok(())
    }

    /// The fields of the next row that are beside it, each with a comma behind it.
    fn fields(&mut self) -> io::Result<String> {
        let mut out = String::new();
        let Some(id) = next_line(&mut self.ids)? else { return Ok(out) };
        while self.next.is_none() {
            let Some(next) = self.next_extra()? else { break };
            let is_other = match &mut self.own {
                Some(own) => !own.holds(IdHash::of(&[&next.0]))?,
                None => false,
            };
            if !is_other && !self.early.remove(&next.0) {
                self.next = Some(next);
            }
        }
        out.push_str("\"id\":");
        write_string(&id, &mut out);
        out.push(',');
        if let Some((_, extra)) = self.next.take_if(|(of, _)| *of == id) {
            out.push_str("\"extra\":");
            out.push_str(&extra);
            out.push(',');
        } else if self.early.len() < MOVED_ROWS && self.extras.is_some() {
            self.early.insert(id);
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

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// Exports move rows that complete the types of columns to the front, but not what is beside them.
    #[test]
    fn rows_behind_one_that_was_moved_to_the_front_get_their_own() {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            File::open(folder.path().join(name)).unwrap()
        };
        let extra =
            |id: &str| format!("{{\"conversation_id\":\"{id}\",\"extra\":{{\"of\":\"{id}\"}}}}\n");
        let extras = [extra("a"), extra("moved"), extra("c")].concat();
        let mut beside =
            Beside::new(file("ids", "moved\na\nb\nc\n"), Some(file("extras", &extras)));
        let mut text = String::new();
        beside.rows(&mut &b"{}\n{}\n{}\n{}\n"[..]).read_to_string(&mut text).unwrap();
        let expected = "{\"id\":\"moved\"}\n{\"id\":\"a\",\"extra\":{\"of\":\"a\"}}\n{\"id\":\"b\"}\n\
                        {\"id\":\"c\",\"extra\":{\"of\":\"c\"}}\n";
        assert_eq!(text, expected);
    }
}
