//! Names for the fields of a source that are in one object with Retort's own.

use std::collections::HashSet;

use retort_json::{RawJson, Text, write_string};

/// Writes fields of a source behind others of one object, whose names are `taken`. One with a name that is there
/// already is written as `source_NAME`, so that no key occurs twice.
pub(super) fn write_others<'f, 'a: 'f>(
    fields: impl Iterator<Item = &'f (Text<'a>, RawJson<'a>)>,
    taken: &[&'static str],
    out: &mut String,
) {
    let mut fields = fields.peekable();
    if fields.peek().is_none() {
        return;
    }
    let mut names: HashSet<String> = taken.iter().map(|&name| name.to_owned()).collect();
    for (key, raw) in fields {
        let mut name = key.decoded().into_owned();
        while !names.insert(name.clone()) {
            name.insert_str(0, "source_");
        }
        out.push(',');
        write_string(&name, out);
        out.push(':');
        out.push_str(raw.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice() {
        let raw = |text: &'static str| RawJson::parse(text).unwrap();
        let fields: [(Text<'_>, RawJson<'_>); 4] = [
            ("name".into(), raw("1")),
            ("a".into(), raw("2")),
            ("source_name".into(), raw("3")),
            ("a".into(), raw("4")),
        ];
        let mut out = String::new();
        write_others(fields.iter(), &["name"], &mut out);
        let expect = r#","source_name":1,"a":2,"source_source_name":3,"source_a":4"#;
        assert_eq!(out, expect);
    }
}
