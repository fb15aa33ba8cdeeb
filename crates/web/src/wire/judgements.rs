//! What people say of answers.

use retort_service::JudgementReport;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The result of adding judgements: read = changed + same + unknown + refused.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Judged {
    /// Rows that were read.
    pub read: u64,
    /// Rows that said something new.
    pub changed: u64,
    /// Rows that said nothing new.
    pub same: u64,
    /// Rows about runs and conversations that do not exist.
    pub unknown: u64,
    /// Rows that could not be used.
    pub refused: u64,
    /// The first of the unknown and refused rows, each with the reason.
    pub first: Vec<String>,
}

impl From<JudgementReport> for Judged {
    fn from(report: JudgementReport) -> Self {
        let JudgementReport { read, changed, same, unknown, refused, first } = report;
        Self { read, changed, same, unknown, refused, first }
    }
}

/// What one person says about a conversation, one of its messages, or the answer of a run. A missing field stays as it
/// was, and `null` removes it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeOne {
    /// The conversation's source, where the id alone is not enough; not for runs, like the next three.
    pub source: Option<String>,
    /// The number of the answer on the branch that is shown, counted from 1 as in the rows of exports.
    pub answer: Option<usize>,
    /// The position of a round in the conversation, from 0; with `message`. Without these and `answer`, the whole
    /// conversation is meant.
    pub round: Option<usize>,
    /// The position of a message in its round, from 0.
    pub message: Option<usize>,
    /// A rating: a boolean, a number or a word.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub rating: Option<Option<serde_json::Value>>,
    /// A category; `preferred` and `rejected` decide about training.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub label: Option<Option<String>>,
    /// Words.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub comment: Option<Option<String>>,
    /// The expected answer.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub ground_truth: Option<Option<String>>,
    /// Whether it is to be trained on.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub train: Option<Option<bool>>,
    /// A corrected answer, which is added as an alternative to the one that it corrects.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub corrected_answer: Option<Option<String>>,
}

/// A field that is there, `null` or not.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
