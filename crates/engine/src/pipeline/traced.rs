//! The stage that writes a trace once in training formats. A trace is read as a run and as a conversation of what its
//! models said, so both would teach the same.

use retort_model::{Item, LeftOut, NodeKind, NodeRun, Reason, RunSource};

use super::item::ReadItem;
use super::item::Standing;
use super::shaping::Shaping;
use super::stage::{Stage, Warn};

/// Leaves out runs whose conversation is read as well.
pub(super) struct TracedRuns;

impl TracedRuns {
    /// The stage, if the data format is for training.
    pub(super) fn of(shaping: &Shaping<'_>) -> Option<Self> {
        shaping.data_format.is_for_training().then_some(Self)
    }
}

impl Stage for TracedRuns {
    fn examine(&self, items: &mut [ReadItem<'_>], _warn: &mut Warn<'_>) {
        for one in items.iter_mut().filter(|one| one.standing == Standing::Open) {
            if is_traced(&one.item) {
                one.standing = Standing::LeftOut(LeftOut::new(Reason::InConversation, ""));
            }
        }
    }

    fn chooses(&self) -> bool {
        true
    }
}

/// Whether an item is the run of a traced application with calls of models.
fn is_traced(item: &Item<'_>) -> bool {
    let Item::Run(run) = item else { return false };
    let says = |node: &NodeRun<'_>| node.input.is_some() || node.output.is_some();
    run.source == RunSource::Application
        && run
            .nodes
            .iter()
            .any(|node| matches!(node.kind, NodeKind::ModelCall | NodeKind::Agent) && says(node))
}
