//! `merge` of a series: the packages of all its windows to one package, with the last state of each item.
//!
//! The packages are read twice. From the last to the first, their ids say which records and lines are of an item that a
//! later window wrote again, or left out: those are replaced. The others are then written in the order of the windows,
//! through the same steps as the parts of an export.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use retort_formats::data::Schema;
use retort_formats::file::{ReadSeek, Rows};
use retort_formats::package::{
    CARD, CROISSANT, Counts, DATASET_INFO, DataFile, Decontamination, EXTRA, FINDINGS, IDS,
    InputCount, Manifest, REJECTS, RedactedCount, RedactionCounts, SOURCES, SeriesMerged, findings,
};
use retort_model::bounds::{BATCH_BYTES, SHARD_BYTES};
use retort_model::{Account, ItemKind, Portion, Reason, Tally};

use crate::convert::{Report, Written, named_for};
use crate::counted::tally;
use crate::error::Error;
use crate::export_options::ExportOptions;
use crate::line::next_line;
use crate::merging::{Merging, PackedBatches};
use crate::option::{ExportOption, Group};
use crate::output::output_stem;
use crate::package::Package;
use crate::panics::point;
use crate::pipeline::{Totals, packed_rows};
use crate::plan::DatasetPlan;
use crate::receipt::{Origin, manifest};
use crate::record_ids::{id_and_reason, id_in_row, item_of};
use crate::row::{Cells, write_row};
use crate::seen::{IdHash, SeenIds};
use crate::series::{WindowPackage, faults_between, in_order};
use crate::storage::read_through;
use crate::verify::rows_of;

/// Lines beside the rows: what was left out, repairs and warnings, and what rows could not hold.
const BESIDE: [&str; 3] = [REJECTS, FINDINGS, EXTRA];

/// Merges the packages of a series.
///
/// # Errors
/// The packages are not one series without gaps, or one of them does not match its receipt; their ids do not tell which
/// records belong to one item; failing I/O.
pub(crate) fn merge_series(merging: Merging<'_>, packages: &[PathBuf]) -> Result<Report, Error> {
    let mut windows = opened(packages)?;
    let going_on = || match merging.stopped.load(Ordering::Relaxed) {
        true => Err(Error::Stopped),
        false => Ok(()),
    };
    for window in &mut windows {
        point("open");
        window.check_files()?;
        going_on()?;
    }
    let ids = Ids::of(&mut windows)?;
    let mut later = SeenIds::new();
    for window in windows.iter_mut().rev() {
        window.find_replaced(ids, &mut later)?;
        going_on()?;
    }
    write(merging, windows)
}

/// Takes the number and the id of a line beside the rows, and its reason.
type EachLine<'e> = dyn FnMut(u64, &str, Option<&str>) -> io::Result<()> + 'e;

/// Lines of a file of the package.
type Lines = BufReader<Box<dyn ReadSeek>>;

/// A set of numbers from 0.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn add(&mut self, number: u64) {
        let (word, bit) = ((number / 64) as usize, number % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    fn has(&self, number: u64) -> bool {
        self.0.get((number / 64) as usize).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// How records name their items.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// By its id.
    Whole,
    /// By its id and a suffix, as an item may have several records.
    WithSuffix,
}

impl Ids {
    /// Those of the packages: the number of different ids must be that of the items that were written.
    fn of(windows: &mut [Window]) -> Result<Self, Error> {
        let (mut are_whole, mut are_cut) = (true, true);
        for window in windows {
            let (mut whole, mut cut) = (SeenIds::new(), SeenIds::new());
            let (mut ids, mut items) = (0, 0);
            window.each_id(&mut |_, id| {
                ids += u64::from(whole.add(IdHash::of(&[id]))?);
                items += u64::from(cut.add(IdHash::of(&[item_of(id)]))?);
                Ok(())
            })?;
            let written: u64 = window.manifest.counts().map(|(_, counts)| counts.written).sum();
            are_whole &= ids == written;
            are_cut &= items == written;
            if !are_whole && !are_cut {
                return Err(Error::Choice(format!(
                    "the ids in `{}` do not tell which records belong to one item, so the last state of each cannot be \
                     found",
                    window.told.path.display()
                )));
            }
        }
        Ok(if are_whole { Self::Whole } else { Self::WithSuffix })
    }

    fn item(self, id: &str) -> IdHash {
        IdHash::of(&[if self == Self::Whole { id } else { item_of(id) }])
    }
}

/// A package of the series, and what of it a later window replaced.
struct Window {
    told: WindowPackage,
    package: Package,
    manifest: Manifest,
    /// Records by their numbers.
    replaced: Bits,
    replaced_records: u64,
    /// Items that were written and are replaced.
    replaced_items: u64,
    /// Lines of the files of [`BESIDE`] by their numbers.
    replaced_lines: [Bits; 3],
    /// Items that were left out, and parts of others, without those that are replaced.
    left_out: Tally<Reason>,
    parts_left_out: Tally<Reason>,
}

fn opened(packages: &[PathBuf]) -> Result<Vec<Window>, Error> {
    let mut opened = BTreeMap::new();
    let mut told = Vec::new();
    for path in packages {
        let package = Package::open(path)?;
        let name = path.display().to_string();
        let Some(one) = WindowPackage::of(&package, path.clone(), name) else {
            return Err(Error::Choice(format!(
                "`{}` is not a window of a series; `merge` takes the parts of an export, or the packages of one schedule",
                path.display()
            )));
        };
        opened.insert(path.clone(), package);
        told.push(one);
    }
    in_order(&mut told);
    let series = told.first().map(|one| one.window.series.clone());
    if let Some(other) = told.iter().find(|one| Some(&one.window.series) != series.as_ref()) {
        return Err(Error::Choice(format!(
            "`{}` belongs to a different series than the other packages; merge each series separately",
            other.path.display()
        )));
    }
    if let Some(fault) = faults_between(&told).first() {
        return Err(Error::Choice(format!("the series is not complete: {}", fault.what)));
    }
    let window = |told: WindowPackage| {
        let package = opened.remove(&told.path)?;
        let manifest = package.manifest().clone();
        Some(Window {
            told,
            package,
            manifest,
            replaced: Bits::default(),
            replaced_records: 0,
            replaced_items: 0,
            replaced_lines: Default::default(),
            left_out: Tally::default(),
            parts_left_out: Tally::default(),
        })
    };
    let windows: Vec<Window> = told.into_iter().filter_map(window).collect();
    for pair in windows.windows(2) {
        if let [before, after] = pair {
            after.goes_with(before)?;
        }
    }
    Ok(windows)
}

impl Window {
    fn failed(&self, name: &str, source: io::Error) -> Error {
        Error::Unpack { name: self.told.path.join(name).display().to_string(), source }
    }

    /// Refuses a package that cannot be merged with one of the series.
    fn goes_with(&self, other: &Self) -> Result<(), Error> {
        let (ours, theirs) = (&self.manifest, &other.manifest);
        let path = self.told.path.display();
        let shape = |one: &Manifest| {
            (one.data_format.clone(), one.file_format.clone(), one.compression.clone())
        };
        if shape(ours) != shape(theirs) {
            let other = other.told.path.display();
            return Err(Error::Choice(format!("`{path}` has other formats than `{other}`")));
        }
        if ours.split.is_some() {
            return Err(Error::Choice(format!(
                "`{path}` is split into several outputs, and such packages cannot be merged"
            )));
        }
        let known = [IDS, CARD, DATASET_INFO, CROISSANT, SOURCES];
        let is_known = |path: &str| known.contains(&path) || BESIDE.contains(&path);
        let beside = ours.files.iter().find(|file| file.records.is_none() && !is_known(&file.path));
        match beside {
            Some(file) => Err(Error::Choice(format!(
                "`{path}` has files that belong to records, such as `{}`, and such packages cannot be merged",
                file.path
            ))),
            None => Ok(()),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.manifest.files.iter().any(|file| file.path == name)
    }

    fn data(&self) -> Vec<String> {
        let data = self.manifest.files.iter().filter(|file| file.records.is_some());
        data.map(|file| file.path.clone()).collect()
    }

    /// Compares all files with their hashes.
    fn check_files(&mut self) -> Result<(), Error> {
        for file in self.manifest.files.clone() {
            let read = self.package.file(&file.path).and_then(|mut file| read_through(&mut file));
            let (bytes, sha256, _) = read.map_err(|source| self.failed(&file.path, source))?;
            if (bytes, &sha256) != (file.bytes, &file.sha256) {
                let reason = format!("`{}` has changed since it was written", file.path);
                return Err(Error::NotWhole { path: self.told.path.clone(), reason });
            }
        }
        Ok(())
    }

    /// The lines of a file beside the rows; none if the package has no such file.
    fn lines(&mut self, name: &str) -> Result<Option<Lines>, Error> {
        if !self.has(name) {
            return Ok(None);
        }
        let file = self.package.file(name).map_err(|source| self.failed(name, source))?;
        Ok(Some(BufReader::new(file)))
    }

    /// Calls with the number and the id of each line of a file beside the rows, and its reason.
    fn each_line(&mut self, name: &str, each: &mut EachLine<'_>) -> Result<(), Error> {
        let Some(mut lines) = self.lines(name)? else { return Ok(()) };
        let mut read = || -> io::Result<()> {
            for number in 0.. {
                let Some(line) = next_line(&mut lines)? else { break };
                let found = id_and_reason(&line)
                    .map_err(|error| io::Error::other(format!("line {}: {error}", number + 1)))?;
                if let (Some(id), reason) = found {
                    // As the list of ids has it.
                    each(number, &id.replace(['\n', '\r'], " "), reason.as_deref())?;
                }
            }
            Ok(())
        };
        read().map_err(|source| self.failed(name, source))
    }

    /// Calls with the number and the id of each record.
    fn each_id(&mut self, each: &mut dyn FnMut(u64, &str) -> io::Result<()>) -> Result<(), Error> {
        let mut number = 0;
        if let Some(mut lines) = self.lines(IDS)? {
            let mut read = || -> io::Result<()> {
                while let Some(id) = next_line(&mut lines)? {
                    each(number, &id)?;
                    number += 1;
                }
                Ok(())
            };
            return read().map_err(|source| self.failed(IDS, source));
        }
        for path in self.data() {
            let rows = rows_of(&mut self.package, &self.manifest, &path);
            for row in rows.map_err(|source| self.failed(&path, source))? {
                let id = row.and_then(|row| match id_in_row(&row) {
                    Ok(Some(id)) => each(number, &id.replace(['\n', '\r'], " ")),
                    Ok(None) => Err(io::Error::other(format!("record {} has no id", number + 1))),
                    Err(error) => Err(io::Error::other(format!("record {}: {error}", number + 1))),
                });
                id.map_err(|source| self.failed(&path, source))?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Finds what is of items that are in `later`, and adds the items of this window to them.
    fn find_replaced(&mut self, ids: Ids, later: &mut SeenIds) -> Result<(), Error> {
        let (mut replaced, mut records, mut items) = (Bits::default(), 0, 0);
        // Items that were written, and those of them that no later window has.
        let (mut written, mut last) = (SeenIds::new(), SeenIds::new());
        self.each_id(&mut |number, id| {
            let item = ids.item(id);
            let is_first = written.add(item)?;
            let is_last = if is_first { later.add(item)? } else { last.holds(item)? };
            if is_last {
                last.add(item)?;
            } else {
                replaced.add(number);
                records += 1;
                items += u64::from(is_first);
            }
            Ok(())
        })?;
        let mut lines: [Bits; 3] = Default::default();
        for (name, lines) in BESIDE.into_iter().zip(&mut lines) {
            self.each_line(name, &mut |number, id, _| {
                let item = ids.item(id);
                if later.holds(item)? && !last.holds(item)? {
                    lines.add(number);
                }
                Ok(())
            })?;
        }
        // A part that was left out has a line of its own, also where all of the item was: the first line says why.
        let (mut left_out, mut parts) = (Tally::default(), Tally::default());
        let mut seen = SeenIds::new();
        let [rejects, ..] = &lines;
        self.each_line(REJECTS, &mut |number, id, reason| {
            let item = ids.item(id);
            let is_first = seen.add(item)?;
            later.add(item)?;
            let Some(reason) = reason.filter(|_| !rejects.has(number)) else { return Ok(()) };
            let reason: Reason = reason.parse().map_err(io::Error::other)?;
            if written.holds(item)? {
                parts.add(reason, id);
            } else if is_first {
                left_out.add(reason, id);
            }
            Ok(())
        })?;
        self.replaced = replaced;
        (self.replaced_records, self.replaced_items) = (records, items);
        self.replaced_lines = lines;
        (self.left_out, self.parts_left_out) = (left_out, parts);
        Ok(())
    }

    /// What was counted in it, without what is replaced. What was repaired and warned of is not known item by item, so
    /// that of replaced records is among it.
    fn account(&self) -> Result<Account, Error> {
        let not_whole = |reason| Error::NotWhole { path: self.told.path.clone(), reason };
        let told = &self.manifest.records;
        let mut account = Account {
            read: self.manifest.read.items,
            refused: self.manifest.read.refused.iter().map(|one| one.count).sum(),
            records: told.written - self.replaced_records.min(told.written),
            records_left_out: self.parts_left_out.clone(),
            repaired: tally(&told.repaired_by_kind).map_err(not_whole)?,
            warned: tally(&told.warnings).map_err(not_whole)?,
            records_repaired: told.repaired,
            lone_surrogates: self.manifest.read.lone_surrogates,
            duplicate_keys: self.manifest.read.duplicate_keys,
            ..Account::default()
        };
        for finding in &told.would_be_refused {
            let ids = || finding.first_ids.clone();
            let one = |count| std::iter::once((count, finding.count, ids()));
            match finding.kind.parse() {
                Ok(repair) => account.unrepaired.merge(one(repair).collect()),
                Err(_) => {
                    let reason: Reason = finding.kind.parse().map_err(not_whole)?;
                    let ids = finding.first_ids.clone();
                    account.unfit.merge(std::iter::once((reason, finding.count, ids)).collect());
                }
            }
        }
        for (kind, counts) in self.manifest.counts() {
            account.kinds.insert(kind, self.portion(kind, counts));
        }
        account.selected = account.kinds.values().map(|portion| portion.selected).sum();
        account.written = account.kinds.values().map(|portion| portion.written).sum();
        account.left_out = self.left_out.clone();
        Ok(account)
    }

    /// What became of its items, which are all of one kind.
    fn portion(&self, kind: ItemKind, counts: &Counts) -> Portion {
        let read = &self.manifest.read;
        let written = counts.written - self.replaced_items.min(counts.written);
        Portion {
            read: match kind {
                ItemKind::Conversation => read.conversations,
                ItemKind::Run => read.runs,
                ItemKind::Document => read.documents,
            },
            selected: written + self.left_out.total(),
            written,
            left_out: self.left_out.clone(),
        }
    }
}

/// What is made of the packages: their formats, and the options that their columns depend on.
fn plan_of(windows: &[Window], output: &Path) -> Result<DatasetPlan, Error> {
    let Some(told) = windows.last().map(|one| &one.manifest) else {
        return Err(Error::Choice("there are no packages to merge".into()));
    };
    let own = [
        ("data_format", &told.data_format),
        ("file_format", &told.file_format),
        ("compress", &told.compression),
        ("check", &told.check),
        ("purpose", &told.purpose),
    ];
    let shapes = |name: &str| {
        ExportOption::named(name).is_some_and(|one| {
            let is_done = one.chooses || one.group == Group::Model;
            !is_done
                && !["redact", "decontaminate", "contaminated"]
                    .iter()
                    .any(|done| name.starts_with(done))
        })
    };
    let others = told.options.iter().map(|(name, value)| (&**name, value));
    let all = own.into_iter().chain(others.filter(|(name, _)| shapes(name)));
    let options = all
        .filter(|(_, value)| !value.is_empty())
        .try_fold(ExportOptions::default(), |options, (name, value)| options.with(name, value))
        .and_then(|options| match &told.node {
            Some(node) => options.with("node", node),
            None => Ok(options),
        })
        .map_err(Error::Choice)?;
    let name = output_stem(output).map(|stem| stem.to_string_lossy().into_owned());
    let name = name.and_then(|name| name.parse().ok());
    let name = name.map_or_else(
        || told.dataset_name.parse().map_err(|error| Error::Choice(format!("{error}"))),
        Ok,
    )?;
    let mut plan = options.resolve(name, None).map_err(Error::Choice)?;
    // Columns that only the items determine, in the order in which the windows have them.
    let known: Vec<String> = plan.schema().columns().map(|one| one.name.to_owned()).collect();
    let mut more: Vec<Arc<str>> = Vec::new();
    for column in windows.iter().flat_map(|one| &one.manifest.schema) {
        if !known.contains(&column.name) && !more.iter().any(|one| **one == *column.name) {
            more.push(column.name.as_str().into());
        }
    }
    if !more.is_empty() {
        plan.shape_options.variables = more.into();
    }
    Ok(plan)
}

fn write(merging: Merging<'_>, mut windows: Vec<Window>) -> Result<Report, Error> {
    let dataset = plan_of(&windows, merging.path)?;
    let mut totals = Totals::default();
    for window in &windows {
        totals.account.merge(window.account()?);
        let renamed = window.manifest.renamed_tools.iter();
        totals.add_renamed_tools(renamed.map(|one| (one.from.clone(), one.to.clone())));
    }
    if totals.account.records == 0 {
        return Err(Error::Nothing("the series has no records".into()));
    }
    let input_bytes =
        windows.iter().flat_map(|one| &one.manifest.files).map(|file| file.bytes).sum();
    let mut rows = Batches::of(&mut windows, &dataset);
    let batches =
        PackedBatches { next: &mut || rows.next(), bytes: input_bytes, shard_bytes: SHARD_BYTES };
    let (draft, part, mut totals) = merging.write(&dataset, batches, totals, |_| Ok(()))?;
    let (chars, longest) = rows.sizes;
    (totals.account.record_chars, totals.account.longest_record_chars) = (chars, longest);
    let dataset = named_for(&dataset, !told_file_name(&windows), &totals.account);
    let (passed_over, strict, threads) = (Tally::default(), false, merging.threads);
    let written = Written { draft, part, totals, passed_over, input_bytes, strict, threads };
    written.publish_with(&dataset, |_, totals, files| receipt(&windows, &dataset, totals, files))
}

/// Whether the name of the data files was chosen.
fn told_file_name(windows: &[Window]) -> bool {
    windows.last().is_some_and(|one| one.manifest.options.contains_key("file_name"))
}

/// The receipt: of what the windows have in common, that of the last one; and the counts of all.
fn receipt(
    windows: &[Window],
    dataset: &DatasetPlan,
    totals: &Totals,
    files: Vec<DataFile>,
) -> Manifest {
    let input = |one: &Window| InputCount {
        name: one.manifest.dataset_name.clone(),
        format: Some(one.manifest.data_format.clone()),
        items: one.manifest.read.items,
        refused: one.manifest.read.refused.iter().map(|finding| finding.count).sum(),
    };
    let inputs = windows.iter().map(input).collect();
    let counted = manifest(dataset, Origin { inputs, ..Origin::default() }, totals, files);
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return counted };
    let told = last.manifest.clone();
    let series = SeriesMerged {
        schedule: last.told.window.schedule.clone(),
        series: last.told.window.series.clone(),
        first: first.told.window.span.number,
        last: last.told.window.span.number,
        changes_after: first.told.window.span.changes_after,
        changes_to: last.told.window.span.changes_to,
        replaced: windows.iter().map(|one| one.replaced_records).sum(),
        papers_left_out: papers_of(windows),
    };
    let mut refused = Tally::default();
    for one in windows {
        refused.merge(tally(&one.manifest.read.refused).unwrap_or_default());
    }
    let mut merged = Manifest {
        snapshot: told.snapshot,
        series: Some(series),
        options: told.options,
        selection: told.selection,
        check: told.check,
        redaction: told.redaction.map(|told| redaction(windows, told)),
        decontamination: told.decontamination.map(|told| Decontamination {
            contaminated: windows
                .iter()
                .filter_map(|one| one.manifest.decontamination.as_ref())
                .map(|one| one.contaminated)
                .sum(),
            ..told
        }),
        ..counted
    };
    merged.read.refused = findings(&refused, retort_formats::import::Refusal::as_str);
    merged
}

/// The papers that any of the windows has.
fn papers_of(windows: &[Window]) -> Vec<String> {
    let has = |name: &str| {
        windows.iter().flat_map(|one| &one.manifest.files).any(|file| file.path == name)
    };
    [CROISSANT, SOURCES].into_iter().filter(|name| has(name)).map(str::to_owned).collect()
}

/// What redaction found in all windows, also in records that are replaced.
fn redaction(windows: &[Window], told: RedactionCounts) -> RedactionCounts {
    let mut found: BTreeMap<String, RedactedCount> = BTreeMap::new();
    let all = windows.iter().filter_map(|one| one.manifest.redaction.as_ref());
    for one in all.flat_map(|one| &one.found) {
        let sum = found.entry(one.rule.clone()).or_default();
        sum.rule.clone_from(&one.rule);
        sum.hits += one.hits;
        sum.items += one.items;
    }
    RedactionCounts { found: found.into_values().collect(), ..told }
}

/// The rows that are not replaced, as packed batches.
struct Batches<'w> {
    windows: std::slice::IterMut<'w, Window>,
    dataset: &'w DatasetPlan,
    schema: Schema,
    at: Option<Reading<'w>>,
    /// Characters of all records, and of the longest.
    sizes: (u64, u64),
}

impl<'w> Batches<'w> {
    fn of(windows: &'w mut [Window], dataset: &'w DatasetPlan) -> Self {
        let schema = dataset.schema();
        Self { windows: windows.iter_mut(), dataset, schema, at: None, sizes: (0, 0) }
    }

    fn next(&mut self) -> Result<Option<Box<[u8]>>, Error> {
        loop {
            let reading = match &mut self.at {
                Some(reading) => reading,
                None => {
                    let Some(window) = self.windows.next() else { return Ok(None) };
                    self.at.insert(Reading::of(window)?)
                }
            };
            let file_format = self.dataset.file_format;
            let mut rows = file_format.rows(&self.schema, self.dataset.file_options);
            let (ids, beside) = reading.fill(&mut *rows, &self.schema, file_format.name())?;
            if rows.count() == 0 && beside.iter().all(Vec::is_empty) {
                self.at = None;
                continue;
            }
            for size in rows.row_sizes().iter().copied().map(u64::from) {
                self.sizes = (self.sizes.0 + size, self.sizes.1.max(size));
            }
            return packed_rows(rows, ids, beside).map(Some);
        }
    }
}

/// A window that is being read.
struct Reading<'w> {
    window: &'w mut Window,
    files: std::vec::IntoIter<String>,
    rows: Option<(String, RowTexts)>,
    ids: Option<Lines>,
    /// Records that were read.
    records: u64,
    /// The files of [`BESIDE`], each with how many of its lines were read.
    beside: [Option<(u64, Lines)>; 3],
}

/// Rows, each the JSON text of an object.
type RowTexts = Box<dyn Iterator<Item = io::Result<String>> + Send>;

impl<'w> Reading<'w> {
    fn of(window: &'w mut Window) -> Result<Self, Error> {
        let files = window.data().into_iter();
        let ids = window.lines(IDS)?;
        let mut beside = [None, None, None];
        for (name, lines) in BESIDE.into_iter().zip(&mut beside) {
            *lines = window.lines(name)?.map(|file| (0, file));
        }
        Ok(Self { window, files, rows: None, ids, records: 0, beside })
    }

    /// Fills a batch; returns its ids, if those are beside the rows, and its lines beside the rows.
    fn fill(
        &mut self,
        out: &mut dyn Rows,
        schema: &Schema,
        file_format: &str,
    ) -> Result<(Vec<String>, [Vec<u8>; 3]), Error> {
        let (mut ids, cells) = (Vec::new(), Cells::of(file_format));
        while out.size_bytes() < BATCH_BYTES
            && let Some((row, id)) = self.next_row()?
        {
            let number = self.records;
            let written = write_row(&row, schema, cells, &mut *out);
            written.map_err(|why| {
                let reason = format!("record {number}: {why}; it was written by another release");
                Error::NotWhole { path: self.window.told.path.clone(), reason }
            })?;
            ids.extend(id);
        }
        let mut beside: [Vec<u8>; 3] = Default::default();
        let files = BESIDE.into_iter().zip(&mut self.beside).zip(&self.window.replaced_lines);
        for (((name, lines), replaced), out) in files.zip(&mut beside) {
            let Some((number, lines)) = lines else { continue };
            while out.len() < BATCH_BYTES {
                let line = next_line(lines).map_err(|source| self.window.failed(name, source))?;
                let Some(line) = line else { break };
                if !replaced.has(*number) {
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'\n');
                }
                *number += 1;
            }
        }
        Ok((ids, beside))
    }

    /// The next row that is not replaced, and its id.
    fn next_row(&mut self) -> Result<Option<(String, Option<String>)>, Error> {
        loop {
            let Some((path, rows)) = &mut self.rows else {
                let Some(path) = self.files.next() else { return Ok(None) };
                let Window { package, manifest, .. } = &mut *self.window;
                let rows = rows_of(package, manifest, &path);
                let rows = rows.map_err(|source| self.window.failed(&path, source))?;
                self.rows = Some((path, rows));
                continue;
            };
            let Some(row) = rows.next() else {
                self.rows = None;
                continue;
            };
            let row = row.map_err(|source| self.window.failed(path, source))?;
            let id = self.ids.as_mut().map(next_line).transpose();
            let id = id.map_err(|source| self.window.failed(IDS, source))?.flatten();
            self.records += 1;
            if !self.window.replaced.has(self.records - 1) {
                return Ok(Some((row, id)));
            }
        }
    }
}
