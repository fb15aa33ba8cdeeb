//! Series: the packages of a schedule, each with a window of the history that begins where the one before it ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use retort_formats::package::{
    MANIFEST, SERIES_ENDING, SeriesReceipt, SeriesWindow, WindowSpan, WindowTold,
};
use retort_model::{Time, named};

use crate::error::Error;
use crate::package::Package;
use crate::verify::{Difference, verify_package};

/// What was found in a folder of packages.
#[derive(Clone, Debug, Default)]
pub struct VerifiedSeries {
    /// Packages that were read.
    pub packages: u64,
    /// Files that were read.
    pub files: u64,
    /// Records that were read.
    pub records: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// All that differs from the receipts; each file is named with the folder of its package.
    pub differences: Vec<Difference>,
    /// The series that packages belong to.
    pub series: Vec<SeriesFound>,
}

/// A series, as its packages and its receipt show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesFound {
    /// Name of the schedule.
    pub schedule: String,
    /// Which series it is.
    pub series: String,
    /// Windows that are there.
    pub windows: u64,
    /// Numbers of the first and the last of them; 0 if none is there.
    pub numbers: (u64, u64),
    /// Records in them.
    pub records: u64,
    /// What is wrong with it, in the order of the windows.
    pub faults: Vec<SeriesFault>,
}

/// Something that is wrong with a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesFault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// Which windows it concerns, in words.
    pub what: String,
}

/// What can be wrong with a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A part of the history is in no window.
    Gap,
    /// A part of the history is in two windows.
    Overlap,
    /// A package is not the one that the receipt of the series lists.
    Other,
}

named!(FaultKind, "fault of a series", Gap = "gap", Overlap = "overlap", Other = "other");

impl VerifiedSeries {
    /// Whether nothing is wrong with the packages and the series.
    pub fn is_whole(&self) -> bool {
        self.differences.is_empty() && self.series.iter().all(|series| series.faults.is_empty())
    }
}

/// A package that has a window.
pub(crate) struct WindowPackage {
    pub(crate) path: PathBuf,
    /// What messages call it.
    name: String,
    pub(crate) window: WindowTold,
    records: u64,
    manifest_sha256: String,
}

impl WindowPackage {
    pub(crate) fn of(package: &Package, path: PathBuf, name: String) -> Option<Self> {
        let manifest = package.manifest();
        let window = manifest.window.clone()?;
        let manifest_sha256 = package.manifest_sha256().to_owned();
        Some(Self { path, name, window, records: manifest.records.written, manifest_sha256 })
    }
}

/// What is in a folder of packages.
#[derive(Default)]
struct Folder {
    packages: Vec<PathBuf>,
    /// Receipts of series.
    receipts: Vec<PathBuf>,
}

impl Folder {
    fn of(path: &Path) -> Result<Self, Error> {
        let mut found = Self::default();
        found.walk(path)?;
        found.packages.sort();
        found.receipts.sort();
        Ok(found)
    }

    fn walk(&mut self, folder: &Path) -> Result<(), Error> {
        let fail = |error| Error::read(folder, error);
        if folder.join(MANIFEST).is_file() {
            self.packages.push(folder.to_owned());
            return Ok(());
        }
        for entry in fs::read_dir(folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().map_err(fail)?.is_dir() {
                self.walk(&path)?;
            } else if name.ends_with(SERIES_ENDING) {
                self.receipts.push(path);
            } else if name.ends_with(".zip") && Package::open(&path).is_ok() {
                self.packages.push(path);
            }
        }
        Ok(())
    }
}

/// The packages at a path: itself, or those in the folder. None if there are none.
pub(crate) fn packages_at(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if path.is_dir() {
        return Ok(Folder::of(path)?.packages);
    }
    Ok(if Package::open(path).is_ok() { vec![path.to_owned()] } else { Vec::new() })
}

/// Reads the packages in a folder and compares each with its receipt, and the windows of series with each other and with
/// the receipt of the series; none if the path is itself a package, or has no packages in it.
///
/// # Errors
/// A folder cannot be read. What is wrong with packages and series is no error but the result.
pub fn verify_series(path: &Path) -> Result<Option<VerifiedSeries>, Error> {
    if !path.is_dir() || path.join(MANIFEST).is_file() {
        return Ok(None);
    }
    let folder = Folder::of(path)?;
    if folder.packages.is_empty() && folder.receipts.is_empty() {
        return Ok(None);
    }
    let mut verified = VerifiedSeries::default();
    let mut windows = Vec::new();
    let named = |one: &Path| one.strip_prefix(path).unwrap_or(one).display().to_string();
    for one in folder.packages {
        let name = named(&one);
        verified.packages += 1;
        match Package::open(&one) {
            Ok(mut package) => {
                verified.package(&mut package, &name);
                windows.extend(WindowPackage::of(&package, one, name));
            }
            Err(error) => verified.differ(name, error.to_string()),
        }
    }
    let mut receipts: BTreeMap<String, SeriesReceipt> = BTreeMap::new();
    for one in folder.receipts {
        let text = fs::read_to_string(&one).map_err(|error| Error::read(&one, error))?;
        match SeriesReceipt::parse(&text) {
            // With another prefix, a series goes on elsewhere: the receipt with the last window says most.
            Ok(receipt) => {
                let last =
                    |receipt: &SeriesReceipt| receipt.windows.last().map(|one| one.span.number);
                let there = receipts.entry(receipt.series.clone()).or_default();
                if there.series.is_empty() || last(&receipt) > last(there) {
                    *there = receipt;
                }
            }
            Err(error) => {
                verified.differ(named(&one), format!("not a receipt of a series: {error}"));
            }
        }
    }
    verified.series = series_of(windows, receipts);
    Ok(Some(verified))
}

impl VerifiedSeries {
    fn differ(&mut self, file: String, what: String) {
        self.differences.push(Difference { file, what });
    }

    fn package(&mut self, package: &mut Package, name: &str) {
        match verify_package(package, &AtomicBool::new(false)) {
            Ok(found) => {
                self.files += found.files;
                self.records += found.records;
                self.bytes += found.bytes;
                for Difference { file, what } in found.differences {
                    self.differ(format!("{name}/{file}"), what);
                }
            }
            Err(error) => self.differ(name.to_owned(), error.to_string()),
        }
    }
}

/// The series that these windows belong to, each compared with its receipt.
fn series_of(
    windows: Vec<WindowPackage>,
    receipts: BTreeMap<String, SeriesReceipt>,
) -> Vec<SeriesFound> {
    let mut all: BTreeMap<String, (Vec<WindowPackage>, Option<SeriesReceipt>)> = BTreeMap::new();
    for one in windows {
        all.entry(one.window.series.clone()).or_default().0.push(one);
    }
    for (series, receipt) in receipts {
        all.entry(series).or_default().1 = Some(receipt);
    }
    all.into_iter()
        .map(|(series, (mut windows, receipt))| {
            in_order(&mut windows);
            let mut faults = faults_between(&windows);
            let told = receipt.as_ref().map(|receipt| &receipt.schedule);
            let schedule = windows.last().map(|one| &one.window.schedule).or(told).cloned();
            faults.extend(receipt.iter().flat_map(|receipt| faults_against(&windows, receipt)));
            let number = |one: Option<&WindowPackage>| one.map_or(0, |one| one.window.span.number);
            SeriesFound {
                schedule: schedule.unwrap_or_default(),
                series,
                windows: windows.len() as u64,
                numbers: (number(windows.first()), number(windows.last())),
                records: windows.iter().map(|one| one.records).sum(),
                faults,
            }
        })
        .collect()
}

/// Sorts packages of one series by their windows.
pub(crate) fn in_order(windows: &mut [WindowPackage]) {
    windows.sort_by(|a, b| (a.window.span.number, &a.path).cmp(&(b.window.span.number, &b.path)));
}

fn fault(kind: FaultKind, what: String) -> SeriesFault {
    SeriesFault { kind, what }
}

/// `window 3 is`, or `windows 3 to 5 are`.
fn numbered(first: u64, last: u64) -> String {
    if first == last {
        format!("window {first} is")
    } else {
        format!("windows {first} to {last} are")
    }
}

/// What is missing or there twice between windows that are in order.
pub(crate) fn faults_between(windows: &[WindowPackage]) -> Vec<SeriesFault> {
    let mut faults = Vec::new();
    let mut last: Option<&WindowPackage> = None;
    for one in windows {
        let window = &one.window;
        match last {
            None if window.span.number > 1 => {
                let missing = numbered(1, window.span.number - 1);
                let what = format!(
                    "{missing} missing: the first window present is {}",
                    window.span.number
                );
                faults.push(fault(FaultKind::Gap, what));
            }
            None => {}
            Some(last) if last.window.span.number == window.span.number => {
                let (number, first, second) = (window.span.number, &last.name, &one.name);
                let what = format!("window {number} is duplicated: `{first}` and `{second}`");
                faults.push(fault(FaultKind::Overlap, what));
                continue;
            }
            Some(last) => faults.extend(fault_between(last, one)),
        }
        last = Some(one);
    }
    faults
}

/// What is wrong between two windows that follow each other.
fn fault_between(last: &WindowPackage, next: &WindowPackage) -> Option<SeriesFault> {
    let (before, after) = (&last.window.span, &next.window.span);
    let time = |text: &Option<String>| text.as_deref().and_then(|text| Time::parse(text).ok());
    let (ended, begins) = (time(&before.before), time(&after.from));
    let overlap = |what: String| Some(fault(FaultKind::Overlap, what));
    let gap = |what: String| Some(fault(FaultKind::Gap, what));
    let both = format!(
        "windows {} (`{}`) and {} (`{}`)",
        before.number, last.name, after.number, next.name
    );
    if after.changes_after < before.changes_to {
        let (from, to) = (after.changes_after + 1, before.changes_to.min(after.changes_to));
        return overlap(format!("{both} overlap: both have the changes {from} to {to}"));
    }
    if let (Some(ended), Some(begins)) = (ended, begins)
        && begins < ended
    {
        return overlap(format!("{both} overlap: both have the period from {begins} to {ended}"));
    }
    let period = match (ended, begins) {
        (Some(ended), Some(begins)) if begins > ended => format!(", {ended} to {begins}"),
        _ => String::new(),
    };
    let changes = match (before.changes_to + 1, after.changes_after) {
        (first, last) if first <= last => format!("changes {first} to {last}"),
        _ => "no changes".to_owned(),
    };
    if after.number > before.number + 1 {
        let missing = numbered(before.number + 1, after.number - 1);
        return gap(format!("{missing} missing ({changes}{period})"));
    }
    if after.changes_after > before.changes_to || !period.is_empty() {
        return gap(format!("{both} have a gap between them ({changes}{period})"));
    }
    None
}

/// What the receipt of a series lists that is not there, or not as it lists it.
fn faults_against(windows: &[WindowPackage], receipt: &SeriesReceipt) -> Vec<SeriesFault> {
    let last = windows.last().map_or(0, |one| one.window.span.number);
    let mut faults = Vec::new();
    for listed in &receipt.windows {
        let mut there =
            windows.iter().filter(|one| one.window.span.number == listed.span.number).peekable();
        if there.peek().is_none() && listed.span.number > last {
            faults.push(fault(FaultKind::Gap, missing(listed)));
        }
        let Some(sha256) = &listed.manifest_sha256 else { continue };
        for one in there.filter(|one| one.manifest_sha256 != *sha256) {
            let what = format!(
                "window {} in `{}` differs from the receipt of the series: its `{MANIFEST}` has another SHA-256",
                listed.span.number, one.name
            );
            faults.push(fault(FaultKind::Other, what));
        }
    }
    faults
}

fn missing(listed: &SeriesWindow) -> String {
    let WindowSpan { number, changes_after, changes_to, .. } = &listed.span;
    let place = listed.path.as_ref().or(listed.dataset.as_ref());
    let place = place.map(|place| format!("`{place}`, ")).unwrap_or_default();
    let changes = match (changes_after + 1, *changes_to) {
        (first, last) if first <= last => format!("changes {first} to {last}"),
        _ => "no changes".to_owned(),
    };
    format!("window {number} is missing ({place}{changes})")
}
