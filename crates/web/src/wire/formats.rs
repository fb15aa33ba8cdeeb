//! Formats.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A format, and what it is for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Format {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
}

/// All formats.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Formats {
    /// Shapes of histories that can be read.
    pub import: Vec<Format>,
    /// Shapes of records.
    pub data: Vec<Format>,
    /// Kinds of files.
    pub file: Vec<Format>,
    /// What a check does.
    pub checks: BTreeMap<String, String>,
}
