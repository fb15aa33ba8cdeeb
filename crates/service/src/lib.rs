//! The verbs of Retort: what the command line, the API and the pages ask for.
//!
//! Opens files, drives the pipeline and publishes packages; knows nothing of arguments, HTTP or SQL.

mod convert;
mod disk;
mod error;
mod import;
mod package;
mod pipeline;
mod preview;
mod seen;
mod source;
mod verify;

pub use convert::{Compression, ConvertPlan, Report, convert};
pub use error::Error;
pub use import::{ImportPlan, ImportReport};
pub use package::{Package, discard};
pub use pipeline::{Observer, Progress};
pub use preview::{Preview, preview, preview_package};
pub use source::Input;
pub use verify::{Difference, Verified, verify};
