//! `import`: histories into the store.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use retort_engine::panics::{caught_in, point};
use retort_engine::pipeline::{
    BatchDone, Ends, Feed, InputsFeed, Job, More, Observer, Outlet, Progress, ReadItem, Sequencer,
    Source, Work, content_id, content_of, digest, in_order, parse, place_of, put_into_namespace,
    refuse_input,
};
use retort_engine::{
    AttachedFiles, Error as EngineError, IdHash, Input, Inputs, PassedOver, ReadOptions, SeenIds,
    message_hasher,
};
use retort_formats::embed::{carry_embedded, embed};
use retort_formats::import::{ImportFormat, Refusal};
use retort_formats::package::{Finding, InputCount, Reject, findings, write_reject};
use retort_json::{RawJson, Text, Value};
use retort_model::bounds::{CITATIONS, COMMIT_BYTES, COMMIT_ITEMS, IDS_LISTED, RUN_EXCERPT};
use retort_model::{
    Again, Conversation, Document, Features, Item, ItemKind, Messages, NodeKind, NodeRun, Run,
    RunFeatures, Scope, Tally, Time, Warning, Words, canonical,
};
use retort_store::{
    Compared, Comparing, ErasedPeople, Importer, Incoming, IncomingDocument, IncomingRun,
    PackedBody, Packer, Store, Taken, Updated,
};
use serde::{Deserialize, Serialize};

use crate::caller::LOCAL;
use crate::error::Error;
use crate::forgotten::forget_erased;

/// What is to be imported.
#[derive(Clone)]
pub struct ImportPlan {
    /// What to read.
    pub inputs: Vec<Input>,
    /// The import format, if it is not to be found out.
    pub from: Option<&'static dyn ImportFormat>,
    /// Who owns the items that do not say who does; nobody, if none is named.
    pub owner: Option<String>,
    /// Whether a member's import takes in what names another owner: the member owns it then, and its metadata say `user`.
    pub adopts: bool,
    /// What keeps the ids of these sources apart from others: an id becomes `NAMESPACE/ID`.
    pub namespace: Option<String>,
    /// Whether what comes replaces what is there under its id, even another conversation.
    pub replace: bool,
    /// Whether pictures, sound and other files that are beside the histories are put into the messages that show them.
    pub keeps_files: bool,
    /// Threads that parse and pack.
    pub threads: usize,
    /// Whether to look only at what would happen.
    pub dry_run: bool,
    /// Whether the report names each conversation; for a few.
    pub names: bool,
    /// How the inputs are read.
    pub reading: ReadOptions,
}

/// What a caller who waits for an import passes to it, besides its job.
pub(crate) struct Given<'g> {
    pub(crate) plan: &'g ImportPlan,
    /// Gets a line for each item that could not be read.
    pub(crate) rejects: &'g mut (dyn Write + Send),
}

/// A conversation or run that an import met, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedItem {
    /// Its id.
    pub id: String,
    /// The import format, or the copilot or recipe that ran.
    pub source: String,
    /// What became of it.
    pub outcome: Taken,
}

/// What an import did. `read = new + updated + same + older + repeated + foreign + erased + refused`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Whether it only looked at what would happen, and changed nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
    /// Items that were read.
    pub read: u64,
    /// Items that were not there.
    pub new: u64,
    /// Those that took the place of an earlier state.
    pub updated: u64,
    /// Those that were there just so.
    pub same: u64,
    /// Those that the store has in a newer state.
    pub older: u64,
    /// Those whose id came before in this import, and that were no newer.
    pub repeated: u64,
    /// Those that are another person's than the one who may bring in only their own.
    #[serde(default)]
    pub foreign: u64,
    /// Those that were left out because they were erased before, alone or with everything of their person. Nothing else is
    /// kept of them.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub erased: u64,
    /// How many of those that are the caller's are runs.
    #[serde(default)]
    pub runs: u64,
    /// How many are documents.
    #[serde(default)]
    pub documents: u64,
    /// Items that could not be read, by reason.
    pub refused: Vec<Finding>,
    /// Where the first of them stand, and what is wrong with them.
    pub first_refused: Vec<String>,
    /// Rejected items beyond those that the list of a server's import has room for.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub rejects_omitted: u64,
    /// Lone surrogates read as U+FFFD.
    pub lone_surrogates: u64,
    /// Keys that stood twice in one object; the last counted.
    pub duplicate_keys: u64,
    /// What people should know of how the items were read, each with the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<Finding>,
    /// Files and entries of archives that were not read.
    pub files_passed_over: u64,
    /// The same by reason, with the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub passed_over: Vec<Finding>,
    /// The inputs, one by one.
    pub inputs: Vec<InputCount>,
    /// The conversations, if they were to be named.
    #[serde(skip)]
    pub met: Vec<ImportedItem>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ImportReport {
    /// Items that could not be read.
    pub fn refused_count(&self) -> u64 {
        self.refused.iter().map(|finding| finding.count).sum()
    }

    /// Whether every item is accounted for.
    pub fn balances(&self) -> bool {
        let kept = self.new + self.updated + self.same + self.older + self.repeated;
        self.read == kept + self.foreign + self.erased + self.refused_count()
    }
}

/// Where an import goes, and who asks for it when.
pub(crate) struct Destination<'d> {
    pub(crate) store: &'d Store,
    pub(crate) scope: &'d Scope,
    /// The name of who imports.
    pub(crate) importer: &'d str,
    /// What time it is: no source knows what will be.
    pub(crate) now: Time,
}

/// What a worker made of a batch.
struct ReadBatch {
    source: Arc<Source>,
    done: BatchDone,
    incoming: Vec<Incoming>,
    runs: Vec<IncomingRun>,
    documents: Vec<IncomingDocument>,
    /// Items of others.
    foreign: Vec<ImportedItem>,
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
    to: &Destination<'_>,
    plan: &ImportPlan,
    observer: &dyn Observer,
    stopped: &AtomicBool,
    rejects: &mut (dyn Write + Send),
) -> Result<ImportReport, Error> {
    point("import.find");
    let store = to.store;
    let rejects = &Mutex::new(rejects);
    let inputs = Inputs::find(&plan.inputs, None, plan.reading)?;
    let ends = Ends::new(stopped);
    let attached = plan.keeps_files.then(|| AttachedFiles::of(&inputs));
    let erased = store.erased_people(to.scope.project)?;
    let before = Sequencer::new(Before { seen: SeenIds::new(), again: HashMap::new() });
    let read_bytes = Arc::new(AtomicU64::new(0));
    let mut feed = InputsFeed::new(&inputs, plan.from);
    let total_bytes = feed.total_bytes();
    let mut taking = Taking {
        names: plan.names,
        waiting: Waiting::default(),
        refused: Tally::default(),
        warned: Tally::default(),
        report: ImportReport::default(),
    };
    let committed = AtomicU64::new(0);
    let read = Arc::clone(&read_bytes);
    let progress = || Progress {
        read_bytes: read_bytes.load(Ordering::Relaxed),
        total_bytes,
        records: committed.load(Ordering::Relaxed),
    };
    // While some are committed, the next are made ready.
    let (full, to_commit) = sync_channel::<Waiting>(0);
    let (taken, done) = std::thread::scope(|threads| {
        let committing = threads.spawn(|| {
            caught_in(|| {
                let mut done = Committed::new(to, plan);
                for waiting in to_commit {
                    done.commit(waiting, rejects)?;
                    committed.store(done.report.new + done.report.updated, Ordering::Relaxed);
                }
                Ok::<_, Error>(done)
            })
        });
        let broken = || EngineError::bug("the thread that commits ended before the import");
        let hand_over = |waiting: Waiting| full.send(waiting).map_err(|_| broken());
        let taken = in_order(
            plan.threads.max(1),
            &ends,
            |jobs| feed.feed(&mut Outlet::new(plan.threads, jobs, &ends, None, 0, read)),
            || {
                let mut packer = store.packer();
                let (ends, before) = (&ends, &before);
                let (attached, erased) = (attached.as_ref(), erased.as_ref());
                move |job: Job, made: &retort_engine::pipeline::Output<'_, ReadBatch>| {
                    let sequence = job.sequence;
                    match pack(job, (plan, to, attached, erased), &mut packer, before, ends) {
                        Some(result) => made.send(sequence, result.map_err(EngineError::from)),
                        None => false,
                    }
                }
            },
            &mut |made: ReadBatch| {
                point("import.gather");
                if let Some(waiting) = taking.take(made, rejects)? {
                    hand_over(waiting)?;
                }
                observer.progress(progress());
                Ok(More::Wanted)
            },
        );
        let taken = taken.and_then(|_| hand_over(std::mem::take(&mut taking.waiting)));
        drop(full);
        (taken, committing.join().unwrap_or_else(|_| Err(broken().into())))
    });
    // What the store says against it is why the rest broke off.
    let Committed { report: done, conflicts, .. } = done?;
    taken?;
    if total_bytes > COMMIT_BYTES {
        store.rest();
    }
    observer.progress(progress());
    let mut report = ImportReport { dry_run: plan.dry_run, ..taking.report };
    (report.new, report.updated) = (done.new, done.updated);
    (report.same, report.older, report.repeated) = (done.same, done.older, done.repeated);
    report.foreign += done.foreign;
    report.erased = done.erased;
    report.runs = report.runs.saturating_sub(done.runs);
    report.documents = report.documents.saturating_sub(done.documents);
    report.met.extend(done.met);
    report.files_passed_over = feed.passed_over.total();
    report.passed_over = findings(&feed.passed_over, PassedOver::as_str);
    report.refused = findings(&taking.refused, Refusal::as_str);
    report.warnings = findings(&taking.warned, Warning::as_str);
    if report.erased > 0 {
        // They may be ids of what was erased.
        report.warnings.iter_mut().for_each(|warning| warning.first_ids.clear());
    }
    if let Some(conflicts) = conflicts {
        report.first_refused.extend(done.first_refused);
        report.first_refused.truncate(IDS_LISTED);
        report.refused.push(conflicts);
    }
    point("import.report");
    debug_assert!(report.balances());
    Ok(report)
}

/// Parses a batch and packs its conversations; `None` if everything ends.
fn pack(
    job: Job,
    (plan, to, attached, erased): (
        &ImportPlan,
        &Destination<'_>,
        Option<&AttachedFiles>,
        Option<&ErasedPeople>,
    ),
    packer: &mut Packer,
    before: &Sequencer<Before>,
    ends: &Ends<'_>,
) -> Option<Result<ReadBatch, Error>> {
    let Job { sequence, source, work, .. } = job;
    let mut done = BatchDone::default();
    let batch = match work {
        Work::Items(batch) => batch,
        Work::Refused(refused) => {
            refuse_input(&mut done, &source, refused);
            before.pass(sequence, ends, |_| ())?;
            let (incoming, runs, documents, foreign) = Default::default();
            return Some(Ok(ReadBatch { source, done, incoming, runs, documents, foreign }));
        }
        Work::Packed(_) => return Some(Err(EngineError::bug("packed items in an import").into())),
    };
    point("import.parse");
    let mut read = parse(&batch, &source, plan.from, &mut done);
    point("import.pack");
    let mut line = Vec::new();
    let mut contents = Vec::with_capacity(read.len());
    let beside = attached.map(|all| all.beside(&source.name.label));
    for one in &mut read {
        if let (Item::Conversation(conversation), Some(beside)) = (&mut one.item, &beside)
            && embed(conversation, beside).missing > 0
        {
            let id = conversation.id.decoded();
            done.account.warned.add(Warning::AttachmentLeftBehind, &id);
        }
        // The same content has the same id, no matter who owns it.
        contents.push((!one.has_id).then(|| content_of(one, &mut line)));
        if let Some(erased) = erased {
            forget_erased(&mut one.item, erased);
        }
        if let Some(owner @ None) = one.item.owner_mut() {
            *owner = plan.owner.as_deref().map(Text::from);
        }
        if let Some(namespace) = plan.namespace.as_deref().filter(|_| one.has_id) {
            put_into_namespace(&mut one.item, namespace);
        }
    }
    let placed = before.pass(sequence, ends, |before| place(&mut read, &contents, plan, before))?;
    let repeated = match placed {
        Ok(repeated) => repeated,
        Err(source) => {
            return Some(Err(EngineError::Failed { what: "the set of seen ids", source }.into()));
        }
    };
    let (mut incoming, mut runs) = (Vec::new(), Vec::new());
    let (mut documents, mut foreign) = (Vec::new(), Vec::new());
    for (one, repeated) in read.iter_mut().zip(repeated) {
        if plan.adopts {
            adopt(&mut one.item, to.scope);
        }
        if !is_allowed(&mut one.item, to.scope) {
            foreign.push(ImportedItem {
                id: one.item.id().decoded().into_owned(),
                source: one.item.among().decoded().into_owned(),
                outcome: Taken::Foreign,
            });
            continue;
        }
        let packed = match &one.item {
            Item::Conversation(conversation) => {
                let one = incoming_of(conversation, repeated, to.now, &mut line);
                packer.pack(&line).map(|body| incoming.push(Incoming { body, ..one }))
            }
            Item::Run(run) => {
                line.clear();
                canonical::write_run(run, &mut line);
                let body = packer.pack(&line);
                body.map(|body| runs.push(incoming_run(run, &line, body)))
            }
            Item::Document(document) => {
                line.clear();
                canonical::write_document(document, &mut line);
                let body = packer.pack(&line);
                body.map(|body| documents.push(incoming_document(document, repeated, &line, body)))
            }
        };
        if let Err(error) = packed {
            return Some(Err(Error::Store(error)));
        }
    }
    Some(Ok(ReadBatch { source, done, incoming, runs, documents, foreign }))
}

/// Whether the scope allows to import an item: a member imports what is theirs or nobody's, and no documents.
fn is_allowed(item: &mut Item<'_>, scope: &Scope) -> bool {
    let Some(member) = &scope.owner else { return true };
    let owner = item.owner_mut();
    owner.is_some_and(|owner| owner.as_ref().is_none_or(|owner| owner.decoded() == **member))
}

/// Makes a member the owner of what names another one, who is noted in the metadata.
fn adopt(item: &mut Item<'_>, scope: &Scope) {
    let Some(member) = &scope.owner else { return };
    let (owner, metadata) = match item {
        Item::Conversation(one) => (&mut one.owner, &mut one.metadata),
        Item::Run(one) => (&mut one.owner, &mut one.metadata),
        Item::Document(_) => return,
    };
    let other = owner.take_if(|owner| owner.decoded() != **member);
    if let Some(other) = other {
        metadata.put("user".into(), RawJson::string(&other.decoded()));
        *owner = Some(member.clone().into());
    }
}

/// Says of each item whether its id came before. One without an id gets one from its content: the same
/// content gets the same id when it is imported again, and a second time in one import a next one.
fn place(
    read: &mut [ReadItem<'_>],
    contents: &[Option<[u8; 16]>],
    plan: &ImportPlan,
    before: &mut Before,
) -> io::Result<Vec<bool>> {
    point("import.place");
    let mut repeated = Vec::with_capacity(read.len());
    for (one, content) in read.iter_mut().zip(contents) {
        let item = &mut one.item;
        let (kind, among) = (item.kind().as_str(), item.among().decoded().into_owned());
        let Some(content) = content else {
            // What becomes of a run that comes again does not depend on whether it came before just now.
            let is_run = item.kind() == ItemKind::Run;
            repeated.push(
                !is_run && !before.seen.add(IdHash::of(&[kind, &among, &item.id().decoded()]))?,
            );
            continue;
        };
        let mut time = 1;
        if !before.seen.add(IdHash::of(&["", kind, &among, &content_id(content, 1)]))? {
            let times = before.again.entry(*content).or_insert(1);
            *times += 1;
            time = *times;
        }
        *item.id_mut() = content_id(content, time).into();
        if let Some(namespace) = &plan.namespace {
            put_into_namespace(item, namespace);
        }
        repeated.push(false);
    }
    Ok(repeated)
}

/// How far a source's clock may be ahead: some give local times as UTC.
const AHEAD_MICROS: i64 = 86_400_000_000;

/// The last moment that a source may know of.
fn latest(now: Time) -> Option<Time> {
    Time::from_unix_micros(now.unix_micros().saturating_add(AHEAD_MICROS))
}

/// When a conversation changed last, as far as that can be believed: what is in the future would win over every
/// state to come.
fn believed(changed: Option<Time>, now: Time) -> Option<Time> {
    changed.filter(|time| Some(*time) <= latest(now)).map(|time| time.min(now))
}

/// A conversation as the store takes it, without its body: that is `line`, to be compressed.
pub(crate) fn incoming_of(
    conversation: &Conversation<'_>,
    repeated: bool,
    now: Time,
    line: &mut Vec<u8>,
) -> Incoming {
    line.clear();
    canonical::write(conversation, line);
    let decoded = |text: &Text<'_>| text.decoded().into_owned();
    let path = conversation.active_path();
    let count = conversation.rounds.iter().map(|round| round.messages.len() as u64).sum();
    Incoming {
        id: decoded(&conversation.id),
        source: decoded(&conversation.source),
        owner: conversation.owner.as_ref().map(decoded),
        kind: conversation.kind,
        status: conversation.status,
        title: conversation.title.as_ref().map(decoded),
        tags: conversation.tags.iter().map(decoded).collect(),
        model: conversation.model_of(path.into_iter()).map(decoded),
        created_at: conversation.created_at,
        updated_at: believed(conversation.updated_at, now),
        rounds: conversation.rounds.len() as u64,
        messages: count,
        features: Features::with_language(conversation),
        words: Words::of(conversation),
        digest: digest(line),
        size: line.len() as u64,
        body: PackedBody::default(),
        cites: cites(conversation),
        repeated,
    }
}

/// Paths and addresses of the passages that a conversation's answers were given with, each once, as many as are
/// listed.
fn cites(conversation: &Conversation<'_>) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for raw in conversation.messages().flat_map(|message| &message.contexts) {
        let Ok(context) = Value::parse(raw.as_str()) else { continue };
        for name in ["s3_path", "url"] {
            let place = context.get(name).and_then(Value::as_str).filter(|place| !place.is_empty());
            if let Some(place) = place.filter(|_| places.len() < CITATIONS) {
                places.insert(place.to_owned());
            }
        }
    }
    places
}

/// A run as the store takes it; `line` is its canonical line, `body` the same compressed.
pub(crate) fn incoming_run(run: &Run<'_>, line: &[u8], body: PackedBody) -> IncomingRun {
    let decoded = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.decoded().into_owned());
    let excerpt = |text: &Option<Text<'_>>| {
        text.as_ref().map(|text| text.decoded().chars().take(RUN_EXCERPT).collect::<String>())
    };
    let node = |node: &NodeRun<'_>| (node.node.decoded().into_owned(), node.kind);
    let nodes: BTreeSet<_> = run.nodes.iter().map(node).collect();
    let version = decoded(&run.version);
    IncomingRun {
        id: run.request_id.decoded().into_owned(),
        source: run.source,
        flow: run.source_id.decoded().into_owned(),
        flow_name: decoded(&run.source_name),
        owner: decoded(&run.owner),
        thread: decoded(&run.thread),
        status: run.status,
        has_feedback: run.has_feedback(),
        has_error: run.has_error(),
        features: RunFeatures::of(run),
        started_at: run.started_at,
        finished_at: run.finished_at,
        node_count: run.nodes.len() as u64,
        files: run.files.len() as u64,
        question: excerpt(&run.question),
        answer: excerpt(&run.answer),
        error: excerpt(&run.error),
        variant: variant(version.as_deref(), &nodes),
        version,
        nodes,
        digest: digest(line),
        size: line.len() as u64,
        body,
    }
}

/// A document as the store takes it; `line` is its canonical line, `body` the same compressed.
fn incoming_document(
    document: &Document<'_>,
    repeated: bool,
    line: &[u8],
    body: PackedBody,
) -> IncomingDocument {
    let decoded = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.decoded().into_owned());
    IncomingDocument {
        id: document.id.decoded().into_owned(),
        source: document.source.decoded().into_owned(),
        name: decoded(&document.readable_filename),
        url: decoded(&document.url),
        base_url: decoded(&document.base_url),
        s3_path: decoded(&document.s3_path),
        created_at: document.created_at,
        chunks: document.chunks.len() as u64,
        embeddings: document.embedding_stats(),
        digest: digest(line),
        size: line.len() as u64,
        body,
        repeated,
    }
}

/// A hash of what many runs of a copilot or recipe have in common: its version, and the nodes that they passed.
fn variant(version: Option<&str>, nodes: &BTreeSet<(String, NodeKind)>) -> [u8; 16] {
    let mut text = Vec::new();
    // Strings as JSON: where one ends is told.
    Text::from(version.unwrap_or_default()).write_string(&mut text);
    text.push(u8::from(version.is_some()));
    for (node, kind) in nodes {
        Text::from(&**node).write_string(&mut text);
        text.extend_from_slice(kind.as_str().as_bytes());
    }
    digest(&text)
}

/// How a conversation that comes relates to one that is there, by their lines. What people said of the one that is there
/// is carried over to the one that comes.
fn compare(
    states: &Comparing<'_>,
    packer: &mut Packer,
    now: Time,
) -> Result<Compared, retort_store::Error> {
    let damaged = |why: String| {
        retort_store::Error::Damaged(format!("the conversation `{}`: {why}", states.incoming.id))
    };
    let text = |line| std::str::from_utf8(line).map_err(|error| damaged(error.to_string()));
    let read = |line| canonical::read(text(line)?).map_err(|error| damaged(error.to_string()));
    let (was, mut came) = (read(states.was)?, read(states.came)?);
    let relation =
        Messages::of(&came, message_hasher()).relation(&Messages::of(&was, message_hasher()));
    let mut rewritten = None;
    let carries = carry_embedded(&was, &mut came) | came.carry_judgements(&was);
    if let Some(owner) = states.keeps_owner {
        came.owner = Some(owner.into());
    }
    if carries || states.keeps_owner.is_some() {
        let mut line = Vec::new();
        let one = incoming_of(&came, states.incoming.repeated, now, &mut line);
        rewritten = Some(Box::new(Incoming { body: packer.pack(&line)?, ..one }));
    }
    Ok(Compared { relation, rewritten })
}

/// What becomes of a run that is there and comes again, by its lines.
pub(crate) fn update_run(
    was: &[u8],
    came: &[u8],
    incoming: &IncomingRun,
    packer: &mut Packer,
    now: Time,
) -> Result<Updated, retort_store::Error> {
    let damaged =
        |why: String| retort_store::Error::Damaged(format!("the run `{}`: {why}", incoming.id));
    let text = |line| std::str::from_utf8(line).map_err(|error| damaged(error.to_string()));
    let read = |line| canonical::read_run(text(line)?).map_err(|error| damaged(error.to_string()));
    let (mut run, came) = (read(was)?, read(came)?);
    let owner = came.owner.clone();
    let mut again = run.update(came, latest(now));
    // An import that names the owner corrects it, however old the rest of its run is.
    if owner.is_some() && run.owner != owner {
        run.owner = owner;
        again = Again::Changed;
    }
    Ok(match again {
        Again::Same => Updated::Same,
        Again::Older => Updated::Older,
        Again::Changed => {
            let mut line = Vec::new();
            canonical::write_run(&run, &mut line);
            let body = packer.pack(&line)?;
            Updated::To(Box::new(incoming_run(&run, &line, body)))
        }
    })
}

/// Gathers what the workers made.
struct Taking {
    names: bool,
    waiting: Waiting,
    refused: Tally<Refusal>,
    warned: Tally<Warning>,
    report: ImportReport,
}

/// What is to be committed at once.
#[derive(Default)]
struct Waiting {
    conversations: Vec<Incoming>,
    runs: Vec<IncomingRun>,
    documents: Vec<IncomingDocument>,
    bytes: u64,
}

impl Waiting {
    fn is_full(&self) -> bool {
        let items = self.conversations.len() + self.runs.len() + self.documents.len();
        items >= COMMIT_ITEMS || self.bytes >= COMMIT_BYTES
    }
}

impl Taking {
    /// Takes a batch; gives back what is to be committed.
    fn take(&mut self, made: ReadBatch, rejects: &Rejects<'_>) -> Result<Option<Waiting>, Error> {
        let ReadBatch { source, done, mut incoming, mut runs, mut documents, mut foreign } = made;
        let count = incoming.len() + runs.len() + documents.len() + foreign.len();
        self.count(&source, &done, count);
        self.report.foreign += foreign.len() as u64;
        if self.names {
            self.report.met.append(&mut foreign);
        }
        let mut lines = Vec::new();
        for reject in &done.rejects {
            write_reject(reject, &mut lines);
            if self.report.first_refused.len() < IDS_LISTED {
                self.report.first_refused.push(place_of(reject));
            }
        }
        write_rejects(rejects, &lines)?;
        self.report.runs += runs.len() as u64;
        self.report.documents += documents.len() as u64;
        let waiting = &mut self.waiting;
        waiting.bytes += incoming.iter().map(|one| one.size).sum::<u64>();
        waiting.bytes += runs.iter().map(|one| one.size).sum::<u64>();
        waiting.bytes += documents.iter().map(|one| one.size).sum::<u64>();
        waiting.conversations.append(&mut incoming);
        waiting.runs.append(&mut runs);
        waiting.documents.append(&mut documents);
        self.refused.merge(done.refused);
        self.warned.merge(done.account.warned);
        Ok(self.waiting.is_full().then(|| std::mem::take(&mut self.waiting)))
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
}

/// Where a line goes for each item that is left out.
type Rejects<'r> = Mutex<&'r mut (dyn Write + Send)>;

fn write_rejects(rejects: &Rejects<'_>, lines: &[u8]) -> Result<(), EngineError> {
    let mut rejects = rejects.lock().unwrap_or_else(PoisonError::into_inner);
    rejects
        .write_all(lines)
        .map_err(|source| EngineError::Failed { what: "the list of refused items", source })
}

/// Why an item stays out whose id another conversation has.
const CONFLICT: &str = "id-taken";

/// What was committed. Its `runs` and `documents` are those that were erased before.
struct Committed<'c> {
    to: &'c Destination<'c>,
    plan: &'c ImportPlan,
    importer: Importer<'c>,
    report: ImportReport,
    conflicts: Option<Finding>,
}

impl<'c> Committed<'c> {
    fn new(to: &'c Destination<'c>, plan: &'c ImportPlan) -> Self {
        let importer = Importer {
            scope: to.scope,
            name: Some(to.importer),
            // Who holds the store's file is no member who would look for it.
            holds_unowned: to.importer != LOCAL,
            replaces: plan.replace,
        };
        Self { to, plan, importer, report: ImportReport::default(), conflicts: None }
    }

    fn commit(&mut self, waiting: Waiting, rejects: &Rejects<'_>) -> Result<(), Error> {
        point("import.commit");
        let Waiting { conversations, runs, documents, bytes: _ } = waiting;
        let (store, now) = (self.to.store, self.to.now);
        if !conversations.is_empty() {
            let mut packer = store.packer();
            let mut compare = |states: &Comparing<'_>| compare(states, &mut packer, now);
            let taken = if self.plan.dry_run {
                store.would_take_in(&self.importer, &conversations, &mut compare)?
            } else {
                store.take_in(&self.importer, &conversations, &mut compare)?
            };
            for (one, outcome) in conversations.into_iter().zip(taken) {
                if outcome == Taken::Conflict {
                    self.conflict(&one.id, rejects)?;
                }
                self.met(one.id, one.source, outcome);
            }
        }
        if !runs.is_empty() {
            let mut packer = store.packer();
            let mut update = |was: &[u8], came: &[u8], run: &IncomingRun| {
                point("import.update");
                update_run(was, came, run, &mut packer, now)
            };
            let taken = if self.plan.dry_run {
                store.would_take_in_runs(&self.importer, &runs, &mut update)?
            } else {
                store.take_in_runs(&self.importer, &runs, &mut update)?
            };
            for (one, outcome) in runs.into_iter().zip(taken) {
                self.report.runs += u64::from(outcome == Taken::Erased);
                self.met(one.id, one.flow, outcome);
            }
        }
        if !documents.is_empty() {
            let taken = if self.plan.dry_run {
                store.would_take_in_documents(&self.importer, &documents)?
            } else {
                store.take_in_documents(&self.importer, &documents)?
            };
            for (one, outcome) in documents.into_iter().zip(taken) {
                self.report.documents += u64::from(outcome == Taken::Erased);
                self.met(one.id, one.source, outcome);
            }
        }
        Ok(())
    }

    /// Counts one that stays out, as another conversation has its id.
    fn conflict(&mut self, id: &str, rejects: &Rejects<'_>) -> Result<(), Error> {
        let conflicts = self
            .conflicts
            .get_or_insert_with(|| Finding { kind: CONFLICT.into(), ..Finding::default() });
        conflicts.count += 1;
        let why = "another conversation has this id, with no message in common; keep both with `--namespace`, \
                   or replace it with `--replace`";
        if conflicts.first_ids.len() < IDS_LISTED {
            conflicts.first_ids.push(id.to_owned());
            self.report.first_refused.push(format!("`{id}`: {why}"));
        }
        let mut line = Vec::new();
        let reject = Reject {
            id: Some((ItemKind::Conversation, id.to_owned())),
            reason: CONFLICT.into(),
            detail: why.into(),
            ..Reject::default()
        };
        write_reject(&reject, &mut line);
        Ok(write_rejects(rejects, &line)?)
    }

    fn met(&mut self, id: String, source: String, outcome: Taken) {
        if self.plan.names {
            self.report.met.push(ImportedItem { id, source, outcome });
        }
        *match outcome {
            Taken::New => &mut self.report.new,
            Taken::Updated => &mut self.report.updated,
            Taken::Same => &mut self.report.same,
            Taken::Older => &mut self.report.older,
            Taken::Repeated => &mut self.report.repeated,
            Taken::Foreign => &mut self.report.foreign,
            Taken::Erased => &mut self.report.erased,
            // Counted with its reason.
            Taken::Conflict => return,
        } += 1;
    }
}
