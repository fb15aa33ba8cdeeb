//! Addresses on the Hub: `hf://datasets/ORGANIZATION/NAME`. To read, `@REVISION` and a path may follow.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What every dataset's address begins with.
const SCHEME: &str = "hf://datasets/";

/// The branch to push to, and to read unless another revision is named.
pub(super) const BRANCH: &str = "main";

/// Prefixes of revisions whose slash needs no encoding, as in the Hub's own tools; elsewhere, a slash is written `%2F`.
const SLASHED: [&str; 2] = ["refs/convert/", "refs/pr/"];

/// The characters to encode in a segment of a URL.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A dataset's repository on the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRepository {
    pub(super) organization: String,
    pub(super) name: String,
}

impl FromStr for HubRepository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.strip_prefix(SCHEME).and_then(|path| path.split_once('/'));
        match parts.and_then(|(organization, name)| Self::of(organization, name)) {
            Some(repository) => Ok(repository),
            None => Err(format!(
                "`{text}` is not a dataset on the Hub; write it as `{SCHEME}ORGANIZATION/NAME`"
            )),
        }
    }
}

impl HubRepository {
    pub(super) fn of(organization: &str, name: &str) -> Option<Self> {
        let is_name = |name: &str| {
            let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty()
                && name != "."
                && name.len() <= 96
                && name.chars().all(is_safe)
                && !name.contains("..")
        };
        (is_name(organization) && is_name(name))
            .then(|| Self { organization: organization.into(), name: name.into() })
    }
}

impl fmt::Display for HubRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.name)
    }
}

/// A dataset on the Hub to read, or a folder or file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSource {
    pub(super) repository: HubRepository,
    /// A branch, tag or commit.
    pub(super) revision: Option<String>,
    /// Without `/` at its ends; empty for the whole dataset.
    pub(super) path: String,
}

impl HubSource {
    /// Whether the text is meant as an address on the Hub, valid or not.
    pub fn is_address(text: &str) -> bool {
        text.starts_with("hf://")
    }

    /// The revision to read.
    pub(super) fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(BRANCH)
    }

    /// The same files at a commit.
    pub(super) fn at(&self, repository: HubRepository, commit: &str) -> Self {
        Self { repository, revision: Some(commit.to_owned()), path: self.path.clone() }
    }
}

impl FromStr for HubSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || {
            format!(
                "`{text}` is not a dataset on the Hub; write it as `{SCHEME}ORGANIZATION/NAME`, with `@REVISION` and \
                 `/PATH` if you want"
            )
        };
        let rest = text.strip_prefix(SCHEME).ok_or_else(fail)?;
        let (organization, rest) = rest.split_once('/').ok_or_else(fail)?;
        let end = rest.find(['@', '/']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let repository = HubRepository::of(organization, name).ok_or_else(fail)?;
        let (revision, path) = match rest.strip_prefix('@') {
            None => (None, rest),
            Some(rest) => {
                let slashed = SLASHED.iter().find(|prefix| rest.starts_with(**prefix));
                let begin = slashed.map_or(0, |prefix| prefix.len());
                let end = rest.get(begin..).and_then(|rest| rest.find('/'));
                let (revision, path) = rest.split_at(end.map_or(rest.len(), |end| begin + end));
                let revision = percent_decode_str(revision).decode_utf8().map_err(|_| fail())?;
                if revision.is_empty() {
                    return Err(fail());
                }
                (Some(revision.into_owned()), path)
            }
        };
        let path = path.trim_matches('/');
        if !path.is_empty() && !is_safe_path(path) {
            return Err(fail());
        }
        Ok(Self { repository, revision, path: path.to_owned() })
    }
}

impl fmt::Display for HubSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.repository)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{}", segment(revision))?;
        }
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        Ok(())
    }
}

/// A text as one segment of a URL.
pub(super) fn segment(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, SEGMENT)
}

/// A path as segments of a URL.
pub(super) fn segments(path: &str) -> String {
    path.split('/').map(|one| segment(one).to_string()).collect::<Vec<_>>().join("/")
}

/// Whether a path stays below the folder that it is relative to, on any system.
pub(super) fn is_safe_path(path: &str) -> bool {
    let is_safe = |one: &str| {
        !one.is_empty() && one != "." && one != ".." && !one.contains(['\\', '\0', ':'])
    };
    path.split('/').all(is_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_dataset_a_revision_and_a_path() {
        for (text, revision, path) in [
            ("hf://datasets/acme/support", None, ""),
            ("hf://datasets/acme/support/", None, ""),
            ("hf://datasets/acme/support/data/train.jsonl", None, "data/train.jsonl"),
            ("hf://datasets/acme/support@v1.0/data/", Some("v1.0"), "data"),
            ("hf://datasets/acme/support@a%2Fb/x@y.jsonl", Some("a/b"), "x@y.jsonl"),
            ("hf://datasets/acme/support@refs/pr/3/x", Some("refs/pr/3"), "x"),
            ("hf://datasets/acme/support@refs/convert/parquet", Some("refs/convert/parquet"), ""),
        ] {
            let source: HubSource = text.parse().unwrap();
            assert_eq!(source.repository.to_string(), "acme/support", "{text}");
            assert_eq!((source.revision.as_deref(), &*source.path), (revision, path), "{text}");
            assert_eq!(source.to_string().parse(), Ok(source), "{text}");
        }
        for text in [
            "hf://models/acme/support",
            "hf://datasets/acme",
            "hf://datasets/acme/",
            "hf://datasets/acme/../x",
            "hf://datasets/acme/support@",
            "hf://datasets/acme/support@/x",
            "hf://datasets/acme/support/a/../../b",
            "hf://datasets/acme/support/a//b",
            r"hf://datasets/acme/support/a\..\b",
        ] {
            let error = text.parse::<HubSource>().unwrap_err();
            assert!(error.contains("hf://datasets/ORGANIZATION/NAME"), "{text}: {error}");
        }
    }
}
