//! What is gathered in order: the counts, and the rows in groups.

use std::sync::Arc;

use retort_formats::file::Rows;
use retort_formats::import::ImportFormat;
use retort_formats::package::{Reject, write_finding, write_reject};
use retort_model::bounds::{BATCH_BYTES, BESIDE_BYTES};

use super::delivery::{Counted, Delivery};
use super::done::{BatchDone, CELLS};
use super::ends::More;
use super::job::Source;
use super::kept::{BatchRows, KeptItems, OutputRows, keep};
use super::large::LargeTurn;
use super::shaping::Shaping;
use super::totals::{FrontRow, InferredTypes, SourceCount, Totals};
use crate::error::Error;
use crate::panics::point;

/// What is gathered of the batches, in order.
#[derive(Default)]
pub(super) struct Gathering {
    pub(super) totals: Totals,
    /// Of each output, the group that is not full yet, and where its files may end.
    filling: Vec<(Group, FileEnds)>,
    groups: u64,
}

/// What was shaped of one batch.
pub(super) struct Shaped {
    pub(super) done: BatchDone,
    pub(super) outputs: Vec<OutputRows>,
    pub(super) source: Arc<Source>,
    /// Items that were in it.
    pub(super) items: u64,
    /// What a part keeps of its items.
    pub(super) kept: Option<KeptItems>,
    /// Permission to hold them in memory, if they are large.
    pub(super) turn: Option<LargeTurn>,
}

/// A group of rows of an output, and what goes beside them. What goes beside all outputs is with the first.
#[derive(Default)]
pub(super) struct Group {
    rows: Vec<Box<dyn Rows>>,
    /// How many rows, and how many bytes they have.
    count: usize,
    bytes: usize,
    /// Everything but the rows, which are encoded later.
    delivery: Delivery,
}

impl Group {
    fn of_output(output: usize) -> Self {
        Self { delivery: Delivery { output, ..Delivery::default() }, ..Self::default() }
    }

    fn push(&mut self, rows: Box<dyn Rows>) {
        if rows.count() > 0 {
            self.count += rows.count();
            self.bytes += rows.size_bytes();
            self.rows.push(rows);
        }
    }

    /// How many of the rows of these sizes go to the group, and what ends behind them.
    fn fitting(
        &self,
        sizes: &[u32],
        file_ends: &mut FileEnds,
        shaping: &Shaping<'_>,
    ) -> (usize, Option<End>) {
        let bounds = shaping.file_format.group_bounds();
        let (mut count, mut bytes) = (self.count, self.bytes);
        for (index, &size) in sizes.iter().enumerate() {
            let more = bytes + size as usize;
            if let Some((most_rows, most_bytes)) = bounds
                && count > 0
                && (count >= most_rows || more > most_bytes)
            {
                return (index, Some(End::Group));
            }
            (count, bytes) = (count + 1, more);
            if file_ends.is_behind(size, shaping.shard_bytes) {
                return (index + 1, Some(End::File));
            }
        }
        (sizes.len(), (bounds.is_none() && count > 0).then_some(End::Group))
    }

    /// Bytes for the files beside the data.
    fn beside(&self) -> usize {
        let Delivery { rejects, findings, ids, extras, groups, .. } = &self.delivery;
        rejects.len() + findings.len() + ids.len() + extras.len() + groups.len()
    }
}

/// What ends behind a row.
#[derive(Clone, Copy)]
enum End {
    Group,
    /// The group, and the file as well if it is large enough.
    File,
}

/// Where files may end: behind rows that the sizes of the last rows choose, wherever they are. So when a dataset grew or
/// changed in one place, files before it and behind it have the same bytes as before, and are not sent again.
#[derive(Default)]
struct FileEnds {
    last: [u32; 4],
}

/// How many such places there are in the bytes of a full file, on average.
const FILE_ENDS: u64 = 4;

impl FileEnds {
    fn is_behind(&mut self, size: u32, shard_bytes: u64) -> bool {
        self.last.rotate_left(1);
        let [.., last] = &mut self.last;
        *last = size;
        let hash = self.last.iter().fold(0, |hash, &size| mixed(hash ^ u64::from(size)));
        let apart = (shard_bytes / FILE_ENDS).max(BATCH_BYTES as u64);
        // The longer a row, the more often it is chosen: so places are about as many bytes apart, however long rows are.
        u128::from(hash) * u128::from(apart) < u128::from(size) << u64::BITS
    }
}

/// Spreads a number over all bits (the first half of MurmurHash3's finalizer).
fn mixed(number: u64) -> u64 {
    let mixed = (number ^ number >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ mixed >> 33
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
            Self::Batch(batch, items) => keep(batch, items),
        }
    }
}

impl Gathering {
    /// Goes on from what was counted before.
    pub(super) fn after(totals: Totals) -> Self {
        Self { totals, ..Self::default() }
    }

    /// Adds a batch; gives back what is to be written, each with its place among such.
    pub(super) fn add(&mut self, mut shaped: Shaped, shaping: &Shaping<'_>) -> Vec<(u64, Due)> {
        point("gather");
        let kept = shaped.kept.take();
        let batch = self.count(shaped, shaping);
        match kept {
            None => self.join(batch, shaping),
            Some(kept) => vec![(self.next_place(), Due::Batch(batch, kept))],
        }
    }

    fn next_place(&mut self) -> u64 {
        self.groups += 1;
        self.groups - 1
    }

    /// Adds what was found in the items of a batch.
    fn count(&mut self, shaped: Shaped, shaping: &Shaping<'_>) -> BatchRows {
        let Shaped { mut done, outputs, source, items, kept: _, turn: _ } = shaped;
        self.count_source(&source, items, done.account.refused, shaping);
        let room = shaping.hits_listed.saturating_sub(self.totals.hits.len());
        self.totals.hits.extend(done.hits.drain(..).take(room));
        for OutputRows { rows, .. } in &outputs {
            let sizes = rows.row_sizes();
            let longest = sizes.iter().copied().max().unwrap_or(0).into();
            done.account.longest_record_chars = done.account.longest_record_chars.max(longest);
            done.account.record_chars += sizes.iter().map(|&size| u64::from(size)).sum::<u64>();
            for (warning, count) in CELLS.into_iter().zip(rows.cells()) {
                done.account.warned.add_many(warning, count);
            }
        }
        self.totals.account.merge(std::mem::take(&mut done.account));
        self.totals.refused.merge(std::mem::take(&mut done.refused));
        self.totals.without_records.append(&mut done.without_records);
        if let Some(contents) = done.contents.take() {
            self.totals.contents.get_or_insert_default().add(*contents);
        }
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
        let BatchDone { extras, groups, renamed_tools, .. } = done;
        BatchRows { outputs, groups, rejects, findings, extras, renamed_tools }
    }

    /// Joins a batch to the groups; gives back those that are full, each with its place among the groups.
    pub(super) fn join(&mut self, batch: BatchRows, shaping: &Shaping<'_>) -> Vec<(u64, Due)> {
        let BatchRows { outputs, mut groups, mut rejects, mut findings, mut extras, renamed_tools } =
            batch;
        self.totals.add_renamed_tools(renamed_tools);
        while self.filling.len() < outputs.len() {
            self.filling.push((Group::of_output(self.filling.len()), FileEnds::default()));
        }
        if let Some((Group { delivery: first, .. }, _)) = self.filling.first_mut() {
            first.rejects.append(&mut rejects);
            first.findings.append(&mut findings);
            first.extras.append(&mut extras);
            first.groups.append(&mut groups);
        }
        let mut due = Vec::new();
        for (output, rows) in outputs.into_iter().enumerate() {
            for group in self.add_rows(output, rows, shaping) {
                due.push((self.next_place(), Due::Group(Box::new(group))));
            }
        }
        due
    }

    /// Adds rows to the group of an output; gives back the groups that are complete. Where those end depends on the rows
    /// since the last place where a file may end, and not on the batches in which they come.
    fn add_rows(&mut self, output: usize, rows: OutputRows, shaping: &Shaping<'_>) -> Vec<Group> {
        let OutputRows { mut rows, mut ids } = rows;
        if shaping.file_format.types_are_inferred() {
            self.move_to_front(output, &mut *rows, &mut ids, shaping.inference_bytes);
        }
        if let Some((group, _)) = self.filling.get_mut(output) {
            for id in &ids {
                id_line(id, &mut group.delivery.ids);
            }
        }
        let mut complete = Vec::new();
        let mut rest = Some(rows);
        while let Some(mut rows) = rest.take() {
            let Some((group, file_ends)) = self.filling.get_mut(output) else { break };
            let (count, end) = group.fitting(rows.row_sizes(), file_ends, shaping);
            if count < rows.count() {
                group.push(rows.take_front(count));
                rest = Some(rows);
            } else {
                group.push(rows);
            }
            let is_much = (group.beside() >= BESIDE_BYTES).then_some(End::Group);
            if let Some(end) = end.or(is_much) {
                complete.extend(self.take_group(output, end, shaping));
            }
        }
        complete
    }

    /// The rows of an output that are there, and what goes beside them; none if there is neither.
    fn take_group(&mut self, output: usize, end: End, shaping: &Shaping<'_>) -> Option<Group> {
        let (filling, _) = self.filling.get_mut(output)?;
        if filling.rows.is_empty() && filling.beside() == 0 {
            return None;
        }
        let mut group = std::mem::replace(filling, Group::of_output(output));
        group.delivery.may_end_file = matches!(end, End::File);
        group.delivery.account = shaping.tells_account.then(|| Counted {
            account: self.totals.account.clone(),
            refused: self.totals.refused.clone(),
            first_refused: self.totals.first_refused.clone(),
            hits: self.totals.hits.clone(),
        });
        Some(group)
    }

    /// Hands on the last groups, if more is wanted; returns what was counted.
    pub(super) fn finish(
        mut self,
        more: &More,
        shaping: &Shaping<'_>,
        take: &mut dyn FnMut(Delivery) -> Result<More, Error>,
    ) -> Result<Totals, Error> {
        if matches!(more, More::Wanted) {
            for output in 0..self.filling.len() {
                if let Some(group) = self.take_group(output, End::Group, shaping) {
                    take(encode(group, shaping)?)?;
                }
            }
        }
        Ok(self.totals)
    }

    /// Takes out the rows that show readers the type of something that no row before them showed, where that
    /// would come too late.
    fn move_to_front(
        &mut self,
        output: usize,
        rows: &mut dyn Rows,
        ids: &mut Vec<String>,
        inference_bytes: u64,
    ) {
        let learnt = &mut self.totals.learnt;
        if learnt.len() <= output {
            learnt.resize(output + 1, InferredTypes::default());
        }
        let Some(learnt) = learnt.get_mut(output) else { return };
        let here = rows.evidence().iter().fold(0, |all, one| all | one);
        let bytes = rows.size_bytes() as u64;
        learnt.shown |= here;
        if learnt.bytes_before < inference_bytes {
            learnt.evidence |= here;
        } else if here & !learnt.evidence != 0 {
            let mut index = 0;
            while let Some(&evidence) = rows.evidence().get(index) {
                if evidence & !learnt.evidence == 0 {
                    index += 1;
                    continue;
                }
                learnt.evidence |= evidence;
                let row = rows.row(index).unwrap_or_default().to_vec();
                rows.remove(index);
                let mut id = Vec::new();
                if index < ids.len() {
                    id_line(&ids.remove(index), &mut id);
                }
                learnt.front.push(FrontRow { row, id });
            }
        }
        learnt.bytes_before += bytes;
    }

    fn count_source(&mut self, source: &Source, items: u64, refused: u64, shaping: &Shaping<'_>) {
        let sources = &mut self.totals.sources;
        if sources.len() <= source.place {
            sources.resize(source.place + 1, SourceCount::default());
        }
        if let Some(count) = sources.get_mut(source.place) {
            let name = &source.name.label;
            let redacted = shaping.redactor.as_ref().map(|redactor| redactor.name(name));
            redacted.as_deref().unwrap_or(name).clone_into(&mut count.name);
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
    let chunk = rows.map(encode).transpose().map_err(fail)?;
    Ok(Delivery { chunk, ..group.delivery })
}
