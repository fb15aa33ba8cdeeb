//! Logs of requests to model APIs that keep what was asked and what was answered apart: bodies side by side
//! (`request_body` and `response_body`, as Helicone and other proxies write them, objects or JSON text), batches with
//! their `body` (the lines of a batch and of its results are joined by their `custom_id`), responses alone, OpenAI's preference rows with `input`, the Responses API's `input` and `output`, Google's `contents`.
//! Put together they are what [`openai`](super::openai) reads.

use retort_json::{Kind, Parser, RawJson};
use retort_model::Fields;

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::openai;
use super::ranked::Ranked;
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, says};

/// The format.
pub(super) struct Requests;

/// Where a log keeps a request as a whole.
const BODY: [&str; 7] =
    ["request_body", "requestBody", "request", "body", "params", "input", "kwargs"];

/// Where a request has what was asked.
const ASKED: [&str; 4] = ["messages", "contents", "input", "prompt"];

/// Where a log has what was answered.
const ANSWERED: [&str; 6] =
    ["response_body", "responseBody", "response", "result", "output", "candidates"];

/// Under what Bedrock's log of invocations has the bodies in its `input` and `output`.
const LOGGED: [&str; 2] = ["inputBodyJson", "outputBodyJson"];

impl ImportFormat for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn about(&self) -> &'static str {
        "logs of requests to model APIs: request and response bodies, `input` and `output`, `contents`"
    }

    fn notes(&self) -> &'static str {
        "`request_body` and `response_body` (Helicone), Bedrock's log of model invocations, batches with `body` or \
         `params`, `input` and `output`, Google's `contents`, Cohere's `message` with its `chat_history`; bodies may be JSON text, and responses server-sent \
         events or a list of the pieces of a stream. The lines of a batch and those of its results are joined by their \
         `custom_id`, in any order. A response alone (a stored completion, a line of results without its batch) is an \
         answer without a question. An answer whose beginning the request gave (prefill) is one answer with it. A \
         request that continues what is stored elsewhere (`previous_response_id`, `conversation`, `cachedContent`) \
         is not understood, because the log does not have what it continues."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let asks =
            |within: &str| ["messages", "contents"].iter().any(|key| sniff.holds(&[within, key]));
        let is_item = |key: &str| ["role", "type"].iter().any(|one| sniff.holds(&[key, one]));
        let is_request = BODY.iter().any(|body| asks(body))
            || (["request_body", "requestBody", "body", "params"]
                .iter()
                .any(|body| sniff.holds(&[body, "input"])))
            || (sniff.has("response") && sniff.holds(&["request", "input"]))
            || (ANSWERED.iter().any(|name| sniff.has(name))
                && BODY.iter().any(|body| sniff.text(&[body, "prompt"]).is_some()))
            || (sniff.holds(&["contents", "parts"]) && !Ranked.recognises(sniff))
            || sniff.holds(&["input", LOGGED[0], "messages"])
            || (sniff.has("input")
                && is_item("output")
                && (sniff.has("object") || is_item("input")))
            || is_result(sniff)
            || (ANSWERED.iter().any(|name| sniff.holds(&[name, "generation_id"]))
                && BODY.iter().any(|body| sniff.text(&[body, "message"]).is_some()))
            || (!["messages", "prompt", "instruction", "question"]
                .iter()
                .any(|key| sniff.has(key))
                && is_response(sniff));
        // Attributes of spans may be beside bodies.
        is_request && !sniff.keys().iter().any(|key| key.contains('.'))
    }

    fn spread(&self) -> Spread {
        Spread::Halves
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        let asks = ["body", "params"].iter().any(|name| {
            sniff.has(name) && (sniff.holds(&[name, "messages"]) || sniff.holds(&[name, "input"]))
        });
        if let Some(key) = sniff.word("custom_id")
            && (asks || is_result(&sniff))
        {
            into.push(Fragment { key, order: u64::from(!asks), text: text.into() });
        }
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut map = match parser.kind()? {
            Kind::Object => FieldMap::read(&mut parser, notes)?,
            // A line of a batch and that of its result.
            Kind::Array => {
                let mut whole = FieldMap::default();
                parser.array()?;
                while parser.next_element()? {
                    for (key, raw) in FieldMap::read(&mut parser, notes)?.rest() {
                        if !whole.has(&[&key.decoded()]) {
                            whole.add(key, raw);
                        }
                    }
                }
                whole
            }
            _ => return Err(unknown(parser.at())),
        };
        parser.end()?;
        notes.count(&parser);
        let body = BODY.iter().find_map(|name| Some((*name, take_body(&mut map, name)?)));
        let has_body = body.is_some();
        let (within, mut request) = match body {
            Some((name, request)) => (format!("{name}."), request),
            None => (String::new(), FieldMap::default()),
        };
        let asked = |map: &mut FieldMap<'a>| {
            ASKED.iter().find_map(|name| Some((*name, map.take(&[name], fields::json)?)))
        };
        let asked = asked(&mut request).or_else(|| asked(&mut map));
        let whole = RawJson::object(map.fields()).unwrap_or(RawJson::null());
        let sniff = Sniff::of(whole.as_str());
        let answered = if asked.is_none() && is_converse(&sniff) {
            // The object is a response as a whole.
            map = FieldMap::default();
            Some(("response", whole))
        } else {
            let answered =
                ANSWERED.iter().find_map(|name| Some((*name, map.take(&[name], fields::json)?)));
            answered.map(|(name, raw)| {
                match fields::map(&raw).and_then(|mut map| map.take(&LOGGED, fields::json)) {
                    Some(logged) => ("response", logged),
                    None => (name, raw),
                }
            })
        };
        let answered = answered.or_else(|| {
            // What came instead of an answer in the results of a batch.
            let error = map.peek("error").filter(|raw| says(raw, Least::Word))?;
            let failed = RawJson::owned(&format!("{{\"error\":{error}}}")).ok()?;
            has_body.then_some(("error", failed))
        });
        let Some((name, asked)) = asked.or_else(|| {
            let is_answer = answered.is_some() || map.has(&["choices"]);
            is_answer.then(|| ("messages", RawJson::array(&[])))
        }) else {
            return Err(unknown(0));
        };
        if !map.has(&["model"])
            && let Some(model) = map.take(&["modelId"], fields::json)
        {
            map.put("model", model);
        }
        if !map.has(&["id", "_id", "conversation_id"])
            && let Some(id) = map.take_id(&["request_id", "custom_id", "requestId"])
        {
            map.put("id", RawJson::string(&id.decoded()));
        }
        let answer = match &answered {
            // A list of candidates or of items is a part of a response.
            Some((name @ ("candidates" | "output"), raw))
                if fields::kind(raw) == Some(Kind::Array) =>
            {
                let mut whole = format!("{{\"{name}\":{raw}");
                // How it ended is said beside the items.
                for name in ["status", "incomplete_details"] {
                    if let Some(raw) = map.peek(name) {
                        whole.push_str(&format!(",\"{name}\":{raw}"));
                    }
                }
                whole.push('}');
                RawJson::owned(&whole).ok()
            }
            Some((_, raw)) => Some(raw.clone()),
            None => None,
        };
        let mark = notes.mark();
        for (within, said) in [("", &map), (&*within, &request)] {
            told_elsewhere(said, within, notes);
        }
        if notes.mark() == mark
            && let (Some(said), Some((name, _))) =
                (answer.as_ref().and_then(fields::map_within), &answered)
        {
            told_elsewhere(&said, &format!("{name}."), notes);
        }
        let (asked, mut listed) = without_lists_of_tools(asked);
        let answer = answer.map(|raw| {
            let Some(mut said) = fields::map(&raw) else { return raw };
            let Some(items) = said.take(&["output"], fields::json) else { return raw };
            let (items, more) = without_lists_of_tools(items);
            if more.is_empty() {
                return raw;
            }
            listed.extend(more);
            said.put("output", items);
            said.rest_object().unwrap_or(raw)
        });
        let mut fields: Fields<'_> = map.rest();
        for (key, raw) in request.rest() {
            // Where both say something by one name, what the log says is the log's.
            let is_taken = fields.iter().any(|(one, _)| *one == key);
            let key = if is_taken { format!("request.{}", key.decoded()).into() } else { key };
            fields.put(key, raw);
        }
        fields.put("messages".into(), asked);
        if !listed.is_empty() {
            offer(&mut fields, &listed);
        }
        fields.extend(answer.map(|raw| ("response".into(), raw)));
        let text = RawJson::object(&fields).unwrap_or(RawJson::null()).into_cow();
        let mark = notes.mark();
        let mut parser = Parser::new(&text);
        let conversation = openai::object(&mut parser, &["messages"], &[], notes)?;
        notes.rename(mark, "messages", &format!("{within}{name}"));
        notes.rename(mark, "response", answered.map_or("response", |(name, _)| name));
        Ok(conversation.into_owned().into())
    }
}

/// Notes what a request continues and the log does not have: an earlier response, a stored conversation, a cached context.
fn told_elsewhere(said: &FieldMap<'_>, within: &str, notes: &mut Notes) {
    let has_id = |raw: &RawJson<'_>| raw.as_text().is_some_and(|text| !text.trim().is_empty());
    for name in ["previous_response_id", "cachedContent", "cached_content", "conversation"] {
        let Some(raw) = said.peek(name) else { continue };
        let is_elsewhere = match name {
            "conversation" => {
                let id = fields::map(raw).and_then(|mut map| map.take(&["id"], RawJson::text));
                let id = id.or_else(|| raw.text());
                id.is_some_and(|id| id.decoded().starts_with("conv_"))
            }
            _ => has_id(raw),
        };
        if is_elsewhere {
            notes.unplaced(format!("{within}{name}"), raw);
        }
    }
}

const LISTED: &str = "mcp_list_tools";

/// A list of items without those that say which tools an MCP server has, and these.
fn without_lists_of_tools<'a>(items: RawJson<'a>) -> (RawJson<'a>, Vec<RawJson<'a>>) {
    if !items.as_str().contains(LISTED) {
        return (items, Vec::new());
    }
    let is_one = |item: &RawJson<'_>| {
        fields::map(item).is_some_and(|map| {
            map.peek("type").and_then(RawJson::text).is_some_and(|kind| kind == *LISTED)
        })
    };
    let Some(all) = fields::list(&items) else { return (items, Vec::new()) };
    let (listed, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_one);
    (RawJson::array(&others), listed)
}

/// Adds the tools of MCP servers to those that a request offers. The items themselves stay with the request.
fn offer<'a>(request: &mut Fields<'a>, listed: &[RawJson<'a>]) {
    let own = request.take("tools").filter(|raw| !raw.is_null());
    let own = own.map(|raw| fields::list_within(&raw).unwrap_or_else(|| vec![raw]));
    let mut tools: Vec<_> = own.unwrap_or_default().into_iter().map(RawJson::into_owned).collect();
    for item in listed {
        let of_server = fields::map(item).and_then(|mut map| map.take(&["tools"], fields::list));
        for tool in of_server.unwrap_or_default() {
            let tool = tool.into_owned();
            if !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        fields::keep_in_list(request, LISTED, item);
    }
    request.put("tools".into(), RawJson::array(&tools));
}

/// Whether it is a line of the results of a batch.
fn is_result(sniff: &Sniff<'_>) -> bool {
    sniff.has("custom_id")
        && (sniff.holds(&["response", "body"])
            || sniff.holds(&["result", "type"])
            || (sniff.has("error") && sniff.has("response")))
}

/// Whether it is a response alone.
fn is_response(sniff: &Sniff<'_>) -> bool {
    sniff.holds(&["choices", "message"])
        || sniff.holds(&["candidates", "content"])
        || is_converse(sniff)
}

/// Whether it is a response of Bedrock's Converse.
fn is_converse(sniff: &Sniff<'_>) -> bool {
    sniff.holds(&["output", "message"]) && sniff.has("stopReason")
}

fn unknown(at: usize) -> ItemError {
    let why = "no `messages`, `contents` or `input` in the item or in the body of a request";
    ItemError::new(Refusal::UnknownShape, at, why)
}

/// The messages of a request to the first version of Cohere's API: a `preamble`, the `chat_history`, and the `message`.
fn of_cohere(body: &mut FieldMap<'_>) -> Option<RawJson<'static>> {
    let asked = body.take(&["message"], |raw| fields::is_text(raw).then(|| raw.clone()))?;
    let say =
        |role: &str, text| fields::object_of([("role", RawJson::string(role)), ("content", text)]);
    let preamble = body.take(&["preamble", "preamble_override"], fields::json);
    let mut messages: Vec<_> = preamble.map(|text| say("system", text)).into_iter().collect();
    for mut said in body.take(&["chat_history"], fields::maps).unwrap_or_default() {
        if let Some(text) = said.take(&["message"], fields::json) {
            said.put("content", text);
        }
        messages.extend(said.rest_object());
    }
    messages.push(say("user", asked));
    Some(RawJson::array(&messages))
}

/// The body of a request, if there is one under that name: an object that asks something, or the JSON text of it.
fn take_body<'a>(map: &mut FieldMap<'a>, name: &str) -> Option<FieldMap<'a>> {
    let read = |raw: &RawJson<'a>| {
        let mut body = fields::map_within(raw)?;
        if let Some(logged) = body.take(&LOGGED, fields::map_within) {
            body = logged;
        }
        if !body.has(&ASKED)
            && let Some(messages) = of_cohere(&mut body)
        {
            body.put("messages", messages);
        }
        body.has(&ASKED).then_some(body)
    };
    map.take(&[name], read)
}
