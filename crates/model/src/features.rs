//! What filters ask of a conversation that none of its own fields says.

use std::collections::BTreeSet;

use retort_json::RawJson;

use crate::conversation::Conversation;
use crate::judgement::Label;
use crate::language::language_of;
use crate::message::{Feedback, Role};
use crate::named;
use crate::run::Run;

/// Counts and marks of a conversation. They are of the branch that is shown, without the histories of sub-agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Messages of the person.
    pub turns: u64,
    /// Calls of tools.
    pub calls: u64,
    /// Tokens of prompts and answers, as the source counted them.
    pub tokens: u64,
    /// The lowest and the highest rating by a number, in millionths.
    pub scores: Option<[i64; 2]>,
    /// The code of its language; only [`Self::with_language`] detects it.
    pub language: Option<&'static str>,
    /// The models that the conversation or one of the rounds names.
    pub models: BTreeSet<String>,
    /// The tools that are called.
    pub tools: BTreeSet<String>,
    /// Labels of the conversation and of its messages.
    pub labels: BTreeSet<Label>,
    /// What people thought of the answers.
    pub ratings: BTreeSet<Rating>,
    /// Who judged it or one of its messages, of any branch.
    pub judges: BTreeSet<String>,
    /// Whether an answer failed or broke off with an error.
    pub has_error: bool,
    /// Whether a message has an image, sound, file or another part that is not text.
    pub has_attachment: bool,
}

/// What a person thought of an answer, where the source's rating is of two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rating {
    /// `true`, `1`, `good`, `thumbs_up` and the like.
    Good,
    /// `false`, `0`, `-1`, `bad`, `thumbs_down` and the like.
    Bad,
}

named!(Rating, "rating", Good = "good", Bad = "bad");

impl Rating {
    /// What a source's rating means; none if it is a number on an unknown scale, or an unknown word.
    pub fn of(rating: &RawJson<'_>) -> Option<Self> {
        let word = Self::word(rating.as_str().trim().trim_matches('"'));
        match word.as_str() {
            "1" | "1.0" => Some(Self::Good),
            "0" | "0.0" | "_1" | "_1.0" => Some(Self::Bad),
            word => Self::of_word(word),
        }
    }

    /// A rating's text as [`Self::of_word`] takes it: lower case, with `_` for spaces and hyphens.
    pub fn word(text: &str) -> String {
        text.to_ascii_lowercase().replace(['-', ' '], "_")
    }

    /// What a word means on its own, whatever the scale; none if it is not known.
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "true" | "good" | "positive" | "thumbs_up" | "thumbsup" | "up" | "upvote" | "like"
            | "liked" => Some(Self::Good),
            "false" | "bad" | "negative" | "thumbs_down" | "thumbsdown" | "down" | "downvote"
            | "dislike" | "disliked" => Some(Self::Bad),
            _ => None,
        }
    }
}

/// Numbers this large are not scores.
const MOST_SCORE: f64 = 1e12;

impl Feedback<'_> {
    /// The rating in millionths, if it is a number.
    fn score(&self) -> Option<i64> {
        let number: f64 = self.rating.as_ref()?.as_str().trim().trim_matches('"').parse().ok()?;
        #[allow(clippy::cast_possible_truncation, reason = "it is small enough")]
        let millionths = (number * 1e6).round() as i64;
        (number.abs() < MOST_SCORE).then_some(millionths)
    }

    fn verdict(&self) -> Option<Rating> {
        self.rating.as_ref().and_then(Rating::of)
    }
}

impl Features {
    /// As [`Self::of`], with the language.
    pub fn with_language(conversation: &Conversation<'_>) -> Self {
        Self { language: language_of(conversation), ..Self::of(conversation) }
    }

    /// Those of a conversation.
    pub fn of(conversation: &Conversation<'_>) -> Self {
        let mut features = Self::default();
        let rounds = conversation.active_path();
        let rounds: Vec<_> =
            rounds.into_iter().filter_map(|place| conversation.rounds.get(place)).collect();
        features.labels.extend(conversation.label);
        features.judges = conversation.judges();
        let whole = conversation.judged();
        let whole = Feedback { rating: whole.rating, ..Feedback::default() };
        features.ratings.extend(whole.verdict());
        features.scores = whole.score().map(|score| [score; 2]);
        let models = rounds.iter().filter_map(|round| round.model.as_ref());
        for model in conversation.model.iter().chain(models).filter(|model| !model.is_empty()) {
            if !features.models.contains(&*model.decoded()) {
                features.models.insert(model.decoded().into_owned());
            }
        }
        for usage in rounds.iter().map(|round| round.usage) {
            let tokens =
                usage.input_tokens.unwrap_or(0).saturating_add(usage.output_tokens.unwrap_or(0));
            features.tokens = features.tokens.saturating_add(tokens);
        }
        for message in rounds.iter().flat_map(|round| &round.messages) {
            if let Some(score) = message.feedback.as_ref().and_then(|one| one.score()) {
                let [least, most] = features.scores.unwrap_or([score; 2]);
                features.scores = Some([least.min(score), most.max(score)]);
            }
            features.turns += u64::from(message.role == Role::User);
            features.calls += message.tool_calls.len() as u64;
            for call in message.tool_calls.iter().filter(|call| !call.name.is_empty()) {
                if !features.tools.contains(&*call.name.decoded()) {
                    features.tools.insert(call.name.decoded().into_owned());
                }
            }
            features.labels.extend(message.label);
            features.ratings.extend(message.feedback.as_ref().and_then(|one| one.verdict()));
            features.has_error |= message.error.is_some();
            features.has_attachment |= message.attachments().next().is_some();
        }
        features
    }
}

/// What filters ask of a run that none of its own fields says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFeatures {
    /// The models that its nodes called.
    pub models: BTreeSet<String>,
    /// The lowest and the highest rating by a number, of its answer or of a node, in millionths.
    pub scores: Option<[i64; 2]>,
    /// Where it ran, as its trace says.
    pub environment: Option<String>,
    /// Who judged it.
    pub judges: BTreeSet<String>,
}

impl RunFeatures {
    /// Those of a run.
    pub fn of(run: &Run<'_>) -> Self {
        let mut features = Self::default();
        let models = run.nodes.iter().filter_map(|node| node.model.as_ref());
        for model in models.map(|model| model.decoded()).filter(|model| !model.is_empty()) {
            if !features.models.contains(&*model) {
                features.models.insert(model.into_owned());
            }
        }
        let judged = run.nodes.iter().filter_map(|node| node.feedback.as_ref());
        for score in run.feedback.iter().chain(judged).filter_map(|feedback| feedback.score()) {
            let [least, most] = features.scores.unwrap_or([score; 2]);
            features.scores = Some([least.min(score), most.max(score)]);
        }
        let environment = run.metadata.get("environment").and_then(RawJson::as_text);
        features.environment = environment.filter(|word| !word.is_empty());
        features.judges = run.judges();
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Parent, Round, Usage};
    use crate::message::{Content, Message, Part, PartKind, ToolCall};

    #[test]
    fn ratings_of_two_kinds_are_told_apart_and_those_on_a_scale_are_not() {
        for (rating, expect) in [
            ("true", Some(Rating::Good)),
            ("\"thumbs-up\"", Some(Rating::Good)),
            ("1", Some(Rating::Good)),
            ("-1", Some(Rating::Bad)),
            ("\"Bad\"", Some(Rating::Bad)),
            ("4.5", None),
            ("3", None),
            ("\"so so\"", None),
        ] {
            assert_eq!(Rating::of(&RawJson::parse(rating).unwrap()), expect, "{rating}");
        }
    }

    #[test]
    fn scores_and_tokens_are_what_the_source_says() {
        let rated = |rating: &'static str| {
            let rating = Some(RawJson::parse(rating).unwrap());
            let feedback = Some(Box::new(Feedback { rating, ..Feedback::default() }));
            Message { feedback, ..Message::text(Role::Assistant, "a") }
        };
        let ratings = ["4.5", "true", "\"-1\"", "1e99", "\"good\""];
        let usage = Usage { input_tokens: Some(7), output_tokens: Some(5) };
        let round = Round { usage, messages: ratings.map(rated).into(), ..Round::default() };
        let conversation =
            Conversation { rounds: vec![round.clone(), round], ..Conversation::default() };
        let features = Features::of(&conversation);
        assert_eq!((features.tokens, features.scores), (24, Some([-1_000_000, 4_500_000])));
    }

    #[test]
    fn features_are_of_the_branch_that_is_shown() {
        let round = |model: &'static str, parent, messages| Round {
            model: Some(model.into()),
            parent,
            messages,
            ..Round::default()
        };
        let image = Content::Parts(vec![Part { kind: PartKind::Image, text: None, raw: None }]);
        let call = Message {
            role: Role::Assistant,
            tool_calls: vec![ToolCall::default(), ToolCall::default()],
            label: Some(Label::Preferred),
            ..Message::default()
        };
        let failed = Message { error: Some("no".into()), ..Message::text(Role::Assistant, "") };
        let conversation = Conversation {
            model: Some("whole".into()),
            label: Some(Label::Rejected),
            rounds: vec![
                round("one", Parent::Root, vec![Message::text(Role::User, "a"), call]),
                round("left", Parent::Round(0), vec![Message::text(Role::User, "b"), failed]),
                round(
                    "two",
                    Parent::Round(0),
                    vec![Message { content: Some(image), ..Message::default() }],
                ),
            ],
            ..Conversation::default()
        };
        let features = Features::of(&conversation);
        assert_eq!((features.turns, features.calls), (2, 2));
        assert_eq!(features.models, ["one", "two", "whole"].map(str::to_owned).into());
        assert_eq!(features.labels, [Label::Preferred, Label::Rejected].into());
        assert_eq!((features.has_error, features.has_attachment), (false, true));
        let other = Conversation { current: Some(1), ..conversation };
        let features = Features::of(&other);
        assert_eq!((features.has_error, features.has_attachment), (true, false));
    }
}
