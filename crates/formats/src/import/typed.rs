//! Items whose every value names its type, as databases in the cloud export them: DynamoDB's `{"S": "text"}` and Firestore's
//! `{"stringValue": "text"}`. [`layout`](super::layout) finds them. References: the API references of DynamoDB
//! (`AttributeValue`) and Firestore (`Value`).

use retort_json::{Kind, RawJson};
use retort_model::Fields;

use super::fields::{self, FieldMap};

/// Values that are nested deeper are not read.
const DEPTH: usize = 64;

/// The items in an export, as plain JSON; none if it has none.
pub(super) fn items<'a>(map: &FieldMap<'a>) -> Option<Vec<RawJson<'a>>> {
    if let Some(one) = ["Item", "NewImage"].iter().find_map(|name| map.peek(name)) {
        return Some(vec![fields_of(one, DEPTH)?]);
    }
    if let Some(listed) = map.peek("Items") {
        return fields::list(listed)?.iter().map(|one| fields_of(one, DEPTH)).collect();
    }
    if let Some(listed) = map.peek("documents") {
        return fields::list(listed)?.iter().map(document).collect();
    }
    let whole = match map.peek("document") {
        Some(one) => one.clone(),
        None if map.has(&["fields"]) && map.has(&["name"]) => RawJson::object(map.fields())?,
        None => return None,
    };
    Some(vec![document(&whole)?])
}

/// The fields of a document of Firestore, with its name as the id where it has none.
fn document(raw: &RawJson<'_>) -> Option<RawJson<'static>> {
    let map = fields::map(raw)?;
    let mut item = fields::map(&fields_of(map.peek("fields")?, DEPTH)?)?;
    if !item.has(&["id"])
        && let Some(path) = map.peek("name").and_then(RawJson::as_text)
    {
        item.put("id", RawJson::string(path.rsplit('/').next()?));
    }
    item.rest_object()
}

/// An object whose values name their types.
fn fields_of(raw: &RawJson<'_>, depth: usize) -> Option<RawJson<'static>> {
    let map = fields::map(raw)?;
    let plain: Option<Fields<'static>> = (map.fields().iter())
        .map(|(key, raw)| Some((key.clone().into_owned(), value(raw, depth)?)))
        .collect();
    RawJson::object(&plain.filter(|fields| !fields.is_empty())?)
}

/// A value without its type; none if it names none.
fn value(raw: &RawJson<'_>, depth: usize) -> Option<RawJson<'static>> {
    let depth = depth.checked_sub(1)?;
    let map = fields::map(raw)?;
    let mut only = map.fields().iter();
    let (Some((name, inner)), None) = (only.next(), only.next()) else { return None };
    let is = |kind| fields::kind(inner) == Some(kind);
    let same = |kind| is(kind).then(|| inner.clone().into_owned());
    let number = || {
        let text = inner.as_text().unwrap_or_else(|| inner.as_str().to_owned());
        RawJson::owned(&text).ok().filter(|raw| fields::kind(raw) == Some(Kind::Number))
    };
    let list = |of: fn(&RawJson<'_>, usize) -> Option<RawJson<'static>>, raw: &RawJson<'_>| {
        let plain: Option<Vec<_>> = fields::list(raw)?.iter().map(|one| of(one, depth)).collect();
        Some(RawJson::array(&plain?))
    };
    // An empty object is left out of what [`RawJson::object`] makes.
    let object = |raw: &RawJson<'_>| match fields::map(raw)?.fields().is_empty() {
        true => RawJson::owned("{}").ok(),
        false => fields_of(raw, depth),
    };
    match &*name.decoded() {
        "S" | "B" | "stringValue" | "bytesValue" | "referenceValue" | "timestampValue" => {
            same(Kind::String)
        }
        "N" | "integerValue" | "doubleValue" => number(),
        "BOOL" | "booleanValue" => same(Kind::Bool),
        "NULL" | "nullValue" => Some(RawJson::null()),
        "SS" | "BS" | "NS" => same(Kind::Array),
        "geoPointValue" => same(Kind::Object),
        "L" => list(value, inner),
        "M" => object(inner),
        "arrayValue" => match fields::map(inner)?.peek("values") {
            Some(values) => list(value, values),
            None => Some(RawJson::array(&[])),
        },
        "mapValue" => match fields::map(inner)?.peek("fields") {
            Some(fields) => object(fields),
            None => RawJson::owned("{}").ok(),
        },
        _ => None,
    }
}
