//! What sources say of answers beside them: whether they are to be learnt, whether they were preferred, and how they ended.
//!
//! Marks are on a message, on its parts and calls, in the objects where frameworks keep what is not theirs, or on the whole
//! row. On a message they are read with it (`draft.rs`); here is what their names and values mean, and those of other places
//! are applied to the messages that they are about. Only what forbids counts there: a row with a weight says no more of each
//! of its answers than that it may be learnt.

use std::borrow::Cow;

use retort_json::{RawJson, Text, Value};
use retort_model::{Content, Conversation, Fields, Label, Message, Parent, Role, Round};

use super::fields::{self, list};
use super::unplaced::{Least, says};

/// Fields that say that a message is to be learnt, where they are true or more than 0.
const LEARNT: [&str; 15] = [
    "weight",
    "loss",
    "loss_weight",
    "loss_scale",
    "loss_mask",
    "train",
    "training",
    "trainable",
    "train_on",
    "compute_loss",
    "sampled",
    "learn",
    "output_with_loss",
    "step_loss_mask",
    "train_on_turn",
];

/// Fields that say that a message is not to be learnt, where they are true.
const NOT_LEARNT: [&str; 27] = [
    "is_copied_context",
    "masked",
    "mask",
    "mask_loss",
    "ignore_loss",
    "no_loss",
    "context_only",
    "exclude_from_training",
    "deleted",
    "is_deleted",
    "removed",
    "is_removed",
    "hidden",
    "is_hidden",
    "draft",
    "is_draft",
    "blocked",
    "is_blocked",
    "superseded",
    "is_superseded",
    "flagged",
    "is_flagged",
    "exclude",
    "excluded",
    "discarded",
    "do_not_train",
    "no_train",
];

/// Those of them, and of [`FIT`], that say that a message is no part of the conversation any more.
const TAKEN_AWAY: [&str; 5] = ["deleted", "is_deleted", "removed", "is_removed", "review_result"];

/// Fields that say that a message is good enough to be learnt, where they are true, and that it is not where they are false.
const FIT: [&str; 16] = [
    "is_safe",
    "is_correct",
    "correct",
    "is_valid",
    "valid",
    "is_good",
    "review_result",
    "visible",
    "is_visible",
    "accepted",
    "is_accepted",
    "approved",
    "is_approved",
    "success",
    "passed",
    "is_passed",
];

/// Fields that say by any value, such as a time, that a message is gone.
const GONE: [&str; 1] = ["deleted_at"];

/// Fields of a row that say by a text or an object that what the row is about failed.
const FAILED: [&str; 4] = ["error", "error_str", "error_message", "exception"];

/// Words of a row's `status` that say the same.
const FAILURES: [&str; 6] = ["failed", "failure", "error", "errored", "discarded", "rejected"];

/// Fields of a row with the status of its answer over HTTP, of which 400 and more are failures.
const STATUS_CODE: [&str; 5] =
    ["status_code", "response_status", "response_status_code", "http_status", "http_status_code"];

/// Fields that say that an answer was the better one, where they are true, and the worse one where they are false.
const PREFERRED: [&str; 4] = ["chosen", "is_chosen", "preferred", "is_preferred"];

/// The other way round.
const REJECTED: [&str; 2] = ["rejected", "is_rejected"];

/// Fields that say how an answer ended.
const ENDED: [&str; 4] = ["finish_reason", "finish_reasons", "stop_reason", "done_reason"];

/// Flags that say that an answer did not end by itself.
const TRUNCATED: [&str; 11] = [
    "truncated",
    "is_truncated",
    "stopped",
    "is_stopped",
    "is_partial",
    "streaming",
    "is_streaming",
    "loading",
    "is_loading",
    "pending",
    "is_pending",
];

/// Flags of a message that say the same where they are false. Beside a row they may be of a run's step.
const COMPLETE: [&str; 8] = [
    "complete",
    "is_complete",
    "completed",
    "is_completed",
    "done",
    "is_done",
    "finished",
    "is_finished",
];

/// Objects in which frameworks keep what others say of a message or of a row.
const WITHIN: [&str; 7] = [
    "metadata",
    "meta",
    "additional_kwargs",
    "response_metadata",
    "generation_info",
    "details",
    "extra",
];

/// Whether a field of a message says if it is to be learnt.
pub(super) fn is_mark(key: &str) -> bool {
    [&LEARNT[..], &NOT_LEARNT, &FIT, &GONE].iter().any(|names| is_one(key, names))
}

/// Whether a field of a message says if it was preferred.
pub(super) fn is_label(key: &str) -> bool {
    is_one(key, &["label"]) || is_one(key, &PREFERRED) || is_one(key, &REJECTED)
}

/// Whether a key is one of these names, in any case: `lossWeight` and, of a table, `Loss weight`.
fn is_one(key: &str, names: &[&str]) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        let letters = text.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' '));
        letters.map(|byte| byte.to_ascii_lowercase())
    }
    // This runs for every key of every message, and nearly all keys begin with another letter.
    let first = letters(key).next();
    names.iter().any(|name| name.bytes().next() == first && letters(key).eq(letters(name)))
}

/// What a mark says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Whether the message is to be learnt; none if it does not say.
    pub(super) train: Option<bool>,
    /// Whether that is all that the value says; a weight of 0.5 says more.
    pub(super) is_whole: bool,
}

/// What the value of a mark says.
pub(super) fn read(key: &str, raw: &RawJson<'_>) -> Mark {
    let is_forbidding = is_one(key, &NOT_LEARNT);
    if raw.is_null() || raw.as_text().is_some_and(|text| text.trim().is_empty()) {
        return Mark { train: None, is_whole: true };
    }
    if is_one(key, &GONE) {
        return Mark { train: (weight_of(raw) != Some(0.0)).then_some(false), is_whole: false };
    }
    if is_one(key, &FIT) {
        let is_unfit = weight_of(raw).is_some_and(|weight| weight <= 0.0);
        return Mark { train: is_unfit.then_some(false), is_whole: false };
    }
    if let Some(list) = list(raw) {
        // Marks of the tokens or pieces of a message. No row can say so, so one that forbids a piece forbids the message.
        let forbids =
            |one: &RawJson<'_>| weight_of(one).is_some_and(|it| (it > 0.0) == is_forbidding);
        return Mark { train: list.iter().any(forbids).then_some(false), is_whole: false };
    }
    match weight_of(raw) {
        // What is not said to be context may still be some.
        Some(weight) if is_forbidding => {
            // A mark that something was deleted also matters on a question, so it stays in the metadata.
            let is_whole = !is_one(key, &TAKEN_AWAY);
            Mark { train: (weight > 0.0).then_some(false), is_whole }
        }
        Some(weight) => {
            Mark { train: Some(weight > 0.0), is_whole: weight == 0.0 || weight == 1.0 }
        }
        None => Mark::default(),
    }
}

/// A weight, or a word of yes and no as 1 and 0. Tables hold both as text.
fn weight_of(raw: &RawJson<'_>) -> Option<f64> {
    let word = raw.as_text().map(|text| text.trim().to_ascii_lowercase());
    match word.as_deref().unwrap_or(raw.as_str()) {
        "true" | "t" | "yes" | "on" => Some(1.0),
        "false" | "f" | "no" | "off" => Some(0.0),
        number => number.parse().ok(),
    }
}

/// A boolean, or the number or text of one.
pub(super) fn flag_of(raw: &RawJson<'_>) -> Option<bool> {
    let word = raw.as_text().map(|text| text.trim().to_ascii_lowercase());
    match word.as_deref().unwrap_or(raw.as_str()) {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// What a field says of the worth of an answer, or of that of a whole conversation: by a word of yes and no, or by a word for
/// it.
pub(super) fn label_of(key: &str, raw: &RawJson<'_>) -> Option<Label> {
    let word = raw.as_text().map(|text| text.trim().to_ascii_lowercase().replace('-', "_"));
    let is_good = match word.as_deref() {
        Some("preferred" | "chosen" | "desirable" | "good" | "thumbs_up") => Some(true),
        Some(
            "rejected" | "undesirable" | "bad" | "thumbs_down" | "incorrect" | "wrong" | "fail"
            | "failed",
        ) => Some(false),
        _ => flag_of(raw),
    };
    // That one answer was not rejected does not mean that it was preferred to another.
    match (is_good?, is_one(key, &REJECTED)) {
        (true, false) => Some(Label::Preferred),
        (false, false) | (true, true) => Some(Label::Rejected),
        (false, true) => None,
    }
}

/// Applies the marks beside the messages of a conversation, on their parts and calls, and in their inner objects.
pub(super) fn apply(conversation: &mut Conversation<'_>) {
    end_before_what_was_taken_away(&mut conversation.rounds);
    let Conversation { metadata, rounds, tasks, label, .. } = conversation;
    for round in rounds.iter_mut().chain(tasks.iter_mut().flat_map(|task| &mut task.rounds)) {
        round.messages.iter_mut().for_each(apply_to_message);
    }
    if metadata.is_empty() {
        return;
    }
    if label.is_none() {
        let mut fields = metadata.iter().filter(|(key, _)| is_label(&key.decoded()));
        *label = fields.find_map(|(key, raw)| label_of(&key.decoded(), raw));
    }
    let inner: Vec<_> =
        WITHIN.iter().filter_map(|name| metadata.get(name).map(fields_of)).collect();
    let is_forbidden = forbids(metadata) || inner.iter().any(forbids) || failed(metadata);
    let ended = std::iter::once(&*metadata).chain(&inner).find_map(ended_by);
    let listed = lists(metadata);
    if !is_forbidden && ended.is_none() && listed.is_empty() {
        return;
    }
    let path = conversation.active_path();
    for list in listed {
        let messages = conversation.rounds.iter_mut().flat_map(|round| &mut round.messages);
        let messages: Vec<_> = messages.collect();
        if messages.len() == list.len() {
            let marked = messages.into_iter().zip(list).filter(|(_, is_learnt)| !is_learnt);
            marked.for_each(|(message, _)| message.train = Some(false));
        }
    }
    if is_forbidden {
        let messages = conversation.rounds.iter_mut().flat_map(|round| &mut round.messages);
        let answers = messages.filter(|message| message.role == Role::Assistant);
        answers.for_each(|message| message.train = Some(false));
    }
    let last = path.last().and_then(|&at| conversation.rounds.get_mut(at));
    if let (Some(ended), Some(last)) = (ended, last)
        && let Some(answer) = last.messages.iter_mut().rfind(|one| one.role == Role::Assistant)
        && answer.finish_reason.is_none()
    {
        answer.finish_reason = Some(ended);
    }
}

/// Lets no answer be trained on that follows a question that was deleted: the answer is no answer to another question.
fn end_before_what_was_taken_away(rounds: &mut [Round<'_>]) {
    let is_gone = |message: &Message<'_>| {
        message.role == Role::User
            && message.metadata.iter().any(|(key, raw)| {
                let key = key.decoded();
                (is_one(&key, &TAKEN_AWAY) || is_one(&key, &GONE))
                    && read(&key, raw).train == Some(false)
            })
    };
    if !rounds.iter().any(|round| round.messages.iter().any(is_gone)) {
        return;
    }
    let mut gone: Vec<bool> = Vec::with_capacity(rounds.len());
    for round in rounds {
        let before = match round.parent {
            Parent::Previous => gone.last(),
            Parent::Root => None,
            Parent::Round(at) => gone.get(at),
        };
        let mut is_over = before.copied().unwrap_or(false);
        for message in &mut round.messages {
            is_over |= is_gone(message);
            if is_over && message.role == Role::Assistant {
                message.train = Some(false);
            }
        }
        gone.push(is_over);
    }
}

fn apply_to_message(message: &mut Message<'_>) {
    if message.role != Role::Assistant {
        return;
    }
    let is_forbidden = forbids(&message.metadata)
        || message.tool_calls.iter().any(|call| forbids(&call.metadata))
        || forbids_a_part(message);
    if is_forbidden {
        message.train = Some(false);
    }
    if is_only_begun(message) {
        match message.finish_reason {
            None => message.finish_reason = Some("incomplete".into()),
            // It ended, but not with an answer.
            Some(_) => message.train = Some(false),
        }
    }
    if message.finish_reason.is_none() {
        let is_incomplete = message
            .metadata
            .iter()
            .any(|(key, raw)| is_one(&key.decoded(), &COMPLETE) && flag_of(raw) == Some(false));
        let open = || (is_incomplete || has_open_part(message)).then(|| "incomplete".into());
        message.finish_reason = ended_by(&message.metadata).or_else(open);
    }
    for name in WITHIN {
        let Some(inner) = message.metadata.get(name).map(fields_of) else { continue };
        if forbids(&inner) {
            message.train = Some(false);
        }
        if message.finish_reason.is_none() {
            message.finish_reason = ended_by(&inner);
        }
    }
}

/// How an answer ended by any of these fields, if not by itself.
fn ended_by(fields: &Fields<'_>) -> Option<Text<'static>> {
    fields.iter().find_map(|(key, raw)| {
        let key = key.decoded();
        if is_one(&key, &TRUNCATED) {
            return (flag_of(raw) == Some(true)).then(|| "truncated".into());
        }
        if !is_one(&key, &ENDED) {
            return None;
        }
        // The last of several choices, as there is one answer only.
        let last = list(raw).and_then(|mut all| all.pop());
        ended(last.as_ref().unwrap_or(raw)).map(Text::into_owned).filter(cut_off)
    })
}

/// How an answer ended by what a response says of it in an object, if not by itself.
pub(super) fn ended_within(raw: &RawJson<'_>) -> Option<Text<'static>> {
    ended_by(&fields_of(raw))
}

/// Gemini's enum `FinishReason`, from 1 on. Vertex AI numbers those after `OTHER` differently; none of them is a natural end.
const GEMINI: [&str; 12] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
];

/// How an answer ended, by the value of a field for it: a word, an object around one (`{"type":"length","length":64}` of
/// SGLang, `{"unified":"length"}` of Vercel's AI SDK), or the number of Gemini's enum, which `to_dict` of Google's libraries
/// for Python writes.
pub(super) fn ended<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    if raw.as_str().starts_with('{') {
        return fields::map(raw)?.take(&["type", "reason", "unified"], RawJson::text);
    }
    let word = raw.text();
    let number = match &word {
        Some(word) => word.decoded().trim().parse::<u8>(),
        None => raw.as_str().parse::<u8>(),
    };
    match number {
        Ok(0) => None,
        Ok(number) => Some(GEMINI.get(usize::from(number) - 1).copied().unwrap_or("OTHER").into()),
        Err(_) => word,
    }
}

/// Whether any of these fields forbids to learn what it is about.
fn forbids(fields: &Fields<'_>) -> bool {
    let mut marks = fields.iter().filter(|(key, _)| is_mark(&key.decoded()));
    marks.any(|(key, raw)| {
        // The list of a row is one of its messages or tokens.
        !raw.as_str().starts_with('[') && read(&key.decoded(), raw).train == Some(false)
    })
}

/// Whether what a row is about failed: an agent's run, or a request to a model, whose last answer then is one to an earlier
/// question.
fn failed(row: &Fields<'_>) -> bool {
    row.iter().any(|(key, raw)| {
        let key = key.decoded();
        let word = || raw.as_text().map(|text| text.trim().to_ascii_lowercase());
        if is_one(&key, &FAILED) {
            return match word() {
                Some(word) => !matches!(&*word, "" | "none" | "null" | "false" | "no" | "nan"),
                None => says(raw, Least::Word),
            };
        }
        if is_one(&key, &["status"]) {
            return word().is_some_and(|word| FAILURES.contains(&&*word));
        }
        is_one(&key, &STATUS_CODE) && weight_of(raw).is_some_and(|code| code >= 400.0)
    })
}

/// What begins reasoning or a call in the text of an answer, and what ends it.
const OPEN: [[&str; 2]; 3] =
    [["<think>", "</think>"], ["<thinking>", "</thinking>"], ["<tool_call>", "</tool_call>"]];

/// Whether an answer ends in reasoning or in a call that it began on a line of its own, or has nothing behind its reasoning. An
/// answer about the tag has it within a line.
fn is_only_begun(message: &Message<'_>) -> bool {
    let words = message.words();
    // Nearly no answer has the mark, and it is decoded only if it may have it.
    let written = words.as_written();
    let may_have = |mark: &[&str; 2]| written.contains(mark[0]);
    let may_be = written.contains('<') && OPEN.iter().any(may_have);
    if !may_be && !written.contains("\\u003") {
        return false;
    }
    let words = words.decoded();
    // Reasoning that is also in a field of its own is taken out of the text elsewhere.
    let is_all = message.tool_calls.is_empty() && message.reasoning.is_none();
    let is_nothing = |text: &str| is_all && text.trim().is_empty();
    OPEN.iter().any(|[begin, end]| {
        words.rfind(begin).is_some_and(|at| {
            let (before, behind) = words.split_at(at);
            let is_first = before.rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
            let is_open = behind.rsplit_once(end).is_none_or(|(_, rest)| {
                *begin != "<tool_call>" && before.trim().is_empty() && is_nothing(rest)
            });
            is_first && is_open
        })
    })
}

/// What a part of text has beside it, if it has no mark: `{"type":"text","text":""}` and a little more.
const PART_BYTES: usize = 30;

fn forbids_a_part(message: &Message<'_>) -> bool {
    let Some(Content::Parts(parts)) = &message.content else { return false };
    parts.iter().any(|part| {
        let Some(raw) = &part.raw else { return false };
        let said = part.text.as_ref().map_or(0, |text| text.as_written().len());
        raw.as_str().len() > said + PART_BYTES && forbids(&fields_of(raw))
    })
}

/// Whether a part was still being written when the message was saved, as Vercel's AI SDK marks it.
fn has_open_part(message: &Message<'_>) -> bool {
    let Some(Content::Parts(parts)) = &message.content else { return false };
    parts.iter().filter_map(|part| part.raw.as_ref()).any(|raw| {
        raw.as_str().contains("\"streaming\"")
            && fields::map(raw).is_some_and(|map| {
                map.peek("state").is_some_and(|state| state.as_str() == "\"streaming\"")
            })
    })
}

/// Lists of marks of a row, one for each message.
fn lists(metadata: &Fields<'_>) -> Vec<Vec<bool>> {
    let marks = metadata.iter().filter_map(|(key, raw)| {
        let key = key.decoded();
        let is_learnt = is_one(&key, &LEARNT) || is_one(&key, &["weights", "loss_masks"]);
        let marks = list(raw).filter(|_| is_learnt)?;
        marks.iter().map(|mark| Some(weight_of(mark)? > 0.0)).collect::<Option<Vec<_>>>()
    });
    marks.collect()
}

/// Whether a word for the end or the state of an answer says that it did not end by itself.
pub(super) fn cut_off(status: &Text<'_>) -> bool {
    Message { finish_reason: Some(status.borrowed()), ..Message::default() }.is_cut_off()
}

/// The marks, labels and ends in an object; nothing if it is none.
fn fields_of(raw: &RawJson<'_>) -> Fields<'static> {
    let mut found = Fields::new();
    if raw.as_str().starts_with('{')
        && let Ok(Value::Object(fields)) = Value::parse(raw.as_str())
    {
        let says = |key: &str| is_mark(key) || is_one(key, &ENDED) || is_one(key, &TRUNCATED);
        for (key, value) in fields.iter().filter(|(key, _)| says(key)) {
            if let Ok(value) = RawJson::owned(&value.to_json()) {
                found.put(Cow::<str>::from(key.clone().into_owned()).into(), value);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, value: &str, train: Option<bool>) {
        assert_eq!(read(key, &RawJson::owned(value).unwrap()).train, train, "{key} {value}");
    }

    #[test]
    fn marks_are_flags_weights_and_words_of_either() {
        for value in
            ["0", "0.0", "-0.0", "false", r#""0""#, r#""False""#, r#"" no ""#, r#""off""#, "-1"]
        {
            check("weight", value, Some(false));
            check("masked", value, None);
        }
        for value in ["1", "0.5", "true", r#""1""#, r#""TRUE""#, r#""yes""#] {
            check("loss", value, Some(true));
            check("is_copied_context", value, Some(false));
        }
        for value in ["1", "true", r#""t""#, r#""True""#] {
            check("isDeleted", value, Some(false));
            check("is_safe", value, None);
        }
        for value in ["0", "false", r#""f""#, r#""False""#] {
            check("is_deleted", value, None);
            check("deleted_at", value, None);
            check("is_correct", value, Some(false));
        }
        check("deletedAt", r#""2026-01-01""#, Some(false));
        check("is_correct", r#""partly""#, None);
        for value in ["null", r#""""#, r#""high""#, "{}", "[]", "[1,1]"] {
            check("train", value, None);
        }
        check("loss_mask", "[0,1]", Some(false));
        check("mask", "[0,0]", None);
    }

    #[test]
    fn a_label_says_good_or_bad_or_nothing() {
        let label = |key, value| label_of(key, &RawJson::owned(value).unwrap());
        for (key, value, expect) in [
            ("label", "true", Some(Label::Preferred)),
            ("label", "0", Some(Label::Rejected)),
            ("label", r#""Thumbs-Down""#, Some(Label::Rejected)),
            ("label", r#""sports""#, None),
            ("label", "3", None),
            ("kto_tag", r#""false""#, Some(Label::Rejected)),
            ("chosen", "false", Some(Label::Rejected)),
            ("rejected", "1", Some(Label::Rejected)),
            ("rejected", "false", None),
        ] {
            assert_eq!(label(key, value), expect, "{key} {value}");
        }
    }
}
