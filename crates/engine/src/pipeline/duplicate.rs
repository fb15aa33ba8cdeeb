//! The stage that leaves out duplicates, as a survey of all items found them ([`crate::dedup`]).

use std::io;

use super::item::ReadItem;
use super::stage::{Decision, OrderedStage};
use crate::dedup::Duplicates;

pub(super) struct DuplicateItems(pub(super) Duplicates);

impl OrderedStage for DuplicateItems {
    fn decide(&mut self, _one: &mut ReadItem<'_>, order: u64) -> io::Result<Decision> {
        Ok(self.0.on(order)?.map_or(Decision::Pass, Decision::LeaveOut))
    }

    fn chooses(&self) -> bool {
        false
    }
}
