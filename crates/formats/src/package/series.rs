//! `*.series.json`: the receipt of a series, which lists the windows that a schedule has exported.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::manifest::WindowSpan;

/// The version of the shape of a series' receipt.
pub const SERIES_VERSION: u32 = 1;

/// How the names of such files end.
pub const SERIES_ENDING: &str = ".series.json";

/// The receipt of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeriesReceipt {
    /// Version of this shape.
    pub series_version: u32,
    /// Name of the schedule.
    pub schedule: String,
    /// Which series it is.
    pub series: String,
    /// The windows in their order; of a long series, the last ones.
    pub windows: Vec<SeriesWindow>,
}

/// A window of a series, and the dataset that has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeriesWindow {
    /// Where it begins and ends.
    #[serde(flatten)]
    pub span: WindowSpan,
    /// Items that were selected.
    pub items: u64,
    /// Records in the dataset.
    pub records: u64,
    /// Name of the dataset.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dataset: Option<String>,
    /// SHA-256 of the dataset's `manifest.json`, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest_sha256: Option<String>,
    /// The dataset's folder at the destination, once it is delivered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
}

impl SeriesReceipt {
    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}{SERIES_ENDING}", self.series.replace('/', "-"))
    }

    /// The receipt as the text of its file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}
