//! The list of stages, and how the batches of items pass them.

use std::io;

use super::choose::Choose;
use super::contaminated::Decontaminating;
use super::decided::Survey;
use super::duplicate::DuplicateItems;
use super::item::ReadItem;
use super::item::Standing;
use super::limit::Limit;
use super::redacting::LeavingOut;
use super::repeated::RepeatedIds;
use super::sample::{Sample, TakingShare};
use super::shaping::Shaping;
use super::splitting::{SplitItem, Splitting};
use super::stage::{Decision, OrderedStage, Stage, Warn};
use super::traced::TracedRuns;

/// The pure parts, in their order.
pub(super) struct Stages<'p>(Vec<Box<dyn Stage + 'p>>);

/// The ordered parts, in their order: batches pass them one after another.
pub(super) struct OrderedStages {
    list: Vec<Box<dyn OrderedStage>>,
    /// No more items are wanted.
    pub(super) finished: bool,
    /// Something has to be decided by a survey: all has to begin again.
    pub(super) needs_survey: bool,
}

/// The stages of a run, with what was decided on all items.
pub(super) fn of<'p>(shaping: &'p Shaping<'_>, survey: Survey) -> (Stages<'p>, OrderedStages) {
    let Stages(mut pure) = Stages::choosing(shaping);
    pure.extend(Splitting::of(shaping).map(|stage| Box::new(stage) as _));
    let mut list: Vec<Box<dyn OrderedStage>> =
        vec![Box::new(RepeatedIds::new(survey.repeats, shaping.namespace))];
    list.extend(survey.duplicates.map(|found| Box::new(DuplicateItems(found)) as _));
    list.extend(survey.splits.map(|found| Box::new(SplitItem(found)) as _));
    list.extend(survey.sampled.map(|sampled| Box::new(Sample(sampled)) as _));
    list.extend(shaping.selection.limit.map(|most| Box::new(Limit::new(most)) as _));
    (Stages(pure), OrderedStages { list, finished: false, needs_survey: false })
}

impl<'p> Stages<'p> {
    /// Those that decide which items are open to the stages after them, as a survey needs them, too.
    pub(super) fn choosing(shaping: &'p Shaping<'_>) -> Self {
        let mut pure: Vec<Box<dyn Stage + 'p>> = vec![Box::new(Choose::of(shaping))];
        pure.extend(TracedRuns::of(shaping).map(|stage| Box::new(stage) as _));
        let redactor = shaping.redactor.as_deref();
        pure.extend(LeavingOut::of(redactor).map(|stage| Box::new(stage) as _));
        pure.extend(TakingShare::of(shaping.sampling).map(|stage| Box::new(stage) as _));
        let benchmarks = shaping.benchmarks.as_deref();
        pure.extend(Decontaminating::of(benchmarks).map(|stage| Box::new(stage) as _));
        Self(pure)
    }

    /// Finds out what the items of a batch tell, which were chosen before or not. `warn` counts a warning of an item.
    pub(super) fn examine(
        &self,
        items: &mut [ReadItem<'_>],
        are_chosen: bool,
        warn: &mut Warn<'_>,
    ) {
        for stage in self.0.iter().filter(|stage| !(are_chosen && stage.chooses())) {
            stage.examine(items, warn);
        }
    }
}

impl OrderedStages {
    /// Decides on the items of a batch, which were chosen before or not. Says whether the batch is still wanted: not if
    /// the limit was reached before it, or if a survey is needed first.
    pub(super) fn pass(
        &mut self,
        items: &mut [ReadItem<'_>],
        items_before: u64,
        are_chosen: bool,
    ) -> io::Result<bool> {
        if self.finished {
            return Ok(false);
        }
        for one in items.iter_mut().filter(|one| one.standing == Standing::Open) {
            if self.list.iter().any(|stage| stage.is_full()) {
                one.standing = Standing::NotSelected;
                continue;
            }
            let Some(standing) = self.decide(one, items_before, are_chosen)? else {
                (self.needs_survey, self.finished) = (true, true);
                return Ok(false);
            };
            one.standing = standing;
        }
        self.finished = self.list.iter().any(|stage| stage.is_full());
        Ok(true)
    }

    /// How an item stands after all stages; none if one of them needs a survey.
    fn decide(
        &mut self,
        one: &mut ReadItem<'_>,
        items_before: u64,
        is_chosen: bool,
    ) -> io::Result<Option<Standing>> {
        let order = one.order(items_before);
        for stage in self.list.iter_mut().filter(|stage| !(is_chosen && stage.chooses())) {
            match stage.decide(one, order)? {
                Decision::Pass => {}
                Decision::NotSampled => return Ok(Some(Standing::NotSampled)),
                Decision::LeaveOut(why) => return Ok(Some(Standing::LeftOut(why))),
                Decision::NeedsSurvey => return Ok(None),
            }
        }
        self.list.iter_mut().for_each(|stage| stage.took_one());
        Ok(Some(Standing::Taken))
    }
}

#[cfg(test)]
mod tests {
    use retort_formats::import::split::Span;
    use retort_model::{Conversation, LeftOut, Reason};

    use super::*;

    /// Leaves out every second item.
    struct EverySecond;

    impl OrderedStage for EverySecond {
        fn decide(&mut self, _one: &mut ReadItem<'_>, order: u64) -> io::Result<Decision> {
            Ok(if order % 2 == 1 {
                Decision::LeaveOut(LeftOut::new(Reason::NoAnswer, ""))
            } else {
                Decision::Pass
            })
        }

        fn chooses(&self) -> bool {
            false
        }
    }

    fn items(count: usize) -> Vec<ReadItem<'static>> {
        let span = Span { start: 0, end: 0, index: 0, line: 0, byte: 0, fault: None };
        let item = |index| {
            ReadItem::new(Conversation::default().into(), (1 + index as u64, index), span, true)
        };
        (0..count).map(item).collect()
    }

    fn stages(list: Vec<Box<dyn OrderedStage>>) -> OrderedStages {
        OrderedStages { list, finished: false, needs_survey: false }
    }

    #[test]
    fn a_limit_counts_what_passed_the_stages_before_it() {
        let mut stages = stages(vec![Box::new(EverySecond), Box::new(Limit::new(2))]);
        let mut read = items(5);
        assert!(stages.pass(&mut read, 0, false).unwrap());
        let taken: Vec<bool> = read.iter().map(|one| one.standing == Standing::Taken).collect();
        assert_eq!(taken, [true, false, true, false, false]);
        assert_eq!(read[3].standing, Standing::NotSelected);
        assert!(stages.finished && !stages.pass(&mut items(1), 5, false).unwrap());
    }

    #[test]
    fn items_that_were_chosen_before_pass_by_what_chooses() {
        let mut stages = stages(vec![Box::new(Limit::new(1)), Box::new(EverySecond)]);
        let mut read = items(1);
        assert!(stages.pass(&mut read, 0, true).unwrap());
        assert_eq!(read[0].standing, Standing::Taken);
    }
}
