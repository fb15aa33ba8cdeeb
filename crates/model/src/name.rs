//! The one rule for names of datasets and of their data files.

use std::fmt;
use std::str::FromStr;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::bounds::{DATASET_NAME, FILE_NAME, NAME_BYTES};

/// Names that the files of a package have already.
const TAKEN: [&str; 7] =
    ["dataset_info", "manifest", "readme", "rejects", "findings", "extra", "ids"];

/// Names that Windows keeps for devices.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    what: &'static str,
    name: String,
    problem: String,
    longest: usize,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, name, problem, longest } = self;
        write!(
            f,
            "the {what} `{name}` {problem}: use 1 to {longest} letters and digits of any script, spaces, `-`, \
             `_` and `.`, with no space or `.` first or last"
        )
    }
}

impl std::error::Error for NameError {}

fn is_allowed(character: char) -> bool {
    matches!(character, ' ' | '-' | '_' | '.')
        || matches!(
            character.general_category_group(),
            // Marks: vowel signs and accents without which many scripts cannot be written.
            GeneralCategoryGroup::Letter
                | GeneralCategoryGroup::Number
                | GeneralCategoryGroup::Mark
        )
}

fn problem(name: &str, longest: usize) -> Option<String> {
    let length = name.chars().count();
    if name.is_empty() {
        return Some("is empty".into());
    }
    if length > longest {
        return Some(format!("has {length} characters"));
    }
    if name.len() > NAME_BYTES {
        let bytes = name.len();
        return Some(format!("has {bytes} bytes; file systems allow {NAME_BYTES}"));
    }
    if let Some(character) = name.chars().find(|&c| !is_allowed(c)) {
        return Some(match character {
            '/' | '\\' => "contains a path separator".into(),
            c if c.is_control() => format!("contains the control character U+{:04X}", u32::from(c)),
            c => format!("contains `{c}` (U+{:04X})", u32::from(c)),
        });
    }
    if name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']) {
        return Some("begins or ends with a space or `.`".into());
    }
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or("");
    let device = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    if TAKEN.contains(&stem)
        || DEVICES.contains(&stem)
        || (stem.len() == 4 && DEVICES[4..].contains(&device))
    {
        return Some("is reserved".into());
    }
    None
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $longest:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                match problem(name, $longest) {
                    None => Ok(Self(name.to_owned())),
                    Some(problem) => Err(NameError {
                        what: $what,
                        name: name.chars().take(80).flat_map(char::escape_debug).collect(),
                        problem,
                        longest: $longest,
                    }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A dataset's name, 1 to 64 characters.
    DatasetName,
    "dataset name",
    DATASET_NAME
);
name!(
    /// The name of a dataset's data file without its ending, 1 to 128 characters.
    FileName,
    "file name",
    FILE_NAME
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_digits_of_any_script_are_names() {
        for name in
            ["support_2024-01", "对话 数据", "हिन्दी", "محادثات", "v1.2", "é", "0", "contact"]
        {
            assert!(name.parse::<DatasetName>().is_ok(), "{name}");
        }
        assert!("x".repeat(128).parse::<FileName>().is_ok());
    }

    #[test]
    fn what_could_leave_the_folder_or_confuse_a_reader_is_refused() {
        let long = "x".repeat(129);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "/etc/x",
            "a/b",
            "a\\b",
            "a\0",
            "a\nb",
            "\u{202e}x",
            " a",
            "a ",
            ".a",
            "a.",
            "dataset_info",
            "Manifest",
            "readme.md",
            "rejects",
            "findings",
            "CON",
            "nul.txt",
            "com1",
            "LPT9",
            "a:b",
            "a*",
            "💬",
            &long,
        ] {
            let error = name.parse::<FileName>().expect_err(name).to_string();
            assert!(error.contains("1 to 128 letters and digits"), "{error}");
            assert!(!error.contains(['\0', '\n']), "{error}");
        }
        assert!("x".repeat(65).parse::<DatasetName>().is_err());
    }

    /// Report file-name-of-128-signs.
    #[test]
    fn a_name_is_no_longer_than_file_systems_take() {
        let error = "客".repeat(128).parse::<FileName>().unwrap_err().to_string();
        assert!(error.contains("has 384 bytes"), "{error}");
        assert!("客".repeat(66).parse::<FileName>().is_ok());
        assert!("客".repeat(67).parse::<FileName>().is_err());
        assert!("𠀀".repeat(51).parse::<DatasetName>().is_err());
    }
}
