//! Where a schedule delivers its datasets, beside the store.

use std::fmt;
use std::str::FromStr;

/// The most characters of a pattern of folders, so that paths stay within what file systems and buckets allow.
const MOST_CHARACTERS: usize = 200;

/// Where a schedule delivers its datasets: each becomes a folder of files there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverTo {
    /// Name of a destination that the operator configured.
    pub destination: String,
    /// The folder in the destination.
    pub prefix: FolderPattern,
    /// Whether a folder `date=YYYY-MM-DD` comes next.
    pub by_date: bool,
}

/// The folders above a dataset, with `{date}`, `{time}` or `{n}` in them; it may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderPattern(String);

impl FromStr for FolderPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(Self::default());
        }
        let shown: String = text.chars().take(80).collect();
        let refused = |why: &str| Err(format!("the prefix `{shown}` {why}"));
        if text.chars().count() > MOST_CHARACTERS {
            return refused(&format!("is longer than {MOST_CHARACTERS} characters"));
        }
        let plain = filled(text, "", "", 0);
        let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '/');
        if !plain.chars().all(is_allowed) {
            return refused(
                "has other characters than letters, digits, `-`, `_`, `.`, `=`, `/`, `{date}`, `{time}` and `{n}`",
            );
        }
        if text.split('/').any(|folder| folder.is_empty() || folder.starts_with('.')) {
            return refused("has an empty folder, or one that begins with `.`");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FolderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FolderPattern {
    /// The first folders, whose names are the same for all datasets.
    pub fn fixed(&self) -> String {
        let fixed = self.0.split('/').take_while(|folder| !folder.contains('{'));
        fixed.collect::<Vec<_>>().join("/")
    }
}

fn filled(pattern: &str, date: &str, clock: &str, number: u64) -> String {
    let text = pattern.replace("{date}", date).replace("{time}", clock);
    text.replace("{n}", &number.to_string())
}

impl DeliverTo {
    /// The folder in the destination that a dataset becomes, at this local date and time.
    pub(super) fn folder(&self, date: &str, clock: &str, number: u64, dataset: &str) -> String {
        let prefix = filled(&self.prefix.0, date, clock, number);
        let day = if self.by_date { format!("date={date}") } else { String::new() };
        let folders = [prefix.as_str(), &day, dataset];
        folders.into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>().join("/")
    }
}
