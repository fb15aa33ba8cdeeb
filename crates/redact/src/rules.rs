//! Which rules are applied, and how they are named.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use retort_model::Redaction;

use crate::action::{Action, Key, sha256};
use crate::own::OwnRules;
use crate::program::Recogniser;
use crate::secrets::Literals;

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
    pub(crate) settings: Settings,
    pub(crate) literals: Literals,
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
        let mut text = format!("{BUILT_IN_VERSION} {} {own}", self.settings.sets);
        for (_, runs) in self.programs() {
            text.push(' ');
            text.push_str(runs.sha256());
        }
        sha256(&text)
    }

    /// The names of the rules with a program, and what runs it.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &dyn Recogniser)> {
        self.own().into_iter().flat_map(OwnRules::running)
    }

    /// Whether everything was searched so far.
    ///
    /// # Errors
    /// The program of a rule failed, so what it was to find may have been missed.
    pub fn check(&self) -> Result<(), String> {
        let failed = self.programs().find_map(|(rule, runs)| Some((rule, runs.failure()?)));
        failed
            .map_or(Ok(()), |(rule, why)| Err(format!("the redaction rule `{rule}` failed: {why}")))
    }

    /// Stops waiting for programs because the work was stopped. All of them count as failed from now on.
    pub fn stop(&self) {
        self.programs().for_each(|(_, runs)| runs.stop());
    }

    /// What tells the key from others without giving it away.
    pub fn key_fingerprint(&self) -> String {
        self.settings.key.pseudonym("retort redaction key")
    }

    pub(crate) fn own(&self) -> Option<&OwnRules> {
        self.settings.own.as_deref()
    }
}

/// Counts up when a built-in rule changes.
const BUILT_IN_VERSION: u32 = 1;
