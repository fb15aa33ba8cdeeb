//! The stages that say to which output an item goes.

use std::io;

use retort_model::Warning;

use super::item::Standing;
use super::item::{Assigned, ReadItem};
use super::shaping::Shaping;
use super::stage::{Decision, OrderedStage, Stage, Warn};
use crate::split::{GroupBy, Split, group_of, names_user};
use crate::split_groups::Splits;

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

/// Follows a survey where the output of an item depends on others.
pub(super) struct SplitItem(pub(super) Splits);

impl OrderedStage for SplitItem {
    fn decide(&mut self, one: &mut ReadItem<'_>, order: u64) -> io::Result<Decision> {
        Ok(match self.0.on(order)? {
            Ok((output, group)) => {
                one.assigned = Some(Assigned { output, group });
                Decision::Pass
            }
            Err(why) => Decision::LeaveOut(why),
        })
    }

    fn chooses(&self) -> bool {
        false
    }
}
