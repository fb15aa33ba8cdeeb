//! The records of two packages, brought together by their ids.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader};
use std::iter::Peekable;
use std::sync::atomic::{AtomicBool, Ordering};

use retort_formats::package::{DataFile, IDS, Manifest, REJECTS};
use retort_json::{JsonError, Parser};
use retort_model::Reason;
use serde::Serialize;

use crate::error::Error;
use crate::line::next_line;
use crate::package::Package;
use crate::pipeline::{Observer, Progress};
use crate::record_ids::{SUFFIX, id_and_reason, is_id_column, item_of, text_of};
use crate::seen::SharedHasher;
use crate::sorter::{Sorted, Sorter};
use crate::verify::rows_of;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the second package has it.
    Added,
    /// Only the first package has it.
    Gone,
    /// Both have it, and it differs.
    Changed,
    /// Both have it, in different outputs.
    Moved,
}

/// A record that is not the same in both packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordChange {
    /// Its id.
    pub id: String,
    /// What became of it.
    pub change: Change,
    /// Why, or in what.
    pub why: String,
}

/// Stands for the whole of a record, where its columns are not known.
const WHOLE: &str = "the record";

/// One of the two packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// What a row of the sorter is. The mark of its package follows the hash of the id; the position of the row comes next.
const RECORD: [u8; 2] = [0, 1];
const LEFT_OUT: [u8; 2] = [2, 3];

/// Bytes of the hash of an id.
const ID: usize = 16;

/// Where a comparison reports its progress, and what stops it.
pub(super) struct Watched<'w> {
    pub(super) observer: &'w dyn Observer,
    pub(super) stopped: &'w AtomicBool,
    /// Bytes of the data files read before, and of all data files.
    pub(super) before: u64,
    pub(super) total: u64,
}

impl Watched<'_> {
    /// Reports progress before a record of a file, as if all its records had the same length.
    fn check(&self, before: u64, file: &DataFile, number: u64) -> Result<(), Error> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let records = file.records.unwrap_or_default().max(number);
        let within = u128::from(file.bytes) * u128::from(number) / u128::from(records);
        let read_bytes = before + u64::try_from(within).unwrap_or(file.bytes);
        self.observer.progress(Progress { read_bytes, total_bytes: self.total, records: 0 });
        Ok(())
    }
}

/// Gathers the records of both packages.
pub(super) struct SortedRecords {
    rows: Sorter,
    /// The columns of both.
    columns: Vec<String>,
    places: HashMap<String, usize>,
    /// The outputs of both.
    outputs: Vec<String>,
    /// Bytes that may still be read and written.
    room: u64,
    most: u64,
}

impl SortedRecords {
    pub(super) fn of(before: &Manifest, after: &Manifest, most: u64) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let is_known = !before.schema.is_empty() && !after.schema.is_empty();
        for column in before.schema.iter().chain(&after.schema).filter(|_| is_known) {
            if !columns.contains(&column.name) {
                columns.push(column.name.clone());
            }
        }
        let places = columns.iter().cloned().zip(0..).collect();
        let outputs = Vec::new();
        Self { rows: Sorter::new(), columns, places, outputs, room: most, most }
    }

    /// Adds the records of a package, and what it left out; says how many records there are.
    pub(super) fn add(
        &mut self,
        package: &mut Package,
        side: Side,
        watched: &Watched<'_>,
    ) -> Result<u64, Error> {
        let manifest = package.manifest().clone();
        let fail = |name: &str| {
            let name = name.to_owned();
            move |source| Error::Unpack { name, source }
        };
        let has = |name: &str| manifest.files.iter().any(|file| file.path == name);
        let mut ids = match has(IDS) {
            true => Some(BufReader::new(package.file(IDS).map_err(fail(IDS))?)),
            false => None,
        };
        let (mut count, mut before) = (0, watched.before);
        for file in manifest.files.iter().filter(|file| file.records.is_some()) {
            let output = self.output(output_of(&manifest, &file.path));
            let rows = rows_of(package, &manifest, &file.path).map_err(fail(&file.path))?;
            for (row, number) in rows.zip(1..) {
                watched.check(before, file, number)?;
                let row = row.map_err(fail(&file.path))?;
                self.take(row.len())?;
                let id = match &mut ids {
                    Some(ids) => next_line(ids).map_err(fail(IDS))?,
                    None => None,
                };
                let damaged = |error: JsonError| {
                    let source = io::Error::other(format!("record {}: {error}", count + 1));
                    Error::Unpack { name: file.path.clone(), source }
                };
                self.record(&row, id, (side, count, output)).map_err(damaged)?.map_err(failed)?;
                count += 1;
            }
            before += file.bytes;
        }
        if has(REJECTS) {
            self.left_out(package, side, watched.stopped)?;
        }
        Ok(count)
    }

    fn output(&mut self, name: &str) -> u8 {
        let place = self.outputs.iter().position(|output| output == name).unwrap_or_else(|| {
            self.outputs.push(name.to_owned());
            self.outputs.len() - 1
        });
        u8::try_from(place).unwrap_or(u8::MAX)
    }

    /// Adds a record: its output, the hash of each column, and its id.
    fn record(
        &mut self,
        row: &str,
        id: Option<String>,
        (side, place, output): (Side, u64, u8),
    ) -> Result<io::Result<()>, JsonError> {
        let mut hashes = vec![0; self.columns.len().max(1)];
        let mut id = id;
        let mut parser = Parser::new(row);
        parser.object()?;
        while let Some(key) = parser.next_key()? {
            let value = parser.raw()?;
            if id.is_none() && is_id_column(&key) {
                id = Some(text_of(value.as_str()));
            }
            if let Some(hash) = self.places.get(&*key).and_then(|place| hashes.get_mut(*place)) {
                *hash = hash_of(value.as_str());
            }
        }
        if let ([whole], true) = (&mut *hashes, self.columns.is_empty()) {
            *whole = hash_of(row);
        }
        // A record without an id is identified by its content.
        let id = id.unwrap_or_else(|| format!("{:016x}", hash_of(row)));
        let mut bytes = key(&id, RECORD[side as usize], place);
        bytes.push(output);
        hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_be_bytes()));
        bytes.extend_from_slice(id.as_bytes());
        Ok(self.rows.push(&bytes))
    }

    /// Takes room for a row, and for the hashes of its columns that are sorted.
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.saturating_add(8 * self.columns.len()) as u64;
        self.room = self.room.checked_sub(bytes).ok_or_else(|| {
            let most = self.most / 1_000_000;
            Error::Choice(format!(
                "the records of both are larger than {most} MB when decompressed"
            ))
        })?;
        Ok(())
    }

    /// Adds why items were left out.
    fn left_out(
        &mut self,
        package: &mut Package,
        side: Side,
        stopped: &AtomicBool,
    ) -> Result<(), Error> {
        let fail = |source| Error::Unpack { name: REJECTS.into(), source };
        let mut lines = BufReader::new(package.file(REJECTS).map_err(fail)?);
        for place in 0.. {
            if stopped.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let Some(line) = next_line(&mut lines).map_err(fail)? else { break };
            self.take(line.len())?;
            let Ok((Some(id), Some(reason))) = id_and_reason(&line) else { continue };
            let mut bytes = key(&id, LEFT_OUT[side as usize], place);
            bytes.extend_from_slice(reason.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
            self.rows.push(&bytes).map_err(failed)?;
        }
        Ok(())
    }

    /// Compares the records id by id; says how many are the same.
    pub(super) fn compare(
        self,
        is_same_choice: bool,
        stopped: &AtomicBool,
        list: &mut dyn FnMut(RecordChange) -> io::Result<()>,
    ) -> Result<u64, Error> {
        let Self { rows, columns, outputs, .. } = self;
        let columns = if columns.is_empty() { vec![WHOLE.to_owned()] } else { columns };
        let rows = rows.sorted().map_err(failed)?.peekable();
        let mut groups = Groups { rows, columns: columns.len() };
        let told = Told { columns, outputs, is_same_choice };
        let mut same = 0;
        while let Some(group) = groups.next().map_err(failed)? {
            if stopped.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            same += told.group(group, list).map_err(failed)?;
        }
        Ok(same)
    }
}

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "the comparison", source }
}

fn key(id: &str, mark: u8, place: u64) -> Vec<u8> {
    let mut key = SharedHasher::id(&[item_of(id)]).to_vec();
    key.push(mark);
    key.extend_from_slice(&place.to_be_bytes());
    key
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The output that a data file belongs to; empty if there is only one.
fn output_of<'m>(manifest: &'m Manifest, path: &str) -> &'m str {
    let mut outputs = manifest.split.iter().flat_map(|split| &split.outputs);
    let output = outputs.find(|output| output.files.iter().any(|file| file == path));
    output.map_or("", |output| &output.name)
}

/// The records with one id, with or without a suffix: rows for the answers and branches of a conversation have one.
#[derive(Default)]
struct Group {
    hash: [u8; ID],
    /// Of each id, the records of both packages.
    records: BTreeMap<String, [Vec<Record>; 2]>,
    /// Why each package left out an id.
    left_out: [BTreeMap<String, String>; 2],
}

/// A record: its output and the hashes of its columns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    hashes: Vec<u64>,
    output: u8,
}

impl Group {
    /// Adds a row, given without the hash of its id.
    fn add(&mut self, row: &[u8], columns: usize) {
        let Some((mark, rest)) = row.split_first() else { return };
        let rest = rest.get(size_of::<u64>()..).unwrap_or_default();
        let side = usize::from(mark % 2);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if LEFT_OUT.contains(mark) {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            let (reason, id) = rest.split_at(end);
            let id = text(id.get(1..).unwrap_or_default());
            // The first reason is that of the whole item.
            if let Some(left_out) = self.left_out.get_mut(side) {
                left_out.entry(id).or_insert_with(|| text(reason));
            }
            return;
        }
        let Some((&output, rest)) = rest.split_first() else { return };
        let (hashes, id) = rest.split_at(rest.len().min(columns * 8));
        let hashes = hashes.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
        if let Some(records) = self.records.entry(text(id)).or_default().get_mut(side) {
            records.push(Record { hashes, output });
        }
    }

    /// Why a package has no record of this id, if it left it out: the record itself, or the item that it is of.
    fn reason(&self, side: Side, id: &str) -> Option<&str> {
        let left_out = self.left_out.get(side as usize)?;
        let of_item = || {
            let is_of = |item: &&String| {
                id.strip_prefix(item.as_str()).is_some_and(|rest| rest.starts_with(SUFFIX))
            };
            left_out.keys().rfind(is_of).and_then(|item| left_out.get(item))
        };
        left_out.get(id).or_else(of_item).map(String::as_str)
    }
}

/// Sorted rows, group by group.
struct Groups {
    rows: Peekable<Sorted>,
    columns: usize,
}

impl Groups {
    fn next(&mut self) -> io::Result<Option<Group>> {
        let Some(row) = self.rows.next().transpose()? else { return Ok(None) };
        let mut group =
            Group { hash: row.first_chunk().copied().unwrap_or_default(), ..Group::default() };
        group.add(row.get(ID..).unwrap_or_default(), self.columns);
        let hash = group.hash;
        let is_same =
            |row: &io::Result<Box<[u8]>>| row.as_ref().map_or(true, |row| row.starts_with(&hash));
        while let Some(row) = self.rows.next_if(is_same).transpose()? {
            group.add(row.get(ID..).unwrap_or_default(), self.columns);
        }
        Ok(Some(group))
    }
}

/// What is needed to explain why records differ.
struct Told {
    columns: Vec<String>,
    outputs: Vec<String>,
    is_same_choice: bool,
}

impl Told {
    /// Lists what differs among the records of a group; says how many are the same.
    fn group(
        &self,
        mut group: Group,
        list: &mut dyn FnMut(RecordChange) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut same = 0;
        for (id, [mut before, mut after]) in std::mem::take(&mut group.records) {
            let mut list = |change, why| list(RecordChange { id: id.clone(), change, why });
            for (one, other) in alike(&mut before, &mut after) {
                same += 1;
                if one != other {
                    let [one, other] = [one, other].map(|output| self.output(output));
                    list(Change::Moved, format!("from `{one}` to `{other}`"))?;
                }
            }
            let both = before.len().min(after.len());
            for (one, other) in before.iter().zip(&after) {
                list(Change::Changed, self.columns_of(one, other))?;
            }
            for _ in before.iter().skip(both) {
                list(Change::Gone, self.why_not(group.reason(Side::After, &id), "now"))?;
            }
            for _ in after.iter().skip(both) {
                list(Change::Added, self.why_not(group.reason(Side::Before, &id), "before"))?;
            }
        }
        Ok(same)
    }

    fn output(&self, output: u8) -> &str {
        self.outputs.get(usize::from(output)).map_or("", String::as_str)
    }

    fn columns_of(&self, one: &Record, other: &Record) -> String {
        let pairs = one.hashes.iter().zip(&other.hashes).zip(&self.columns);
        let names: Vec<_> =
            pairs.filter(|((one, other), _)| one != other).map(|(_, name)| name.as_str()).collect();
        names.join(", ")
    }

    /// Why a package has no such record.
    fn why_not(&self, left_out: Option<&str>, when: &str) -> String {
        match left_out {
            Some(reason) => format!("left out {when}: {}", in_words(reason)),
            None if self.is_same_choice => format!("not in the source {when}"),
            None => format!("not in the selection or the source {when}"),
        }
    }
}

/// Removes the pairs of records that are alike, and returns the outputs of each pair.
fn alike(before: &mut Vec<Record>, after: &mut Vec<Record>) -> Vec<(u8, u8)> {
    let mut places: HashMap<Vec<u64>, Vec<usize>> = HashMap::new();
    for (place, record) in after.iter().enumerate().rev() {
        places.entry(record.hashes.clone()).or_default().push(place);
    }
    let (mut pairs, mut taken) = (Vec::new(), HashSet::new());
    before.retain(|record| {
        let Some(place) = places.get_mut(&record.hashes).and_then(Vec::pop) else { return true };
        taken.insert(place);
        pairs.extend(after.get(place).map(|other| (record.output, other.output)));
        false
    });
    let mut place = 0..;
    after.retain(|_| place.next().is_none_or(|place| !taken.contains(&place)));
    pairs
}

/// A reason as people read it.
fn in_words(reason: &str) -> String {
    reason.parse().map_or_else(|_| reason.to_owned(), |reason: Reason| reason.words().to_owned())
}
