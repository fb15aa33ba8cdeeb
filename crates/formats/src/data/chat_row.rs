//! A row of training data as a chat, for templates: which messages a model sees, and which of them it learns.

use std::ops::Range;

use retort_json::Value;

use super::joined::results_in;

/// A row as a chat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRow {
    /// The messages, in order.
    pub messages: Vec<ChatMessage>,
    /// The definitions of tools, as a JSON array.
    pub tools: Option<String>,
}

/// One message of a [`ChatRow`].
#[derive(Clone, Debug, PartialEq)]
pub struct ChatMessage {
    /// The message as templates read it: JSON, with the arguments of calls as objects.
    pub json: String,
    /// Whether a trainer learns it.
    pub is_learnt: bool,
}

impl ChatRow {
    /// A row of messages as chat systems write them, in lists that may be learnt or not.
    pub(super) fn of_messages(
        lists: &[(&Value<'_>, bool)],
        tools: Option<&Value<'_>>,
    ) -> Option<Self> {
        let mut messages = Vec::new();
        for (list, is_learnt) in lists {
            let Value::Array(list) = list else { return None };
            messages.extend(list.iter().map(|message| chat_message(message, *is_learnt)));
        }
        Some(Self { messages, tools: tools_of(tools) })
    }

    /// The same, of which only the last message is learnt.
    #[must_use]
    pub(super) fn learning_last(mut self) -> Self {
        let last = self.messages.len().saturating_sub(1);
        self.messages.iter_mut().take(last).for_each(|message| message.is_learnt = false);
        self
    }

    /// What it says without a template: the texts of its messages, calls and tools, a line each; and which bytes of that
    /// are learnt.
    pub fn plain(&self) -> (String, Vec<Range<usize>>) {
        let (mut text, mut learnt) = (String::new(), Vec::new());
        for message in &self.messages {
            let start = text.len();
            let Ok(value) = Value::parse(&message.json) else { continue };
            let field = |name: &str| value.get(name).and_then(Value::as_str);
            let parts = match value.get("content") {
                Some(Value::Array(parts)) => parts.as_slice(),
                _ => &[],
            };
            let parts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            let said = ["reasoning_content", "thinking", "content"].into_iter().filter_map(field);
            for said in said.chain(parts).filter(|said| !said.is_empty()) {
                text.push_str(said);
                text.push('\n');
            }
            if let Some(calls @ Value::Array(_)) = value.get("tool_calls") {
                text.push_str(&calls.to_json());
                text.push('\n');
            }
            if message.is_learnt {
                learnt.push(start..text.len());
            }
        }
        text.extend(self.tools.as_deref());
        (text, learnt)
    }

    /// A row of `ms-swift`: each call in a message of its own, behind the answer that it belongs to.
    pub(super) fn ms_swift(messages: &Value<'_>, tools: Option<&Value<'_>>) -> Option<Self> {
        struct Answer {
            content: String,
            calls: Vec<Value<'static>>,
            is_learnt: bool,
        }
        let message_of = |answer: Answer| {
            let calls = Some(answer.calls).filter(|calls| !calls.is_empty());
            let calls = calls.map(|calls| ("tool_calls", Value::Array(calls)));
            message("assistant", &answer.content, calls, answer.is_learnt)
        };
        let Value::Array(list) = messages else { return None };
        let mut messages = Vec::new();
        // The answer to which calls may still be added.
        let mut open: Option<Answer> = None;
        let (mut called, mut answered) = (0, 0);
        for one in list {
            let role = one.get("role")?.as_str()?;
            let content = one.get("content")?.as_str()?;
            let is_learnt = !matches!(one.get("loss"), Some(Value::Bool(false)));
            if role == "tool_call" {
                let calls = format!("[{content}]");
                let calls = calls_of(&calls, &mut called)?.into_iter().map(own);
                let alone = || Answer { content: String::new(), calls: Vec::new(), is_learnt };
                open.get_or_insert_with(alone).calls.extend(calls);
                continue;
            }
            messages.extend(open.take().map(message_of));
            match role {
                "assistant" => {
                    open = Some(Answer { content: content.into(), calls: Vec::new(), is_learnt });
                }
                "tool_response" => {
                    answered += 1;
                    let id = Value::String(format!("call{answered:05}").into());
                    messages.push(message("tool", content, Some(("tool_call_id", id)), false));
                }
                _ => messages.push(message(role, content, None, false)),
            }
        }
        messages.extend(open.map(message_of));
        Some(Self { messages, tools: tools_of(tools) })
    }

    /// A row of `standard`: calls in messages of their own, and the results of several calls in one message.
    pub(super) fn standard(messages: &Value<'_>, tools: Option<&Value<'_>>) -> Option<Self> {
        let Value::Array(list) = messages else { return None };
        let mut messages = Vec::new();
        // The ids of the calls that the next message answers.
        let mut open: Vec<String> = Vec::new();
        let mut called = 0;
        for one in list {
            let role = one.get("role")?.as_str()?;
            let content = one.get("content")?.as_str()?;
            match role {
                "function_call" => {
                    let calls = calls_of(content, &mut called)?;
                    open = calls
                        .iter()
                        .filter_map(|call| Some(call.get("id")?.as_str()?.to_owned()))
                        .collect();
                    let calls = ("tool_calls", Value::Array(calls));
                    messages.push(message("assistant", "", Some(calls), true));
                }
                "tool" => {
                    let results = results_of(content, open.len());
                    let ids = open.drain(..).map(Some).chain(std::iter::repeat(None));
                    for (result, id) in results.iter().zip(ids) {
                        let id = id.map(|id| ("tool_call_id", Value::String(id.into())));
                        messages.push(message("tool", result, id, false));
                    }
                }
                _ => messages.push(message(role, content, None, role == "assistant")),
            }
        }
        Some(Self { messages, tools: tools_of(tools) })
    }
}

/// A message, with a further field if there is one.
fn message(
    role: &str,
    content: &str,
    more: Option<(&'static str, Value<'_>)>,
    is_learnt: bool,
) -> ChatMessage {
    let mut fields = vec![
        ("role".into(), Value::String(role.into())),
        ("content".into(), Value::String(content.into())),
    ];
    fields.extend(more.map(|(name, value)| (name.into(), value)));
    ChatMessage { json: Value::Object(fields).to_json(), is_learnt }
}

/// A message with its arguments as objects, and without its weight.
fn chat_message(message: &Value<'_>, is_learnt: bool) -> ChatMessage {
    let is_answer = message.get("role").and_then(Value::as_str) == Some("assistant");
    let weight = message.get("weight").map(Value::to_json);
    let mut message = message.clone();
    if let Value::Object(fields) = &mut message {
        fields.retain(|(name, _)| name != "weight");
    }
    if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
        for call in calls {
            let arguments =
                call.get_mut("function").and_then(|function| function.get_mut("arguments"));
            let Some(Value::String(written)) = arguments.as_deref() else { continue };
            let object = Value::parse(written).map(own).ok();
            if let (Some(arguments), Some(object)) = (arguments, object) {
                *arguments = object;
            }
        }
    }
    let is_learnt = is_learnt && is_answer && weight.as_deref() != Some("0");
    ChatMessage { json: message.to_json(), is_learnt }
}

/// A value that borrows nothing.
fn own(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(value),
        Value::Number(number) => Value::Number(number.into_owned().into()),
        Value::String(text) => Value::String(text.into_owned().into()),
        Value::Array(items) => Value::Array(items.into_iter().map(own).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name.into_owned().into(), own(value)))
                .collect(),
        ),
    }
}

/// The definitions of tools as an array; none if there are none.
fn tools_of(tools: Option<&Value<'_>>) -> Option<String> {
    let written = match tools? {
        Value::String(text) => text.to_string(),
        Value::Array(tools) if !tools.is_empty() => Value::Array(tools.clone()).to_json(),
        _ => return None,
    };
    (!written.is_empty()).then_some(written)
}

/// The calls of a message of calls, with ids.
fn calls_of<'a>(content: &'a str, called: &mut usize) -> Option<Vec<Value<'a>>> {
    let Value::Array(calls) = Value::parse(content).ok()? else { return None };
    let call = |call: Value<'a>| {
        *called += 1;
        Value::Object(vec![
            ("id".into(), Value::String(format!("call{called:05}").into())),
            ("type".into(), Value::String("function".into())),
            ("function".into(), call),
        ])
    };
    Some(calls.into_iter().map(call).collect())
}

/// The results in a message that answers `calls` calls.
fn results_of(content: &str, calls: usize) -> Vec<String> {
    let apart = if calls > 1 { results_in(content) } else { None };
    apart.filter(|results| results.len() == calls).unwrap_or_else(|| vec![content.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(row: Option<ChatRow>, expect: &[(&str, bool)]) {
        let row = row.unwrap();
        let messages: Vec<(&str, bool)> =
            row.messages.iter().map(|it| (it.json.as_str(), it.is_learnt)).collect();
        assert_eq!(messages, expect);
    }

    #[test]
    fn arguments_become_objects_and_weights_say_what_is_learnt() {
        let messages = r#"[{"role":"user","content":"a"},
            {"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"b\": 1}"}}],"weight":0},
            {"role":"tool","content":"c","tool_call_id":"1"},{"role":"assistant","content":"d"}]"#;
        check(
            ChatRow::of_messages(&[(&Value::parse(messages).unwrap(), true)], None),
            &[
                (r#"{"role":"user","content":"a"}"#, false),
                (
                    r#"{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"b":1}}}]}"#,
                    false,
                ),
                (r#"{"role":"tool","content":"c","tool_call_id":"1"}"#, false),
                (r#"{"role":"assistant","content":"d"}"#, true),
            ],
        );
    }

    #[test]
    fn a_standard_row_gets_its_calls_and_results_paired() {
        let messages = r#"[{"role":"user","content":"a"},
            {"role":"function_call","content":"[{\"name\":\"f\",\"arguments\":{\"b\":\"\\u003c\"}},{\"name\":\"g\",\"arguments\":{}}]"},
            {"role":"tool","content":"[\"x\",{\"y\":1}]"},{"role":"assistant","content":"d"}]"#;
        check(
            ChatRow::standard(&Value::parse(messages).unwrap(), None),
            &[
                (r#"{"role":"user","content":"a"}"#, false),
                (
                    r#"{"role":"assistant","content":"","tool_calls":[{"id":"call00001","type":"function","function":{"name":"f","arguments":{"b":"<"}}},{"id":"call00002","type":"function","function":{"name":"g","arguments":{}}}]}"#,
                    true,
                ),
                (r#"{"role":"tool","content":"x","tool_call_id":"call00001"}"#, false),
                (r#"{"role":"tool","content":"{\"y\":1}","tool_call_id":"call00002"}"#, false),
                (r#"{"role":"assistant","content":"d"}"#, true),
            ],
        );
    }

    #[test]
    fn tools_are_an_array_whether_written_as_text_or_not() {
        let tools = |text: &str| tools_of(Some(&Value::parse(text).unwrap()));
        assert_eq!(tools(r#""[{\"a\":1}]""#).as_deref(), Some(r#"[{"a":1}]"#));
        assert_eq!(tools(r#"[{"a":1}]"#).as_deref(), Some(r#"[{"a":1}]"#));
        assert_eq!(tools(r#""""#), None);
        assert_eq!(tools("null"), None);
    }
}
