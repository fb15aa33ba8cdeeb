//! Calls of tools as a page shows them: as one would write them, with their results beneath.

use std::collections::HashMap;

use super::records::{Columns, Said, pretty};

/// Characters of a call that are shown on its line; longer arguments are folded.
const LINE: usize = 120;

/// Characters of one argument on the line of a call whose arguments are folded.
const VALUE: usize = 40;

/// Characters of a result that is shown open.
const SHORT: usize = 600;

/// A call of a tool.
pub(super) struct Call {
    /// The call's id, by which results and sub-agents name it.
    pub(super) id: String,
    /// The call as one would write it: `get_weather(city="Oslo")`.
    pub(super) line: String,
    /// All arguments, where the line has only some.
    pub(super) arguments: Option<String>,
    /// What it returned.
    pub(super) results: Vec<Said>,
    /// The sub-agent that it started, by its place on the page and its name.
    pub(super) agent: Option<(usize, String)>,
}

impl Call {
    pub(super) fn new(id: String, name: &str, arguments: &str) -> Self {
        let (line, is_whole) = line(name, arguments);
        let arguments = (!is_whole).then(|| pretty(arguments));
        Self { id, line, arguments, results: Vec::new(), agent: None }
    }

    /// Whether one of its results is an error.
    pub(super) fn is_failed(&self) -> bool {
        self.results.iter().any(|result| result.error.is_some())
    }
}

impl Said {
    /// Whether a result is shown open: failures and short ones are.
    pub(super) fn is_open(&self) -> bool {
        self.error.is_some() || self.text.chars().nth(SHORT).is_none()
    }
}

/// A call on one line, and whether all of its arguments are on it.
fn line(name: &str, arguments: &str) -> (String, bool) {
    let Ok(Columns(fields)) = serde_json::from_str::<Columns<'_>>(arguments) else {
        return match arguments.trim() {
            "" => (format!("{name}()"), true),
            _ => (format!("{name}(…)"), false),
        };
    };
    let whole: Vec<String> =
        fields.iter().map(|(key, value)| format!("{key}={}", value.get())).collect();
    let whole = format!("{name}({})", whole.join(", "));
    if whole.chars().nth(LINE).is_none() && !whole.contains('\n') {
        return (whole, true);
    }
    let mut some = Vec::new();
    let mut length = 0;
    for (key, value) in &fields {
        let part = format!("{key}={}", beginning(value.get()));
        length += part.chars().count();
        if length > LINE {
            some.push("…".to_owned());
            break;
        }
        some.push(part);
    }
    (format!("{name}({})", some.join(", ")), false)
}

fn beginning(value: &str) -> String {
    let one_line = value.replace(['\r', '\n'], " ");
    match one_line.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", one_line.get(..end).unwrap_or_default()),
        None => one_line,
    }
}

/// Which results belong to which of the calls that were met so far.
#[derive(Default)]
pub(super) struct Calls {
    /// Where the call with an id is: the message and the call in it, by their places.
    by_id: HashMap<String, (usize, usize)>,
}

impl Calls {
    /// Takes up the calls of a message that is shown in that place.
    pub(super) fn add(&mut self, place: usize, said: &Said) {
        for (index, call) in said.calls.iter().enumerate().filter(|(_, call)| !call.id.is_empty()) {
            self.by_id.insert(call.id.clone(), (place, index));
        }
    }

    /// Where the call of a result is: by its id or, where it names none, the first call of the message before that
    /// has no result yet.
    pub(super) fn place_of(&self, id: Option<&str>, all: &[Said]) -> Option<(usize, usize)> {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            return self.by_id.get(id).copied();
        }
        let place = all.len().checked_sub(1)?;
        let waiting = all.last()?.calls.iter().position(|call| call.results.is_empty())?;
        Some((place, waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_as_one_would_write_it() {
        for (arguments, shown, is_whole) in [
            (r#"{"zone":"CET","city":"Oslo"}"#, r#"f(zone="CET", city="Oslo")"#, true),
            (r#"{"n":2.50,"deep":{"a":[1]}}"#, r#"f(n=2.50, deep={"a":[1]})"#, true),
            ("{}", "f()", true),
            ("", "f()", true),
            ("not JSON", "f(…)", false),
            ("[1]", "f(…)", false),
        ] {
            assert_eq!(line("f", arguments), (shown.to_owned(), is_whole), "{arguments}");
        }
        let long = format!(r#"{{"path":"a.rs","text":"{}"}}"#, "x".repeat(500));
        let call = Call::new("1".into(), "write", &long);
        assert_eq!(call.line, format!(r#"write(path="a.rs", text="{}…)"#, "x".repeat(39)));
        assert!(call.arguments.is_some_and(|all| all.contains(&"x".repeat(500))));
        let many: Vec<String> = (0..200).map(|n| format!("\"k{n}\":{n}")).collect();
        let (line, _) = line("f", &format!("{{{}}}", many.join(",")));
        assert!(line.ends_with(", …)") && line.chars().count() < 2 * LINE, "{line}");
    }
}
