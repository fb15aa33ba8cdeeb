//! What is kept of a finished part of an export from a store: its files, and what was counted in it alone. Whichever
//! workers made them, and in whichever order, the parts are merged in the order of their items.
//!
//! One thing depends on the parts before: readers infer the types of columns from the beginning of the first file, so a
//! row that shows what no row before it showed is moved there. A part whose predecessors are not finished is made as
//! if they showed everything, which is nearly always so. Once they are finished, [`Checkpoint::holds_after`] says
//! whether it was so, and if not, the part is made again.

use std::collections::BTreeMap;

use retort_model::Tally;
use retort_model::bounds::INFERENCE_BYTES;
use serde::{Deserialize, Serialize};

use crate::files::Part;
use crate::parts::Delta;
use crate::pipeline::{Extent, FrontRow, InferredTypes, Totals};

/// What stored items are called where inputs are listed.
pub const STORE: &str = "store";

/// What the rows of the parts before one show to readers that infer types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Of each output.
    evidence: Vec<u64>,
    /// Whether there is a record in them.
    has_records: bool,
}

impl Known {
    /// Before the first part of an export with so many outputs.
    pub fn nothing(outputs: usize) -> Self {
        Self { evidence: vec![0; outputs], has_records: false }
    }

    /// What is assumed while parts before are not finished.
    pub fn everything(outputs: usize) -> Self {
        Self { evidence: vec![u64::MAX; outputs], has_records: true }
    }

    /// Adds what the next part shows.
    pub fn add(&mut self, next: &Checkpoint) {
        for (known, learnt) in self.evidence.iter_mut().zip(&next.learnt) {
            *known |= learnt.shown;
        }
        self.has_records |= next.has_records;
    }

    /// What a run over the next part begins with.
    pub fn totals(&self) -> Totals {
        let learnt = |&evidence: &u64| InferredTypes { evidence, ..InferredTypes::default() };
        Totals { learnt: self.evidence.iter().map(learnt).collect(), ..Totals::default() }
    }

    /// Bytes of the next part that are at the beginning of the first file.
    pub fn inference_bytes(&self) -> u64 {
        if self.has_records { 0 } else { INFERENCE_BYTES }
    }
}

/// A finished part.
#[derive(Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its files.
    pub part: Part,
    delta: Delta,
    has_records: bool,
    /// What it was made after.
    after: Known,
    /// Of each output.
    learnt: Vec<KeptLearnt>,
    renamed_tools: BTreeMap<String, String>,
}

/// What was learnt from the rows of an output.
#[derive(Serialize, Deserialize)]
struct KeptLearnt {
    shown: u64,
    /// The rows to move to the front, and the lines of their ids.
    front: Vec<(String, String)>,
}

impl KeptLearnt {
    fn of(learnt: &InferredTypes) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // Rows of text formats, which alone are moved.
        let front = learnt.front.iter().map(|row| (text(&row.row), text(&row.id))).collect();
        Self { shown: learnt.shown, front }
    }
}

impl Checkpoint {
    /// What is kept of a part that was just made after what was known, behind so many items of other parts.
    pub fn new(part: Part, totals: &Totals, after: Known, items_before: u64) -> Self {
        let items = totals.account.read;
        let continues = Some(items_before).filter(|&items| items > 0);
        let extent = Extent { continues, items, last_items: items_before + items };
        Self {
            part,
            delta: Delta::of(totals, &Tally::default(), extent),
            has_records: totals.account.records > 0,
            after,
            learnt: totals.learnt.iter().map(KeptLearnt::of).collect(),
            renamed_tools: totals.renamed_tools.clone(),
        }
    }

    /// Its JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads its JSON; the error says what is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Whether it is the part that is made after parts of which this is known.
    pub fn holds_after(&self, known: &Known) -> bool {
        let is_as_assumed = self.after.has_records == known.has_records;
        let mut outputs = self.learnt.iter().zip(self.after.evidence.iter().zip(&known.evidence));
        outputs.all(|(learnt, (assumed, known))| {
            learnt.shown == 0 || (is_as_assumed && (assumed ^ known) & learnt.shown == 0)
        })
    }

    /// Adds what was counted in it to what was counted in the parts before.
    pub fn add_to(&self, totals: &mut Totals) -> Result<(), String> {
        self.delta.add_to(totals, &mut Tally::default())?;
        if totals.learnt.len() < self.learnt.len() {
            totals.learnt.resize(self.learnt.len(), InferredTypes::default());
        }
        for (all, learnt) in totals.learnt.iter_mut().zip(&self.learnt) {
            all.shown |= learnt.shown;
            all.front.extend(
                learnt
                    .front
                    .iter()
                    .map(|(row, id)| FrontRow { row: row.clone().into(), id: id.clone().into() }),
            );
        }
        totals.add_renamed_tools(self.renamed_tools.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use retort_model::{ItemKind, Reason, Repair, Warning};

    use super::*;
    use crate::pipeline::SourceCount;

    /// What may be counted in a part; parts with different numbers count different things.
    fn counted(number: u64) -> Totals {
        let mut totals = Totals::default();
        for place in 0..7 + number {
            totals.account.read_one(ItemKind::Run);
            totals.account.select_one(ItemKind::Run);
            if place < 5 + number {
                totals.account.write_one(ItemKind::Run);
            }
        }
        totals.account.records = 9;
        totals.account.leave_out_one(ItemKind::Run, Reason::Purged, &format!("a{number}"));
        totals.account.leave_out_one(ItemKind::Run, Reason::NoAnswer, &format!("b{number}"));
        assert!(totals.account.balances());
        totals.account.repaired.add_many(Repair::CutEnd, 3);
        totals.account.warned.add(Warning::LongCell, &format!("c{number}"));
        let items = totals.account.read;
        totals.sources = vec![SourceCount { name: STORE.into(), format: None, items, refused: 0 }];
        let front = FrontRow { row: b"{\"a\":\"\xc3\xa9\"}\n".to_vec(), id: b"x\n".to_vec() };
        for evidence in [5, 7] {
            let (front, shown) = (vec![front.clone()], evidence | number << 4);
            totals.learnt.push(InferredTypes { front, evidence: shown, shown, bytes_before: 6 });
        }
        let split: crate::Split = "a=0.5,b=0.5".parse().unwrap();
        totals.account.outputs = split.portions();
        totals.account.put_out(0, 9, None, "c");
        totals.account.put_out(1, 0, Some(Reason::NoAnswer), "b");
        totals.renamed_tools.insert(format!("f.{number}"), "f_x".into());
        totals
    }

    fn kept(totals: &Totals, after: Known, items_before: u64) -> Checkpoint {
        let made = Checkpoint::new(Part::default(), totals, after, items_before);
        let back = Checkpoint::from_json(&made.to_json()).unwrap();
        assert_eq!(back.to_json(), made.to_json());
        back
    }

    #[test]
    fn what_was_counted_comes_back_as_it_was() {
        let totals = counted(0);
        let mut back = Totals::default();
        kept(&totals, Known::nothing(2), 0).add_to(&mut back).unwrap();
        assert_eq!(back.account, totals.account);
        assert_eq!(back.learnt.len(), 2);
        for (back, learnt) in back.learnt.iter().zip(&totals.learnt) {
            assert_eq!((back.shown, &back.front[0].row), (learnt.shown, &learnt.front[0].row));
        }
        assert_eq!(back.renamed_tools, totals.renamed_tools);
    }

    #[test]
    fn parts_add_up_to_what_one_run_counts() {
        let (one, two) = (counted(0), counted(1));
        let mut all = Totals::default();
        let items = one.account.read;
        for (totals, before) in [(&one, 0), (&two, items)] {
            kept(totals, Known::nothing(2), before).add_to(&mut all).unwrap();
        }
        let mut account = one.account.clone();
        account.merge(two.account.clone());
        assert_eq!(all.account, account);
        let sources: Vec<_> = all.sources.iter().map(|one| (&*one.name, one.items)).collect();
        assert_eq!(sources, [(STORE, account.read)]);
        assert_eq!(all.learnt.iter().map(|learnt| learnt.front.len()).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(all.renamed_tools.len(), 2);
    }

    #[test]
    fn a_part_holds_if_what_was_assumed_makes_no_difference_to_its_rows() {
        let evidence = |evidence: u64| Known { evidence: vec![evidence], has_records: true };
        let part = |shown: u64, after: Known| {
            let learnt = vec![InferredTypes { shown, ..InferredTypes::default() }];
            kept(&Totals { learnt, ..Totals::default() }, after, 1)
        };
        for (shown, after, known, holds) in [
            (0b011, Known::everything(1), evidence(0b111), true),
            (0b011, Known::everything(1), evidence(0b001), false),
            (0b011, evidence(0b001), evidence(0b101), true),
            (0b011, evidence(0b001), evidence(0b011), false),
            (0b011, Known::everything(1), Known::nothing(1), false),
            (0b011, Known::nothing(1), Known::nothing(1), true),
            // At the beginning of the first file no row is moved, behind it each is.
            (0b011, Known::nothing(1), evidence(0), false),
            (0, Known::everything(1), Known::nothing(1), true),
        ] {
            let part = part(shown, after.clone());
            assert_eq!(part.holds_after(&known), holds, "{shown:b} {after:?} {known:?}");
        }
    }
}
