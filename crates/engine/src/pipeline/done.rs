//! What came of a batch: the counts, and the lines of the files beside the data.

use std::borrow::Cow;

use retort_formats::data::{Noted, Outcome};
use retort_formats::import::split::Span;
use retort_formats::import::{ItemError, Notes, Refusal};
use retort_formats::package::{FindingLine, List, Reject, write_extra};
use retort_model::{Account, Item, ItemKind, LeftOut, Reason, Tally, Warning};

use super::item::{Assigned, ReadItem};
use super::job::Source;
use super::totals::{Contents, ListedHit};
use crate::split::write_group;

/// What the cells of a batch are counted by.
pub(super) const CELLS: [Warning; 3] =
    [Warning::GuardedCell, Warning::LongCell, Warning::AmbiguousCell];

/// What came of one batch.
#[derive(Default)]
pub struct BatchDone {
    /// What was found in the items.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// With the item's place, by which they are put in order.
    pub rejects: Vec<Reject>,
    /// Repairs and warnings, where they are listed; they are put in order as well.
    pub(super) findings: Vec<FindingLine>,
    pub(super) lists_findings: bool,
    pub(super) extras: Vec<u8>,
    /// For each item that was written, the hash of its group and its output, if there are several.
    pub(super) groups: Vec<u8>,
    pub(super) renamed_tools: Vec<(String, String)>,
    /// Places of packed items of which nothing was written.
    pub(super) without_records: Vec<u64>,
    /// The first hits of redaction, where they are listed.
    pub(super) hits: Vec<ListedHit>,
    /// What is in the items, where that is counted.
    pub(super) contents: Option<Box<Contents>>,
}

/// An item, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Located<'i> {
    pub(super) kind: ItemKind,
    pub(super) id: &'i str,
    pub(super) source: &'i Source,
    pub(super) span: &'i Span,
}

impl BatchDone {
    pub(super) fn refuse(&mut self, source: &Source, span: &Span, error: &ItemError) {
        self.account.read += 1;
        self.account.refused += 1;
        self.refused.add(error.refusal, &format!("{}#{}", source.name.label, span.index));
        self.rejects.push(Reject {
            id: None,
            part: None,
            reason: error.refusal.as_str().into(),
            detail: error.message.clone(),
            input: source.name.label.clone(),
            line: span.line,
            index: span.index,
            byte: span.byte + error.at as u64,
        });
    }

    /// Counts what people should know of how an item was read.
    pub(super) fn warn_of_reading(
        &mut self,
        item: &Item<'_>,
        before: &Notes,
        after: &Notes,
        source: &Source,
        span: &Span,
    ) {
        let ragged = matches!(item, Item::Document(document) if document.is_ragged());
        for (warning, is_due) in [
            (Warning::UnreadTime, after.unread_times > before.unread_times),
            (Warning::NonFinite, after.non_finite > before.non_finite),
            (Warning::RaggedEmbedding, ragged),
        ] {
            if is_due {
                let id = item.id().decoded();
                self.warn(warning, Located { kind: item.kind(), id: &id, source, span });
            }
        }
        self.warn_not_understood(item, source, span);
    }

    /// Counts an item of which something was not understood, with the path of the first.
    pub(super) fn warn_not_understood(&mut self, item: &Item<'_>, source: &Source, span: &Span) {
        let Some(first) = item.not_understood().first() else { return };
        let id = item.id().decoded();
        self.account.warned.add(Warning::NotUnderstood, &format!("{id}: {}", first.path));
        let at = Located { kind: item.kind(), id: &id, source, span };
        let kind = Warning::NotUnderstood.as_str();
        self.list(at, (List::Warning, kind), |line| line.detail = Some(first.path.clone()));
    }

    /// Counts a warning about an item.
    pub(super) fn warn(&mut self, warning: Warning, at: Located<'_>) {
        self.warn_of(warning, at, None);
    }

    /// Counts a warning about an item, with a detail if there is one.
    pub(super) fn warn_of(&mut self, warning: Warning, at: Located<'_>, detail: Option<&str>) {
        match detail {
            Some(detail) => self.account.warned.add(warning, &format!("{}: {detail}", at.id)),
            None => self.account.warned.add(warning, at.id),
        }
        self.list(at, (List::Warning, warning.as_str()), |line| {
            line.detail = detail.map(str::to_owned);
        });
    }

    /// Lists cells of an item that are counted with their batch.
    pub(super) fn list_cells(&mut self, warning: Warning, count: u64, at: Located<'_>) {
        if count > 0 {
            self.list(at, (List::Warning, warning.as_str()), |line| line.count = count);
        }
    }

    /// Lists a finding, where that is asked; `complete` adds what is known beyond its name.
    pub(super) fn list(
        &mut self,
        at: Located<'_>,
        (list, kind): (List, impl Into<Cow<'static, str>>),
        complete: impl FnOnce(&mut FindingLine),
    ) {
        if !self.lists_findings {
            return;
        }
        let mut line = FindingLine {
            item: at.kind,
            id: at.id.to_owned(),
            part: None,
            list,
            kind: kind.into(),
            message: None,
            detail: None,
            count: 1,
            input: at.source.name.label.clone(),
            line: at.span.line,
            index: at.span.index,
            byte: at.span.byte,
        };
        complete(&mut line);
        self.findings.push(line);
    }

    /// Counts a packed item that is no longer there to be read.
    pub(super) fn lose(&mut self, at: Located<'_>, why: &LeftOut) {
        self.account.read_one(at.kind);
        self.account.select_one(at.kind);
        self.account.leave_out_one(at.kind, why.reason, at.id);
        self.without_records.push(at.span.index);
        self.leave_out(at, None, why);
    }

    pub(super) fn leave_out(&mut self, at: Located<'_>, part: Option<&String>, why: &LeftOut) {
        self.rejects.push(Reject {
            id: Some((at.kind, at.id.to_owned())),
            part: part.cloned(),
            reason: why.reason.as_str().into(),
            detail: why.detail.clone(),
            input: at.source.name.label.clone(),
            line: at.span.line,
            index: at.span.index,
            byte: at.span.byte,
        });
    }

    /// Counts what came of an item of an output, if there are several.
    pub(super) fn put_out(
        &mut self,
        one: &ReadItem<'_>,
        id: &str,
        records: u64,
        left_out: Option<Reason>,
    ) {
        let Some(Assigned { output, group }) = one.assigned else { return };
        self.account.put_out(output, records, left_out, id);
        if records > 0 {
            write_group(&group, output, &mut self.groups);
        }
    }

    /// Counts what came of an item; `ids` are those that stand apart from the rows.
    pub(super) fn count(
        &mut self,
        at: Located<'_>,
        outcome: Outcome,
        mut ids: Option<&mut Vec<String>>,
    ) {
        let Located { kind, id, .. } = at;
        for left in &outcome.left_out {
            self.leave_out(at, left.part.as_ref(), &left.why);
        }
        if outcome.records.is_empty() {
            if let Some(first) = outcome.left_out.first() {
                self.account.leave_out_one(kind, first.why.reason, id);
            }
        } else {
            self.account.write_one(kind);
            for left in &outcome.left_out {
                self.account.records_left_out.add(left.why.reason, id);
            }
        }
        for record in outcome.records {
            self.account.records += 1;
            self.account.records_repaired += u64::from(!record.repairs.is_empty());
            let part = record.part.as_deref();
            for Noted { kind, message } in record.repairs {
                self.account.repaired.add(kind, id);
                self.list_noted(at, part, (List::Repaired, kind.as_str()), message);
            }
            for Noted { kind, message } in record.unrepaired {
                self.account.unrepaired.add(kind, id);
                self.list_noted(at, part, (List::WouldBeRefused, kind.as_str()), message);
            }
            if let Some(reason) = record.unfit {
                self.account.unfit.add(reason, id);
                self.list_noted(at, part, (List::WouldBeRefused, reason.as_str()), None);
            }
            for Noted { kind, message } in record.warnings {
                self.account.warned.add(kind, id);
                self.list_noted(at, part, (List::Warning, kind.as_str()), message);
            }
            let row_id = match record.suffix {
                Some(suffix) => Cow::Owned(format!("{id}{suffix}")),
                None => Cow::Borrowed(id),
            };
            if let Some(ids) = &mut ids {
                ids.push(row_id.to_string());
            }
            if let Some(extra) = record.extra {
                write_extra((kind, &row_id), part, &extra, &mut self.extras);
            }
        }
        self.renamed_tools.extend(outcome.renamed_tools);
    }

    /// Lists what was found in a record.
    pub(super) fn list_noted(
        &mut self,
        at: Located<'_>,
        part: Option<&str>,
        what: (List, &'static str),
        message: Option<usize>,
    ) {
        self.list(at, what, |line| {
            line.part = part.map(str::to_owned);
            line.message = message;
        });
    }
}
