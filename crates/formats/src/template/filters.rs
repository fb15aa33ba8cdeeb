//! Filters and tests of Jinja2 that MiniJinja lacks or that differ there.

#![allow(clippy::needless_pass_by_value, reason = "MiniJinja hands named arguments over by value")]

use minijinja::formatting::{self, FormatStyle};
use minijinja::value::{Kwargs, Rest, Tuple, ValueIter, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

use super::{json, methods, prepare, python};

/// Filters that MiniJinja has and Jinja2 has not: a template that uses them fails in `transformers`.
const NOT_IN_JINJA2: [&str; 5] = ["bool", "chain", "lines", "split", "zip"];

/// Sets `environment` up as Jinja2 is.
pub(super) fn add(environment: &mut Environment<'_>) {
    for name in NOT_IN_JINJA2 {
        environment.remove_filter(name);
    }
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("string", |value: &Value| python::str(value));
    environment.add_filter("trim", trim);
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
    environment
        .add_filter("list", |value: &Value| Ok::<_, Error>(items(value)?.collect::<Vec<_>>()));
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("indent", indent);
    environment.add_filter("truncate", truncate);
    environment.add_filter("center", |value: &Value, width: Option<usize>| {
        methods::justify(&python::str(value), "center", &[Value::from(width.unwrap_or(80))])
    });
    environment.add_filter(prepare::PERCENT, percent);
    environment.add_function(prepare::ADD, add_values);
    environment.add_function(prepare::ITERABLE, looped);
    environment.add_filter("capitalize", |value: &Value| methods::capitalize(&python::str(value)));
    environment.add_filter("lower", |value: &Value| python::str(value).to_lowercase());
    environment.add_filter("upper", |value: &Value| python::str(value).to_uppercase());
    environment.add_filter("wordcount", |value: &Value| {
        python::str(value)
            .split(|char: char| !(char == '_' || char.is_alphanumeric()))
            .filter(|word| !word.is_empty())
            .count()
    });
    for (name, filter) in [
        ("batch", Value::from_function(filters::batch)),
        ("items", Value::from_function(filters::items)),
        ("map", Value::from_function(filters::map)),
        ("reject", Value::from_function(filters::reject)),
        ("rejectattr", Value::from_function(filters::rejectattr)),
        ("reverse", Value::from_function(filters::reverse)),
        ("select", Value::from_function(filters::select)),
        ("selectattr", Value::from_function(filters::selectattr)),
        ("slice", Value::from_function(filters::slice)),
        ("unique", Value::from_function(filters::unique)),
    ] {
        add_generator(environment, name, filter);
    }
    environment.add_test("sequence", |value: &Value| {
        value.is_undefined()
            || matches!(value.kind(), ValueKind::String | ValueKind::Map)
            || python::is_list(value)
    });
    environment.add_test("iterable", |value: &Value| {
        value.is_undefined()
            || matches!(
                value.kind(),
                ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Iterable
            )
    });
    environment
        .add_test("callable", |value: &Value| value.kind() == ValueKind::Plain && !is_long(value));
    environment.add_test("number", |value: &Value| {
        matches!(value.kind(), ValueKind::Number | ValueKind::Bool) || is_long(value)
    });
    environment.add_test("integer", |value: &Value| value.is_integer() || is_long(value));
}

/// Has `filter` give a generator, as in Jinja2: it can be looped over once, is always true, and has no length.
fn add_generator(environment: &mut Environment<'_>, name: &'static str, filter: Value) {
    environment.add_filter(name, move |state: &mut State, arguments: Rest<ValueOrKwargs>| {
        let arguments: Vec<Value> =
            arguments.0.into_iter().map(ValueOrKwargs::into_value).collect();
        let items = filter.call(state, &arguments)?;
        if items.kind() == ValueKind::String {
            return Ok::<_, Error>(items);
        }
        Ok(Value::make_one_shot_iterator(items.try_iter()?))
    });
}

/// What `value` holds. Unlike MiniJinja, Python can't go over none.
fn items(value: &Value) -> Result<ValueIter, Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "none can't be looped over"));
    }
    value.try_iter()
}

/// What a loop goes over: of a generator or a string its items, so that the loop knows how many there are.
fn looped(value: Value) -> Result<Value, Error> {
    let items = items(&value)?;
    let is_counted = value.kind() != ValueKind::String && value.len().is_some();
    Ok(if is_counted || value.is_undefined() { value } else { items.collect::<Vec<_>>().into() })
}

fn is_long(value: &Value) -> bool {
    value.downcast_object_ref::<json::LongInteger>().is_some()
}

/// `text % arguments`.
fn percent(text: &str, arguments: &Value) -> Result<String, Error> {
    let arguments = if arguments.is_tuple() {
        arguments.try_iter()?.collect()
    } else {
        vec![arguments.clone()]
    };
    formatting::format(FormatStyle::Printf, text, &arguments)
}

/// `left + right`, where a safe string escapes what is added to it.
fn add_values(left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(first), Some(second)) = (left.as_str(), right.as_str()) {
        let (first, second) = match (left.is_safe(), right.is_safe()) {
            (true, false) => (first.to_owned(), escape(second)),
            (false, true) => (escape(first), second.to_owned()),
            _ => (first.to_owned(), second.to_owned()),
        };
        let sum = first + &second;
        return Ok(if left.is_safe() || right.is_safe() {
            Value::from_safe_string(sum)
        } else {
            sum.into()
        });
    }
    if python::is_list(left) && python::is_list(right) && left.is_tuple() == right.is_tuple() {
        let sum: Vec<Value> = left.try_iter()?.chain(right.try_iter()?).collect();
        return Ok(if left.is_tuple() { Tuple::from(sum).into() } else { sum.into() });
    }
    let whole = |value: &Value| {
        i128::try_from(value.clone()).ok().filter(|_| python::float(value).is_none())
    };
    if let (Some(first), Some(second)) = (whole(left), whole(right)) {
        return Ok(Value::from(first.saturating_add(second)));
    }
    if left.is_number() && right.is_number() {
        return Ok(Value::from(f64::try_from(left.clone())? + f64::try_from(right.clone())?));
    }
    Err(Error::new(
        ErrorKind::InvalidOperation,
        format!("can't add {} and {}", left.kind(), right.kind()),
    ))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(char),
        }
    }
    out
}

fn default(
    value: &Value,
    other: Option<Value>,
    falsy: Option<bool>,
    named: Kwargs,
) -> Result<Value, Error> {
    let other = named.get::<Option<Value>>("default_value")?.or(other);
    let falsy = named.get::<Option<bool>>("boolean")?.or(falsy).unwrap_or(false);
    named.assert_all_used()?;
    if value.is_undefined() || falsy && !value.is_true() {
        Ok(other.unwrap_or_else(|| Value::from("")))
    } else {
        Ok(value.clone())
    }
}

fn int(value: &Value, other: Option<Value>) -> Value {
    let other = other.unwrap_or_else(|| Value::from(0));
    let whole = |number: f64| {
        #[allow(clippy::cast_possible_truncation, reason = "whole and bounded")]
        (number.abs() < 1e18).then(|| Value::from(number as i64))
    };
    match value.as_str() {
        Some(text) => {
            let text = text.trim().replace('_', "");
            let number = text.parse::<i128>().map(Value::from).ok();
            number.or_else(|| whole(text.parse().ok()?)).unwrap_or(other)
        }
        None => match python::float(value) {
            Some(number) => whole(number).unwrap_or(other),
            None => i128::try_from(value.clone()).map_or(other, Value::from),
        },
    }
}

fn float(value: &Value, other: Option<Value>) -> Value {
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    number.map_or_else(|| other.unwrap_or_else(|| Value::from(0.0)), Value::from)
}

fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    named: Kwargs,
) -> Result<String, Error> {
    let width = named.get::<Option<Value>>("width")?.or(width).unwrap_or_else(|| Value::from(4));
    let first = named.get::<Option<bool>>("first")?.or(first).unwrap_or(false);
    let blank = named.get::<Option<bool>>("blank")?.or(blank).unwrap_or(false);
    named.assert_all_used()?;
    let indentation = match width.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(usize::try_from(width)?.min(methods::MAX_WIDTH)),
    };
    let mut out = String::new();
    // Jinja2 adds a newline so that the last line counts even if it is empty.
    let text = python::str(value) + "\n";
    for (index, line) in methods::split_lines(&text, false).iter().enumerate() {
        let line = line.as_str().unwrap_or_default();
        if index > 0 {
            out.push('\n');
        }
        if if index == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&indentation);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn truncate(
    value: &Value,
    length: Option<usize>,
    kill_words: Option<bool>,
    end: Option<&str>,
    named: Kwargs,
) -> Result<String, Error> {
    let length = named.get::<Option<usize>>("length")?.or(length).unwrap_or(255);
    let kill_words = named.get::<Option<bool>>("killwords")?.or(kill_words).unwrap_or(false);
    let end = named.get::<Option<&str>>("end")?.or(end).unwrap_or("...");
    let leeway = named.get::<Option<usize>>("leeway")?.unwrap_or(5);
    named.assert_all_used()?;
    let text = python::str(value);
    if text.chars().count() <= length + leeway {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let kept = if kill_words {
        &kept
    } else {
        kept.rsplit_once(' ').map_or(kept.as_str(), |(before, _)| before)
    };
    Ok(format!("{kept}{end}"))
}

fn trim(value: &Value, chars: Option<&str>) -> String {
    methods::stripped(&python::str(value), chars, true, true).into()
}

fn replace(value: &Value, old: &Value, new: &Value, count: Option<i64>) -> String {
    methods::replace(&python::str(value), &python::str(old), &python::str(new), count)
}

fn join(value: &Value, separator: Option<&Value>, named: Kwargs) -> Result<String, Error> {
    let separator = named
        .get::<Option<Value>>("d")?
        .or(separator.cloned())
        .map_or_else(String::new, |text| python::str(&text));
    let attribute = named.get::<Option<&str>>("attribute")?;
    named.assert_all_used()?;
    let mut out = String::new();
    for (index, item) in items(value)?.enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        let item = attribute.map_or(Ok(item.clone()), |attribute| item.get_attr(attribute))?;
        python::push_str(&item, &mut out);
    }
    Ok(out)
}
