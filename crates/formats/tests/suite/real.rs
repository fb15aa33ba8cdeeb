//! What must hold of readers on histories that others made: the folder that `RETORT_REAL_DATA` names, passed over
//! visibly without it. Nothing that a reader takes disappears untold, and what a reader cannot know is never trained on.

use crate::support::shape_item;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{FORMATS, ImportFormat, Notes, Sniff, recognise, table};
use retort_json::Text;
use retort_model::bounds::CONTEXTS_PER_MESSAGE;
use retort_model::{Item, Warning};
use retort_testing::{files_below, real_data};
use serde_json::Value;

/// Items looked at in one file, spread over it.
const ITEMS: usize = 24;

/// Files larger than this are looked at no further than this.
const FILE_BYTES: u64 = 2 << 20;

/// Rows of a table looked at.
const ROWS: usize = 500;

/// Items larger than this are passed over, to keep the tests short.
const ITEM_BYTES: usize = 120 << 10;

fn files() -> Option<Vec<PathBuf>> {
    let endings = ["json", "jsonl", "traj", "ndjson", "gz", "csv", "parquet"];
    let mut files = files_below(&real_data()?);
    files.retain(|path| {
        path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one))
            && !path.components().any(|part| part.as_os_str() == "jsontestsuite")
    });
    assert!(files.len() > 100, "the folder of real histories has few files");
    Some(files)
}

/// Items of a file that a format recognises, from its start to its end.
fn items(path: &Path) -> Vec<(&'static dyn ImportFormat, String)> {
    let mut items = Vec::new();
    let mut take = |text: &str| {
        if text.len() > ITEM_BYTES {
            return;
        }
        let sniff = Sniff::of(text);
        if sniff.check().is_ok()
            && let Some(format) = recognise(&sniff)
        {
            items.push((format, text.to_owned()));
        }
    };
    let file = File::open(path).expect("a file");
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        "csv" => {
            let rows = table::Table::read(file).expect("a header");
            rows.take(ROWS)
                .map_while(Result::ok)
                .for_each(|row| take(&String::from_utf8_lossy(&row)));
        }
        "parquet" => {
            let parquet = retort_formats::file::by_name("parquet").expect("Parquet");
            // One of the files is damaged on purpose.
            if let Ok(rows) = parquet.read(Box::new(file)) {
                rows.take(ROWS).map_while(Result::ok).for_each(|row| take(&row));
            }
        }
        _ => each_text(file, ending, &mut take),
    }
    let step = items.len().div_ceil(ITEMS).max(1);
    items.into_iter().step_by(step).collect()
}

/// The items of a text file, packed or not.
fn each_text(file: File, ending: &str, take: &mut dyn FnMut(&str)) {
    let file: Box<dyn Read> = match ending {
        "gz" => Box::new(flate2::read::MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    let mut splitter = Splitter::new(file.take(FILE_BYTES));
    while let Ok(Some(batch)) = splitter.next(Batch::default()) {
        for span in &batch.items {
            if let Ok(text) = std::str::from_utf8(batch.item(span)) {
                take(text);
            }
        }
    }
}

/// Paths without their numbers.
fn plain(path: &str) -> String {
    let mut plain = String::new();
    for c in path.chars() {
        if !c.is_ascii_digit() {
            plain.push(c);
        }
    }
    plain
}

#[test]
#[ignore = "prints what is read and what is not understood, for people"]
fn survey() {
    let Some(files) = files() else { return };
    for path in files {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (format, item) in items(&path) {
            let read = format.read(&item, &mut Notes::default());
            let mut count = |what: String| *counts.entry(what).or_default() += 1;
            match read {
                Err(error) => count(format!("{}: refused: {error}", format.name())),
                Ok(item) => {
                    count(format!("{}: {}", format.name(), item.kind()));
                    for one in item.not_understood() {
                        let raw: String = one.raw.as_str().chars().take(100).collect();
                        count(format!(
                            "   ? {} {}",
                            plain(&one.path),
                            raw.replace(|c: char| c.is_ascii_digit(), "")
                        ));
                    }
                    if let Item::Conversation(conversation) = &item {
                        let shaped = shape_item(&item, "openai", Default::default());
                        if shaped.rows.is_empty() {
                            count(format!(
                                "   - {}",
                                shaped
                                    .outcome
                                    .left_out
                                    .first()
                                    .map(|one| format!("{} {}", one.why.reason, one.why.detail))
                                    .unwrap_or_default()
                            ));
                        }
                        for key in conversation
                            .messages()
                            .flat_map(|one| &one.metadata)
                            .map(|(key, _)| key.decoded().into_owned())
                        {
                            count(format!("   m {key}"));
                        }
                        for (key, _) in &conversation.metadata {
                            count(format!("   c {}", key.decoded()));
                        }
                    }
                }
            }
        }
        if !counts.is_empty() {
            println!("{}", path.display());
            for (what, count) in counts {
                println!("    {count:4} {what}");
            }
        }
    }
}

/// Where items keep messages, from the item itself.
const MESSAGES: [&str; 11] = [
    "messages",
    "conversations",
    "traj",
    "rounds",
    "tasks",
    "convo",
    "chosen",
    "rejected",
    "contents",
    "input",
    "output",
];

/// Pointers to the messages of an item.
fn messages(item: &Value) -> Vec<String> {
    fn walk(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Array(list) => {
                for (index, one) in list.iter().enumerate() {
                    walk(one, format!("{at}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                if ["role", "from"].iter().any(|key| fields.get(*key).is_some_and(Value::is_string))
                {
                    found.push(at.clone());
                }
                for (key, one) in fields {
                    if MESSAGES.contains(&key.as_str()) {
                        walk(one, format!("{at}/{key}"), found);
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(item, String::new(), &mut found);
    found
}

/// A change that makes something unknown: a pointer to an object, the key that is changed, and whether its name or its
/// value is.
#[derive(Clone, Debug)]
struct Change {
    at: String,
    key: &'static str,
    renames: bool,
}

impl Change {
    fn make(&self, item: &Value) -> Value {
        let mut item = item.clone();
        let Some(Value::Object(fields)) = item.pointer_mut(&self.at) else {
            panic!("no object at {}", self.at)
        };
        if self.renames {
            let value = fields.remove(self.key).expect("a value");
            fields.insert("zz_unheard_of".into(), value);
        } else {
            fields.insert(self.key.into(), "zz_unheard_of".into());
        }
        item
    }
}

fn says(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(says),
        Value::Object(fields) => fields.iter().any(|(key, one)| key != "type" && says(one)),
        _ => false,
    }
}

/// What can be made unknown in a message.
fn changes(item: &Value, at: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |at: &str, key: &'static str, renames: bool| {
        if item.pointer(at).and_then(|one| one.get(key)).is_some_and(says) {
            changes.push(Change { at: at.to_owned(), key, renames });
        }
    };
    for role in ["role", "from"] {
        add(at, role, false);
    }
    for key in ["tool_calls", "function_call", "content", "value", "tool_call_id"] {
        add(at, key, true);
    }
    let elements = |key: &str| {
        let list = item.pointer(&format!("{at}/{key}")).and_then(Value::as_array);
        (0..list.map_or(0, Vec::len)).map(|index| format!("{at}/{key}/{index}")).collect::<Vec<_>>()
    };
    for part in elements("content").into_iter().chain(elements("parts")) {
        add(&part, "type", false);
        let is_text =
            item.pointer(&part).and_then(|one| one.get("type")).is_some_and(|kind| kind == "text");
        if is_text {
            add(&part, "text", true);
        }
        let kind = item.pointer(&part).and_then(|one| one.get("type")).and_then(Value::as_str);
        let keys: &[&'static str] = match kind {
            Some("tool_use") => &["name", "input"],
            Some("tool_result") => &["tool_use_id", "content"],
            _ => &[],
        };
        for key in keys {
            add(&part, key, true);
        }
    }
    for call in elements("tool_calls") {
        for key in ["function", "name", "arguments", "args"] {
            add(&call, key, true);
        }
        for key in ["name", "arguments"] {
            add(&format!("{call}/function"), key, true);
        }
    }
    changes
}

/// Changes tried in one item.
const CHANGES: usize = 24;

#[test]
fn what_is_made_unknown_is_never_trained_on() {
    let Some(files) = files() else { return };
    let (mut tried, mut wrong) = (0, BTreeMap::new());
    for path in files {
        for (format, item) in items(&path) {
            let Ok(value) = serde_json::from_str::<Value>(&item) else { continue };
            let all: Vec<_> = messages(&value).iter().flat_map(|at| changes(&value, at)).collect();
            let step = all.len().div_ceil(CHANGES).max(1);
            for change in all.iter().step_by(step) {
                tried += 1;
                let changed = change.make(&value).to_string();
                let sniff = Sniff::of(&changed);
                if sniff.check().is_err() {
                    continue;
                }
                let format = recognise(&sniff).unwrap_or(format);
                let Ok(read) = format.read(&changed, &mut Notes::default()) else { continue };
                for data_format in
                    retort_formats::data::FORMATS.iter().filter(|one| one.is_for_training())
                {
                    let data_format = data_format.name();
                    let shaped = shape_item(&read, data_format, Default::default());
                    if !shaped.rows.is_empty() {
                        let how = format!(
                            "{} {data_format} {}{}",
                            format.name(),
                            change.key,
                            if change.renames { " renamed" } else { "" }
                        );
                        wrong
                            .entry(how)
                            .or_insert_with(|| format!("{} {change:?}", path.display()));
                    }
                }
            }
        }
    }
    assert!(tried > 1000, "only {tried} changes were tried");
    assert!(wrong.is_empty(), "trained on what nobody knows: {wrong:#?}");
}

/// The texts and numbers of a value with their keys; JSON texts are taken apart.
fn leaves(key: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => {
            let inner =
                text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(text));
            match inner {
                Some(Ok(inner)) => leaves(key, &inner, found),
                // The marks of a transcript say who speaks.
                _ if text.trim().starts_with("Human:") => {
                    for said in text.split("Human:").flat_map(|said| said.split("Assistant:")) {
                        found.push((key.to_owned(), said.trim().to_owned()));
                    }
                }
                _ => found.push((key.to_owned(), text.clone())),
            }
        }
        Value::Number(number) => found.push((key.to_owned(), number.to_string())),
        Value::Array(list) => list.iter().for_each(|one| leaves(key, one, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, one)| leaves(key, one, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Keys whose values a reader puts in words of its own: what something is, and when it was.
fn is_translated(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    matches!(
        key.as_str(),
        "type" | "role" | "from" | "kind" | "status" | "index" | "retort" | "$numberlong"
    ) || ["time", "date", "created", "updated", "timestamp"].iter().any(|word| key.contains(word))
}

/// Keys under which sources say whether a message is to be learnt.
const MARKS: [&str; 7] =
    ["weight", "loss", "loss_weight", "train", "training", "sampled", "is_copied_context"];

/// How many messages of a value say whether they are to be learnt.
fn marks(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(marks).sum(),
        Value::Object(fields) => {
            let is_message =
                ["role", "from", "content", "source"].iter().any(|key| fields.contains_key(*key));
            let is_mark = |key: &&str| {
                fields.get(*key).is_some_and(|mark| mark.is_boolean() || mark.is_number())
            };
            let own = usize::from(is_message && MARKS.iter().any(is_mark));
            let again: usize = PAIRS
                .iter()
                .filter_map(|[one, other]| {
                    let [one, other] =
                        [fields.get(*one)?.as_array()?, fields.get(*other)?.as_array()?];
                    let alike = one.iter().zip(other).take_while(|(one, other)| one == other);
                    Some(alike.map(|(one, _)| marks(one)).sum::<usize>())
                })
                .sum();
            own + fields.values().map(marks).sum::<usize>() - again
        }
        _ => 0,
    }
}

/// Keys of two lists of messages: what both begin with is said once.
const PAIRS: [[&str; 2]; 2] = [["chosen", "rejected"], ["chosen_messages", "rejected_messages"]];

/// How many entries of a row or of what is kept beside it say whether something is learnt.
fn kept_marks(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(kept_marks).sum(),
        Value::Object(fields) => {
            let own = ["weight", "train"].iter().filter(|key| fields.contains_key(**key)).count();
            own.min(1) + fields.values().map(kept_marks).sum::<usize>()
        }
        Value::String(text) if text.starts_with('{') => {
            serde_json::from_str(text).map_or(0, |inner| kept_marks(&inner))
        }
        _ => 0,
    }
}

/// What of the leaves is not among the others, nor a part of one of them.
fn missing(source: &[(String, String)], within: &[(String, String)]) -> Vec<(String, String)> {
    let texts: std::collections::HashSet<&str> =
        within.iter().map(|(_, text)| text.as_str()).collect();
    source
        .iter()
        .filter(|(key, text)| {
            !text.trim().is_empty() && !is_translated(key) && !texts.contains(text.as_str())
        })
        .filter(|(_, text)| {
            // A mark in a text becomes a part between what is before and behind it.
            let mut pieces = ["<image>", "<video>", "<audio>"]
                .iter()
                .fold(vec![text.as_str()], |pieces, mark| {
                    pieces.into_iter().flat_map(|piece| piece.split(*mark)).collect()
                })
                .into_iter();
            !pieces.all(|piece| texts.iter().any(|one| one.contains(piece.trim())))
        })
        .cloned()
        .collect()
}

/// Formats that recognise what special ones before them do, too: messages in any shape, and items in lists.
pub const GENERAL: [&str; 2] = ["openai", "wrapped"];

#[test]
fn every_history_is_recognised_by_exactly_one_format() {
    let Some(files) = files() else { return };
    let mut wrong = BTreeMap::new();
    for path in files {
        let items = items(&path);
        let of_file: BTreeSet<_> = items.iter().map(|(format, _)| format.name()).collect();
        if of_file.len() > 1 {
            wrong.insert(format!("{of_file:?} in one file"), path.display().to_string());
        }
        for (_, item) in &items {
            let sniff = Sniff::of(item);
            let all = FORMATS.iter().filter(|format| format.recognises(&sniff));
            let all: Vec<_> = all.map(|format| format.name()).collect();
            if all.iter().filter(|name| !GENERAL.contains(name)).count() > 1 {
                wrong.insert(format!("{all:?} of one item"), path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_disappears_from_the_lines_that_keep_everything() {
    let Some(files) = files() else { return };
    let (mut looked_at, mut wrong) = (0, BTreeMap::new());
    for path in files {
        for (format, item) in items(&path) {
            let (Ok(value), Ok(read)) =
                (serde_json::from_str::<Value>(&item), format.read(&item, &mut Notes::default()))
            else {
                continue;
            };
            let line = shape_item(&read, "retort", Default::default());
            let [row] = line.rows.as_slice() else { continue };
            let (mut source, mut kept) = (Vec::new(), Vec::new());
            leaves("", &value, &mut source);
            leaves("", row, &mut kept);
            looked_at += 1;
            if marks(row) < marks(&value) {
                let how = format!("{} of {} marks", marks(row), marks(&value));
                wrong.insert(format!("{} {how}", format.name()), path.display().to_string());
            }
            source.retain(|(key, _)| !MARKS.contains(&&**key));
            // Attributes are pairs of a key and a value; a key is a name, as those of fields are, and says nothing.
            source.retain(|(key, _)| format.name() != "otlp" || key != "key");
            for (key, text) in missing(&source, &kept) {
                wrong
                    .entry(format!("{} {key}", format.name()))
                    .or_insert_with(|| format!("{} {text:.80}", path.display()));
            }
        }
    }
    assert!(looked_at > 200, "only {looked_at} items were looked at");
    assert!(wrong.is_empty(), "lost on the way: {wrong:#?}");
}

#[test]
fn what_is_said_on_the_path_is_in_the_row_or_its_extra_and_the_rest_is_told() {
    let Some(files) = files() else { return };
    let (mut looked_at, mut wrong) = (0, BTreeMap::new());
    for file in files {
        for (format, item) in items(&file) {
            let Ok(read) = format.read(&item, &mut Notes::default()) else { continue };
            let Item::Conversation(conversation) = &read else { continue };
            for data_format in
                ["standard", "openai", "chat", "prompt-completion", "ms-swift", "alpaca"]
            {
                let shaped = shape_item(&read, data_format, Default::default());
                let ([row], [notes]) = (shaped.rows.as_slice(), shaped.outcome.records.as_slice())
                else {
                    continue;
                };
                let mut kept = Vec::new();
                leaves("", row, &mut kept);
                let mut marks = kept_marks(row);
                if let Some(extra) = &notes.extra {
                    let extra = serde_json::from_str(extra).unwrap();
                    leaves("", &extra, &mut kept);
                    marks += kept_marks(&extra);
                }
                let (mut said, mut contexts, mut marked) = (Vec::new(), 0, 0);
                let path = conversation.active_path();
                for &at in &path {
                    for message in &conversation.rounds[at].messages {
                        let mut say =
                            |what: &str, text: &str| leaves(what, &Value::from(text), &mut said);
                        say("content", &message.words().decoded());
                        for (what, text) in
                            [("reasoning", &message.reasoning), ("error", &message.error)]
                        {
                            say(
                                what,
                                &text
                                    .as_ref()
                                    .map(|text| text.decoded().into_owned())
                                    .unwrap_or_default(),
                            );
                        }
                        if let Some(reason) = &message.finish_reason {
                            say("finish_reason", &reason.decoded());
                        }
                        if let Some(label) = message.label {
                            say("label", label.as_str());
                        }
                        if let Some(feedback) = &message.feedback {
                            for text in [&feedback.label, &feedback.comment].into_iter().flatten() {
                                say("feedback", &text.decoded());
                            }
                        }
                        for call in &message.tool_calls {
                            say("call id", &call.id.decoded());
                            say("name", &call.name.decoded());
                            say("arguments", &call.arguments.decoded());
                        }
                        for (what, text) in
                            [("tool_call_id", &message.tool_call_id), ("name", &message.name)]
                        {
                            say(what, &text.as_ref().map(Text::decoded).unwrap_or_default());
                        }
                        let fields = message.tool_calls.iter().flat_map(|call| &call.metadata);
                        for (key, raw) in fields.chain(&message.metadata) {
                            let value = serde_json::from_str(raw.as_str()).unwrap();
                            leaves(&key.decoded(), &value, &mut said);
                        }
                        for raw in &message.contexts {
                            let value = serde_json::from_str(raw.as_str()).unwrap();
                            leaves("contexts", &value, &mut said);
                        }
                        contexts = contexts.max(message.contexts.len());
                        marked += usize::from(message.train.is_some());
                    }
                }
                if marks < marked {
                    wrong.insert(
                        format!("{} {data_format} {marks} of {marked} marks", format.name()),
                        file.display().to_string(),
                    );
                }
                looked_at += 1;
                // What is on no path or in a task is told by a count of its own.
                let others = |told: Warning, has: bool| {
                    !has || notes.warnings.iter().any(|noted| noted.kind == told)
                };
                let has_branches = (0..conversation.rounds.len())
                    .any(|at| !path.contains(&at) && !conversation.rounds[at].messages.is_empty());
                if !others(Warning::CutContexts, contexts > CONTEXTS_PER_MESSAGE)
                    || !others(Warning::OtherBranches, has_branches)
                    || !others(Warning::TasksLeftOut, !conversation.tasks.is_empty())
                {
                    wrong.insert(format!("{} others", format.name()), file.display().to_string());
                }
                for (key, text) in missing(&said, &kept) {
                    wrong
                        .entry(format!("{} {data_format} {key}", format.name()))
                        .or_insert_with(|| format!("{} {text:.80}", file.display()));
                }
            }
        }
    }
    assert!(looked_at > 200, "only {looked_at} rows were looked at");
    assert!(
        wrong.is_empty(),
        "neither in the row nor in its extra nor told by its kind: {wrong:#?}"
    );
}
