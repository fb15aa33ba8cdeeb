//! The memory of Retort: nouns to SQL and back, in an embedded SQLite file or in PostgreSQL.
//!
//! One text of SQL serves both; what differs stands in `dialect.rs`. Every query that lists takes a
//! [`Scope`](retort_model::Scope). Who may do what is not decided here.

mod answered;
mod audit;
mod body;
mod choice;
mod claims;
mod conversations;
mod counts;
mod datasets;
mod dialect;
mod documents;
mod edits;
mod error;
mod features;
mod filter;
mod importer;
mod items;
mod jobs;
mod listing;
mod maintenance;
mod notices;
mod page;
mod people;
pub mod private;
mod raw;
mod removal;
mod run_filter;
mod run_listing;
mod runs;
mod schema;
mod selected;
mod sessions;
mod shares;
mod stats;
mod stop;
mod store;
mod tls;
mod tokens;

pub use answered::Begun;
pub use audit::{AuditEntry, AuditFilter, NewAudit};
pub use body::{PackedBody, Packer, Unpacker};
pub use claims::Wanted;
pub use conversations::{Compare, Compared, Comparing, Incoming, Taken};
pub use datasets::{Dataset, DatasetFile, NewDataset};
pub use documents::{DocumentPage, DocumentSummary, IncomingDocument, Original};
pub use edits::Edit;
pub use error::Error;
pub use importer::Importer;
pub use jobs::{Job, JobProgress, NewExport, NewImport, QueueStats, Shard};
pub use listing::{Cursor, Order, Page, Summary};
pub use maintenance::Finding;
pub use notices::{Delivery, DeliveryState, Notice, Webhook};
pub use people::{Ended, Member, Membership, PendingIdentity, Person};
pub use removal::Belongings;
pub use run_listing::{Flow, FlowParts, RunPage, RunStats, RunSummary};
pub use runs::{IncomingRun, Update, Updated};
pub use selected::{SelectedBatch, SelectedItem};
pub use sessions::{SecretHash, SessionKind};
pub use shares::{NewShare, Share};
pub use stats::ConversationStats;
pub use stop::Stop;
pub use store::{Project, Store};
pub use tls::{client_tls, install_tls_provider};
pub use tokens::{Invitation, NewInvitation, NewToken, Token};
