//! `download`: a dataset as one archive, streamed.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use flate2::write::DeflateDecoder;
use retort_engine::Error as EngineError;
use retort_engine::Prefix;
use retort_engine::{Storage, hex};
use retort_engine::{deflate, is_worth_packing};
use retort_formats::package::{Archive, Entry, Segment};
use retort_model::Action;
use retort_store::{Dataset, DatasetFile};
use sha2::{Digest, Sha256};

use crate::caller::Caller;
use crate::datasets::DatasetRef;
use crate::error::Error;
use crate::service::Service;

/// A dataset's archive, whose every byte is known before it is sent.
pub struct Download {
    archive: Archive,
    files: Vec<DatasetFile>,
    /// The object that holds each of the files, packed or not.
    objects: Vec<String>,
    place: Prefix,
}

/// Where the packed files of a dataset are kept, below its prefix.
const PACKED: &str = "packed";

impl Service {
    /// The archive of a dataset, `<dataset name>.zip`.
    ///
    /// # Errors
    /// The caller has no such dataset; those of the store.
    pub fn download<'d>(
        &self,
        caller: &Caller,
        which: impl Into<DatasetRef<'d>>,
    ) -> Result<(Dataset, Download), Error> {
        let which = which.into();
        self.audited(caller, Action::Download, &which.to_string(), || {
            let dataset = self.dataset(caller, which)?;
            let archive = self.archive(&dataset)?;
            Ok((dataset, archive))
        })
    }

    pub(crate) fn archive(&self, dataset: &Dataset) -> Result<Download, Error> {
        let files = self.store.dataset_files(dataset)?;
        let place = self.objects.below(&dataset.prefix);
        let sizes: HashMap<String, u64> = self.objects.list(&dataset.prefix)?.into_iter().collect();
        let size = |key: &str| sizes.get(place.path(key).as_ref()).copied();
        let (mut entries, mut objects) = (Vec::new(), Vec::new());
        for file in &files {
            let key = format!("{PACKED}/{}.deflate", file.object);
            let is_whole = size(&file.object) == Some(file.bytes);
            let packed_bytes = match size(&key) {
                // A file that was damaged since is not sent as if it were whole.
                _ if !is_whole => None,
                Some(bytes) => Some(bytes),
                // What cannot be kept packed is sent as it is.
                None => pack(&place, file, &key).unwrap_or(None),
            };
            let DatasetFile { path, bytes, crc32, .. } = file;
            entries.push(Entry { name: path.clone(), bytes: *bytes, crc32: *crc32, packed_bytes });
            objects.push(if packed_bytes.is_some() { key } else { file.object.clone() });
        }
        Ok(Download { archive: Archive::new(entries), files, objects, place })
    }
}

/// Packs a file once for all downloads. None if it is better sent as it is.
fn pack(place: &Prefix, file: &DatasetFile, key: &str) -> Result<Option<u64>, Error> {
    if !is_worth_packing(&file.path, file.bytes) {
        return Ok(None);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut input = Hashed { input: place.open(&file.object)?, hash: Sha256::new() };
    let mut out = place.create(key)?;
    let fail = |error| EngineError::write(&place.describe(key), error);
    let bytes = deflate(&mut input, &mut out, threads).map_err(fail)?;
    if hex(&input.hash.finalize()) != file.sha256 {
        // Sent as it is, so that the download fails with the reason.
        return Ok(None);
    }
    out.finish().map_err(fail)?;
    Ok(Some(bytes))
}

/// Hashes what is read from it.
struct Hashed<R> {
    input: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl Download {
    /// Bytes of the whole archive.
    pub fn bytes(&self) -> u64 {
        self.archive.len()
    }

    /// What stands for just these bytes: the hash of the receipt, which names the hashes of all others, and the length of
    /// the archive, which is another where files are packed.
    pub fn etag(&self) -> String {
        let receipt = self.files.last().map(|file| file.sha256.as_str()).unwrap_or_default();
        format!("{}-{:x}", receipt.get(..32).unwrap_or(receipt), self.bytes())
    }

    /// Writes a range of the archive's bytes.
    ///
    /// # Errors
    /// An object that is not there or not as long as it was, or those of `out`.
    pub fn write(&self, range: Range<u64>, out: &mut dyn Write) -> Result<(), Error> {
        for segment in self.archive.segments(range) {
            match segment {
                Segment::Bytes(bytes) => out.write_all(&bytes).map_err(sending)?,
                Segment::Entry { index, range } => self.write_entry(index, range, out)?,
            }
        }
        Ok(())
    }

    fn write_entry(
        &self,
        index: usize,
        range: Range<u64>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let (Some(file), Some(object)) = (self.files.get(index), self.objects.get(index)) else {
            return Ok(());
        };
        let failed = |error: io::Error| EngineError::Objects {
            doing: "read",
            object: file.path.clone(),
            reason: error.to_string(),
        };
        let mut input = self.place.open(object)?;
        // What is sent to its end is compared with what the store has, a packed copy unpacked; before the last piece is
        // sent, so that what differs is seen to break off. A download that is taken up again is read from the start.
        let is_packed = *object != file.object;
        let whole =
            if is_packed { input.seek(SeekFrom::End(0)).map_err(failed)? } else { file.bytes };
        let is_compared = range.end == whole;
        let start = if is_compared { 0 } else { range.start };
        input.seek(SeekFrom::Start(start)).map_err(failed)?;
        let (mut left, mut unsent) = (range.end - start, range.start - start);
        let mut hash = is_compared.then(|| Comparing::new(is_packed));
        let mut buffer = vec![0; 1 << 18];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let room = buffer.get_mut(..most).unwrap_or_default();
            let length = input.read(room).map_err(failed)?;
            if length == 0 {
                let why = format!("it ends {left} bytes too soon");
                return Err(failed(io::Error::other(why)).into());
            }
            let piece = buffer.get(..length).unwrap_or_default();
            left -= length as u64;
            if let Some(hash) = &mut hash {
                hash.add(piece);
            }
            if left == 0
                && let Some(hash) = hash.take()
                && hash.sha256() != file.sha256
            {
                let why = "its content has changed: its SHA-256 differs from the store's";
                return Err(failed(io::Error::other(why)).into());
            }
            let skipped = unsent.min(length as u64);
            unsent -= skipped;
            let sent = usize::try_from(skipped).ok().and_then(|skipped| piece.get(skipped..));
            out.write_all(sent.unwrap_or_default()).map_err(sending)?;
        }
        Ok(())
    }
}

/// The SHA-256 of a file as it is sent, packed or not.
enum Comparing {
    Plain(Sha256),
    Packed(Box<DeflateDecoder<Hash>>),
    /// What cannot be unpacked is equal to nothing.
    Damaged,
}

/// Hashes what is written to it.
struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Comparing {
    fn new(is_packed: bool) -> Self {
        if is_packed {
            Self::Packed(Box::new(DeflateDecoder::new(Hash(Sha256::new()))))
        } else {
            Self::Plain(Sha256::new())
        }
    }

    fn add(&mut self, piece: &[u8]) {
        let can_go_on = match self {
            Self::Plain(hash) => {
                hash.update(piece);
                true
            }
            Self::Packed(decoder) => decoder.write_all(piece).is_ok(),
            Self::Damaged => false,
        };
        if !can_go_on {
            *self = Self::Damaged;
        }
    }

    fn sha256(self) -> String {
        match self {
            Self::Plain(hash) => hex(&hash.finalize()),
            Self::Packed(decoder) => {
                decoder.finish().map_or_else(|_| String::new(), |hash| hex(&hash.0.finalize()))
            }
            Self::Damaged => String::new(),
        }
    }
}

fn sending(source: io::Error) -> Error {
    EngineError::Failed { what: "the connection or file that takes the archive", source }.into()
}
