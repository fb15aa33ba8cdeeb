//! Spans of traces, whatever system wrote them, made into runs. A trace is a run whose nodes are its spans, each behind the
//! span that it ran inside and the others in the order in which they began.

use std::collections::HashMap;

use retort_json::{RawJson, Text};
use retort_model::{
    Feedback, Fields, Message, NodeKind, NodeRun, Role, Run, RunSource, RunStatus, Time,
};

use super::fields;
use super::otlp_names::{PARENT_ID, SPAN_ID, UNNAMED};

/// One span.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub(super) id: String,
    /// The span that it ran inside; empty at the top.
    pub(super) parent: String,
    /// What is kept of it in the run.
    pub(super) node: NodeRun<'static>,
    /// What was asked of a model or an agent; none where that was not understood.
    pub(super) asked: Option<Vec<Message<'static>>>,
    /// What it answered.
    pub(super) answered: Option<Vec<Message<'static>>>,
    /// Definitions of the tools offered.
    pub(super) tools: Vec<RawJson<'static>>,
    pub(super) agent: Option<String>,
    /// Id of the call that the span of a tool answers.
    pub(super) call_id: Option<String>,
    /// Passages that were retrieved.
    pub(super) documents: Vec<RawJson<'static>>,
}

/// What was thought of a trace or of one of its spans.
#[derive(Clone, Debug, Default)]
pub(super) struct Score {
    /// The span that it is about; none if that is the whole trace.
    pub(super) span: Option<String>,
    pub(super) feedback: Feedback<'static>,
    pub(super) raw: Option<RawJson<'static>>,
}

/// A trace while it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) id: String,
    pub(super) spans: Vec<Span>,
    pub(super) name: Option<String>,
    /// What was traced, under an id that all of its spans say.
    pub(super) application: Option<String>,
    pub(super) version: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) session: Option<String>,
    pub(super) user: Option<String>,
    pub(super) project: Option<String>,
    pub(super) input: Option<RawJson<'static>>,
    pub(super) output: Option<RawJson<'static>>,
    pub(super) ground_truth: Option<RawJson<'static>>,
    pub(super) started_at: Option<Time>,
    pub(super) finished_at: Option<Time>,
    /// Why it failed, where its source says that of the trace itself.
    pub(super) error: Option<String>,
    pub(super) tags: Vec<Text<'static>>,
    pub(super) scores: Vec<Score>,
    pub(super) metadata: Fields<'static>,
}

impl Trace {
    /// Puts the spans in order: each once, behind its parent, and those of one parent by when they began.
    pub(super) fn settle(&mut self) {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut spans: Vec<Span> = Vec::with_capacity(self.spans.len());
        for span in self.spans.drain(..) {
            match places.get(&span.id).filter(|_| !span.id.is_empty()) {
                Some(&place) => {
                    if let Some(known) = spans.get_mut(place) {
                        known.complete(span);
                    }
                }
                None => {
                    places.insert(span.id.clone(), spans.len());
                    spans.push(span);
                }
            }
        }
        let parents: Vec<Option<usize>> = spans
            .iter()
            .enumerate()
            .map(|(at, span)| {
                let parent = (!span.parent.is_empty()).then(|| places.get(&span.parent)).flatten();
                parent.copied().filter(|parent| *parent != at)
            })
            .collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut tops = Vec::new();
        for (at, parent) in parents.iter().enumerate() {
            match parent.and_then(|parent| children.get_mut(parent)) {
                Some(children) => children.push(at),
                None => tops.push(at),
            }
        }
        let start = |at: &usize| {
            let span = spans.get(*at);
            // What does not say when it began follows those that do.
            span.and_then(|span| span.node.started_at).map_or(i64::MAX, Time::unix_micros)
        };
        tops.sort_by_key(start);
        for children in &mut children {
            children.sort_by_key(start);
        }
        let mut order: Vec<(usize, Option<usize>)> = Vec::with_capacity(spans.len());
        let mut is_placed = vec![false; spans.len()];
        let mut waiting: Vec<(usize, Option<usize>)> =
            tops.into_iter().rev().map(|at| (at, None)).collect();
        let mut next = 0;
        loop {
            while let Some((at, parent)) = waiting.pop() {
                let Some(placed @ false) = is_placed.get_mut(at) else { continue };
                *placed = true;
                let place = order.len();
                order.push((at, parent));
                let below = children.get(at).into_iter().flatten().rev();
                waiting.extend(below.map(|child| (*child, Some(place))));
            }
            // Spans that are inside one another in a circle are cut where the first of them was read.
            match (next..spans.len()).find(|&at| is_placed.get(at) == Some(&false)) {
                None => break,
                Some(at) => {
                    next = at + 1;
                    waiting.push((at, None));
                }
            }
        }
        let mut taken: Vec<Option<Span>> = spans.into_iter().map(Some).collect();
        for (at, parent) in order {
            let Some(mut span) = taken.get_mut(at).and_then(Option::take) else { continue };
            span.node.parent = parent;
            self.spans.push(span);
        }
    }

    /// The session's id, else the trace's own.
    pub(super) fn conversation_id(&self) -> &str {
        self.session.as_deref().unwrap_or(&self.id)
    }

    /// Whether any of its spans says what was asked or answered.
    pub(super) fn has_messages(&self) -> bool {
        self.spans.iter().any(Span::speaks)
    }

    /// When the first of its spans began, in microseconds since 1970.
    pub(super) fn begins(&self) -> i64 {
        let starts = self.spans.iter().filter_map(|span| span.node.started_at);
        let start = starts.chain(self.started_at).map(Time::unix_micros).min();
        start.unwrap_or(i64::MAX)
    }

    /// The run. The spans are in order ([`Trace::settle`]).
    pub(super) fn into_run(self) -> Run<'static> {
        let tools = self.tools_above();
        let is_main = |at: &usize| tools.get(*at).is_some_and(Option::is_none);
        let main: Vec<usize> = self.carriers().into_iter().filter(is_main).collect();
        let root = self.spans.first().filter(|_| self.spans.iter().skip(1).all(Span::is_inside));
        let input = self.input.clone().or_else(|| root?.node.input.clone());
        let output = self.output.clone().or_else(|| root?.node.output.clone());
        let asked = main.first().and_then(|&at| self.spans.get(at)?.asked.as_ref());
        let question = input.as_ref().and_then(plain_text).or_else(|| {
            let asked = asked?.iter().rev().find(|message| message.role == Role::User)?;
            Some(asked.words().into_owned()).filter(|words| !words.is_blank())
        });
        let question = question.or_else(|| text_under(input.as_ref()?, &ASKED));
        let answered = main.iter().rev().filter_map(|&at| self.spans.get(at)?.answered.as_ref());
        let answer = output.as_ref().and_then(plain_text).or_else(|| {
            let words = answered.flat_map(|messages| messages.iter().rev());
            words.map(Message::words).find(|words| !words.is_blank()).map(Text::into_owned)
        });
        let answer = answer.or_else(|| text_under(output.as_ref()?, &ANSWERED));
        let tops = self.spans.iter().filter(|span| span.node.parent.is_none());
        let status = root.or_else(|| tops.clone().next_back()).map(|span| span.node.status);
        let error = root.or_else(|| tops.clone().next_back()).and_then(|span| {
            (span.node.status == RunStatus::Failure).then(|| span.node.error.clone()).flatten()
        });
        let error = error.or_else(|| {
            // The root says that it failed; a span below it says why.
            let failed = status == Some(RunStatus::Failure);
            let mut errors = self.spans.iter().filter_map(|span| span.node.error.clone());
            failed.then(|| errors.next_back()).flatten()
        });
        let told = self.error.map(Text::from);
        let status = status.or_else(|| told.is_some().then_some(RunStatus::Failure));
        let error = error.or(told);
        let started = self.spans.iter().filter_map(|span| span.node.started_at).min();
        let started_at = root.and_then(|root| root.node.started_at).or(started);
        let finished_at = match root {
            Some(root) => root.node.finished_at,
            None => self.spans.iter().filter_map(|span| span.node.finished_at).max(),
        };
        let finished_at = finished_at.or(self.finished_at);
        let name = self.name.clone().or_else(|| Some(root?.node.node.decoded().into_owned()));
        let mut metadata = Fields::new();
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            metadata.put("name".into(), RawJson::string(&name));
        }
        if let Some(environment) = &self.environment {
            metadata.put("environment".into(), RawJson::string(environment));
        }
        if !self.tags.is_empty() {
            let tags: Vec<_> =
                self.tags.iter().map(|tag| RawJson::string(&tag.decoded())).collect();
            metadata.put("tags".into(), RawJson::array(&tags));
        }
        let raws: Vec<_> = self.scores.iter().filter_map(|score| score.raw.clone()).collect();
        if !raws.is_empty() {
            metadata.put("scores".into(), RawJson::array(&raws));
        }
        metadata.extend(self.metadata);
        let contexts = self.spans.iter().flat_map(|span| span.documents.iter().cloned()).collect();
        let feedback = self.scores.iter().find(|score| score.span.is_none());
        let mut run = Run {
            request_id: self.id.into(),
            project: self.project.map(Text::from),
            owner: self.user.map(Text::from),
            source: RunSource::Application,
            source_id: self.application.clone().unwrap_or_else(|| UNNAMED.into()).into(),
            source_name: self.application.map(Text::from),
            version: self.version.map(Text::from),
            thread: self.session.map(Text::from),
            inputs: input.filter(|input| plain_text(input).is_none()),
            question,
            answer,
            error,
            status: status.unwrap_or_default(),
            contexts,
            feedback: feedback.map(|score| Box::new(score.feedback.clone())),
            ground_truth: self.ground_truth.as_ref().and_then(fields::words),
            started_at: started_at.or(self.started_at),
            finished_at,
            metadata,
            ..Run::default()
        };
        let mut scored: HashMap<&str, &Feedback<'static>> = HashMap::new();
        for score in self.scores.iter().rev() {
            if let Some(span) = &score.span {
                scored.insert(span, &score.feedback);
            }
        }
        run.nodes = self
            .spans
            .into_iter()
            .map(|span| {
                let mut node = span.node;
                if let Some(feedback) = scored.get(span.id.as_str()) {
                    node.feedback = Some(Box::new((*feedback).clone()));
                }
                let mut ids = Fields::new();
                for (key, id) in [(SPAN_ID, &span.id), (PARENT_ID, &span.parent)] {
                    if !id.is_empty() {
                        ids.put(key.into(), RawJson::string(id));
                    }
                }
                ids.extend(std::mem::take(&mut node.metadata));
                NodeRun { metadata: ids, ..node }
            })
            .collect();
        run
    }

    /// The spans that carry the conversation, in the order in which they began.
    pub(super) fn carriers(&self) -> Vec<usize> {
        let speaks = |at: &usize, kind: NodeKind| {
            let span = self.spans.get(*at);
            span.is_some_and(|span| span.node.kind == kind && span.speaks())
        };
        let mut is_above = vec![false; self.spans.len()];
        let calls: Vec<usize> =
            (0..self.spans.len()).filter(|at| speaks(at, NodeKind::ModelCall)).collect();
        for &call in &calls {
            for above in self.above(call) {
                match is_above.get_mut(above) {
                    Some(is_above @ false) => *is_above = true,
                    _ => break,
                }
            }
        }
        let mut carriers: Vec<usize> =
            calls.into_iter().filter(|&at| is_above.get(at) == Some(&false)).collect();
        if carriers.is_empty() {
            let is_agent: Vec<bool> =
                (0..self.spans.len()).map(|at| speaks(&at, NodeKind::Agent)).collect();
            let inside = self.nearest_above(&is_agent);
            carriers = (0..self.spans.len())
                .filter(|&at| {
                    is_agent.get(at) == Some(&true) && inside.get(at).is_some_and(Option::is_none)
                })
                .collect();
        }
        carriers.sort_by_key(|&at| {
            let start = self.spans.get(at).and_then(|span| span.node.started_at);
            start.map_or(i64::MAX, Time::unix_micros)
        });
        carriers
    }

    /// The spans that one ran inside, from the innermost.
    fn above(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parent_of(at), |&at| self.parent_of(at))
    }

    fn parent_of(&self, at: usize) -> Option<usize> {
        self.spans.get(at)?.node.parent
    }

    /// Of each span, the tool inside which it ran.
    pub(super) fn tools_above(&self) -> Vec<Option<usize>> {
        let is_tool: Vec<bool> =
            self.spans.iter().map(|span| span.node.kind == NodeKind::Tool).collect();
        self.nearest_above(&is_tool)
    }

    /// Of each span, the innermost of those that it ran inside for which this holds. Parents are before what is in them.
    fn nearest_above(&self, holds: &[bool]) -> Vec<Option<usize>> {
        let mut nearest: Vec<Option<usize>> = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            let above = span.node.parent.and_then(|parent| {
                if holds.get(parent) == Some(&true) {
                    Some(parent)
                } else {
                    *nearest.get(parent)?
                }
            });
            nearest.push(above);
        }
        nearest
    }
}

impl Span {
    fn speaks(&self) -> bool {
        let some = |messages: &Option<Vec<_>>| messages.as_ref().is_some_and(|all| !all.is_empty());
        some(&self.asked) || some(&self.answered)
    }

    fn is_inside(&self) -> bool {
        self.node.parent.is_some()
    }

    /// Takes up what is said of the same span again: what is given later counts.
    fn complete(&mut self, later: Self) {
        fn put<T>(slot: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *slot = later;
            }
        }
        let (node, came) = (&mut self.node, later.node);
        if !later.parent.is_empty() {
            self.parent = later.parent;
        }
        if !came.node.is_empty() {
            node.node = came.node;
        }
        if came.kind != NodeKind::Other {
            node.kind = came.kind;
        }
        if node.status == RunStatus::Running || came.status != RunStatus::Running {
            node.status = came.status;
        }
        put(&mut node.model, came.model);
        put(&mut node.prompt, came.prompt);
        put(&mut node.variables, came.variables);
        put(&mut node.input, came.input);
        put(&mut node.output, came.output);
        put(&mut node.error, came.error);
        put(&mut node.started_at, came.started_at);
        put(&mut node.finished_at, came.finished_at);
        put(&mut node.usage.input_tokens, came.usage.input_tokens);
        put(&mut node.usage.output_tokens, came.usage.output_tokens);
        put(&mut node.cost_usd, came.cost_usd);
        node.metadata.extend(came.metadata);
        put(&mut self.asked, later.asked);
        put(&mut self.answered, later.answered);
        put(&mut self.agent, later.agent);
        put(&mut self.call_id, later.call_id);
        if !later.tools.is_empty() {
            self.tools = later.tools;
        }
        if !later.documents.is_empty() {
            self.documents = later.documents;
        }
    }
}

/// Under what inputs and outputs say their text.
const ASKED: [&str; 8] =
    ["question", "query", "prompt", "input", "message", "text", "user_input", "topic"];
const ANSWERED: [&str; 9] =
    ["answer", "output", "response", "result", "text", "content", "completion", "message", "reply"];

/// A text that is not the text of an object or a list.
pub(super) fn plain_text(raw: &RawJson<'_>) -> Option<Text<'static>> {
    let text = raw.as_text()?;
    let is_plain = !text.trim().is_empty() && fields::json_within(raw).is_none();
    // A JSON string inside a string is what it says.
    let inner = RawJson::parse(text.trim()).ok().and_then(|raw| raw.as_text());
    is_plain.then(|| inner.unwrap_or(text).into())
}

fn text_under(raw: &RawJson<'_>, names: &[&str]) -> Option<Text<'static>> {
    let mut map = fields::map_within(raw)?;
    map.take(names, plain_text).map(Text::into_owned)
}
