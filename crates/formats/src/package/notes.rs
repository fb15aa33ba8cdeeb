//! What a user knows of a dataset and its sources that Retort does not: descriptions, licences, notes.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What a user wrote on a dataset and its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaperNotes {
    /// What the dataset is, in a few sentences.
    pub description: Option<String>,
    /// Its license: an SPDX identifier or a URL.
    pub license: Option<String>,
    /// Its page on the web.
    pub url: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// When it is published, as `2026-11-30`.
    pub published: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// Who to ask about it.
    pub contact: Option<String>,
    /// How to cite it.
    pub citation: Option<String>,
    /// What was done to respect reservations of rights (text and data mining).
    pub rights_reservations: Option<String>,
    /// What was done to keep unlawful content out.
    pub unlawful_content: Option<String>,
    /// Its sources.
    #[serde(default)]
    pub source: Vec<SourceNote>,
}

/// The user's notes on a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceNote {
    /// Its name.
    pub name: Option<String>,
    /// The inputs that came from it, by their names in the receipt; `*` matches any characters. Default: all inputs
    /// that no other source names.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// What kind of source it is.
    #[serde(default)]
    pub category: SourceCategory,
    /// Its license, or the legal ground for using it.
    pub license: Option<String>,
    /// Its page on the web.
    pub url: Option<String>,
    /// When it was collected.
    pub collected: Option<String>,
    /// Further notes on it.
    pub note: Option<String>,
}

/// The categories of the template for the public summary of training content under Regulation (EU) 2024/1689.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceCategory {
    /// Publicly available datasets.
    Public,
    /// Licensed by the holders of the rights.
    Licensed,
    /// Private datasets of other third parties.
    ThirdParty,
    /// Crawled and scraped.
    Crawled,
    /// Data of the users of a service.
    UserData,
    /// Made by a model.
    Synthetic,
    /// Anything else.
    #[default]
    Other,
}

impl SourceCategory {
    /// All of them, in the order of the template.
    pub const ALL: [Self; 7] = [
        Self::Public,
        Self::Licensed,
        Self::ThirdParty,
        Self::Crawled,
        Self::UserData,
        Self::Synthetic,
        Self::Other,
    ];

    /// Its heading in the template.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Public => "2.1 Publicly available datasets",
            Self::Licensed => {
                "2.2.1 Datasets commercially licensed by rightsholders or their representatives"
            }
            Self::ThirdParty => "2.2.2 Private datasets obtained from other third parties",
            Self::Crawled => "2.3 Data crawled and scraped from online sources",
            Self::UserData => "2.4 User data",
            Self::Synthetic => "2.5 Synthetic data",
            Self::Other => "2.6 Other sources of data",
        }
    }
}

impl PaperNotes {
    /// The source that an input came from.
    pub fn source_of(&self, input: &str) -> Option<&SourceNote> {
        let names = |source: &&SourceNote| source.inputs.iter().any(|one| matches(one, input));
        let named = self.source.iter().find(names);
        named.or_else(|| self.source.iter().find(|source| source.inputs.is_empty()))
    }
}

impl SourceNote {
    /// As schema.org describes a work.
    pub(super) fn to_json(&self) -> Value {
        let mut work = Map::new();
        work.insert("@type".into(), "sc:CreativeWork".into());
        for (name, value) in [
            ("name", &self.name),
            ("license", &self.license),
            ("url", &self.url),
            ("temporalCoverage", &self.collected),
            ("description", &self.note),
        ] {
            if let Some(value) = value {
                work.insert(name.into(), (&**value).into());
            }
        }
        work.into()
    }
}

/// Whether a name matches a pattern in which `*` matches any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, name, expect) in [
            ("a.jsonl", "a.jsonl", true),
            ("a.jsonl", "a.jsonl.gz", false),
            ("*", "anything", true),
            ("help*.jsonl", "help-2024.jsonl", true),
            ("help*.jsonl", "my-help-2024.jsonl", false),
            ("*a*b", "xaxb", true),
            ("*a*b", "xbxa", false),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn an_input_has_the_source_that_names_it_or_the_one_that_names_none() {
        let source = |name: &str, inputs: &[&str]| SourceNote {
            name: Some(name.into()),
            inputs: inputs.iter().map(|&input| input.into()).collect(),
            ..SourceNote::default()
        };
        let source_list = vec![source("rest", &[]), source("help", &["help*"])];
        let notes = PaperNotes { source: source_list, ..PaperNotes::default() };
        let name = |input: &str| notes.source_of(input).and_then(|one| one.name.as_deref());
        assert_eq!((name("help-1"), name("other")), (Some("help"), Some("rest")));
    }
}
