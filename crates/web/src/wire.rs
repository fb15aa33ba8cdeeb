//! What goes over the wire: JSON shapes of what the service knows. `--json` of the command line has the same.

mod documents;
mod erasures;
mod export;
mod fields;
pub mod filter;
mod jobs;
mod options;
mod people;
mod runs;
mod schedules;
mod stats;
mod traces;
mod words;

use std::collections::BTreeMap;

use retort_model::{Action, ConversationFilter};
use retort_service::package::Finding;
use retort_service::{
    AuditEntry, ImportReport, JudgementReport, Order, Shows, Summary, Taken, Without,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use self::fields::{moment, time, word};
use self::words::ConversationOrder;
use crate::problem::Problem;

pub use documents::{Chunks, Document, DocumentPage, DocumentStats, PurgeDocuments};
pub use erasures::{
    AffectedDatasetPreview, ErasedDataset, Erasure, ErasurePerson, ErasurePreview, Erasures,
};
pub use export::Export;
pub use filter::Filtered;
pub use jobs::{Done, Event, Job, Jobs};
pub use options::Options;
pub use people::{
    Accept, Belongings, DeleteAccount, Ended, Invitation, Invitations, Invite, Me, Member, Members,
    NewPassword, NewToken, Person, Project, Projects, Role, Secret, Session, SignIn, Token, Tokens,
    invitation_path, share_path, sign_in_path,
};
pub use runs::{
    Flow, FlowNode, FlowVersion, Flows, Latency, PurgeRuns, Purged, Run, RunBar, RunPage, RunStats,
    WholeFlow, WholeRun,
};
pub use schedules::{
    DatasetDeliveries, DatasetDelivery, Destinations, NewSchedule, Schedule, SchedulePlan,
    ScheduleRun, ScheduleRuns, Schedules, Series, SeriesWindow,
};
pub use stats::{Contents, Duplicates, Lengths, NotUnderstood, Stats, UsedTokens};
pub use traces::{ExportTraceResponse, OtlpStatus, PartialSuccess};

/// A conversation as lists show it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    /// The source's id.
    pub id: String,
    /// The import format that it was read with; ids are one of a kind within it.
    pub source: String,
    /// E-mail or name of who held it; null if unknown.
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
    /// The beginning of the first question, in lists, where it has no title.
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
    /// The language, as far as it can be told.
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
    /// What `after` is for the next page; null on the last.
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
    /// Whether more match than were counted: then the newest were.
    pub has_more: bool,
    /// The fields that have values.
    pub fields: Vec<ConversationFacet>,
}

/// The values of one field.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationFacet {
    /// The field of the filter, or `month`.
    pub field: String,
    /// The values, the most frequent ones first; ranges and months in order.
    pub values: Vec<ConversationFacetValue>,
}

/// How many conversations have one value.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationFacetValue {
    /// The value.
    pub value: String,
    /// How many of the counted conversations have it.
    pub count: u64,
    /// What to add to `search` to find those that have it.
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

/// A conversation whole.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WholeConversation {
    /// As lists show it.
    pub summary: Conversation,
    /// Everything that is kept of it, in Retort's canonical form.
    #[schema(value_type = Object)]
    pub conversation: Box<serde_json::value::RawValue>,
}

/// Which conversations come first.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Sorting {
    /// What comes first, such as `newest` or `most-turns`.
    #[param(schema_with = ConversationOrder::schema)]
    pub sort: Option<String>,
}

/// The order of that name.
///
/// # Errors
/// There is none.
pub fn order(name: Option<&str>) -> Result<Option<Order>, Problem> {
    let unknown = || {
        let names = Order::ALL.map(Order::as_str).join("`, `");
        Problem::bad_request(format!("`sort` is one of `{names}`"))
    };
    name.map(|name| Order::by_name(name).ok_or_else(unknown)).transpose()
}

/// What is to be changed of a conversation. What is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Another title; empty takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub title: Option<String>,
    /// Tags that are to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags that are not to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// `active`, `favorite` or `deleted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::ConversationStatus>)]
    pub status: Option<String>,
    /// Whether it is marked as a favorite; on one that is deleted, the mark shows when it is restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favorite: Option<bool>,
    /// Whether it is deleted; one that is restored has the mark that it had.
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
    /// What is to be changed; or `purge`.
    #[serde(default)]
    pub change: Change,
    /// Deletes them for good instead. Only ids are purged, not what a filter matches.
    #[serde(default)]
    pub purge: bool,
}

/// How many conversations were changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// How many were changed; the others were so already.
    pub changed: u64,
}

/// What became of judgements: read = changed + same + unknown + refused.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Judged {
    /// Rows that were read.
    pub read: u64,
    /// Rows that said something new.
    pub changed: u64,
    /// Rows that said what was known already, or nothing.
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

/// What one person says of a conversation, of one of its messages, or of the answer of a run. A field that is missing stays
/// as they said before, and `null` takes it back.
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
    /// What the answer should have been.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub ground_truth: Option<Option<String>>,
    /// Whether it is to be trained on.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub train: Option<Option<bool>>,
    /// A better answer, which is added beside the one that it corrects.
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

/// Saved views, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Views {
    /// The caller's, and those that others share.
    pub views: Vec<View>,
}

/// A filter of conversations under a name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct View {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub creator: String,
    /// Whether it is for everyone in the project.
    pub shared: bool,
    /// What it shows.
    #[schema(value_type = filter::Conversations)]
    pub filter: ConversationFilter,
    /// How its list is sorted, if that was chosen.
    #[serde(default)]
    #[schema(value_type = Option<ConversationOrder>)]
    pub sort: Option<String>,
    /// The columns that the list on the pages has beside the title, if they were chosen.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

impl From<retort_service::View> for View {
    fn from(view: retort_service::View) -> Self {
        let retort_service::View { id, name, creator, shown, is_shared, .. } = view;
        let retort_service::Shown { filter, order, columns } = shown;
        let sort = order.map(|order| order.as_str().to_owned());
        Self { id, name, creator, shared: is_shared, filter, sort, columns }
    }
}

/// A filter to keep under a name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewView {
    /// Its name.
    pub name: String,
    /// What it shows.
    #[serde(default)]
    #[schema(value_type = filter::Conversations)]
    pub filter: ConversationFilter,
    /// Whether it is for everyone in the project.
    #[serde(default)]
    pub shared: bool,
    /// How its list is sorted; newest first, if not said.
    #[serde(default)]
    #[schema(value_type = Option<ConversationOrder>)]
    pub sort: Option<String>,
    /// The columns that the list on the pages has beside the title; the usual ones, if not said.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

/// The number of a view that was saved.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SavedView {
    /// Its number.
    pub id: i64,
}

/// What was taken in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportResult {
    /// Items that were read: new + updated + same + older + repeated + foreign + erased + refused.
    pub read: u64,
    /// Conversations that were not there.
    pub new: u64,
    /// Those that took the place of an earlier state.
    pub updated: u64,
    /// Those that were there just so.
    pub same: u64,
    /// Those of which there is a newer state.
    pub older: u64,
    /// Those whose id came before in the same request, and that were no newer.
    pub repeated: u64,
    /// Those of another person, where the caller may bring in only their own.
    pub foreign: u64,
    /// Those that were left out because they were erased before, alone or with everything of their person.
    #[serde(default)]
    pub erased: u64,
    /// Items that could not be read, or whose id another conversation has.
    pub refused: u64,
    /// Where they stand, and what is wrong with them.
    pub refusals: Vec<String>,
    /// What people should know of how the items were read, such as `not-understood`.
    #[serde(default)]
    pub warnings: Vec<Found>,
    /// Files of an archive that were not read, by reason.
    #[serde(default)]
    pub passed_over: Vec<Found>,
    /// Whether it was only looked at what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// The conversations.
    pub conversations: Vec<ImportedItem>,
}

/// How often something was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// What was found, or the reason.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first items or files.
    pub first: Vec<String>,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        Self { kind: finding.kind, count: finding.count, first: finding.first_ids }
    }
}

/// A conversation that came in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportedItem {
    /// Its id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// `new`, `updated`, `same`, `older`, `repeated`, `foreign`, `erased`, or `conflict` where another conversation has the id.
    pub outcome: String,
}

impl From<ImportReport> for ImportResult {
    fn from(report: ImportReport) -> Self {
        let outcome = |taken: Taken| match taken {
            Taken::New => "new",
            Taken::Updated => "updated",
            Taken::Same => "same",
            Taken::Older => "older",
            Taken::Repeated => "repeated",
            Taken::Foreign => "foreign",
            Taken::Conflict => "conflict",
            Taken::Erased => "erased",
        };
        Self {
            read: report.read,
            new: report.new,
            updated: report.updated,
            same: report.same,
            older: report.older,
            repeated: report.repeated,
            foreign: report.foreign,
            erased: report.erased,
            refused: report.refused_count(),
            refusals: report.first_refused,
            warnings: report.warnings.into_iter().map(Found::from).collect(),
            passed_over: report.passed_over.into_iter().map(Found::from).collect(),
            dry_run: report.dry_run,
            conversations: report
                .met
                .into_iter()
                .map(|met| ImportedItem {
                    id: met.id,
                    source: met.source,
                    outcome: outcome(met.outcome).into(),
                })
                .collect(),
        }
    }
}

/// A dataset.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Dataset {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Why it was made.
    pub purpose: String,
    /// The node that it is of.
    pub node: Option<String>,
    /// The shape of its records.
    pub data_format: String,
    /// The kind of its files.
    pub file_format: String,
    /// How many records.
    pub records: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Who made it.
    pub creator: String,
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
    /// The job that made it.
    pub job: i64,
}

impl From<&retort_service::Dataset> for Dataset {
    fn from(dataset: &retort_service::Dataset) -> Self {
        Self {
            id: dataset.id,
            name: dataset.name.clone(),
            purpose: dataset.purpose.clone(),
            node: dataset.node.clone(),
            data_format: dataset.data_format.clone(),
            file_format: dataset.file_format.clone(),
            records: dataset.records,
            bytes: dataset.bytes,
            creator: dataset.creator.clone(),
            created_at: moment(dataset.created_at),
            job: dataset.job,
        }
    }
}

/// Datasets, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Datasets {
    /// The datasets.
    pub datasets: Vec<Dataset>,
    /// What `after` is for the next page; null on the last.
    pub next: Option<i64>,
}

/// Another name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The name: 1 to 64 characters.
    pub name: String,
}

/// What to leave out when a dataset is exported again: the items with an id, or those of a person. Items that were purged
/// since are always left out.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// The items with this id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_id: Option<String>,
    /// What the person of this name owns or imported; for owners of the project.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_person: Option<String>,
    /// Keep the old dataset, and give the new one another name; otherwise the new one replaces it.
    #[serde(default)]
    pub keep: bool,
}

impl Rebuild {
    /// What is left out.
    ///
    /// # Errors
    /// Both are named.
    pub fn without(&self) -> Result<Without<'_>, Problem> {
        match (&self.without_id, &self.without_person) {
            (None, None) => Ok(Without::Purged),
            (Some(id), None) => Ok(Without::Id(id)),
            (None, Some(name)) => Ok(Without::Person(name)),
            (Some(_), Some(_)) => {
                Err(Problem::bad_request("give either `without_id` or `without_person`, not both"))
            }
        }
    }
}

/// The first records of a dataset.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Records {
    /// The records, each as the dataset has it.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<Box<serde_json::value::RawValue>>,
}

/// A public link to be made.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewShare {
    /// The conversation's id.
    pub conversation: String,
    /// Its source, where the id alone is not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When the link ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// What opens it besides the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether system prompts are shown.
    pub system: bool,
    /// Whether definitions of tools are shown.
    pub tools: bool,
    /// Whether token counts are shown.
    pub usage: bool,
    /// Whether secrets and personal data are shown as they are. Otherwise they are masked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unredacted: bool,
}

impl NewShare {
    /// The service's request.
    ///
    /// # Errors
    /// The moment is none.
    pub fn request(self) -> Result<retort_service::ShareRequest, Problem> {
        Ok(retort_service::ShareRequest {
            conversation: self.conversation,
            source: self.source,
            expires_at: time(self.expires_at.as_deref())?,
            password: self.password,
            shows: Shows {
                system: self.system,
                tools: self.tools,
                usage: self.usage,
                unredacted: self.unredacted,
            },
        })
    }
}

/// A public link.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Its number.
    pub id: i64,
    /// The conversation's id.
    pub conversation: String,
    /// The conversation's title.
    pub title: Option<String>,
    /// The path of the public page, when the link is made and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Who made it, or last kept it open.
    pub creator: String,
    /// Whether it leads nowhere, as its maker lost the role that let them make it.
    pub closed: bool,
    /// Whether it takes a password.
    pub has_password: bool,
    /// Whether system prompts are shown.
    pub system: bool,
    /// Whether definitions of tools are shown.
    pub tools: bool,
    /// Whether token counts are shown.
    pub usage: bool,
    /// Whether secrets and personal data are shown as they are. Otherwise they are masked.
    #[serde(default)]
    pub unredacted: bool,
    /// When it was made.
    pub created_at: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<String>,
}

impl From<&retort_service::Share> for Share {
    fn from(share: &retort_service::Share) -> Self {
        let shows = Shows::of(share);
        Self {
            id: share.id,
            conversation: share.conversation_id.clone(),
            title: share.title.clone(),
            path: None,
            creator: share.creator.clone(),
            closed: share.is_closed,
            has_password: share.has_password,
            system: shows.system,
            tools: shows.tools,
            usage: shows.usage,
            unredacted: shows.unredacted,
            created_at: moment(share.created_at),
            expires_at: moment(share.expires_at),
        }
    }
}

impl Share {
    /// A link that was made just now, with its path.
    pub fn made((share, secret): &(retort_service::Share, String)) -> Self {
        Self { path: Some(share_path(secret)), ..Self::from(share) }
    }
}

/// A page of links, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Shares {
    /// The links.
    pub shares: Vec<Share>,
    /// What `after` is for the next page; null on the last.
    pub next: Option<i64>,
}

/// What is behind a public link.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SharedConversation {
    /// Its title.
    pub title: Option<String>,
    /// `chat`, `agent` or `graph`.
    #[serde(rename = "type")]
    #[schema(value_type = words::ConversationType)]
    pub kind: String,
    /// Its model.
    pub model: Option<String>,
    /// When it began.
    pub created_at: Option<String>,
    /// The conversation in Retort's canonical form, without what the link does not show.
    #[schema(value_type = Object)]
    pub conversation: Box<serde_json::value::RawValue>,
    /// Files that are in it.
    pub files: Vec<SharedFile>,
}

/// A file that is in a shared conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SharedFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: u64,
    /// Where it is downloaded.
    pub path: String,
}

/// A webhook to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where notices are posted.
    pub url: String,
    /// Adds a download link to each notice of a dataset, and says for how many hours it works. Anyone who has the link can download the dataset.
    /// Default: no link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 168)]
    pub link_hours: Option<u64>,
    /// The number of one of your schedules: only notices of its runs are posted, and the webhook goes when the schedule is
    /// deleted. Default: notices of all your exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<i64>,
}

/// A webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its number.
    pub id: i64,
    /// Where notices are posted.
    pub url: String,
    /// When it was made.
    pub created_at: Option<String>,
    /// Hours for which a notice's link to the dataset works; null if notices have no link.
    #[serde(default)]
    pub link_hours: Option<u64>,
    /// The schedule whose runs alone are posted; null if all your exports are.
    #[serde(default)]
    pub schedule: Option<i64>,
    /// What notices are signed with, when it is made and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl Webhook {
    /// A webhook, with its secret if it was made just now.
    pub fn new(webhook: &retort_service::Webhook, is_new: bool) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url.clone(),
            created_at: moment(webhook.created_at),
            link_hours: webhook.link_hours,
            schedule: webhook.schedule,
            secret: is_new.then(|| webhook.secret.clone()),
        }
    }
}

/// Webhooks.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Webhooks {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
}

/// How far a notice is on its way.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The notice.
    pub notice: i64,
    /// Attempts so far.
    pub attempts: u64,
    /// When the next is made; null once it arrived or was given up.
    pub next_at: Option<String>,
    /// The status that the last was answered with.
    pub status: Option<i64>,
    /// Why the last failed.
    pub error: Option<String>,
}

impl From<&retort_service::DeliveryState> for Delivery {
    fn from(state: &retort_service::DeliveryState) -> Self {
        Self {
            notice: state.notice,
            attempts: state.attempts,
            next_at: moment(state.next_at),
            status: state.status,
            error: state.error.clone(),
        }
    }
}

/// The last notices to a webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Deliveries {
    /// The notices.
    pub deliveries: Vec<Delivery>,
}

/// An export that ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// The export's number.
    pub job: i64,
    /// The dataset's name.
    pub name: String,
    /// How it ended.
    #[schema(value_type = words::JobState)]
    pub state: String,
    /// The number of the dataset.
    pub dataset: Option<i64>,
    /// When.
    pub at: Option<String>,
    /// Name of the schedule that asked for it.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Why that schedule was disabled then.
    #[serde(default)]
    pub schedule_disabled: Option<String>,
}

impl From<&retort_service::Notice> for Notice {
    fn from(notice: &retort_service::Notice) -> Self {
        Self {
            id: notice.id,
            job: notice.job,
            name: notice.name.clone(),
            state: notice.state.to_string(),
            dataset: notice.dataset,
            at: moment(notice.at),
            schedule: notice.schedule.clone(),
            schedule_disabled: notice.disabled.clone(),
        }
    }
}

/// Exports that ended, the oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Notices {
    /// The notices.
    pub notices: Vec<Notice>,
}

/// An entry of the audit log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Audited {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Option<String>,
    /// Who; null if they did not say, or said wrong.
    pub person: Option<String>,
    /// What they did.
    pub action: String,
    /// With what.
    pub object: String,
    /// Whether they were refused.
    pub refused: bool,
    /// From which address of the network.
    pub address: Option<String>,
    /// The request's id.
    pub request: Option<String>,
}

impl From<&AuditEntry> for Audited {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: moment(entry.at),
            person: entry.person.clone(),
            action: entry.action.to_string(),
            object: entry.object.clone(),
            refused: entry.is_refused,
            address: entry.address.clone(),
            request: entry.request.clone(),
        }
    }
}

/// A page of the audit log, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<Audited>,
    /// What `after` is for the next page; null on the last.
    pub next: Option<i64>,
}

/// Which entries of the audit log.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only this action.
    pub action: Option<String>,
    /// Only this person.
    pub person: Option<String>,
    /// At this date or moment, or later.
    pub from: Option<String>,
    /// Before this date or moment.
    pub before: Option<String>,
    /// Only who was refused.
    pub refused: bool,
    /// Behind this entry: `next` of the page before.
    pub after: Option<i64>,
    /// Entries on the page: 1 to 1000, 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

impl AuditQuery {
    /// The service's filter.
    ///
    /// # Errors
    /// There is no such action or moment.
    pub fn filter(&self) -> Result<retort_service::AuditFilter, Problem> {
        Ok(retort_service::AuditFilter {
            action: self.action.as_deref().map(word::<Action>).transpose()?,
            person: self.person.clone(),
            from: time(self.from.as_deref())?,
            before: time(self.before.as_deref())?,
            only_refused: self.refused,
        })
    }
}

/// A format, and what it is for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Format {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
}

/// All formats.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Formats {
    /// Shapes of histories that can be read.
    pub import: Vec<Format>,
    /// Shapes of records.
    pub data: Vec<Format>,
    /// Kinds of files.
    pub file: Vec<Format>,
    /// What a check does.
    pub checks: BTreeMap<String, String>,
}
