//! Where histories are read from: files, folders, archives and standard input, one stream after another.
//!
//! Finding ([`Inputs::find`]) lists the files; `open.rs` reads each: what packs it is undone, what it contains is read
//! one after another, and whatever cannot be read is refused, or passed over with a reason, without an end to the rest.

mod archive;
mod attached;
mod beside;
mod bytes;
mod fetched;
#[cfg(test)]
mod growing;
mod inputs;
mod open;
pub mod search;
pub(crate) mod sqlite;
mod stream;
mod together;
mod workbook;

pub use self::attached::AttachedFiles;
pub use self::bytes::{is_packed, refusal_of};
pub use self::fetched::FetchedFiles;
pub(crate) use self::fetched::passed_over_by_path;
pub(crate) use self::inputs::ItemFiles;
pub use self::inputs::{Input, Inputs, NamedInputs, files_of};
pub use self::stream::{PassedOver, ReadOptions, SourceName, Stream, Wanted};
pub use self::together::{Together, files_together};
