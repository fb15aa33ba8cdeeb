//! What goes over the wire: JSON shapes of what the service knows. `--json` of the command line has the same.

mod audit;
mod conversations;
mod datasets;
mod documents;
mod erasures;
mod export;
mod fields;
pub mod filter;
mod formats;
mod imports;
mod jobs;
mod judgements;
mod notices;
mod options;
mod people;
mod runs;
mod schedules;
mod shares;
mod sorting;
mod stats;
mod traces;
mod views;
mod words;

pub use audit::{AuditPage, AuditQuery, Audited};
pub use conversations::{
    Change, ChangeMany, Changed, Conversation, ConversationFacet, ConversationFacetValue,
    ConversationFacets, ConversationPage, Count, WholeConversation,
};
pub use datasets::{Dataset, Datasets, Rebuild, Records, Rename};
pub use documents::{Chunks, Document, DocumentPage, DocumentStats, PurgeDocuments};
pub use erasures::{
    AffectedDatasetPreview, ErasedDataset, Erasure, ErasurePerson, ErasurePreview, Erasures,
};
pub use export::Export;
pub use filter::Filtered;
pub use formats::{Format, Formats};
pub use imports::{Found, ImportResult, ImportedItem};
pub use jobs::{Done, Event, Job, Jobs};
pub use judgements::{JudgeOne, Judged};
pub use notices::{Deliveries, Delivery, NewWebhook, Notice, Notices, Webhook, Webhooks};
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
pub use shares::{NewShare, Share, SharedConversation, SharedFile, Shares};
pub use sorting::{Sorting, order};
pub use stats::{Contents, Duplicates, Lengths, NotUnderstood, Stats, UsedTokens};
pub use traces::{ExportTraceResponse, OtlpStatus, PartialSuccess};
pub use views::{NewView, SavedView, View, Views};
pub use words::{ConversationOrder, DocumentOrder, RunOrder};
