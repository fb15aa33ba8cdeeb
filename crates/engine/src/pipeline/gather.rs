//! What is gathered in order: the counts, and the rows in groups.

use std::sync::Arc;

use retort_formats::file::Rows;
use retort_formats::import::ImportFormat;
use retort_formats::package::{Reject, write_finding, write_reject};
use retort_model::bounds::{BESIDE_BYTES, RENAMED_TOOLS_LISTED};

use super::part::{self, KeptItems};
use super::work::{BatchDone, CELLS};
use super::{Counted, Delivery, FrontRow, More, Shaping, Source, SourceCount, Totals};
use crate::error::Error;
use crate::panics::point;

/// What is gathered of the batches, in order.
#[derive(Default)]
pub(super) struct Gathering {
    pub(super) totals: Totals,
    /// The group that is not full yet, and how large its rows are.
    group: Group,
    rows: usize,
    bytes: usize,
    groups: u64,
}

/// What was shaped of one batch.
pub(super) struct Shaped {
    pub(super) done: BatchDone,
    pub(super) rows: Box<dyn Rows>,
    pub(super) source: Arc<Source>,
    /// Items that were in it.
    pub(super) items: u64,
    /// What a part keeps of its items.
    pub(super) kept: Option<KeptItems>,
}

/// A group of rows, and what goes beside them.
#[derive(Default)]
pub(super) struct Group {
    rows: Vec<Box<dyn Rows>>,
    rejects: Vec<u8>,
    findings: Vec<u8>,
    ids: Vec<u8>,
    extras: Vec<u8>,
    account: Option<Counted>,
}

impl Group {
    /// Bytes for the files beside the data.
    fn beside(&self) -> usize {
        self.rejects.len() + self.findings.len() + self.ids.len() + self.extras.len()
    }
}

/// What is to be encoded, by the thread that completed it.
pub(super) enum Due {
    Group(Box<Group>),
    /// A batch of a part.
    Batch(BatchRows, KeptItems),
}

impl Due {
    pub(super) fn encode(self, shaping: &Shaping<'_>) -> Result<Delivery, Error> {
        match self {
            Self::Group(group) => encode(*group, shaping),
            Self::Batch(batch, items) => part::keep(batch, items),
        }
    }
}

/// The rows of a batch, and what goes beside them. Everything that is done with it from here on depends on the batches
/// before.
pub(super) struct BatchRows {
    pub(super) rows: Box<dyn Rows>,
    pub(super) ids: Vec<String>,
    pub(super) rejects: Vec<u8>,
    pub(super) findings: Vec<u8>,
    pub(super) extras: Vec<u8>,
    pub(super) renamed_tools: Vec<(String, String)>,
}

impl Gathering {
    /// Goes on from what was counted before.
    pub(super) fn after(totals: Totals) -> Self {
        Self { totals, ..Self::default() }
    }

    /// Adds a batch; gives back what is to be written, and its place among such.
    pub(super) fn add(&mut self, mut shaped: Shaped, shaping: &Shaping<'_>) -> Option<(u64, Due)> {
        point("gather");
        let kept = shaped.kept.take();
        let batch = self.count(shaped);
        match kept {
            None => self.join(batch, shaping),
            Some(kept) => Some((self.next_place(), Due::Batch(batch, kept))),
        }
    }

    fn next_place(&mut self) -> u64 {
        self.groups += 1;
        self.groups - 1
    }

    /// Adds what was found in the items of a batch.
    fn count(&mut self, shaped: Shaped) -> BatchRows {
        let Shaped { mut done, rows, source, items, kept: _ } = shaped;
        self.count_source(&source, items, done.account.refused);
        let sizes = rows.row_sizes();
        done.account.longest_record_chars = sizes.iter().copied().max().unwrap_or(0).into();
        done.account.record_chars = sizes.iter().map(|&size| u64::from(size)).sum();
        for (warning, count) in CELLS.into_iter().zip(rows.cells()) {
            done.account.warned.add_many(warning, count);
        }
        self.totals.account.merge(std::mem::take(&mut done.account));
        self.totals.refused.merge(std::mem::take(&mut done.refused));
        self.totals.without_records.append(&mut done.without_records);
        done.rejects.sort_by_key(|reject| reject.index);
        let mut rejects = Vec::new();
        for reject in &done.rejects {
            let first = &mut self.totals.first_refused;
            if reject.id.is_none() && !first.contains_key(&reject.reason) {
                first.insert(reject.reason.clone(), place_of(reject));
            }
            write_reject(reject, &mut rejects);
        }
        done.findings.sort_by_key(|finding| finding.index);
        let mut findings = Vec::new();
        for finding in &done.findings {
            write_finding(finding, &mut findings);
        }
        let BatchDone { ids, extras, renamed_tools, .. } = done;
        BatchRows { rows, ids, rejects, findings, extras, renamed_tools }
    }

    /// Joins a batch to the group; gives back the group if it is full, and its place among the groups.
    pub(super) fn join(&mut self, batch: BatchRows, shaping: &Shaping<'_>) -> Option<(u64, Due)> {
        let BatchRows { mut rows, mut ids, mut rejects, mut findings, mut extras, renamed_tools } =
            batch;
        for (from, to) in renamed_tools {
            if self.totals.renamed_tools.len() < RENAMED_TOOLS_LISTED {
                self.totals.renamed_tools.insert(from, to);
            }
        }
        if shaping.file_format.types_are_inferred() {
            self.move_to_front(&mut *rows, &mut ids, shaping.inference_bytes);
        }
        self.group.rejects.append(&mut rejects);
        self.group.findings.append(&mut findings);
        for id in &ids {
            id_line(id, &mut self.group.ids);
        }
        self.group.extras.append(&mut extras);
        let (more, more_bytes) = (rows.count(), rows.size_bytes());
        if more > 0 {
            self.rows += more;
            self.bytes += more_bytes;
            self.group.rows.push(rows);
        }
        let is_full =
            self.rows > 0 && shaping.file_format.is_full(self.rows + more, self.bytes + more_bytes);
        if !is_full && self.group.beside() < BESIDE_BYTES {
            return None;
        }
        let group = self.take_group(shaping)?;
        Some((self.next_place(), Due::Group(Box::new(group))))
    }

    /// The rows that are there, and what goes beside them; none if there is neither.
    fn take_group(&mut self, shaping: &Shaping<'_>) -> Option<Group> {
        if self.group.rows.is_empty() && self.group.beside() == 0 {
            return None;
        }
        (self.rows, self.bytes) = (0, 0);
        let account = shaping.tells_account.then(|| Counted {
            account: self.totals.account.clone(),
            refused: self.totals.refused.clone(),
            first_refused: self.totals.first_refused.clone(),
        });
        Some(Group { account, ..std::mem::take(&mut self.group) })
    }

    /// Hands on the last group, if more is wanted; returns what was counted.
    pub(super) fn finish(
        mut self,
        more: &More,
        shaping: &Shaping<'_>,
        take: &mut dyn FnMut(Delivery) -> Result<More, Error>,
    ) -> Result<Totals, Error> {
        if let Some(group) = self.take_group(shaping).filter(|_| matches!(more, More::Wanted)) {
            take(encode(group, shaping)?)?;
        }
        Ok(self.totals)
    }

    /// Takes out the rows that show readers the type of something that no row before them showed, where that
    /// would come too late.
    fn move_to_front(&mut self, rows: &mut dyn Rows, ids: &mut Vec<String>, inference_bytes: u64) {
        let here = rows.evidence().iter().fold(0, |all, one| all | one);
        let bytes = rows.size_bytes() as u64;
        if self.totals.bytes_before < inference_bytes {
            self.totals.evidence |= here;
        } else if here & !self.totals.evidence != 0 {
            let mut index = 0;
            while let Some(&evidence) = rows.evidence().get(index) {
                if evidence & !self.totals.evidence == 0 {
                    index += 1;
                    continue;
                }
                self.totals.evidence |= evidence;
                let row = rows.row(index).unwrap_or_default().to_vec();
                rows.remove(index);
                let mut id = Vec::new();
                if index < ids.len() {
                    id_line(&ids.remove(index), &mut id);
                }
                self.totals.front.push(FrontRow { row, id });
            }
        }
        self.totals.bytes_before += bytes;
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

/// Where an item stands, and what is wrong with it.
pub fn place_of(reject: &Reject) -> String {
    let Reject { input, index, line, byte, detail, .. } = reject;
    format!("{input}, item {index}, line {line}, byte {byte}: {detail}")
}

/// An id as a line: line ends in it would make it two.
fn id_line(id: &str, out: &mut Vec<u8>) {
    out.extend(id.bytes().map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }));
    out.push(b'\n');
}

fn encode(group: Group, shaping: &Shaping<'_>) -> Result<Delivery, Error> {
    point("encode");
    let encode = |rows| shaping.file_format.encode(rows, shaping.file_options);
    let rows = Some(group.rows).filter(|rows| !rows.is_empty());
    let fail = |source| Error::Failed { what: "a group of rows", source };
    Ok(Delivery {
        chunk: rows.map(encode).transpose().map_err(fail)?,
        rejects: group.rejects,
        findings: group.findings,
        ids: group.ids,
        extras: group.extras,
        account: group.account,
        batch: None,
    })
}
