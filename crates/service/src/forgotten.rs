//! Taking the name of a person who was erased out of an item or of what was asked for.

use retort_model::{Conversation, Item};
use retort_store::ErasedPeople;
use serde_json::{Map, Value};

/// What takes the place of the name of a person who was erased.
const ERASED: &str = "[erased]";

/// Fields of a filter with names of people, and the one with the text of a query, which can hold any of them.
const NAMES: [&str; 3] = ["owner", "judged_by", "not_judged_by"];
const QUERY: &str = "search";

/// What takes the place of a name in the text of a query.
const ERASED_WORD: &str = "erased";

/// Takes back what people who were erased said about an item that comes in.
pub(crate) fn forget_erased(item: &mut Item<'_>, erased: &ErasedPeople) {
    match item {
        Item::Conversation(conversation) => forget_erased_judges(conversation, erased),
        Item::Run(run) => {
            for judge in run.judges().iter().filter(|judge| erased.contains(judge)) {
                run.forget_judge(judge);
            }
        }
        Item::Document(_) => {}
    }
}

fn forget_erased_judges(conversation: &mut Conversation<'_>, erased: &ErasedPeople) {
    for judge in conversation.judges() {
        if erased.contains(&judge) {
            conversation.forget_judge(&judge);
        }
    }
}

/// Takes the name of a person out of filters; how often it was there.
pub(crate) fn forget_asked(asked: &mut Map<String, Value>, name: &str) -> u64 {
    let mut count = 0;
    for (field, value) in asked {
        count += match value {
            value if NAMES.contains(&field.as_str()) => {
                each_text(value, &|text| (text == name).then(|| ERASED.to_owned()))
            }
            value if field == QUERY => each_text(value, &|text| without_word(text, name)),
            Value::Object(fields) => forget_asked(fields, name),
            Value::Array(values) => values
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .map(|one| forget_asked(one, name))
                .sum(),
            _ => 0,
        };
    }
    count
}

/// Replaces the texts of a value for which there is another; how many.
fn each_text(value: &mut Value, other: &dyn Fn(&str) -> Option<String>) -> u64 {
    match value {
        Value::String(text) => match other(text) {
            Some(becomes) => {
                *text = becomes;
                1
            }
            None => 0,
        },
        Value::Array(values) => values.iter_mut().map(|value| each_text(value, other)).sum(),
        _ => 0,
    }
}

/// A query without a name that is not part of a longer word; none if the name is not there.
fn without_word(query: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    let is_part = |one: Option<char>| one.is_some_and(char::is_alphanumeric);
    let (mut out, mut rest, mut is_changed) = (String::new(), query, false);
    while let Some(at) = rest.find(name) {
        let (before, found) = rest.split_at(at);
        let (_, behind) = found.split_at(name.len());
        let last = before.chars().next_back().or(out.chars().next_back());
        let is_word = !is_part(last) && !is_part(behind.chars().next());
        out.push_str(before);
        out.push_str(if is_word { ERASED_WORD } else { name });
        is_changed |= is_word;
        rest = behind;
    }
    out.push_str(rest);
    is_changed.then_some(out)
}

/// Takes a name out of the texts of what was asked for; how often it was there.
pub(crate) fn forget_name(asked: &mut Map<String, Value>, name: &str) -> u64 {
    asked.values_mut().map(|value| forget_in(value, name)).sum()
}

fn forget_in(value: &mut Value, name: &str) -> u64 {
    match value {
        Value::String(text) if text == name => {
            ERASED.clone_into(text);
            1
        }
        Value::Array(values) => values.iter_mut().map(|value| forget_in(value, name)).sum(),
        Value::Object(fields) => forget_name(fields, name),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_out_of_a_query_where_it_is_a_word() {
        for (query, expect) in [
            ("judged_by:ann refund", Some("judged_by:erased refund")),
            ("-owner:\"ann\" annual ann", Some("-owner:\"erased\" annual erased")),
            ("joanna annual", None),
        ] {
            assert_eq!(without_word(query, "ann").as_deref(), expect, "{query}");
        }
    }

    #[test]
    fn filters_lose_a_name_and_options_of_the_same_name_stay() {
        let asked = serde_json::json!({
            "owner": ["openai", "bob"], "data_format": "openai",
            "or": [{"judged_by": ["openai"], "tag": ["openai"]}],
        });
        let mut fields = asked.as_object().cloned().unwrap_or_default();
        assert_eq!(forget_asked(&mut fields, "openai"), 2);
        let expect = serde_json::json!({
            "owner": ["[erased]", "bob"], "data_format": "openai",
            "or": [{"judged_by": ["[erased]"], "tag": ["openai"]}],
        });
        assert_eq!(Value::Object(fields), expect);
    }
}
