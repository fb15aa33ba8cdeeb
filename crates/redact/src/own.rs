//! The user's own rules, from a TOML file.

use std::ops::Range;
use std::sync::Arc;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;
use retort_model::Redaction;
use serde::Deserialize;

use crate::action::{Action, sha256};
use crate::program::{Begin, Named, ProgramRule, Recogniser, RecogniserProgram, Unavailable};
use crate::text::stands_alone;

/// Bytes of a file of rules, and rules in it. A person writes them, and each is another search.
const FILE: usize = 256 * 1024;
const RULES: usize = 100;
/// Words of one rule, and bytes of the automaton of a rule.
const WORDS: usize = 2_000;
const AUTOMATON: usize = 32 * 1024 * 1024;
/// Characters of a rule's name.
const NAME: usize = 40;

/// Whether a value of the option names a file of rules.
pub fn is_rules_file(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".toml")
}

/// Rules that a user wrote.
#[derive(Clone, Debug)]
pub struct OwnRules {
    rules: Vec<OwnRule>,
    text: String,
    sha256: String,
}

#[derive(Clone, Debug)]
struct OwnRule {
    name: String,
    action: Option<Action>,
    finds: Finds,
}

#[derive(Clone, Debug)]
enum Finds {
    Regex(Regex),
    /// No part of a longer word.
    Words(Regex),
    /// Ends of paths, each as its steps from the last to the first.
    Fields(Vec<Vec<String>>),
    /// What a program says.
    Program(ProgramRule),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<toml::Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    action: Option<String>,
    regex: Option<String>,
    words: Option<Vec<String>>,
    fields: Option<Vec<String>>,
    program: Option<Vec<String>>,
    recogniser: Option<String>,
    timeout_seconds: Option<u64>,
    processes: Option<usize>,
    sha256: Option<String>,
}

impl OwnRules {
    /// Reads rules.
    ///
    /// # Errors
    /// Which rule is wrong, on which line, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > FILE {
            return Err(format!("the rules are longer than {} KiB", FILE / 1024));
        }
        let line_of = |byte: usize| 1 + text.bytes().take(byte).filter(|one| *one == b'\n').count();
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            format!("line {line}: {}", error.message().trim())
        })?;
        if file.rule.is_empty() {
            return Err("there are no rules; each begins with a line `[[rule]]`".into());
        }
        if file.rule.len() > RULES {
            return Err(format!("there are more than {RULES} rules"));
        }
        let mut rules: Vec<OwnRule> = Vec::with_capacity(file.rule.len());
        for rule in file.rule {
            let line = line_of(rule.span().start);
            let written = rule.into_inner();
            let name = written.name.clone();
            let is_twice = rules.iter().any(|rule| rule.name == name);
            let rule =
                if is_twice { Err("the name is used twice".into()) } else { compiled(&written) };
            rules.push(rule.map_err(|why| format!("line {line}: rule `{name}`: {why}"))?);
        }
        Ok(Self { rules, text: text.to_owned(), sha256: sha256(text) })
    }

    /// The rules as they were written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The hash of the rules as they were written.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The names of all rules.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    pub(crate) fn name(&self, place: u16) -> &str {
        self.rules.get(usize::from(place)).map_or("", |rule| &rule.name)
    }

    pub(crate) fn action(&self, place: u16) -> Option<Action> {
        self.rules.get(usize::from(place)).and_then(|rule| rule.action)
    }

    pub(crate) fn actions(&self) -> impl Iterator<Item = Option<Action>> {
        self.rules.iter().map(|rule| rule.action)
    }

    fn numbered(&self) -> impl Iterator<Item = (u16, &OwnRule)> {
        (0..).zip(&self.rules)
    }

    /// The names of the rules with a program, and what runs it.
    pub fn running(&self) -> impl Iterator<Item = (&str, &dyn Recogniser)> {
        self.rules.iter().filter_map(|rule| match &rule.finds {
            Finds::Program(ProgramRule { runs: Some(runs), .. }) => Some((&*rule.name, &**runs)),
            _ => None,
        })
    }

    /// The same rules, whose programs are run by what `begin` gives. One that cannot be run has failed already, so that
    /// nothing is exported with it.
    #[must_use]
    pub fn begin(mut self, begin: &Begin<'_>) -> Self {
        for rule in &mut self.rules {
            let Finds::Program(program) = &mut rule.finds else { continue };
            let wanted = program.sha256.as_deref();
            let runs = begin(&program.named).and_then(|runs| match wanted {
                Some(wanted) if wanted != runs.sha256() => Err(format!(
                    "the program has the SHA-256 {}, not the one that the rule names",
                    runs.sha256()
                )),
                _ => Ok(runs),
            });
            program.runs = Some(runs.unwrap_or_else(|why| Arc::new(Unavailable(why))));
        }
        self
    }

    /// Calls `take` with everything that regular expressions, words and programs find.
    pub(crate) fn each(&self, text: &str, take: &mut dyn FnMut(u16, Range<usize>)) {
        for (place, rule) in self.numbered() {
            let (regex, are_words) = match &rule.finds {
                Finds::Regex(regex) => (regex, false),
                Finds::Words(regex) => (regex, true),
                Finds::Fields(_) => continue,
                Finds::Program(program) => {
                    // A failure stops the export: the caller checks `Redactor::check`.
                    let spans = program.runs.as_ref().and_then(|runs| runs.spans(text).ok());
                    spans.into_iter().flatten().for_each(|range| take(place, range));
                    continue;
                }
            };
            for found in regex.find_iter(text) {
                let range = found.range();
                if !range.is_empty() && (!are_words || stands_alone(text, &range)) {
                    take(place, range);
                }
            }
        }
    }

    /// Whether a rule is on fields.
    pub(crate) fn has_fields(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.finds, Finds::Fields(_)))
    }

    /// The rule on the field with this path.
    pub(crate) fn of_field(&self, path: &[String]) -> Option<u16> {
        let ends_so = |end: &Vec<String>| {
            end.len() <= path.len()
                && end
                    .iter()
                    .zip(path.iter().rev())
                    .all(|(asked, step)| asked == "*" || asked == step)
        };
        self.numbered().find_map(|(place, rule)| match &rule.finds {
            Finds::Fields(ends) => ends.iter().any(ends_so).then_some(place),
            Finds::Regex(_) | Finds::Words(_) | Finds::Program(_) => None,
        })
    }
}

fn compiled(written: &Written) -> Result<OwnRule, String> {
    let Written { name, action, regex, words, fields, program, recogniser, .. } = written;
    let is_part = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
    if !(1..=NAME).contains(&name.len()) || !name.chars().all(is_part) {
        return Err(format!(
            "a rule's name is 1 to {NAME} characters long and uses only a to z, 0 to 9 and `-`"
        ));
    }
    if name.parse::<Redaction>().is_ok() {
        return Err("a built-in rule has this name; choose another".into());
    }
    let action = action.as_ref().map(|action| action.parse()).transpose()?;
    let finds = match (regex, words, fields, program, recogniser) {
        (Some(regex), None, None, None, None) => Finds::Regex(regex_of(regex, false)?),
        (None, Some(words), None, None, None) => Finds::Words(words_of(words)?),
        (None, None, Some(fields), None, None) => Finds::Fields(fields_of(fields)?),
        (None, None, None, Some(command), None) => {
            let limits = (written.timeout_seconds, written.processes);
            let program = RecogniserProgram::new(command.clone(), limits.0, limits.1)?;
            Finds::Program(program_of(Named::Command(program), written))
        }
        (None, None, None, None, Some(name)) => {
            if written.timeout_seconds.is_some() || written.processes.is_some() {
                return Err(format!(
                    "`timeout_seconds` and `processes` of the recogniser `{name}` are set in the configuration"
                ));
            }
            Finds::Program(program_of(Named::Configured(name.clone()), written))
        }
        _ => {
            return Err(
                "a rule has exactly one of `regex`, `words`, `fields`, `program` and `recogniser`"
                    .into(),
            );
        }
    };
    let is_program = matches!(finds, Finds::Program(_));
    let limits = (&written.timeout_seconds, &written.processes, &written.sha256);
    if !is_program && limits != (&None, &None, &None) {
        return Err(
            "`timeout_seconds`, `processes` and `sha256` are for rules with a program".into()
        );
    }
    Ok(OwnRule { name: name.clone(), action, finds })
}

fn program_of(named: Named, written: &Written) -> ProgramRule {
    let sha256 = written.sha256.as_ref().map(|hash| hash.to_ascii_lowercase());
    ProgramRule { named, sha256, runs: None }
}

fn regex_of(pattern: &str, ignores_case: bool) -> Result<Regex, String> {
    let limit = Some(AUTOMATON);
    let config = Config::new().nfa_size_limit(limit).onepass_size_limit(limit);
    let regex = Regex::builder()
        .configure(config)
        .syntax(syntax::Config::new().case_insensitive(ignores_case))
        .build(pattern)
        .map_err(|error| why(&error))?;
    if regex.is_match("") {
        return Err(format!("`{pattern}` matches an empty string, so it would match everywhere"));
    }
    Ok(regex)
}

fn why(error: &regex_automata::meta::BuildError) -> String {
    match (error.size_limit(), error.syntax_error()) {
        (Some(_), _) => "the regular expression is too large".into(),
        (None, Some(syntax)) => {
            // The last line says what is wrong, the others show the pattern.
            let text = syntax.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regular expression does not compile: {last}")
        }
        (None, None) => {
            let source = std::error::Error::source(error).map(ToString::to_string);
            format!(
                "the regular expression does not compile: {}",
                source.unwrap_or_else(|| error.to_string())
            )
        }
    }
}

fn words_of(words: &[String]) -> Result<Regex, String> {
    if words.is_empty() || words.len() > WORDS {
        return Err(format!("`words` has 1 to {WORDS} words"));
    }
    if words.iter().any(|word| word.trim().is_empty()) {
        return Err("a word is empty".into());
    }
    // The longest first, as the first that matches counts.
    let mut words: Vec<&str> = words.iter().map(|word| word.trim()).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let words: Vec<String> = words.into_iter().map(escaped).collect();
    regex_of(&words.join("|"), true)
}

/// A word as a regular expression.
fn escaped(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len());
    for one in word.chars() {
        if one.is_whitespace() {
            pattern.push_str(r"\s+");
            continue;
        }
        if one.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(one);
    }
    pattern
}

fn fields_of(fields: &[String]) -> Result<Vec<Vec<String>>, String> {
    if fields.is_empty() || fields.len() > WORDS {
        return Err(format!("`fields` has 1 to {WORDS} paths"));
    }
    let steps = |path: &String| {
        let steps: Vec<String> = path.trim().rsplit('.').map(str::to_owned).collect();
        if steps.iter().any(String::is_empty) || steps.iter().all(|step| step == "*") {
            return Err(format!(
                "`{path}` is not a path of fields, such as `customer.email` or `metadata.*.phone`"
            ));
        }
        Ok(steps)
    };
    fields.iter().map(steps).collect()
}
