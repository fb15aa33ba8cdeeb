//! Records and messages as people read them.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use retort_model::{Content, Message, PartKind, RawJson, Role};
use serde_json::Value;

/// Longest text of one message that a preview shows, in characters.
const TEXT: usize = 20_000;

/// A record of a dataset.
pub(super) struct Record {
    /// What tells it from others.
    pub(super) title: String,
    /// Its messages, or else its columns.
    pub(super) turns: Vec<Turn>,
    /// All of it.
    pub(super) json: String,
}

/// One line of a conversation, or one column.
pub(super) struct Turn {
    /// Who speaks, or the column's name.
    pub(super) who: String,
    /// What is said.
    pub(super) text: String,
    /// Calls of tools: name and arguments.
    pub(super) calls: Vec<(String, String)>,
}

/// The JSON text of a record, to be read.
pub(super) fn readable(record: &str) -> Record {
    let value: Value = serde_json::from_str(record).unwrap_or_else(|_| Value::from(record));
    let json = serde_json::to_string_pretty(&value).unwrap_or_default();
    let text = |key: &str| {
        value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let parts = [
        text("conversation_id")
            .or_else(|| text("request_id"))
            .or_else(|| text("convo_id"))
            .or_else(|| text("id")),
        text("data_source"),
        text("model"),
    ];
    let title = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    // CSV holds nested values as their text.
    let nested = |value: &Value| match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        other => other.clone(),
    };
    let messages = value
        .get("messages")
        .map(nested)
        .or_else(|| value.get("convo").map(nested)?.get("messages").cloned());
    let turns = match (messages, &value) {
        (Some(Value::Array(messages)), _) => messages.iter().map(turn).collect(),
        (_, Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| Turn {
                who: name.clone(),
                text: cut(&plain(value)),
                calls: Vec::new(),
            })
            .collect(),
        _ => Vec::new(),
    };
    Record { title, turns, json: cut(&json) }
}

fn turn(message: &Value) -> Turn {
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let calls = calls.into_iter().flatten().map(|call| {
        let function = call.get("function").unwrap_or(call);
        let part = |key: &str| function.get(key).map(plain).unwrap_or_default();
        (part("name"), cut(&part("arguments")))
    });
    Turn {
        who: message.get("role").and_then(Value::as_str).unwrap_or("?").to_owned(),
        text: cut(&message.get("content").map(plain).unwrap_or_default()),
        calls: calls.collect(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// JSON text with its lines set out; lists of nothing but numbers stay on one. Keys and numbers are as they were.
pub(super) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth.min(INDENTS)));
    };
    let mut rest = json;
    while let Some(character) = rest.chars().next() {
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
    /// Who speaks.
    pub(super) who: String,
    /// What is said, as safe HTML.
    pub(super) html: String,
    /// The model's reasoning.
    pub(super) reasoning: Option<String>,
    /// Calls of tools: name and arguments.
    pub(super) calls: Vec<(String, String)>,
    /// Pictures that lie in it, as `data:` addresses.
    pub(super) images: Vec<String>,
    /// What else is attached, in words.
    pub(super) attached: Vec<String>,
    /// Retrieved passages: what each is called, its text, and where its document is, if it is here.
    pub(super) contexts: Vec<(String, String, Option<String>)>,
    /// What a person thought of it.
    pub(super) feedback: Option<String>,
    /// Whether it is a tool's result, which is folded.
    pub(super) is_result: bool,
}

/// Where the document of a passage is, by the passage's JSON text.
pub(super) type Linked<'l> = dyn Fn(&str) -> Option<String> + 'l;

/// A message as a page shows it.
pub(super) fn said(message: &Message<'_>, linked: &Linked<'_>) -> Said {
    let text = message.words().decoded().into_owned();
    let (mut images, mut attached) = (Vec::new(), Vec::new());
    if let Some(Content::Parts(parts)) = &message.content {
        for part in parts.iter().filter(|part| part.kind != PartKind::Text) {
            let raw = part.raw.as_ref().map(RawJson::as_str).unwrap_or_default();
            match picture(raw) {
                Some(picture) if part.kind == PartKind::Image => images.push(picture),
                _ => attached.push(part.kind.to_string()),
            }
        }
    }
    let feedback = message.feedback.as_ref().map(|given| {
        let rating =
            given.rating.as_ref().map(|rating| rating.as_str().trim_matches('"').to_owned());
        let words = [&given.label, &given.comment];
        let words = words.into_iter().flatten().map(|text| text.decoded().into_owned());
        rating.into_iter().chain(words).collect::<Vec<_>>().join(" · ")
    });
    Said {
        who: match message.role {
            Role::User => "person".into(),
            Role::Assistant => "model".into(),
            Role::System => "system".into(),
            Role::Tool => "tool".into(),
            Role::Other => message.role_word().into_owned(),
        },
        html: markdown(&cut(&text)),
        reasoning: message.reasoning.as_ref().map(|text| cut(&text.decoded())),
        calls: message
            .tool_calls
            .iter()
            .map(|call| (call.name.decoded().into_owned(), cut(&call.arguments.decoded())))
            .collect(),
        images,
        attached,
        contexts: message
            .contexts
            .iter()
            .map(|raw| {
                let (name, text) = context(raw.as_str());
                (name, text, linked(raw.as_str()))
            })
            .collect(),
        feedback,
        is_result: message.role == Role::Tool,
    }
}

/// The address of a picture that lies in a part; what points elsewhere is not fetched.
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
        Event::Start(Tag::Image { .. }) => Event::Text(CowStr::Borrowed("[picture: ")),
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
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn a_record_is_read_as_its_messages_or_else_its_columns() {
        let record = readable(
            r#"{"conversation_id":"c","messages":[{"role":"user","content":"hi"},{"role":"function_call","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
        );
        assert_eq!(record.title, "c");
        assert_eq!(record.turns.len(), 2);
        assert_eq!(record.turns[1].calls, [("f".to_owned(), "{}".to_owned())]);
        let csv = readable(r#"{"messages":"[{\"role\":\"user\",\"content\":\"hi\"}]"}"#);
        assert_eq!(csv.turns[0].text, "hi");
        assert_eq!(readable(r#"{"input":1,"output":"x"}"#).turns[1].who, "output");
    }
}
