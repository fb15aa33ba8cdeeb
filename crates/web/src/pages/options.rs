//! The options of an export as forms show them.

use std::collections::BTreeMap;

use retort_model::ItemKind;
use retort_service::{ExportOption, ExportOptions, OPTIONS, Values, data};

use super::display::{capital, quoted};
use crate::problem::Problem;

/// What a form says of the options, by their names. What it leaves out or empty has its default.
pub(super) type Given = BTreeMap<String, String>;

/// One value that can be chosen.
pub(super) struct Offered {
    pub(super) name: &'static str,
    pub(super) about: String,
    pub(super) is_chosen: bool,
}

/// An option as a form shows it.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) about: String,
    pub(super) value: String,
    /// What can be chosen, if it takes words.
    pub(super) choices: Vec<Offered>,
    pub(super) is_flag: bool,
    /// Whether it is a text of several lines.
    pub(super) has_lines: bool,
    /// The largest number, if it takes one.
    pub(super) most: Option<u64>,
}

/// What is asked.
///
/// # Errors
/// A value that its option does not take.
pub(super) fn asked(given: &Given) -> Result<ExportOptions, Problem> {
    let said = OPTIONS.iter().filter_map(|option| Some((option, given.get(option.name)?)));
    said.filter(|(_, text)| !text.is_empty())
        .try_fold(ExportOptions::default(), |options, (option, text)| {
            options.with(option.name, text)
        })
        .map_err(Problem::bad_request)
}

/// What matters for items of a kind, but for those that the form shows in its own way.
pub(super) fn fields(given: &Given, kind: ItemKind, but_for: &[&str]) -> Vec<Field> {
    OPTIONS
        .iter()
        .filter(|option| option.kinds.contains(&kind) && !but_for.contains(&option.name))
        .map(|option| field(option, given, kind))
        .collect()
}

/// The values of an option that takes words, for items of a kind.
pub(super) fn offered(name: &str, given: &Given, kind: ItemKind) -> Vec<Offered> {
    let option = ExportOption::named(name);
    option.map(|option| field(option, given, kind).choices).unwrap_or_default()
}

/// A text without the flags of the command line that it names between parentheses: a form has fields.
fn without_flags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (`--") {
        let Some((_, behind)) = after.split_once("`)") else { break };
        out.push_str(before);
        rest = behind;
    }
    out + rest
}

fn field(option: &ExportOption, given: &Given, kind: ItemKind) -> Field {
    let value = given.get(option.name).cloned();
    let value = value.unwrap_or_else(|| option.default_text());
    let words = match option.values {
        Values::Words(words) => words(),
        _ => Vec::new(),
    };
    let suits = |name: &str| {
        let is_format = option.name == "data_format";
        !is_format || data::by_name(name).is_some_and(|format| format.items().contains(&kind))
    };
    let offered = |word: retort_service::Word| Offered {
        name: word.name,
        about: quoted(&capital(&without_flags(word.about))),
        is_chosen: word.name == value,
    };
    Field {
        name: option.name,
        about: quoted(option.about),
        choices: words.into_iter().filter(|word| suits(word.name)).map(offered).collect(),
        is_flag: matches!(option.values, Values::Flag),
        has_lines: matches!(option.values, Values::FileText | Values::File),
        most: match option.values {
            Values::Number(most) => Some(most),
            _ => None,
        },
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_name_no_flags() {
        assert_eq!(without_flags("for TRL or OpenAI (`--layout`)"), "for TRL or OpenAI");
        assert_eq!(without_flags("as (`role`) is (`--a`), once"), "as (`role`) is, once");
        assert_eq!(without_flags("open (`--a"), "open (`--a");
    }
}
