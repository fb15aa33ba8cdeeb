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
    /// Import formats.
    pub import: Vec<Format>,
    /// Data formats.
    pub data: Vec<Format>,
    /// File formats.
    pub file: Vec<Format>,
    /// What a check does.
    pub checks: BTreeMap<String, String>,
}
