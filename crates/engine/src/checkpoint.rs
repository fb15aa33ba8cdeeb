//! What is kept of an export between its parts, so that it goes on where it was when its worker is gone.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use retort_formats::import::Refusal;
use retort_formats::package::{Finding, findings};
use retort_model::{Account, ItemKind, Portion, Reason, Repair, Tally, Warning};
use serde::{Deserialize, Serialize};

use crate::files::Part;
use crate::pipeline::{FrontRow, SourceCount, Totals};

/// A finished part, and what was counted up to its end.
#[derive(Serialize, Deserialize)]
pub struct Checkpoint {
    /// The files of the part.
    pub part: Part,
    counted: Counted,
    front: Vec<(String, String)>,
    renamed_tools: BTreeMap<String, String>,
    evidence: u64,
    bytes_before: u64,
    /// The variables that have columns, in their order.
    #[serde(default)]
    pub variables: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Counted {
    read: u64,
    selected: u64,
    written: u64,
    left_out: Vec<Finding>,
    /// By the name of the kind. What was kept before there were several is of conversations alone.
    #[serde(default)]
    kinds: BTreeMap<String, CountedKind>,
    records: u64,
    records_left_out: Vec<Finding>,
    repaired: Vec<Finding>,
    unrepaired: Vec<Finding>,
    unfit: Vec<Finding>,
    warned: Vec<Finding>,
    records_repaired: u64,
    longest_record_chars: u64,
    record_chars: u64,
}

#[derive(Serialize, Deserialize)]
struct CountedKind {
    read: u64,
    selected: u64,
    written: u64,
    left_out: Vec<Finding>,
}

/// What stored items are called where inputs are listed.
pub const STORE: &str = "store";

impl Checkpoint {
    /// What is kept of a part that was just finished.
    pub fn new(part: Part, totals: &Totals, variables: &[Arc<str>]) -> Self {
        let account = &totals.account;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            part,
            counted: Counted {
                read: account.read,
                selected: account.selected,
                written: account.written,
                left_out: findings(&account.left_out, Reason::as_str),
                kinds: account.kinds.iter().map(counted_kind).collect(),
                records: account.records,
                records_left_out: findings(&account.records_left_out, Reason::as_str),
                repaired: findings(&account.repaired, Repair::as_str),
                unrepaired: findings(&account.unrepaired, Repair::as_str),
                unfit: findings(&account.unfit, Reason::as_str),
                warned: findings(&account.warned, Warning::as_str),
                records_repaired: account.records_repaired,
                longest_record_chars: account.longest_record_chars,
                record_chars: account.record_chars,
            },
            // Rows of text formats, which alone are moved.
            front: totals.front.iter().map(|row| (text(&row.row), text(&row.id))).collect(),
            renamed_tools: totals.renamed_tools.clone(),
            evidence: totals.evidence,
            bytes_before: totals.bytes_before,
            variables: variables.iter().map(|name| (**name).to_owned()).collect(),
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

    /// What was counted up to its end.
    pub fn totals(&self) -> Result<Totals, String> {
        let counted = &self.counted;
        Ok(Totals {
            account: Account {
                read: counted.read,
                refused: 0,
                selected: counted.selected,
                written: counted.written,
                left_out: tally(&counted.left_out)?,
                kinds: self.kinds()?,
                records: counted.records,
                records_left_out: tally(&counted.records_left_out)?,
                repaired: tally(&counted.repaired)?,
                unrepaired: tally(&counted.unrepaired)?,
                unfit: tally(&counted.unfit)?,
                warned: tally(&counted.warned)?,
                records_repaired: counted.records_repaired,
                lone_surrogates: 0,
                duplicate_keys: 0,
                // An export has its own count, from when its selection was frozen.
                deleted: 0,
                longest_record_chars: counted.longest_record_chars,
                record_chars: counted.record_chars,
            },
            is_undecided: false,
            refused: Tally::<Refusal>::default(),
            first_refused: BTreeMap::new(),
            sources: vec![SourceCount {
                name: STORE.into(),
                format: None,
                items: counted.read,
                refused: 0,
            }],
            front: self
                .front
                .iter()
                .map(|(row, id)| FrontRow { row: row.clone().into(), id: id.clone().into() })
                .collect(),
            renamed_tools: self.renamed_tools.clone(),
            evidence: self.evidence,
            bytes_before: self.bytes_before,
            without_records: Vec::new(),
        })
    }
}

impl Checkpoint {
    fn kinds(&self) -> Result<BTreeMap<ItemKind, Portion>, String> {
        let counted = &self.counted;
        let portion = |read, selected, written, left_out: &[Finding]| {
            Ok::<_, String>(Portion { read, selected, written, left_out: tally(left_out)? })
        };
        if counted.kinds.is_empty() {
            let (read, selected) = (counted.read, counted.selected);
            let all = portion(read, selected, counted.written, &counted.left_out)?;
            return Ok(BTreeMap::from([(ItemKind::Conversation, all)]));
        }
        let kinds = counted.kinds.iter().map(|(kind, one)| {
            Ok((kind.parse()?, portion(one.read, one.selected, one.written, &one.left_out)?))
        });
        kinds.collect()
    }
}

fn counted_kind((kind, portion): (&ItemKind, &Portion)) -> (String, CountedKind) {
    let Portion { read, selected, written, left_out } = portion;
    let left_out = findings(left_out, Reason::as_str);
    let one = CountedKind { read: *read, selected: *selected, written: *written, left_out };
    (kind.to_string(), one)
}

fn tally<K: Ord + Copy + FromStr<Err = String>>(findings: &[Finding]) -> Result<Tally<K>, String> {
    findings
        .iter()
        .map(|finding| Ok((finding.kind.parse()?, finding.count, finding.first_ids.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_comes_back_as_it_was() {
        let mut totals = Totals::default();
        for place in 0..7 {
            totals.account.read_one(ItemKind::Run);
            totals.account.select_one(ItemKind::Run);
            if place < 5 {
                totals.account.write_one(ItemKind::Run);
            }
        }
        totals.account.records = 9;
        totals.account.leave_out_one(ItemKind::Run, Reason::Purged, "a");
        totals.account.leave_out_one(ItemKind::Run, Reason::NoAnswer, "b");
        assert!(totals.account.balances());
        totals.account.repaired.add_many(Repair::CutEnd, 3);
        totals.account.warned.add(Warning::LongCell, "c");
        totals.evidence = 5;
        totals.bytes_before = 6;
        totals
            .front
            .push(FrontRow { row: b"{\"a\":\"\xc3\xa9\"}\n".to_vec(), id: b"x\n".to_vec() });
        totals.renamed_tools.insert("f.x".into(), "f_x".into());
        let kept = Checkpoint::new(Part::default(), &totals, &[]).to_json();
        let back = Checkpoint::from_json(&kept).unwrap().totals().unwrap();
        assert_eq!(back.account, totals.account);
        assert_eq!((back.evidence, back.bytes_before), (5, 6));
        assert_eq!(back.front[0].row, totals.front[0].row);
        assert_eq!(back.renamed_tools, totals.renamed_tools);
        assert_eq!(Checkpoint::new(Part::default(), &back, &[]).to_json(), kept);
    }

    #[test]
    fn what_was_kept_before_there_were_kinds_is_of_conversations() {
        let mut totals = Totals::default();
        totals.account.read_one(ItemKind::Conversation);
        totals.account.select_one(ItemKind::Conversation);
        totals.account.leave_out_one(ItemKind::Conversation, Reason::NoAnswer, "b");
        let mut kept: serde_json::Value =
            serde_json::from_str(&Checkpoint::new(Part::default(), &totals, &[]).to_json())
                .unwrap();
        kept["counted"].as_object_mut().unwrap().remove("kinds");
        let back = Checkpoint::from_json(&kept.to_string()).unwrap().totals().unwrap();
        assert_eq!(back.account, totals.account);
    }
}
