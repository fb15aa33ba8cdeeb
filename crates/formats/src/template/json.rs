//! JSON to the values of a template, as Python's `json.loads`, and back, as `json.dumps`.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{
    Enumerator, Kwargs, Object, ObjectExt, ObjectRepr, Rest, ValueKind, from_args,
};
use minijinja::{Error, ErrorKind, Value};
use retort_json::{JsonError, Kind, Parser};

use super::prepare::METHOD;
use super::python;

/// A dict that came from JSON.
#[derive(Debug)]
pub(super) struct Dict(pub(super) IndexMap<Arc<str>, Value>);

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if let Some(name) = key.strip_prefix(METHOD) {
            return Some(Value::from_object(Method(name.into())));
        }
        self.0.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_rev_key_value_enumerator(|dict| {
            Box::new(dict.0.iter().map(|(key, value)| (Value::from(key), value.clone())))
        })
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&python::str(&Value::from_dyn_object(Arc::clone(self))))
    }
}

/// A method that is named and not called.
#[derive(Debug)]
struct Method(Box<str>);

impl Object for Method {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<built-in method {} of dict object>", self.0)
    }
}

/// An integer of more digits than a machine's number has.
#[derive(Debug)]
pub(super) struct LongInteger(Box<str>);

impl Object for LongInteger {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the next value of a parser.
pub(super) fn take(parser: &mut Parser<'_>) -> Result<Value, JsonError> {
    Ok(match parser.kind()? {
        Kind::Null => {
            parser.null()?;
            Value::from(())
        }
        Kind::Bool => Value::from(parser.bool()?),
        Kind::Number => number(parser.number()?),
        Kind::String => Value::from(parser.string()?.into_cow()),
        Kind::Array => {
            parser.array()?;
            let mut items = Vec::new();
            while parser.next_element()? {
                items.push(take(parser)?);
            }
            Value::from(items)
        }
        Kind::Object => {
            parser.object()?;
            let mut fields = IndexMap::new();
            while let Some(key) = parser.next_key()? {
                let key = Arc::from(&*key);
                fields.insert(key, take(parser)?);
            }
            Value::from_object(Dict(fields))
        }
    })
}

fn number(text: &str) -> Value {
    if text.contains(['.', 'e', 'E']) {
        return Value::from(text.parse::<f64>().unwrap_or(f64::NAN));
    }
    match (text.parse::<i64>(), text.parse::<i128>()) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) => Value::from(number),
        _ => Value::from_object(LongInteger(text.into())),
    }
}

/// The filter `tojson` as `transformers` defines it: `tojson(ensure_ascii=False, indent=None, separators=None,
/// sort_keys=False)`.
#[allow(clippy::needless_pass_by_value, reason = "MiniJinja hands named arguments over by value")]
pub(super) fn tojson(
    value: &Value,
    positional: Rest<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let mut positional = positional.0.into_iter();
    let mut option = |name: &str| -> Result<Value, Error> {
        match positional.next() {
            Some(value) => Ok(value),
            None => Ok(named.get::<Option<Value>>(name)?.unwrap_or_default()),
        }
    };
    let ensure_ascii = option("ensure_ascii")?.is_true();
    let indent = indentation(&option("indent")?)?;
    let separators = option("separators")?;
    let sort_keys = option("sort_keys")?.is_true();
    named.assert_all_used()?;
    let (item, key) = if is_absent(&separators) {
        (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned())
    } else {
        let texts: Vec<Value> = separators.try_iter()?.collect();
        from_args::<(String, String)>(&texts)?
    };
    let mut dump = Dump { out: String::new(), ensure_ascii, indent, item, key, sort_keys };
    dump.value(value, 0)?;
    Ok(Value::from(dump.out))
}

fn is_absent(value: &Value) -> bool {
    value.is_none() || value.is_undefined()
}

fn indentation(indent: &Value) -> Result<Option<String>, Error> {
    if is_absent(indent) {
        return Ok(None);
    }
    if let Some(text) = indent.as_str() {
        return Ok(Some(text.into()));
    }
    let width = i64::try_from(indent.clone())?;
    Ok(Some(" ".repeat(usize::try_from(width).unwrap_or(0).min(MAX_INDENT))))
}

/// Widest indentation: a template of a few bytes must not make gigabytes.
const MAX_INDENT: usize = 256;

/// Deepest nesting that is written, as for JSON that is read.
const MAX_DEPTH: usize = retort_json::JSON_DEPTH;

struct Dump {
    out: String,
    ensure_ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort_keys: bool,
}

impl Dump {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "value is nested too deep for JSON",
            ));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            _ if python::is_list(value) => self.list(value, depth)?,
            ValueKind::Map if !is_special(value) => self.dict(value, depth)?,
            _ => match value.downcast_object_ref::<LongInteger>() {
                Some(integer) => self.out.push_str(&integer.0),
                None => return Err(not_json(value)),
            },
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) {
        match python::float(value) {
            Some(number) if number.is_nan() => self.out.push_str("NaN"),
            Some(f64::INFINITY) => self.out.push_str("Infinity"),
            Some(f64::NEG_INFINITY) => self.out.push_str("-Infinity"),
            _ => python::push_str(value, &mut self.out),
        }
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut empty = true;
        self.out.push('[');
        for item in value.try_iter()? {
            self.before(empty, depth + 1);
            empty = false;
            self.value(&item, depth + 1)?;
        }
        self.close(']', empty, depth);
        Ok(())
    }

    fn dict(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        self.out.push('{');
        for (index, key) in keys.iter().enumerate() {
            self.before(index == 0, depth + 1);
            match key.kind() {
                ValueKind::String => self.value(key, depth)?,
                ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                    self.out.push('"');
                    self.value(key, depth)?;
                    self.out.push('"');
                }
                _ => return Err(not_json(key)),
            }
            self.out.push_str(&self.key);
            self.value(&value.get_item(key)?, depth + 1)?;
        }
        self.close('}', keys.is_empty(), depth);
        Ok(())
    }

    fn before(&mut self, first: bool, depth: usize) {
        if !first {
            self.out.push_str(&self.item);
        }
        self.new_line(depth);
    }

    fn close(&mut self, bracket: char, empty: bool, depth: usize) {
        if !empty {
            self.new_line(depth);
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn string(&mut self, text: &str) {
        if !self.ensure_ascii {
            retort_json::write_string(text, &mut self.out);
            return;
        }
        let mut escaped = String::new();
        retort_json::write_string(text, &mut escaped);
        for char in escaped.chars() {
            if matches!(char, ' '..='~') {
                self.out.push(char);
            } else {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// Whether a map is no dict: a macro, a namespace, a loop.
fn is_special(value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        object.downcast_ref::<Dict>().is_none()
            && object.downcast_ref::<IndexMap<Value, Value>>().is_none()
    })
}

fn not_json(value: &Value) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{} can't be written as JSON", value.kind()))
}
