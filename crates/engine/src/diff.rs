//! `diff`: compares two packages record by record, and says why they differ.
//!
//! The rows of both packages are read once. Of each, its id and a hash of each of its columns go to a sorter, beside the
//! reasons for which items were left out. Sorting brings the records with one id together, so the packages may be larger
//! than memory and in any order.

mod receipts;
mod records;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicBool;

use retort_formats::package::Finding;
use retort_model::bounds::IDS_LISTED;
use serde::Serialize;

pub use self::receipts::{About, ReceiptChange};
pub use self::records::{Change, RecordChange};
use self::records::{Side, SortedRecords, Watched};
use crate::error::Error;
use crate::package::Package;
use crate::pipeline::Observer;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Diff {
    /// Records in each of the packages.
    pub records: [u64; 2],
    /// Records that are in both, alike.
    pub same: u64,
    /// Those of them that went to another output of a split.
    pub moved: Vec<Finding>,
    /// Records that only the second package has, by why the first has none.
    pub added: Vec<Finding>,
    /// Records that only the first package has, by why the second has none.
    pub gone: Vec<Finding>,
    /// Records of one id that differ, by the columns that do.
    pub changed: Vec<Finding>,
    /// Where the receipts differ.
    pub receipts: Vec<ReceiptChange>,
}

/// Kinds of one change that are counted apart; the rest is counted together.
const KINDS: usize = 100;

/// Under which the rest is counted.
const OTHERS: &str = "(others)";

/// Counts of changes with their first ids.
#[derive(Default)]
struct Counts(BTreeMap<Change, BTreeMap<String, Finding>>);

impl Counts {
    fn add(&mut self, one: &RecordChange) {
        let kinds = self.0.entry(one.change).or_default();
        let is_listed = kinds.contains_key(&one.why) || kinds.len() < KINDS;
        let kind = if is_listed { &one.why } else { OTHERS };
        let finding = kinds.entry(kind.to_owned()).or_default();
        kind.clone_into(&mut finding.kind);
        finding.count += 1;
        if finding.first_ids.len() < IDS_LISTED {
            finding.first_ids.push(one.id.clone());
        }
    }

    /// Those of one change, the most frequent first.
    fn take(&mut self, change: Change) -> Vec<Finding> {
        let mut findings: Vec<_> =
            self.0.remove(&change).unwrap_or_default().into_values().collect();
        findings.sort_by_key(|one| std::cmp::Reverse(one.count));
        findings
    }
}

/// Compares two packages. `list` gets each record that is not the same in both, always in the same order, which has no
/// meaning. At most `most` bytes of records are read, however well they are compressed.
///
/// # Errors
/// A package cannot be read, the records are larger than that, or the work is stopped.
pub fn diff(
    before: &mut Package,
    after: &mut Package,
    most: u64,
    (observer, stopped): (&dyn Observer, &AtomicBool),
    list: &mut dyn FnMut(&RecordChange) -> io::Result<()>,
) -> Result<Diff, Error> {
    let receipts = receipts::changes(before.manifest(), after.manifest());
    let is_same_choice = !receipts.iter().any(ReceiptChange::is_choice);
    let mut sorted = SortedRecords::of(before.manifest(), after.manifest(), most);
    let data_bytes = |package: &Package| -> u64 {
        let data = package.manifest().files.iter().filter(|file| file.records.is_some());
        data.map(|file| file.bytes).sum()
    };
    let (first, second) = (data_bytes(before), data_bytes(after));
    let watched = |before: u64| Watched { observer, stopped, before, total: first + second };
    let records = [
        sorted.add(before, Side::Before, &watched(0))?,
        sorted.add(after, Side::After, &watched(first))?,
    ];
    let mut counts = Counts::default();
    let same = sorted.compare(is_same_choice, stopped, &mut |one| {
        counts.add(&one);
        list(&one)
    })?;
    Ok(Diff {
        records,
        same,
        moved: counts.take(Change::Moved),
        added: counts.take(Change::Added),
        gone: counts.take(Change::Gone),
        changed: counts.take(Change::Changed),
        receipts,
    })
}

#[cfg(test)]
mod tests;
