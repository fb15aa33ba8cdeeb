//! What an answer should have been: what a person said of it, or the reference that a dataset has.

use retort_json::{RawJson, Text, Value};
use retort_model::{Fields, Message};

use super::execution::text_of;
use super::record::Draft;

/// The names under which an answer, or a conversation for its last answer, has its reference.
const NAMES: [&str; 5] =
    ["ground_truth", "reference", "expected_output", "reference_answer", "expected_answer"];

/// The reference for an answer of a draft, or for a question at its end that has none.
pub(super) fn reference_of<'c>(
    draft: &Draft<'c>,
    answer: Option<&Message<'c>>,
) -> Option<Text<'c>> {
    let of_run = draft.run.and_then(|run| run.ground_truth.as_ref()).map(Text::borrowed);
    of_run
        .or_else(|| reference_in(&answer?.metadata))
        .or_else(|| {
            let reference = reference_in(&draft.conversation.metadata)?;
            match answer {
                Some(answer) => std::ptr::eq(draft.last_answer?, answer).then_some(reference),
                None => Some(reference),
            }
        })
        .filter(|reference| !reference.is_blank())
}

fn reference_in(fields: &Fields<'_>) -> Option<Text<'static>> {
    if fields.is_empty() {
        return None;
    }
    let raw = NAMES.iter().find_map(|name| fields.get(name)).filter(|raw| !raw.is_null());
    raw.map(text_of).or_else(|| of_reward_model(fields.get("reward_model")?))
}

/// What a reward is computed from in verl's rows.
fn of_reward_model(raw: &RawJson<'_>) -> Option<Text<'static>> {
    match Value::parse(raw.as_str()).ok()?.get("ground_truth")? {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_owned().into()),
        other => Some(other.to_json().into()),
    }
}
