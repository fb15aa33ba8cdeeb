//! Preference data: a `chosen` and a `rejected` answer to one question. Both are lists of messages, as TRL trains on
//! them, texts beside a question (Orca's `question` and `system`, `prompt`, `instruction`), or whole transcripts, as in
//! HH-RLHF. Without a question both hold the whole conversation; what they begin with alike is the question. Two answers
//! of which the row does not say which is better (`response_a`, `response_b`) are siblings, and neither is learnt.
//! References: the dataset formats of TRL's documentation, HH-RLHF, LLaMA-Factory's `chosen_messages`, Chatbot Arena, the
//! Stanford Human Preferences.

use retort_json::{Parser, RawJson};
use retort_model::{Fields, Role};

use super::answers::{self, PREFERRED, REJECTED};
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::pairs::{Dialogue, QUESTION};
use super::roles::role_of;
use super::sniff::Sniff;
use super::written_out::conversation_in;

/// The format.
pub(super) struct Preference;

/// Columns of two answers that are compared.
const COMPARED: [[&str; 2]; 16] = [
    ["conversation_a", "conversation_b"],
    ["response_a", "response_b"],
    ["answer_a", "answer_b"],
    ["completion_a", "completion_b"],
    ["output_a", "output_b"],
    ["response_0", "response_1"],
    ["response_1", "response_2"],
    ["answer_1", "answer_2"],
    ["output_1", "output_2"],
    ["response1", "response2"],
    ["answer1", "answer2"],
    ["output1", "output2"],
    REFERENCES,
    PAIRED,
    EDITED,
    EDITED_TWICE,
];

/// The paired answers of Stack Exchange, of which the first is preferred.
const PAIRED: [&str; 2] = ["response_j", "response_k"];

/// HelpSteer3's answers before and after someone edited them, and its edits that follow the feedback or do not.
const EDITED: [&str; 2] = ["edited_response", "original_response"];
const EDITED_TWICE: [&str; 2] = ["good_edited_response", "bad_edited_response"];

/// The Stanford Human Preferences, whose question is under `history`; `labels` is 1 if the first is preferred.
const REFERENCES: [&str; 2] = ["human_ref_A", "human_ref_B"];

/// Columns that say which of two is better, and the words for it.
const WINNER: [&str; 4] = ["winner", "preferred", "better", "better_response_id"];
const STRENGTH: [&str; 2] = ["overall_preference", "preference_strength"];
const FIRST: [&str; 6] = ["a", "model_a", "response_a", "1", "response_1", "first"];
const SECOND: [&str; 6] = ["b", "model_b", "response_b", "2", "response_2", "second"];

impl ImportFormat for Preference {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn about(&self) -> &'static str {
        "preference data: `chosen` and `rejected` as lists of messages, transcripts, or texts with a question; pairs \
         of answers"
    }

    fn notes(&self) -> &'static str {
        "Preference data in this shape, and in those of `openai` or `sharegpt`: the `chosen` answer follows the \
         question, the `rejected` one is its sibling, labeled as such and never trained on. KTO's `label: false` \
         labels the conversation. Transcripts (`\\n\\nHuman: … \\n\\nAssistant: …`, as in HH-RLHF) are read as their \
         messages. Of two answers that are compared (`response_a` and `response_b`, `conversation_a` and \
         `conversation_b`), `winner` says which is preferred; if it does not, both are siblings and neither is trained \
         on. The Stanford Human Preferences (`human_ref_A`), the paired answers of Stack Exchange (`response_j`), \
         HelpSteer (of an edited answer, the edit is preferred) and Chatbot Arena's rows with lists of questions and answers are read the same way. An answer of \
         PKU-SafeRLHF that is marked as unsafe is never the preferred one."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_list = |key: &str| sniff.holds(&[key, "role"]) || sniff.holds(&[key, "from"]);
        let asks = || {
            let mut keys = QUESTION.iter().filter_map(|name| sniff.key(name));
            keys.any(|key| sniff.is_text(&key) || is_list(&key)) || is_list("context")
        };
        let has_both = |names: &[&str; 2]| names.iter().all(|name| sniff.has(name));
        let pair = names().find(|names| has_both(names));
        let is_of_threads = || pair == Some(REFERENCES) && sniff.is_text("history");
        let is_of_arena = || sniff.has("prompt") && sniff.has("winner_model_a");
        let is_openai = sniff.holds(&["input", "messages"]);
        !is_openai
            && !["messages", "conversations", "chat_messages"].iter().any(|key| sniff.has(key))
            && pair.is_some_and(|names| {
                names.iter().all(|name| is_list(name))
                    || asks()
                    || is_of_threads()
                    || is_of_arena()
                    || names.iter().all(|name| {
                        sniff.text(&[name]).is_some_and(|text| conversation_in(&text).is_some())
                    })
            })
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(item, notes)?;
        let has_both = |names: &[&str; 2]| names.iter().all(|name| map.has(&[name]));
        let names = names().find(has_both).ok_or_else(unknown)?;
        if names == REFERENCES
            && let Some(asked) = map.take(&["history"], fields::json)
        {
            map.put("question", asked);
        }
        let mut prompt = map.take(&["prompt", "context"], fields::list_within);
        let mut answers = names.map(|name| map.take(&[name], fields::list_within));
        if let Some(questions) = prompt.take_if(|list| list.iter().all(fields::is_text)) {
            // Arena's rows have a list of questions, and a list of answers of each model.
            for answer in &mut answers {
                *answer = Some(taken_in_turn(&questions, answer.take()).ok_or_else(unknown)?);
            }
        }
        let mut dialogue = Dialogue::default();
        let prompt = match prompt {
            Some(prompt) => Some(RawJson::array(&prompt)),
            None => dialogue.ask(&mut map).then(|| dialogue.list()),
        };
        if prompt.is_none() {
            // Transcripts hold the whole conversation.
            for (answer, name) in answers.iter_mut().zip(names) {
                if answer.is_none() {
                    *answer = map.take(&[name], messages_of);
                }
            }
        }
        if answers.iter().any(Option::is_none) && prompt.is_none() {
            return Err(unknown());
        }
        // Lists that begin with a question hold the whole conversation, and the prompt says it once more.
        let start = if prompt.is_none() || starts_with_question(&answers) {
            Some(start_of(&mut answers))
        } else {
            None
        };
        let labels = labels(names, &map);
        let values: Vec<_> = names
            .into_iter()
            .zip(answers)
            .enumerate()
            .filter_map(|(at, (name, answer))| {
                let value = match answer {
                    Some(answer) => RawJson::array(&answer),
                    None => map.take(&[name], fields::json)?,
                };
                // A rejected answer is never learnt, and being unsafe is why it is the worse one.
                let is_rejected = labels.is_some_and(|labels| labels.get(at) == Some(&"rejected"));
                Some(if is_rejected { value } else { with_safety(name, value, &map) })
            })
            .collect();
        let mut fields: Fields<'_> = map.rest();
        let prompt = match (start, prompt) {
            (Some(start), prompt) => {
                fields.extend(prompt.map(|prompt| ("prompt".into(), prompt)));
                start
            }
            (None, prompt) => prompt.unwrap_or(RawJson::null()),
        };
        fields.put("messages".into(), prompt);
        for (label, value) in labels.iter().flatten().zip(&values) {
            fields.put((*label).into(), value.clone());
        }
        let text = RawJson::object(&fields).unwrap_or(RawJson::null()).into_cow();
        let mark = notes.mark();
        let conversation = openai::object(&mut Parser::new(&text), &["messages"], &[], notes)?;
        let mut conversation = conversation.into_owned();
        if labels.is_none() {
            let mut undecided = Vec::new();
            for (name, value) in names.into_iter().zip(&values) {
                match answers::of_response(value, notes) {
                    Some(answers) => undecided.extend(answers),
                    None => notes.unplaced(name, value),
                }
            }
            answers::add_undecided(&mut conversation, undecided);
        }
        notes.rename(mark, "messages", "prompt");
        Ok(conversation.into())
    }
}

/// Names of the columns with two answers to one question.
fn names() -> impl Iterator<Item = [&'static str; 2]> {
    PREFERRED.into_iter().zip(REJECTED).map(|(one, other)| [one, other]).chain(COMPARED)
}

/// Under which names the answers of these columns are preferred and rejected; none if the row does not say.
fn labels(names: [&str; 2], row: &FieldMap<'_>) -> Option<[&'static str; 2]> {
    if PREFERRED.contains(&names[0]) {
        return Some(["chosen", "rejected"]);
    }
    let is_1 = |name: &str| row.peek(name).and_then(fields::number) == Some(1.0);
    let labels = |is_first| if is_first { ["chosen", "rejected"] } else { ["rejected", "chosen"] };
    match names {
        REFERENCES => return row.has(&["labels"]).then(|| labels(is_1("labels"))),
        PAIRED | EDITED | EDITED_TWICE => return Some(labels(true)),
        _ if is_1("winner_model_a") != is_1("winner_model_b") => {
            return Some(labels(is_1("winner_model_a")));
        }
        _ => {}
    }
    let word = WINNER.iter().chain(&STRENGTH).find_map(|name| {
        let raw = row.peek(name)?;
        Some(raw.as_text().unwrap_or_else(|| raw.as_str().to_owned()).to_ascii_lowercase())
    })?;
    // A number from -3, where the first is much better, to 3, as in HelpSteer2 and 3.
    let score = STRENGTH.iter().find_map(|name| row.peek(name).and_then(fields::number));
    let counts_from_0 = names[0].ends_with("_0");
    let is_first_better = match (score, &*word) {
        (Some(score), _) => (score != 0.0).then_some(score < 0.0),
        (None, "0") if counts_from_0 => Some(true),
        (None, "1") if counts_from_0 => Some(false),
        (None, word) if FIRST.contains(&word) => Some(true),
        (None, word) if SECOND.contains(&word) => Some(false),
        (None, _) => None,
    };
    is_first_better.map(labels)
}

/// An answer, with what a column says of its safety (`is_response_0_safe` of PKU-SafeRLHF).
fn with_safety<'a>(name: &str, answer: RawJson<'a>, row: &FieldMap<'a>) -> RawJson<'a> {
    match row.peek(&format!("is_{name}_safe")) {
        Some(is_safe) if fields::is_text(&answer) => fields::object_of([
            ("role", RawJson::string("assistant")),
            ("content", answer),
            ("is_safe", is_safe.clone()),
        ]),
        _ => answer,
    }
}

/// Questions with their answers, in turn; none if there is not one answer for each.
fn taken_in_turn(
    questions: &[RawJson<'_>],
    answers: Option<Vec<RawJson<'_>>>,
) -> Option<Vec<RawJson<'static>>> {
    let answers = answers.filter(|answers| answers.len() == questions.len())?;
    let mut dialogue = Dialogue::default();
    for (asked, answered) in questions.iter().zip(&answers) {
        dialogue.say("user", &asked.as_text()?);
        dialogue.say("assistant", &answered.as_text()?);
    }
    Some(dialogue.into_messages())
}

/// The messages of a transcript.
fn messages_of<'a>(raw: &RawJson<'a>) -> Option<Vec<RawJson<'a>>> {
    let text = raw.as_text()?;
    let mut dialogue = Dialogue::default();
    conversation_in(&text)?.into_iter().for_each(|(role, text)| dialogue.say(role, text));
    Some(dialogue.into_messages())
}

fn unknown() -> ItemError {
    let why = "no `chosen` and `rejected` answers with a question, nor two others";
    ItemError::new(Refusal::UnknownShape, 0, why)
}

/// Whether all answers begin with a message that is no answer.
fn starts_with_question(answers: &[Option<Vec<RawJson<'_>>>]) -> bool {
    answers.iter().all(|answer| {
        let first = answer.as_ref().and_then(|answer| answer.first());
        let said = first.and_then(fields::map);
        let word = said.and_then(|mut map| map.take(&["role", "from"], RawJson::text));
        word.is_some_and(|word| role_of(&word.decoded()) != Some(Role::Assistant))
    })
}

/// Takes what the answers begin with alike.
fn start_of(answers: &mut [Option<Vec<RawJson<'_>>>]) -> RawJson<'static> {
    let mut all: Vec<_> = answers.iter_mut().flatten().collect();
    let alike = match all.as_slice() {
        [one, other, ..] => {
            one.iter().zip(other.iter()).take_while(|(one, other)| one == other).count()
        }
        _ => 0,
    };
    let mut start = Vec::new();
    for answer in &mut all {
        start = answer.drain(..alike.min(answer.len())).collect();
    }
    RawJson::array(&start)
}
