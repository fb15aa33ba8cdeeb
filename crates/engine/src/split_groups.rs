//! Which output an item goes to, where that depends on other items: `--group-by duplicates`, and `--split-from`.
//!
//! With `--group-by duplicates`, items are of one group if they say the same, if one is the beginning of the other, or if they
//! are at least 0.9 similar; and so are items that are linked by others. Candidates come from the bands of `dedup.rs`, but
//! each is compared with every item of its buckets that is not of its group yet, not only with those that are kept. In a
//! bucket, items of one group are kept together, so a thousand copies of one text are one step.
//!
//! With `--split-from`, an item of an earlier dataset stays in its output, and its group follows it. If a group has
//! items in several outputs of that dataset, no item moves: new items are left out where they would link the
//! outputs.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use retort_formats::package::{IDS, Manifest};
use retort_model::bounds::NEAR_DUPLICATES_ITEMS;
use retort_model::{LeftOut, Reason};

use crate::dedup::{BANDS, Fingerprint, SIMILAR_PERCENT, similarity};
use crate::error::Error;
use crate::kept_rows::{Decided, keep_rows, kept_rows};
use crate::line::next_line;
use crate::package::Package;
use crate::record_ids::{id_in_row, item_of};
use crate::seen::SharedHasher;
use crate::sorter::{Sorted, Sorter, read_row, write_row};
use crate::split::{GroupBy, GroupHash, Split};
use crate::storage::Storage;
use crate::verify::rows_of;

/// Where the decisions are kept beside the parts of a dataset.
const DECIDED: &str = ".parts/splits";

/// In the place of an output: the item is left out.
const LINKS: u8 = u8::MAX;

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "the groups of the split", source }
}

fn wrong(path: &Path, why: &str) -> Error {
    Error::Choice(format!("`--split-from {}`: {why}", path.display()))
}

/// The outputs of an earlier dataset, by the ids of its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    outputs: HashMap<[u8; 16], u8>,
    /// The hash of the dataset's receipt.
    sha256: String,
}

impl Pinned {
    /// Those of a package, for a split by the same groups into outputs of the same names.
    ///
    /// # Errors
    /// The package is not split, or in another way; it cannot be read.
    pub fn of(
        package: &mut Package,
        path: &Path,
        (split, group_by): (&Split, GroupBy),
    ) -> Result<Self, Error> {
        Self::check(package.manifest(), path, (split, group_by))?;
        let manifest = package.manifest().clone();
        let choice = |why: String| wrong(path, &why);
        let mut pinned =
            Self { outputs: HashMap::new(), sha256: package.manifest_sha256().to_owned() };
        let fail = |name: &str| {
            let name = name.to_owned();
            move |source| Error::Unpack { name, source }
        };
        let mut ids = match manifest.files.iter().any(|file| file.path == IDS) {
            true => Some(BufReader::new(package.file(IDS).map_err(fail(IDS))?)),
            false => None,
        };
        // Ids that are in a file of their own are in the order of the data files.
        for file in manifest.files.iter().filter(|file| file.records.is_some()) {
            let name = output_of(&manifest, &file.path);
            let place = split.shares().iter().position(|share| share.name == name);
            let Some(output) = place.and_then(|place| u8::try_from(place).ok()) else {
                return Err(choice(format!(
                    "this dataset has the output `{name}`, and `--split` does not"
                )));
            };
            for row in rows_of(package, &manifest, &file.path).map_err(fail(&file.path))? {
                let row = row.map_err(fail(&file.path))?;
                let id = match &mut ids {
                    Some(ids) => next_line(ids).map_err(fail(IDS))?,
                    None => id_in_row(&row)
                        .map_err(|error| fail(&file.path)(io::Error::other(error.to_string())))?,
                };
                let Some(id) = id else {
                    return Err(choice("its records have no ids".into()));
                };
                pinned.pin(&id, output);
            }
        }
        Ok(pinned)
    }

    /// Whether a dataset with this receipt can be grown so.
    ///
    /// # Errors
    /// It is not split, or in another way.
    pub fn check(
        manifest: &Manifest,
        path: &Path,
        (split, group_by): (&Split, GroupBy),
    ) -> Result<(), Error> {
        let Some(told) = &manifest.split else {
            return Err(wrong(path, "this dataset is not split"));
        };
        let by = &told.group_by;
        if *by != group_by.as_str() {
            let why = format!("this dataset is split by `{by}`, so use `--group-by {by}`");
            return Err(wrong(path, &why));
        }
        let is_there = |name: &str| split.shares().iter().any(|share| share.name == name);
        match told.outputs.iter().find(|output| !is_there(&output.name)) {
            Some(output) => {
                let name = &output.name;
                let why = format!("this dataset has the output `{name}`, and `--split` does not");
                Err(wrong(path, &why))
            }
            None => Ok(()),
        }
    }

    fn pin(&mut self, id: &str, output: u8) {
        for name in [id, item_of(id)] {
            let known = self.outputs.entry(SharedHasher::id(&[name])).or_insert(output);
            if *known != output {
                *known = LINKS;
            }
        }
    }

    /// Where an item of this id was.
    fn output_of(&self, id: &str) -> Option<u8> {
        let of = |name: &str| self.outputs.get(&SharedHasher::id(&[name])).copied();
        of(id).or_else(|| of(item_of(id))).filter(|output| *output != LINKS)
    }

    /// The hash of the dataset's receipt.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// The output that a data file belongs to; empty if there is only one.
fn output_of<'m>(manifest: &'m Manifest, path: &str) -> &'m str {
    let mut outputs = manifest.split.iter().flat_map(|split| &split.outputs);
    let output = outputs.find(|output| output.files.iter().any(|file| file == path));
    output.map_or("", |output| &output.name)
}

/// Gathers the groups of all items, in their order.
pub struct SplitItems {
    /// A row an item: its order, its group and its id.
    rows: Sorter,
    /// What there is to compare, where groups are of duplicates.
    prints: Option<Prints>,
}

/// The fingerprints of items, by their orders.
struct Prints {
    sets: BufWriter<File>,
    written: u64,
    items: Vec<Print>,
}

/// The fingerprint of an item. Equal ones have the same `exact`.
struct Print {
    order: u64,
    exact: [u8; 16],
    near: Option<Near>,
}

struct Near {
    at: u64,
    count: u64,
    bands: [u32; BANDS],
    beginnings: Box<[u64]>,
}

impl SplitItems {
    pub fn new(group_by: GroupBy) -> io::Result<Self> {
        let prints = match group_by {
            GroupBy::Duplicates => {
                let sets = BufWriter::new(tempfile::tempfile()?);
                Some(Prints { sets, written: 0, items: Vec::new() })
            }
            _ => None,
        };
        Ok(Self { rows: Sorter::new(), prints })
    }

    /// Adds the item at a place in the order of all.
    pub fn add(
        &mut self,
        order: u64,
        (id, group): (&str, &GroupHash),
        fingerprint: Option<&Fingerprint>,
    ) -> Result<(), Error> {
        let mut row = order.to_be_bytes().to_vec();
        row.extend_from_slice(group);
        write_row(id.as_bytes(), &mut row).and_then(|()| self.rows.push(&row)).map_err(failed)?;
        match (&mut self.prints, fingerprint) {
            (Some(prints), Some(fingerprint)) => prints.add(order, fingerprint),
            _ => Ok(()),
        }
    }

    /// Decides on all items that are written: `number` is as for the decisions on duplicates. What comes back are rows for
    /// [`Splits`], in the order of the items.
    pub fn decide(
        self,
        number: impl FnMut(u64) -> io::Result<Option<u64>>,
        (split, pinned): (&Split, Option<&Pinned>),
        renamed: &dyn Fn(&str) -> String,
        stopped: &AtomicBool,
    ) -> Result<Sorted, Error> {
        let duplicates = match self.prints {
            Some(prints) => Some(prints.groups(stopped)?),
            None => None,
        };
        let rows =
            by_group(self.rows, duplicates.as_ref(), number, pinned, renamed).map_err(failed)?;
        let mut verdicts = Sorter::new();
        let mut group: Vec<(u64, u8)> = Vec::new();
        let mut hash: Option<GroupHash> = None;
        let is_linked = duplicates.is_some();
        for row in rows {
            let row = row.map_err(failed)?;
            let Some((&this, rest)) = row.split_first_chunk::<16>() else { continue };
            let Some((order, [output])) = rest.split_first_chunk::<8>() else { continue };
            if hash != Some(this) {
                if let Some(hash) = hash {
                    assign(&mut group, &hash, (split, is_linked), &mut verdicts).map_err(failed)?;
                }
                hash = Some(this);
            }
            group.push((u64::from_be_bytes(*order), *output));
        }
        if let Some(hash) = hash {
            assign(&mut group, &hash, (split, is_linked), &mut verdicts).map_err(failed)?;
        }
        verdicts.sorted().map_err(failed)
    }
}

/// Rows of all items by their group, each with its order and the output of the earlier dataset, or [`LINKS`].
fn by_group(
    rows: Sorter,
    duplicates: Option<&HashMap<u64, GroupHash>>,
    mut number: impl FnMut(u64) -> io::Result<Option<u64>>,
    pinned: Option<&Pinned>,
    renamed: &dyn Fn(&str) -> String,
) -> io::Result<Sorted> {
    let mut by_group = Sorter::new();
    for row in rows.sorted()? {
        let row = row?;
        let Some((order, rest)) = row.split_first_chunk::<8>() else { continue };
        let Some((group, mut rest)) = rest.split_first_chunk::<16>() else { continue };
        let order = u64::from_be_bytes(*order);
        let Some(number) = number(order)? else { continue };
        let group = duplicates.and_then(|groups| groups.get(&order)).unwrap_or(group);
        let output = match pinned {
            Some(pinned) => {
                let id = read_row(&mut rest)?.unwrap_or_default();
                let id = renamed(&String::from_utf8_lossy(&id));
                let id = if number == 1 { id } else { format!("{id}#{number}") };
                pinned.output_of(&id).unwrap_or(LINKS)
            }
            None => LINKS,
        };
        let row = [&group[..], &order.to_be_bytes(), &[output]].concat();
        by_group.push(&row)?;
    }
    by_group.sorted()
}

/// Assigns the items of a group, each with where it was, to outputs.
fn assign(
    group: &mut Vec<(u64, u8)>,
    hash: &GroupHash,
    (split, is_linked): (&Split, bool),
    verdicts: &mut Sorter,
) -> io::Result<()> {
    let mut were: Vec<u8> = group.iter().map(|(_, was)| *was).filter(|was| *was != LINKS).collect();
    were.sort_unstable();
    were.dedup();
    let home = match were.first() {
        Some(first) => *first,
        None => u8::try_from(split.output_of(hash)).unwrap_or(0),
    };
    let is_torn = were.len() > 1;
    for (order, was) in group.drain(..) {
        let (output, group) = match was {
            // Items that were apart are not alike themselves: new ones between them link them.
            LINKS if is_torn && is_linked => (LINKS, *hash),
            LINKS => (home, *hash),
            was if was == home => (home, *hash),
            was if is_linked => (
                was,
                SharedHasher::id(&[
                    "split",
                    "duplicates",
                    &crate::storage::hex(hash),
                    &was.to_string(),
                ]),
            ),
            // It joined the group later.
            _ => (LINKS, *hash),
        };
        let mut row = order.to_be_bytes().to_vec();
        row.push(output);
        row.extend_from_slice(&group);
        verdicts.push(&row)?;
    }
    Ok(())
}

impl Prints {
    fn add(&mut self, order: u64, fingerprint: &Fingerprint) -> Result<(), Error> {
        if self.items.len() as u64 >= NEAR_DUPLICATES_ITEMS {
            return Err(Error::Choice(format!(
                "`--group-by duplicates` compares at most {NEAR_DUPLICATES_ITEMS} items; select fewer"
            )));
        }
        let near = match fingerprint.near() {
            Some((shingles, bands, beginnings)) => {
                let at = self.written;
                for shingle in shingles {
                    self.sets.write_all(&shingle.to_be_bytes()).map_err(failed)?;
                }
                self.written += shingles.len() as u64;
                let count = shingles.len() as u64;
                Some(Near { at, count, bands: *bands, beginnings: beginnings.into() })
            }
            None => None,
        };
        self.items.push(Print { order, exact: *fingerprint.exact(), near });
        Ok(())
    }

    /// The group of each item.
    fn groups(self, stopped: &AtomicBool) -> Result<HashMap<u64, GroupHash>, Error> {
        let Self { sets, items, .. } = self;
        let sets = sets.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        let mut groups = Groups::of(items.len());
        let mut first: HashMap<[u8; 16], u32> = HashMap::new();
        let mut whole: HashMap<u64, u32, Fixed> = HashMap::default();
        for (place, item) in (0_u32..).zip(&items) {
            let same = *first.entry(item.exact).or_insert(place);
            groups.join(same, place);
            if let Some(all) = item.near.as_ref().and_then(|near| near.beginnings.last()) {
                whole.entry(*all).or_insert(place);
            }
        }
        let mut buckets: Vec<HashMap<u32, Bucket, Fixed>> =
            (0..BANDS).map(|_| HashMap::default()).collect();
        for (place, item) in (0_u32..).zip(&items) {
            if stopped.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let Some(near) = &item.near else { continue };
            for beginning in &near.beginnings {
                if let Some(other) = whole.get(beginning) {
                    groups.join(*other, place);
                }
            }
            // One that says the same as another has the same set.
            if first.get(&item.exact) != Some(&place) {
                continue;
            }
            let mut own = None;
            for (bucket, band) in buckets.iter_mut().zip(near.bands) {
                let bucket = bucket.entry(band).or_default();
                bucket
                    .join_similar(place, near, (&items, &sets), &mut groups, &mut own)
                    .map_err(failed)?;
            }
        }
        let mut least: HashMap<u32, [u8; 16], Fixed> = HashMap::default();
        for (place, item) in (0_u32..).zip(&items) {
            let exact = least.entry(groups.root(place)).or_insert(item.exact);
            *exact = (*exact).min(item.exact);
        }
        let mut found = HashMap::with_capacity(items.len());
        for (place, item) in (0_u32..).zip(&items) {
            let exact = least.get(&groups.root(place)).copied().unwrap_or(item.exact);
            let name = crate::storage::hex(&exact);
            found.insert(item.order, SharedHasher::id(&["split", "duplicates", &name]));
        }
        Ok(found)
    }
}

type Fixed = BuildHasherDefault<DefaultHasher>;

/// Items that share a band, by group: the first of a group represents it.
#[derive(Default)]
struct Bucket(Vec<(u32, Vec<u32>)>);

impl Bucket {
    /// Adds an item, and joins it with the groups that have one that is similar enough.
    fn join_similar(
        &mut self,
        place: u32,
        near: &Near,
        (items, sets): (&[Print], &File),
        groups: &mut Groups,
        own: &mut Option<Vec<u64>>,
    ) -> io::Result<()> {
        for (first, members) in &self.0 {
            if groups.root(*first) == groups.root(place) {
                continue;
            }
            for member in members {
                let other = items.get(*member as usize).and_then(|item| item.near.as_ref());
                let Some(other) = other else { continue };
                let (least, most) = (near.count.min(other.count), near.count.max(other.count));
                if least * 100 < most * SIMILAR_PERCENT {
                    continue;
                }
                if own.is_none() {
                    *own = Some(read_set(sets, near)?);
                }
                let Some(own) = own.as_ref() else { continue };
                if similarity(own, &read_set(sets, other)?) >= SIMILAR_PERCENT {
                    groups.join(*member, place);
                    break;
                }
            }
        }
        let root = groups.root(place);
        let mut members = vec![place];
        self.0.retain_mut(|(first, others)| {
            let is_same = groups.root(*first) == root;
            if is_same {
                members.append(others);
            }
            !is_same
        });
        self.0.push((place, members));
        Ok(())
    }
}

fn read_set(mut sets: &File, near: &Near) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; usize::try_from(near.count * 8).map_err(io::Error::other)?];
    sets.seek(SeekFrom::Start(near.at * 8))?;
    sets.read_exact(&mut bytes)?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect())
}

/// Groups of items that grow together (disjoint sets).
struct Groups(Vec<u32>);

impl Groups {
    fn of(count: usize) -> Self {
        Self((0..).take(count).collect())
    }

    fn root(&mut self, place: u32) -> u32 {
        let mut at = place;
        while let Some(&above) = self.0.get(at as usize) {
            if above == at {
                break;
            }
            let higher = self.0.get(above as usize).copied().unwrap_or(above);
            if let Some(slot) = self.0.get_mut(at as usize) {
                *slot = higher;
            }
            at = higher;
        }
        at
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.root(one), self.root(other));
        let (low, high) = (one.min(other), one.max(other));
        if let Some(slot) = self.0.get_mut(high as usize) {
            *slot = low;
        }
    }
}

/// What was decided on the outputs of all items, in their order.
pub struct Splits(Decided<Option<(usize, GroupHash)>>);

impl Splits {
    /// Those of rows that [`SplitItems::decide`] made.
    pub fn of(
        rows: impl Iterator<Item = io::Result<Box<[u8]>>> + Send + 'static,
    ) -> io::Result<Self> {
        Decided::of(rows, assigned).map(Self)
    }

    /// Keeps the rows beside the parts of a dataset, for [`Self::kept_in`].
    pub fn keep(rows: Sorted, storage: &dyn Storage) -> Result<(), Error> {
        keep_rows(rows, DECIDED, storage, failed)
    }

    /// What was decided before, if it is there and whole.
    pub fn kept_in(storage: &dyn Storage) -> Option<Self> {
        Self::of(kept_rows(DECIDED, storage)?).ok()
    }

    /// The output of an item, with its group; none if it is left out. Items are asked for in their order.
    pub fn on(&mut self, order: u64) -> io::Result<Result<(usize, GroupHash), LeftOut>> {
        let assigned =
            self.0.on(order)?.ok_or_else(|| io::Error::other("an item has no output"))?;
        Ok(assigned.ok_or_else(|| {
            LeftOut::new(
                Reason::LinksOutputs,
                "its group is in several outputs of the earlier dataset",
            )
        }))
    }
}

/// The output and the group in a row, after the position; the inner none if the item is left out.
fn assigned(row: &[u8]) -> Option<Option<(usize, GroupHash)>> {
    match row.split_first()? {
        (&LINKS, _) => Some(None),
        (&output, group) => Some(Some((usize::from(output), group.first_chunk().copied()?))),
    }
}
