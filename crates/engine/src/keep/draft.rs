//! Files of the archive, each of which is replaced as a whole or not at all.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use zstd::stream::{read::Decoder, write::Encoder};

use crate::disk::make_private_folder;

/// Sessions repeat themselves over long distances: a window of 8 MiB finds most repetitions, and every reader can afford it.
const WINDOW_LOG: u32 = 23;

/// A compressed file that replaces the one before it once it is finished.
pub(super) struct Draft<'p> {
    path: &'p Path,
    /// None in a dry run.
    out: Option<Encoder<'static, NamedTempFile>>,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// New content is written.
    Write,
    /// New content is only counted.
    Dry,
}

impl<'p> Draft<'p> {
    pub(super) fn new(path: &'p Path, mode: Mode) -> io::Result<Self> {
        if mode == Mode::Dry {
            return Ok(Self { path, out: None });
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        make_private_folder(folder)?;
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        let mut out = Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?;
        out.long_distance_matching(true)?;
        out.window_log(WINDOW_LOG)?;
        out.include_checksum(true)?;
        Ok(Self { path, out: Some(out) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), |out| out.write_all(bytes))
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self.out {
            Some(out) => persist(out.finish()?, self.path),
            None => Ok(()),
        }
    }
}

/// The content of a compressed file; none if there is no such file.
pub(super) fn kept(path: &Path) -> io::Result<Option<BufReader<impl Read + use<>>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(Decoder::new(file)?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file without compression.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    persist(file, path)
}

/// Gives a file its name, once its bytes are on the disk.
fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    if let Some(folder) = path.parent()
        && cfg!(unix)
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// A hash that is the same only for the same bytes.
pub(super) fn mark(bytes: &[u8]) -> [u8; 16] {
    Sha256::digest(bytes).first_chunk().copied().unwrap_or_default()
}
