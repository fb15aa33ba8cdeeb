//! Bytes to nouns and back: import formats ([`import`]), data formats ([`data`]), file formats ([`mod@file`]) and
//! what surrounds the data in a package ([`package`]); and conversations as a model sees them ([`template`]).
//!
//! A foreign shape lives in one file here and nowhere else. Nothing here opens a path: it gets `Read` and
//! `Write`.

pub mod attachment;
pub mod data;
pub mod embed;
pub mod file;
pub mod import;
pub mod judgements;
mod list;
pub mod package;
pub mod schemas;
pub mod template;
