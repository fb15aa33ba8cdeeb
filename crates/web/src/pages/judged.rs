//! What people said of an answer, and what the caller may say of it, as the pages of conversations and runs show it.

use retort_json::RawJson;
use retort_model::{Judgement, Label, Message, MessagePosition, Role, Run};
use retort_service::{Error, beginning, beginning_of_answer};

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
    /// Labels to choose from.
    pub(super) labels: Vec<String>,
    /// Whether one goes through a queue, so that another conversation comes next.
    pub(super) goes_on: bool,
}

/// An answer that can be judged.
struct Answer<'a> {
    judgements: &'a [Judgement<'a>],
    place: MessagePosition,
    /// A hash of how it begins.
    beginning: u64,
    /// Its text, or the caller's correction of it.
    text: String,
    /// Whether the text is the caller's own correction.
    is_own: bool,
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
        let answer = || Answer {
            judgements: &message.judgements,
            place,
            beginning: beginning(message),
            text: message.words().decoded().into_owned(),
            is_own: message.corrected_by().as_deref() == Some(name),
        };
        (message.role == Role::Assistant).then(|| Self::of_answer(&answer(), name, open, more))
    }

    /// Of the answer of a run.
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

/// What a page says around the judgements of its answers.
#[derive(Default)]
pub(super) struct Judging {
    /// Where the form of the judgement goes to, and what it holds beside that.
    pub(super) action: String,
    pub(super) hidden: Vec<(&'static str, String)>,
    /// How many are left in the queue that one goes through.
    pub(super) left: Option<String>,
    /// The answer that is shown with its form, as forms name it.
    pub(super) open: Option<String>,
    /// What the last answer is called, if it can be judged; empty if it cannot.
    pub(super) last: &'static str,
    /// What the caller said of the last answer, if it is on the page.
    pub(super) is_good: bool,
    pub(super) is_bad: bool,
    pub(super) is_unlearnt: bool,
    /// The address of everything that can be said of it.
    pub(super) more: Option<String>,
    /// Where it is on the page; empty if it is not.
    pub(super) anchor: String,
    /// The address of what was judged just before; empty if nothing was.
    pub(super) before: String,
}

impl Judging {
    /// Takes what the caller said of the last answer.
    pub(super) fn take_last(&mut self, last: &Judge) {
        self.is_good = last.is_good;
        self.is_bad = last.is_bad;
        self.is_unlearnt = last.is_unlearnt;
        self.more.clone_from(&last.more);
        self.anchor.clone_from(&last.anchor);
    }

    /// Takes the answer that is shown with its form, if this is it; `labels` gives those that were used.
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

/// Who said what: the source first, then people by the time.
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
