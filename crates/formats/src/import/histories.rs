//! The model calls of traces, made into a conversation: that of a session, or that of a trace without a session. Which spans
//! carry it is decided in one way for all systems:
//!
//! 1. Model calls do, if they record a question or an answer. Of nested calls (an SDK's, and the gateway's or
//!    the provider's below it) only the innermost does. In a trace without any, the outermost agents with messages do.
//! 2. Calls are taken in the order in which they began. Messages that a call repeats are not added again; what
//!    follows a message that was answered before in another way is a branch of it. Where histories are shortened, the
//!    call continues after the last message that both have.
//! 3. Two calls belong to one history if they share a beginning under the same instructions, or any answer. A call that
//!    shares nothing continues its session if it is from another trace and has the same instructions; otherwise it
//!    begins a history of its own.
//! 4. Calls inside a tool are a sub-agent's: a task of the conversation, under the call of that tool. The longest of the
//!    other histories is the conversation, and the rest are tasks, too.
//! 5. A result that no later call repeats is taken from the span of its tool.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use retort_json::{RawJson, Text, Value};
use retort_model::{
    Content, Conversation, Kind, Message, NodeKind, NotUnderstood, Role, Round, RunStatus, Task,
    Time, ToolCall,
};

use super::fields;
use super::format::Items;
use super::spans::{Span, Trace};
use super::tree::{Links, Tree};

impl Trace {
    /// The run, and the conversation of a trace without a session.
    pub(super) fn into_items(mut self) -> Items<'static> {
        self.settle();
        let mut items = Items::default();
        let conversation =
            if self.session.is_none() { converse(std::slice::from_ref(&self)) } else { None };
        items.push(self.into_run());
        if let Some(conversation) = conversation {
            items.push(conversation);
        }
        items
    }
}

/// The conversation of the traces of a session, or of one trace; none if nothing was said in it.
pub(super) fn converse(traces: &[Trace]) -> Option<Conversation<'static>> {
    let mut order: Vec<&Trace> = traces.iter().collect();
    order.sort_by_key(|trace| trace.begins());
    let traced: Vec<Traced<'_>> = order.iter().map(|trace| Traced::of(trace)).collect();
    let mut histories = Histories::default();
    for (place, traced) in traced.iter().enumerate() {
        let tools = traced.trace.tools_above();
        for at in traced.trace.carriers() {
            let Some(span) = traced.trace.spans.get(at) else { continue };
            let tool = tools.get(at).copied().flatten();
            histories.follow(&Call { traced, place, span, tool });
        }
    }
    let mut histories = histories.all;
    for history in &mut histories {
        history.settle_calls(None);
    }
    let main = (0..histories.len())
        .filter(|&at| histories.get(at).is_some_and(|history| history.tool.is_none()))
        .max_by_key(|&at| histories.get(at).map_or(0, |history| history.entries.len()));
    let main = histories.remove(main.or_else(|| (!histories.is_empty()).then_some(0))?);
    let first = order.first()?;
    let spans = || order.iter().flat_map(|trace| &trace.spans);
    let is_agent = spans().any(|span| {
        matches!(span.node.kind, NodeKind::Agent | NodeKind::Tool) || !span.tools.is_empty()
    });
    let mut conversation = Conversation {
        id: first.conversation_id().to_owned().into(),
        project: order.iter().find_map(|trace| trace.project.clone()).map(Text::from),
        owner: order.iter().find_map(|trace| trace.user.clone()).map(Text::from),
        kind: if is_agent { Kind::Agent } else { Kind::Chat },
        title: first.name.clone().map(Text::from),
        tags: first.tags.clone(),
        created_at: spans().filter_map(|span| span.node.started_at).min(),
        updated_at: spans().filter_map(|span| span.node.finished_at).max(),
        ..Conversation::default()
    };
    conversation.tasks = histories
        .into_iter()
        .zip(1..)
        .map(|(history, number)| {
            let tool = history.tool.and_then(|(place, at)| order.get(place)?.spans.get(at));
            let agent =
                history.agent.clone().or_else(|| Some(tool?.node.node.decoded().into_owned()));
            Task {
                id: tool.map_or_else(|| number.to_string(), |tool| tool.id.clone()).into(),
                agent: agent.map(Text::from),
                tool_call_id: tool.and_then(|tool| tool.call_id.clone()).map(Text::from),
                rounds: history.into_rounds().0,
                ..Task::default()
            }
        })
        .collect();
    (conversation.rounds, conversation.current) = main.into_rounds();
    let ids: Vec<_> = order.iter().map(|trace| RawJson::string(&trace.id)).collect();
    conversation.metadata.put("trace_ids".into(), RawJson::array(&ids));
    if let Some(environment) = &first.environment {
        conversation.metadata.put("environment".into(), RawJson::string(environment));
    }
    unread(&order, &mut conversation);
    Some(conversation)
}

/// Records the model calls of which neither the question nor the answer could be read.
fn unread(traces: &[&Trace], conversation: &mut Conversation<'static>) {
    for span in traces.iter().flat_map(|trace| &trace.spans) {
        let is_call = span.node.kind == NodeKind::ModelCall;
        for (what, raw, read) in [
            ("input", &span.node.input, span.asked.is_some()),
            ("output", &span.node.output, span.answered.is_some()),
        ] {
            if let Some(raw) = raw
                && is_call
                && !read
                && conversation.not_understood.len() < retort_model::bounds::NOT_UNDERSTOOD
            {
                let path = format!("spans[{}].{what}", super::unplaced::short(&span.id));
                conversation.not_understood.push(NotUnderstood { path, raw: raw.clone() });
            }
        }
    }
}

/// A trace with its tools, as calls without a result look for them.
struct Traced<'t> {
    trace: &'t Trace,
    /// Positions of the tools that answer a call, by its id.
    by_call: HashMap<&'t str, Vec<usize>>,
    /// Positions of all tools, by when they began.
    by_start: Vec<(Option<Time>, usize)>,
}

impl<'t> Traced<'t> {
    fn of(trace: &'t Trace) -> Self {
        let mut by_call: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_start = Vec::new();
        for (at, span) in trace.spans.iter().enumerate() {
            if span.node.kind != NodeKind::Tool {
                continue;
            }
            if let Some(id) = &span.call_id {
                by_call.entry(id).or_default().push(at);
            }
            by_start.push((span.node.started_at, at));
        }
        by_start.sort_unstable();
        Self { trace, by_call, by_start }
    }

    /// The tool that answers a call of a span, and began before some moment, among those that are not used.
    fn tool_of(
        &self,
        call: &ToolCall<'_>,
        span: &Span,
        before: Option<Time>,
        used: &HashSet<usize>,
    ) -> Option<(usize, &'t Span)> {
        let named = self.by_call.get(&*call.id.decoded()).filter(|_| !call.id.is_empty());
        if let Some(&at) = named.into_iter().flatten().find(|at| !used.contains(at)) {
            return Some((at, self.trace.spans.get(at)?));
        }
        let from = self.by_start.partition_point(|(start, _)| *start < span.node.started_at);
        let in_time = self.by_start.iter().skip(from).take(TOOLS_LOOKED_AT);
        let in_time =
            in_time.take_while(|(start, _)| before.is_none_or(|before| *start < Some(before)));
        let mut tools = in_time.filter_map(|(_, at)| Some((*at, self.trace.spans.get(*at)?)));
        tools.find(|(at, tool)| {
            let is_named = tool.call_id.is_some() && !call.id.is_empty();
            !is_named
                && !used.contains(at)
                && tool.node.node.decoded().contains(&*call.name.decoded())
        })
    }
}

/// How many tools are considered for a call that they do not name: the first that began after it.
const TOOLS_LOOKED_AT: usize = 1000;

/// Messages in which calls without a result are looked for: those at the end of a history. Models call fewer at once.
const OPEN_ENTRIES: usize = 1000;

/// The most histories that a call is compared with. They share its first message or end with one of its messages; the
/// latest come first.
const COMPARED: usize = 100;

/// A model call of a conversation.
struct Call<'t> {
    traced: &'t Traced<'t>,
    /// Position of the trace among those of the session.
    place: usize,
    span: &'t Span,
    /// Position of the tool's span that it ran inside.
    tool: Option<usize>,
}

/// The tool inside which a history was, as trace and span.
type Within = Option<(usize, usize)>;

/// The histories of a session, with what finds those that a call may go on with by what it shares with them: a trace may
/// have any number of calls that share nothing.
#[derive(Default)]
struct Histories<'t> {
    all: Vec<History<'t>>,
    /// By the key of a first message.
    by_first: HashMap<(Within, u64), Vec<usize>>,
    /// By the key of a message that was the last one. It may not be any more.
    by_last: HashMap<(Within, u64), Vec<usize>>,
    /// By their instructions.
    by_system: HashMap<(Within, u64), BTreeSet<usize>>,
    latest: HashMap<Within, usize>,
    /// Those that no call of the trace at hand went on with, and the same by their instructions.
    older: BTreeSet<usize>,
    older_by_system: HashMap<u64, BTreeSet<usize>>,
    /// The others.
    current: Vec<usize>,
    place: usize,
}

impl<'t> Histories<'t> {
    fn follow(&mut self, call: &Call<'t>) {
        if self.place != call.place {
            self.place = call.place;
            for at in std::mem::take(&mut self.current) {
                let system = self.all.get(at).map_or(0, |history| system_key(&history.system));
                self.older.insert(at);
                self.older_by_system.entry(system).or_default().insert(at);
            }
        }
        let asked = call.span.asked.as_deref().unwrap_or_default();
        let begins = asked.iter().take_while(|message| message.role == Role::System).count();
        let (system, asked) = asked.split_at(begins);
        let keys: Vec<u64> = asked.iter().map(key_of).collect();
        let tool = call.tool.map(|at| (call.place, at));
        let mut best: Option<(usize, Fit)> = None;
        for at in self.candidates(tool, system, &keys).into_iter().rev() {
            let fit = self.all.get(at).and_then(|one| one.fit(system, asked, &keys, call.place));
            if let Some(fit) = fit
                && best.is_none_or(|(_, best)| best.shared < fit.shared)
            {
                best = Some((at, fit));
            }
        }
        let (at, fit) = best.unwrap_or_else(|| {
            self.all.push(History {
                tool,
                agent: call.span.agent.clone(),
                system: Vec::new(),
                tools: String::new(),
                entries: Vec::new(),
                by_parent: HashMap::new(),
                leaf: None,
                place: call.place,
            });
            (self.all.len() - 1, Fit { shared: 0, at: None, skip: 0 })
        });
        let Some(history) = self.all.get_mut(at) else { return };
        let (before, entries) = (system_key(&history.system), history.entries.len());
        history.add(call, system, asked, &keys, fit);
        for entry in history.entries.iter().skip(entries).filter(|one| one.parent.is_none()) {
            self.by_first.entry((tool, entry.key)).or_default().push(at);
        }
        if let Some(last) = history.leaf.and_then(|leaf| history.entries.get(leaf)) {
            self.by_last.entry((tool, last.key)).or_default().push(at);
        }
        let after = system_key(&history.system);
        if before != after
            && let Some(some) = self.by_system.get_mut(&(tool, before))
        {
            some.remove(&at);
        }
        self.by_system.entry((tool, after)).or_default().insert(at);
        let latest = self.latest.entry(tool).or_default();
        *latest = at.max(*latest);
        if self.older.remove(&at)
            && let Some(some) = self.older_by_system.get_mut(&before)
        {
            some.remove(&at);
        }
        if tool.is_none() && self.current.last() != Some(&at) {
            self.current.push(at);
        }
    }

    /// The histories that a call may go on with, each once.
    fn candidates(&self, tool: Within, system: &[Message<'_>], keys: &[u64]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let under = |key: u64| self.by_system.get(&(tool, key)).and_then(|some| some.last());
        if keys.is_empty() {
            let latest = if system.is_empty() { self.latest.get(&tool) } else { None };
            found.extend(latest.or_else(|| under(system_key(system))));
            return found;
        }
        let first = keys.first().and_then(|key| self.by_first.get(&(tool, *key)));
        found.extend(first.into_iter().flatten().rev().take(COMPARED));
        let ends = keys.iter().rev().filter_map(|key| self.by_last.get(&(tool, *key)));
        found.extend(ends.flat_map(|some| some.iter().rev().take(COMPARED)).take(COMPARED));
        if tool.is_none() {
            let older = |key: u64| self.older_by_system.get(&key).and_then(|some| some.last());
            if system.is_empty() {
                found.extend(self.older.last());
            } else {
                found.extend(older(system_key(system)).max(older(system_key(&[]))));
            }
        }
        found
    }
}

/// A key that is equal for instructions with the same text.
fn system_key(system: &[Message<'_>]) -> u64 {
    let mut hash = DefaultHasher::new();
    for message in system {
        message.words().decoded().hash(&mut hash);
    }
    hash.finish()
}

/// Messages of calls that go on with each other: a tree, as some are answered anew.
struct History<'t> {
    tool: Within,
    agent: Option<String>,
    /// The instructions under which it goes on, and whether there were several.
    system: Vec<Message<'static>>,
    tools: String,
    entries: Vec<Entry<'t>>,
    by_parent: HashMap<(Option<usize>, u64), usize>,
    leaf: Option<usize>,
    /// Position of the trace that was last added to it.
    place: usize,
}

/// A message of a history.
struct Entry<'t> {
    parent: Option<usize>,
    key: u64,
    message: Message<'static>,
    /// Instructions that stand before it.
    system: Vec<Message<'static>>,
    /// The call that added it, and whether that was as its answer.
    traced: &'t Traced<'t>,
    span: &'t Span,
    is_answer: bool,
    /// Definitions of tools that were offered from here on.
    tools: Vec<RawJson<'static>>,
}

/// How a call continues a history.
#[derive(Clone, Copy)]
struct Fit {
    /// Messages of the call that the history has.
    shared: usize,
    /// The entry behind which the others go.
    at: Option<usize>,
    /// Messages of the call before those that are added.
    skip: usize,
}

impl<'t> History<'t> {
    fn fit(
        &self,
        system: &[Message<'_>],
        asked: &[Message<'_>],
        keys: &[u64],
        place: usize,
    ) -> Option<Fit> {
        let is_same = system.is_empty() || system_key(system) == system_key(&self.system);
        if asked.is_empty() {
            return is_same.then_some(Fit { shared: 0, at: self.leaf, skip: 0 });
        }
        let (mut at, mut shared, mut has_answer) = (None, 0, false);
        for key in keys {
            let Some(&next) = self.by_parent.get(&(at, *key)) else { break };
            has_answer |= self
                .entries
                .get(next)
                .is_some_and(|entry| matches!(entry.message.role, Role::Assistant | Role::Tool));
            (at, shared) = (Some(next), shared + 1);
        }
        if shared > 0 && (is_same || has_answer) {
            return Some(Fit { shared, at, skip: shared });
        }
        // A history that was shortened: the last message that both have.
        let leaf = self.entries.get(self.leaf?)?;
        let shortened = keys.iter().rposition(|key| *key == leaf.key);
        if let Some(position) = shortened.filter(|_| leaf.message.role != Role::User) {
            return Some(Fit { shared: 1, at: self.leaf, skip: position + 1 });
        }
        let is_other_trace = place != self.place;
        let goes_on = is_other_trace && (is_same || self.system.is_empty()) && self.tool.is_none();
        goes_on.then_some(Fit { shared: 0, at: self.leaf, skip: 0 })
    }

    fn add(
        &mut self,
        call: &Call<'t>,
        system: &[Message<'static>],
        asked: &[Message<'static>],
        keys: &[u64],
        fit: Fit,
    ) {
        let added = asked.iter().zip(keys).skip(fit.skip);
        self.leaf = fit.at;
        if fit.at.is_some() && !asked.iter().skip(fit.skip).any(|one| one.role == Role::Tool) {
            self.settle_calls(Some(call.span.node.started_at).flatten());
        }
        let mut before = Vec::new();
        if !system.is_empty() && self.system != system {
            self.system = system.to_vec();
            before = system.to_vec();
        }
        let mut tools = Vec::new();
        let told: String = call.span.tools.iter().map(|tool| tool.as_str().to_owned()).collect();
        if !call.span.tools.is_empty() && self.tools != told {
            self.tools = told;
            tools.clone_from(&call.span.tools);
        }
        for (message, key) in added {
            let mut message = message.clone();
            message.created_at = message.created_at.or(call.span.node.started_at);
            // New instructions come after the results of the calls under the old ones.
            let is_result = message.role == Role::Tool;
            let system = if is_result { Vec::new() } else { std::mem::take(&mut before) };
            let entry = Entry {
                parent: self.leaf,
                key: *key,
                message,
                system,
                traced: call.traced,
                span: call.span,
                is_answer: false,
                tools: std::mem::take(&mut tools),
            };
            self.push(entry);
        }
        let mut answered = call.span.answered.clone().unwrap_or_default();
        let status = call.span.node.status;
        if answered.is_empty() && status == RunStatus::Failure {
            answered.push(Message { role: Role::Assistant, ..Message::default() });
        }
        // What came out of a call that failed or was stopped is only the beginning of an answer.
        if let Some(last) = answered.iter_mut().rfind(|one| one.role == Role::Assistant) {
            if status == RunStatus::Failure && last.error.is_none() {
                let error = call.span.node.error.clone();
                last.error = Some(error.unwrap_or_else(|| "failed".into()));
            }
            if status == RunStatus::Cancelled && last.finish_reason.is_none() {
                last.finish_reason = Some("interrupted".into());
            }
        }
        for mut message in answered {
            message.created_at = message.created_at.or(call.span.node.finished_at);
            let entry = Entry {
                parent: self.leaf,
                key: key_of(&message),
                message,
                system: std::mem::take(&mut before),
                traced: call.traced,
                span: call.span,
                is_answer: true,
                tools: std::mem::take(&mut tools),
            };
            self.push(entry);
        }
        self.place = call.place;
    }

    /// Adds an entry behind the leaf, unless the same follows it already.
    fn push(&mut self, entry: Entry<'t>) {
        let known = self.by_parent.get(&(entry.parent, entry.key)).copied();
        let at = known.unwrap_or_else(|| {
            self.by_parent.insert((entry.parent, entry.key), self.entries.len());
            self.entries.push(entry);
            self.entries.len() - 1
        });
        self.leaf = Some(at);
    }

    /// Adds the results of the calls at the end, from the spans of the tools that ended before then.
    fn settle_calls(&mut self, before: Option<Time>) {
        let (mut open, mut answered): (Vec<ToolCall<'static>>, HashSet<String>) =
            Default::default();
        let mut at = self.leaf;
        let mut of = None;
        for _ in 0..OPEN_ENTRIES {
            let Some(entry) = at.and_then(|at| self.entries.get(at)) else { break };
            match entry.message.role {
                Role::Tool => {
                    let id = entry.message.tool_call_id.as_ref();
                    answered.extend(id.map(|id| id.decoded().into_owned()));
                }
                Role::Assistant if !entry.message.tool_calls.is_empty() => {
                    open.extend(entry.message.tool_calls.iter().rev().cloned());
                    of = of.or(Some((entry.traced, entry.span)));
                }
                Role::Assistant if open.is_empty() => {}
                _ => break,
            }
            at = entry.parent;
        }
        let Some((traced, span)) = of else { return };
        let mut used: HashSet<usize> = HashSet::new();
        for call in open.into_iter().rev() {
            if answered.contains(&*call.id.decoded()) {
                continue;
            }
            let Some((at, tool)) = traced.tool_of(&call, span, before, &used) else { continue };
            used.insert(at);
            let failed = tool.node.status == RunStatus::Failure;
            let message = Message {
                role: Role::Tool,
                tool_call_id: Some(call.id.clone()).filter(|id| !id.is_empty()),
                name: Some(call.name.clone()),
                content: tool.node.output.as_ref().and_then(result_text).map(Content::Text),
                error: tool.node.error.clone().filter(|_| failed),
                created_at: tool.node.finished_at,
                ..Message::default()
            };
            if message.content.is_none() && message.error.is_none() {
                continue;
            }
            let (system, tools) = (Vec::new(), Vec::new());
            let (parent, key) = (self.leaf, key_of(&message));
            self.push(Entry {
                parent,
                key,
                message,
                system,
                traced,
                span: tool,
                is_answer: false,
                tools,
            });
        }
    }

    /// The rounds, and which is shown.
    fn into_rounds(self) -> (Vec<Round<'static>>, Option<usize>) {
        let links: Vec<_> = self
            .entries
            .iter()
            .enumerate()
            .map(|(at, entry)| Links {
                id: at.to_string().into(),
                parent: entry.parent.map(|parent| parent.to_string().into()),
                children: Vec::new(),
            })
            .collect();
        let current = self.leaf.map(|leaf| Text::from(leaf.to_string()));
        let (mut tree, _) = Tree::of(&links, current.as_ref());
        let mut grown: Vec<Round<'static>> = Vec::new();
        let mut told: HashSet<(usize, &str)> = HashSet::new();
        for at in tree.order() {
            let Some(entry) = self.entries.get(at) else { continue };
            let asks = entry.message.role == Role::User;
            let place = tree.enter(at, asks, !asks);
            grown.resize_with(grown.len().max(place + 1), Round::default);
            let Some(round) = grown.get_mut(place) else { continue };
            round.messages.extend(entry.system.iter().cloned());
            round.messages.push(entry.message.clone());
            if round.tools.is_empty() {
                round.tools.clone_from(&entry.tools);
            }
            if entry.is_answer && told.insert((place, &entry.span.id)) {
                let node = &entry.span.node;
                round.model = node.model.clone().or_else(|| round.model.take());
                round.agent = entry.span.agent.clone().map(Text::from).or(round.agent.take());
                let add = |sum: &mut Option<u64>, more: Option<u64>| {
                    if let Some(more) = more {
                        *sum = Some(sum.unwrap_or(0).saturating_add(more));
                    }
                };
                add(&mut round.usage.input_tokens, node.usage.input_tokens);
                add(&mut round.usage.output_tokens, node.usage.output_tokens);
            }
        }
        let (mut rounds, shown) = tree.rounds();
        for (round, grown) in rounds.iter_mut().zip(grown) {
            let Round { messages, model, agent, usage, tools, .. } = grown;
            *round = Round { messages, model, agent, usage, tools, ..std::mem::take(round) };
        }
        (rounds, shown)
    }
}

/// What a tool gave, as a text.
pub(super) fn result_text(raw: &RawJson<'static>) -> Option<Text<'static>> {
    if raw.is_null() {
        return None;
    }
    fields::words(raw)
}

/// A key that is equal for two copies of one message: its role, text and calls.
fn key_of(message: &Message<'_>) -> u64 {
    let mut hash = DefaultHasher::new();
    message.role.as_str().hash(&mut hash);
    message.words().decoded().trim().hash(&mut hash);
    if let Some(Content::Parts(parts)) = &message.content {
        for raw in
            parts.iter().filter(|part| part.text.is_none()).filter_map(|part| part.raw.as_ref())
        {
            raw.as_str().hash(&mut hash);
        }
    }
    for call in &message.tool_calls {
        call.name.decoded().hash(&mut hash);
        if call.id.is_empty() {
            let arguments = call.arguments.decoded();
            let value = Value::parse(&arguments).map(|value| value.to_json());
            value.unwrap_or_else(|_| arguments.into_owned()).hash(&mut hash);
        } else {
            call.id.decoded().hash(&mut hash);
        }
    }
    message.tool_call_id.as_ref().map(|id| id.decoded()).hash(&mut hash);
    hash.finish()
}
