//! What is kept of an export between its parts, so that it goes on where it was when its worker is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use retort_formats::import::Refusal;
use retort_model::Tally;
use serde::{Deserialize, Serialize};

use crate::counted::Counted;
use crate::files::Part;
use crate::pipeline::{FrontRow, Learnt, SourceCount, Totals};

/// A finished part, and what was counted up to its end.
#[derive(Serialize, Deserialize)]
pub struct Checkpoint {
    /// The files of the part.
    pub part: Part,
    counted: Counted,
    /// What was learnt from the rows of the first output.
    #[serde(flatten)]
    learnt: KeptLearnt,
    /// The same of the others, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    learnt_of_others: Vec<KeptLearnt>,
    renamed_tools: BTreeMap<String, String>,
    /// The variables that have columns, in their order.
    #[serde(default)]
    pub variables: Vec<String>,
}

/// What was learnt from the rows of an output.
#[derive(Default, Serialize, Deserialize)]
struct KeptLearnt {
    /// The rows in front and the lines of their ids.
    front: Vec<(String, String)>,
    evidence: u64,
    bytes_before: u64,
}

impl KeptLearnt {
    fn of(learnt: &Learnt) -> Self {
        let Learnt { front, evidence, bytes_before } = learnt;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // Rows of text formats, which alone are moved.
        let front = front.iter().map(|row| (text(&row.row), text(&row.id))).collect();
        Self { front, evidence: *evidence, bytes_before: *bytes_before }
    }

    fn learnt(&self) -> Learnt {
        let row = |(row, id): &(String, String)| FrontRow {
            row: row.clone().into(),
            id: id.clone().into(),
        };
        Learnt {
            front: self.front.iter().map(row).collect(),
            evidence: self.evidence,
            bytes_before: self.bytes_before,
        }
    }
}

/// What stored items are called where inputs are listed.
pub const STORE: &str = "store";

impl Checkpoint {
    /// What is kept of a part that was just finished.
    pub fn new(part: Part, totals: &Totals, variables: &[Arc<str>]) -> Self {
        let mut learnt = totals.learnt.iter().map(KeptLearnt::of);
        Self {
            part,
            counted: Counted::of(&totals.account),
            learnt: learnt.next().unwrap_or_default(),
            learnt_of_others: learnt.collect(),
            renamed_tools: totals.renamed_tools.clone(),
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
        let account = self.counted.account()?;
        Ok(Totals {
            sources: vec![SourceCount {
                name: STORE.into(),
                format: None,
                items: account.read,
                refused: 0,
            }],
            account,
            is_undecided: false,
            refused: Tally::<Refusal>::default(),
            first_refused: BTreeMap::new(),
            learnt: [&self.learnt]
                .into_iter()
                .chain(&self.learnt_of_others)
                .map(KeptLearnt::learnt)
                .collect(),
            renamed_tools: self.renamed_tools.clone(),
            without_records: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use retort_model::{ItemKind, Reason, Repair, Warning};

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
        let front = FrontRow { row: b"{\"a\":\"\xc3\xa9\"}\n".to_vec(), id: b"x\n".to_vec() };
        for evidence in [5, 7] {
            let front = vec![front.clone()];
            totals.learnt.push(Learnt { front, evidence, bytes_before: 6 });
        }
        let split: crate::Split = "a=0.5,b=0.5".parse().unwrap();
        totals.account.outputs = split.portions();
        totals.account.put_out(0, 9, None, "c");
        totals.account.put_out(1, 0, Some(Reason::NoAnswer), "b");
        totals.renamed_tools.insert("f.x".into(), "f_x".into());
        let kept = Checkpoint::new(Part::default(), &totals, &[]).to_json();
        let back = Checkpoint::from_json(&kept).unwrap().totals().unwrap();
        assert_eq!(back.account, totals.account);
        assert_eq!(back.learnt.len(), 2);
        for (back, learnt) in back.learnt.iter().zip(&totals.learnt) {
            assert_eq!((back.evidence, back.bytes_before), (learnt.evidence, 6));
            assert_eq!(back.front[0].row, learnt.front[0].row);
        }
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
