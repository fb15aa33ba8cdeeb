//! Tasks of Label Studio: what is labelled under `data`, a dialogue or a question with its answers, and what people said
//! of it under `annotations`. Reference: Label Studio's JSON export and its templates for dialogues and language models.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::Fields;

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::preference::Preference;
use super::question_answer::QuestionAnswer;
use super::sniff::Sniff;

/// The format.
pub(super) struct LabelStudio;

/// What tasks have beside what is labelled.
const TASK: [&str; 5] =
    ["annotations", "completions", "predictions", "total_annotations", "is_labeled"];

/// Under what a turn of a dialogue has who speaks, and what.
const SPEAKER: [&str; 4] = ["author", "role", "speaker", "from"];
const WORDS: [&str; 4] = ["text", "content", "value", "message"];

impl ImportFormat for LabelStudio {
    fn name(&self) -> &'static str {
        "label-studio"
    }

    fn about(&self) -> &'static str {
        "Label Studio's tasks (JSON export): `data` with a dialogue, or with a question and its answers"
    }

    fn notes(&self) -> &'static str {
        "In Label Studio, Export → JSON. A list in `data` whose elements have an `author` (or `role`, `speaker`) and a `text` \
         is the conversation; rows of a question with an answer, or with two to compare, are read as such rows are \
         elsewhere. Annotations and predictions are kept as metadata."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        if !TASK.iter().any(|key| sniff.has(key)) || sniff.kind(&["data"]) != Some(Kind::Object) {
            return false;
        }
        let Some(data) = sniff.raw("data") else { return false };
        let inner = Sniff::of(data.as_str());
        dialogue_of(&inner).is_some()
            || Preference.recognises(&inner)
            || QuestionAnswer.recognises(&inner)
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut task = FieldMap::item(item, notes)?;
        let data = task.take(&["data"], fields::object).ok_or_else(unknown)?;
        let mut fields: Fields<'_> = Fields::new();
        let mut inner = FieldMap::of(&data, notes).ok_or_else(unknown)?;
        let sniff = Sniff::of(data.as_str());
        let named = dialogue_of(&sniff);
        if let Some(name) = &named {
            let turns = inner.take(&[name], fields::list).ok_or_else(unknown)?;
            let turns: Vec<_> = turns.iter().map(turn).collect();
            fields.put("messages".into(), RawJson::array(&turns));
        }
        fields.extend(inner.rest());
        for (key, raw) in task.rest() {
            let is_taken = fields.get(&key.decoded()).is_some();
            let key = if is_taken { format!("task.{}", key.decoded()).into() } else { key };
            fields.put(key, raw);
        }
        let text = RawJson::object(&fields).unwrap_or(RawJson::null()).into_cow();
        let at_start = |error| ItemError { at: 0, ..error };
        if named.is_some() {
            let conversation = openai::object(&mut Parser::new(&text), &["messages"], &[], notes);
            return Ok(conversation.map_err(at_start)?.into_owned().into());
        }
        let format: &dyn ImportFormat =
            if Preference.recognises(&sniff) { &Preference } else { &QuestionAnswer };
        let mut items = Items::default();
        for item in format.parse(&text, notes).map_err(at_start)? {
            items.push(item.into_owned());
        }
        Ok(items)
    }
}

fn unknown() -> ItemError {
    let why = "no dialogue, and no question with an answer, in the `data` of the task";
    ItemError::new(Refusal::UnknownShape, 0, why)
}

/// The key of a list of turns.
fn dialogue_of(data: &Sniff<'_>) -> Option<String> {
    data.keys().into_iter().find(|key| {
        data.kind(&[key]) == Some(Kind::Array)
            && SPEAKER.iter().any(|name| data.holds(&[key, name]))
            && WORDS.iter().any(|name| data.holds(&[key, name]))
    })
}

/// A turn as a message.
fn turn(raw: &RawJson<'_>) -> RawJson<'static> {
    let Some(mut map) = fields::map(raw) else {
        return raw.clone().into_owned();
    };
    for (names, name) in [(&SPEAKER, "role"), (&WORDS, "content")] {
        if let Some(value) = map.take(names, fields::json) {
            map.add(Text::from(name), value);
        }
    }
    map.rest_object().unwrap_or_else(|| raw.clone().into_owned())
}
