//! What people say of a message, of a whole conversation or of a run.

use crate::named;
use crate::time::Time;
use retort_json::{RawJson, Text};

/// What one person says of a message, of a whole conversation or of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement<'a> {
    /// Who says so; none for what the source said.
    pub by: Option<Text<'a>>,
    /// When; none for what the source said.
    pub at: Option<Time>,
    /// A rating: a boolean, a number or a word, as JSON.
    pub rating: Option<RawJson<'a>>,
    /// A category.
    pub label: Option<Text<'a>>,
    /// Words.
    pub comment: Option<Text<'a>>,
    /// What the answer should have been: a text, as JSON.
    pub ground_truth: Option<RawJson<'a>>,
    /// Whether it is preferred or rejected: what the label says, if it is one of these words.
    pub preference: Option<Label>,
    /// Whether it is to be trained on.
    pub train: Option<bool>,
    /// A better answer that they wrote, if it is a run that they judge. In a conversation it is a round of its own.
    pub corrected: Option<Text<'a>>,
}

impl Judgement<'_> {
    /// The same, borrowing from nothing.
    pub fn into_owned(self) -> Judgement<'static> {
        Judgement {
            by: self.by.map(Text::into_owned),
            at: self.at,
            rating: self.rating.map(RawJson::into_owned),
            label: self.label.map(Text::into_owned),
            comment: self.comment.map(Text::into_owned),
            ground_truth: self.ground_truth.map(RawJson::into_owned),
            preference: self.preference,
            train: self.train,
            corrected: self.corrected.map(Text::into_owned),
        }
    }

    /// Whether this person said it.
    pub fn is_by(&self, name: &str) -> bool {
        self.by.as_ref().is_some_and(|by| *by == *name)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.rating.is_none()
            && self.label.is_none()
            && self.comment.is_none()
            && self.ground_truth.is_none()
            && self.preference.is_none()
            && self.train.is_none()
            && self.corrected.is_none()
    }
}

/// What a source says of the worth of an answer, or of a whole conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Good, or better than its alternatives.
    Preferred,
    /// Bad, or worse than its alternatives.
    Rejected,
}

named!(Label, "label", Preferred = "preferred", Rejected = "rejected");
