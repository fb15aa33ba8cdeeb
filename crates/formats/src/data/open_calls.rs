//! Which results answer which calls, where ids are missing, repeated or wrong.

use std::borrow::Cow;
use std::collections::HashMap;

use retort_model::Message;

use super::joined::joined_results;
use super::turn::Turn;

/// The calls of a turn, and which of them no result has answered yet.
pub(super) struct OpenCalls<'c> {
    /// The ids with the positions of their calls, sorted.
    ids: Vec<(Cow<'c, str>, usize)>,
    /// The names of the tools by position, if no call has an id.
    names: Vec<Cow<'c, str>>,
    /// By position: whether the call still waits.
    is_open: Vec<bool>,
    /// Before this position none waits.
    first_open: usize,
    /// By the place in `ids` where an id begins: how many of its calls do not wait any more.
    passed: HashMap<usize, usize>,
    /// Whether every call has an id.
    tracks: bool,
    /// Whether any has one.
    has_ids: bool,
}

impl<'c> OpenCalls<'c> {
    pub(super) fn of(turn: &Turn<'c>) -> Self {
        let ids = turn.calls().map(|call| call.id.decoded());
        let mut ids: Vec<_> = ids.enumerate().map(|(place, id)| (id, place)).collect();
        ids.sort_unstable();
        let has_ids = ids.iter().any(|(id, _)| !id.is_empty());
        let names = turn.calls().filter(|_| !has_ids).map(|call| call.name.decoded());
        Self {
            names: names.collect(),
            is_open: vec![true; ids.len()],
            first_open: 0,
            passed: HashMap::new(),
            tracks: ids.iter().all(|(id, _)| !id.is_empty()),
            has_ids,
            ids,
        }
    }

    /// How many calls the turn has.
    pub(super) fn calls(&self) -> usize {
        self.is_open.len()
    }

    /// Whether the turn is the results of several calls in one message already, as ShareGPT has them: without ids, a
    /// JSON array with one element for each call. Then no call waits any more.
    pub(super) fn are_answered_at_once(&mut self, turn: &Turn<'_>) -> bool {
        let (Some(message), true) = (turn.first, turn.more.is_empty()) else { return false };
        let has_ids = message.tool_call_id.is_some() || self.has_ids;
        let calls = self.is_open.len();
        let all = calls > 1
            && !has_ids
            && joined_results(message).is_some_and(|results| results.len() == calls);
        if all {
            self.is_open.fill(false);
        }
        all
    }

    /// The call that the result answers: the first unanswered one with its id or, if there are no ids, of its tool. If it
    /// names none of them, it is the first unanswered call.
    pub(super) fn answer(&mut self, message: &Message<'_>) -> Option<usize> {
        let named = message.tool_call_id.as_ref().filter(|id| !id.is_empty());
        let place = match named {
            Some(id) => match self.named(&id.decoded()) {
                Ok(place) => Some(place),
                // An id that no call of the turn has: a system that lost track (`unknown`), or another call's result.
                Err(is_known) if is_known || (self.tracks && *id != *"unknown") => None,
                Err(_) => self.any(),
            },
            None => self.of_tool(message).or_else(|| self.any()),
        }?;
        if let Some(is_open) = self.is_open.get_mut(place) {
            *is_open = false;
        }
        Some(place)
    }

    /// The first unanswered call of that id; if there is none, whether any call has it.
    fn named(&mut self, id: &str) -> Result<usize, bool> {
        let start = self.ids.partition_point(|(one, _)| **one < *id);
        let is_known = self.ids.get(start).is_some_and(|(one, _)| *one == id);
        let passed = self.passed.entry(start).or_default();
        let group = self.ids.get(start + *passed..).unwrap_or_default();
        for (_, place) in group.iter().take_while(|(one, _)| *one == id) {
            *passed += 1;
            if self.is_open.get(*place) == Some(&true) {
                return Ok(*place);
            }
        }
        Err(is_known)
    }

    /// The first unanswered call of the result's tool.
    fn of_tool(&self, message: &Message<'_>) -> Option<usize> {
        let name = message.name.as_ref()?.decoded();
        let mut open = self.names.iter().zip(&self.is_open);
        open.position(|(one, is_open)| *is_open && *one == name)
    }

    fn any(&mut self) -> Option<usize> {
        while self.is_open.get(self.first_open) == Some(&false) {
            self.first_open += 1;
        }
        (self.first_open < self.is_open.len()).then_some(self.first_open)
    }
}
