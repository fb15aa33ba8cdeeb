//! The first of two passes over the items, where something is to be decided that depends on all of them: which state of
//! an item with a repeated id is written, which of several duplicates is kept, and which items are in the sample.

use std::io;
use std::iter::Peekable;
use std::sync::atomic::AtomicBool;

use super::decided::Survey;
use super::ends::More;
use super::item::ReadItem;
use super::item::Standing;
use super::item::Verdict;
use super::item_stats::ItemStats;
use super::look::{Looked, look_through};
use super::observer::{Nobody, Observer};
use super::outlet::Feed;
use super::repeats::{Decisions, decide, row, verdict_of};
use super::shaped::Trial;
use super::shaping::Shaping;
use super::stages::Stages;
use crate::dedup::{Dedup, Duplicates, Fingerprint, Fingerprints};
use crate::error::Error;
use crate::plan::DatasetPlan;
use crate::sampling::{Candidates, SampleKey, Sampled};
use crate::sorter::{Sorted, Sorter};
use crate::split::{GroupBy, GroupHash, group_of};
use crate::split_groups::{SplitItems, Splits};
use crate::storage::Storage;

/// What is to be known of a batch.
struct Looks {
    repeats: Vec<Vec<u8>>,
    prints: Vec<(u64, String, Fingerprint)>,
    candidates: Vec<(u64, SampleKey)>,
    groups: Vec<SplitRow>,
    items_before: u64,
    item_stats: Option<ItemStats>,
}

/// Order, id, group and fingerprint of an item for the decisions on outputs.
type SplitRow = (u64, String, GroupHash, Option<Fingerprint>);

/// What there is to decide on.
struct Seen {
    repeats: Sorter,
    prints: Option<Fingerprints>,
    candidates: Option<Candidates>,
    groups: Option<SplitItems>,
}

/// What was decided: rows in the order of the items.
struct Decided {
    repeats: Sorted,
    duplicates: Option<Sorted>,
    sampled: Option<Sorted>,
    splits: Option<Sorted>,
}

/// Looks through the items, or the first `most` of them, and decides on repeated ids, duplicates and the sample.
pub fn survey(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    most: Option<u64>,
    stopped: &AtomicBool,
) -> Result<Survey, Error> {
    look(feed, shaping, most, None, (&Nobody, stopped))?.decide(shaping, stopped)?.survey()
}

/// As [`survey`] of all items, and counts in the same pass what is in them, whether it is chosen or not.
///
/// # Errors
/// The feed fails, or the work is stopped.
pub fn survey_with_stats(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    (observer, stopped): (&dyn Observer, &AtomicBool),
) -> Result<(ItemStats, Survey), Error> {
    let mut item_stats = ItemStats::default();
    let seen = look(feed, shaping, None, Some(&mut item_stats), (observer, stopped))?;
    Ok((item_stats, seen.decide(shaping, stopped)?.survey()?))
}

impl Seen {
    /// Decides on repeated ids, then on duplicates among what is written, then on the sample of what is left.
    fn decide(self, shaping: &Shaping<'_>, stopped: &AtomicBool) -> Result<Decided, Error> {
        let Self { repeats, prints, candidates, groups } = self;
        // The rows of a decision are read by each one after it, and once more in the second pass.
        let mut verdicts = ReadAgain::of(decide(repeats).map_err(failed)?);
        let mut duplicates = None;
        if let Some(prints) = prints {
            duplicates = Some(prints.decide(|order| number(&mut verdicts, order), stopped)?);
            verdicts = ReadAgain::of(verdicts.finish().map_err(failed)?);
        }
        let mut splits = None;
        if let Some(groups) = groups {
            let renamed = |id: &str| match &shaping.redactor {
                Some(redactor) => redactor.name(id).into_owned(),
                None => id.to_owned(),
            };
            let pinned = (&shaping.split, shaping.pinned.as_deref());
            let number = |order| number(&mut verdicts, order);
            splits = Some(groups.decide(number, pinned, &renamed, stopped)?);
            verdicts = ReadAgain::of(verdicts.finish().map_err(failed)?);
        }
        let mut sampled = None;
        if let Some(candidates) = candidates {
            let mut found = duplicates.map(ReadAgain::of);
            let is_open = |order| {
                let is_duplicate = match &mut found {
                    Some(found) => found.at(order)?.is_some(),
                    None => false,
                };
                Ok(number(&mut verdicts, order)?.is_some() && !is_duplicate)
            };
            sampled = Some(candidates.decide(&shaping.sampling, is_open)?);
            duplicates = found.map(ReadAgain::finish).transpose().map_err(failed)?;
        }
        Ok(Decided { repeats: verdicts.finish().map_err(failed)?, duplicates, sampled, splits })
    }
}

impl Decided {
    fn survey(self) -> Result<Survey, Error> {
        let repeats = Decisions::of(self.repeats).map_err(failed)?;
        let duplicates = self.duplicates.map(Duplicates::of).transpose().map_err(failed)?;
        let sampled = self.sampled.map(Sampled::of);
        let splits = self.splits.map(Splits::of).transpose().map_err(failed)?;
        Ok(Survey { repeats: Some(repeats), duplicates, sampled, splits })
    }
}

/// Decides on duplicates and the sample among items that a store chose, and keeps the decisions beside the parts of the
/// dataset.
///
/// # Errors
/// The feed or the storage fails, or the work is stopped.
pub fn keep_decisions(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    storage: &dyn Storage,
    stopped: &AtomicBool,
) -> Result<(), Error> {
    let seen = look(feed, shaping, None, None, (&Nobody, stopped))?;
    let Decided { duplicates, sampled, splits, .. } = seen.decide(shaping, stopped)?;
    duplicates.map_or(Ok(()), |rows| Duplicates::keep(rows, storage))?;
    splits.map_or(Ok(()), |rows| Splits::keep(rows, storage))?;
    sampled.map_or(Ok(()), |rows| Sampled::keep(rows, storage))
}

/// What [`keep_decisions`] decided; none if it is not beside the parts of the dataset.
pub fn kept_survey(plan: &DatasetPlan, storage: &dyn Storage) -> Option<Survey> {
    let duplicates = match plan.dedup {
        Dedup::None => None,
        Dedup::Exact | Dedup::Near => Some(Duplicates::kept_in(storage)?),
    };
    let sampled = match plan.sampling.needs_survey() {
        false => None,
        true => Some(Sampled::kept_in(storage)?),
    };
    let splits = match plan.split_needs_survey() {
        false => None,
        true => Some(Splits::kept_in(storage)?),
    };
    Some(Survey { repeats: None, duplicates, sampled, splits })
}

/// Gathers what there is to decide on, and counts all items in `item_stats`, if it is given.
fn look(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    most: Option<u64>,
    mut item_stats: Option<&mut ItemStats>,
    watched: (&dyn Observer, &AtomicBool),
) -> Result<Seen, Error> {
    let mut repeats = Sorter::new();
    let mut candidates = shaping.sampling.needs_survey().then(Candidates::new);
    let mut prints = match shaping.dedup {
        Dedup::None => None,
        Dedup::Exact | Dedup::Near => Some(Fingerprints::new(shaping.dedup).map_err(failed)?),
    };
    // Of the first items alone, nothing can be decided for all.
    let mut groups = match shaping.split_needs_survey && most.is_none() {
        false => None,
        true => Some(SplitItems::new(shaping.group_by).map_err(failed)?),
    };
    let stages = Stages::choosing(shaping);
    let counts = item_stats.is_some();
    let of_batch = |looked: Looked<'_>| {
        let item_stats = counts.then(|| ItemStats::of(&looked.items));
        Looks { item_stats, ..looks(looked, &stages, shaping) }
    };
    look_through(feed, shaping, watched, of_batch, &mut |looks: Looks| {
        if let (Some(all), Some(item_stats)) = (&mut item_stats, looks.item_stats) {
            all.add(item_stats);
        }
        for row in &looks.repeats {
            repeats.push(row).map_err(failed)?;
        }
        if let Some(candidates) = &mut candidates {
            for (order, key) in &looks.candidates {
                candidates.add(*order, key).map_err(failed)?;
            }
        }
        if let Some(prints) = &mut prints {
            for (order, id, print) in &looks.prints {
                prints.add(*order, id, print)?;
            }
        }
        if let Some(groups) = &mut groups {
            for (order, id, group, print) in &looks.groups {
                groups.add(*order, (id, group), print.as_ref())?;
            }
        }
        let is_enough = most.is_some_and(|most| looks.items_before >= most);
        Ok(if is_enough { More::Enough } else { More::Wanted })
    })?;
    Ok(Seen { repeats, prints, candidates, groups })
}

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "the decisions on repeated ids, duplicates and the sample", source }
}

fn looks(looked: Looked<'_>, stages: &Stages<'_>, shaping: &Shaping<'_>) -> Looks {
    let Looked { mut items, source, items_before, is_chosen, .. } = looked;
    let mut repeats = Vec::new();
    stages.examine(&mut items, is_chosen, &mut |_, _, _| {});
    if !is_chosen {
        repeats.extend(items.iter().filter_map(|one| row(one, items_before)));
    }
    // What is not written makes no other item a duplicate.
    let mut trial = Trial::of(shaping, &source);
    let print = |one: &ReadItem<'_>| {
        let print = Fingerprint::of(&one.item, shaping.dedup).filter(|_| trial.is_written(one))?;
        Some((one.order(items_before), one.item.id().decoded().into_owned(), print))
    };
    let open = || items.iter().filter(|one| one.standing == Standing::Open);
    let prints = open().filter_map(print).collect();
    let sampling = Some(&shaping.sampling).filter(|sampling| sampling.needs_survey());
    let candidates = sampling.into_iter().flat_map(|sampling| {
        open().map(|one| (one.order(items_before), sampling.key_of(&one.item)))
    });
    let candidates = candidates.collect();
    let of_duplicates = shaping.group_by == GroupBy::Duplicates;
    let group = |one: &ReadItem<'_>| {
        let print = of_duplicates.then(|| Fingerprint::of(&one.item, Dedup::Near)).flatten();
        let id = one.item.id().decoded().into_owned();
        (one.order(items_before), id, group_of(&one.item, shaping.group_by), print)
    };
    let groups = match shaping.split_needs_survey {
        true => open().map(group).collect(),
        false => Vec::new(),
    };
    Looks { repeats, prints, candidates, groups, items_before, item_stats: None }
}

/// Rows in the order of their items, each starting with the position of its item, that are read again later.
struct ReadAgain {
    rows: Peekable<Sorted>,
    again: Sorter,
}

impl ReadAgain {
    fn of(rows: Sorted) -> Self {
        Self { rows: rows.peekable(), again: Sorter::new() }
    }

    /// The row on an item, if there is one. Items are asked for in their order.
    fn at(&mut self, order: u64) -> io::Result<Option<Box<[u8]>>> {
        let place = |row: &[u8]| row.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let is_up_to = |row: &io::Result<Box<[u8]>>| match row {
            Ok(row) => place(row).is_some_and(|at| at <= order),
            Err(_) => true,
        };
        let mut found = None;
        while let Some(row) = self.rows.next_if(is_up_to) {
            let row = row?;
            self.again.push(&row)?;
            found = (place(&row) == Some(order)).then_some(row);
        }
        Ok(found)
    }

    /// All rows, from the beginning.
    fn finish(mut self) -> io::Result<Sorted> {
        for row in self.rows {
            self.again.push(&row?)?;
        }
        self.again.sorted()
    }
}

/// With which number an item is written among those that have its id, from 1; none if it is not.
fn number(verdicts: &mut ReadAgain, order: u64) -> io::Result<Option<u64>> {
    let verdict = verdicts.at(order)?.and_then(|row| verdict_of(&row));
    Ok(match verdict {
        None => Some(1),
        Some((_, Verdict::Number(number))) => Some(number),
        Some((_, Verdict::SameState | Verdict::EarlierState)) => None,
    })
}
