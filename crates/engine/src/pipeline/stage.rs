//! What a stage is: a step between reading an item and shaping it.
//!
//! A stage has a pure part ([`Stage`]), which finds out what the item itself tells, on any thread and in any order, and
//! where needed an ordered part ([`OrderedStage`]), which decides in the order of the input, as its decision depends on
//! the items before. So the result depends neither on the number of threads nor on how the input is cut into batches.

use std::io;

use retort_model::{LeftOut, Warning};

use super::item::ReadItem;

/// Counts a warning about an item, with a detail if there is one.
pub(super) type Warn<'w> = dyn FnMut(&ReadItem<'_>, Warning, Option<&str>) + 'w;

/// The pure part of a stage.
pub(super) trait Stage: Sync {
    /// Finds out what each item tells. `warn` counts a warning of an item.
    fn examine(&self, items: &mut [ReadItem<'_>], warn: &mut Warn<'_>);

    /// Whether it is part of choosing items. Items of a store were chosen there, so they pass by it.
    fn chooses(&self) -> bool;
}

/// The ordered part of a stage.
pub(super) trait OrderedStage: Send {
    /// Whether it takes no more items; those that follow are not selected.
    fn is_full(&self) -> bool {
        false
    }

    /// Decides on an item that passed all stages before, in the order of the input.
    fn decide(&mut self, one: &mut ReadItem<'_>, order: u64) -> io::Result<Decision>;

    /// Hears that an item passed all stages.
    fn took_one(&mut self) {}

    /// As [`Stage::chooses`].
    fn chooses(&self) -> bool;
}

/// What an ordered stage decides on an item.
pub(super) enum Decision {
    /// It goes on to the next stage.
    Pass,
    /// It is not in the sample.
    NotSampled,
    /// Nothing is written of it.
    LeaveOut(LeftOut),
    /// Only a survey of all items can tell: the run has to begin again after one.
    NeedsSurvey,
}
