//! Logs of requests to model APIs that keep what was asked and what was answered apart: bodies side by side
//! (`request_body` and `response_body`, as Helicone and other proxies write them, objects or JSON text), batches with
//! their `body`, OpenAI's preference rows with `input`, the Responses API's `input` and `output`, Google's `contents`.
//! Put together they are what [`openai`](super::openai) reads.

use retort_json::{Kind, Parser, RawJson};
use retort_model::Fields;

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct Requests;

/// Where a log keeps a request as a whole.
const BODY: [&str; 6] = ["request_body", "requestBody", "request", "body", "input", "kwargs"];

/// Where a request has what was asked.
const ASKED: [&str; 4] = ["messages", "contents", "input", "prompt"];

/// Where a log has what was answered.
const ANSWERED: [&str; 5] = ["response_body", "responseBody", "response", "output", "candidates"];

impl ImportFormat for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn about(&self) -> &'static str {
        "logs of requests to model APIs: request and response bodies, `input` and `output`, `contents`"
    }

    fn notes(&self) -> &'static str {
        "`request_body` and `response_body` (Helicone), batches with `body`, `input` and `output`, Google's \
         `contents`; bodies may be JSON text."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let asks =
            |within: &str| ["messages", "contents"].iter().any(|key| sniff.holds(&[within, key]));
        let is_item = |key: &str| ["role", "type"].iter().any(|one| sniff.holds(&[key, one]));
        BODY.iter().any(|body| asks(body))
            || sniff.holds(&["contents", "parts"])
            || (sniff.has("input")
                && is_item("output")
                && (sniff.has("object") || is_item("input")))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        if parser.kind()? != Kind::Object {
            return Err(unknown(parser.at()));
        }
        let mut map = FieldMap::read(&mut parser, notes)?;
        parser.end()?;
        notes.count(&parser);
        let body = BODY.iter().find_map(|name| Some((*name, take_body(&mut map, name)?)));
        let (within, mut request) = match body {
            Some((name, request)) => (format!("{name}."), request),
            None => (String::new(), FieldMap::default()),
        };
        let asked = |map: &mut FieldMap<'a>| {
            ASKED.iter().find_map(|name| Some((*name, map.take(&[name], fields::json)?)))
        };
        let Some((name, asked)) = asked(&mut request).or_else(|| asked(&mut map)) else {
            return Err(unknown(0));
        };
        let answered =
            ANSWERED.iter().find_map(|name| Some((*name, map.take(&[name], fields::json)?)));
        if !map.has(&["id", "_id", "conversation_id"])
            && let Some(id) = map.take_id(&["request_id", "custom_id"])
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
        let mut fields: Fields<'_> = map.rest();
        for (key, raw) in request.rest() {
            // Where both say something by one name, what the log says is the log's.
            let is_taken = fields.iter().any(|(one, _)| *one == key);
            let key = if is_taken { format!("request.{}", key.decoded()).into() } else { key };
            fields.put(key, raw);
        }
        fields.put("messages".into(), asked);
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

fn unknown(at: usize) -> ItemError {
    let why = "no `messages`, `contents` or `input` in the item or in the body of a request";
    ItemError::new(Refusal::UnknownShape, at, why)
}

/// The body of a request, if there is one under that name: an object that asks something, or the JSON text of it.
fn take_body<'a>(map: &mut FieldMap<'a>, name: &str) -> Option<FieldMap<'a>> {
    let read = |raw: &RawJson<'a>| {
        let inner = fields::json_within(raw);
        let body = FieldMap::of(inner.as_ref().unwrap_or(raw), &mut Notes::default())?;
        body.has(&ASKED).then_some(body)
    };
    map.take(&[name], read)
}
