//! `import`: histories into the store.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use retort_formats::import::{ImportFormat, Refusal};
use retort_formats::package::{Finding, InputCount, findings, write_reject};
use retort_model::bounds::{COMMIT_BYTES, COMMIT_ITEMS, IDS_LISTED};
use retort_model::{Conversation, Item, Scope, Tally, Text, canonical};
use retort_store::{Incoming, Packer, Store, Taken};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::pipeline::{
    BatchDone, Ends, Feed, InputsFeed, Job, More, Observer, Outlet, Progress, ReadItem, Source,
    Turnstile, Work, in_order, parse, refused_entry,
};
use crate::seen::SeenIds;
use crate::source::{Input, Inputs};

/// What is to be imported.
#[derive(Clone)]
pub struct ImportPlan {
    /// What to read.
    pub inputs: Vec<Input>,
    /// The import format, if it is not to be found out.
    pub from: Option<&'static dyn ImportFormat>,
    /// Who held the conversations that do not say who did.
    pub owner: Option<String>,
    /// Threads that parse and pack.
    pub threads: usize,
    /// Whether to look only at what would happen.
    pub dry_run: bool,
    /// Whether the report names each conversation; for a few.
    pub names: bool,
}

/// A conversation that an import met, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// Its id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// What became of it.
    pub became: Taken,
}

/// What an import did. `read = new + updated + same + older + repeated + foreign + refused`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Items that were read.
    pub read: u64,
    /// Conversations that were not there.
    pub new: u64,
    /// Those that took the place of an earlier state.
    pub updated: u64,
    /// Those that were there just so.
    pub same: u64,
    /// Those of which the store has a newer state.
    pub older: u64,
    /// Those whose id came before in this import, and that were no newer.
    pub repeated: u64,
    /// Those that are another person's than the one who may bring in only their own.
    #[serde(default)]
    pub foreign: u64,
    /// Items that could not be read, by reason.
    pub refused: Vec<Finding>,
    /// Where the first of them stand, and what is wrong with them.
    pub first_refused: Vec<String>,
    /// Lone surrogates read as U+FFFD.
    pub lone_surrogates: u64,
    /// Keys that stood twice in one object; the last counted.
    pub duplicate_keys: u64,
    /// Files in folders that by their endings are no histories.
    pub files_passed_over: u64,
    /// The inputs, one by one.
    pub inputs: Vec<InputCount>,
    /// The conversations, if they were to be named.
    #[serde(skip)]
    pub met: Vec<Met>,
}

impl ImportReport {
    /// Items that could not be read.
    pub fn refused_count(&self) -> u64 {
        self.refused.iter().map(|finding| finding.count).sum()
    }

    /// Whether every item is accounted for.
    pub fn balances(&self) -> bool {
        let kept = self.new + self.updated + self.same + self.older + self.repeated + self.foreign;
        self.read == kept + self.refused_count()
    }
}

/// What a worker made of a batch.
struct Made {
    source: Arc<Source>,
    done: BatchDone,
    incoming: Vec<Incoming>,
    /// Conversations of others.
    foreign: Vec<Met>,
}

/// What came before in the same import.
struct Before {
    seen: SeenIds,
    /// How often a content without an id came, where that was more than once.
    again: HashMap<[u8; 16], u64>,
}

/// Reads histories into a project of the store, a batch at a time. `rejects` gets a line for each item that could
/// not be read.
///
/// # Errors
/// Failing I/O or a failing store; what was committed before stays.
pub(crate) fn import(
    store: &Store,
    scope: &Scope,
    plan: &ImportPlan,
    observer: &dyn Observer,
    stopped: &AtomicBool,
    rejects: &mut dyn Write,
) -> Result<ImportReport, Error> {
    let inputs = Inputs::find(&plan.inputs, None)?;
    let ends = Ends::new(stopped);
    let before = Turnstile::new(Before { seen: SeenIds::new(), again: HashMap::new() });
    let read_bytes = Arc::new(AtomicU64::new(0));
    let mut feed = InputsFeed::new(&inputs, plan.from);
    let total_bytes = feed.total_bytes();
    let mut taking = Taking {
        store,
        scope,
        plan,
        waiting: Vec::new(),
        waiting_bytes: 0,
        refused: Tally::default(),
        report: ImportReport { files_passed_over: inputs.passed_over, ..ImportReport::default() },
    };
    let read = Arc::clone(&read_bytes);
    in_order(
        plan.threads.max(1),
        &ends,
        |jobs| feed.feed(&mut Outlet::new(jobs, &ends, None, 0, read)),
        || {
            let mut packer = store.packer();
            let (ends, before) = (&ends, &before);
            move |job: Job, made: &crate::pipeline::Made<Made>| {
                let sequence = job.sequence;
                match pack(job, (plan, scope), &mut packer, before, ends) {
                    Some(result) => made.send((sequence, result)).is_ok(),
                    None => false,
                }
            }
        },
        &mut |made: Made| {
            taking.take(made, rejects)?;
            observer.progress(Progress {
                read_bytes: read_bytes.load(Ordering::Relaxed),
                total_bytes,
                records: taking.report.new + taking.report.updated,
            });
            Ok(More::Wanted)
        },
    )?;
    taking.commit()?;
    if total_bytes > COMMIT_BYTES {
        store.rest();
    }
    let records = taking.report.new + taking.report.updated;
    let read_bytes = read_bytes.load(Ordering::Relaxed);
    observer.progress(Progress { read_bytes, total_bytes, records });
    let mut report = taking.report;
    report.refused = findings(&taking.refused, Refusal::as_str);
    debug_assert!(report.balances());
    Ok(report)
}

/// Parses a batch and packs its conversations; `None` if everything ends.
fn pack(
    job: Job,
    (plan, scope): (&ImportPlan, &Scope),
    packer: &mut Packer<'_>,
    before: &Turnstile<Before>,
    ends: &Ends<'_>,
) -> Option<Result<Made, Error>> {
    let Job { sequence, source, work, .. } = job;
    let mut done = BatchDone::default();
    let batch = match work {
        Work::Items(batch) => batch,
        Work::Refused(why) => {
            refused_entry(&mut done, &source, why);
            before.pass(sequence, ends, |_| ())?;
            return Some(Ok(Made { source, done, incoming: Vec::new(), foreign: Vec::new() }));
        }
        Work::Stored(_) => return Some(Err(Error::Choice("stored items are in the store".into()))),
    };
    let mut read = parse(&batch, &source, plan.from, &mut done);
    let mut line = Vec::new();
    let mut contents = Vec::with_capacity(read.len());
    for one in &mut read {
        if let Some(owner @ None) = one.item.owner_mut() {
            *owner = plan.owner.as_deref().map(Text::from);
        }
        contents.push((!one.has_id).then(|| content_of(one, &mut line)));
    }
    let placed = before.pass(sequence, ends, |before| place(&mut read, &contents, before))?;
    let repeated = match placed {
        Ok(repeated) => repeated,
        Err(source) => {
            return Some(Err(Error::Unpack { name: "the set of seen ids".into(), source }));
        }
    };
    let mut foreign = Vec::new();
    let incoming = read
        .iter()
        .zip(repeated)
        .filter_map(|(one, repeated)| match &one.item {
            Item::Conversation(conversation) => Some((conversation, repeated)),
            Item::Run(_) | Item::Document(_) => None,
        })
        .filter(|(conversation, _)| {
            let is_own = scope.owner.is_none()
                || conversation.owner.as_ref().map(Text::decoded).as_deref()
                    == scope.owner.as_deref();
            if !is_own {
                foreign.push(Met {
                    id: conversation.id.decoded().into_owned(),
                    source: conversation.source.decoded().into_owned(),
                    became: Taken::Foreign,
                });
            }
            is_own
        })
        .map(|(conversation, repeated)| incoming_of(conversation, repeated, packer, &mut line))
        .collect();
    Some(match incoming {
        Ok(incoming) => Ok(Made { source, done, incoming, foreign }),
        Err(error) => Err(Error::Store(error)),
    })
}

fn digest(line: &[u8]) -> [u8; 16] {
    Sha256::digest(line).first_chunk::<16>().copied().unwrap_or_default()
}

/// A hash of what a conversation without an id holds.
fn content_of(one: &mut ReadItem<'_>, line: &mut Vec<u8>) -> [u8; 16] {
    *one.item.id_mut() = Text::from("");
    line.clear();
    match &one.item {
        Item::Conversation(conversation) => canonical::write(conversation, line),
        Item::Run(run) => canonical::write_run(run, line),
        Item::Document(document) => {
            let names = [&document.readable_filename, &document.url, &document.s3_path];
            let names = names.into_iter().flatten();
            for text in names.chain(document.chunks.iter().map(|chunk| &chunk.text)) {
                text.write_string(line);
            }
        }
    }
    digest(line)
}

/// Says of each item whether its id came before. One without an id gets one from its content: the same
/// content gets the same id when it is imported again, and a second time in one import a next one.
fn place(
    read: &mut [ReadItem<'_>],
    contents: &[Option<[u8; 16]>],
    before: &mut Before,
) -> io::Result<Vec<bool>> {
    let mut repeated = Vec::with_capacity(read.len());
    for (one, content) in read.iter_mut().zip(contents) {
        let item = &mut one.item;
        let (kind, among) = (item.kind().as_str(), item.among().decoded().into_owned());
        let Some(content) = content else {
            repeated.push(!before.seen.add(&[kind, &among, &item.id().decoded()])?);
            continue;
        };
        let mut id = crate::place::hex(content);
        if !before.seen.add(&["", kind, &among, &id])? {
            let times = before.again.entry(*content).or_insert(1);
            *times += 1;
            id = format!("{id}-{times}");
        }
        *item.id_mut() = id.into();
        repeated.push(false);
    }
    Ok(repeated)
}

/// A conversation as the store takes it.
pub(crate) fn incoming_of(
    conversation: &Conversation<'_>,
    repeated: bool,
    packer: &mut Packer<'_>,
    line: &mut Vec<u8>,
) -> Result<Incoming, retort_store::Error> {
    line.clear();
    canonical::write(conversation, line);
    let decoded = |text: &Text<'_>| text.decoded().into_owned();
    let path = conversation.active_path();
    let count = conversation.rounds.iter().map(|round| round.messages.len() as u64).sum();
    Ok(Incoming {
        id: decoded(&conversation.id),
        source: decoded(&conversation.source),
        owner: conversation.owner.as_ref().map(decoded),
        kind: conversation.kind,
        status: conversation.status,
        title: conversation.title.as_ref().map(decoded),
        tags: conversation.tags.iter().map(decoded).collect(),
        model: conversation.model_of(path.into_iter()).map(decoded),
        created_at: conversation.created_at,
        updated_at: conversation.updated_at,
        rounds: conversation.rounds.len() as u64,
        messages: count,
        digest: digest(line),
        size: line.len() as u64,
        body: packer.pack(line)?,
        repeated,
    })
}

/// Gathers what the workers made and commits it.
struct Taking<'t> {
    store: &'t Store,
    scope: &'t Scope,
    plan: &'t ImportPlan,
    waiting: Vec<Incoming>,
    waiting_bytes: u64,
    refused: Tally<Refusal>,
    report: ImportReport,
}

impl Taking<'_> {
    fn take(&mut self, made: Made, rejects: &mut dyn Write) -> Result<(), Error> {
        let Made { source, done, mut incoming, mut foreign } = made;
        self.count(&source, &done, incoming.len() + foreign.len());
        self.report.foreign += foreign.len() as u64;
        if self.plan.names {
            self.report.met.append(&mut foreign);
        }
        let mut lines = Vec::new();
        for reject in &done.rejects {
            write_reject(reject, &mut lines);
            if self.report.first_refused.len() < IDS_LISTED {
                let (input, line, byte) = (&reject.input, reject.line, reject.byte);
                self.report.first_refused.push(format!(
                    "{input}, item {}, line {line}, byte {byte}: {}",
                    reject.index, reject.detail
                ));
            }
        }
        rejects
            .write_all(&lines)
            .map_err(|source| Error::Unpack { name: "the list of refused items".into(), source })?;
        self.waiting_bytes += incoming.iter().map(|one| one.size).sum::<u64>();
        self.waiting.append(&mut incoming);
        if self.waiting.len() >= COMMIT_ITEMS || self.waiting_bytes >= COMMIT_BYTES {
            self.commit()?;
        }
        self.refused.merge(done.refused);
        Ok(())
    }

    fn count(&mut self, source: &Source, done: &BatchDone, taken: usize) {
        let items = taken as u64 + done.account.refused;
        self.report.read += items;
        self.report.lone_surrogates += done.account.lone_surrogates;
        self.report.duplicate_keys += done.account.duplicate_keys;
        let inputs = &mut self.report.inputs;
        if inputs.len() <= source.place {
            inputs.resize(source.place + 1, InputCount::default());
        }
        if let Some(input) = inputs.get_mut(source.place) {
            input.name.clone_from(&source.name.label);
            input.format = source.format.map(|format| format.name().to_owned());
            input.items += items;
            input.refused += done.account.refused;
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let taken = if self.plan.dry_run {
            self.store.would_take_in(self.scope, &self.waiting)?
        } else {
            self.store.take_in(self.scope, &self.waiting)?
        };
        for (one, became) in self.waiting.iter().zip(taken) {
            if self.plan.names {
                let (id, source) = (one.id.clone(), one.source.clone());
                self.report.met.push(Met { id, source, became });
            }
            *match became {
                Taken::New => &mut self.report.new,
                Taken::Updated => &mut self.report.updated,
                Taken::Same => &mut self.report.same,
                Taken::Older => &mut self.report.older,
                Taken::Repeated => &mut self.report.repeated,
                Taken::Foreign => &mut self.report.foreign,
            } += 1;
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }
}
