//! Finds secrets and personal data in the JSON text of an item, and masks them.
//!
//! An item is searched as its canonical line, so no field of the model can be forgotten. [`Redactor::line`] walks
//! through the line string by string, keys included (`walk`). Each string is decoded first, so no escape hides
//! anything, and no replacement can break an escape. Strings that are JSON themselves, as the arguments of calls and
//! many results are, are walked through in the same way.
//!
//! `search` finds what is in one string. Each kind has something cheap to look for – an `@`, digits, a prefix such as
//! `ghp_` – and a check that every candidate has to pass: a checksum, a length, the characters before and after. A
//! candidate is checked within a bounded distance, so the time is linear in the length of the text whatever it holds.
//! Base64 and percent-encoded text is decoded and searched as well (`encoded`).

mod addresses;
mod encoded;
mod identity;
mod numbers;
mod own;
mod replace;
mod search;
mod secrets;
mod text;
mod walk;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use retort_model::Redaction;

pub use self::own::{OwnRules, is_rules_file};
pub use self::replace::{Action, Key};
use self::secrets::Literals;
pub use self::walk::{Found, Hit};

/// Which of the built-in rules are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSets {
    /// Keys, tokens, passwords.
    pub secrets: bool,
    /// E-mail addresses, telephone numbers, account and card numbers, addresses of machines.
    pub pii: bool,
}

impl RuleSets {
    /// Both.
    pub const ALL: Self = Self { secrets: true, pii: true };

    /// Whether any rule is applied.
    pub fn is_any(self) -> bool {
        self.secrets || self.pii
    }
}

impl FromStr for RuleSets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sets = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "secrets" => sets.secrets = true,
                "pii" => sets.pii = true,
                _ => {
                    return Err(format!(
                        "unknown redaction rules `{name}`; use `secrets`, `pii`, or both separated by a comma"
                    ));
                }
            }
        }
        Ok(sets)
    }
}

impl fmt::Display for RuleSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.secrets, self.pii) {
            (true, true) => "secrets,pii",
            (true, false) => "secrets",
            (false, true) => "pii",
            (false, false) => "",
        })
    }
}

/// What finds something: a built-in rule, or one of the user's by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A built-in one.
    BuiltIn(Redaction),
    /// One of [`OwnRules`].
    Own(u16),
}

/// What to search for, and what to do with it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The built-in rules.
    pub sets: RuleSets,
    /// The user's rules.
    pub own: Option<Arc<OwnRules>>,
    /// What happens to what is found, where a rule does not say otherwise.
    pub action: Action,
    /// The key of pseudonyms.
    pub key: Key,
}

/// Applies rules to texts.
#[derive(Debug)]
pub struct Redactor {
    settings: Settings,
    literals: Literals,
}

impl Redactor {
    /// One that applies these rules.
    ///
    /// # Errors
    /// The built-in rules cannot be compiled.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let literals = Literals::of(settings.sets.secrets)?;
        Ok(Self { settings, literals })
    }

    /// The name of a rule, as receipts and masks have it.
    pub fn name_of(&self, rule: Rule) -> &str {
        match rule {
            Rule::BuiltIn(kind) => kind.as_str(),
            Rule::Own(place) => self.own().map_or("", |own| own.name(place)),
        }
    }

    /// Whether something that is found leaves its whole item out.
    pub fn leaves_out(&self) -> bool {
        let own =
            self.own().is_some_and(|own| own.actions().any(|one| one == Some(Action::LeaveOut)));
        self.settings.action == Action::LeaveOut || own
    }

    /// A hash of the rules, by which two datasets can be compared: of the version of the built-in ones that are
    /// applied, and of the user's.
    pub fn hash(&self) -> String {
        let own = self.own().map_or("", OwnRules::sha256);
        replace::sha256(&format!("{BUILT_IN_VERSION} {} {own}", self.settings.sets))
    }

    /// What tells the key from others without giving it away.
    pub fn key_fingerprint(&self) -> String {
        self.settings.key.pseudonym("retort redaction key")
    }

    /// A line of JSON with what the rules find replaced; none if they find nothing. The line must be valid.
    pub fn line(&self, line: &str, found: &mut Found) -> Option<String> {
        self.walk(line, found)
    }

    /// A text that is no item: the name of a file, an id, a message. What is found in it becomes a pseudonym, whatever
    /// the action, so different names stay different.
    pub fn name<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.replaced_name(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    fn own(&self) -> Option<&OwnRules> {
        self.settings.own.as_deref()
    }
}

/// Counts up when a built-in rule changes.
const BUILT_IN_VERSION: u32 = 1;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod precision;
