//! The judgements of an answer, and the buttons and the form to judge it, for the pages of conversations and runs.

use retort_json::RawJson;
use retort_model::{Judgement, Label, Message, MessagePosition, Role, Run};
use retort_service::{Error, beginning, beginning_of_answer};

use super::display::moment;

/// Characters of an expected answer that are shown beside a judgement.
const TRUTH: usize = 200;

/// The ratings that the form offers: their JSON, and their words.
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

/// The buttons to judge an answer.
pub(super) struct Judge {
    /// The answer, as forms name it: the positions of its round and message, and a hash of its beginning.
    pub(super) at: String,
    /// The same as an anchor.
    pub(super) anchor: String,
    /// The URL of the page with the whole form; none if the form is shown.
    pub(super) more: Option<String>,
    /// The caller's judgement so far.
    pub(super) is_good: bool,
    pub(super) is_bad: bool,
    pub(super) is_unlearnt: bool,
    /// The whole form, if it is shown.
    pub(super) form: Option<JudgeForm>,
}

/// The whole form to judge an answer, with the caller's judgement so far.
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
    /// The labels that are suggested.
    pub(super) labels: Vec<String>,
    /// Whether this is in a queue, so that another item comes next.
    pub(super) goes_on: bool,
}

/// An answer that can be judged.
struct Answer<'a> {
    judgements: &'a [Judgement<'a>],
    place: MessagePosition,
    /// A hash of its beginning.
    beginning: u64,
    /// Its text, or the caller's correction of it.
    text: String,
    /// Whether the text is the caller's own correction.
    is_own: bool,
}

impl Judge {
    /// The buttons for a message at a position; none if it is not an answer. `name` is the caller's name, `open` the
    /// answer whose form is shown, and `more` returns the URL of the page that shows the form of another answer.
    pub(super) fn of(
        message: &Message<'_>,
        place: MessagePosition,
        name: &str,
        open: Option<&str>,
        more: &dyn Fn(&str) -> String,
    ) -> Option<Self> {
        let answer = || Answer {
            judgements: &message.judgements,
            place,
            beginning: beginning(message),
            text: message.words().decoded().into_owned(),
            is_own: message.corrected_by().as_deref() == Some(name),
        };
        (message.role == Role::Assistant).then(|| Self::of_answer(&answer(), name, open, more))
    }

    /// The buttons for the answer of a run.
    pub(super) fn of_run(
        run: &Run<'_>,
        name: &str,
        open: Option<&str>,
        more: &dyn Fn(&str) -> String,
    ) -> Self {
        let text = run.answer.as_ref().map(|answer| answer.decoded()).unwrap_or_default();
        let own = run.corrections().find(|(_, one)| one.is_by(name));
        let own = own.map(|(text, _)| text.decoded().into_owned());
        let answer = Answer {
            judgements: &run.judgements,
            place: MessagePosition { round: 0, message: 0 },
            beginning: beginning_of_answer(&text),
            is_own: own.is_some(),
            text: own.unwrap_or_else(|| text.clone().into_owned()),
        };
        Self::of_answer(&answer, name, open, more)
    }

    fn of_answer(
        answer: &Answer<'_>,
        name: &str,
        open: Option<&str>,
        more: &dyn Fn(&str) -> String,
    ) -> Self {
        let said = answer.judgements.iter().find(|one| one.is_by(name));
        let said = said.cloned().unwrap_or_default();
        let rating = said.rating.as_ref().map_or("", RawJson::as_str).to_owned();
        let MessagePosition { round, message } = answer.place;
        let at = format!("{round}:{message}");
        let is_open = open == Some(&*at);
        Self {
            anchor: format!("m-{round}-{message}"),
            more: (!is_open).then(|| more(&at)),
            is_good: rating == "true",
            is_bad: rating == "false",
            is_unlearnt: said.train == Some(false),
            form: is_open.then(|| JudgeForm::of(answer, &said, &rating)),
            at: format!("{at}:{:x}", answer.beginning),
        }
    }
}

impl JudgeForm {
    fn of(answer: &Answer<'_>, said: &Judgement<'_>, rating: &str) -> Self {
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
            answer: answer.text.clone(),
            is_unlearnt: said.train == Some(false),
            is_own: answer.is_own,
            labels: Vec::new(),
            goes_on: false,
        }
    }
}

/// What a page needs to judge its answers.
#[derive(Default)]
pub(super) struct Judging {
    /// Where the form is sent, and its hidden fields.
    pub(super) action: String,
    pub(super) hidden: Vec<(&'static str, String)>,
    /// How many are left in the queue; none outside a queue.
    pub(super) left: Option<String>,
    /// The answer whose form is shown, as forms name it.
    pub(super) open: Option<String>,
    /// What the last answer is called, if it can be judged; empty if it cannot.
    pub(super) last: &'static str,
    /// The caller's judgement of the last answer, if it is on the page.
    pub(super) is_good: bool,
    pub(super) is_bad: bool,
    pub(super) is_unlearnt: bool,
    /// The URL of the page with its whole form.
    pub(super) more: Option<String>,
    /// Where it is on the page; empty if it is not.
    pub(super) anchor: String,
    /// The URL of the item that was judged last; empty if there is none.
    pub(super) before: String,
}

impl Judging {
    /// Adds the caller's judgement of the last answer.
    pub(super) fn take_last(&mut self, last: &Judge) {
        self.is_good = last.is_good;
        self.is_bad = last.is_bad;
        self.is_unlearnt = last.is_unlearnt;
        self.more.clone_from(&last.more);
        self.anchor.clone_from(&last.anchor);
    }

    /// Completes the form of this answer if it is shown; `labels` returns the labels that were used before.
    pub(super) fn take_open(
        &mut self,
        judge: &mut Judge,
        labels: impl FnOnce() -> Result<Vec<String>, Error>,
    ) -> Result<(), Error> {
        if let Some(form) = &mut judge.form {
            form.goes_on = self.left.is_some();
            self.open = Some(judge.at.clone());
            let usual = Label::ALL.iter().map(|label| label.as_str().to_owned());
            form.labels = usual.collect();
            let others = labels()?.into_iter().filter(|label| !form.labels.contains(label));
            let others: Vec<_> = others.collect();
            form.labels.extend(others);
        }
        Ok(())
    }
}

/// Who said what: the source first, then people by time.
pub(super) fn said_of(judgements: &[Judgement<'_>]) -> Vec<(String, String)> {
    let who = |one: &Judgement<'_>| match (&one.by, one.at) {
        (Some(by), at) => format!("{} · {}", by.decoded(), moment(at)),
        (None, _) => "Source".to_owned(),
    };
    judgements.iter().map(|one| (who(one), words(one))).collect()
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
    let corrected = one.corrected.as_ref().map(|_| "corrected the answer".to_owned());
    let all = rating.into_iter().chain(texts).chain(learn).chain(truth).chain(corrected);
    all.collect::<Vec<_>>().join(" · ")
}

/// A rating as people read it.
pub(super) fn rated(rating: String) -> String {
    match &*rating {
        "true" | "1" => "Positive".into(),
        "false" | "-1" => "Negative".into(),
        _ => rating,
    }
}
