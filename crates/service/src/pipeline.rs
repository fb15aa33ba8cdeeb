//! From streams of bytes to encoded chunks of rows: one thread cuts items, several parse and shape them, and the
//! caller takes the chunks in order.
//!
//! The result does not depend on the number of threads: batches are cut by the input alone, and whatever one
//! batch may learn from those before it (repeated ids, the limit, groups of rows) is decided at a turnstile that
//! lets them through in order.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use retort_formats::data::{DataFormat, Outcome, ShapeContext, ShapeOptions, ToolBench};
use retort_formats::file::{Chunk, FileFormat, FileOptions, Rows};
use retort_formats::import::split::{Batch, Fault, Span, Splitter};
use retort_formats::import::{ImportFormat, ItemError, Notes, Refusal, Shape, sniff};
use retort_formats::package::{Reject, write_extra, write_reject};
use retort_model::bounds::{BATCHES_WAITING_PER_WORKER, INFERENCE_BYTES, RENAMED_TOOLS_LISTED};
use retort_model::{Account, Conversation, LeftOut, Reason, Selection, Tally, Warning};

use crate::Error;
use crate::seen::SeenIds;
use crate::source::{Inputs, SourceName, Stream};

/// Items that are looked at to find out the format of a stream, in each batch until it is found.
const ITEMS_SNIFFED: usize = 16;

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

/// What batches learn from those before them, before they are shaped.
struct Admission {
    seen: SeenIds,
    taken: u64,
    finished: bool,
}

/// What is gathered of the batches, in order.
#[derive(Default)]
struct Gathering {
    totals: Totals,
    group: Vec<Box<dyn Rows>>,
    rows: usize,
    bytes: usize,
    sequence: u64,
    rejects: Vec<u8>,
    ids: Vec<u8>,
    extras: Vec<u8>,
    evidence: u64,
    bytes_before: u64,
}

/// A group of rows that is full.
struct Group {
    sequence: u64,
    rows: Vec<Box<dyn Rows>>,
    rejects: Vec<u8>,
    ids: Vec<u8>,
    extras: Vec<u8>,
    account: Option<(Account, Tally<Refusal>)>,
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

fn encode(group: Group, shaping: &Shaping<'_>) -> Result<Delivery, Error> {
    let chunk = shaping
        .file_format
        .encode(group.rows, shaping.file_options)
        .map_err(|source| Error::Unpack { name: "a group of rows".into(), source })?;
    Ok(Delivery {
        chunk,
        rejects: group.rejects,
        ids: group.ids,
        extras: group.extras,
        account: group.account,
    })
}

/// The thread that reads.
struct Feeder<'p> {
    shaping: &'p Shaping<'p>,
    jobs: SyncSender<Job>,
    spent_batches: Receiver<Batch>,
    ends: &'p Ends<'p>,
    sequence: u64,
    items: u64,
    halves: Halves,
    sources: usize,
}

impl Feeder<'_> {
    fn feed(mut self, inputs: &Inputs, read_bytes: &Arc<AtomicU64>) -> Result<(), Error> {
        for file in &inputs.files {
            let more =
                file.each_stream(read_bytes, &mut |name, stream| self.stream(name, stream))?;
            if !more {
                return Ok(());
            }
        }
        self.send_halves()
    }

    fn more_wanted(&self) -> bool {
        !self.ends.now() && !self.ends.enough.load(Ordering::Relaxed)
    }

    fn stream(&mut self, name: SourceName, stream: Stream<'_>) -> Result<bool, Error> {
        let place = self.sources;
        self.sources += 1;
        let mut source = Arc::new(Source { place, name, format: self.shaping.from });
        let input = match stream {
            Stream::Items(input) => input,
            Stream::Refused(why) => {
                self.items += 1;
                return Ok(self.send(source, Work::Refused(why), 1));
            }
        };
        let mut splitter = Splitter::new(input);
        let mut first = true;
        loop {
            let spent = self.spent_batches.try_recv().unwrap_or_default();
            let next = splitter.next(spent).map_err(|error| Error::Unpack {
                name: source.name.label.clone(),
                source: error,
            })?;
            let Some(batch) = next else {
                if first {
                    // An empty stream is told of too.
                    return Ok(self.send(source, Work::Items(Batch::default()), 0));
                }
                return Ok(self.more_wanted());
            };
            first = false;
            if source.format.is_none()
                && let Some(format) = format_of(&batch)
            {
                let name =
                    SourceName { label: source.name.label.clone(), stem: source.name.stem.clone() };
                source = Arc::new(Source { place, name, format: Some(format) });
            }
            let batch = match source.format {
                Some(format) if format.has_halves() => {
                    self.halves.join(&batch, &source, format).map_err(|error| Error::Unpack {
                        name: source.name.label.clone(),
                        source: error,
                    })?
                }
                _ => batch,
            };
            let count = batch.items.len() as u64;
            if !self.send(Arc::clone(&source), Work::Items(batch), count) {
                return Ok(false);
            }
        }
    }

    /// Sends what never found its other half, each as an item of its own.
    fn send_halves(&mut self) -> Result<(), Error> {
        let fail = |source| Error::Unpack { name: "kept halves of conversations".into(), source };
        let held = std::mem::take(&mut self.halves);
        for (source, batch) in held.left_over().map_err(fail)? {
            let count = batch.items.len() as u64;
            if !self.send(source, Work::Items(batch), count) {
                break;
            }
        }
        Ok(())
    }

    fn send(&mut self, source: Arc<Source>, work: Work, items: u64) -> bool {
        let job = Job { sequence: self.sequence, source, items_before: self.items, work };
        self.sequence += 1;
        self.items += items;
        self.jobs.send(job).is_ok() && self.more_wanted()
    }
}

/// The format of the first item that one recognises.
fn format_of(batch: &Batch) -> Option<&'static dyn ImportFormat> {
    batch.items.iter().take(ITEMS_SNIFFED).find_map(|span| {
        let text = std::str::from_utf8(batch.item(span)).ok()?;
        sniff(&Shape::of(text).ok()?)
    })
}

/// Halves of conversations that wait for the other, on disk.
#[derive(Default)]
struct Halves {
    waiting: HashMap<String, Held>,
    file: Option<std::fs::File>,
    end: u64,
}

struct Held {
    source: Arc<Source>,
    span: Span,
    at: u64,
    length: usize,
    has_messages: bool,
}

impl Halves {
    /// The batch with halves joined or held back.
    fn join(
        &mut self,
        batch: &Batch,
        source: &Arc<Source>,
        format: &dyn ImportFormat,
    ) -> io::Result<Batch> {
        let mut joined = Batch::default();
        for span in &batch.items {
            let bytes = batch.item(span);
            let half = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| format.half(text, &source.name.stem));
            let Some(half) = half else {
                push(&mut joined, span, bytes);
                continue;
            };
            let other = match self.waiting.get(&half.key) {
                Some(held) if held.has_messages != half.has_messages => {
                    self.waiting.remove(&half.key)
                }
                Some(_) => {
                    // Twice the same half: the second is an item of its own.
                    push(&mut joined, span, bytes);
                    continue;
                }
                None => None,
            };
            match other {
                Some(held) => {
                    let first = self.load(&held)?;
                    let (first, second) =
                        (String::from_utf8_lossy(&first), String::from_utf8_lossy(bytes));
                    push(&mut joined, span, format.join(&first, &second).as_bytes());
                }
                None => self.hold(half.key, half.has_messages, source, span, bytes)?,
            }
        }
        Ok(joined)
    }

    fn hold(
        &mut self,
        key: String,
        has_messages: bool,
        source: &Arc<Source>,
        span: &Span,
        bytes: &[u8],
    ) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(self.end))?;
            file.write_all(bytes)?;
        }
        let held = Held {
            source: Arc::clone(source),
            span: *span,
            at: self.end,
            length: bytes.len(),
            has_messages,
        };
        self.end += bytes.len() as u64;
        self.waiting.insert(key, held);
        Ok(())
    }

    fn load(&mut self, held: &Held) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; held.length];
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(held.at))?;
            file.read_exact(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// What is left at the end, in the order it came.
    fn left_over(mut self) -> io::Result<Vec<(Arc<Source>, Batch)>> {
        let mut held: Vec<Held> = std::mem::take(&mut self.waiting).into_values().collect();
        held.sort_by_key(|held| held.at);
        let mut batches: Vec<(Arc<Source>, Batch)> = Vec::new();
        for one in held {
            let bytes = self.load(&one)?;
            match batches.last_mut() {
                Some((source, batch)) if source.place == one.source.place => {
                    push(batch, &one.span, &bytes);
                }
                _ => {
                    let mut batch = Batch::default();
                    push(&mut batch, &one.span, &bytes);
                    batches.push((one.source, batch));
                }
            }
        }
        Ok(batches)
    }
}

fn push(batch: &mut Batch, span: &Span, bytes: &[u8]) {
    let start = batch.bytes.len();
    batch.bytes.extend_from_slice(bytes);
    batch.items.push(Span { start, end: batch.bytes.len(), ..*span });
}

/// A thread that parses and shapes.
struct Worker<'p> {
    shaping: &'p Shaping<'p>,
    ends: &'p Ends<'p>,
    jobs: Arc<Mutex<Receiver<Job>>>,
    admission: &'p Turnstile<Admission>,
    gathering: &'p Turnstile<Gathering>,
    chunks: SyncSender<(u64, Result<Delivery, Error>)>,
    spent: SyncSender<Batch>,
    tools: ToolBench,
}

/// A conversation that was read, and where it stood.
struct ReadItem<'b> {
    conversation: Conversation<'b>,
    /// Its place in the batch, from 1.
    place: u64,
    span: Span,
    /// Whether the source gave it its id.
    has_id: bool,
    admitted: Admitted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Admitted {
    Waiting,
    NotSelected,
    Repeated,
    Taken,
}

/// What came of one batch.
#[derive(Default)]
struct BatchDone {
    account: Account,
    refused: Tally<Refusal>,
    /// With the item's place, by which they are put in order.
    rejects: Vec<Reject>,
    ids: Vec<String>,
    extras: Vec<u8>,
    renamed_tools: Vec<(String, String)>,
}

impl Worker<'_> {
    fn work(mut self) {
        let mut guard = FailOnDrop(&self.ends.failed, false);
        loop {
            let job = {
                let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.recv()
            };
            let Ok(job) = job else { break };
            if self.ends.now() || !self.one(job) {
                // Whatever waits for this batch must not wait for ever.
                self.ends.failed.store(true, Ordering::Relaxed);
                break;
            }
        }
        guard.1 = true;
    }

    /// One batch; false if everything ends.
    fn one(&mut self, job: Job) -> bool {
        let Job { sequence, source, items_before, work } = job;
        let mut done = BatchDone::default();
        let schema = self
            .shaping
            .data_format
            .schema(&self.shaping.shape_options, !self.shaping.file_format.is_nested());
        let mut rows = self.shaping.file_format.rows(schema, self.shaping.file_options);
        let (batch, finished, items) = match work {
            Work::Refused(why) => {
                let span = Span { start: 0, end: 0, index: 1, line: 0, byte: 0, fault: None };
                done.refuse(&source, &span, &ItemError::new(Refusal::Entry, 0, why));
                match self.admission.pass(sequence, self.ends, |admission| admission.finished) {
                    Some(finished) => (Batch::default(), finished, 1),
                    None => return false,
                }
            }
            Work::Items(batch) => {
                let mut read = parse(&batch, &source, self.shaping.from, &mut done);
                match self.admission.pass(sequence, self.ends, |admission| {
                    admission.admit(&mut read, &source, self.shaping.selection)
                }) {
                    Some(Ok(finished)) => {
                        if !finished {
                            self.shape(&read, &source, items_before, &mut *rows, &mut done);
                        }
                        drop(read);
                        let items = batch.items.len() as u64;
                        (batch, finished, items)
                    }
                    Some(Err(error)) => {
                        self.ends.fail(Error::Unpack {
                            name: "the set of seen ids".into(),
                            source: error,
                        });
                        return false;
                    }
                    None => return false,
                }
            }
        };
        let limit = self.shaping.selection.limit;
        let gathered = self.gathering.pass(sequence, self.ends, |gathering| {
            if finished {
                return None;
            }
            gathering.add(done, rows, &source, items, self.shaping)
        });
        if limit.is_some() && self.admission.lock().1.finished {
            self.ends.enough.store(true, Ordering::Relaxed);
        }
        let _ = self.spent.try_send(batch);
        match gathered {
            None => false,
            Some(None) => true,
            Some(Some(group)) => {
                let sequence = group.sequence;
                self.chunks.send((sequence, encode(group, self.shaping))).is_ok()
            }
        }
    }

    fn shape(
        &mut self,
        read: &[ReadItem<'_>],
        source: &Source,
        items_before: u64,
        rows: &mut dyn Rows,
        done: &mut BatchDone,
    ) {
        for one in read {
            if one.admitted == Admitted::NotSelected {
                continue;
            }
            let id = one.conversation.id.decoded();
            done.account.selected += 1;
            if one.admitted == Admitted::Repeated {
                let why = LeftOut::new(
                    Reason::RepeatedId,
                    "the id came before; the first conversation with it is kept",
                );
                done.leave_out(&id, None, &why, source, &one.span);
                done.account.left_out.add(why.reason, &id);
                continue;
            }
            let mut context = ShapeContext {
                options: self.shaping.shape_options,
                flat: !self.shaping.file_format.is_nested(),
                ordinal: items_before + one.place,
                tools: &mut self.tools,
            };
            let outcome = self.shaping.data_format.shape(&one.conversation, &mut context, rows);
            done.count(&id, outcome, source, &one.span, self.shaping.data_format.has_ids_apart());
        }
    }
}

/// Reads the items of a batch.
fn parse<'b>(
    batch: &'b Batch,
    source: &Source,
    named: Option<&'static dyn ImportFormat>,
    done: &mut BatchDone,
) -> Vec<ReadItem<'b>> {
    let mut read = Vec::with_capacity(batch.items.len());
    let mut notes = Notes::default();
    for (place, span) in (1..).zip(&batch.items) {
        done.account.read += 1;
        match parse_one(batch, span, source, named, &mut notes) {
            Ok(mut conversation) => {
                if conversation.source.is_empty() {
                    conversation.source = source.format.map_or("", ImportFormat::name).into();
                }
                let has_id = !conversation.id.is_empty();
                if !has_id {
                    conversation.id = format!("{}#{}", source.name.label, span.index).into();
                }
                read.push(ReadItem {
                    conversation,
                    place,
                    span: *span,
                    has_id,
                    admitted: Admitted::Waiting,
                });
            }
            Err(error) => done.refuse(source, span, &error),
        }
    }
    done.account.lone_surrogates = notes.lone_surrogates;
    done.account.duplicate_keys = notes.duplicate_keys;
    read
}

fn parse_one<'b>(
    batch: &'b Batch,
    span: &Span,
    source: &Source,
    named: Option<&'static dyn ImportFormat>,
    notes: &mut Notes,
) -> Result<Conversation<'b>, ItemError> {
    if let Some(fault) = span.fault {
        return Err(match fault {
            Fault::TooLarge => {
                let most = retort_model::bounds::ITEM_BYTES >> 20;
                ItemError::new(
                    Refusal::TooLarge,
                    0,
                    format!("larger than {most} MiB, the bound for one item"),
                )
            }
            Fault::Comma => {
                let what = "not valid JSON: between two elements of the array a comma is missing or one too many";
                ItemError::new(Refusal::NotJson, 0, what)
            }
            Fault::Unclosed => ItemError::new(
                Refusal::NotJson,
                0,
                "not valid JSON: the input ends inside an array",
            ),
        });
    }
    let text = simdutf8::compat::from_utf8(batch.item(span)).map_err(|error| {
        ItemError::new(Refusal::NotUtf8, error.valid_up_to(), "not valid UTF-8")
    })?;
    // Numbers, texts and the like are JSON, but no conversation in any format.
    let nests = text.trim_start().starts_with(['{', '[']);
    if let Some(format) = source.format.filter(|_| nests) {
        let conversation = format.read(text, notes);
        // A stream may hold more than one shape; where the format was not named, another may know the item.
        if named.is_none()
            && let Err(error) = &conversation
            && error.refusal == Refusal::UnknownShape
            && let Some(other) =
                sniff(&Shape::of(text)?).filter(|other| other.name() != format.name())
        {
            return other.read(text, notes);
        }
        return conversation;
    }
    let words = Shape::of(text)?.words();
    Err(ItemError::new(
        Refusal::UnknownShape,
        0,
        format!("{words}: no import format knows it; name one with `--from`"),
    ))
}

impl Admission {
    /// Decides on the conversations of a batch; says whether the limit was reached before it.
    fn admit(
        &mut self,
        read: &mut [ReadItem<'_>],
        source: &Source,
        selection: &Selection,
    ) -> io::Result<bool> {
        if self.finished {
            return Ok(true);
        }
        let format = source.format.map_or("", ImportFormat::name);
        for one in read {
            if !selection.matches(&one.conversation)
                || selection.limit.is_some_and(|limit| self.taken >= limit)
            {
                one.admitted = Admitted::NotSelected;
                continue;
            }
            let is_new = !one.has_id || self.seen.add(&[format, &one.conversation.id.decoded()])?;
            self.taken += u64::from(is_new);
            one.admitted = if is_new { Admitted::Taken } else { Admitted::Repeated };
        }
        self.finished = selection.limit.is_some_and(|limit| self.taken >= limit);
        Ok(false)
    }
}

impl BatchDone {
    fn refuse(&mut self, source: &Source, span: &Span, error: &ItemError) {
        if error.refusal == Refusal::Entry {
            self.account.read += 1;
        }
        self.account.refused += 1;
        self.refused.add(error.refusal, &format!("{}#{}", source.name.label, span.index));
        self.rejects.push(Reject {
            conversation_id: None,
            part: None,
            reason: error.refusal.as_str().into(),
            detail: error.message.clone(),
            input: source.name.label.clone(),
            line: span.line,
            index: span.index,
            byte: span.byte + error.at as u64,
        });
    }

    fn leave_out(
        &mut self,
        id: &str,
        part: Option<&String>,
        why: &LeftOut,
        source: &Source,
        span: &Span,
    ) {
        self.rejects.push(Reject {
            conversation_id: Some(id.to_owned()),
            part: part.cloned(),
            reason: why.reason.as_str().into(),
            detail: why.detail.clone(),
            input: source.name.label.clone(),
            line: span.line,
            index: span.index,
            byte: span.byte,
        });
    }

    /// Counts what came of a conversation.
    fn count(&mut self, id: &str, outcome: Outcome, source: &Source, span: &Span, ids_apart: bool) {
        for left in &outcome.left_out {
            self.leave_out(id, left.part.as_ref(), &left.why, source, span);
        }
        if outcome.records.is_empty() {
            if let Some(first) = outcome.left_out.first() {
                self.account.left_out.add(first.why.reason, id);
            }
        } else {
            self.account.written += 1;
            for left in &outcome.left_out {
                self.account.records_left_out.add(left.why.reason, id);
            }
        }
        for record in outcome.records {
            self.account.records += 1;
            self.account.records_repaired += u64::from(!record.repairs.is_empty());
            for repair in record.repairs {
                self.account.repaired.add(repair, id);
            }
            for repair in record.unrepaired {
                self.account.unrepaired.add(repair, id);
            }
            if let Some(reason) = record.unfit {
                self.account.unfit.add(reason, id);
            }
            for warning in record.warnings {
                self.account.warned.add(warning, id);
            }
            if ids_apart {
                self.ids.push(id.to_owned());
            }
            if let Some(extra) = record.extra {
                write_extra(id, record.part.as_deref(), &extra, &mut self.extras);
            }
        }
        self.renamed_tools.extend(outcome.renamed_tools);
    }
}

impl Gathering {
    /// Adds a batch; gives back a group that is full.
    fn add(
        &mut self,
        mut done: BatchDone,
        mut rows: Box<dyn Rows>,
        source: &Source,
        items: u64,
        shaping: &Shaping<'_>,
    ) -> Option<Group> {
        self.count_source(source, items, done.account.refused);
        let sizes = rows.row_sizes();
        done.account.longest_record_chars = sizes.iter().copied().max().unwrap_or(0).into();
        done.account.record_chars = sizes.iter().map(|&size| u64::from(size)).sum();
        for (warning, count) in [Warning::GuardedCell, Warning::LongCell, Warning::AmbiguousCell]
            .into_iter()
            .zip(rows.cells())
        {
            done.account.warned.add_many(warning, count);
        }
        self.totals.account.merge(done.account);
        self.totals.refused.merge(done.refused);
        for (from, to) in done.renamed_tools {
            if self.totals.renamed_tools.len() < RENAMED_TOOLS_LISTED {
                self.totals.renamed_tools.insert(from, to);
            }
        }
        if shaping.file_format.types_are_inferred() {
            self.move_to_front(&mut *rows, &mut done.ids);
        }
        done.rejects.sort_by_key(|reject| reject.index);
        for reject in &done.rejects {
            write_reject(reject, &mut self.rejects);
        }
        for id in &done.ids {
            id_line(id, &mut self.ids);
        }
        self.extras.append(&mut done.extras);
        if rows.count() > 0 {
            self.rows += rows.count();
            self.bytes += rows.size_bytes();
            self.group.push(rows);
        }
        if self.rows > 0 && shaping.file_format.is_full(self.rows, self.bytes) {
            self.take_group(shaping)
        } else {
            None
        }
    }

    fn take_group(&mut self, shaping: &Shaping<'_>) -> Option<Group> {
        if self.group.is_empty() && self.rejects.is_empty() {
            return None;
        }
        self.rows = 0;
        self.bytes = 0;
        self.sequence += 1;
        Some(Group {
            sequence: self.sequence - 1,
            rows: std::mem::take(&mut self.group),
            rejects: std::mem::take(&mut self.rejects),
            ids: std::mem::take(&mut self.ids),
            extras: std::mem::take(&mut self.extras),
            account: shaping
                .tells_account
                .then(|| (self.totals.account.clone(), self.totals.refused.clone())),
        })
    }

    /// Takes out the rows that show readers the type of something that no row before them showed, where that
    /// would come too late.
    fn move_to_front(&mut self, rows: &mut dyn Rows, ids: &mut Vec<String>) {
        let here = rows.evidence().iter().fold(0, |all, one| all | one);
        let bytes = rows.size_bytes() as u64;
        if self.bytes_before < INFERENCE_BYTES {
            self.evidence |= here;
        } else if here & !self.evidence != 0 {
            let mut index = 0;
            while let Some(&evidence) = rows.evidence().get(index) {
                if evidence & !self.evidence == 0 {
                    index += 1;
                    continue;
                }
                self.evidence |= evidence;
                let row = rows.row(index).unwrap_or_default().to_vec();
                rows.remove(index);
                let mut id = Vec::new();
                if index < ids.len() {
                    id_line(&ids.remove(index), &mut id);
                }
                self.totals.front.push(FrontRow { row, id });
            }
        }
        self.bytes_before += bytes;
    }

    fn count_source(&mut self, source: &Source, items: u64, refused: u64) {
        let sources = &mut self.totals.sources;
        if sources.len() <= source.place {
            sources.resize(source.place + 1, SourceCount::default());
        }
        if let Some(count) = sources.get_mut(source.place) {
            count.name.clone_from(&source.name.label);
            count.format = source.format.map(ImportFormat::name).or(count.format);
            count.items += items;
            count.refused += refused;
        }
    }
}

/// An id as a line: line ends in it would make it two.
fn id_line(id: &str, out: &mut Vec<u8>) {
    out.extend(id.bytes().map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }));
    out.push(b'\n');
}
