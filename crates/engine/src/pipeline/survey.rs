//! The first of two passes over the items, where something is to be decided that depends on all of them: which state of
//! an item with a repeated id is written, and which of several duplicates is kept.

use std::io;
use std::iter::Peekable;
use std::sync::atomic::AtomicBool;

use super::decided::Survey;
use super::delivery::More;
use super::facts::Facts;
use super::item::ReadItem;
use super::item::Standing;
use super::item::Verdict;
use super::job::Feed;
use super::look::{Looked, look_through};
use super::repeats::{Decisions, decide, row, verdict_of};
use super::shaping::Shaping;
use super::stages::Stages;
use crate::dedup::{Dedup, Duplicates, Fingerprint, Fingerprints};
use crate::error::Error;
use crate::sorter::{Sorted, Sorter};
use crate::storage::Storage;

/// What is to be known of a batch.
struct Looks {
    repeats: Vec<Vec<u8>>,
    prints: Vec<(u64, String, Fingerprint)>,
    items_before: u64,
    facts: Option<Facts>,
}

/// Looks through the items and decides on repeated ids and duplicates; of the first `most` items, if it is given.
pub fn survey(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    most: Option<u64>,
    stopped: &AtomicBool,
) -> Result<Survey, Error> {
    decided(look(feed, shaping, most, None, stopped)?, stopped)
}

/// As [`survey`] of all items, and counts in the same pass what is in them, whether it is chosen or not.
///
/// # Errors
/// The feed fails, or the work is stopped.
pub fn survey_with_facts(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    stopped: &AtomicBool,
) -> Result<(Facts, Survey), Error> {
    let mut facts = Facts::default();
    let seen = look(feed, shaping, None, Some(&mut facts), stopped)?;
    Ok((facts, decided(seen, stopped)?))
}

fn decided(
    (items, prints): (Sorter, Option<Fingerprints>),
    stopped: &AtomicBool,
) -> Result<Survey, Error> {
    let verdicts = decide(items).map_err(failed)?;
    let Some(prints) = prints else {
        return Ok(Survey {
            repeats: Some(Decisions::of(verdicts).map_err(failed)?),
            duplicates: None,
        });
    };
    // The verdicts are read here and once more in the second pass.
    let mut verdicts = Verdicts { rows: verdicts.peekable(), again: Sorter::new() };
    let rows = prints.decide(|order| verdicts.number(order), stopped)?;
    let repeats = verdicts.finish().and_then(Decisions::of).map_err(failed)?;
    let duplicates = Duplicates::of(rows).map_err(failed)?;
    Ok(Survey { repeats: Some(repeats), duplicates: Some(duplicates) })
}

/// Decides on duplicates among items that were chosen before, and keeps that beside the parts of the dataset.
///
/// # Errors
/// The feed or the storage fails, or the work is stopped.
pub fn keep_duplicates(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    storage: &dyn Storage,
    stopped: &AtomicBool,
) -> Result<(), Error> {
    let (_, prints) = look(feed, shaping, None, None, stopped)?;
    let Some(prints) = prints else { return Ok(()) };
    Duplicates::keep(prints.decide(|_| Ok(Some(1)), stopped)?, storage)
}

/// Gathers what there is to decide on, and counts all items in `facts`, if it is given.
fn look(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    most: Option<u64>,
    mut facts: Option<&mut Facts>,
    stopped: &AtomicBool,
) -> Result<(Sorter, Option<Fingerprints>), Error> {
    let mut items = Sorter::new();
    let mut prints = match shaping.dedup {
        Dedup::None => None,
        Dedup::Exact | Dedup::Near => Some(Fingerprints::new().map_err(failed)?),
    };
    let stages = Stages::choosing(shaping);
    let counts = facts.is_some();
    let of_batch = |looked: Looked<'_>| {
        let facts = counts.then(|| Facts::of(&looked));
        Looks { facts, ..looks(looked, &stages, shaping.dedup) }
    };
    look_through(feed, shaping, stopped, of_batch, &mut |looks: Looks| {
        if let (Some(all), Some(facts)) = (&mut facts, looks.facts) {
            all.add(facts);
        }
        for row in &looks.repeats {
            items.push(row).map_err(failed)?;
        }
        if let Some(prints) = &mut prints {
            for (order, id, print) in &looks.prints {
                prints.add(*order, id, print)?;
            }
        }
        let is_enough = most.is_some_and(|most| looks.items_before >= most);
        Ok(if is_enough { More::Enough } else { More::Wanted })
    })?;
    Ok((items, prints))
}

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "the decisions on repeated ids and duplicates", source }
}

fn looks(looked: Looked<'_>, stages: &Stages<'_>, dedup: Dedup) -> Looks {
    let Looked { mut items, items_before, is_chosen, .. } = looked;
    let mut repeats = Vec::new();
    stages.examine(&mut items, is_chosen, &mut |_, _| {});
    if !is_chosen {
        repeats.extend(items.iter().filter_map(|one| row(one, items_before)));
    }
    let print = |one: &ReadItem<'_>| {
        let print = Fingerprint::of(&one.item, dedup)?;
        Some((one.order(items_before), one.item.id().decoded().into_owned(), print))
    };
    let open = items.iter().filter(|one| one.standing == Standing::Open);
    let prints = open.filter_map(print).collect();
    Looks { repeats, prints, items_before, facts: None }
}

/// Verdicts on repeated ids that are read twice.
struct Verdicts {
    rows: Peekable<Sorted>,
    again: Sorter,
}

impl Verdicts {
    /// With which number an item is written among those that have its id, from 1; none if it is not. Items are asked
    /// for in their order.
    fn number(&mut self, order: u64) -> io::Result<Option<u64>> {
        let is_up_to = |row: &io::Result<Box<[u8]>>| match row {
            Ok(row) => verdict_of(row).is_some_and(|(at, _)| at <= order),
            Err(_) => true,
        };
        let mut number = Some(1);
        while let Some(row) = self.rows.next_if(is_up_to) {
            let row = row?;
            self.again.push(&row)?;
            if let Some((at, verdict)) = verdict_of(&row)
                && at == order
            {
                number = match verdict {
                    Verdict::Number(number) => Some(number),
                    Verdict::SameState | Verdict::EarlierState => None,
                };
            }
        }
        Ok(number)
    }

    fn finish(mut self) -> io::Result<Sorted> {
        for row in self.rows {
            self.again.push(&row?)?;
        }
        self.again.sorted()
    }
}
