//! Definitions of tools that a conversation offers.

use retort_json::{Parser, RawJson};

use super::fields::{self, FieldMap};
use super::format::Notes;
use super::unplaced::{Least, says};

/// The definitions of a list, as the source wrote them; those that Google and Bedrock gather in one object are taken
/// apart. What has no name is told of.
pub(super) fn definitions<'a>(listed: Vec<RawJson<'a>>, notes: &mut Notes) -> Vec<RawJson<'a>> {
    let mut definitions = Vec::with_capacity(listed.len());
    for (at, raw) in listed.into_iter().enumerate() {
        if is_plain(&raw) {
            definitions.push(raw);
            continue;
        }
        // Each may be a JSON text.
        let raw = fields::object_within(&raw).unwrap_or(raw);
        let Some(mut map) = fields::map(&raw) else {
            notes.unplaced(format!("[{at}]"), &raw);
            definitions.push(raw);
            continue;
        };
        let gathered = ["functionDeclarations", "function_declarations"];
        if let Some(inner) = map.take(&gathered, fields::list) {
            definitions.extend(inner);
        } else if let Some(inner) = map.take(&["toolSpec"], fields::object) {
            definitions.push(inner);
        } else {
            if !is_definition(&map) {
                notes.unplaced(format!("[{at}]"), &raw);
            }
            definitions.push(raw);
        }
    }
    definitions
}

/// Whether a value is a list or an object of definitions, or the JSON text of one, rather than names of tools.
pub(super) fn are_defined(raw: &RawJson<'_>) -> bool {
    match fields::list_within(raw) {
        Some(listed) => listed.iter().any(|one| fields::map_within(one).is_some()),
        None => fields::map_within(raw).is_some(),
    }
}

/// The definitions in what SmolTalk2's rows pass to the chat template. Its tools for Python are written as code, in general:
/// such text is told of.
pub(super) fn of_template(raw: &RawJson<'_>, notes: &mut Notes) -> Vec<RawJson<'static>> {
    let mut all = Vec::new();
    let Some(map) = fields::map(raw) else { return all };
    for name in ["xml_tools", "python_tools"] {
        let Some(raw) = map.peek(name).filter(|raw| says(raw, Least::Word)) else { continue };
        let mark = notes.mark();
        match fields::list_within(raw) {
            Some(listed) => {
                let read = definitions(listed, notes).into_iter();
                all.extend(read.map(RawJson::into_owned));
            }
            None if fields::map_within(raw).is_some() => {
                let read = definitions(vec![raw.clone()], notes).into_iter();
                all.extend(read.map(RawJson::into_owned));
            }
            None => notes.unplaced("", raw),
        }
        notes.under(mark, || name.into());
    }
    all
}

/// Whether it begins, as nearly all definitions do, with the name of a function. Each conversation repeats its tools, so
/// this avoids parsing their schemas only to find the name.
fn is_plain(raw: &RawJson<'_>) -> bool {
    let mut parser = Parser::new(raw.as_str());
    let mut begins = || {
        parser.object()?;
        while let Some(key) = parser.next_key()? {
            match &*key {
                "type" if parser.string()?.decoded() == "function" => {}
                "description" => parser.skip()?,
                "function" => {
                    parser.object()?;
                    return Ok(
                        parser.next_key()?.as_deref() == Some("name") && parser.string().is_ok()
                    );
                }
                "name" => return Ok(parser.string().is_ok()),
                _ => break,
            }
        }
        Ok::<_, retort_json::JsonError>(false)
    };
    begins().unwrap_or(false)
}

/// Whether it names a function; what a provider hosts (`{"type": "web_search"}`) is named by its type.
fn is_definition(map: &FieldMap<'_>) -> bool {
    let names = |map: &FieldMap<'_>| map.peek("name").and_then(RawJson::text).is_some();
    let kind = map.peek("type").and_then(RawJson::text);
    match kind.as_ref().map(|kind| kind.decoded()).as_deref() {
        Some("function") | None => {
            names(map)
                || map.peek("function").and_then(fields::map).is_some_and(|inner| names(&inner))
        }
        Some(_) => true,
    }
}
