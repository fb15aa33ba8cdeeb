//! JSON as histories need it: a pull parser that borrows, keeps number text and raw values as they stand, and
//! names the byte of every fault; and the writing of strings.
//!
//! Not a general library: no floats are made, nothing is converted, and strings that need no change are
//! neither copied nor looked at twice.

mod parse;
mod scan;
mod value;
mod write;

pub use parse::{Due, JsonError, Kind, Parser, Problem};
pub use value::Value;
pub use write::{Append, compact_into, unescape_into, write_escaped, write_string};
pub(crate) use write::{has_escapes, unescape_bytes};
