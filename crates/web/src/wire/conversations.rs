//! Conversations: lists, one, and changes of them.

use retort_model::ConversationFilter;
use retort_service::Summary;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;
use super::{filter, words};

/// A conversation as lists show it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    /// The source's id.
    pub id: String,
    /// The import format that it was read with; ids are one of a kind within it.
    pub source: String,
    /// E-mail address or name of its owner; null if unknown.
    pub owner: Option<String>,
    /// Who imported it; null if that was not recorded.
    #[serde(default)]
    pub importer: Option<String>,
    /// `chat`, `agent` or `graph`.
    #[serde(rename = "type")]
    #[schema(value_type = words::ConversationType)]
    pub kind: String,
    /// `active`, `favorite` or `deleted`.
    #[schema(value_type = words::ConversationStatus)]
    pub status: String,
    /// Its title, cut to 1,000 characters.
    pub title: Option<String>,
    /// The beginning of the first question, in lists, if it has no title.
    #[serde(default)]
    pub question: Option<String>,
    /// Its first 100 tags, each cut to 200 characters.
    pub tags: Vec<String>,
    /// Its model.
    pub model: Option<String>,
    /// When it began, RFC 3339.
    pub created_at: Option<String>,
    /// When it changed last, RFC 3339.
    pub updated_at: Option<String>,
    /// How many rounds.
    pub rounds: u64,
    /// How many messages.
    pub messages: u64,
    /// How many messages of the user.
    #[serde(default)]
    pub turns: u64,
    /// How many tokens, of prompts and answers together, as the source counted them; 0 if it did not.
    #[serde(default)]
    pub tokens: u64,
    /// The highest score of an answer.
    #[serde(default)]
    pub score: Option<f64>,
    /// The language, if it could be detected.
    #[serde(default)]
    pub language: Option<String>,
    /// Bytes of its canonical line.
    pub bytes: u64,
}

impl From<&Summary> for Conversation {
    fn from(summary: &Summary) -> Self {
        Self {
            id: summary.id.clone(),
            source: summary.source.clone(),
            owner: summary.owner.clone(),
            importer: summary.importer.clone(),
            kind: summary.kind.to_string(),
            status: summary.status.to_string(),
            title: summary.title.clone(),
            question: None,
            tags: summary.tags.clone(),
            model: summary.model.clone(),
            created_at: moment(summary.created_at),
            updated_at: moment(summary.updated_at),
            rounds: summary.rounds,
            messages: summary.messages,
            turns: summary.turns,
            tokens: summary.tokens,
            #[allow(clippy::cast_precision_loss, reason = "a score has few digits")]
            score: summary.score.map(|score| score as f64 / 1e6),
            language: summary.language.clone(),
            bytes: summary.size,
        }
    }
}

/// A page of conversations.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationPage {
    /// The conversations.
    pub conversations: Vec<Conversation>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<String>,
}

/// How many conversations a filter matches.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// How many.
    pub total: u64,
}

/// How the conversations that a filter matches are spread over the values of their fields.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationFacets {
    /// How many conversations were counted.
    pub counted: u64,
    /// Whether more may match than were counted; then the newest were counted.
    pub has_more: bool,
    /// The fields that have values.
    pub fields: Vec<ConversationFacet>,
}

/// The values of one field.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationFacet {
    /// The field of the filter, or `month`.
    pub field: String,
    /// The values, most frequent first; ranges and months in order.
    pub values: Vec<ConversationFacetValue>,
}

/// How many conversations have one value.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationFacetValue {
    /// The value.
    pub value: String,
    /// How many of the counted conversations have it.
    pub count: u64,
    /// The condition to add to `search` to find them.
    pub query: String,
}

impl From<retort_service::Facets> for ConversationFacets {
    fn from(facets: retort_service::Facets) -> Self {
        let value = |one: retort_service::FacetValue| ConversationFacetValue {
            value: one.value,
            count: one.count,
            query: one.query,
        };
        let fields = facets.fields.into_iter().map(|facet| ConversationFacet {
            field: facet.field.to_owned(),
            values: facet.values.into_iter().map(value).collect(),
        });
        Self { counted: facets.counted, has_more: facets.has_more, fields: fields.collect() }
    }
}

/// A complete conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WholeConversation {
    /// As lists show it.
    pub summary: Conversation,
    /// Everything that is stored of it, in Retort's canonical form.
    #[schema(value_type = Object)]
    pub conversation: Box<serde_json::value::RawValue>,
}

/// What to change in a conversation. Missing fields stay unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// A new title; empty removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub title: Option<String>,
    /// Tags to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags to remove.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// `active`, `favorite` or `deleted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::ConversationStatus>)]
    pub status: Option<String>,
    /// Whether it is marked as a favorite; on one that is deleted, the mark shows when it is restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favorite: Option<bool>,
    /// Whether it is deleted; if it is restored, it keeps its mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// A change of many conversations.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMany {
    /// Which.
    #[schema(value_type = filter::Conversations)]
    pub selection: ConversationFilter,
    /// What to change; or `purge`.
    #[serde(default)]
    pub change: Change,
    /// Deletes them permanently instead. Works with ids only, not with a filter.
    #[serde(default)]
    pub purge: bool,
}

/// How many conversations were changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// How many were changed; the others already were as requested.
    pub changed: u64,
}
