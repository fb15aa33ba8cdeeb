//! Filters: which conversations, runs or documents are meant.
//!
//! Each filter is a struct and a table of its fields ([`Filter::FIELDS`]). Queries, JSON bodies, stored filters, receipts,
//! the arguments of the command line, the API's schema, forms and `docs/filters.md` all come from the table, so a field
//! has one name and one spelling of its values everywhere. One more field is one entry, and its use in `matches` and in
//! the store's SQL.

mod conversation;
mod document;
mod field;
mod item;
mod phrase;
mod query;
mod range;
mod run;
mod serial;

pub use conversation::{ConversationFilter, Query};
pub use document::DocumentFilter;
pub use field::{Filter, FilterField, FilterValues, check_search};
pub use item::ItemFilter;
pub use phrase::Phrase;
pub use query::condition;
pub use range::{DateRange, DecimalRange, NumberRange};
pub use run::RunFilter;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;

    /// A value that a field takes.
    fn example(values: FilterValues) -> String {
        match values {
            FilterValues::Text => "some",
            FilterValues::Words(words) => words().last().unwrap(),
            FilterValues::Time => "2026-03-01T12:00:00Z",
            FilterValues::Flag => "false",
            FilterValues::Range => "4..10",
            FilterValues::Decimals => "0.5..4",
            FilterValues::Limit => "7",
        }
        .to_owned()
    }

    fn check_table<F: Filter + Serialize + DeserializeOwned + std::fmt::Debug>() {
        let mut all = F::default();
        let mut names = BTreeSet::new();
        for field in F::FIELDS {
            let mut one = F::default();
            let value = example(field.values);
            field.set(&mut one, &value).unwrap();
            field.set(&mut all, &value).unwrap();
            assert_eq!(field.values_in(&one).join(","), value, "{}", field.name);
            let json = serde_json::to_string(&one).unwrap();
            assert_eq!(serde_json::from_str::<F>(&json).unwrap(), one, "{json}");
            for name in std::iter::once(field.name).chain(field.former.iter().copied()) {
                assert!(names.insert(name), "{name}");
                let old = json.replacen(field.name, name, 1);
                assert_eq!(serde_json::from_str::<F>(&old).unwrap(), one, "{old}");
                if field.name != "limit" {
                    assert_eq!(F::from_pairs([(name, &*value)]).unwrap(), one, "{name}");
                }
            }
        }
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<F>(&json).unwrap(), all, "{json}");
        assert_eq!(all.pairs().len() + 1, F::FIELDS.len());
        assert_eq!(serde_json::to_string(&F::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<F>("{}").unwrap(), F::default());
    }

    #[test]
    fn every_field_of_every_filter_is_read_as_it_is_written() {
        check_table::<ConversationFilter>();
        check_table::<RunFilter>();
        check_table::<DocumentFilter>();
    }

    #[test]
    fn the_form_of_a_filter_is_the_same_in_a_query_and_in_json() {
        let filter = ConversationFilter::from_pairs([
            ("type", "chat"),
            ("type", "agent"),
            ("created_from", "2026-03-01"),
        ])
        .unwrap();
        let json = serde_json::to_string(&filter).unwrap();
        assert_eq!(json, r#"{"created_from":"2026-03-01T00:00:00Z","type":["chat","agent"]}"#);
        let pairs = filter.pairs();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(ConversationFilter::from_pairs(pairs).unwrap(), filter);
    }

    #[test]
    fn what_a_filter_does_not_take_is_named() {
        for (json, expect) in [
            (r#"{"serch":["a"]}"#, "unknown field `serch`; did you mean `search`? (known fields"),
            (r#"{"poem":1}"#, "unknown field `poem` (known fields: `search`"),
            (r#"{"type":"chat"}"#, "`type` is a list"),
            (r#"{"type":["poem"]}"#, "unknown type of conversation `poem`"),
            (r#"{"type":[1]}"#, "`type` is a text"),
            (r#"{"created_from":["a"]}"#, "`created_from` is a date or time"),
            (r#"{"created_from":"soon"}"#, "not a date or time: `soon`"),
            (r#"{"limit":"7"}"#, "`limit` is a whole number"),
            (r#"{"limit":-7}"#, "invalid type"),
            (r#"{"search":[""]}"#, "`search` is empty"),
            (r#"{"type":["chat"],"types":["chat"]}"#, "`type` is given twice"),
            (r#"{"or":[{}]}"#, "unknown field `or`"),
        ] {
            let error = serde_json::from_str::<ConversationFilter>(json).unwrap_err().to_string();
            assert!(error.contains(expect), "{json}: {error}");
        }
        for (pair, expect) in [
            (("limit", "7"), "unknown field `limit`"),
            (("has_error", "maybe"), "`maybe` is neither `true` nor `false`"),
            (("has-error", "true"), "did you mean `has_error`?"),
        ] {
            let error = RunFilter::from_pairs([pair]).unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
        let twice = [("source", "copilot"), ("source", "recipe")];
        assert_eq!(RunFilter::from_pairs(twice).unwrap_err(), "`source` is given twice");
    }
}
