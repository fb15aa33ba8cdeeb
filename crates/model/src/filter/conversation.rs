//! Which conversations are meant.

use std::collections::BTreeSet;
use std::fmt;

use retort_json::Text;

use super::field::{Filter, FilterField, FilterValues, add, flag, limit, list, one, range, time};
use super::phrase::{Phrase, finds};
use super::range::{DateRange, DecimalRange, NumberRange};
use crate::conversation::{Conversation, Kind, Status};
use crate::features::{Features, Rating};
use crate::item::ItemKind;
use crate::judgement::Label;
use crate::language::language_of;

/// A choice of conversations: all that match, at most `limit` of them. Within one field any value may match;
/// the fields must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Queries, of which one has to match; none means all.
    pub search: Vec<Query>,
    /// When it was created.
    pub created: DateRange,
    /// Types; none means all.
    pub kinds: Vec<Kind>,
    /// Statuses; none means all but the deleted, or of those that are named by their ids any.
    pub statuses: Vec<Status>,
    /// Tags; none means any.
    pub tags: Vec<String>,
    /// Names of models, of which one is named; none means any.
    pub models: Vec<String>,
    /// Names of tools, of which one is called; none means any.
    pub tools: Vec<String>,
    /// Who held it; none means anyone.
    pub owners: Vec<String>,
    /// Import formats; none means all.
    pub formats: Vec<String>,
    /// How many messages of the person it has.
    pub turns: NumberRange,
    /// How many messages it has, of everyone and on all branches.
    pub messages: NumberRange,
    /// How many calls of tools.
    pub calls: NumberRange,
    /// How many tokens the source counted.
    pub tokens: NumberRange,
    /// In which all its scores lie.
    pub scores: DecimalRange,
    /// Codes of the languages it may be in; none means any.
    pub languages: Vec<String>,
    /// What a person thought of an answer; none means anything.
    pub ratings: Vec<Rating>,
    /// Labels of it or of an answer; none means any.
    pub labels: Vec<Label>,
    /// People of whom one judged it or one of its answers; none means anyone, or nobody.
    pub judges: Vec<String>,
    /// Whether anyone judged it or one of its answers.
    pub judged: Option<bool>,
    /// Whether an answer failed.
    pub has_error: Option<bool>,
    /// Whether a message has an image, sound or file.
    pub has_attachment: Option<bool>,
    /// Ids; none means all.
    pub ids: BTreeSet<String>,
    /// At most this many: of a stream the first, of a store the most recent.
    pub limit: Option<u64>,
    /// What is meant as well: all that one of these matches. They have no limit and no alternatives of their own.
    pub or: Vec<ConversationFilter>,
    /// Ids that are not meant, whatever matches them.
    pub except: BTreeSet<String>,
}

/// A query, as it was written and as it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) text: String,
    /// What has to be found.
    pub all: Vec<Phrase>,
    /// What must not be found.
    pub none: Vec<Phrase>,
    /// What fields must say.
    pub wanted: Box<ConversationFilter>,
    /// What fields must not say: nothing that matches one of these.
    pub unwanted: Vec<ConversationFilter>,
}

impl Filter for ConversationFilter {
    const KIND: ItemKind = ItemKind::Conversation;
    const NAME: &'static str = "ConversationFilter";
    const FIELDS: &'static [FilterField<Self>] = &[
        list!(
            "search",
            "Only conversations that match this query: words, \"phrases\", `-exclusions` and `field:value`",
            FilterValues::Text,
            search
        )
        .formerly(&["q", "query"], &["query", "select-search"]),
        one!(
            "created_from",
            "Only conversations created at or after this date or time",
            FilterValues::Time,
            created.from,
            time
        ),
        one!(
            "created_before",
            "Only conversations created before this date or time",
            FilterValues::Time,
            created.before,
            time
        ),
        list!(
            "type",
            "Only conversations of this type",
            FilterValues::Words(|| Kind::ALL.iter().map(|kind| kind.as_str()).collect()),
            kinds
        )
        .formerly(&["types"], &["select-type"]),
        list!(
            "status",
            "Only conversations with this status",
            FilterValues::Words(|| Status::ALL.iter().map(|status| status.as_str()).collect()),
            statuses
        )
        .default("all except `deleted`; with `id`, all")
        .formerly(&["statuses"], &["select-status"]),
        list!("tag", "Only conversations with this tag", FilterValues::Text, tags),
        list!("model", "Only conversations that name this model", FilterValues::Text, models),
        list!("tool", "Only conversations that call this tool", FilterValues::Text, tools),
        list!(
            "owner",
            "Only conversations owned by this person, by e-mail or name",
            FilterValues::Text,
            owners
        ),
        list!(
            "format",
            "Only conversations read with this import format",
            FilterValues::Text,
            formats
        ),
        range!("turns", "Only conversations with this many user messages", turns),
        range!("messages", "Only conversations with this many messages, counting all roles", messages),
        range!("calls", "Only conversations with this many tool calls", calls),
        range!(
            "tokens",
            "Only conversations for which the source counted this many tokens, of prompts and answers together",
            tokens
        ),
        range!(
            "score",
            "Only conversations with numeric ratings, all of them in this range",
            FilterValues::Decimals,
            scores
        ),
        list!(
            "language",
            "Only conversations in this language, such as `en`, `de` or `zh`, as far as their text is long enough to tell",
            FilterValues::Text,
            languages
        ),
        list!(
            "rating",
            "Only conversations with an answer that has this rating",
            FilterValues::Words(|| Rating::ALL.iter().map(|rating| rating.as_str()).collect()),
            ratings
        ),
        list!(
            "label",
            "Only conversations with this label, or with an answer that has it",
            FilterValues::Words(|| Label::ALL.iter().map(|label| label.as_str()).collect()),
            labels
        ),
        list!(
            "judged_by",
            "Only conversations that this person judged, as a whole or an answer of it, by e-mail or name",
            FilterValues::Text,
            judges
        ),
        one!(
            "judged",
            "Only conversations that someone judged; `false`: only those that nobody judged",
            FilterValues::Flag,
            judged,
            flag
        ),
        one!(
            "has_error",
            "Only conversations with a failed answer; `false`: only those without",
            FilterValues::Flag,
            has_error,
            flag
        ),
        one!(
            "has_attachment",
            "Only conversations with an image, sound or file; `false`: only those without",
            FilterValues::Flag,
            has_attachment,
            flag
        ),
        list!("id", "Only the conversation with this id", FilterValues::Text, ids)
            .formerly(&["ids"], &["select-id"]),
        one!(
            "limit",
            "At most this many conversations: the first in files, the newest in a store",
            FilterValues::Limit,
            limit,
            limit
        ),
    ];
}

impl ConversationFilter {
    /// Whether it depends on when a conversation was created.
    pub fn asks_for_dates(&self) -> bool {
        self.created != DateRange::default()
            || self.search.iter().any(Query::asks_for_dates)
            || self.or.iter().any(Self::asks_for_dates)
    }

    /// Whether the conversation is meant; the limit is for the caller to count.
    pub fn matches(&self, conversation: &Conversation<'_>) -> bool {
        (self.is_match(conversation) || self.or.iter().any(|other| other.is_match(conversation)))
            && (self.except.is_empty() || !self.except.contains(&*conversation.id.decoded()))
    }

    /// The same selection with the deleted conversations that it leaves out only because nobody asked for them; none
    /// if there are no such.
    pub fn with_deleted(&self) -> Option<Self> {
        let widened = |one: &Self| {
            let mut wider = one.clone();
            if one.leaves_out_deleted() {
                wider.statuses = Status::ALL.to_vec();
            }
            wider
        };
        let is_wider = self.leaves_out_deleted() || self.or.iter().any(Self::leaves_out_deleted);
        is_wider.then(|| Self { or: self.or.iter().map(widened).collect(), ..widened(self) })
    }

    fn leaves_out_deleted(&self) -> bool {
        let leaves_out = |query: &Query| self.has_default_status(Some(query));
        self.has_default_status(None)
            && (self.search.is_empty() || self.search.iter().any(leaves_out))
    }

    /// Whether deleted conversations are left out because nobody asked for them, in the filter or in this query of it: no
    /// status is named, and no id.
    pub fn has_default_status(&self, query: Option<&Query>) -> bool {
        self.statuses.is_empty()
            && self.ids.is_empty()
            && query.is_none_or(|query| !query.names_status())
    }

    fn is_match(&self, conversation: &Conversation<'_>) -> bool {
        let has_status = |query: Option<&Query>| {
            conversation.status != Status::Deleted || !self.has_default_status(query)
        };
        let matches = |query: &Query| has_status(Some(query)) && query.is_match(conversation);
        self.fields_match(conversation)
            && match self.search.as_slice() {
                [] => has_status(None),
                queries => queries.iter().any(matches),
            }
    }

    /// Whether the conversation has what the fields other than the queries ask for; without a status, any.
    fn fields_match(&self, conversation: &Conversation<'_>) -> bool {
        is_any(&self.statuses, |status| *status == conversation.status)
            && is_any(&self.kinds, |kind| *kind == conversation.kind)
            && self.created.contains(conversation.created_at)
            && (self.ids.is_empty() || self.ids.contains(&*conversation.id.decoded()))
            && is_one_of(&self.formats, Some(&conversation.source))
            && is_one_of(&self.owners, conversation.owner.as_ref())
            && (self.tags.is_empty()
                || conversation.tags.iter().any(|tag| is_one_of(&self.tags, Some(tag))))
            && (self.messages.is_all() || self.messages.contains(messages_of(conversation)))
            && (!self.asks_for_features() || self.suits(&Features::of(conversation)))
            && (self.languages.is_empty()
                || language_of(conversation)
                    .is_some_and(|code| self.languages.iter().any(|one| one == code)))
    }

    /// Whether it depends on more than the conversation's own fields.
    fn asks_for_features(&self) -> bool {
        !self.models.is_empty()
            || !self.tools.is_empty()
            || !self.turns.is_all()
            || !self.calls.is_all()
            || !self.tokens.is_all()
            || !self.scores.is_all()
            || !self.ratings.is_empty()
            || !self.labels.is_empty()
            || !self.judges.is_empty()
            || self.judged.is_some()
            || self.has_error.is_some()
            || self.has_attachment.is_some()
    }

    fn suits(&self, features: &Features) -> bool {
        self.turns.contains(features.turns)
            && self.calls.contains(features.calls)
            && self.tokens.contains(features.tokens)
            && (self.scores.is_all()
                || features
                    .scores
                    .is_some_and(|ends| ends.iter().all(|end| self.scores.contains(*end))))
            && is_any(&self.models, |one| features.models.contains(one))
            && is_any(&self.tools, |one| features.tools.contains(one))
            && is_any(&self.labels, |one| features.labels.contains(one))
            && is_any(&self.ratings, |one| features.ratings.contains(one))
            && is_any(&self.judges, |one| features.judges.contains(one))
            && self.judged.is_none_or(|wanted| wanted != features.judges.is_empty())
            && self.has_error.is_none_or(|wanted| wanted == features.has_error)
            && self.has_attachment.is_none_or(|wanted| wanted == features.has_attachment)
    }
}

fn messages_of(conversation: &Conversation<'_>) -> u64 {
    conversation.rounds.iter().map(|round| round.messages.len() as u64).sum()
}

impl Query {
    /// The query as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it asks for deleted conversations, or for some by their ids, deleted or not.
    fn names_status(&self) -> bool {
        !self.wanted.statuses.is_empty() || !self.wanted.ids.is_empty()
    }

    /// Whether it depends on when a conversation was created.
    fn asks_for_dates(&self) -> bool {
        self.wanted.asks_for_dates() || self.unwanted.iter().any(ConversationFilter::asks_for_dates)
    }

    /// Whether the conversation matches.
    pub(super) fn is_match(&self, conversation: &Conversation<'_>) -> bool {
        self.wanted.fields_match(conversation)
            && !self.unwanted.iter().any(|one| one.fields_match(conversation))
            && finds(&self.all, &self.none, conversation)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether one of a field's values matches, or the field has none.
fn is_any<T>(values: &[T], matches: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(matches)
}

/// Whether a text is one of a field's values, or the field has none.
fn is_one_of(values: &[String], text: Option<&Text<'_>>) -> bool {
    is_any(values, |value| text.is_some_and(|text| *value == *text.decoded()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    fn conversation(status: Status) -> Conversation<'static> {
        Conversation {
            id: "c-1".into(),
            status,
            title: Some("Ein Ärger mit dem Zug".into()),
            tags: vec!["旅行".into()],
            created_at: Time::parse("2024-03-01").ok(),
            ..Conversation::default()
        }
    }

    #[test]
    fn deleted_conversations_are_left_out_unless_asked_for() {
        let all = ConversationFilter::default();
        assert!(all.matches(&conversation(Status::Favorite)));
        assert!(!all.matches(&conversation(Status::Deleted)));
        let deleted = ConversationFilter { statuses: vec![Status::Deleted], ..all };
        assert!(deleted.matches(&conversation(Status::Deleted)));
        assert!(!deleted.matches(&conversation(Status::Active)));
    }

    #[test]
    fn deleted_conversations_are_meant_by_their_ids() {
        let named =
            ConversationFilter { ids: ["c-1".into()].into(), ..ConversationFilter::default() };
        assert!(named.matches(&conversation(Status::Deleted)));
        let active = ConversationFilter { statuses: vec![Status::Active], ..named.clone() };
        assert!(!active.matches(&conversation(Status::Deleted)));
        assert_eq!(named.with_deleted(), None);
        let any = ConversationFilter { or: vec![named.clone()], ..ConversationFilter::default() };
        let widened = any.with_deleted().unwrap();
        assert_eq!((widened.statuses.len(), &widened.or), (Status::ALL.len(), &vec![named]));
    }

    #[test]
    fn one_of_several_queries_has_to_match() {
        for (queries, found) in
            [(&["äRGER"][..], true), (&["旅"], true), (&["Flug"], false), (&["Flug", "zug"], true)]
        {
            let search = queries.iter().map(|query| query.parse().unwrap()).collect();
            let selection = ConversationFilter { search, ..ConversationFilter::default() };
            assert_eq!(selection.matches(&conversation(Status::Active)), found, "{queries:?}");
        }
    }

    #[test]
    fn a_query_that_names_a_status_or_an_id_means_deleted_conversations_as_well() {
        for (query, found) in [
            ("zug", false),
            ("status:deleted zug", true),
            ("id:c-1", true),
            ("-status:active", false),
            ("status:active", false),
        ] {
            let search = vec![query.parse().unwrap()];
            let selection = ConversationFilter { search, ..ConversationFilter::default() };
            assert_eq!(selection.matches(&conversation(Status::Deleted)), found, "{query}");
            assert_eq!(
                selection.with_deleted().is_some(),
                !query.contains(':') || query.starts_with('-'),
                "{query}"
            );
        }
    }

    #[test]
    fn the_created_range_is_half_open() {
        for (range, found) in [
            ("2024-03-01..2024-03-02", true),
            ("2024-02-01..2024-03-01", false),
            ("2024-03-01..", true),
            ("..", true),
        ] {
            let selection = ConversationFilter {
                created: range.parse().unwrap(),
                ..ConversationFilter::default()
            };
            assert_eq!(selection.matches(&conversation(Status::Active)), found, "{range}");
        }
    }

    #[test]
    fn alternatives_are_meant_as_well_and_exceptions_never() {
        let mut selection =
            ConversationFilter { kinds: vec![Kind::Graph], ..ConversationFilter::default() };
        assert!(!selection.matches(&conversation(Status::Active)));
        selection.or = vec![ConversationFilter::default()];
        assert!(selection.matches(&conversation(Status::Active)));
        selection.except = ["c-1".into()].into();
        assert!(!selection.matches(&conversation(Status::Active)));
    }

    #[test]
    fn values_of_one_field_are_alternatives_and_fields_must_all_match() {
        let mut selection = ConversationFilter {
            ids: ["x".into(), "c-1".into()].into(),
            ..ConversationFilter::default()
        };
        assert!(selection.matches(&conversation(Status::Active)));
        selection.kinds = vec![Kind::Graph];
        assert!(!selection.matches(&conversation(Status::Active)));
    }
}
