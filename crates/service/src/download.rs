//! `download`: a dataset as one archive, streamed.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use retort_formats::package::{Archive, Entry, Segment};
use retort_store::{Dataset, DatasetFile};

use crate::Error;
use crate::objects::Prefix;
use crate::place::Place;
use crate::service::Service;

/// A dataset's archive, whose every byte is known before it is sent.
pub struct Download {
    archive: Archive,
    files: Vec<DatasetFile>,
    place: Prefix,
}

impl Service {
    /// The archive of a dataset, `<dataset name>.zip`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn download(&self, dataset: &Dataset) -> Result<Download, Error> {
        let files = self.store.dataset_files(dataset)?;
        let entries = files
            .iter()
            .map(|file| Entry { name: file.path.clone(), bytes: file.bytes, crc32: file.crc32 })
            .collect();
        let place = self.objects.below(&dataset.prefix);
        Ok(Download { archive: Archive::new(entries), files, place })
    }
}

impl Download {
    /// Bytes of the whole archive.
    pub fn bytes(&self) -> u64 {
        self.archive.len()
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
        let Some(file) = self.files.get(index) else { return Ok(()) };
        let failed = |error: io::Error| Error::Objects {
            doing: "read",
            object: file.path.clone(),
            reason: error.to_string(),
        };
        let mut input = self.place.open(&file.object)?;
        input.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        let mut left = range.end - range.start;
        let mut buffer = vec![0; 1 << 18];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let room = buffer.get_mut(..most).unwrap_or_default();
            let length = input.read(room).map_err(failed)?;
            if length == 0 {
                return Err(failed(io::Error::other(format!("it ends {left} bytes too soon"))));
            }
            out.write_all(buffer.get(..length).unwrap_or_default()).map_err(sending)?;
            left -= length as u64;
        }
        Ok(())
    }
}

fn sending(source: io::Error) -> Error {
    Error::Unpack { name: "the archive on its way".into(), source }
}
