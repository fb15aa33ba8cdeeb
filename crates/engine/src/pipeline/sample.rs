//! The stages that leave items out of a sample ([`crate::sampling`]).

use std::io;

use super::item::{ReadItem, Standing};
use super::stage::{Decision, OrderedStage, Stage, Warn};
use crate::sampling::{SampleSize, Sampled, Sampling};

/// Takes a share of the items; each item is decided by its id alone.
pub(super) struct TakingShare(Sampling);

impl TakingShare {
    /// The stage, if a share is wanted.
    pub(super) fn of(sampling: Sampling) -> Option<Self> {
        matches!(sampling.size, Some(SampleSize::Share(_))).then_some(Self(sampling))
    }
}

impl Stage for TakingShare {
    fn examine(&self, items: &mut [ReadItem<'_>], _warn: &mut Warn<'_>) {
        for one in items.iter_mut().filter(|one| one.standing == Standing::Open) {
            if !self.0.is_in_share(&one.item.id().decoded()) {
                one.standing = Standing::NotSampled;
                // Every item with this id is out, so there is no repeated id to decide on.
                one.hash = None;
            }
        }
    }

    fn chooses(&self) -> bool {
        false
    }
}

/// Takes the items that a survey of all items chose.
pub(super) struct Sample(pub(super) Sampled);

impl OrderedStage for Sample {
    fn decide(&mut self, _one: &mut ReadItem<'_>, order: u64) -> io::Result<Decision> {
        Ok(if self.0.has(order)? { Decision::Pass } else { Decision::NotSampled })
    }

    fn chooses(&self) -> bool {
        false
    }
}
