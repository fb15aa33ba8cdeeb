//! What people said of an answer, and what the caller may say of it, as the page of a conversation shows it.

use retort_json::RawJson;
use retort_model::{Judgement, Message, MessagePosition, Role};
use retort_service::beginning;

use super::display::moment;

/// Characters of an expected answer that are shown beside a judgement.
const TRUTH: usize = 200;

/// Ratings to choose from in the form: their JSON, and their words.
const RATINGS: [(&str, &str); 8] = [
    ("", "No rating"),
    ("true", "Good"),
    ("false", "Bad"),
    ("1", "1"),
    ("2", "2"),
    ("3", "3"),
    ("4", "4"),
    ("5", "5"),
];

/// What the caller may say of an answer.
pub(super) struct Judge {
    /// The answer, as forms name it: positions of round and message, and how it begins.
    pub(super) at: String,
    /// The same as an anchor.
    pub(super) anchor: String,
    /// The address of the page with all that can be said of it; none if that is shown.
    pub(super) more: Option<String>,
    /// What the caller said already.
    pub(super) is_good: bool,
    pub(super) is_bad: bool,
    pub(super) is_unlearnt: bool,
    /// All that can be said of it.
    pub(super) form: Option<JudgeForm>,
}

/// All that can be said of an answer, with what the caller said already.
pub(super) struct JudgeForm {
    /// The ratings: value, words, and whether it is the caller's.
    pub(super) ratings: Vec<(String, String, bool)>,
    pub(super) label: String,
    pub(super) comment: String,
    pub(super) truth: String,
    pub(super) answer: String,
    pub(super) is_unlearnt: bool,
    /// Whether the answer is the caller's own correction.
    pub(super) is_own: bool,
    /// Whether one goes through a queue, so that another conversation comes next.
    pub(super) goes_on: bool,
}

impl Judge {
    /// Of an answer at that place. `name` is the caller's; `open` says of which answer everything is shown; `more` makes
    /// the address at which that is another one's.
    pub(super) fn of(
        message: &Message<'_>,
        place: MessagePosition,
        name: &str,
        open: Option<&str>,
        more: &dyn Fn(&str) -> String,
    ) -> Option<Self> {
        if message.role != Role::Assistant {
            return None;
        }
        let said = message.judgements.iter();
        let mut said = said.filter(|one| one.by.as_ref().is_some_and(|by| *by == *name));
        let said = said.next().cloned().unwrap_or_default();
        let rating = said.rating.as_ref().map_or("", RawJson::as_str).to_owned();
        let at = format!("{}:{}", place.round, place.message);
        let is_open = open == Some(&*at);
        let is_unlearnt = said.train == Some(false);
        Some(Self {
            anchor: format!("m-{}-{}", place.round, place.message),
            more: (!is_open).then(|| more(&at)),
            is_good: rating == "true",
            is_bad: rating == "false",
            is_unlearnt,
            form: is_open.then(|| JudgeForm::of(message, &said, &rating, name)),
            at: format!("{at}:{:x}", beginning(message)),
        })
    }
}

impl JudgeForm {
    fn of(message: &Message<'_>, said: &Judgement<'_>, rating: &str, name: &str) -> Self {
        let mut ratings: Vec<_> = RATINGS
            .iter()
            .map(|(value, words)| ((*value).to_owned(), (*words).to_owned(), *value == rating))
            .collect();
        if !ratings.iter().any(|one| one.2) {
            ratings.push((rating.to_owned(), rating.to_owned(), true));
        }
        let text = |text: &Option<retort_json::Text<'_>>| {
            text.as_ref().map(|text| text.decoded().into_owned()).unwrap_or_default()
        };
        let truth = said.ground_truth.as_ref();
        Self {
            ratings,
            label: text(&said.label),
            comment: text(&said.comment),
            truth: truth
                .map(|raw| raw.as_text().unwrap_or_else(|| raw.as_str().to_owned()))
                .unwrap_or_default(),
            answer: message.words().decoded().into_owned(),
            is_unlearnt: said.train == Some(false),
            is_own: message.corrected_by().as_deref() == Some(name),
            goes_on: false,
        }
    }
}

/// Who said what of a message: the source first, then people by the time.
pub(super) fn said_of(message: &Message<'_>) -> Vec<(String, String)> {
    let who = |one: &Judgement<'_>| match (&one.by, one.at) {
        (Some(by), at) => format!("{} · {}", by.decoded(), moment(at)),
        (None, _) => "Source".to_owned(),
    };
    message.judgements.iter().map(|one| (who(one), words(one))).collect()
}

fn words(one: &Judgement<'_>) -> String {
    let rating = one.rating.as_ref();
    let rating = rating.map(|raw| rated(raw.as_text().unwrap_or_else(|| raw.as_str().to_owned())));
    let texts = [&one.label, &one.comment].into_iter().flatten();
    let texts = texts.map(|text| text.decoded().into_owned());
    let learn =
        one.train.map(|train| if train { "to train on" } else { "not to train on" }.to_owned());
    let truth = one.ground_truth.as_ref().map(|raw| {
        let text = raw.as_text().unwrap_or_else(|| raw.as_str().to_owned());
        format!("expected: {}", text.chars().take(TRUTH).collect::<String>())
    });
    rating.into_iter().chain(texts).chain(learn).chain(truth).collect::<Vec<_>>().join(" · ")
}

/// A rating as people read it.
pub(super) fn rated(rating: String) -> String {
    match &*rating {
        "true" | "1" => "Positive".into(),
        "false" | "-1" => "Negative".into(),
        _ => rating,
    }
}
