//! What takes the place of what was found.

use retort_model::Redaction;

use crate::action::Action;
use crate::rules::{Redactor, Rule};

/// What a text is in an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Content.
    Value,
    /// An id or a key, which has to stay apart from others.
    Name,
}

impl Redactor {
    /// What a rule does.
    pub(crate) fn action_of(&self, rule: Rule) -> Action {
        let own = match rule {
            Rule::BuiltIn(_) => None,
            Rule::Own(place) => self.own().and_then(|own| own.action(place)),
        };
        own.unwrap_or(self.settings.action)
    }

    /// What takes the place of a text.
    pub(crate) fn replacement(&self, rule: Rule, text: &str, role: Role) -> String {
        let name = self.name_of(rule).to_ascii_uppercase().replace('-', "_");
        if role == Role::Value && self.action_of(rule) != Action::Pseudonym {
            return format!("[{name}]");
        }
        // Names that differ in the way they are written only have to stay apart.
        let text = if role == Role::Name { text.to_owned() } else { normal(rule, text) };
        format!("[{name}_{}]", self.settings.key.pseudonym(&text))
    }
}

/// A text as it is without differences in how it is written.
fn normal(rule: Rule, text: &str) -> String {
    match rule {
        Rule::BuiltIn(Redaction::Email) => text.to_lowercase(),
        Rule::BuiltIn(
            Redaction::Phone | Redaction::Iban | Redaction::Card | Redaction::NationalId,
        ) => text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase(),
        Rule::BuiltIn(_) | Rule::Own(_) => text.to_owned(),
    }
}
