//! The Berkeley Function-Calling Leaderboard's questions, a line each, and, in files of their own, the answers that count as
//! right (`possible_answer`) and those of models (`result`). References: `bfcl_eval/data` and `model_handler/base_handler.py`
//! of `ShishirPatil/gorilla`.
//!
//! A result of one turn holds the answer alone; one of several turns has a log with all that was asked, called and returned.

use retort_json::{Kind, RawJson};
use retort_model::Conversation;

use super::fields::{self, FieldMap, object_of};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::openai;
use super::session;
use super::sniff::{Entry, Sniff};
use super::unplaced::Least;

/// The format.
pub(super) struct Bfcl;

/// Fields that set the scene of a question.
const KNOWN: [&str; 8] = [
    "ground_truth",
    "initial_config",
    "involved_classes",
    "path",
    "missed_function",
    "excluded_function",
    "inference_log",
    "traceback",
];

/// Under what the fragment of a result names the model, which only the path of its file does.
const MODEL: &str = "model";

impl ImportFormat for Bfcl {
    fn name(&self) -> &'static str {
        "bfcl"
    }

    fn about(&self) -> &'static str {
        "questions of the Berkeley Function-Calling Leaderboard, with their `possible_answer` and `result` files"
    }

    fn notes(&self) -> &'static str {
        "`BFCL_v*_*.json`, a question a line: its turns become the messages, `function` the tools. Give the folder \
         `possible_answer` with it, and the calls that count as right are kept as `ground_truth`, joined by the id. Give the \
         folder `result` with it, and each answer of a model is a conversation, named `MODEL/ID` after the folder of the \
         results: answers of several turns with their calls, results and reasoning, from `inference_log`. Those need no \
         questions, but without them have no tools. What an answer says that was only prompted to call is text. States of the tested \
         world and notes of the handler stay in `inference_log`. Files of scores are not read."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        is_question(sniff) || is_answer(sniff) || is_result(sniff)
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        let Some(key) = sniff.word("id") else { return };
        if is_result(&sniff) {
            let text = match (
                model_of(entry),
                RawJson::parse(text).ok().and_then(|raw| fields::map(&raw)),
            ) {
                (Some(model), Some(mut map)) if !map.has(&[MODEL]) => {
                    map.put(MODEL, RawJson::string(model));
                    map.rest_object().map_or(text.into(), RawJson::into_cow)
                }
                _ => text.into(),
            };
            into.push(Fragment { key, order: 2, text });
        } else if is_answer(&sniff) || is_question(&sniff) {
            let order = u64::from(is_answer(&sniff));
            into.push(Fragment { key, order, text: text.into() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let (mut items, mut truth) = (Items::default(), None);
        let (mut questions, mut results) = (Vec::new(), Vec::new());
        for session::Line { mut map, .. } in session::lines(text, notes)? {
            if map.has(&["question"]) {
                questions.push(Question::of(map)?);
            } else if map.has(&["result"]) {
                results.push(map);
            } else {
                truth = truth.or_else(|| map.take(&["ground_truth"], fields::json));
            }
        }
        if let Some(truth) = truth {
            for question in &mut questions {
                question.rest.put("ground_truth", truth.clone());
            }
        }
        for result in &results {
            items.push(answered(result.clone(), questions.first(), notes)?);
        }
        for question in questions.into_iter().filter(|_| results.is_empty()) {
            let messages = RawJson::array(&question.turns.concat());
            items.push(openai::with_messages(question.rest.rest(), messages, &KNOWN, notes)?);
        }
        if items.is_empty() {
            let why = "an answer without its question: give the file of the questions with it";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        Ok(items)
    }
}

/// A question: its turns, each a list of messages, and its other fields.
struct Question<'a> {
    turns: Vec<Vec<RawJson<'a>>>,
    rest: FieldMap<'a>,
}

impl<'a> Question<'a> {
    fn of(mut map: FieldMap<'a>) -> Result<Self, ItemError> {
        let turns = map.take(&["question"], fields::list).ok_or_else(unknown)?;
        let turns = turns.iter().map(|turn| fields::list(turn).ok_or_else(unknown));
        let turns = turns.collect::<Result<_, _>>()?;
        if let Some(tools) = map.take(&["function"], fields::json) {
            map.put("tools", tools);
        }
        Ok(Self { turns, rest: map })
    }
}

/// The conversation that a model's result is.
fn answered<'a>(
    mut result: FieldMap<'a>,
    question: Option<&Question<'a>>,
    notes: &mut Notes,
) -> Result<Conversation<'static>, ItemError> {
    let mark = notes.mark();
    let messages = match (logged(&mut result, notes), question) {
        (Some(messages), _) => {
            result.take(&["result", "reasoning_content"], fields::json);
            messages
        }
        (None, Some(question)) => said(&mut result, question, notes),
        (None, None) => {
            let why =
                "a model's answer without its question: give the file of the questions with it";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
    };
    notes.under(mark, || "result".into());
    let id = result.take_id(&["id"]).unwrap_or_default();
    let model = result.peek(MODEL).and_then(RawJson::as_text);
    let mut row = question.map(|question| question.rest.clone()).unwrap_or_default();
    let id = model.map_or(id.decoded().into_owned(), |model| format!("{model}/{}", id.decoded()));
    row.put("id", RawJson::string(&id));
    let counted =
        [("prompt_tokens", "input_token_count"), ("completion_tokens", "output_token_count")];
    let is_count = |raw: &RawJson<'a>| fields::count(raw).map(|_| raw.clone());
    let usage: Vec<_> = counted
        .into_iter()
        .filter_map(|(name, key)| Some((name, result.take(&[key], is_count)?)))
        .collect();
    if !usage.is_empty() {
        row.put("usage", object_of(usage));
    }
    let mut row = row.rest();
    row.extend(result.rest());
    openai::with_messages(row, RawJson::array(&messages), &KNOWN, notes)
}

/// The messages of a log of several turns; none if there is no such log. What it says beside them stays there.
fn logged<'a>(result: &mut FieldMap<'a>, notes: &mut Notes) -> Option<Vec<RawJson<'a>>> {
    let log = result.peek("inference_log").and_then(fields::list)?;
    let is_turn = |raw: &RawJson<'a>| fields::map(raw).filter(|map| map.has(&[ASKED]));
    if !log.iter().any(|entry| is_turn(entry).is_some()) {
        return None;
    }
    let (mut messages, mut others) = (Vec::new(), Vec::new());
    for entry in &log {
        let Some(mut turn) = is_turn(entry) else {
            others.push(entry.clone());
            continue;
        };
        messages.extend(turn.take(&[ASKED], fields::list).unwrap_or_default());
        for step in 0.. {
            let name = format!("step_{step}");
            let Some(entries) = turn.take(&[&name], fields::list) else { break };
            for raw in entries {
                let Some(mut entry) = fields::map(&raw) else {
                    notes.unplaced("", &raw);
                    continue;
                };
                match entry.peek("role").and_then(RawJson::as_text).as_deref() {
                    Some("assistant") => {
                        let reasoning = entry.take(&["reasoning_content"], fields::json);
                        let content = entry.take(&["content"], fields::json);
                        messages.push(answer(content, reasoning, notes));
                    }
                    Some("tool") => messages.push(raw),
                    _ => others.push(raw),
                }
            }
        }
        notes.unplaced_fields(&turn.rest(), &[], Least::Word);
    }
    result.take(&["inference_log"], fields::json);
    if !others.is_empty() {
        result.put("inference_log", RawJson::array(&others));
    }
    Some(messages)
}

/// Under what a turn of a log has the messages that it begins with.
const ASKED: &str = "begin_of_turn_query";

/// The messages of a result without a log: what was asked in each turn, and the answers to it.
fn said<'a>(
    result: &mut FieldMap<'a>,
    question: &Question<'a>,
    notes: &mut Notes,
) -> Vec<RawJson<'a>> {
    let reasoning = result.take(&["reasoning_content"], |raw| raw.text().map(|_| raw.clone()));
    let content = result.take(&["result"], fields::json);
    if let Some(traceback) = result.peek("traceback").cloned() {
        let error = content.unwrap_or(traceback);
        let failed = object_of([("role", RawJson::string("assistant")), ("error", error)]);
        return question.turns.concat().into_iter().chain([failed]).collect();
    }
    if let [turn] = question.turns.as_slice() {
        return turn.iter().cloned().chain([answer(content, reasoning, notes)]).collect();
    }
    let mut answers = content.and_then(|raw| fields::list(&raw)).unwrap_or_default().into_iter();
    let mut messages = Vec::new();
    for turn in &question.turns {
        messages.extend(turn.iter().cloned());
        let steps = answers.next().and_then(|raw| fields::list(&raw)).unwrap_or_default();
        messages.extend(steps.into_iter().map(|step| answer(Some(step), None, notes)));
    }
    messages
}

/// A model's answer: a text, or a list of calls, each an object of the tool's name and the arguments.
fn answer<'a>(
    content: Option<RawJson<'a>>,
    reasoning: Option<RawJson<'a>>,
    notes: &mut Notes,
) -> RawJson<'a> {
    let role = ("role", RawJson::string("assistant"));
    let said = match (content.as_ref().and_then(calls), content) {
        (Some(calls), _) => ("tool_calls", RawJson::array(&calls)),
        (None, Some(raw)) if raw.text().is_none() => {
            notes.unplaced("", &raw);
            ("content", RawJson::null())
        }
        (None, content) => ("content", content.unwrap_or(RawJson::null())),
    };
    let reasoning = reasoning.map(|reasoning| ("reasoning_content", reasoning));
    object_of([role, said].into_iter().chain(reasoning))
}

/// The calls of a list of them, as OpenAI writes calls; none if it is anything else.
fn calls<'a>(raw: &RawJson<'a>) -> Option<Vec<RawJson<'a>>> {
    let mut calls = Vec::new();
    for call in fields::list(raw)? {
        let call = fields::map(&call)?.rest();
        let mut named = call.iter();
        let (Some((name, arguments)), None) = (named.next(), named.next()) else { return None };
        let arguments = fields::words(arguments)?;
        let function = object_of([
            ("name", RawJson::string(&name.decoded())),
            ("arguments", RawJson::string(&arguments.decoded())),
        ]);
        calls.push(object_of([("type", RawJson::string("function")), ("function", function)]));
    }
    Some(calls)
}

/// The model whose results a file holds: BFCL writes `result/MODEL/…/BFCL_v4_CATEGORY_result.json`.
fn model_of(entry: Entry<'_>) -> Option<&str> {
    const GROUPS: [&str; 5] = ["live", "non_live", "multi_turn", "agentic", "format_sensitivity"];
    let folders: Vec<_> = entry.path.split(['/', '\\']).collect();
    let (_, folders) = folders.split_last()?;
    let at = folders.iter().rposition(|folder| folder.starts_with("result")).map_or(0, |at| at + 1);
    folders.get(at).copied().filter(|folder| !GROUPS.contains(folder))
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::BadField, 0, "a turn of `question` is not a list of messages")
}

/// Whether its `question` is a list of turns, each a list of messages.
fn is_question(sniff: &Sniff<'_>) -> bool {
    sniff.has("id")
        && sniff.first_kind(&["question"]) == Some(Kind::Array)
        && sniff.first(&["question"]).is_some_and(|turn| {
            let first = fields::list(&turn).and_then(|list| list.into_iter().next());
            first.is_some_and(|raw| fields::map(&raw).is_some_and(|map| map.has(&["role"])))
        })
}

fn is_answer(sniff: &Sniff<'_>) -> bool {
    sniff.kind(&["ground_truth"]) == Some(Kind::Array)
        && sniff.has("id")
        && sniff.keys().iter().all(|key| key == "id" || key == "ground_truth")
}

/// Whether it is what a model answered, with what that took.
fn is_result(sniff: &Sniff<'_>) -> bool {
    let tells = ["inference_log", "input_token_count", "latency", "traceback"];
    sniff.has("id")
        && matches!(sniff.kind(&["result"]), Some(Kind::Array | Kind::String))
        && tells.iter().any(|key| sniff.has(key))
        && !sniff.has("question")
        && !sniff.has("messages")
}
