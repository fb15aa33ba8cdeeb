//! Redaction as a plan asks for it, and the key of its pseudonyms.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use retort_formats::package::{RedactedCount, RedactionCounts, RedactionProgram};
use retort_model::{Account, Redacted};
use retort_redact::{
    Action, Found, Key, OwnRules, Recogniser, Redactor, RuleSets, Settings, is_rules_file,
};

use crate::error::{Error, io_reason};
use crate::recogniser::Programs;

/// The redaction of a dataset. Without rules, there is none.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// The built-in rules.
    pub sets: RuleSets,
    /// The user's rules.
    pub own: Option<Arc<OwnRules>>,
    /// What is done with what is found.
    pub action: Action,
    key: Option<Key>,
    /// Applies the rules with the key. It is made when it is first asked for: it hashes the programs of rules, which
    /// a list of plans does not need.
    redactor: Arc<OnceLock<Result<Arc<Redactor>, String>>>,
}

impl Redaction {
    /// The redaction of what is shown in public: all built-in rules, and masks.
    ///
    /// # Errors
    /// The system has no random bytes for the key of ids.
    pub fn of_public() -> Result<Self, Error> {
        let mut redaction = Self { sets: RuleSets::ALL, ..Self::default() };
        redaction.prepare_from(None, false)?;
        Ok(redaction)
    }

    /// The redacted canonical line of an item and the number of hits; none if there are none.
    pub fn line(&self, line: &str) -> Option<(String, u64)> {
        let mut found = Found::default();
        let redacted = self.redactor()?.line(line, &mut found)?;
        Some((redacted, found.counts().map(|(_, count)| count).sum()))
    }

    /// Whether there is anything to search for.
    pub fn is_any(&self) -> bool {
        self.sets.is_any() || self.own.is_some()
    }

    /// The key of pseudonyms, in hexadecimal digits, if there is one.
    pub fn key(&self) -> Option<String> {
        self.key.as_ref().map(Key::to_hex)
    }

    /// Gets ready to redact with a key, if there are rules.
    pub fn prepare(&mut self, key: Key) {
        if self.is_any() {
            self.key = Some(key);
            self.redactor = Arc::default();
        }
    }

    /// As [`Self::prepare`], with the key of another, if it has one.
    pub fn prepare_as(&mut self, other: &Self) {
        if let Some(key) = &other.key {
            self.prepare(key.clone());
        }
    }

    /// As [`Self::prepare`], with the key in a file, or else with a random one if it may be.
    ///
    /// # Errors
    /// There is nothing to redact with the key of the file, it cannot be read or is too short, or there has to be one.
    pub fn prepare_from(&mut self, file: Option<&Path>, is_part: bool) -> Result<(), Error> {
        let choice = |why: &str| Error::Choice(why.into());
        let key = match file {
            Some(_) if !self.is_any() => return Err(choice("`--redact-key` needs `--redact`")),
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|error| Error::read(path, error))?;
                let key = Key::of_file(&bytes);
                key.map_err(|why| Error::Choice(format!("{}: {why}", path.display())))?
            }
            None if !self.is_any() => return Ok(()),
            None if is_part => {
                return Err(choice(
                    "the parts of a redacted dataset need one key for their pseudonyms; give all of them the same \
                     `--redact-key FILE`, which `openssl rand -hex 32` makes",
                ));
            }
            None => random_key()?,
        };
        self.prepare(key);
        Ok(())
    }

    /// Applies the rules, if there are any and a key.
    pub fn redactor(&self) -> Option<Arc<Redactor>> {
        self.made()?.as_ref().ok().cloned()
    }

    fn made(&self) -> Option<&Result<Arc<Redactor>, String>> {
        let key = self.key.as_ref().filter(|_| self.is_any())?;
        Some(self.redactor.get_or_init(|| {
            let own = self.own.as_deref();
            let programs = Programs::default();
            let begin = |named: &_| programs.begin(named);
            let own = own.map(|own| Arc::new(own.clone().begin(&begin)));
            let (sets, action, key) = (self.sets, self.action, key.clone());
            Redactor::new(Settings { sets, own, action, key }).map(Arc::new)
        }))
    }

    /// Whether nothing can pass unredacted.
    ///
    /// # Errors
    /// There are rules but no key; the program of a rule failed.
    pub fn check(&self) -> Result<(), Error> {
        match self.made() {
            Some(Ok(redactor)) => redactor.check().map_err(Error::Choice),
            Some(Err(why)) => Err(Error::bug(why)),
            None if self.is_any() => Err(Error::bug("redaction was asked for, but it has no key")),
            None => Ok(()),
        }
    }

    /// What was found, as the receipt tells it.
    pub fn told(&self, account: &Account) -> Option<RedactionCounts> {
        let redactor = self.redactor()?;
        let count = |(rule, redacted): (&String, &Redacted)| RedactedCount {
            rule: rule.clone(),
            hits: redacted.hits,
            items: redacted.items,
        };
        Some(RedactionCounts {
            rules: self.sets.to_string(),
            own_rules: self.own.iter().flat_map(|own| own.names()).map(str::to_owned).collect(),
            programs: redactor.programs().map(program).collect(),
            rules_sha256: redactor.hash(),
            action: self.action.to_string(),
            found: account.redacted.iter().map(count).collect(),
        })
    }
}

fn program((rule, runs): (&str, &dyn Recogniser)) -> RedactionProgram {
    let (program, sha256) = (runs.name().to_owned(), runs.sha256().to_owned());
    RedactionProgram { rule: rule.to_owned(), program, sha256 }
}

/// A key that nobody knows.
///
/// # Errors
/// The system has no random bytes.
pub fn random_key() -> Result<Key, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Failed {
        what: "random bytes for a key",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(Key::new(bytes))
}

/// Takes the names of files of rules out of the value of `redact`, and reads them: the rest, and their text.
///
/// # Errors
/// A file cannot be read or its rules cannot run, or there are several.
pub fn read_rules(value: &str) -> Result<(String, Option<String>), String> {
    let (mut rest, mut text) = (Vec::new(), None);
    for name in value.split(',') {
        if !is_rules_file(name.trim()) {
            rest.push(name);
            continue;
        }
        let path = name.trim();
        let read = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read `{path}`: {}", io_reason(&error)))?;
        OwnRules::parse(&read).map_err(|why| format!("{path}: {why}"))?;
        if text.replace(read).is_some() {
            return Err("there can be one file of rules; put all of them into one".into());
        }
    }
    Ok((rest.join(","), text))
}
