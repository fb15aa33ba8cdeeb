//! What an erasure forgets of a person beside their items: what they said about items of others, and their name where
//! something is kept that names them.

use retort_json::RawJson;
use retort_model::{CORRECTED_BY, Conversation, Fields, Item, ItemKind, Scope, canonical};
use retort_store::{AskedIn, ErasedPeople, Incoming, JudgedItem};
use serde_json::{Map, Value};

use crate::caller::LOCAL;
use crate::error::Error;
use crate::import::{incoming_of, incoming_run};
use crate::rebuild::{ERASED, forget_name};
use crate::service::Service;

/// Fields of a filter with names of people, and the one with the text of a query, which can hold any of them.
const NAMES: [&str; 2] = ["owner", "judged_by"];
const QUERY: &str = "search";

/// What takes the place of a name in the text of a query.
const ERASED_WORD: &str = "erased";

impl Service {
    /// Takes back what a person said about items that others hold.
    pub(crate) fn forget_judgements(&self, project: i64, name: &str) -> Result<(), Error> {
        for kind in [ItemKind::Conversation, ItemKind::Run] {
            let mut behind = 0;
            while let Some(item) = self.store.next_judged(kind, (project, name), behind)? {
                let is_done = match kind {
                    ItemKind::Conversation => self.forget_in_conversation(project, &item, name)?,
                    ItemKind::Run | ItemKind::Document => self.forget_in_run(&item, name)?,
                };
                // One that was changed meanwhile is read again.
                if is_done {
                    self.store.forget_earlier_states(item.key)?;
                    behind = item.key;
                }
            }
        }
        Ok(())
    }

    fn forget_in_conversation(
        &self,
        project: i64,
        item: &JudgedItem,
        name: &str,
    ) -> Result<bool, Error> {
        let mut whole = canonical::read(text_of(item)?).map_err(|error| damaged(item, &error))?;
        if !whole.forget_judge(name) {
            return Ok(true);
        }
        let mut line = Vec::new();
        let incoming = incoming_of(&whole, false, self.clock.now(), &mut line);
        let incoming = Incoming { body: self.store.packer().pack(&line)?, ..incoming };
        let scope = Scope::project(project);
        Ok(self.store.change_body(&scope, item.key, item.body, &incoming, None)?)
    }

    fn forget_in_run(&self, item: &JudgedItem, name: &str) -> Result<bool, Error> {
        let mut run = canonical::read_run(text_of(item)?).map_err(|error| damaged(item, &error))?;
        if !forget_corrector(&mut run.metadata, &|corrector| corrector == name) {
            return Ok(true);
        }
        let mut line = Vec::new();
        canonical::write_run(&run, &mut line);
        let body = self.store.packer().pack(&line)?;
        Ok(self.store.change_run_metadata(item, &incoming_run(&run, &line, body))?)
    }

    /// How many items of others still say something of a person's.
    pub(crate) fn said_by(&self, project: i64, name: &str) -> Result<u64, Error> {
        Ok(self.store.judged_by(project, name)?.iter().sum())
    }

    /// Takes the name of a person out of what exports, schedules, saved views and selections ask for.
    pub(crate) fn forget_asked(&self, project: i64, name: &str) -> Result<(), Error> {
        // As JSON writes it.
        let quoted = serde_json::to_string(name).unwrap_or_default();
        let quoted = quoted.trim_matches('"');
        for place in AskedIn::ALL {
            for was in self.store.asked_with(project, place, quoted)? {
                let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(&was) else {
                    continue;
                };
                let is_changed = match place {
                    AskedIn::Exports => {
                        // The rest of a plan is options, whose words may be names, too.
                        let selection = fields.get_mut("selection").and_then(Value::as_object_mut);
                        selection.map_or(0, |selection| forget_name(selection, name))
                            + forget_asked(&mut fields, name)
                    }
                    _ => forget_asked(&mut fields, name),
                } > 0;
                if is_changed {
                    let becomes = serde_json::to_string(&fields).unwrap_or_default();
                    self.store.replace_asked(project, place, (&was, &becomes))?;
                }
            }
        }
        Ok(())
    }

    /// Takes the name of a person who is not in the project any more out of what they made there.
    pub(crate) fn forget_maker(&self, project: i64, erasure: i64, name: &str) -> Result<(), Error> {
        if name != LOCAL {
            self.store.forget_maker(project, erasure, name)?;
        }
        Ok(())
    }
}

/// Takes back what people who were erased said about an item that comes in.
pub(crate) fn forget_erased(item: &mut Item<'_>, erased: &ErasedPeople) {
    match item {
        Item::Conversation(conversation) => forget_erased_judges(conversation, erased),
        Item::Run(run) => {
            forget_corrector(&mut run.metadata, &|name| erased.contains(name));
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

/// Takes the author of its corrected answer out of the metadata of a run, if it is meant; whether it was there.
fn forget_corrector(metadata: &mut Fields<'_>, is_meant: &dyn Fn(&str) -> bool) -> bool {
    let author = metadata.get(CORRECTED_BY).and_then(RawJson::as_text);
    let is_there = author.is_some_and(|author| is_meant(&author));
    if is_there {
        metadata.take(CORRECTED_BY);
    }
    is_there
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

fn text_of(item: &JudgedItem) -> Result<&str, Error> {
    std::str::from_utf8(&item.line).map_err(|error| damaged(item, &error))
}

fn damaged(item: &JudgedItem, why: &dyn std::fmt::Display) -> Error {
    retort_store::Error::Damaged(format!("the item `{}`: {why}", item.id)).into()
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
