//! MOSS's conversations: turns of `Human`, `Inner Thoughts`, `Commands`, `Tool Responses` and `MOSS`, each a text with its own
//! marks. Reference: the dataset card of `fnlp/moss-003-sft-data`.

use retort_json::RawJson;

use super::fields::{self, FieldMap, object_of};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct Moss;

/// What a text ends with.
const ENDS: [&str; 5] = ["<eoh>", "<eot>", "<eoc>", "<eor>", "<eom>"];

impl ImportFormat for Moss {
    fn name(&self) -> &'static str {
        "moss"
    }

    fn about(&self) -> &'static str {
        "MOSS's conversations: `chat` with `turn_1`, `turn_2`, … of `Human`, `Commands` and `MOSS`"
    }

    fn notes(&self) -> &'static str {
        "`fnlp/moss-003-sft-data` and its sets for plugins. `meta_instruction` becomes the system message, inner thoughts \
         the reasoning, commands the calls (`Search(\"x\")` calls the tool `Search` with `x` as its `input`), and tool \
         responses their results. The marks around the texts (`<|Human|>:`, `<eoh>`) are dropped. If the commands or \
         responses of a turn cannot be read that way, the whole turn is not understood. Written from the dataset card."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&["chat", "turn_1"])
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut row = FieldMap::item(item, notes)?;
        let turns = row.take(&["chat"], fields::map).ok_or_else(unknown)?;
        let mut messages = Vec::new();
        if let Some(system) = row.take(&["meta_instruction"], fields::json) {
            messages.push(object_of([("role", RawJson::string("system")), ("content", system)]));
        }
        let mut odd = Vec::new();
        for (key, raw) in turns.rest() {
            let key = key.decoded();
            match turn(&raw, &key) {
                Some(more) => messages.extend(more),
                None => odd.push((format!("chat.{key}"), raw)),
            }
        }
        let read = openai::with_messages(row.rest(), RawJson::array(&messages), &[], notes)?;
        for (path, raw) in odd {
            notes.unplaced(path, &raw);
        }
        Ok(read.into())
    }
}

/// The messages of a turn; none if something in it cannot be read.
fn turn(raw: &RawJson<'_>, id: &str) -> Option<Vec<RawJson<'static>>> {
    let mut map = fields::map(raw)?;
    let mut text = |name: &'static str| map.take(&[name], |raw| Some(bare(&raw.as_text()?, name)));
    let asked = text("Human")?;
    let thoughts = text("Inner Thoughts").filter(|text| text != "None");
    let commands = text("Commands").filter(|text| text != "None");
    let results = text("Tool Responses").filter(|text| text != "None");
    let answer = text("MOSS")?;
    if map.fields().iter().any(|(_, raw)| !raw.is_null()) {
        return None;
    }
    let said = |role: &str, text: &str| {
        vec![("role", RawJson::string(role)), ("content", RawJson::string(text))]
    };
    let mut messages = vec![object_of(said("user", &asked))];
    let thinks = thoughts.map(|text| ("reasoning_content", RawJson::string(&text)));
    let Some(commands) = commands else {
        let answers = said("assistant", &answer).into_iter().chain(thinks);
        messages.push(object_of(answers));
        return results.is_none().then_some(messages);
    };
    let calls = calls(&commands)?;
    let results = results?;
    let results = results_of(&results, &calls)?;
    let id = |at: usize| RawJson::string(&format!("{id}.{at}"));
    let listed: Vec<_> = (calls.iter().enumerate())
        .map(|(at, call)| {
            let input = object_of([("input", RawJson::string(&call.input))]);
            let name = RawJson::string(call.name);
            let function = object_of([("name", name), ("arguments", input)]);
            object_of([
                ("id", id(at)),
                ("type", RawJson::string("function")),
                ("function", function),
            ])
        })
        .collect();
    let called = [("role", RawJson::string("assistant")), ("tool_calls", RawJson::array(&listed))];
    messages.push(object_of(called.into_iter().chain(thinks)));
    for (at, result) in results.into_iter().enumerate() {
        messages
            .push(object_of(said("tool", result).into_iter().chain([("tool_call_id", id(at))])));
    }
    messages.push(object_of(said("assistant", &answer)));
    Some(messages)
}

/// A text without its marks.
fn bare(text: &str, name: &str) -> String {
    let text = text.trim();
    let text = ENDS.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let marks = [format!("<|{name}|>:"), "<|Results|>:".to_owned()];
    let text = marks.iter().find_map(|mark| text.strip_prefix(mark.as_str())).unwrap_or(text);
    text.trim().to_owned()
}

/// A command: `Search("x")`.
struct Call<'t> {
    name: &'t str,
    input: String,
    /// As it is written.
    text: &'t str,
}

/// The commands in a text, separated by commas.
fn calls(text: &str) -> Option<Vec<Call<'_>>> {
    let mut calls = Vec::new();
    let mut rest = text;
    loop {
        let (name, inside) = rest.split_once("(\"")?;
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|one| one.is_alphanumeric() || one == '_')
        };
        if !is_name(name) {
            return None;
        }
        // The input ends with the command, or in front of the next.
        let end = inside.match_indices("\")").map(|(at, _)| at).find(|at| {
            let behind = inside.get(at + 2..).unwrap_or_default().trim_start();
            behind.is_empty()
                || behind.strip_prefix(',').is_some_and(|next| {
                    next.split_once("(\"").is_some_and(|(name, _)| is_name(name.trim()))
                })
        })?;
        let text = rest.get(..name.len() + 2 + end + 2)?;
        calls.push(Call { name, input: inside.get(..end)?.to_owned(), text });
        rest = inside.get(end + 2..)?.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => break,
        }
    }
    Some(calls)
}

/// The result of each command, which follows a heading that repeats the command.
fn results_of<'t>(text: &'t str, calls: &[Call<'_>]) -> Option<Vec<&'t str>> {
    let mut places = Vec::new();
    let mut from = 0;
    for call in calls {
        let heading = format!("{} =>", call.text);
        let at = from + text.get(from..)?.find(&heading)?;
        places.push((at, at + heading.len()));
        from = at + heading.len();
    }
    if places.first()?.0 != 0 {
        return None;
    }
    let ends = places.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    places.iter().zip(ends).map(|((_, from), to)| Some(text.get(*from..to)?.trim())).collect()
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no turns under `chat`")
}
