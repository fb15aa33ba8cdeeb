//! Runs: executions of copilots, webhook recipes and applications, with the nodes that they passed. No system documents the shape of
//! its history, so this is Retort's own (the data format `runs` writes it), read tolerantly: under the names that such
//! systems' interfaces use, with nodes as a list, by name or inside one another, and from trace documents
//! `{data: [{process, details: {prompt: {input, output}}}]}`.

use std::collections::HashMap;

use retort_json::{Kind, RawJson, Text};
use retort_model::bounds::NODE_DEPTH;
use retort_model::{
    Feedback, Fields, FileReference, Judgement, NodeKind, NodeRun, Run, RunSource, RunStatus, Time,
    Usage, canonical,
};

use super::fields::{self, FieldMap, count, id, json, list, object, time, words};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::sniff::Sniff;
use super::unplaced;

/// The format.
pub(super) struct Runs;

const REQUEST_ID: [&str; 2] = ["request_id", "requestId"];
const COPILOT_ID: [&str; 2] = ["copilot_id", "copilotId"];
const RECIPE_ID: [&str; 2] = ["recipe_id", "recipeId"];
const QUESTION: [&str; 4] = ["question", "input_message", "inputMessage", "query"];
const ANSWER: [&str; 5] = ["answer", "response", "final_answer", "output", "result"];
const STATUS: [&str; 5] = ["status", "batch_status", "batchStatus", "run_status", "state"];
const NODES: [&str; 5] = ["nodes", "steps", "spans", "trace", "traces"];
const CHILDREN: [&str; 4] = ["nodes", "children", "steps", "spans"];
const STARTED: [&str; 7] =
    ["started_at", "startedAt", "start_time", "startTime", "created_at", "createdAt", "timestamp"];
const FINISHED: [&str; 8] = [
    "finished_at",
    "finishedAt",
    "completed_at",
    "completedAt",
    "ended_at",
    "endedAt",
    "end_time",
    "endTime",
];
const LATENCY_MS: [&str; 4] = ["latency_ms", "latencyMs", "duration_ms", "durationMs"];
const GROUND_TRUTH: [&str; 5] =
    ["ground_truth", "groundTruth", "expected_output", "expectedOutput", "expected_answer"];

/// Fields that only conversations have, and logs of requests to a model.
const MESSAGES: [&str; 8] = [
    "messages",
    "rounds",
    "conversations",
    "convo",
    "call_type",
    "request_body",
    "response_body",
    "choices",
];

impl ImportFormat for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn about(&self) -> &'static str {
        "runs of copilots and webhook recipes with their nodes, one per line; trace documents"
    }

    fn notes(&self) -> &'static str {
        "Executions of a copilot (`copilot_id`) or a webhook recipe (`recipe_id`), or `source` and `source_id`, by \
         `request_id`. Other fields: `question` (or `input_message`), `inputs`, `answer`, `error`, `status`, `files`, \
         `contexts`, `nodes`, `feedback`, `ground_truth`, `version`, `thread`, `owner`, `started_at` (or \
         `created_at`), `finished_at`. Nodes are in a list, under their names, or nested (`nodes`, `children`); each \
         has `node`, `kind`, `prompt`, `variables`, `input`, `output`, `status`, `error`, times and tokens. \
         `files.documents` and traces `{data: [{process, details: {prompt: {input, output}}}]}` are read, with a run \
         or alone. States such as `completed`, `inProcess` or `error` are understood; other words of the source are \
         kept as metadata. A run is not fully understood if its state is an unknown word, if unknown fields contain \
         messages or passages, or if they contain text and the run has no question, answer or error. Fields under \
         `metadata` are exempt."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| sniff.has(name));
        let is_of_flow = has(&COPILOT_ID) || has(&RECIPE_ID) || has(&["source_id"]);
        let asks = has(&QUESTION) || has(&NODES) || has(&["inputs", "files"]);
        let ends = has(&["answer", "final_answer"]) || has(&STATUS) || has(&GROUND_TRUTH);
        let says = asks || ends || has(&ANSWER) || has(&["error", "data"]);
        let is_run = (has(&REQUEST_ID) && (asks || ends || is_of_flow)) || (is_of_flow && says);
        !has(&MESSAGES) && (is_run || sniff.holds(&["data", "process"]))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let map = FieldMap::item(item, notes)?;
        let is_named = map.has(&REQUEST_ID) || map.has(&COPILOT_ID) || map.has(&RECIPE_ID);
        let says = map.has(&QUESTION) || map.has(&ANSWER) || map.has(&NODES) || map.has(&["data"]);
        if !(is_named || says) || map.has(&MESSAGES) {
            let why = "no `request_id` in the item, nor a question, answer or nodes";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        let run = run(map, notes);
        unplaced_messages(&run.metadata, notes);
        for (at, node) in run.nodes.iter().enumerate() {
            let mark = notes.mark();
            unplaced_messages(&node.metadata, notes);
            notes.under(mark, || format!("nodes[{at}]"));
        }
        Ok(run.into())
    }
}

/// Records fields that hold messages as not understood.
fn unplaced_messages(fields: &Fields<'_>, notes: &mut Notes) {
    for (key, raw) in fields {
        let key = key.decoded();
        if !unplaced::texts_of(&key, raw, false).is_empty() {
            notes.unplaced(unplaced::short(&key), raw);
        }
    }
}

pub(super) fn run<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Run<'a> {
    let nodes = run_nodes(&mut map, notes);
    let mut run = Run {
        request_id: map
            .take_id(&["request_id", "requestId", "run_id", "runId", "id", "_id"])
            .unwrap_or_default(),
        project: map.take_id(&["project", "project_id", "projectId"]),
        owner: map.take_id(&["owner", "user_email", "user_id", "userId", "user", "created_by"]),
        source_name: map.take(
            &["source_name", "copilot_name", "copilotName", "recipe_name", "recipeName"],
            RawJson::text,
        ),
        version: map.take_id(&["version", "recipe_version", "copilot_version", "version_id"]),
        thread: map.take_id(&["thread", "thread_id", "threadId", "session_id", "sessionId"]),
        question: map.take(&QUESTION, words),
        answer: map.take(&ANSWER, words),
        ground_truth: map.take(&GROUND_TRUTH, words),
        error: error(&mut map),
        contexts: map
            .take(&["contexts", "retrieved_contexts", "citations"], list)
            .unwrap_or_default(),
        files: files(&mut map, notes),
        feedback: feedback(&mut map, notes),
        judgements: map.take(&["judgements"], judgements).unwrap_or_default(),
        nodes,
        ..Run::default()
    };
    // What goes in beside the question; a lone text is the question.
    run.inputs = map.take(&["inputs"], json);
    if run.question.is_none() {
        run.question = map.take(&["input", "text", "prompt"], RawJson::text);
    }
    if run.inputs.is_none() {
        run.inputs = map.take(&["input"], json);
    }
    source(&mut map, &mut run);
    (run.started_at, run.finished_at) = times(&mut map);
    run.status = status(&mut map, &STATUS).unwrap_or(match (&run.error, run.answer.is_some()) {
        (Some(_), false) => RunStatus::Failure,
        _ => RunStatus::Success,
    });
    account_for_run(&run, &map, notes);
    map.spread("metadata", notes);
    run.metadata = map.rest();
    run
}

/// Records, as not understood, remaining fields that may hold what the run lacks: the question, the error, passages, the
/// status. Fields under `metadata` are exempt.
fn account_for_run(run: &Run<'_>, map: &FieldMap<'_>, notes: &mut Notes) {
    unplaced_status(map, &STATUS, notes);
    let failed = run.status == RunStatus::Failure && run.error.is_none();
    if run.question.is_none() || run.answer.is_none() || failed {
        notes.unplaced_texts(map.fields());
    }
    if run.contexts.is_empty() {
        for (key, raw) in map.fields() {
            let key = key.decoded();
            // Lists of messages are recorded by `unplaced_messages`.
            let is_said = !unplaced::texts_of(&key, raw, false).is_empty();
            let holds_passages =
                list(raw).is_some_and(|all| !all.is_empty() && all.iter().all(is_passage));
            if holds_passages && !is_said {
                notes.unplaced(unplaced::short(&key), raw);
            }
        }
    }
}

fn is_passage(raw: &RawJson<'_>) -> bool {
    let map = fields::map(raw);
    map.is_some_and(|map| map.has(&["text", "content", "page_content", "chunk"]))
}

/// Records an unknown status as not understood: it does not say whether the run succeeded.
fn unplaced_status(map: &FieldMap<'_>, names: &[&str], notes: &mut Notes) {
    for name in names {
        if let Some(raw) = map.peek(name)
            && let Some(word) = raw.as_text()
            && !word.trim().is_empty()
            && status_of(&plain(&word)).is_none()
        {
            notes.unplaced(format!("{name}={}", unplaced::short(&word)), raw);
        }
    }
}

/// What ran, and its id: said as such, or by whose id it is.
fn source<'a>(map: &mut FieldMap<'a>, run: &mut Run<'a>) {
    let said = map.take(&["source", "source_type"], |raw| match &*plain(&raw.as_text()?) {
        "copilot" | "chat" => Some(RunSource::Copilot),
        "recipe" | "webhook" | "webhookrecipe" => Some(RunSource::Recipe),
        "application" => Some(RunSource::Application),
        _ => None,
    });
    // Retort's rows for evaluators name the recipe alone.
    let names_recipe = map.peek("recipe").and_then(RawJson::text).is_some();
    let is_recipe = (map.has(&RECIPE_ID) || names_recipe) && !map.has(&COPILOT_ID);
    run.source = said.unwrap_or(if is_recipe { RunSource::Recipe } else { RunSource::Copilot });
    let own: &[&str] = match run.source {
        RunSource::Copilot => &["source_id", "copilot_id", "copilotId"],
        RunSource::Recipe => &["source_id", "recipe_id", "recipeId", "recipe"],
        RunSource::Application => &["source_id"],
    };
    run.source_id = map.take_id(own).unwrap_or_default();
}

/// When it began and ended; of a run that says how long it took, the end follows.
fn times(map: &mut FieldMap<'_>) -> (Option<Time>, Option<Time>) {
    let started = map.take(&STARTED, time);
    let finished = map.take(&FINISHED, time).or_else(|| {
        // The number stays with the rest, as the source said it and no end.
        let latency = LATENCY_MS.iter().find_map(|name| map.peek(name).and_then(count))?;
        let micros = i64::try_from(latency.checked_mul(1000)?).ok()?;
        Time::from_unix_micros(started?.unix_micros().checked_add(micros)?)
    });
    (started, finished)
}

/// Letters and digits of a word alone, small.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How something ended. A word that is not one of Retort's stays with the rest, too.
fn status(map: &mut FieldMap<'_>, names: &'static [&'static str]) -> Option<RunStatus> {
    for &name in names {
        let Some(raw) = map.take(&[name], json) else { continue };
        let word = raw.as_text();
        let exact = word.as_deref().and_then(|word| word.parse().ok());
        let meant = exact.or_else(|| status_of(&plain(word.as_deref()?)));
        if exact.is_none() {
            map.put(name, raw);
        }
        if meant.is_some() {
            return meant;
        }
    }
    map.take(&["success", "succeeded"], |raw| match raw.as_str() {
        "true" => Some(RunStatus::Success),
        "false" => Some(RunStatus::Failure),
        _ => None,
    })
}

fn status_of(word: &str) -> Option<RunStatus> {
    Some(match word {
        "success" | "succeeded" | "successful" | "completed" | "complete" | "done" | "ok"
        | "finished" | "passed" => RunStatus::Success,
        "failure" | "failed" | "fail" | "error" | "errored" | "exception" | "timeout"
        | "timedout" => RunStatus::Failure,
        "running" | "inprogress" | "inprocess" | "processing" | "pending" | "queued"
        | "started" | "submitted" => RunStatus::Running,
        "cancelled" | "canceled" | "aborted" | "stopped" | "terminated" => RunStatus::Cancelled,
        _ => return None,
    })
}

/// Why it failed: a text, or the JSON text of what the source says; an empty one says nothing.
fn error<'a>(map: &mut FieldMap<'a>) -> Option<Text<'a>> {
    map.take(&["error", "error_message", "errorMessage"], |raw| {
        let says = !matches!(raw.as_str(), "\"\"" | "{}" | "[]" | "false");
        says.then(|| words(raw)).flatten()
    })
}

/// What a person thought. What its three fields cannot hold stays with the rest as well.
/// What people said of a run, as Retort writes it; none if it is not that.
fn judgements<'a>(raw: &RawJson<'a>) -> Option<Vec<Judgement<'a>>> {
    // Tables hold it as a text.
    let json = raw.as_text().unwrap_or_else(|| raw.as_str().to_owned());
    let judgements = canonical::read_judgements(&json).ok()?;
    let is_whole = judgements.iter().all(|one| !one.is_empty());
    is_whole.then(|| judgements.into_iter().map(Judgement::into_owned).collect())
}

fn feedback<'a>(map: &mut FieldMap<'a>, notes: &mut Notes) -> Option<Box<Feedback<'a>>> {
    let raw = map.take(&["feedback"], json);
    let Some(raw) = raw else {
        let rating = map.take(&["rating", "score"], |raw| {
            (!matches!(fields::kind(raw), Some(Kind::Object | Kind::Array))).then(|| raw.clone())
        })?;
        return Some(Box::new(Feedback { rating: Some(rating), ..Feedback::default() }));
    };
    match fields::kind(&raw) {
        Some(Kind::Object) => {
            let mut said = FieldMap::of(&raw, notes)?;
            let feedback = Feedback {
                rating: said.take(&["rating", "score", "value", "is_positive", "isPositive"], json),
                label: said.take(&["label", "category"], RawJson::text),
                comment: said.take(&["comment", "comments", "details", "text"], RawJson::text),
            };
            if !said.rest().is_empty() {
                map.put("feedback", raw);
            }
            Some(Box::new(feedback))
        }
        Some(Kind::Array) => {
            map.put("feedback", raw);
            None
        }
        Some(Kind::String) => Some(Box::new(Feedback { label: raw.text(), ..Feedback::default() })),
        _ => Some(Box::new(Feedback { rating: Some(raw), ..Feedback::default() })),
    }
}

/// Files by reference: a list of them or of their addresses, one alone, or an object with `documents`.
fn files<'a>(map: &mut FieldMap<'a>, notes: &mut Notes) -> Vec<FileReference<'a>> {
    let Some(raw) = map.take(&["files", "attachments"], json) else { return Vec::new() };
    let listed = match fields::kind(&raw) {
        Some(Kind::Array) => list(&raw),
        Some(Kind::Object) => match fields::map(&raw) {
            Some(mut inner) if inner.has(&["documents"]) => {
                let documents = inner.take(&["documents"], list);
                if documents.is_some()
                    && let Some(rest) = inner.rest_object()
                {
                    map.put("files", rest);
                }
                documents
            }
            _ => Some(vec![raw.clone()]),
        },
        Some(Kind::String) => Some(vec![raw.clone()]),
        _ => None,
    };
    let read: Option<Vec<_>> =
        listed.and_then(|listed| listed.iter().map(|one| file(one, notes)).collect());
    read.unwrap_or_else(|| {
        map.put("files", raw);
        Vec::new()
    })
}

fn file<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Option<FileReference<'a>> {
    if let Some(uri) = raw.text() {
        return Some(FileReference { uri, ..FileReference::default() });
    }
    let mut map = FieldMap::of(raw, notes)?;
    let uri = ["uri", "url", "file_path", "filePath", "path", "s3_path", "key"];
    let mut file = FileReference {
        uri: map.take(&uri, RawJson::text).unwrap_or_default(),
        name: map.take(&["name", "file_name", "fileName", "filename"], RawJson::text),
        media_type: map.take(
            &["media_type", "content_type", "contentType", "mime_type", "mimeType"],
            RawJson::text,
        ),
        size_bytes: map.take(&["size_bytes", "size", "file_size"], count),
        ..FileReference::default()
    };
    map.spread("metadata", notes);
    file.metadata = map.rest();
    Some(file)
}

/// The nodes under the first name that has some.
fn run_nodes<'a>(map: &mut FieldMap<'a>, notes: &mut Notes) -> Vec<NodeRun<'a>> {
    let mut nodes = Nodes::default();
    for name in NODES.into_iter().chain(["data"]) {
        let Some(raw) = map.take(&[name], json) else { continue };
        // A trace document holds its steps under `data`.
        let inner = fields::map(&raw)
            .filter(|inner| inner.has(&["data"]) && !inner.has(&["node", "name", "process"]));
        let added = match inner {
            Some(mut inner) => {
                let steps = inner.take(&["data"], json);
                let added = steps.is_some_and(|steps| nodes.add_all(&steps, None, 0, notes));
                if added && let Some(rest) = inner.rest_object() {
                    map.put(name, rest);
                }
                added
            }
            None => nodes.add_all(&raw, None, 0, notes),
        };
        if !added {
            map.put(name, raw);
        } else if !nodes.nodes.is_empty() {
            break;
        }
    }
    nodes.finish()
}

/// Nodes while they are read: a flat list, with what the source said of their places in it.
#[derive(Default)]
struct Nodes<'a> {
    nodes: Vec<NodeRun<'a>>,
    /// What the source calls each of them, where it has ids.
    ids: Vec<Option<Text<'a>>>,
    /// What the source says of each one's parent, where they do not stand inside one another.
    parents: Vec<Option<RawJson<'a>>>,
}

impl<'a> Nodes<'a> {
    /// Adds the nodes of a list, of an object by name, or one alone; says whether it was any of these.
    fn add_all(
        &mut self,
        raw: &RawJson<'a>,
        parent: Option<usize>,
        depth: usize,
        notes: &mut Notes,
    ) -> bool {
        if let Some(elements) = list(raw) {
            if !elements.iter().all(|one| fields::kind(one) == Some(Kind::Object)) {
                return false;
            }
            for element in &elements {
                if let Some(map) = FieldMap::of(element, notes) {
                    self.add(map, None, parent, depth, notes);
                }
            }
        } else if let Some(fields) = FieldMap::of(raw, notes) {
            if fields.has(&["node", "node_name", "nodeName", "process"]) {
                self.add(fields, None, parent, depth, notes);
            } else {
                let fields = fields.rest();
                if !fields.iter().all(|(_, one)| fields::kind(one) == Some(Kind::Object)) {
                    return false;
                }
                for (name, one) in fields {
                    if let Some(map) = FieldMap::of(&one, notes) {
                        self.add(map, Some(name), parent, depth, notes);
                    }
                }
            }
        } else {
            return false;
        }
        true
    }

    /// Adds a node, and behind it those that ran inside it.
    fn add(
        &mut self,
        mut map: FieldMap<'a>,
        name: Option<Text<'a>>,
        parent: Option<usize>,
        depth: usize,
        notes: &mut Notes,
    ) {
        map.spread("details", notes);
        let place = self.nodes.len();
        self.nodes.push(NodeRun::default());
        let own_id = ["id", "node_id", "nodeId", "span_id", "_id"];
        self.ids.push(own_id.iter().find_map(|name| map.peek(name).and_then(id)));
        let above = map.take(&["parent", "parent_id", "parentId", "parent_node"], json);
        self.parents.push(above.filter(|_| parent.is_none()));
        if depth < NODE_DEPTH {
            for name in CHILDREN {
                if let Some(children) = map.take(&[name], json)
                    && !self.add_all(&children, Some(place), depth + 1, notes)
                {
                    map.put(name, children);
                }
            }
        }
        let mark = notes.mark();
        let mut node = node(map, name, notes);
        notes.under(mark, || format!("nodes[{place}]"));
        node.parent = parent;
        if let Some(slot) = self.nodes.get_mut(place) {
            *slot = node;
        }
    }

    /// The nodes, each with the position of the one that it ran inside: by its id, by its name, or by the position
    /// that the source gives. What names none, or would go round in a circle, stays with the rest of the node.
    fn finish(mut self) -> Vec<NodeRun<'a>> {
        let count = self.nodes.len();
        let mut by_name: HashMap<String, usize> = HashMap::new();
        let mut by_id: HashMap<String, usize> = HashMap::new();
        for (place, (node, id)) in self.nodes.iter().zip(&self.ids).enumerate().rev() {
            by_name.insert(node.node.decoded().into_owned(), place);
            if let Some(id) = id {
                by_id.insert(id.decoded().into_owned(), place);
            }
        }
        let mut unclear = Vec::new();
        for (place, said) in self.parents.iter_mut().enumerate() {
            let Some(raw) = said.take() else { continue };
            let word = id(&raw).map(|word| word.decoded().into_owned()).unwrap_or_default();
            let by_place = || raw.as_str().parse().ok();
            let found = by_id.get(&word).copied().or_else(by_place);
            let found = found.or_else(|| by_name.get(&word).copied());
            match found.filter(|&found| found < count && found != place) {
                Some(found) => {
                    if let Some(node) = self.nodes.get_mut(place) {
                        node.parent = Some(found);
                    }
                }
                None => unclear.push((place, raw)),
            }
        }
        for place in circles(&self.nodes) {
            if let Some(parent) = self.nodes.get_mut(place).and_then(|node| node.parent.take())
                && let Ok(raw) = RawJson::owned(&parent.to_string())
            {
                unclear.push((place, raw));
            }
        }
        for (place, raw) in unclear {
            if let Some(node) = self.nodes.get_mut(place) {
                fields::put(&mut node.metadata, "parent".into(), raw);
            }
        }
        self.nodes
    }
}

/// Nodes at which a walk upwards comes back to where it was.
fn circles(nodes: &[NodeRun<'_>]) -> Vec<usize> {
    // Which walk came by each node first.
    let mut walked = vec![usize::MAX; nodes.len()];
    let mut cut = Vec::new();
    for start in 0..nodes.len() {
        let mut at = start;
        while let Some(seen) = walked.get_mut(at) {
            if *seen == start {
                cut.push(at);
                break;
            }
            if *seen != usize::MAX {
                break;
            }
            *seen = start;
            match nodes.get(at).and_then(|node| node.parent) {
                Some(parent) => at = parent,
                None => break,
            }
        }
    }
    cut
}

fn node<'a>(mut map: FieldMap<'a>, name: Option<Text<'a>>, notes: &mut Notes) -> NodeRun<'a> {
    let process = map.peek("process").and_then(RawJson::as_text);
    let said = match name {
        Some(name) => map.take(&["node", "node_name", "nodeName"], RawJson::text).or(Some(name)),
        None => map.take_id(&["node", "node_name", "nodeName", "process", "name", "step", "id"]),
    };
    let mut node = NodeRun { node: said.unwrap_or_default(), ..NodeRun::default() };
    prompt(&mut map, &mut node, notes);
    node.model = map.take(&["model", "model_name", "modelName", "model_id"], RawJson::text);
    node.variables = node
        .variables
        .or_else(|| map.take(&["variables", "prompt_variables", "promptVariables"], object));
    node.input =
        node.input.or_else(|| map.take(&["input", "inputs", "arguments", "messages"], json));
    node.output =
        node.output.or_else(|| map.take(&["output", "outputs", "response", "result"], json));
    node.error = error(&mut map);
    node.feedback = feedback(&mut map, notes);
    node.ground_truth = map.take(&GROUND_TRUTH, words);
    (node.started_at, node.finished_at) = times(&mut map);
    node.usage = usage(&mut map, notes);
    node.cost_usd = map.take(&["cost_usd", "costUsd", "total_cost", "totalCost"], fields::number);
    node.status = status(&mut map, &STATUS).unwrap_or(match node.error {
        Some(_) => RunStatus::Failure,
        None => RunStatus::Success,
    });
    node.kind = node_kind(&mut map).or_else(|| kind_of_word(&plain(&process?))).unwrap_or(
        if node.prompt.is_some() || node.model.is_some() {
            NodeKind::ModelCall
        } else {
            NodeKind::Other
        },
    );
    unplaced_status(&map, &STATUS, notes);
    let failed = node.status == RunStatus::Failure && node.error.is_none();
    if node.input.is_none() || node.output.is_none() || failed {
        notes.unplaced_texts(map.fields());
    }
    map.spread("metadata", notes);
    node.metadata = map.rest();
    node
}

/// A prompt as text, or as an object of what went into it and what came out.
fn prompt<'a>(map: &mut FieldMap<'a>, node: &mut NodeRun<'a>, notes: &mut Notes) {
    let mut inner = match map.peek("prompt").map(fields::kind) {
        Some(Some(Kind::Object)) => {
            match map.peek("prompt").and_then(|raw| FieldMap::of(raw, notes)) {
                Some(inner) => inner,
                None => return,
            }
        }
        _ => {
            let names = ["prompt", "prompt_template", "promptTemplate", "template"];
            node.prompt = map.take(&names, words);
            return;
        }
    };
    map.take(&["prompt"], json);
    node.prompt = inner.take(&["text", "template", "prompt"], RawJson::text);
    node.variables = inner.take(&["variables"], object);
    if !map.has(&["input", "inputs"]) {
        node.input =
            inner.take(&["input"], |raw| fields::json_within(raw).or_else(|| Some(raw.clone())));
    }
    if !map.has(&["output", "outputs"]) {
        node.output = inner.take(&["output"], json);
    }
    if let Some(rest) = inner.rest_object() {
        map.put("prompt", rest);
    }
}

fn usage(map: &mut FieldMap<'_>, notes: &mut Notes) -> Usage {
    const INPUT: [&str; 4] =
        ["input_tokens", "prompt_tokens", "inputTokens", "gen_ai.usage.prompt_tokens"];
    const OUTPUT: [&str; 4] =
        ["output_tokens", "completion_tokens", "outputTokens", "gen_ai.usage.completion_tokens"];
    let mut usage =
        Usage { input_tokens: map.take(&INPUT, count), output_tokens: map.take(&OUTPUT, count) };
    let Some(raw) = map.take(&["usage"], object) else { return usage };
    let Some(mut inner) = FieldMap::of(&raw, notes) else { return usage };
    if usage.input_tokens.is_none() {
        usage.input_tokens = inner.take(&INPUT, count);
    }
    if usage.output_tokens.is_none() {
        usage.output_tokens = inner.take(&OUTPUT, count);
    }
    if let Some(rest) = inner.rest_object() {
        map.put("usage", rest);
    }
    usage
}

/// What a node says of its kind. A word that is not one of Retort's stays with the rest, too.
fn node_kind(map: &mut FieldMap<'_>) -> Option<NodeKind> {
    for name in ["kind", "type", "node_type", "nodeType"] {
        let Some(word) = map.peek(name).and_then(RawJson::as_text) else { continue };
        if let Ok(kind) = word.parse() {
            map.take(&[name], json);
            return Some(kind);
        }
        if let Some(kind) = kind_of_word(&plain(&word)) {
            return Some(kind);
        }
    }
    None
}

/// The kind of a node by a word for it, in small letters and digits alone.
pub(super) fn kind_of_word(word: &str) -> Option<NodeKind> {
    Some(match word {
        "modelcall" | "model" | "llm" | "llmcall" | "prompt" | "chat" | "chatcompletion"
        | "chatmodel" | "completion" | "textcompletion" | "generation" | "generate"
        | "generatecontent" => NodeKind::ModelCall,
        "retrieval" | "retriever" | "retrieve" | "search" | "vectorsearch"
        | "searchvectorindex" | "embedding" | "embeddings" | "generateembeddings"
        | "queryembeddings" | "embed" | "rerank" | "reranker" => NodeKind::Retrieval,
        "tool" | "toolcall" | "executetool" | "function" | "functioncall" | "api" => NodeKind::Tool,
        "agent" | "invokeagent" | "createagent" | "supervisor" => NodeKind::Agent,
        _ => return None,
    })
}
