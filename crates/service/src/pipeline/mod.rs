//! From streams of bytes to encoded chunks of rows: one thread cuts items, several parse and shape them, and the
//! caller takes the chunks in order.
//!
//! The result does not depend on the number of threads: batches are cut by the input alone, and whatever one
//! batch may learn from those before it (repeated ids, the limit, groups of rows) is decided at a turnstile that
//! lets them through in order.

mod feed;
mod gather;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use retort_formats::data::{DataFormat, ShapeOptions, ToolBench};
use retort_formats::file::{Chunk, FileFormat, FileOptions};
use retort_formats::import::split::Batch;
use retort_formats::import::{ImportFormat, Refusal};
use retort_model::bounds::BATCHES_WAITING_PER_WORKER;
use retort_model::{Account, Selection, Tally};

use self::feed::{Feeder, Halves};
use self::gather::{Admission, Gathering, encode};
use self::work::Worker;
use crate::Error;
use crate::seen::SeenIds;
use crate::source::{Inputs, SourceName};

/// How far an export is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes read from the disk.
    pub read_bytes: u64,
    /// Bytes to read; 0 if unknown.
    pub total_bytes: u64,
    /// Records written.
    pub records: u64,
}

/// Is told how far an export is.
pub trait Observer: Sync {
    /// Called often; must be cheap.
    fn progress(&self, progress: Progress);
}

/// What happens to each item.
#[derive(Clone)]
pub(crate) struct Shaping<'p> {
    pub(crate) from: Option<&'static dyn ImportFormat>,
    pub(crate) selection: &'p Selection,
    pub(crate) data_format: &'static dyn DataFormat,
    pub(crate) file_format: &'static dyn FileFormat,
    pub(crate) shape_options: ShapeOptions,
    pub(crate) file_options: FileOptions,
    pub(crate) threads: usize,
    /// Whether each delivery says what was counted up to it.
    pub(crate) tells_account: bool,
}

/// Some rows for the file, and what goes to the files beside it.
pub(crate) struct Delivery {
    pub(crate) chunk: Chunk,
    pub(crate) rejects: Vec<u8>,
    pub(crate) ids: Vec<u8>,
    pub(crate) extras: Vec<u8>,
    /// What was counted up to here, where that was asked.
    pub(crate) account: Option<(Account, Tally<Refusal>)>,
}

/// What the taker of deliveries says.
pub(crate) enum More {
    Wanted,
    Enough,
}

/// What was counted on the way.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) account: Account,
    pub(crate) refused: Tally<Refusal>,
    pub(crate) sources: Vec<SourceCount>,
    /// Rows that must stand before all others, as they complete the types of the columns.
    pub(crate) front: Vec<FrontRow>,
    pub(crate) renamed_tools: BTreeMap<String, String>,
}

/// A row moved to the front, and the line of its id.
pub(crate) struct FrontRow {
    pub(crate) row: Vec<u8>,
    pub(crate) id: Vec<u8>,
}

/// What was found in one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceCount {
    pub(crate) name: String,
    pub(crate) format: Option<&'static str>,
    pub(crate) items: u64,
    pub(crate) refused: u64,
}

/// A stream under way.
struct Source {
    place: usize,
    name: SourceName,
    format: Option<&'static dyn ImportFormat>,
}

struct Job {
    sequence: u64,
    source: Arc<Source>,
    /// Items before those of this batch.
    items_before: u64,
    work: Work,
}

enum Work {
    Items(Batch),
    Refused(&'static str),
}

/// Lets batches through in order, one at a time.
struct Turnstile<T> {
    turn: Mutex<(u64, T)>,
    moved: Condvar,
}

impl<T> Turnstile<T> {
    fn new(state: T) -> Self {
        Self { turn: Mutex::new((0, state)), moved: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, T)> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of `sequence` and does `act`; `None` if everything ends before.
    fn pass<R>(&self, sequence: u64, ends: &Ends<'_>, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut turn = self.lock();
        while turn.0 != sequence {
            if ends.now() {
                return None;
            }
            turn = self
                .moved
                .wait_timeout(turn, Duration::from_millis(20))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let result = act(&mut turn.1);
        turn.0 += 1;
        drop(turn);
        self.moved.notify_all();
        Some(result)
    }
}

/// Why work may end before the input does.
struct Ends<'p> {
    /// The person wants it.
    stopped: &'p AtomicBool,
    /// Something failed.
    failed: AtomicBool,
    /// The limit is reached.
    enough: AtomicBool,
    /// The first failure that has no other way to the caller.
    failure: Mutex<Option<Error>>,
}

impl Ends<'_> {
    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    fn now(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed)
    }
}

/// Sets the flag if its thread ends in any other way than by its own leave.
struct FailOnDrop<'f>(&'f AtomicBool, bool);

impl Drop for FailOnDrop<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Reads all inputs and hands the chunks to `take`, in order.
pub(crate) fn run(
    inputs: &Inputs,
    shaping: &Shaping<'_>,
    observer: &dyn Observer,
    stopped: &AtomicBool,
    take: &mut dyn FnMut(Delivery) -> Result<More, Error>,
) -> Result<Totals, Error> {
    let ends = Ends {
        stopped,
        failed: AtomicBool::new(false),
        enough: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    let admission = Turnstile::new(Admission { seen: SeenIds::new(), taken: 0, finished: false });
    let gathering = Turnstile::new(Gathering::default());
    let waiting = shaping.threads * BATCHES_WAITING_PER_WORKER;
    let (jobs, waiting_jobs) = sync_channel::<Job>(waiting);
    let (chunks, waiting_chunks) = sync_channel::<(u64, Result<Delivery, Error>)>(waiting);
    let (spent, spent_batches) = sync_channel::<Batch>(waiting * 2);
    // Owned by the workers alone, so that the reader does not wait for workers that have ended.
    let waiting_jobs = Arc::new(Mutex::new(waiting_jobs));
    let read_bytes = Arc::new(AtomicU64::new(0));

    let result = std::thread::scope(|scope| {
        let reader = {
            let (ends, read_bytes) = (&ends, &read_bytes);
            scope.spawn(move || {
                let mut guard = FailOnDrop(&ends.failed, false);
                let result = Feeder {
                    shaping,
                    jobs,
                    spent_batches,
                    ends,
                    sequence: 0,
                    items: 0,
                    halves: Halves::default(),
                    sources: 0,
                }
                .feed(inputs, read_bytes);
                guard.1 = result.is_ok();
                result
            })
        };
        for _ in 0..shaping.threads {
            let worker = Worker {
                shaping,
                ends: &ends,
                jobs: Arc::clone(&waiting_jobs),
                admission: &admission,
                gathering: &gathering,
                chunks: chunks.clone(),
                spent: spent.clone(),
                tools: ToolBench::default(),
            };
            scope.spawn(move || worker.work());
        }
        drop((chunks, waiting_jobs));
        let mut early: BTreeMap<u64, Result<Delivery, Error>> = BTreeMap::new();
        let (mut next, mut records) = (0, 0);
        let mut taken = Ok(More::Wanted);
        for (sequence, delivery) in &waiting_chunks {
            early.insert(sequence, delivery);
            while let Some(delivery) = early.remove(&next) {
                next += 1;
                if !matches!(taken, Ok(More::Wanted)) {
                    continue;
                }
                taken = delivery.and_then(|delivery| {
                    records += delivery.chunk.rows;
                    take(delivery)
                });
                match &taken {
                    Ok(More::Wanted) => {}
                    Ok(More::Enough) => ends.enough.store(true, Ordering::Relaxed),
                    Err(_) => ends.failed.store(true, Ordering::Relaxed),
                }
                let read_bytes = read_bytes.load(Ordering::Relaxed);
                observer.progress(Progress { read_bytes, total_bytes: inputs.bytes, records });
            }
        }
        let read =
            reader.join().unwrap_or_else(|_| Err(Error::Choice("the reader broke off".into())));
        taken.and_then(|more| read.map(|()| more))
    });
    if stopped.load(Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    if let Some(error) = ends.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let more = result?;
    if ends.failed.load(Ordering::Relaxed) {
        return Err(Error::Choice("a worker broke off".into()));
    }
    let mut gathering = gathering.turn.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    if let Some(group) = gathering.take_group(shaping).filter(|_| matches!(more, More::Wanted)) {
        take(encode(group, shaping)?)?;
    }
    Ok(gathering.totals)
}
