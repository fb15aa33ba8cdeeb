//! Data files through their compressor, there and back.

use std::io::{self, Read, Write};

use retort_formats::file::ReadSeek;

use crate::compression::Compression;
use crate::error::Error;
use crate::storage::{HashingFile, Storage};

const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// How a file is packed.
#[derive(Clone, Copy)]
pub struct Packing {
    pub compression: Compression,
    /// Threads that compress, where the compressor can have several.
    pub threads: usize,
}

impl Packing {
    /// As it is.
    pub const NONE: Self = Self { compression: Compression::None, threads: 1 };
}

/// A file through its compressor.
pub enum Packed {
    None(HashingFile),
    Gzip(flate2::write::GzEncoder<HashingFile>),
    Zstd(zstd::stream::write::Encoder<'static, HashingFile>),
}

impl Packed {
    pub fn create(storage: &dyn Storage, key: &str, packing: Packing) -> Result<Self, Error> {
        let file = HashingFile::create(storage, key.to_owned())?;
        let fail = |error| Error::write(&storage.describe(key), error);
        Ok(match packing.compression {
            Compression::None => Self::None(file),
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                file,
                flate2::Compression::new(GZIP_LEVEL),
            )),
            Compression::Zstd => {
                let mut encoder =
                    zstd::stream::write::Encoder::new(file, ZSTD_LEVEL).map_err(fail)?;
                // One frame whatever the threads, as some readers stop behind the first; its bytes do not depend on
                // how many threads there are as long as there is one.
                let threads = u32::try_from(packing.threads.max(1)).unwrap_or(1);
                encoder.multithread(threads).map_err(fail)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Bytes that have come out of the compressor.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::None(file) => file.bytes(),
            Self::Gzip(encoder) => encoder.get_ref().bytes(),
            Self::Zstd(encoder) => encoder.get_ref().bytes(),
        }
    }

    pub fn finish(self) -> io::Result<HashingFile> {
        match self {
            Self::None(file) => Ok(file),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// What a packed file holds.
pub fn unpacked(file: Box<dyn ReadSeek>, compression: Compression) -> io::Result<Box<dyn Read>> {
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
    })
}
