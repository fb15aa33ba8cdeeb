//! The threads that parse and shape.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use retort_formats::data::{Outcome, ShapeContext, ToolBench};
use retort_formats::file::Rows;
use retort_formats::import::split::{Batch, Fault, Span};
use retort_formats::import::{ImportFormat, ItemError, Notes, Refusal, Shape, sniff};
use retort_formats::package::{Reject, write_extra};
use retort_model::{Account, Conversation, LeftOut, Reason, Tally};

use super::gather::{Admission, Gathering, encode};
use super::{Delivery, Ends, FailOnDrop, Job, Shaping, Source, Turnstile, Work};
use crate::Error;

/// A thread that parses and shapes.
pub(super) struct Worker<'p> {
    pub(super) shaping: &'p Shaping<'p>,
    pub(super) ends: &'p Ends<'p>,
    pub(super) jobs: Arc<Mutex<Receiver<Job>>>,
    pub(super) admission: &'p Turnstile<Admission>,
    pub(super) gathering: &'p Turnstile<Gathering>,
    pub(super) chunks: SyncSender<(u64, Result<Delivery, Error>)>,
    pub(super) spent: SyncSender<Batch>,
    pub(super) tools: ToolBench,
}

/// A conversation that was read, and where it stood.
pub(super) struct ReadItem<'b> {
    pub(super) conversation: Conversation<'b>,
    /// Its place in the batch, from 1.
    pub(super) place: u64,
    pub(super) span: Span,
    /// Whether the source gave it its id.
    pub(super) has_id: bool,
    pub(super) admitted: Admitted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    Waiting,
    NotSelected,
    Repeated,
    Taken,
}

/// What came of one batch.
#[derive(Default)]
pub(super) struct BatchDone {
    pub(super) account: Account,
    pub(super) refused: Tally<Refusal>,
    /// With the item's place, by which they are put in order.
    pub(super) rejects: Vec<Reject>,
    pub(super) ids: Vec<String>,
    pub(super) extras: Vec<u8>,
    pub(super) renamed_tools: Vec<(String, String)>,
}

impl Worker<'_> {
    pub(super) fn work(mut self) {
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
