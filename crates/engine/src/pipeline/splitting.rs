//! The stage that says to which output an item goes.

use retort_model::Warning;

use super::item::Standing;
use super::item::{Assigned, ReadItem};
use super::shaping::Shaping;
use super::stage::{Stage, Warn};
use crate::split::{GroupBy, Split, group_of, names_user};

/// Finds the output of each item by its group.
pub(super) struct Splitting {
    split: Split,
    group_by: GroupBy,
}

impl Splitting {
    /// The stage, if the dataset has several outputs.
    pub(super) fn of(shaping: &Shaping<'_>) -> Option<Self> {
        let split = shaping.split.clone();
        split.is_split().then_some(Self { split, group_by: shaping.group_by })
    }
}

impl Stage for Splitting {
    fn examine(&self, items: &mut [ReadItem<'_>], warn: &mut Warn<'_>) {
        for one in items.iter_mut().filter(|one| one.standing == Standing::Open) {
            let group = group_of(&one.item, self.group_by);
            one.assigned = Some(Assigned { output: self.split.output_of(&group), group });
            if self.group_by == GroupBy::User && !names_user(&one.item) {
                warn(one, Warning::NoUser, None);
            }
        }
    }

    fn chooses(&self) -> bool {
        false
    }
}
