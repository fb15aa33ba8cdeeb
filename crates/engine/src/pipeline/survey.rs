//! The first of two passes over the items, where something is to be decided that depends on all of them: which state of
//! an item with a repeated id is written, and which of several duplicates is kept.

use std::io;
use std::iter::Peekable;
use std::sync::atomic::AtomicBool;

use super::choose::Choose;
use super::look::{Looked, look_through};
use super::repeats::{Decisions, Verdict, decide, row, verdict_of};
use super::stage::{Stage, Standing};
use super::{Feed, More, Shaping};
use crate::dedup::{Dedup, Duplicates, Fingerprint, Fingerprints};
use crate::error::Error;
use crate::sorter::{Sorted, Sorter};
use crate::storage::Storage;

/// What was decided on all items. By default, nothing.
#[derive(Default)]
pub struct Survey {
    /// On repeated ids.
    pub repeats: Option<Decisions>,
    /// On duplicates.
    pub duplicates: Option<Duplicates>,
}

/// What is to be known of a batch.
struct Looks {
    repeats: Vec<Vec<u8>>,
    prints: Vec<(u64, String, Fingerprint)>,
    items_before: u64,
}

/// Looks through the items and decides on repeated ids and duplicates; of the first `most` items, if it is given.
pub fn survey(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    most: Option<u64>,
    stopped: &AtomicBool,
) -> Result<Survey, Error> {
    let (items, prints) = look(feed, shaping, most, stopped)?;
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
    let (_, prints) = look(feed, shaping, None, stopped)?;
    let Some(prints) = prints else { return Ok(()) };
    Duplicates::keep(prints.decide(|_| Ok(Some(1)), stopped)?, storage)
}

/// Gathers what there is to decide on.
fn look(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    most: Option<u64>,
    stopped: &AtomicBool,
) -> Result<(Sorter, Option<Fingerprints>), Error> {
    let mut items = Sorter::new();
    let mut prints = match shaping.dedup {
        Dedup::None => None,
        Dedup::Exact | Dedup::Near => Some(Fingerprints::new().map_err(failed)?),
    };
    look_through(feed, shaping, stopped, |looked| looks(looked, shaping), &mut |looks: Looks| {
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

fn looks(looked: Looked<'_>, shaping: &Shaping<'_>) -> Looks {
    let Looked { mut items, items_before, is_chosen, .. } = looked;
    let mut repeats = Vec::new();
    if !is_chosen {
        Choose::of(shaping).examine(&mut items, &mut |_, _| {});
        repeats.extend(items.iter().filter_map(|one| row(one, items_before)));
    }
    let print = |one: &_| {
        let super::work::ReadItem { item, standing, .. } = one;
        let is_open = *standing == Standing::Open;
        let print = Fingerprint::of(item, shaping.dedup).filter(|_| is_open)?;
        Some((one.order(items_before), item.id().decoded().into_owned(), print))
    };
    let prints = items.iter().filter_map(print).collect();
    Looks { repeats, prints, items_before }
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
