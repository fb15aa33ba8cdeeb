//! A call's arguments: the JSON object in the text that the model wrote.

use std::borrow::Cow;

use retort_json::{Kind, Parser};
use retort_model::{LeftOut, Reason, Repair, ToolCall};

use super::format::ShapeOptions;
use super::tools::Tools;

/// The arguments of a call as the text of a JSON object, keys and numbers as the model wrote them. What had to
/// be done to them goes to `repairs`.
pub(super) fn object_of<'c>(
    call: &'c ToolCall<'_>,
    tools: &Tools,
    options: &ShapeOptions,
    repairs: &mut Vec<Repair>,
) -> Result<Cow<'c, str>, LeftOut> {
    let text = call.arguments.decoded();
    let name = call.name.decoded();
    if takes_text(call) {
        repairs.push(Repair::WrappedArguments);
        return Ok(wrapped("input", &text).into());
    }
    let reason = match kind_of(&text) {
        Some(Kind::Object) => return Ok(one_line(text)),
        None if text.trim().is_empty() && options.fill && !tools.requires_arguments(&name) => {
            repairs.push(Repair::FilledArguments);
            return Ok("{}".into());
        }
        None if text.trim().is_empty() => Reason::MissingArguments,
        Some(_) => Reason::ArgumentsNotObject,
        None => Reason::ArgumentsNotJson,
    };
    if options.wrap_arguments && reason != Reason::MissingArguments {
        repairs.push(Repair::WrappedArguments);
        return Ok(wrapped("_raw", &text).into());
    }
    let start: String = text.chars().take(60).collect();
    let name: String = name.chars().take(80).collect();
    Err(LeftOut::new(
        reason,
        format!("arguments of the call of `{name}`: `{}`", start.escape_debug()),
    ))
}

/// Whether the tool takes a text instead of an object: OpenAI's custom tools, such as Codex's `apply_patch`.
fn takes_text(call: &ToolCall<'_>) -> bool {
    call.metadata.get("type").is_some_and(|kind| kind.as_str() == "\"custom\"")
}

fn wrapped(name: &str, text: &str) -> String {
    let mut object = String::from("{");
    retort_json::write_string(name, &mut object);
    object.push(':');
    retort_json::write_string(text, &mut object);
    object.push('}');
    object
}

/// The kind of value that the text holds, if it is JSON.
fn kind_of(text: &str) -> Option<Kind> {
    let mut parser = Parser::new(text);
    let kind = parser.kind().ok()?;
    parser.skip().ok()?;
    parser.end().ok()?;
    Some(kind)
}

/// JSON text without line breaks between its tokens and without lone surrogates.
fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    let needs = text.bytes().any(|byte| matches!(byte, b'\n' | b'\r')) || text.contains("\\u");
    let trimmed = text.len() != text.trim().len();
    if !needs && !trimmed {
        return text;
    }
    match retort_json::RawJson::parse(&text) {
        Ok(raw) => Cow::Owned(raw.as_str().to_owned()),
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &str, expect: Result<&str, Reason>) {
        check_with(&ShapeOptions::default(), arguments, expect);
    }

    fn check_with(options: &ShapeOptions, arguments: &str, expect: Result<&str, Reason>) {
        let call =
            ToolCall { name: "f".into(), arguments: arguments.into(), ..ToolCall::default() };
        let got = object_of(&call, &Tools::default(), options, &mut Vec::new());
        assert_eq!(got.as_deref().map_err(|why| why.reason), expect, "{arguments}");
    }

    #[test]
    fn objects_stay_as_the_model_wrote_them() {
        check(r#"{"b": 1.50, "a": 1e3}"#, Ok(r#"{"b": 1.50, "a": 1e3}"#));
        check("{\n \"a\": [1, 2]\n}", Ok(r#"{"a":[1,2]}"#));
        check(r#"{"a": "\ud800"}"#, Ok(r#"{"a":"\ufffd"}"#));
    }

    #[test]
    fn missing_arguments_are_filled_only_on_request() {
        let fill = ShapeOptions { fill: true, ..ShapeOptions::default() };
        for missing in ["", "  "] {
            check(missing, Err(Reason::MissingArguments));
            check_with(&fill, missing, Ok("{}"));
        }
    }

    #[test]
    fn what_is_no_object_is_never_mended_silently() {
        check("print('x')", Err(Reason::ArgumentsNotJson));
        check(r#"{"a": NaN}"#, Err(Reason::ArgumentsNotJson));
        check(r#"{"a": 1"#, Err(Reason::ArgumentsNotJson));
        check("[1]", Err(Reason::ArgumentsNotObject));
        check("null", Err(Reason::ArgumentsNotObject));
    }

    #[test]
    fn the_text_that_a_custom_tool_takes_is_its_input() {
        let metadata = [("type".into(), retort_json::RawJson::string("custom"))];
        for text in ["*** Begin Patch", "{\"a\":1}", ""] {
            let metadata = metadata.iter().cloned().collect();
            let call = ToolCall { arguments: text.into(), metadata, ..ToolCall::default() };
            let mut repairs = Vec::new();
            let input = object_of(&call, &Tools::default(), &ShapeOptions::default(), &mut repairs);
            let expect = format!("{{\"input\":{}}}", retort_json::RawJson::string(text));
            assert_eq!((&*input.unwrap(), &*repairs), (&*expect, &[Repair::WrappedArguments][..]));
        }
    }

    #[test]
    fn on_request_it_is_wrapped() {
        let call = ToolCall { arguments: "x = \"1\"".into(), ..ToolCall::default() };
        let mut repairs = Vec::new();
        let options = ShapeOptions { wrap_arguments: true, ..ShapeOptions::default() };
        let wrapped = object_of(&call, &Tools::default(), &options, &mut repairs).unwrap();
        assert_eq!(wrapped, r#"{"_raw":"x = \"1\""}"#);
        assert_eq!(repairs, [Repair::WrappedArguments]);
    }
}
