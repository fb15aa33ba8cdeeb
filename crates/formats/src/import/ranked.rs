//! Rows of a question with several answers that someone ranked or scored: Nectar, UltraFeedback as its authors publish it,
//! the Stack Exchange preferences. References: the dataset cards of `berkeley-nest/Nectar`, `openbmb/UltraFeedback` and
//! `HuggingFaceH4/stack-exchange-preferences`.

use retort_json::{RawJson, Text};
use retort_model::{Feedback, Label, Message, Role};

use super::answers::{self, Answer};
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::pairs::{Dialogue, QUESTION};
use super::sniff::Sniff;

/// The format.
pub(super) struct Ranked;

/// Columns with a list of answers.
const ANSWERS: [&str; 6] =
    ["answers", "completions", "responses", "candidates", "outputs", "generations"];

/// Where one of them has its text.
const TEXT: [&str; 7] =
    ["answer", "response", "text", "content", "output", "completion", "generated_text"];

/// Where one has its message, in Vertex AI's sets for preference tuning.
const MESSAGE: &str = "completion";

/// Where one has its place, of which 1 is the best.
const RANK: [&str; 2] = ["rank", "ranking"];

/// Where one has points, of which the most are the best.
const SCORE: [&str; 5] = ["overall_score", "pm_score", "score", "reward", "rating"];

/// What is said about an answer and is no part of it.
const ABOUT: [&str; 4] = ["annotations", "custom_system_prompt", "principle", "fine-grained_score"];

impl ImportFormat for Ranked {
    fn name(&self) -> &'static str {
        "ranked"
    }

    fn about(&self) -> &'static str {
        "a question with several answers that are ranked or scored: Nectar, UltraFeedback, Stack Exchange preferences"
    }

    fn notes(&self) -> &'static str {
        "A column with the question, and a list of answers under `answers`, `completions`, `responses`, `candidates`, \
         `outputs` or `generations`, each with its text and a `rank` (1 is the best) or a score (`score`, \
         `overall_score`, `pm_score`, `reward`, `rating`; the highest is the best). The best answer follows the \
         question and is labeled preferred; the others are its siblings, labeled as rejected and never trained on. \
         Answers that share the first place are all preferred, and the first of them follows. If all share it, or one has \
         neither a rank nor a score, none is labeled or trained on. Scores become ratings, and `critique` becomes a \
         comment. Vertex AI's sets for preference tuning (`contents`, and `completions` with a `score`) are read the same way. \
         Written from the dataset cards and Vertex AI's documentation."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let asks = || {
            let mut keys = QUESTION.iter().filter_map(|name| sniff.key(name));
            keys.any(|key| sniff.is_text(&key) || sniff.holds(&[&key, "role"]))
                || sniff.holds(&["contents", "parts"])
        };
        let is_ranked = |name: &str| {
            (TEXT.iter().any(|text| sniff.text(&[name, text]).is_some())
                || sniff.holds(&[name, MESSAGE, "parts"]))
                && RANK.iter().chain(&SCORE).any(|key| sniff.holds(&[name, key]))
        };
        !["messages", "conversations", "chosen", "rejected"].iter().any(|key| sniff.has(key))
            && ANSWERS.iter().any(|name| is_ranked(name))
            && asks()
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut row = FieldMap::item(item, notes)?;
        let listed = ANSWERS.iter().find_map(|name| Some((name, row.take(&[name], fields::list)?)));
        let (name, listed) = listed.ok_or_else(unknown)?;
        let mut dialogue = Dialogue::default();
        let asked = match row.take(&["prompt", "contents"], fields::list) {
            Some(messages) => RawJson::array(&messages),
            None if dialogue.ask(&mut row) => dialogue.list(),
            None => return Err(unknown()),
        };
        let mut conversation = openai::with_messages(row.rest(), asked, &[], notes)?;
        let places: Option<Vec<f64>> = listed.iter().map(place).collect();
        let labels = labels(places.as_deref());
        let mut all: Vec<Answer> = Vec::new();
        for (at, raw) in listed.iter().enumerate() {
            let mark = notes.mark();
            let label = labels.get(at).copied();
            match read(raw, notes) {
                Some(messages) => all.push((messages, label)),
                None => notes.unplaced("", raw),
            }
            notes.under(mark, || format!("{name}[{at}]"));
        }
        // The best comes first, as the one that follows the question.
        all.sort_by_key(|(_, label)| *label != Some(Label::Preferred));
        if labels.is_empty() {
            answers::add_undecided(&mut conversation, all);
        } else {
            answers::add(&mut conversation, all);
        }
        Ok(conversation.into())
    }
}

/// The place of an answer: the smaller, the better.
fn place(answer: &RawJson<'_>) -> Option<f64> {
    let answer = fields::map(answer)?;
    let number = |name: &str| {
        let raw = answer.peek(name)?;
        fields::number(raw).or_else(|| raw.as_text()?.trim().parse().ok())
    };
    let rank = || RANK.iter().find_map(|name| number(name));
    let score = || SCORE.iter().find_map(|name| number(name));
    rank().or_else(|| Some(-score()?)).filter(|place| place.is_finite())
}

/// What the places say of each answer; nothing if they do not say which is the best.
fn labels(places: Option<&[f64]>) -> Vec<Label> {
    let places = places.unwrap_or_default();
    let best = places.iter().copied().fold(f64::INFINITY, f64::min);
    let label = |place: &f64| if *place > best { Label::Rejected } else { Label::Preferred };
    let labels: Vec<_> = places.iter().map(label).collect();
    if labels.contains(&Label::Rejected) { labels } else { Vec::new() }
}

/// The message of an answer, with what is said about it.
fn read(raw: &RawJson<'_>, notes: &mut Notes) -> Option<Vec<Message<'static>>> {
    let mut answer = FieldMap::of(raw, notes)?;
    let mut message = answer.take(&[MESSAGE], fields::map).unwrap_or_default();
    if message.fields().is_empty() {
        let name = TEXT.into_iter().find(|name| answer.peek(name).is_some_and(fields::is_text))?;
        message.put("role", RawJson::string("assistant"));
        message.put("content", answer.take(&[name], fields::json)?);
    }
    let rating = answer.take(&SCORE, fields::json);
    let comment = answer.take(&["critique"], RawJson::text);
    let beside: Vec<_> = ABOUT
        .iter()
        .filter_map(|name| Some((*name, answer.take(&[name], fields::json)?)))
        .collect();
    for (key, raw) in answer.rest() {
        message.add(key.into_owned(), raw.into_owned());
    }
    let (mut messages, _) = answers::of_response(&message.rest_object()?, notes)?.pop()?;
    let last = messages.iter_mut().rfind(|message| message.role == Role::Assistant)?;
    for (name, raw) in beside {
        last.metadata.put(name.into(), raw.into_owned());
    }
    if rating.is_some() || comment.is_some() {
        last.feedback = Some(Box::new(Feedback {
            rating: rating.map(RawJson::into_owned),
            comment: comment.map(Text::into_owned),
            ..Feedback::default()
        }));
    }
    Some(messages)
}

fn unknown() -> ItemError {
    let why = "no question with a list of answers that are ranked or scored";
    ItemError::new(Refusal::UnknownShape, 0, why)
}
