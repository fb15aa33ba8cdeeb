//! From streams of bytes to encoded chunks of rows: the calling thread cuts items, several parse and shape them and
//! hand on the chunks in order.
//!
//! The result does not depend on the number of threads: batches are cut by the input alone, and whatever one
//! batch may learn from those before it (repeated ids, the limit, groups of rows) is decided in their order.

mod choose;
mod contaminated;
mod decided;
mod delivery;
mod done;
mod duplicate;
mod ends;
mod feed;
mod gather;
mod ids;
mod infer;
mod item;
mod item_stats;
mod job;
mod kept;
mod large;
mod limit;
mod look;
mod measured;
mod observer;
mod origins;
mod outlet;
mod packed;
mod parse;
mod part;
mod reassemble;
mod redacting;
mod repeated;
mod repeats;
mod run;
mod sample;
mod shaped;
mod shaping;
mod share;
mod spill;
mod splitting;
mod stage;
mod stages;
mod survey;
mod totals;
mod traced;
mod work;
mod workers;

pub use self::decided::Survey;
pub use self::delivery::{Counted, Delivery, PartBatch};
pub use self::done::BatchDone;
pub use self::ends::{Ends, More};
pub use self::feed::InputsFeed;
pub use self::gather::place_of;
pub use self::ids::{content_id, content_of, digest, put_into_namespace};
pub use self::infer::{first_kind, variables};
pub use self::item::ReadItem;
pub use self::item_stats::{ItemStats, Tokens, Unknown};
pub use self::job::{Job, RefusedInput, Source, Work};
pub use self::kept::packed_rows;
pub use self::observer::{Nobody, Observer, Passes, Progress};
pub use self::outlet::{Feed, Outlet};
pub use self::packed::{Edits, PackedBatch, Unpacked};
pub use self::parse::{parse, refuse_input};
pub use self::part::regroup;
pub use self::repeats::{Decisions, decide, is_of_first, moved_item, moved_verdict};
pub use self::run::run;
pub use self::shaping::Shaping;
pub use self::share::{Extent, PartNumber};
pub use self::survey::{keep_decisions, kept_survey, survey, survey_with_stats};
pub use self::totals::{
    Contents, FirstRefused, FrontRow, InferredTypes, ListedHit, SourceCount, Totals,
};
pub use self::workers::{Output, Sequencer, in_order, threads};
