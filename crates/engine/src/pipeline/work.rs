//! The threads that parse and shape.

use std::sync::mpsc::SyncSender;

use retort_formats::data::{GivenFiles, ToolCache};
use retort_formats::import::split::Batch;
use retort_model::{ConversationFilter, Item, Status, Warning};

use super::delivery::Delivery;
use super::done::{BatchDone, CELLS, Located};
use super::ends::Ends;
use super::gather::{Gathering, Shaped};
use super::item::{ReadItem, Standing};
use super::item_stats::ItemStats;
use super::job::{Job, Source};
use super::kept::{KeptItems, OutputRows};
use super::origins::origins_of;
use super::parse::{lines, read};
use super::redacting::Redacted;
use super::shaped::Shaper;
use super::shaping::Shaping;
use super::stages::{OrderedStages, Stages};
use super::workers::{Output, ReorderBuffer, Sequencer};
use crate::error::Error;
use crate::panics::point;

/// A thread that parses and shapes.
pub(super) struct Worker<'p> {
    pub(super) shaping: &'p Shaping<'p>,
    pub(super) ends: &'p Ends<'p>,
    pub(super) stages: &'p Stages<'p>,
    pub(super) ordered: &'p Sequencer<OrderedStages>,
    pub(super) gathering: &'p ReorderBuffer<Option<Shaped>, Gathering>,
    /// The selection, with the deleted conversations that it does not ask for.
    pub(super) widened: Option<ConversationFilter>,
    pub(super) spent: SyncSender<Batch>,
    pub(super) tools: ToolCache,
}

impl Worker<'_> {
    /// One batch; false if everything ends.
    pub(super) fn one(&mut self, job: Job, output: &Output<'_, Delivery>) -> bool {
        let Job { sequence, source, items_before, work, turn } = job;
        let mut done =
            BatchDone { lists_findings: self.shaping.lists_findings, ..BatchDone::default() };
        done.account.outputs = self.shaping.split.portions();
        done.contents = self.shaping.counts_contents.then(Box::default);
        let schema = self
            .shaping
            .data_format
            .schema(&self.shaping.shape_options, !self.shaping.file_format.is_nested());
        let output_rows = || OutputRows {
            rows: self.shaping.file_format.rows(&schema, self.shaping.file_options),
            ids: Vec::new(),
        };
        let mut outputs: Vec<OutputRows> =
            std::iter::repeat_with(output_rows).take(self.shaping.split.outputs()).collect();
        // A large row is about as long as its item: growing step by step would copy it several times.
        if let (Some(turn), [only]) = (&turn, &mut *outputs) {
            only.rows.reserve(usize::try_from(turn.bytes()).unwrap_or(0));
        }
        point("unpack");
        let (batch, packed) = lines(work, &source, &mut done);
        point("parse");
        let from = self.shaping.from;
        let mut read = read(&batch, packed.as_ref(), from, items_before, &source, &mut done);
        let items = done.account.read;
        let are_chosen = packed.is_some();
        self.stages.examine(&mut read, are_chosen, &mut |one, warning, detail| {
            let id = one.item.id().decoded();
            let at = Located { kind: one.item.kind(), id: &id, source: &source, span: &one.span };
            done.warn_of(warning, at, detail);
        });
        let keeps = self.shaping.keeps_batches;
        let mut kept = keeps.then(|| KeptItems::of(&read, items_before));
        let passed = self.ordered.pass(sequence, self.ends, |stages| {
            point("admit");
            stages.pass(&mut read, items_before, are_chosen)
        });
        let is_wanted = match passed {
            Some(Ok(is_wanted)) => is_wanted,
            Some(Err(source)) => {
                self.ends.fail(Error::Failed { what: "the decisions on items in order", source });
                return false;
            }
            None => return false,
        };
        if is_wanted
            && let Err(error) = self.shape(&read, &source, items_before, &mut outputs, &mut done)
        {
            self.ends.fail(error);
            return false;
        }
        if let Some(redactor) = &self.shaping.redactor {
            done.redact(redactor);
            // Nothing of a batch is written in which something may have been missed.
            if let Err(why) = redactor.check() {
                self.ends.fail(Error::Choice(why));
                return false;
            }
        }
        if let Some(kept) = &mut kept {
            kept.add_verdicts(&read, items_before);
        }
        drop(read);
        if !are_chosen {
            done.without_records.clear();
        }
        // The memory of a large batch is not used again, but freed now.
        if turn.is_none() {
            let _ = self.spent.try_send(batch);
        } else {
            drop(batch);
        }
        if !is_wanted || (self.shaping.selection.limit.is_some() && self.ordered.lock().1.finished)
        {
            self.ends.set_enough();
        }
        let shaped = is_wanted.then_some(Shaped { done, outputs, source, items, kept, turn });
        let (mut due, mut turns) = (Vec::new(), Vec::new());
        let goes_on =
            self.gathering.submit(sequence, shaped, self.ends, |gathering, mut shaped| {
                // Held until the finished groups of rows are sent.
                turns.extend(shaped.as_mut().and_then(|shaped| shaped.turn.take()));
                due.extend(
                    shaped.into_iter().flat_map(|shaped| gathering.add(shaped, self.shaping)),
                );
            });
        goes_on && due.into_iter().all(|(place, due)| output.send(place, due.encode(self.shaping)))
    }

    fn shape(
        &mut self,
        read: &[ReadItem<'_>],
        source: &Source,
        items_before: u64,
        outputs: &mut [OutputRows],
        done: &mut BatchDone,
    ) -> Result<(), Error> {
        point("shape");
        let beside = self.shaping.attached.as_ref().map(|all| all.beside(&source.name.label));
        let given = beside.as_ref().map(|beside| beside as &dyn GivenFiles);
        for one in read {
            if one.standing == Standing::NotSelected {
                done.account.deleted += u64::from(self.is_left_out_as_deleted(&one.item));
                continue;
            }
            let item_stats = done.contents.is_some().then(|| ItemStats::of_one(&one.item));
            if let (Some(contents), Some(item_stats)) = (&mut done.contents, &item_stats) {
                contents.selected.add(item_stats.clone());
            }
            if one.standing == Standing::NotSampled {
                done.account.not_sampled += 1;
                done.without_records.push(items_before + one.place);
                continue;
            }
            let (kind, id) = (one.item.kind(), one.item.id().decoded());
            let id = match &self.shaping.redactor {
                Some(redactor) => redactor.name(&id).into_owned().into(),
                None => id,
            };
            done.account.select_one(kind);
            let at = Located { kind, id: &id, source, span: &one.span };
            if let Standing::LeftOut(why) = &one.standing {
                done.leave_out(at, None, why);
                done.put_out(one, &id, 0, Some(why.reason));
                done.account.leave_out_one(kind, why.reason, &id);
                continue;
            }
            if one.is_kept_apart {
                done.warn(Warning::IdKeptApart, at);
            }
            let redacted = match &self.shaping.redactor {
                Some(redactor) => {
                    let hits_listed = self.shaping.hits_listed;
                    Redacted::of(redactor, (&one.item, at), hits_listed, done)
                }
                None => Redacted::Unchanged,
            };
            let item = match redacted.item(&one.item) {
                Ok(item) => item,
                Err(why) => {
                    done.leave_out(at, None, &why);
                    done.put_out(one, &id, 0, Some(why.reason));
                    done.account.leave_out_one(kind, why.reason, &id);
                    continue;
                }
            };
            let ordinal = items_before + one.place;
            let tools = &mut self.tools;
            let output = one.assigned.map_or(0, |assigned| assigned.output);
            let name = self.shaping.split.name(output);
            let Some(OutputRows { rows, ids }) = outputs.get_mut(output) else { continue };
            let cells = rows.cells();
            let shaper = Shaper { shaping: self.shaping, output: name, given, tools };
            let outcome = shaper.shape(&item, &mut **rows, &mut done.account.seen);
            if let Some(files) = &self.shaping.record_files {
                let written = outcome.records.iter().flat_map(|record| &record.files);
                written.into_iter().try_for_each(|file| files.write(file))?;
            }
            if done.lists_findings {
                for ((warning, before), after) in CELLS.into_iter().zip(cells).zip(rows.cells()) {
                    done.list_cells(warning, after - before, at);
                }
            }
            if outcome.records.is_empty() {
                done.without_records.push(ordinal);
            }
            let records = outcome.records.len() as u64;
            if let (Some(contents), Some(item_stats)) = (&mut done.contents, item_stats)
                && records > 0
            {
                contents.written.add(match &redacted {
                    Redacted::Unchanged => item_stats,
                    _ => ItemStats::of_one(&item),
                });
            }
            if self.shaping.counts_origins && records > 0 {
                done.account.origins.merge(origins_of(&item));
            }
            let first = outcome.left_out.first().map(|left| left.why.reason);
            done.put_out(one, &id, records, first);
            let ids = self.shaping.data_format.has_ids_apart().then_some(ids);
            done.count(at, outcome, ids);
        }
        Ok(())
    }

    /// Whether the filter would match an item if it asked for deleted ones.
    fn is_left_out_as_deleted(&self, item: &Item<'_>) -> bool {
        let Item::Conversation(conversation) = item else { return false };
        conversation.status == Status::Deleted
            && !self.shaping.selection.matches(conversation)
            && self.widened.as_ref().is_some_and(|widened| widened.matches(conversation))
    }
}
