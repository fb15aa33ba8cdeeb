//! The stage for repeated ids: finds the first one, and follows what was decided on all of them ([`super::repeats`]).

use std::collections::HashMap;
use std::io;

use retort_model::bounds::CONTENTS_COUNTED;
use retort_model::{LeftOut, Reason};

use super::ids::content_id;
use super::item::{ContentHash, ReadItem, Verdict};
use super::repeats::Decisions;
use super::stage::{Decision, OrderedStage};
use crate::seen::SeenIds;

/// Leaves out states of an item that another one has all of, and tells different items with one id apart.
pub(super) struct RepeatedIds {
    seen: SeenIds,
    /// How often a content without an id came, where that was more than once.
    again: HashMap<ContentHash, u64>,
    /// What was decided; none while no repeated id was met.
    decisions: Option<Decisions>,
    namespace: Option<String>,
}

impl RepeatedIds {
    pub(super) fn new(decisions: Option<Decisions>, namespace: Option<&str>) -> Self {
        let namespace = namespace.map(str::to_owned);
        Self { seen: SeenIds::new(), again: HashMap::new(), decisions, namespace }
    }

    /// The how manieth with its id an item is, as far as nothing has to be decided for that; none if its id is
    /// repeated.
    fn first(&mut self, one: &ReadItem<'_>) -> io::Result<Option<u64>> {
        let Some(hash) = one.hash else { return Ok(Some(1)) };
        if self.seen.add(hash)? {
            return Ok(Some(1));
        }
        let Some(content) = one.content else { return Ok(None) };
        if self.again.len() >= CONTENTS_COUNTED && !self.again.contains_key(&content) {
            return Ok(None);
        }
        let time = self.again.entry(content).or_insert(1);
        *time += 1;
        Ok(Some(*time))
    }
}

impl OrderedStage for RepeatedIds {
    fn decide(&mut self, one: &mut ReadItem<'_>, order: u64) -> io::Result<Decision> {
        let verdict = match &mut self.decisions {
            Some(decisions) => decisions.on(order)?,
            None => match self.first(one)? {
                Some(1) => None,
                Some(time) => Some(Verdict::Number(time)),
                None => return Ok(Decision::NeedsSurvey),
            },
        };
        one.verdict = verdict;
        let kind = one.item.kind();
        let (reason, why) = match verdict {
            Some(Verdict::SameState) => (Reason::RepeatedId, "has the same messages"),
            Some(Verdict::EarlierState) => (Reason::EarlierState, "continues it"),
            Some(Verdict::Number(number)) => {
                give_number(one, number, self.namespace.as_deref());
                return Ok(Decision::Pass);
            }
            None => return Ok(Decision::Pass),
        };
        let detail = format!("another {kind} with this id {why}, and counts instead");
        Ok(Decision::LeaveOut(LeftOut::new(reason, detail)))
    }

    fn chooses(&self) -> bool {
        true
    }
}

/// Tells an item apart from those that have its id.
fn give_number(one: &mut ReadItem<'_>, number: u64, namespace: Option<&str>) {
    let id = match &one.content {
        Some(content) => content_id(content, number),
        None => {
            one.is_kept_apart = true;
            *one.item.id_mut() = format!("{}#{number}", one.item.id().decoded()).into();
            return;
        }
    };
    *one.item.id_mut() = match namespace {
        Some(namespace) => format!("{namespace}/{id}").into(),
        None => id.into(),
    };
}
