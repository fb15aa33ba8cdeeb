//! JSON as histories need it: a pull parser that borrows and names the byte of every fault, a writer, and values
//! kept as their text ([`RawJson`], [`Text`]).
//!
//! Not a general library: numbers keep their text, nothing is converted, and a string that needs no change is neither
//! copied nor scanned twice. The only crate with `unsafe` code (vector instructions in `scan.rs`). No I/O.

mod error;
mod parse;
mod scan;
mod text;
mod value;
mod write;

pub use error::{Due, JSON_DEPTH, JsonError, Problem};
pub use parse::{Kind, Parser};
pub use text::{RawJson, Text};
pub use value::Value;
pub use write::{Append, compact_into, unescape_into, write_escaped, write_string};
