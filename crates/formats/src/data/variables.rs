//! Variables of a prompt as columns: their names, and their values in a row.

use std::sync::Arc;

use retort_json::{RawJson, Value, write_string};
use retort_model::NodeRun;
use retort_model::bounds::COLUMN_NAME;

use super::execution::text_of;
use super::schema::{Schema, Sink};

/// The names of the columns of these variables: of letters, digits, `_`, `-` and `.` of any script, at most 60
/// characters, and none that the schema or another variable has, whatever the case.
pub(super) fn columns(variables: &[Arc<str>], fixed: &Schema) -> Arc<[Arc<str>]> {
    let mut taken: Vec<String> = fixed.columns().map(|column| column.name.to_lowercase()).collect();
    let mut names = Vec::with_capacity(variables.len());
    for variable in variables {
        let plain = plain(variable);
        let candidates = [plain.clone(), format!("variable_{plain}")];
        let free = candidates.into_iter().find(|name| {
            name.chars().count() <= COLUMN_NAME && !taken.contains(&name.to_lowercase())
        });
        // What the name alone decides, so that it is the same in every dataset.
        let name = free.unwrap_or_else(|| {
            let start: String = plain.chars().take(COLUMN_NAME - 9).collect();
            format!("{start}_{:08x}", retort_model::fnv1a(variable) & 0xffff_ffff)
        });
        taken.push(name.to_lowercase());
        names.push(name.into());
    }
    names.into()
}

fn plain(variable: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name: String = variable.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        name
    } else {
        format!("_{name}")
    }
}

/// The variables of a node's prompt.
fn fields<'n>(node: &'n NodeRun<'_>) -> Vec<(std::borrow::Cow<'n, str>, Value<'n>)> {
    match node.variables.as_ref().map(|raw| Value::parse(raw.as_str())) {
        Some(Ok(Value::Object(fields))) => fields,
        _ => Vec::new(),
    }
}

/// Names the variables of a node's prompt.
pub(super) fn each(node: &NodeRun<'_>, take: &mut dyn FnMut(&str)) {
    for (name, _) in fields(node) {
        take(&name);
    }
}

/// Writes the values of the variables that have columns, and gives back the JSON text of the others, if there are any.
pub(super) fn write(
    node: &NodeRun<'_>,
    variables: &[Arc<str>],
    out: &mut dyn Sink,
) -> Option<String> {
    let fields = fields(node);
    for variable in variables {
        match fields.iter().find(|(name, _)| *name == **variable).map(|(_, value)| value) {
            None | Some(Value::Null) => out.absent(),
            Some(Value::String(text)) => out.str(text),
            Some(value) => out.str(&value.to_json()),
        }
    }
    let mut others = String::new();
    for (name, value) in fields {
        if variables.iter().any(|variable| **variable == *name) {
            continue;
        }
        others.push(if others.is_empty() { '{' } else { ',' });
        write_string(&name, &mut others);
        others.push(':');
        value.write(&mut others);
    }
    if others.is_empty() {
        return None;
    }
    others.push('}');
    Some(others)
}

/// The input of an execution, as text: what went in, else what its variables were, else the prompt itself.
pub(super) fn input_of<'n>(node: &'n NodeRun<'_>) -> Option<retort_json::Text<'n>> {
    let says = |raw: &&RawJson<'_>| !super::execution::is_nothing(raw);
    let value = node.input.as_ref().filter(says).or(node.variables.as_ref().filter(says));
    value
        .map(text_of)
        .or_else(|| node.prompt.as_ref().map(retort_json::Text::borrowed))
        .filter(|text| !text.is_blank())
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Field, Type};
    use super::*;

    #[test]
    fn names_fit_evaluators_and_clash_with_nothing() {
        static FIXED: [Field; 1] = [Field::required("input", Type::Text)];
        let long = "x".repeat(70);
        let variables: Vec<Arc<str>> = [
            "context",
            "input",
            "Input",
            "a b",
            "a,b",
            "=1+1",
            "",
            "名前",
            &long,
            &format!("{long}y"),
            "INPUT",
        ]
        .into_iter()
        .map(Into::into)
        .collect();
        let names = columns(&variables, &Schema::of(&FIXED));
        let start: Vec<&str> = names.iter().take(8).map(|name| &**name).collect();
        assert_eq!(
            start,
            [
                "context",
                "variable_input",
                "Input_c742dfbb",
                "a_b",
                "variable_a_b",
                "_1_1",
                "_",
                "名前"
            ]
        );
        let mut small: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        small.sort_unstable();
        small.dedup();
        assert_eq!(small.len(), variables.len(), "{names:?}");
        assert!(names.iter().all(|name| name.chars().count() <= COLUMN_NAME), "{names:?}");
        assert_eq!(columns(&variables, &Schema::of(&FIXED)), names);
    }
}
