//! Calls of tools as a page shows them: as one would write them, with their results beneath.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// Characters of a call that are shown on its line; longer arguments are folded.
const LINE: usize = 120;

/// Characters of one argument on the line of a call whose arguments are folded.
const VALUE: usize = 40;

/// A call of a tool, and results as a page shows them.
pub(super) struct Call<R> {
    /// The call's id, by which results and sub-agents name it.
    pub(super) id: String,
    /// The call as one would write it: `get_weather(city="Oslo")`.
    pub(super) line: String,
    /// All arguments, where the line has only some.
    pub(super) arguments: Option<String>,
    /// What it returned.
    pub(super) results: Vec<R>,
    /// The sub-agent that it started, by its place on the page and its name.
    pub(super) agent: Option<(usize, String)>,
}

/// A call on one line, and whether all of its arguments are on it.
///
/// `fields` are the arguments; none if they are not an object.
pub(super) fn line(name: &str, fields: Option<&[(String, &RawValue)]>) -> (String, bool) {
    let Some(fields) = fields else { return (format!("{name}(…)"), false) };
    let whole: Vec<String> =
        fields.iter().map(|(key, value)| format!("{key}={}", value.get())).collect();
    let whole = format!("{name}({})", whole.join(", "));
    if whole.chars().nth(LINE).is_none() && !whole.contains('\n') {
        return (whole, true);
    }
    let mut some = Vec::new();
    let mut length = 0;
    for (key, value) in fields {
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
    pub(super) fn add<R>(&mut self, place: usize, calls: &[Call<R>]) {
        for (index, call) in calls.iter().enumerate().filter(|(_, call)| !call.id.is_empty()) {
            self.by_id.insert(call.id.clone(), (place, index));
        }
    }

    /// Where the call of a result is: by its id or, where it names none, the first call of the message before that
    /// has no result yet. `before` is that message: its place and its calls.
    pub(super) fn place_of<R>(
        &self,
        id: Option<&str>,
        before: Option<(usize, &[Call<R>])>,
    ) -> Option<(usize, usize)> {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            return self.by_id.get(id).copied();
        }
        let (place, calls) = before?;
        Some((place, calls.iter().position(|call| call.results.is_empty())?))
    }
}
