//! The methods of Python's `str`, `dict`, `list` and numbers that templates call.
//!
//! Methods that change their object are no part of this: `transformers` renders in a sandbox that forbids them.

use std::ops::Range;

use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value, formatting};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::python::{self, View, is_space};

/// Calls `method` of `value`.
pub(super) fn call(
    _: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => of_str(value.as_str().unwrap_or_default(), method, args),
        ValueKind::Map => of_dict(value, method, args),
        _ if python::is_list(value) => of_list(value, method, args),
        ValueKind::Number if method == "is_integer" => {
            Ok(Value::from(python::float(value).is_none_or(|number| number.fract() == 0.0)))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn of_dict(dict: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let pairs = || -> Result<Vec<(Value, Value)>, Error> {
        dict.try_iter()?.map(|key| Ok((key.clone(), dict.get_item(&key)?))).collect()
    };
    match method {
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(args)?;
            let found = dict.get_item(&key).unwrap_or_default();
            Ok(if found.is_undefined() { default.unwrap_or(Value::from(())) } else { found })
        }
        "items" => {
            let () = from_args(args)?;
            Ok(view(pairs()?.into_iter().map(|(key, value)| Tuple::from([key, value]).into())))
        }
        "keys" => {
            let () = from_args(args)?;
            Ok(view(dict.try_iter()?))
        }
        "values" => {
            let () = from_args(args)?;
            Ok(view(pairs()?.into_iter().map(|(_, value)| value)))
        }
        "copy" => {
            let () = from_args(args)?;
            Ok(Value::from_pairs(pairs()?))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn view(items: impl Iterator<Item = Value>) -> Value {
    Value::from_object(View(items.collect()))
}

fn of_list(list: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "count" => {
            let (item,): (Value,) = from_args(args)?;
            Ok(Value::from(list.try_iter()?.filter(|other| *other == item).count()))
        }
        "index" => {
            let (item,): (Value,) = from_args(args)?;
            let place = list.try_iter()?.position(|other| other == item);
            place.map(Value::from).ok_or_else(|| invalid("the item is not in the list"))
        }
        "copy" if !list.is_tuple() => {
            let () = from_args(args)?;
            Ok(Value::from(list.try_iter()?.collect::<Vec<_>>()))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn of_str(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match method {
        "upper" => plain(args, text.to_uppercase())?,
        "lower" => plain(args, text.to_lowercase())?,
        "casefold" => plain(args, text.to_lowercase().replace('ß', "ss"))?,
        "capitalize" => plain(args, capitalize(text))?,
        "title" => plain(args, title(text))?,
        "swapcase" => plain(args, text.chars().map(swap_case).collect::<String>())?,
        "strip" => strip(text, args, true, true)?,
        "lstrip" => strip(text, args, true, false)?,
        "rstrip" => strip(text, args, false, true)?,
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "replace" => {
            let (old, new, count, named): (&str, &str, Option<i64>, Kwargs) = from_args(args)?;
            let count = named.get::<Option<i64>>("count")?.or(count);
            named.assert_all_used()?;
            Value::from(replace(text, old, new, count))
        }
        "split" => split(text, args, false)?,
        "rsplit" => split(text, args, true)?,
        "splitlines" => {
            let (keep, named): (Option<bool>, Kwargs) = from_args(args)?;
            let keep = named.get::<Option<bool>>("keepends")?.or(keep).unwrap_or(false);
            named.assert_all_used()?;
            Value::from(split_lines(text, keep))
        }
        "partition" | "rpartition" => partition(text, args, method == "rpartition")?,
        "startswith" => {
            Value::from(any_affix(text, args, |text, prefix| text.starts_with(prefix))?)
        }
        "endswith" => Value::from(any_affix(text, args, |text, suffix| text.ends_with(suffix))?),
        "find" | "rfind" | "index" | "rindex" => find(text, method, args)?,
        "count" => {
            let (part,): (&str,) = from_args(args)?;
            Value::from(text.matches(part).count())
        }
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            join(text, &items)?
        }
        "format" => {
            Value::from(formatting::format(formatting::FormatStyle::StrFormat, text, args)?)
        }
        "center" | "ljust" | "rjust" => justify(text, method, args)?,
        "zfill" => zfill(text, args)?,
        "isspace" => check(text, args, |text| all(text, is_space))?,
        "isalpha" => check(text, args, |text| all(text, char::is_alphabetic))?,
        "isalnum" => check(text, args, |text| all(text, char::is_alphanumeric))?,
        "isdecimal" => check(text, args, |text| all(text, is_decimal))?,
        "isdigit" => check(text, args, |text| {
            all(text, |char| is_decimal(char) || is_raised_or_lowered_digit(char))
        })?,
        "isnumeric" => check(text, args, |text| all(text, char::is_numeric))?,
        "isascii" => check(text, args, str::is_ascii)?,
        "islower" => check(text, args, |text| {
            text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
        })?,
        "isupper" => check(text, args, |text| {
            text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
        })?,
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn plain(args: &[Value], result: String) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(Value::from(result))
}

fn check(text: &str, args: &[Value], test: impl Fn(&str) -> bool) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(Value::from(test(text)))
}

fn all(text: &str, test: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(test)
}

fn is_decimal(char: char) -> bool {
    char.general_category() == GeneralCategory::DecimalNumber
}

fn is_raised_or_lowered_digit(char: char) -> bool {
    matches!(char, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉')
}

/// The first letter upper case, the rest lower case.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()
    })
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for char in text.chars() {
        let cased = char.is_lowercase() || char.is_uppercase();
        if !cased {
            out.push(char);
        } else if inside {
            out.extend(char.to_lowercase());
        } else {
            out.extend(char.to_uppercase());
        }
        inside = cased;
    }
    out
}

fn swap_case(char: char) -> char {
    let swapped =
        if char.is_uppercase() { char.to_lowercase().next() } else { char.to_uppercase().next() };
    swapped.unwrap_or(char)
}

fn strip(text: &str, args: &[Value], left: bool, right: bool) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    Ok(Value::from(stripped(text, chars, left, right)))
}

/// `text` without the characters of `chars`, or without white space, at its ends.
pub(super) fn stripped<'a>(text: &'a str, chars: Option<&str>, left: bool, right: bool) -> &'a str {
    let is_stripped = |char| chars.map_or_else(|| is_space(char), |chars| chars.contains(char));
    let text = if left { text.trim_start_matches(is_stripped) } else { text };
    if right { text.trim_end_matches(is_stripped) } else { text }
}

/// Replaces the first `count` places of `old`, or all of them.
pub(super) fn replace(text: &str, old: &str, new: &str, count: Option<i64>) -> String {
    match count.map(usize::try_from) {
        Some(Ok(count)) => text.replacen(old, new, count),
        _ => text.replace(old, new),
    }
}

fn split(text: &str, args: &[Value], from_end: bool) -> Result<Value, Error> {
    let (separator, limit, named): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = named.get::<Option<&str>>("sep")?.or(separator);
    let limit = named.get::<Option<i64>>("maxsplit")?.or(limit);
    named.assert_all_used()?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let parts: Vec<&str> = match separator {
        Some("") => return Err(invalid("empty separator")),
        Some(separator) if from_end => {
            let mut parts: Vec<_> = text.rsplitn(limit.saturating_add(1), separator).collect();
            parts.reverse();
            parts
        }
        Some(separator) => text.splitn(limit.saturating_add(1), separator).collect(),
        None => words(text, limit, from_end),
    };
    Ok(Value::from(parts.into_iter().map(Value::from).collect::<Vec<_>>()))
}

/// Splits at white space, `limit` times at most.
fn words(text: &str, limit: usize, from_end: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = stripped(text, None, !from_end, from_end);
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest);
            break;
        }
        let (word, after) = if from_end {
            let at = rest.rfind(is_space).map_or(0, |at| {
                at + rest.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
            });
            let (after, word) = rest.split_at(at);
            (word, after)
        } else {
            rest.split_at(rest.find(is_space).unwrap_or(rest.len()))
        };
        parts.push(word);
        rest = stripped(after, None, !from_end, from_end);
    }
    if from_end {
        parts.reverse();
    }
    parts
}

/// The lines of `text`, at every line end that Python knows.
pub(super) fn split_lines(text: &str, keep_ends: bool) -> Vec<Value> {
    const ENDS: [char; 10] = [
        '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}',
        '\u{2029}',
    ];
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(ENDS).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        let length = if after.starts_with("\r\n") {
            2
        } else {
            after.chars().next().map_or(0, char::len_utf8)
        };
        let (whole, after) = rest.split_at(end + length);
        lines.push(Value::from(if keep_ends { whole } else { line }));
        rest = after;
    }
    lines
}

fn partition(text: &str, args: &[Value], last: bool) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    if separator.is_empty() {
        return Err(invalid("empty separator"));
    }
    let found = if last { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if last => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Tuple::from(parts.map(Value::from)).into())
}

fn any_affix(text: &str, args: &[Value], test: impl Fn(&str, &str) -> bool) -> Result<bool, Error> {
    let (affix, start, end): (Value, Option<i64>, Option<i64>) = from_args(args)?;
    let Some(text) = within(text, start, end).and_then(|range| text.get(range)) else {
        return Ok(false);
    };
    if let Some(affix) = affix.as_str() {
        return Ok(test(text, affix));
    }
    if !affix.is_tuple() {
        return Err(invalid(format!(
            "expected a string or a tuple of strings, not {}",
            affix.kind()
        )));
    }
    for affix in affix.try_iter()? {
        let affix = affix.as_str().ok_or_else(|| invalid("expected a tuple of strings"))?;
        if test(text, affix) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The bytes of the characters from `start` to `end`, which count from the end if they are negative. None if `start` is
/// behind the end.
fn within(text: &str, start: Option<i64>, end: Option<i64>) -> Option<Range<usize>> {
    if start.is_none() && end.is_none() {
        return Some(0..text.len());
    }
    let length = text.chars().count();
    let place = |place: i64| {
        let distance = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX);
        if place < 0 { length.saturating_sub(distance) } else { distance }
    };
    let start = start.map_or(0, place);
    let end = end.map_or(length, place).min(length);
    let byte = |place| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    (start <= end).then(|| byte(start)..byte(end))
}

fn find(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (part, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    let found = within(text, start, end).and_then(|range| {
        let searched = text.get(range.clone())?;
        let at = if method.starts_with('r') { searched.rfind(part) } else { searched.find(part) }?;
        text.get(..range.start + at)
    });
    match found {
        Some(before) => Ok(Value::from(before.chars().count())),
        None if method.ends_with("index") => Err(invalid("substring not found")),
        None => Ok(Value::from(-1)),
    }
}

fn join(separator: &str, items: &Value) -> Result<Value, Error> {
    let mut out = String::new();
    for (index, item) in items.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(
            item.as_str().ok_or_else(|| {
                invalid(format!("expected a string to join, not {}", item.kind()))
            })?,
        );
    }
    Ok(Value::from(out))
}

/// Widest padding: a template of a few bytes must not make gigabytes.
pub(super) const MAX_WIDTH: usize = 10_000;

pub(super) fn justify(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<char>) = from_args(args)?;
    let missing = width.min(MAX_WIDTH).saturating_sub(text.chars().count());
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        // As CPython does: the odd one goes to the left where the width is odd, too.
        _ => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| std::iter::repeat_n(fill.unwrap_or(' '), count);
    Ok(Value::from(fill(left).chain(text.chars()).chain(fill(missing - left)).collect::<String>()))
}

fn zfill(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (width,): (usize,) = from_args(args)?;
    let missing = width.min(MAX_WIDTH).saturating_sub(text.chars().count());
    let digits = text.trim_start_matches(['+', '-']);
    let (sign, digits) = text.split_at(text.len() - digits.len().max(text.len().saturating_sub(1)));
    Ok(Value::from(format!("{sign}{}{digits}", "0".repeat(missing))))
}
