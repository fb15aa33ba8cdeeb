//! The nouns of Retort: conversations and what they are made of, selections, findings and receipts, names and
//! bounds, and the canonical JSON that keeps a conversation whole.
//!
//! Plain data and its rules. Never here: async, I/O, SQL, HTTP, the wall clock.

mod access;
pub mod bounds;
pub mod canonical;
mod causes;
mod conversation;
pub mod display;
mod document;
mod features;
mod fields;
mod filter;
mod finding;
mod hash;
mod item;
mod job;
mod judgement;
mod judging;
mod language;
mod message;
mod name;
mod named;
mod receipt;
mod redaction;
mod relation;
mod run;
mod run_update;
mod schedule;
mod scope;
mod time;
mod words;

pub use access::{Action, Grant, Grants, ProjectRole};
pub use causes::with_causes;
pub use conversation::{Conversation, Kind, Parent, Round, Status, Task, Usage};
pub use document::{Chunk, Document, Embedding, EmbeddingStats, Vector};
pub use features::{Features, Rating, RunFeatures};
pub use fields::Fields;
pub use filter::{
    ConversationFilter, DateRange, DecimalRange, DocumentFilter, Filter, FilterField, FilterValues,
    ItemFilter, NumberRange, Phrase, Query, RunFilter, check_search, condition,
};
pub use finding::{Check, LeftOut, Reason, Repair, Warning};
pub use hash::fnv1a;
pub use item::{Item, ItemKind};
pub use job::{ErasureState, JobKind, JobState};
pub use judgement::{Judgement, Label};
pub use judging::{Judged, Judging, MessagePosition};
pub use language::language_of;
pub use message::{
    AUTHOR, CORRECTED_BY, CORRECTS, Content, Feedback, GROUND_TRUTH, Message, NotUnderstood, Part,
    PartKind, Role, ToolCall,
};
pub use name::{DatasetName, FileName, NameError};
pub use receipt::{Account, Origins, OutputPortion, Portion, Redacted, SeenLengths, Tally};
pub use redaction::Redaction;
pub use relation::{EMBEDDED, Messages, Relation, without_embedded};
pub use run::{FileReference, NodeKind, NodeRun, Purpose, Run, RunSource, RunStatus};
pub use run_update::Again;
pub use schedule::{
    Cron, DeliverTo, FolderPattern, Keep, NamePattern, ScheduleState, TimeRule, Timing, Window,
    WindowKind, Zone, retry_wait,
};
pub use scope::Scope;
pub use time::{Time, TimeError};
pub use words::{BREAK, WordPart, Words};
