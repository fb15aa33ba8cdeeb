//! A run that comes again: what of it counts.
//!
//! A run that has not ended takes whatever comes later: fields that are given replace those that were, those that
//! are not given stay. One that has ended takes what is thought of it, and what it did not say before; what it said
//! stays, unless what comes ended later. It never goes back to running.
//!
//! What people said of it here counts over what its source says, whenever that comes.

use retort_json::Text;
use std::collections::{HashMap, VecDeque};

use crate::canonical;
use crate::fields::Fields;
use crate::judging::Judged;
use crate::message::Feedback;
use crate::run::{NodeKind, NodeRun, Run, RunStatus};
use crate::time::Time;

/// What became of a run that came again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It says more, or something else, than before.
    Changed,
    /// It says nothing that was not there.
    Same,
    /// What is there is newer.
    Older,
}

/// Names under which sources tell one execution of a node from others.
const NODE_IDS: [&str; 4] = ["id", "node_run_id", "span_id", "execution_id"];

/// Which of two values counts where both are given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    WhatWas,
    WhatCame,
}

impl<'a> Run<'a> {
    /// Takes up what `came` says of the same run. An end after `latest`, in the future, says nothing.
    pub fn update(&mut self, mut came: Self, latest: Option<Time>) -> Again {
        let has_ended = self.status != RunStatus::Running;
        let believed =
            |end: Option<Time>| end.filter(|end| latest.is_none_or(|latest| *end <= latest));
        let ends = (believed(self.finished_at), believed(came.finished_at));
        let is_older = came.status == RunStatus::Running
            || matches!(ends, (Some(end), Some(came)) if came < end);
        if has_ended && is_older {
            return Again::Older;
        }
        let before = self.clone();
        let says_nothing_else = came.is_judgement();
        let (people, others) = (self.take_judgements(), came.take_judgements());
        let is_later = match ends {
            (Some(end), Some(came)) => came > end,
            (None, Some(_)) => self.finished_at.is_some(),
            (_, None) => false,
        };
        let counts = if has_ended && !is_later { Counts::WhatWas } else { Counts::WhatCame };
        if counts == Counts::WhatCame && !says_nothing_else {
            self.status = came.status;
        }
        put(&mut self.project, came.project, counts);
        put(&mut self.owner, came.owner, counts);
        put(&mut self.source_name, came.source_name, counts);
        put(&mut self.version, came.version, counts);
        put(&mut self.thread, came.thread, counts);
        put(&mut self.question, came.question, counts);
        put(&mut self.inputs, came.inputs, counts);
        put(&mut self.answer, came.answer, counts);
        put(&mut self.error, came.error, counts);
        put(&mut self.started_at, came.started_at, counts);
        put(&mut self.finished_at, came.finished_at, counts);
        put_list(&mut self.files, came.files, counts);
        put_list(&mut self.contexts, came.contexts, counts);
        for one in came.not_understood {
            if !self.not_understood.contains(&one) {
                self.not_understood.push(one);
            }
        }
        put_fields(&mut self.metadata, came.metadata, counts);
        put_feedback(&mut self.feedback, came.feedback);
        put(&mut self.ground_truth, came.ground_truth, Counts::WhatCame);
        put_nodes(&mut self.nodes, came.nodes, counts);
        self.carry(&people);
        self.carry(&others);
        if *self == before { Again::Same } else { Again::Changed }
    }

    /// Whether it says what is thought of a run and nothing of how it went, so that its status is no news.
    fn is_judgement(&self) -> bool {
        let thinks = self.feedback.is_some() || self.ground_truth.is_some();
        let tells = self.answer.is_some() || self.error.is_some() || self.finished_at.is_some();
        thinks && !tells && self.nodes.is_empty() && self.status == RunStatus::Success
    }
}

fn put<T>(slot: &mut Option<T>, came: Option<T>, counts: Counts) {
    if came.is_some() && (slot.is_none() || counts == Counts::WhatCame) {
        *slot = came;
    }
}

fn put_list<T>(list: &mut Vec<T>, came: Vec<T>, counts: Counts) {
    if !came.is_empty() && (list.is_empty() || counts == Counts::WhatCame) {
        *list = came;
    }
}

fn put_fields<'a>(fields: &mut Fields<'a>, came: Fields<'a>, counts: Counts) {
    for (name, value) in came {
        if counts == Counts::WhatCame || fields.get(&name.decoded()).is_none() {
            fields.put(name, value);
        }
    }
}

/// What is thought of it now stands above what was thought before.
fn put_feedback<'a>(slot: &mut Option<Box<Feedback<'a>>>, came: Option<Box<Feedback<'a>>>) {
    match (slot.as_mut(), came) {
        (Some(known), Some(came)) => {
            put(&mut known.rating, came.rating, Counts::WhatCame);
            put(&mut known.label, came.label, Counts::WhatCame);
            put(&mut known.comment, came.comment, Counts::WhatCame);
        }
        (None, Some(came)) => *slot = Some(came),
        (_, None) => {}
    }
}

fn put_nodes<'a>(nodes: &mut Vec<NodeRun<'a>>, came: Vec<NodeRun<'a>>, counts: Counts) {
    if came.is_empty() {
        return;
    }
    let mut known = Known::of(nodes, counts);
    // Where each node that came stands now.
    let mut places = Vec::with_capacity(came.len());
    for (position, mut node) in came.into_iter().enumerate() {
        node.parent = node.parent.and_then(|parent| places.get(parent).copied());
        let at = match known.place_of(nodes, &node, position) {
            Some(at) => at,
            None => {
                let (name, status) = (node.node.clone(), RunStatus::Running);
                nodes.push(NodeRun { node: name, status, ..NodeRun::default() });
                nodes.len() - 1
            }
        };
        places.push(at);
        if let Some(slot) = nodes.get_mut(at) {
            put_node(slot, node, counts);
            known.meet(at, slot);
        }
    }
}

/// The nodes of a run, to be found by what is said of them. Those that have not been met do not change, so the lists
/// of them hold, and the first of each is looked at once.
struct Known {
    counts: Counts,
    /// How many there were before any came.
    count: usize,
    is_met: Vec<bool>,
    /// The first of each id.
    by_id: HashMap<String, usize>,
    /// By name: those that one of the name may be without having their id, and of them those without an id.
    by_name: HashMap<String, [VecDeque<usize>; 2]>,
    /// By their canonical line.
    by_line: Option<HashMap<Vec<u8>, VecDeque<usize>>>,
}

impl Known {
    fn of(nodes: &[NodeRun<'_>], counts: Counts) -> Self {
        let mut by_id = HashMap::new();
        let mut by_name: HashMap<String, [VecDeque<usize>; 2]> = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            let id = id_of(node);
            if let Some(id) = id {
                by_id.entry(id.to_owned()).or_insert(at);
            }
            if counts == Counts::WhatWas || node.status == RunStatus::Running {
                let [all, nameless] = by_name.entry(node.node.decoded().into_owned()).or_default();
                all.push_back(at);
                nameless.extend(id.is_none().then_some(at));
            }
        }
        let (count, is_met) = (nodes.len(), vec![false; nodes.len()]);
        Self { counts, count, is_met, by_id, by_name, by_line: None }
    }

    /// Which of the known nodes it is: the one with its id, else the one at its position if that has its name, else
    /// the first of its name that still runs, or that says just what it says.
    fn place_of(
        &mut self,
        nodes: &[NodeRun<'_>],
        came: &NodeRun<'_>,
        position: usize,
    ) -> Option<usize> {
        let id = id_of(came);
        let is_free = |at: usize| self.is_met.get(at) == Some(&false);
        if let Some(id) = id
            && let Some(known) = self.by_id.get(id).copied().filter(|&at| is_free(at))
        {
            return Some(known);
        }
        // One with another id is another one.
        let is_at_position = nodes
            .get(position)
            .is_some_and(|node| node.node == came.node && (id.is_none() || id_of(node).is_none()));
        if is_at_position && is_free(position) {
            return Some(position);
        }
        let first = |list: &mut VecDeque<usize>| {
            while list.front().is_some_and(|&at| !is_free(at)) {
                list.pop_front();
            }
            list.front().copied()
        };
        let named = self.by_name.get_mut(&*came.node.decoded());
        let named = named.and_then(
            |[all, nameless]| {
                if id.is_some() { first(nameless) } else { first(all) }
            },
        );
        if self.counts == Counts::WhatWas || id.is_some() {
            return named;
        }
        let lines = self.by_line.get_or_insert_with(|| {
            let mut lines: HashMap<Vec<u8>, VecDeque<usize>> = HashMap::new();
            for (at, node) in nodes.iter().enumerate().take(self.count) {
                if is_free(at) {
                    lines.entry(line_of(node)).or_default().push_back(at);
                }
            }
            lines
        });
        let alike = lines.get_mut(&line_of(came)).and_then(first);
        named.into_iter().chain(alike).min()
    }

    /// Notes that a node was met, and what it is called by now.
    fn meet(&mut self, at: usize, node: &NodeRun<'_>) {
        if let Some(is_met) = self.is_met.get_mut(at) {
            *is_met = true;
        }
        if let Some(id) = id_of(node) {
            let first = self.by_id.entry(id.to_owned()).or_insert(at);
            *first = at.min(*first);
        }
    }
}

fn line_of(node: &NodeRun<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    canonical::write_node(node, &mut line);
    line
}

fn id_of<'n>(node: &'n NodeRun<'_>) -> Option<&'n str> {
    let name = |text: &Text<'_>| NODE_IDS.contains(&&*text.decoded());
    node.metadata.iter().find(|(key, _)| name(key)).map(|(_, value)| value.as_str())
}

fn put_node<'a>(node: &mut NodeRun<'a>, came: NodeRun<'a>, counts: Counts) {
    // A node that has ended does not run again in its place.
    let counts = if node.status == RunStatus::Running { Counts::WhatCame } else { counts };
    if counts == Counts::WhatCame && came.status != RunStatus::Running {
        node.status = came.status;
    }
    let was_known = node.kind != NodeKind::Other;
    if came.kind != NodeKind::Other && (counts == Counts::WhatCame || !was_known) {
        node.kind = came.kind;
    }
    put(&mut node.parent, came.parent, counts);
    put(&mut node.model, came.model, counts);
    put(&mut node.prompt, came.prompt, counts);
    put(&mut node.variables, came.variables, counts);
    put(&mut node.input, came.input, counts);
    put(&mut node.output, came.output, counts);
    put(&mut node.error, came.error, counts);
    put(&mut node.started_at, came.started_at, counts);
    put(&mut node.finished_at, came.finished_at, counts);
    put(&mut node.usage.input_tokens, came.usage.input_tokens, counts);
    put(&mut node.usage.output_tokens, came.usage.output_tokens, counts);
    put(&mut node.cost_usd, came.cost_usd, counts);
    put_fields(&mut node.metadata, came.metadata, counts);
    put_feedback(&mut node.feedback, came.feedback);
    put(&mut node.ground_truth, came.ground_truth, Counts::WhatCame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::Judging;
    use retort_json::RawJson;

    /// A run, by the fields of its line.
    fn run(fields: &str) -> Run<'static> {
        let line = format!(
            "{{\"retort_run\":1,\"request_id\":\"r\",\"source\":\"copilot\",\"source_id\":\"c\",{fields}}}"
        );
        canonical::read_run(Box::leak(line.into_boxed_str())).unwrap()
    }

    fn check(was: &str, came: &str, again: Again, is: &str) {
        let mut known = run(was);
        assert_eq!(known.update(run(came), None), again, "{was} + {came}");
        assert_eq!(known, run(is), "{was} + {came}");
        // The same once more says nothing new.
        let told = known.clone();
        assert_ne!(known.update(run(came), None), Again::Changed, "{was} + {came} + {came}");
        assert_eq!(known, told);
    }

    #[test]
    fn a_run_that_runs_takes_what_comes_later() {
        check(
            r#""question":"q","status":"running","nodes":[{"node":"a","status":"running","input":1}]"#,
            r#""answer":"x","status":"success","nodes":[{"node":"a","status":"success","output":2},{"node":"b","status":"success","parent":0}]"#,
            Again::Changed,
            r#""question":"q","answer":"x","status":"success","nodes":[{"node":"a","status":"success","input":1,"output":2},{"node":"b","parent":0,"status":"success"}]"#,
        );
        check(
            r#""status":"running","metadata":{"a":1,"b":1}"#,
            r#""status":"running","metadata":{"b":2,"c":3}"#,
            Again::Changed,
            r#""status":"running","metadata":{"a":1,"b":2,"c":3}"#,
        );
    }

    #[test]
    fn a_run_that_has_ended_does_not_run_again() {
        let ended = r#""answer":"x","status":"failure","finished_at":"2024-01-01T00:00:05Z""#;
        check(ended, r#""status":"running","answer":"y""#, Again::Older, ended);
        let earlier = r#""status":"success","answer":"y","finished_at":"2024-01-01T00:00:04Z""#;
        check(ended, earlier, Again::Older, ended);
        let later = r#""status":"success","answer":"y","finished_at":"2024-01-01T00:00:06Z""#;
        check(ended, later, Again::Changed, later);
        check(
            ended,
            r#""status":"success","answer":"y","question":"q""#,
            Again::Changed,
            r#""question":"q","answer":"x","status":"failure","finished_at":"2024-01-01T00:00:05Z""#,
        );
    }

    #[test]
    fn an_end_in_the_future_keeps_nothing_out() {
        let latest = Time::parse("2024-06-01").ok();
        let ended =
            |at: &str| run(&format!(r#""status":"success","answer":"{at}","finished_at":"{at}""#));
        let (forged, real) = ("2999-01-01T00:00:00Z", "2024-05-01T00:00:00Z");
        let mut known = ended(forged);
        assert_eq!(known.update(ended(real), latest), Again::Changed);
        assert_eq!(known.answer, Some(real.into()));
        known.update(ended(forged), latest);
        assert_eq!(known.answer, Some(real.into()));
    }

    #[test]
    fn what_is_thought_of_a_run_may_come_at_any_time_and_says_nothing_of_its_end() {
        let thought = r#""status":"success","feedback":{"rating":1},"ground_truth":"z""#;
        check(
            r#""status":"running","question":"q""#,
            thought,
            Again::Changed,
            r#""question":"q","status":"running","feedback":{"rating":1},"ground_truth":"z""#,
        );
        check(
            r#""status":"failure","error":"e","feedback":{"rating":0,"comment":"no"}"#,
            thought,
            Again::Changed,
            r#""error":"e","status":"failure","feedback":{"rating":1,"comment":"no"},"ground_truth":"z""#,
        );
    }

    #[test]
    fn what_people_said_stays_when_the_run_is_told_of_again() {
        let judged = |source: &str| {
            let mut run = run(source);
            let says = Judging { rating: Some(RawJson::owned("false").ok()), ..Judging::default() };
            let at = Time::parse("2026-01-01").unwrap();
            assert!(run.judge("ann", at, &says));
            assert!(run.correct(("ann", at), Some("better")));
            run
        };
        let mut known = judged(r#""status":"running","question":"q""#);
        assert_eq!(known.ground_truth, Some("better".into()));
        let ended = r#""status":"success","question":"q","answer":"x","feedback":{"rating":1,"comment":"c"}"#;
        assert_eq!(known.update(run(ended), None), Again::Changed);
        assert_eq!(known, judged(ended));
        assert_eq!(known.update(run(ended), None), Again::Same);
        // A copy of it, with what another said.
        let mut copy = judged(ended);
        let label = Judging { label: Some(Some("tone".into())), ..Judging::default() };
        assert!(copy.judge("bob", Time::parse("2026-01-02").unwrap(), &label));
        assert_eq!(known.update(copy.clone(), None), Again::Changed);
        assert_eq!(known, copy);
        let feedback = known.feedback.as_deref().unwrap();
        assert_eq!(
            (feedback.rating.as_ref().unwrap().as_str(), &feedback.label),
            ("false", &Some("tone".into()))
        );
        assert!(known.forget_judge("ann") && known.forget_judge("bob"));
        assert_eq!(known, run(ended));
    }

    #[test]
    fn nodes_are_known_by_id_by_position_and_by_name() {
        check(
            r#""status":"running","nodes":[{"node":"a","status":"success","metadata":{"id":"1"}},{"node":"a","status":"running","metadata":{"id":"2"}}]"#,
            r#""status":"running","nodes":[{"node":"a","status":"success","output":2,"metadata":{"id":"2"}},{"node":"a","status":"success","output":3,"metadata":{"id":"3"}}]"#,
            Again::Changed,
            r#""status":"running","nodes":[{"node":"a","status":"success","metadata":{"id":"1"}},{"node":"a","status":"success","output":2,"metadata":{"id":"2"}},{"node":"a","status":"success","output":3,"metadata":{"id":"3"}}]"#,
        );
        // A node alone, where others came before.
        check(
            r#""status":"running","nodes":[{"node":"a","status":"success"},{"node":"b","status":"running"}]"#,
            r#""status":"success","nodes":[{"node":"b","status":"failure","error":"e"}]"#,
            Again::Changed,
            r#""status":"success","nodes":[{"node":"a","status":"success"},{"node":"b","status":"failure","error":"e"}]"#,
        );
        // One that runs once more.
        check(
            r#""status":"running","nodes":[{"node":"a","status":"success","output":1},{"node":"b","status":"success"}]"#,
            r#""status":"running","nodes":[{"node":"b","status":"success","output":2}]"#,
            Again::Changed,
            r#""status":"running","nodes":[{"node":"a","status":"success","output":1},{"node":"b","status":"success"},{"node":"b","status":"success","output":2}]"#,
        );
    }
}
