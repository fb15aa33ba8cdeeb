//! Recorded exchanges with model APIs: a request and a response with their bodies, as test recorders (VCR, llama-stack)
//! and proxies keep them, alone or as the interactions of a cassette. An agent sends the history so far with each
//! request, so of the exchanges of one cassette those that another one continues are dropped.

use retort_json::{Kind, Parser, RawJson};
use retort_model::{Conversation, Item, Message};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::requests::Requests;
use super::sniff::Sniff;

/// The format.
pub(super) struct Recorded;

/// Where the lists of exchanges are.
const EXCHANGES: [&str; 3] = ["interactions", "exchanges", "http_interactions"];

/// Parts of addresses at which nothing is said.
const OTHER_CALLS: [&str; 8] = [
    "count_tokens",
    "count-tokens",
    "countTokens",
    "input_tokens",
    "embed",
    "/files",
    "moderations",
    "vector_stores",
];

impl ImportFormat for Recorded {
    fn name(&self) -> &'static str {
        "recorded"
    }

    fn about(&self) -> &'static str {
        "recorded exchanges with model APIs: `request` and `response` with their bodies, or cassettes of them"
    }

    fn notes(&self) -> &'static str {
        "`{request: {uri, body}, response: {body}}`, as recorders of tests and proxies write it, or a cassette with a \
         list of `interactions`. Bodies are objects, JSON text, server-sent events or a list of the pieces of a \
         stream, which are put together. Exchanges of a cassette that a later one repeats and continues make one \
         conversation; a request that names the previous response (`previous_response_id`) continues it. Requests that \
         call no model (files, embeddings, token counts) and intermediate responses are kept as metadata, under \
         `exchanges`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_one = |path: &[&str]| {
            let holds = |keys: &[&str]| sniff.holds(&[path, keys].concat());
            holds(&["request", "body"])
                && holds(&["response", "body"])
                && ["uri", "url", "method"].iter().any(|key| holds(&["request", key]))
        };
        is_one(&[])
            || EXCHANGES.iter().any(|name| {
                ["uri", "url", "method"].iter().any(|key| sniff.holds(&[name, "request", key]))
            })
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        if parser.kind()? != Kind::Object {
            return Err(unknown(parser.at(), "no exchange with an API"));
        }
        let whole = parser.clone().raw()?;
        let mut map = FieldMap::read(&mut parser, notes)?;
        parser.end()?;
        notes.count(&parser);
        let listed = map.take(&EXCHANGES, fields::list);
        if listed.is_none() {
            // The exchange itself, which is read from the whole.
            map.take(&["request"], fields::json);
            map.take(&["response"], fields::json);
        }
        let name = map.take(&["cassette", "name", "id"], RawJson::as_text);
        let mut found: Vec<Conversation<'static>> = Vec::new();
        let (mut last_response, mut beside) = (None, Vec::new());
        for (at, raw) in listed.clone().unwrap_or_else(|| vec![whole]).iter().enumerate() {
            let mark = notes.mark();
            let read = exchange(raw, &mut last_response, notes)?;
            if listed.is_some() {
                notes.under(mark, || format!("interactions[{at}]"));
            }
            match read {
                Some((conversation, true)) if !found.is_empty() => {
                    if let Some(before) = found.last_mut() {
                        beside.extend(RawJson::object(&conversation.metadata));
                        go_on(before, conversation);
                    }
                }
                Some((conversation, _)) => {
                    if found.last().is_some_and(|before| continues(&conversation, before)) {
                        let before = found.pop();
                        beside.extend(before.and_then(|before| RawJson::object(&before.metadata)));
                    }
                    found.push(conversation);
                }
                None => beside.push(raw.clone().into_owned()),
            }
        }
        if found.is_empty() {
            return Err(unknown(0, "none of the exchanges asks a model"));
        }
        if let Some(last) = found.last_mut()
            && !beside.is_empty()
        {
            last.metadata.put("exchanges".into(), RawJson::array(&beside));
        }
        if let Some(last) = found.last_mut() {
            for (key, raw) in map.rest() {
                last.metadata.put(key.into_owned(), raw.into_owned());
            }
        }
        let mut items = Items::default();
        let count = found.len();
        for (at, mut conversation) in found.into_iter().enumerate() {
            if let Some(name) = &name {
                let id = if count > 1 { format!("{name}#{}", at + 1) } else { name.clone() };
                conversation.id = id.into();
            }
            items.push(conversation);
        }
        Ok(items)
    }
}

fn unknown(at: usize, why: &str) -> ItemError {
    ItemError::new(Refusal::UnknownShape, at, why)
}

/// Reads an exchange, and whether it goes on from the response before it. None if it asks no model.
fn exchange(
    raw: &RawJson<'_>,
    last_response: &mut Option<String>,
    notes: &mut Notes,
) -> Result<Option<(Conversation<'static>, bool)>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else { return Ok(None) };
    let part = |raw: &RawJson<'_>| fields::map(&raw.clone().into_owned());
    let (Some(mut request), Some(mut response)) =
        (map.take(&["request"], part), map.take(&["response"], part))
    else {
        return Ok(None);
    };
    let address = request.take(&["uri", "url"], RawJson::as_text).unwrap_or_default();
    // Ruby's VCR stores the text of a body next to its encoding.
    let unpacked = |raw: RawJson<'static>| {
        fields::map(&raw).and_then(|mut map| map.take(&["string"], fields::json)).unwrap_or(raw)
    };
    let body = request.take(&["body"], |raw| {
        let raw = unpacked(raw.clone().into_owned());
        fields::json_within(&raw).or_else(|| fields::object(&raw))
    });
    let is_other = OTHER_CALLS.iter().any(|part| address.contains(part));
    let asks = |body: &RawJson<'_>| {
        fields::map(body).is_some_and(|map| map.has(&["messages", "contents", "input", "prompt"]))
    };
    let Some(body) = body.filter(|body| !is_other && asks(body)) else { return Ok(None) };
    let answer = response.take(&["body"], fields::json).unwrap_or(RawJson::null());
    let mut answer = unpacked(answer);
    let wrapped = fields::map(&answer)
        .and_then(|mut map| Some((map.take(&["__data__"], fields::object)?, map)));
    if let Some((data, mut map)) = wrapped {
        if let Some(class) = map.take(&["__type__"], fields::json) {
            response.add("__type__".into(), class.into_owned());
        }
        answer = data.into_owned();
    }
    let status = ["status", "status_code"]
        .iter()
        .find_map(|name| response.peek(name).and_then(fields::count));
    let is_told = fields::map(&answer).is_some_and(|map| map.has(&["error"]));
    if status.is_some_and(|status| status >= 400) && !is_told {
        // What came instead of an answer.
        answer = RawJson::owned(&format!("{{\"error\":{answer}}}"))?;
    }
    let says = |raw: &RawJson<'_>, name: &str| {
        fields::map(raw).and_then(|map| map.peek(name).and_then(RawJson::as_text))
    };
    let goes_on =
        says(&body, "previous_response_id").is_some_and(|id| last_response.as_ref() == Some(&id));
    *last_response = says(&answer, "id");
    let text = format!("{{\"request\":{body},\"response\":{answer}}}");
    let mark = notes.mark();
    let items = Requests.parse(&text, notes).map_err(|error| ItemError { at: 0, ..error })?;
    if goes_on {
        notes.place(mark, "request.previous_response_id");
    }
    let conversation = items.into_iter().find_map(|item| match item {
        Item::Conversation(conversation) => Some(conversation.into_owned()),
        Item::Run(_) | Item::Document(_) => None,
    });
    Ok(conversation.map(|mut conversation| {
        conversation.metadata.put("url".into(), RawJson::string(&address));
        for (name, rest) in [("http_request", request), ("http_response", response)] {
            if let Some(rest) = rest.rest_object() {
                conversation.metadata.put(name.into(), rest);
            }
        }
        (conversation, goes_on)
    }))
}

/// Whether a conversation begins with all that another says.
fn continues(next: &Conversation<'_>, before: &Conversation<'_>) -> bool {
    let is_same = |(one, other): (&Message<'_>, &Message<'_>)| {
        one.role == other.role
            && one.words().decoded().trim() == other.words().decoded().trim()
            && one.tool_calls.len() == other.tool_calls.len()
            && one
                .tool_calls
                .iter()
                .zip(&other.tool_calls)
                .all(|(one, other)| one.name == other.name && one.id == other.id)
    };
    let count = before.messages().count();
    next.messages().count() >= count && next.messages().zip(before.messages()).all(is_same)
}

/// Adds the rounds of a conversation that goes on from another.
fn go_on(before: &mut Conversation<'static>, next: Conversation<'static>) {
    let is_tree = before.current.is_some() || next.current.is_some();
    for mut round in next.rounds {
        round.number = u32::try_from(before.rounds.len() + 1).unwrap_or(u32::MAX);
        before.rounds.push(round);
    }
    if is_tree {
        before.current = None;
    }
}
