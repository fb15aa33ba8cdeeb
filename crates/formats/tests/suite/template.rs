//! Chat templates: every rendering is what `transformers` makes of the same template and conversation.

use std::fs;

use retort_formats::template::{Chat, Rendered, Template, TemplateError};
use retort_json::Value;
use retort_model::Time;
use retort_testing::real_data;

/// When recorded templates were rendered.
const CLOCK: &str = "2026-01-02T03:04:05";

fn render(
    source: &str,
    tokens: &[(String, String)],
    chat: &Chat<'_>,
) -> Result<Rendered, TemplateError> {
    Template::new(source, tokens, Time::parse(CLOCK).expect("a time"))?.render(chat)
}

fn special_tokens(tokens: &Value) -> Vec<(String, String)> {
    let Value::Object(tokens) = tokens else { panic!("special tokens are an object") };
    let text = |token: &Value| token.as_str().expect("a token").to_owned();
    tokens.iter().map(|(name, token)| (name.to_string(), text(token))).collect()
}

/// What differs between a rendering and what was recorded, if anything does: the text, the spans in characters, or
/// whether it fails.
fn difference(
    recorded: &Value,
    spans: &str,
    result: Result<Rendered, TemplateError>,
) -> Option<String> {
    let text = recorded.get("text").and_then(Value::as_str);
    let rendered = match result {
        Ok(rendered) => rendered,
        Err(error) => return text.map(|text| format!("{text:?}\n   {error}")),
    };
    let chars = |end| rendered.text.get(..end).expect("a boundary").chars().count();
    let learnt = rendered.learnt.iter().flatten();
    let learnt: Vec<String> =
        learnt.map(|span| format!("[{},{}]", chars(span.start), chars(span.end))).collect();
    let learnt = format!("[{}]", learnt.join(","));
    let expected = recorded.get(spans).map_or("[]".to_owned(), Value::to_json);
    let is_equal = text == Some(rendered.text.as_str()) && learnt == expected;
    (!is_equal).then(|| format!("{text:?} {expected}\n   {:?} {learnt}", rendered.text))
}

/// Our own templates, one or a few for each rule of Jinja2 and Python (`data/templates.jsonl`).
/// `tests/consumers/templates.py` wrote what `transformers` makes of each.
#[test]
fn templates_render_as_transformers_renders_them() {
    let mut lines = include_str!("../data/templates.jsonl").lines();
    let shared = Value::parse(lines.next().expect("a first line")).expect("JSON");
    let field = |name| shared.get(name).expect("a field");
    let (messages, tools) = (field("messages").to_json(), field("tools").to_json());
    let tokens = special_tokens(field("special_tokens"));
    let chat = Chat { messages: &messages, tools: Some(&tools), add_generation_prompt: false };
    let wrong: Vec<String> = lines
        .filter_map(|line| {
            let case = Value::parse(line).expect("JSON");
            let source = case.get("template").and_then(Value::as_str).expect("a template");
            let difference = difference(&case, "spans", render(source, &tokens, &chat))?;
            Some(format!("{source}\n   {difference}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_error_names_the_line_of_the_users_file() {
    let chat = Chat { messages: "[]", tools: None, add_generation_prompt: false };
    for (source, expect) in [
        (
            "a\r\n{% raw %}\n\n{% endraw %}\n{{ raise_exception('roles must alternate') }}",
            "line 5 of the template: roles must alternate",
        ),
        (
            "{# #}\n{% if x %}",
            "line 2 of the template: unexpected end of input, expected end of block",
        ),
        ("{{ nothing.at.all }}", "line 1 of the template: undefined value"),
    ] {
        assert_eq!(render(source, &[], &chat).expect_err(source).to_string(), expect);
    }
}

/// The recorded renderings of templates that others wrote (`RETORT_REAL_DATA`), byte for byte.
#[test]
fn recorded_renderings_of_real_templates_come_out_to_the_byte() {
    let Some(folder) = real_data() else { return };
    let folder = folder.join("chat-templates");
    let cases = fs::read_to_string(folder.join("cases.json")).expect("cases");
    let cases = Value::parse(&cases).expect("JSON");
    let recorded = fs::read_to_string(folder.join("rendered.jsonl")).expect("renderings");
    let tokens =
        r#"{"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","pad_token":"<pad>"}"#;
    let tokens = special_tokens(&Value::parse(tokens).expect("JSON"));
    let mut wrong = Vec::new();
    for line in recorded.lines() {
        let line = Value::parse(line).expect("JSON");
        let field = |name| line.get(name).and_then(Value::as_str);
        let name = field("template").expect("a template");
        let source = fs::read_to_string(folder.join(name)).expect("a template");
        let case = cases.get(field("case").expect("a case")).expect("a case");
        let messages = case.get("messages").expect("messages").to_json();
        let tools = case.get("tools").map(Value::to_json);
        let chat = Chat {
            messages: &messages,
            tools: tools.as_deref(),
            add_generation_prompt: case.get("add_generation_prompt") == Some(&Value::Bool(true)),
        };
        let result = render(&source, &tokens, &chat);
        if let Some(difference) = difference(&line, "generation", result) {
            wrong.push(format!("{name} {:?}\n   {difference}", field("case")));
        }
    }
    let count = recorded.lines().count();
    assert!(count > 900, "only {count} renderings");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
