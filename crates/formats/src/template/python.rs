//! How Python prints values: `str`, `repr`, and numbers.

use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectExt, ObjectRepr, ValueKind};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// A view of a dict: it can be looped over and has a length, but no item has a place.
#[derive(Debug)]
pub(super) struct View(pub(super) Vec<Value>);

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|view| Box::new(view.0.iter().cloned()))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }
}

/// What `str(value)` gives.
pub(super) fn str(value: &Value) -> String {
    let mut out = String::new();
    push_str(value, &mut out);
    out
}

/// Appends what `str(value)` gives.
pub(super) fn push_str(value: &Value, out: &mut String) {
    match value.as_str() {
        Some(text) => out.push_str(text),
        None => push_repr(value, out),
    }
}

/// Appends what `repr(value)` gives.
fn push_repr(value: &Value, out: &mut String) {
    match value.kind() {
        ValueKind::String => push_quoted(value.as_str().unwrap_or_default(), out),
        ValueKind::Number => match float(value) {
            Some(number) => out.push_str(&float_text(number)),
            None => push_display(value, out),
        },
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter().into_iter().flatten().enumerate() {
                separate(index, out);
                push_repr(&key, out);
                out.push_str(": ");
                push_repr(&value.get_item(&key).unwrap_or_default(), out);
            }
            out.push('}');
        }
        _ if is_list(value) => {
            let tuple = value.is_tuple();
            out.push(if tuple { '(' } else { '[' });
            for (index, item) in value.try_iter().into_iter().flatten().enumerate() {
                separate(index, out);
                push_repr(&item, out);
            }
            if tuple && value.len() == Some(1) {
                out.push(',');
            }
            out.push(if tuple { ')' } else { ']' });
        }
        _ => push_display(value, out),
    }
}

fn push_display(value: &Value, out: &mut String) {
    // A `String` takes whatever is written.
    let _ = write!(out, "{value}");
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push_str(", ");
    }
}

/// Whether a value is a list or tuple. To MiniJinja the sum of two lists is no sequence.
pub(super) fn is_list(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Seq => true,
        ValueKind::Iterable => {
            value.len().is_some() && value.downcast_object_ref::<View>().is_none()
        }
        _ => false,
    }
}

/// The number, if it is a float.
pub(super) fn float(value: &Value) -> Option<f64> {
    if value.kind() == ValueKind::Number && !value.is_integer() {
        f64::try_from(value.clone()).ok()
    } else {
        None
    }
}

/// What `repr` of a float gives: the shortest digits that read back as the same number.
pub(super) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let fixed = number.to_string();
        return if fixed.contains('.') { fixed } else { fixed + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Appends what `repr` of a string gives.
fn push_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if char == quote => {
                out.push('\\');
                out.push(char);
            }
            ' '..='~' => out.push(char),
            _ if is_printable(char) => out.push(char),
            _ => push_code(char, out),
        }
    }
    out.push(quote);
}

fn push_code(char: char, out: &mut String) {
    let code = u32::from(char);
    let _ = match code {
        0..=0xFF => write!(out, "\\x{code:02x}"),
        0x100..=0xFFFF => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

fn is_printable(char: char) -> bool {
    use GeneralCategory as Category;
    !matches!(
        char.general_category(),
        Category::Control
            | Category::Format
            | Category::Surrogate
            | Category::PrivateUse
            | Category::Unassigned
            | Category::LineSeparator
            | Category::ParagraphSeparator
            | Category::SpaceSeparator
    )
}

/// Whether `str.isspace` holds for a character.
pub(super) fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

#[cfg(test)]
mod tests {
    use minijinja::Value;

    use super::{float_text, str};

    #[test]
    fn floats_print_as_python_prints_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn containers_print_as_python_prints_them() {
        let list = Value::from(vec![
            Value::from("it's"),
            Value::from("\u{200b}\n\"'"),
            Value::from(1e20),
            Value::from(()),
            Value::from(true),
            Value::from(Vec::<Value>::new()),
        ]);
        assert_eq!(str(&list), r#"["it's", '\u200b\n"\'', 1e+20, None, True, []]"#);
    }
}
