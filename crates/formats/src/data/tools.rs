//! Tool definitions as trainers demand them: named, described, with an object of parameters.
//!
//! The same few definitions are in thousands of conversations, so each is prepared once and remembered.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use retort_json::{RawJson, Value, write_escaped};
use retort_model::Repair;
use retort_model::bounds::TOOLS_REMEMBERED;

/// Prepares tool definitions.
#[derive(Default)]
pub struct ToolCache {
    known: HashMap<String, Arc<Tool>>,
}

/// A definition in its prepared forms.
#[derive(Debug)]
pub(super) struct Tool {
    /// Empty if it has none.
    pub name: Arc<str>,
    /// In the shape the source gave it, completed.
    pub completed: String,
    /// The same as the inside of a JSON string: so it is in `standard`, and escaping it anew for every record
    /// is what costs.
    pub completed_escaped: String,
    /// As OpenAI nests it, completed.
    pub nested: String,
    /// The source's own text, without white space.
    pub source: String,
    /// Whether anything had to be completed.
    pub mended: bool,
    /// Whether the parameters were no valid JSON Schema; `nested` is.
    pub invalid: bool,
    /// Whether it has parameters that a call must give.
    pub requires_arguments: bool,
}

/// The tools of one record.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// One a name, in the order of first appearance.
    pub tools: Vec<Arc<Tool>>,
    /// Those without a name, which no trainer takes.
    pub nameless: Vec<Arc<Tool>>,
    /// What had to be done.
    pub repairs: Vec<Repair>,
    /// The position of each name in `tools`.
    places: HashMap<Arc<str>, usize>,
}

impl ToolCache {
    /// The distinct tools of some rounds. Of two definitions of one name the later is taken.
    pub(super) fn prepare<'r>(&mut self, raws: impl Iterator<Item = &'r RawJson<'r>>) -> Tools {
        let mut prepared = Tools::default();
        for raw in raws {
            let tool = self.tool(raw);
            if tool.name.is_empty() {
                push_once(&mut prepared.repairs, Repair::DroppedTool);
                prepared.nameless.push(tool);
                continue;
            }
            let place = prepared.places.get(&tool.name);
            match place.and_then(|&place| prepared.tools.get_mut(place)) {
                Some(one) if one.source == tool.source => {}
                Some(one) => {
                    push_once(&mut prepared.repairs, Repair::ReplacedTool);
                    *one = tool;
                }
                None => {
                    prepared.places.insert(Arc::clone(&tool.name), prepared.tools.len());
                    prepared.tools.push(tool);
                }
            }
        }
        if prepared.tools.iter().any(|tool| tool.mended) {
            prepared.repairs.push(Repair::MendedTools);
        }
        prepared
    }

    fn tool(&mut self, raw: &RawJson<'_>) -> Arc<Tool> {
        if let Some(tool) = self.known.get(raw.as_str()) {
            return Arc::clone(tool);
        }
        if self.known.len() >= TOOLS_REMEMBERED {
            self.known.clear();
        }
        let tool = Arc::new(prepare(raw));
        self.known.insert(raw.as_str().to_owned(), Arc::clone(&tool));
        tool
    }
}

fn push_once(repairs: &mut Vec<Repair>, repair: Repair) {
    if !repairs.contains(&repair) {
        repairs.push(repair);
    }
}

fn prepare(raw: &RawJson<'_>) -> Tool {
    let source = raw.compact();
    let value = Value::parse(&source).unwrap_or(Value::Null);
    let is_nested =
        value.get("function").is_some_and(|function| matches!(function, Value::Object(_)));
    let original = if is_nested {
        value.get("function").cloned().unwrap_or(Value::Null)
    } else {
        value.clone()
    };
    let original = with_parameters(original);
    let name: Arc<str> = original.get("name").and_then(Value::as_str).unwrap_or_default().into();
    if name.is_empty() {
        return Tool {
            name,
            completed_escaped: String::new(),
            completed: String::new(),
            nested: String::new(),
            source,
            mended: false,
            invalid: false,
            requires_arguments: false,
        };
    }
    let completed = complete(original.clone());
    let mut function = completed.clone();
    if let Some(parameters) = function.get_mut("parameters") {
        make_valid(parameters);
    }
    let required = completed.get("parameters").and_then(|parameters| parameters.get("required"));
    let requires_arguments = matches!(required, Some(Value::Array(names)) if !names.is_empty());
    let mended = completed != original;
    let invalid = function != completed;
    let nested = if is_nested {
        let mut whole = value.clone();
        if let Some(inner) = whole.get_mut("function") {
            *inner = function;
        }
        if let (Value::Object(fields), None) = (&mut whole, value.get("type")) {
            fields.insert(0, ("type".into(), Value::String("function".into())));
        }
        whole
    } else {
        let mut function = function;
        if let Value::Object(fields) = &mut function {
            // A flat definition of the Responses API names its type beside the name.
            fields.retain(|(key, value)| !(key == "type" && value.as_str() == Some("function")));
        }
        Value::Object(vec![
            ("type".into(), Value::String("function".into())),
            ("function".into(), function),
        ])
    };
    let completed = if is_nested {
        let mut whole = nested.clone();
        if let Some(inner) = whole.get_mut("function") {
            *inner = completed;
        }
        whole.to_json()
    } else {
        completed.to_json()
    };
    let mut completed_escaped = String::with_capacity(completed.len() * 2);
    write_escaped(&completed, &mut completed_escaped);
    let nested = nested.to_json();
    Tool { name, completed, completed_escaped, nested, source, mended, invalid, requires_arguments }
}

/// A definition whose schema is under `parameters`: Anthropic and MCP have other names for it, Bedrock puts it one level
/// deeper, and function-calling sets list the parameters without a schema around them.
fn with_parameters(mut function: Value<'_>) -> Value<'_> {
    let Value::Object(fields) = &mut function else { return function };
    if !fields.iter().any(|(key, _)| key == "parameters")
        && let Some((key, schema)) = fields.iter_mut().find(|(key, value)| match &**key {
            "input_schema" | "inputSchema" => true,
            "arguments" | "args" => matches!(value, Value::Object(_) | Value::Array(_)),
            _ => false,
        })
    {
        *key = "parameters".into();
        if let Some(inner @ Value::Object(_)) = schema.get("json") {
            *schema = inner.clone();
        }
    }
    if let Some((_, parameters)) = fields.iter_mut().find(|(key, _)| key == "parameters")
        && let Some(schema) = schema_of_listed(parameters)
    {
        *parameters = schema;
    }
    function
}

/// The schema of parameters that are listed without one: objects by their names (`{"city": {"type": "str"}}` of xLAM), or a
/// list of objects with names. None if they have a schema, or are neither.
fn schema_of_listed<'v>(parameters: &Value<'v>) -> Option<Value<'v>> {
    /// What a schema of an object may have at its top whose value is an object.
    const KEYWORDS: [&str; 6] = ["properties", "items", "not", "definitions", "json", "parameters"];
    let is_object = |value: &Value<'_>| matches!(value, Value::Object(_));
    let listed: Vec<(Cow<'v, str>, Value<'v>)> = match parameters {
        Value::Object(fields) if !fields.is_empty() => {
            let is_parameter = |(key, value): &(Cow<'_, str>, Value<'_>)| {
                is_object(value) && !key.starts_with('$') && !KEYWORDS.contains(&&**key)
            };
            fields.iter().all(is_parameter).then(|| fields.clone())?
        }
        Value::Array(list) if !list.is_empty() => {
            let named = list.iter().map(|one| {
                let Value::Object(mut fields) = one.clone() else { return None };
                let at = fields
                    .iter()
                    .position(|(key, value)| key == "name" && value.as_str().is_some())?;
                let name = fields.remove(at).1.as_str()?.to_owned();
                Some((Cow::Owned(name), Value::Object(fields)))
            });
            named.collect::<Option<_>>()?
        }
        _ => return None,
    };
    let is_required = |schema: &Value<'_>| match schema.get("required") {
        Some(Value::Bool(is_required)) => *is_required,
        _ => {
            let is_optional = |word: &str| word.to_lowercase().contains("optional");
            schema.get("default").is_none()
                && !schema.get("type").and_then(Value::as_str).is_some_and(is_optional)
        }
    };
    let required: Vec<Value<'v>> = listed
        .iter()
        .filter(|(_, schema)| is_required(schema))
        .map(|(name, _)| Value::String(name.clone()))
        .collect();
    let properties = listed
        .into_iter()
        .map(|(name, mut schema)| {
            if let Value::Object(fields) = &mut schema {
                fields.retain(|(key, value)| key != "required" || !matches!(value, Value::Bool(_)));
            }
            (name, schema)
        })
        .collect();
    let mut schema = vec![
        ("type".into(), Value::String("object".into())),
        ("properties".into(), Value::Object(properties)),
    ];
    if !required.is_empty() {
        schema.push(("required".into(), Value::Array(required)));
    }
    Some(Value::Object(schema))
}

/// What LLaMA-Factory's default tool format and Mistral's validator read without asking whether it is there.
fn complete(mut function: Value<'_>) -> Value<'_> {
    let Value::Object(fields) = &mut function else { return function };
    fields.retain(|(_, value)| !matches!(value, Value::Null));
    if !fields.iter().any(|(key, value)| key == "description" && value.as_str().is_some()) {
        fields.retain(|(key, _)| key != "description");
        let after_name = fields.iter().position(|(key, _)| key == "name").map_or(0, |at| at + 1);
        fields.insert(after_name, ("description".into(), Value::String("".into())));
    }
    match fields.iter_mut().find(|(key, _)| key == "parameters") {
        Some((_, parameters)) => complete_parameters(parameters),
        None => {
            let mut parameters = Value::Null;
            complete_parameters(&mut parameters);
            fields.push(("parameters".into(), parameters));
        }
    }
    function
}

/// The types of JSON Schema, and the words for them that histories have.
const SCHEMA_TYPES: [(&str, &[&str]); 7] = [
    ("string", &["str", "text", "char", "date", "datetime"]),
    ("integer", &["int", "long"]),
    ("number", &["float", "double", "decimal"]),
    ("boolean", &["bool"]),
    ("array", &["list", "tuple", "set"]),
    ("object", &["dict", "map"]),
    ("null", &["none"]),
];

/// Makes a schema valid as JSON Schema, which Mistral's validator demands: types by their right names, and no
/// keyword whose value has another type than it must.
fn make_valid(schema: &mut Value<'_>) {
    let Value::Object(fields) = schema else { return };
    fields.retain_mut(|(key, value)| match (&**key, value) {
        ("type", value) => make_valid_type(value),
        (
            "properties" | "patternProperties" | "definitions" | "$defs",
            Value::Object(properties),
        ) => {
            for (_, property) in properties {
                make_valid(property);
            }
            true
        }
        ("items" | "additionalProperties" | "not", value @ Value::Object(_)) => {
            make_valid(value);
            true
        }
        ("anyOf" | "allOf" | "oneOf", Value::Array(schemas)) => {
            schemas.iter_mut().for_each(make_valid);
            !schemas.is_empty()
        }
        ("required", value) => {
            matches!(value, Value::Array(names) if names.iter().all(|name| name.as_str().is_some()))
        }
        ("enum", value) => matches!(value, Value::Array(choices) if !choices.is_empty()),
        ("description" | "title" | "pattern" | "format" | "$ref", value) => {
            value.as_str().is_some()
        }
        (
            "properties" | "patternProperties" | "definitions" | "$defs" | "anyOf" | "allOf"
            | "oneOf" | "not",
            _,
        ) => false,
        ("items" | "additionalProperties", value) => matches!(value, Value::Bool(_)),
        (
            "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems"
            | "multipleOf",
            value,
        ) => {
            matches!(value, Value::Number(_))
        }
        _ => true,
    });
}

/// Whether the value is, or could be made, a type of JSON Schema.
fn make_valid_type(value: &mut Value<'_>) -> bool {
    match value {
        Value::String(word) => {
            // Such as `int, optional` and `List[str]`.
            let lower = word.to_lowercase();
            let word_itself = lower.split([',', '[', ' ', '(', '|']).next().unwrap_or("");
            let named = SCHEMA_TYPES
                .iter()
                .find(|(name, words)| *name == word_itself || words.contains(&word_itself));
            if let Some((name, _)) = named {
                if **word != **name {
                    *word = Cow::Owned((*name).to_owned());
                }
                return true;
            }
            false
        }
        Value::Array(types) => {
            types.retain_mut(make_valid_type);
            !types.is_empty()
        }
        _ => false,
    }
}

fn complete_parameters(parameters: &mut Value<'_>) {
    if !matches!(parameters, Value::Object(_)) {
        *parameters = Value::Object(Vec::new());
    }
    let Value::Object(fields) = parameters else { return };
    fields.retain(|(_, value)| !matches!(value, Value::Null));
    if !fields.iter().any(|(key, value)| key == "type" && value.as_str() == Some("object")) {
        fields.retain(|(key, _)| key != "type");
        fields.insert(0, ("type".into(), Value::String("object".into())));
    }
    if let Some((_, required)) = fields.iter_mut().find(|(key, _)| key == "required")
        && required.as_str().is_some()
    {
        *required = Value::Array(vec![std::mem::replace(required, Value::Null)]);
    }
    fields.retain(|(key, value)| key != "required" || matches!(value, Value::Array(_)));
    match fields.iter_mut().find(|(key, _)| key == "properties") {
        Some((_, Value::Object(properties))) => {
            for (_, schema) in properties {
                complete_schema(schema);
            }
        }
        Some((_, other)) => *other = Value::Object(Vec::new()),
        None => fields.push(("properties".into(), Value::Object(Vec::new()))),
    }
}

/// A property's schema, as deep as trainers look.
fn complete_schema(schema: &mut Value<'_>) {
    let Value::Object(fields) = schema else {
        *schema = Value::Object(Vec::new());
        return;
    };
    fields.retain(|(_, value)| !matches!(value, Value::Null));
    for (key, value) in fields {
        match (&**key, value) {
            ("enum", Value::Array(choices)) => {
                for choice in choices {
                    if !matches!(choice, Value::String(_)) {
                        *choice = Value::String(Cow::Owned(choice.to_json()));
                    }
                }
            }
            ("items", items) if !matches!(items, Value::Object(_)) => {
                *items = Value::Object(Vec::new());
            }
            _ => {}
        }
    }
}

impl Tools {
    /// Whether there is a tool of that name.
    pub fn defines(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Keeps those with the names for which `keep` says so.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.tools.retain(|tool| keep(&tool.name));
        self.places =
            self.tools.iter().enumerate().map(|(at, tool)| (Arc::clone(&tool.name), at)).collect();
    }

    /// Whether the tool of that name is defined with parameters that a call must give.
    pub fn requires_arguments(&self, name: &str) -> bool {
        let tool = self.places.get(name).and_then(|&place| self.tools.get(place));
        tool.is_some_and(|tool| tool.requires_arguments)
    }

    /// The definitions as one JSON array.
    pub fn to_json(&self, form: impl Fn(&Tool) -> &str) -> String {
        let mut out = String::from("[");
        for (index, tool) in self.tools.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(form(tool));
        }
        out.push(']');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, completed: &str) {
        let raw = RawJson::parse(source).unwrap();
        let tool = prepare(&raw);
        assert_eq!(tool.completed, completed);
        assert_eq!(tool.mended, raw.compact() != completed);
        assert!(Value::parse(&tool.nested).unwrap().get("function").is_some());
    }

    #[test]
    fn definitions_get_what_trainers_read_without_asking() {
        check(
            r#"{"name":"f"}"#,
            r#"{"name":"f","description":"","parameters":{"type":"object","properties":{}}}"#,
        );
        check(
            r#"{"type":"function","function":{"name":"f","description":null,"parameters":{"properties":{"a":true,"b":{"type":"integer","enum":[1,"x"],"default":null},"c":{"items":true}},"required":null}}}"#,
            r#"{"type":"function","function":{"name":"f","description":"","parameters":{"type":"object","properties":{"a":{},"b":{"type":"integer","enum":["1","x"]},"c":{"items":{}}}}}}"#,
        );
    }

    #[test]
    fn parameters_that_are_listed_without_a_schema_get_one() {
        let expected = r#"{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"str","description":"x"},"b":{"type":"int, optional"},"c":{"type":"str","default":"G"}},"required":["a"]}}"#;
        for source in [
            r#"{"name":"f","description":"d","parameters":{"a":{"type":"str","description":"x"},"b":{"type":"int, optional"},"c":{"type":"str","default":"G"}}}"#,
            r#"{"name":"f","description":"d","arguments":{"a":{"type":"str","description":"x"},"b":{"type":"int, optional"},"c":{"type":"str","default":"G"}}}"#,
            r#"{"name":"f","description":"d","parameters":[{"name":"a","type":"str","description":"x","required":true},{"name":"b","type":"int, optional"},{"name":"c","type":"str","default":"G","required":false}]}"#,
        ] {
            let tool = prepare(&RawJson::parse(source).unwrap());
            assert_eq!(tool.completed, expected);
            let nested = Value::parse(&tool.nested).unwrap();
            let parameters = nested.get("function").unwrap().get("parameters").unwrap().to_json();
            assert_eq!(
                parameters,
                r#"{"type":"object","properties":{"a":{"type":"string","description":"x"},"b":{"type":"integer"},"c":{"type":"string","default":"G"}},"required":["a"]}"#
            );
            assert!(tool.requires_arguments);
        }
        check(
            r#"{"name":"f","description":"d","parameters":{"type":"object","properties":{"c":{}},"required":"c"}}"#,
            r#"{"name":"f","description":"d","parameters":{"type":"object","properties":{"c":{}},"required":["c"]}}"#,
        );
    }

    #[test]
    fn nested_definitions_are_valid_json_schema() {
        let raw = RawJson::parse(
            r#"{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"int, optional","description":"x"},"b":{"type":"Any","required":true},"c":{"type":"List[str]","items":{"type":"str"}}}}}"#,
        )
        .unwrap();
        let tool = prepare(&raw);
        assert!(tool.invalid && !tool.mended);
        assert_eq!(
            tool.nested,
            r#"{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"integer","description":"x"},"b":{},"c":{"type":"array","items":{"type":"string"}}}}}}"#
        );
    }

    #[test]
    fn complete_definitions_stay_as_they_are() {
        let whole = r#"{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}}"#;
        check(whole, whole);
    }

    #[test]
    fn of_two_definitions_the_later_is_taken_and_the_same_twice_is_one() {
        let raws: Vec<_> = [
            r#"{"name":"f","description":"old","parameters":{"type":"object","properties":{}}}"#,
            r#"{"name":"g","description":"d","parameters":{"type":"object","properties":{}}}"#,
            r#"{"name":"f", "description":"new", "parameters":{"type":"object","properties":{}}}"#,
            r#"{"name":"g","description":"d", "parameters":{"type":"object","properties":{}}}"#,
            r#"{"type":"web_search"}"#,
        ]
        .iter()
        .map(|text| RawJson::parse(text).unwrap())
        .collect();
        let tools = ToolCache::default().prepare(raws.iter());
        let names: Vec<_> = tools.tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["f", "g"]);
        assert!(tools.tools[0].completed.contains("new"));
        assert_eq!(tools.nameless.len(), 1);
        assert_eq!(tools.repairs, [Repair::ReplacedTool, Repair::DroppedTool]);
    }
}
