//! The files among inputs in one archive, for a server that is to have those beside the histories too.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use retort_model::Tally;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::inputs::{Input, Inputs, NamedInputs};
use super::stream::{PassedOver, ReadOptions};
use crate::disk::temporary_file;
use crate::error::Error;

/// What begins a ZIP archive.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// The first length whose number needs the wide fields of an archive; some less, as a file may grow.
const LONG_BYTES: u64 = 4_000_000_000;

/// Inputs in as few files as files beside histories can be found in.
pub struct Together {
    /// Each with what it is called in reports.
    pub files: NamedInputs,
    /// What is not among them, by reason.
    pub passed_over: Tally<PassedOver>,
    /// The archive, which is deleted with this.
    _archive: tempfile::NamedTempFile,
}

/// Packs the files among inputs into one archive, under the names that reports give them. Archives and what comes through
/// a pipe stay as they are: an archive has the files beside its histories, and a pipe has none.
///
/// # Errors
/// A file cannot be read, or there is no room for the archive.
pub fn files_together(inputs: &[Input]) -> Result<Together, Error> {
    let found = Inputs::find(inputs, None, ReadOptions::default())?;
    let mut files = found.without_path()?;
    let kept = temporary_file().map_err(of_archive)?;
    let mut archive = ZipWriter::new(BufWriter::new(kept.as_file()));
    let mut is_empty = true;
    for (label, path) in found.paths() {
        let fail = |error| Error::read(path, error);
        let mut file = File::open(path).map_err(fail)?;
        let mut start = Vec::new();
        (&mut file).take(ZIP.len() as u64).read_to_end(&mut start).map_err(fail)?;
        if start == ZIP {
            files.push((Input::Path(path.clone()), label.clone()));
            continue;
        }
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .large_file(bytes >= LONG_BYTES);
        archive.start_file(label, options).map_err(of_zip)?;
        io::copy(&mut start.as_slice().chain(file), &mut archive).map_err(fail)?;
        is_empty = false;
    }
    archive.finish().map_err(of_zip)?.flush().map_err(of_archive)?;
    if !is_empty {
        files.push((Input::Path(kept.path().to_owned()), name_of(inputs)));
    }
    Ok(Together { files, passed_over: found.passed_over, _archive: kept })
}

/// What the archive is called: as the folder, if it is of one.
fn name_of(inputs: &[Input]) -> String {
    let folder = match inputs {
        [Input::Path(path)] => path.file_name(),
        _ => None,
    };
    folder.map_or("files".into(), OsStr::to_string_lossy).into_owned() + ".zip"
}

fn of_archive(source: io::Error) -> Error {
    Error::Unpack { name: "the archive of the files to send".into(), source }
}

fn of_zip(error: zip::result::ZipError) -> Error {
    of_archive(error.into())
}
