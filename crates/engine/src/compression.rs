//! How data files are compressed as a whole.

use retort_model::named;

/// How data files are compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As gzip.
    Gzip,
    /// As Zstandard.
    Zstd,
}

named!(Compression, "compression", None = "none", Gzip = "gzip", Zstd = "zstd");

impl Compression {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "no compression",
            Self::Gzip => "gzip, which every tool reads",
            Self::Zstd => "Zstandard, smaller and faster than gzip",
        }
    }

    /// What the names of files compressed with it end on.
    pub fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}
