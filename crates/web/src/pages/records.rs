//! Records and messages as people read them.

use std::fmt;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use retort_json::RawJson;
use retort_model::bounds::PAGE_BYTES;
use retort_model::{Content, Label, Message, PartKind, Role};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::calls::{self, Call, Calls};
use super::display::count;
use super::judged::{Judge, rated, said_of};

/// Longest text of one message that a preview shows, in characters.
const TEXT: usize = 20_000;

/// Characters and lines of a text that are shown before it is folded.
const LEAD: usize = 600;
const LEAD_LINES: usize = 12;

/// Messages of a record that are shown; the file has the others.
const TURNS: usize = 60;

/// Records that are shown open.
const OPEN: usize = 3;

/// A record of a dataset.
pub(super) struct Record {
    /// What tells it from others.
    pub(super) title: String,
    /// Its messages, or else its columns, in the order of the file.
    pub(super) turns: Vec<Turn>,
    /// How many messages more it has.
    pub(super) more: usize,
    /// All of it.
    pub(super) json: String,
    pub(super) is_open: bool,
}

/// One line of a conversation, or one column.
#[derive(Clone, PartialEq)]
pub(super) struct Turn {
    /// The speaker, or the column's name.
    pub(super) who: String,
    /// What is said, or how it begins.
    pub(super) text: String,
    /// All of it, where it is long.
    pub(super) whole: Option<Folded>,
    /// Calls of tools: name and arguments.
    pub(super) calls: Vec<(String, String)>,
}

/// A long text.
#[derive(Clone, PartialEq)]
pub(super) struct Folded {
    /// How long it is.
    pub(super) size: String,
    pub(super) text: String,
}

impl Turn {
    fn new(who: String, text: &str, calls: Vec<(String, String)>) -> Self {
        let by_length = text.char_indices().nth(LEAD).map_or(text.len(), |(end, _)| end);
        let by_lines =
            text.match_indices('\n').nth(LEAD_LINES - 1).map_or(text.len(), |(end, _)| end);
        let lead = text.get(..by_length.min(by_lines)).unwrap_or(text);
        let whole = (lead.len() < text.len())
            .then(|| Folded { size: count(text.chars().count() as u64), text: cut(text) });
        let text = if whole.is_some() { format!("{lead} …") } else { lead.to_owned() };
        Self { who, text, whole, calls }
    }
}

/// The fields of a JSON object, in its own order.
pub(super) struct Columns<'r>(pub(super) Vec<(String, &'r RawValue)>);

impl<'de: 'r, 'r> Deserialize<'de> for Columns<'r> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(InOrder).map(Columns)
    }
}

/// The records of a preview, to be read.
pub(super) fn readable<'r>(records: impl IntoIterator<Item = &'r String>) -> Vec<Record> {
    let records = records.into_iter().enumerate();
    records.map(|(index, record)| Record { is_open: index < OPEN, ..one(record) }).collect()
}

/// The JSON text of a record, to be read.
fn one(record: &str) -> Record {
    let Columns(columns) = serde_json::from_str(record).unwrap_or(Columns(Vec::new()));
    let text = |key: &str| {
        let (_, value) = columns.iter().find(|(name, _)| name == key)?;
        serde_json::from_str::<String>(value.get()).ok().filter(|text| !text.is_empty())
    };
    let parts = [
        text("conversation_id")
            .or_else(|| text("request_id"))
            .or_else(|| text("convo_id"))
            .or_else(|| text("readable_filename"))
            .or_else(|| text("id")),
        text("data_source"),
        text("model"),
    ];
    let title = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let said: Vec<(&str, Vec<Value>)> = columns
        .iter()
        .filter_map(|(name, value)| Some((&**name, messages(name, value.get())?)))
        .collect();
    let mut turns: Vec<Turn> = Vec::new();
    let mut more = 0;
    if said.is_empty() {
        turns.extend(
            columns
                .iter()
                .map(|(name, value)| Turn::new(name.clone(), &plain_text(value.get()), Vec::new())),
        );
    }
    for (name, messages) in &said {
        more += messages.len().saturating_sub(TURNS);
        turns.extend(messages.iter().take(TURNS).map(|message| {
            let mut turn = turn(message);
            if said.len() > 1 {
                turn.who = format!("{name}: {}", turn.who);
            }
            turn
        }));
    }
    Record { title, turns, more, json: cut(&pretty(record)), is_open: false }
}

/// The messages of a column, if it holds messages. CSV holds them as their text.
fn messages(name: &str, json: &str) -> Option<Vec<Value>> {
    let value: Value = serde_json::from_str(json).ok()?;
    let value = match value {
        Value::String(text) if text.starts_with(['[', '{']) => serde_json::from_str(&text).ok()?,
        other => other,
    };
    let messages = match value {
        Value::Array(messages) => messages,
        Value::Object(mut fields) if name == "convo" => match fields.remove("messages") {
            Some(Value::Array(messages)) => messages,
            _ => return None,
        },
        _ => return None,
    };
    let has_role = |one: &Value| one.get("role").is_some_and(Value::is_string);
    (!messages.is_empty() && messages.iter().all(has_role)).then_some(messages)
}

fn turn(message: &Value) -> Turn {
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let calls = calls.into_iter().flatten().map(|call| {
        let function = call.get("function").unwrap_or(call);
        let part = |key: &str| function.get(key).map(plain).unwrap_or_default();
        (part("name"), cut(&part("arguments")))
    });
    let who = message.get("role").and_then(Value::as_str).unwrap_or("?").to_owned();
    Turn::new(who, &message.get("content").map(plain).unwrap_or_default(), calls.collect())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// A JSON value to be read: a text as it is, anything else with its lines set out.
fn plain_text(json: &str) -> String {
    match json {
        "null" => String::new(),
        json => serde_json::from_str(json).unwrap_or_else(|_| pretty(json)),
    }
}

/// JSON text with its lines set out; lists of nothing but numbers stay on one. Keys and numbers are as they were. What
/// no page shows is left out, as lines that are set in take many times as many bytes.
pub(super) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len().min(PRETTY_BYTES) * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth.min(INDENTS)));
    };
    let mut rest = json;
    while let Some(character) = rest.chars().next().filter(|_| out.len() < PRETTY_BYTES) {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = character == '\\' && !escaped;
        } else {
            match character {
                '[' | '{' => {
                    let end = after.find(['[', '{', '"', ']', '}']);
                    let flat =
                        end.and_then(|end| Some((after.get(..=end)?, after.get(end + 1..)?)));
                    if let Some((flat, behind)) =
                        flat.filter(|(flat, _)| flat.ends_with([']', '}']))
                    {
                        out.push(character);
                        out.push_str(flat);
                        rest = behind;
                        continue;
                    }
                    depth += 1;
                    out.push(character);
                    line(&mut out, depth);
                }
                ']' | '}' => {
                    depth = depth.saturating_sub(1);
                    line(&mut out, depth);
                    out.push(character);
                }
                ',' => {
                    out.push(',');
                    line(&mut out, depth);
                }
                ':' => out.push_str(": "),
                ' ' => {}
                other => {
                    in_string = other == '"';
                    out.push(other);
                }
            }
        }
        rest = after;
    }
    out
}

/// Bytes after which no more of a JSON text is set out: far more than is shown of it.
const PRETTY_BYTES: usize = 1 << 20;

/// Levels that are set in: deeper ones stand below one another.
const INDENTS: usize = 20;

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}… (cut here)", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A message of a conversation as a page shows it.
pub(super) struct Said {
    /// The speaker.
    pub(super) who: String,
    /// What is said, where it is shown as it was written.
    pub(super) text: String,
    /// What a model said, as safe HTML.
    pub(super) html: String,
    /// The model's reasoning.
    pub(super) reasoning: Option<String>,
    /// Calls of tools, with their results.
    pub(super) calls: Vec<Call<Said>>,
    /// Pictures that are in it, as `data:` addresses.
    pub(super) images: Vec<String>,
    /// What else is attached, in words.
    pub(super) attached: Vec<String>,
    /// Retrieved passages: what each is called, its text, and where its document is, if it is here.
    pub(super) contexts: Vec<(String, String, Option<String>)>,
    /// What the source's users thought of it; none if people judged it here.
    pub(super) feedback: Option<String>,
    /// Who said what of it here.
    pub(super) judged: Vec<(String, String)>,
    /// Who wrote it to correct an answer.
    pub(super) author: Option<String>,
    /// What the caller may say of it.
    pub(super) judge: Option<Judge>,
    /// Its position among the messages of its round that are on the page.
    pub(super) place: usize,
    /// Why it failed.
    pub(super) error: Option<String>,
    /// What the source says of its worth to training.
    pub(super) marks: Vec<&'static str>,
    /// The tool whose result it is.
    pub(super) result_of: Option<String>,
}

/// Characters of a result that is shown open.
const SHORT: usize = 600;

impl Said {
    /// Whether a result is shown open: failures and short ones are.
    pub(super) fn is_open(&self) -> bool {
        self.error.is_some() || self.text.chars().nth(SHORT).is_none()
    }
}

impl Call<Said> {
    /// Whether one of its results is an error.
    pub(super) fn is_failed(&self) -> bool {
        self.results.iter().any(|result| result.error.is_some())
    }
}

fn call_of(id: String, name: &str, arguments: &str) -> Call<Said> {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    let fields = serde_json::from_str(arguments).ok().map(|Columns(fields)| fields);
    let (line, is_whole) = calls::line(name, fields.as_deref());
    let arguments = (!is_whole).then(|| pretty(arguments));
    Call { id, line, arguments, results: Vec::new(), agent: None }
}

/// Where the document of a passage is, by the passage's JSON text.
pub(super) type Linked<'l> = dyn Fn(&str) -> Option<String> + 'l;

/// Room on a page, in bytes: a conversation of any size makes a page that browsers can show.
pub(super) struct Room(usize);

/// Bytes of HTML around a text.
const AROUND_BYTES: usize = 200;

/// Bytes that a character takes more when it is escaped in HTML (`&#34;`).
const ESCAPED_BYTES: usize = 4;

impl Room {
    /// All of a page's.
    pub(super) fn of_page() -> Self {
        Self(PAGE_BYTES)
    }

    pub(super) fn is_full(&self) -> bool {
        self.0 == 0
    }

    /// Takes room for a text, if any is left.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let is_there = !self.is_full();
        let escaped = text.bytes().filter(|byte| b"<>&\"'".contains(byte)).count();
        self.0 = self.0.saturating_sub(text.len() + escaped * ESCAPED_BYTES + AROUND_BYTES);
        is_there
    }
}

/// Messages as a page shows them, for as long as there is room. The result of a call is shown with the call.
pub(super) fn said<'m, 'a: 'm>(
    messages: impl IntoIterator<Item = &'m Message<'a>>,
    linked: &Linked<'_>,
    room: &mut Room,
) -> Vec<Said> {
    let mut calls = Calls::default();
    let mut all: Vec<Said> = Vec::new();
    for (place, message) in messages.into_iter().enumerate() {
        if room.is_full() {
            break;
        }
        if message.role != Role::Tool {
            let said = Said { place, ..one_said(message, None, linked, room) };
            calls.add(all.len(), &said.calls);
            all.push(said);
            continue;
        }
        let id = message.tool_call_id.as_ref().map(|id| id.decoded());
        let before = all.last().map(|last| (all.len() - 1, &*last.calls));
        let place = calls.place_of(id.as_deref(), before);
        let call = place.and_then(|(place, index)| all.get_mut(place)?.calls.get_mut(index));
        let name = message.name.as_ref().map(|name| name.decoded().into_owned());
        let said = one_said(message, Some(name.unwrap_or_default()), linked, room);
        match call {
            // The call above it has the tool's name.
            Some(call) => call.results.push(Said { result_of: Some(String::new()), ..said }),
            None => all.push(said),
        }
    }
    all
}

/// How many messages these are, with the results that are shown with their calls.
pub(super) fn shown_messages(said: &[Said]) -> usize {
    let results = said.iter().flat_map(|one| &one.calls).map(|call| call.results.len());
    said.len() + results.sum::<usize>()
}

fn one_said(
    message: &Message<'_>,
    result_of: Option<String>,
    linked: &Linked<'_>,
    room: &mut Room,
) -> Said {
    let text = cut(&message.words().decoded());
    let is_prose = message.role == Role::Assistant;
    let html = if is_prose { markdown(&text) } else { String::new() };
    room.take(if is_prose { &html } else { &text });
    let (mut images, mut attached) = (Vec::new(), Vec::new());
    if let Some(Content::Parts(parts)) = &message.content {
        for part in parts.iter().filter(|part| part.kind != PartKind::Text) {
            let raw = part.raw.as_ref().map(RawJson::as_str).unwrap_or_default();
            match picture(raw) {
                Some(picture) if part.kind == PartKind::Image && picture.len() < room.0 => {
                    room.take(&picture);
                    images.push(picture);
                }
                _ if room.take("") => attached.push(part.kind.to_string()),
                _ => break,
            }
        }
    }
    let judged = said_of(&message.judgements);
    for (_, words) in &judged {
        room.take(words);
    }
    let feedback = message.feedback.as_ref().filter(|_| judged.is_empty()).map(|given| {
        let rating =
            given.rating.as_ref().map(|rating| rating.as_str().trim_matches('"').to_owned());
        let words = [&given.label, &given.comment];
        let words = words.into_iter().flatten().map(|text| text.decoded().into_owned());
        rating.map(rated).into_iter().chain(words).collect::<Vec<_>>().join(" · ")
    });
    let label = message.label.map(|label| match label {
        Label::Preferred => "preferred",
        Label::Rejected => "rejected",
    });
    let train = message.train.map(|train| if train { "trained on" } else { "not trained on" });
    let reasoning = message.reasoning.as_ref().map(|text| cut(&text.decoded()));
    room.take(reasoning.as_deref().unwrap_or_default());
    let calls = message.tool_calls.iter().map_while(|call| {
        let (name, arguments) = (call.name.decoded(), cut(&call.arguments.decoded()));
        let id = call.id.decoded().into_owned();
        (room.take(&name) && room.take(&arguments)).then(|| call_of(id, &name, &arguments))
    });
    let calls = calls.collect();
    let contexts = message.contexts.iter().map(|raw| {
        let (name, text) = context(raw.as_str());
        (name, text, linked(raw.as_str()))
    });
    let contexts = contexts.take_while(|(name, text, _)| room.take(name) && room.take(text));
    let contexts = contexts.collect();
    Said {
        who: match message.role {
            Role::User => "user".into(),
            Role::Assistant => "assistant".into(),
            Role::System => "system".into(),
            Role::Tool => "tool".into(),
            Role::Other => message.role_word().into_owned(),
        },
        html,
        text: if is_prose { String::new() } else { text },
        reasoning,
        calls,
        images,
        attached,
        contexts,
        feedback,
        judged,
        author: message.corrected_by(),
        judge: None,
        place: 0,
        error: message.error.as_ref().map(|error| cut(&error.decoded())),
        marks: label.into_iter().chain(train).collect(),
        result_of,
    }
}

/// The address of a picture that is in a part; what points elsewhere is not fetched.
fn picture(raw: &str) -> Option<String> {
    fn find(value: &Value) -> Option<&str> {
        match value {
            Value::String(text) => {
                let known = ["png", "jpeg", "gif", "webp"];
                let kind = text.strip_prefix("data:image/")?;
                known.iter().any(|one| kind.starts_with(&format!("{one};base64,"))).then_some(text)
            }
            Value::Array(values) => values.iter().find_map(find),
            Value::Object(fields) => fields.values().find_map(find),
            _ => None,
        }
    }
    let value: Value = serde_json::from_str(raw).ok()?;
    find(&value).map(str::to_owned)
}

pub(super) fn context(raw: &str) -> (String, String) {
    let value: Value = serde_json::from_str(raw).unwrap_or(Value::Null);
    let text = |key: &str| {
        value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let name = text("readable_filename").or_else(|| text("title")).or_else(|| text("url"));
    let words = text("text").or_else(|| text("content")).unwrap_or_else(|| plain(&value));
    (name.unwrap_or_else(|| "passage".into()), cut(&words))
}

/// Markdown as HTML that can do no harm: markup in it stands as text, pictures are named, not fetched, and links go
/// to the web or to a mail program alone.
pub(super) fn markdown(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(text, options).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Image { .. }) => Event::Text(CowStr::Borrowed("[image not loaded: ")),
        Event::End(TagEnd::Image) => Event::Text(CowStr::Borrowed("]")),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let is_known = ["https://", "http://", "mailto:"]
                .iter()
                .any(|scheme| dest_url.to_ascii_lowercase().starts_with(scheme));
            let dest_url = if is_known { dest_url } else { CowStr::Borrowed("#") };
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        event => event,
    });
    let mut out = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut out, events);
    // The style of a page is in its style sheet: inline styles are not allowed. Text never holds these tags, as it
    // has no `<`.
    for cell in ["td", "th"] {
        for side in ["left", "center", "right"] {
            let inline = format!("<{cell} style=\"text-align: {side}\">");
            out = out.replace(&inline, &format!("<{cell} class=\"{side}\">"));
        }
    }
    // Code scrolls, so it must be reached by keyboard.
    out.replace("<pre>", "<pre tabindex=\"0\">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_as_one_would_write_it() {
        let call = |arguments: &str| call_of("1".into(), "f", arguments);
        for (arguments, line, is_whole) in [
            (r#"{"zone":"CET","city":"Oslo"}"#, r#"f(zone="CET", city="Oslo")"#, true),
            (r#"{"n":2.50,"deep":{"a":[1]}}"#, r#"f(n=2.50, deep={"a":[1]})"#, true),
            ("{}", "f()", true),
            ("", "f()", true),
            ("not JSON", "f(…)", false),
            ("[1]", "f(…)", false),
        ] {
            let call = call(arguments);
            assert_eq!((&*call.line, call.arguments.is_none()), (line, is_whole), "{arguments}");
        }
        let long = call(&format!(r#"{{"path":"a.rs","text":"{}"}}"#, "x".repeat(500)));
        assert_eq!(long.line, format!(r#"f(path="a.rs", text="{}…)"#, "x".repeat(39)));
        assert!(long.arguments.is_some_and(|all| all.contains(&"x".repeat(500))));
        let many: Vec<String> = (0..200).map(|n| format!("\"k{n}\":{n}")).collect();
        let line = call(&format!("{{{}}}", many.join(","))).line;
        assert!(line.ends_with(", …)") && line.chars().count() < 240, "{line}");
    }

    #[test]
    fn markup_in_a_message_stands_as_text() {
        for hostile in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "![x](https://evil.example/p.png)",
            "<https://a\" onmouseover=alert(1)>",
            "`<b>`",
            "a\n<div onclick=x>\n\nb",
            "[x](data:text/html;base64,aGk=)",
            "[a]: javascript:x\n\n[a]",
        ] {
            let html = markdown(hostile).to_lowercase();
            assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
            assert!(!html.contains("javascript:") || !html.contains("href=\"java"), "{html}");
            // In text a quotation mark ends nothing.
            assert!(!html.contains("<div") && !html.contains("<a href=\"https://a\" "), "{html}");
            assert!(!html.contains("href=\"data:"), "{html}");
        }
        assert!(markdown("**a**").contains("<strong>a</strong>"));
        assert!(markdown("[x](https://example.org)").contains("href=\"https://example.org\""));
    }

    #[test]
    fn json_is_set_out_and_says_the_same() {
        let json = r#"{"a": "x, [{\"q\"}]", "b": [1, 2.50,-3],"c": {"d":[{"e":[]},null]},"f":{}}"#;
        let shown = pretty(json);
        assert_eq!(
            shown,
            "{\n  \"a\": \"x, [{\\\"q\\\"}]\",\n  \"b\": [1, 2.50,-3],\n  \"c\": {\n    \"d\": [\n      {\n        \
             \"e\": []\n      },\n      null\n    ]\n  },\n  \"f\": {}\n}"
        );
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&shown), read(json));
        let deep = format!("{}{}", "[".repeat(30), "\"\",".repeat(1_000_000));
        assert!(pretty(&deep).len() < PRETTY_BYTES + 100);
    }

    #[test]
    fn a_record_is_read_as_its_messages_or_else_its_columns() {
        let record = one(
            r#"{"conversation_id":"c","messages":[{"role":"user","content":"hi"},{"role":"function_call","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
        );
        assert_eq!(record.title, "c");
        assert_eq!(record.turns.len(), 2);
        assert_eq!(record.turns[1].calls, [("f".to_owned(), "{}".to_owned())]);
        let csv = one(r#"{"messages":"[{\"role\":\"user\",\"content\":\"hi\"}]"}"#);
        assert_eq!(csv.turns[0].text, "hi");
        let pair = one(
            r#"{"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}"#,
        );
        let who: Vec<_> = pair.turns.iter().map(|turn| &*turn.who).collect();
        assert_eq!(who, ["prompt: user", "completion: assistant"]);
    }

    #[test]
    fn a_preview_is_in_the_order_of_the_file_and_folds_what_is_long() {
        let numbers = vec!["0.123456789"; 1_536].join(",");
        let text = "line\\n".repeat(400);
        let record = one(&format!(
            "{{\"readable_filename\":\"b\",\"zeta\":1,\"alpha\":null,\"embedding\":[{numbers}],\"text\":\"{text}\"}}"
        ));
        let names: Vec<_> = record.turns.iter().map(|turn| &*turn.who).collect();
        assert_eq!(names, ["readable_filename", "zeta", "alpha", "embedding", "text"]);
        let embedding = &record.turns[3];
        assert!(embedding.text.chars().count() < 610 && !embedding.text.contains('\n'));
        assert_eq!(embedding.whole.as_ref().unwrap().size, "18,433");
        assert_eq!(record.turns[4].text.lines().count(), 12);
        assert!(record.turns[1].whole.is_none());
        assert!(record.json.starts_with("{\n  \"readable_filename\": \"b\",\n  \"zeta\": 1,"));

        let messages = vec![r#"{"role":"user","content":"x"}"#; 600].join(",");
        let long = one(&format!("{{\"messages\":[{messages}]}}"));
        assert_eq!((long.turns.len(), long.more), (60, 540));
    }

    #[test]
    fn cells_of_tables_keep_their_side_without_inline_styles() {
        let html = markdown("|a|b|\n|:-|-:|\n|1|`<td style=\"text-align: right\">`|");
        assert!(
            html.contains("<td class=\"right\">") && html.contains("<th class=\"left\">"),
            "{html}"
        );
        assert!(!html.contains("<td style"), "{html}");
        assert!(markdown("```\n<pre>\n```").starts_with("<pre tabindex=\"0\"><code>&lt;pre&gt;"));
        assert!(html.contains("&lt;td style=\"text-align: right\"&gt;"), "{html}");
    }
}
