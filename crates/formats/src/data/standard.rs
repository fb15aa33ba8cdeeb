//! `standard`: ShareGPT with roles `user`, `assistant`, `function_call`, `tool` and `system`, as
//! `spec/conversation-export.md` gives it and LLaMA-Factory reads it.

use std::borrow::Cow;

use memchr::memchr2_iter;
use retort_model::json::{write_escaped, write_string};
use retort_model::{
    Check, Conversation, Kind, LeftOut, Message, Reason, Repair, Role, Round, Text, Warning,
};

use super::arguments::object_of;
use super::schema::{Field, Schema, Sink, Type};
use super::tools::{ToolBench, Tools, push_once};
use super::turns::{Rules, Side, Turn, Turns, collect};
use super::{
    DataFormat, Outcome, RecordLeftOut, RecordNotes, ShapeContext, ShapeOptions, ToolsAs,
    TrainerColumns,
};

/// The format.
pub(super) struct Standard;

const MESSAGES: Type = Type::List(&Type::Struct(&[
    Field::required("role", Type::Word),
    Field::required("content", Type::Text),
]));
const TEXTS: Type = Type::List(&Type::Word);

macro_rules! columns {
    ($tools:expr $(, $flat:literal)*) => {
        Schema {
            fields: &[
                Field::required("data_source", Type::Word),
                Field::required("ability", TEXTS),
                Field::required("messages", MESSAGES),
                Field::required("tools", $tools),
                Field::required("model", Type::Word),
                Field::required("conversation_id", Type::Text),
                Field::required("extra", Type::Text),
                $(Field::required($flat, Type::Text)),*
            ],
        }
    };
}

static NESTED: Schema = columns!(Type::Word);
static WITH_TOOL_ARRAY: Schema = columns!(Type::Json);
static FLAT: Schema = columns!(Type::Word, "instruction", "input", "output", "system");

static NESTED_COLUMNS: TrainerColumns = TrainerColumns {
    formatting: "sharegpt",
    columns: &[("messages", "messages"), ("tools", "tools")],
    tags: &[
        ("role_tag", "role"),
        ("content_tag", "content"),
        ("user_tag", "user"),
        ("assistant_tag", "assistant"),
        ("function_tag", "function_call"),
        ("observation_tag", "tool"),
        ("system_tag", "system"),
    ],
};
static FLAT_COLUMNS: TrainerColumns = TrainerColumns {
    formatting: "alpaca",
    columns: &[
        ("prompt", "instruction"),
        ("query", "input"),
        ("response", "output"),
        ("system", "system"),
        ("tools", "tools"),
    ],
    tags: &[],
};

const RULES: Rules = Rules { joins_results: true, calls_are_answered: false };
/// What stands where no result of a call was recorded.
pub(super) const NO_RESULT: &str = r#"{"error":"no result recorded"}"#;

impl DataFormat for Standard {
    fn name(&self) -> &'static str {
        "standard"
    }

    fn about(&self) -> &'static str {
        "ShareGPT records for fine-tuning: one a conversation, one a round of a graph"
    }

    fn schema(&self, options: &ShapeOptions, flat: bool) -> &'static Schema {
        match (flat, options.tools) {
            (true, _) => &FLAT,
            (false, ToolsAs::Text) => &NESTED,
            (false, ToolsAs::Array) => &WITH_TOOL_ARRAY,
        }
    }

    fn is_for_training(&self) -> bool {
        true
    }

    fn trainer_columns(&self, flat: bool) -> Option<TrainerColumns> {
        Some(if flat { FLAT_COLUMNS } else { NESTED_COLUMNS })
    }

    fn card_notes(&self, options: &ShapeOptions, flat: bool) -> String {
        if flat {
            return "CSV is for spreadsheets. The flat columns `instruction`, `input`, `output` and `system` can be trained \
                    on through `dataset_info.json`; calls of tools inside a history are then text that is not trained. \
                    For training take JSON Lines or Parquet."
                .into();
        }
        let mut notes = String::from(
            "LLaMA-Factory reads the folder through `dataset_info.json`. `messages` holds the roles `system`, `user`, \
             `assistant`, `function_call` and `tool`; the content of a `function_call` is the JSON text of a list of \
             calls. `extra` holds as JSON text what the columns cannot.",
        );
        if options.tools == ToolsAs::Array {
            notes.push_str(
                "\n\n`tools` is a bare array here, which LLaMA-Factory does not take, and where definitions differ in \
                 shape `load_dataset` refuses the file. As text (the default) it trains everywhere.",
            );
        }
        notes
    }

    fn shape(
        &self,
        conversation: &Conversation<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        shape_records(conversation, context.options.tasks, |draft| {
            write(conversation, draft, context, out)
        })
    }
}

/// Why a conversation makes no record at all.
fn nothing_to_write(conversation: &Conversation<'_>) -> LeftOut {
    match conversation.kind {
        Kind::Graph if !conversation.rounds.is_empty() => {
            LeftOut::new(Reason::OnlyStartRound, "no round with messages after the start round")
        }
        _ => LeftOut::new(Reason::NoMessages, "no messages"),
    }
}

/// What becomes one record.
pub(super) struct Draft<'c> {
    /// The rounds, in order.
    pub rounds: Vec<&'c Round<'c>>,
    /// The model to name.
    pub model: Option<&'c Text<'c>>,
    /// The round of a graph that it is.
    pub graph_round: Option<&'c Round<'c>>,
    /// The id and agent of the sub-agent's task that it is.
    pub task: Option<&'c retort_model::Task<'c>>,
}

impl Draft<'_> {
    /// Which part of the conversation it is, in words; none if it is the whole.
    pub(super) fn part_words(&self) -> Option<String> {
        match (self.graph_round, self.task) {
            (_, Some(task)) => Some(format!("task {}", task.id.decoded())),
            (Some(round), None) => Some(format!("round {}", round.number)),
            (None, None) => None,
        }
    }
}

/// The records of a conversation: one of all rounds of the active path, or one a round of a graph but its start;
/// with `tasks`, one for each sub-agent's task too. Rounds without messages make none.
fn each_record<'c>(
    conversation: &'c Conversation<'c>,
    tasks: bool,
    mut take: impl FnMut(Draft<'c>),
) {
    let path = conversation.active_path();
    if conversation.kind == Kind::Graph {
        let is_start = |round: &Round<'_>| {
            round.node.as_ref().map_or(round.number <= 1, |node| node == "start")
        };
        for &position in &path {
            let Some(round) = conversation.rounds.get(position) else { continue };
            if is_start(round) || round.messages.is_empty() {
                continue;
            }
            let model = round
                .model
                .as_ref()
                .filter(|model| !model.is_empty())
                .or(conversation.model.as_ref());
            take(Draft { rounds: vec![round], model, graph_round: Some(round), task: None });
        }
    } else {
        let rounds: Vec<_> =
            path.iter().filter_map(|&position| conversation.rounds.get(position)).collect();
        if rounds.iter().any(|round| !round.messages.is_empty()) {
            let model = conversation.model_of(path.iter().copied());
            take(Draft { rounds, model, graph_round: None, task: None });
        }
    }
    for task in conversation.tasks.iter().filter(|_| tasks) {
        let rounds: Vec<_> = task.rounds.iter().collect();
        if rounds.iter().any(|round| !round.messages.is_empty()) {
            let model = rounds
                .iter()
                .rev()
                .find_map(|round| round.model.as_ref())
                .or(conversation.model.as_ref());
            take(Draft { rounds, model, graph_round: None, task: Some(task) });
        }
    }
}

/// Writes the records of a conversation one by one and accounts for each.
pub(super) fn shape_records<'c>(
    conversation: &'c Conversation<'c>,
    tasks: bool,
    mut write: impl FnMut(&Draft<'c>) -> Result<RecordNotes, LeftOut>,
) -> Outcome {
    let mut outcome = Outcome::default();
    each_record(conversation, tasks, |draft| match write(&draft) {
        Ok(notes) => outcome.records.push(notes),
        Err(why) => outcome.left_out.push(RecordLeftOut { part: draft.part_words(), why }),
    });
    if outcome.records.is_empty() && outcome.left_out.is_empty() {
        return Outcome::left_out(None, nothing_to_write(conversation));
    }
    outcome
}

/// What becomes a record, put in order as the check asks, and what was found in it.
pub(super) struct Examined<'c> {
    pub turns: Turns<'c>,
    pub tools: Tools,
    pub repairs: Vec<Repair>,
    pub hopeless: Option<LeftOut>,
}

/// Puts the turns of a draft in order. With the check off they stay as they are, and what it would have taken is
/// only told.
pub(super) fn examine<'c>(
    draft: &Draft<'c>,
    bench: &mut ToolBench,
    check: Check,
    rules: Rules,
) -> Result<Examined<'c>, LeftOut> {
    let messages = || draft.rounds.iter().flat_map(|round| round.messages.iter());
    let mut turns = collect(messages());
    let tools = bench.prepare(draft.rounds.iter().flat_map(|round| round.tools.iter()));
    let mut hopeless = turns.hopeless();
    if check == Check::Off {
        // Mended aside, to be able to say what a trainer would refuse.
        let mut aside = collect(messages());
        if let Err(why) = aside.mend(rules) {
            hopeless = hopeless.or(Some(why));
        }
        turns.repairs = aside.repairs;
    } else if hopeless.is_none() {
        turns.mend(rules)?;
    }
    let mut repairs = std::mem::take(&mut turns.repairs);
    for &repair in &tools.repairs {
        push_once(&mut repairs, repair);
    }
    Ok(Examined { turns, tools, repairs, hopeless })
}

/// Sorts what a check found into what was done and what was not, by what was asked.
pub(super) fn settle(
    check: Check,
    hopeless: Option<LeftOut>,
    repairs: Vec<Repair>,
) -> Result<RecordNotes, LeftOut> {
    match (check, hopeless) {
        (Check::Off, hopeless) => {
            let (unrepaired, repairs) =
                repairs.into_iter().partition(|repair| repair.is_needed_by_trainers());
            Ok(RecordNotes {
                repairs,
                unrepaired,
                unfit: hopeless.map(|why| why.reason),
                ..RecordNotes::default()
            })
        }
        (_, Some(why)) => Err(why),
        (Check::Reject, None) => {
            let needed: Vec<_> = repairs
                .iter()
                .filter(|repair| repair.is_needed_by_trainers())
                .map(|repair| repair.words())
                .collect();
            if needed.is_empty() {
                Ok(RecordNotes { repairs, ..RecordNotes::default() })
            } else {
                Err(LeftOut::new(Reason::NeedsRepair, needed.join("; ")))
            }
        }
        (Check::Repair, None) => Ok(RecordNotes { repairs, ..RecordNotes::default() }),
    }
}

fn write(
    conversation: &Conversation<'_>,
    draft: &Draft<'_>,
    context: &mut ShapeContext<'_>,
    out: &mut dyn Sink,
) -> Result<RecordNotes, LeftOut> {
    let options = context.options;
    let Examined { turns, tools, mut repairs, mut hopeless } =
        examine(draft, context.tools, options.check, RULES)?;
    let contents = contents(&turns, options, &mut repairs, &mut hopeless);
    let mut notes = settle(options.check, hopeless, repairs)?;
    warn(&turns, &mut notes.warnings);

    let extra = extra(draft, &turns, &tools, options);
    out.begin_row();
    out.str(conversation.kind.as_str());
    out.open_list();
    for tag in &conversation.tags {
        out.text(tag);
    }
    out.close_list();
    out.open_list();
    if let Some(system) = turns.system {
        message(out, "system", &system.words());
    }
    for (turn, content) in turns.turns.iter().zip(&contents) {
        message(out, &role_of(turn), content);
    }
    out.close_list();
    let is_array = options.tools == ToolsAs::Array && !context.flat;
    match (tools.tools.is_empty(), options.check == Check::Off) {
        (true, _) if is_array => out.json("[]"),
        (true, _) => out.str(""),
        (false, true) if is_array => out.json(&tools.to_json(|tool| &tool.source)),
        (false, true) => out.str(&tools.to_json(|tool| &tool.source)),
        (false, false) if is_array => out.json(&tools.to_json(|tool| &tool.completed)),
        (false, false) => out.text(&Text::Escaped(&tools.to_json(|tool| &tool.completed_escaped))),
    }
    out.text(draft.model.unwrap_or(&Text::default()));
    out.text(&conversation.id);
    out.str(&extra);
    if context.flat {
        flat(&turns, &contents, out);
    }
    out.end_row();
    Ok(notes)
}

fn message(out: &mut dyn Sink, role: &str, content: &Text<'_>) {
    out.open_struct();
    out.str(role);
    out.text(content);
    out.close_struct();
}

fn role_of<'t>(turn: &'t Turn<'_>) -> Cow<'t, str> {
    match turn.side {
        Side::Answer => "assistant".into(),
        Side::Call => "function_call".into(),
        Side::Results => "tool".into(),
        Side::Question => match turn.first {
            // Only where the check is off.
            Some(message) if message.role == Role::Other => message.role_word(),
            _ => "user".into(),
        },
    }
}

/// The content of each turn.
fn contents<'c>(
    turns: &Turns<'c>,
    options: ShapeOptions,
    repairs: &mut Vec<Repair>,
    hopeless: &mut Option<LeftOut>,
) -> Vec<Text<'c>> {
    let mut contents = Vec::with_capacity(turns.turns.len());
    for turn in &turns.turns {
        contents.push(match turn.side {
            Side::Question | Side::Answer => turn.text(),
            Side::Call => {
                if turn.messages().any(|message| !super::turns::is_blank(message)) {
                    push_once(repairs, Repair::MovedCallText);
                }
                let (text, problem) = calls_text(turn, options, repairs);
                if hopeless.is_none() {
                    *hopeless = problem;
                }
                text.into()
            }
            Side::Results => results_text(turn),
        });
    }
    contents
}

/// The JSON text of a turn's calls: a list of `{"name", "arguments"}`. `<` is escaped, as templates look for
/// their own tags in it.
fn calls_text(
    turn: &Turn<'_>,
    options: ShapeOptions,
    repairs: &mut Vec<Repair>,
) -> (String, Option<LeftOut>) {
    let mut out = Vec::with_capacity(128);
    let mut problem = None;
    let mut found = Vec::new();
    for (index, call) in turn.calls().enumerate() {
        out.extend_from_slice(if index == 0 { b"[{\"name\": " } else { b", {\"name\": " });
        write_string(&call.name.decoded(), &mut out);
        out.extend_from_slice(b", \"arguments\": ");
        if call.name.is_empty() && problem.is_none() {
            problem =
                Some(LeftOut::new(Reason::CallWithoutTool, "a call without the name of a tool"));
        }
        match object_of(call, options.wrap_arguments, &mut found) {
            Ok(arguments) => out.extend_from_slice(arguments.as_bytes()),
            Err(why) => {
                problem.get_or_insert(why);
                write_string(&call.arguments.decoded(), &mut out);
            }
        }
        out.push(b'}');
    }
    out.push(b']');
    for repair in found {
        push_once(repairs, repair);
    }
    let text = String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let text = if text.contains('<') { text.replace('<', "\\u003c") } else { text };
    (text, problem)
}

/// A single result as its own text, several as a JSON array in the order of the calls.
fn results_text<'c>(turn: &Turn<'c>) -> Text<'c> {
    match (turn.results.as_slice(), turn.first) {
        // As it stands, where nothing was mended.
        ([], Some(message)) => message.words(),
        ([Some(message)], _) => message.words(),
        ([None], _) => NO_RESULT.into(),
        (results, _) => {
            let mut out = vec![b'['];
            for (index, result) in results.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                let text = result.map_or(Text::from(NO_RESULT), |message| message.words());
                let text = text.decoded();
                if text.starts_with(['{', '['])
                    && retort_model::RawJson::parse(&text).is_ok_and(|raw| raw.as_str() == text)
                {
                    out.extend_from_slice(text.as_bytes());
                } else {
                    write_string(&text, &mut out);
                }
            }
            out.push(b']');
            String::from_utf8_lossy(&out).into_owned().into()
        }
    }
}

/// What trainers take, but people should know.
fn warn(turns: &Turns<'_>, warnings: &mut Vec<Warning>) {
    let (mut mark, mut attached) = (false, false);
    let mut look = |message: &Message<'_>| {
        mark = mark || has_template_mark(message);
        attached = attached || has_attachments(message);
    };
    turns.system.into_iter().for_each(&mut look);
    for turn in &turns.turns {
        turn.messages().for_each(&mut look);
    }
    if mark {
        warnings.push(Warning::TemplateMark);
    }
    if attached {
        warnings.push(Warning::AttachmentLeftBehind);
    }
    if turns.turns.iter().any(|turn| {
        turn.side == Side::Question && turn.messages().all(|m| super::turns::is_blank(m))
    }) {
        warnings.push(Warning::EmptyQuestion);
    }
}

fn has_template_mark(message: &Message<'_>) -> bool {
    let has = |text: &Text<'_>| {
        let bytes = text.as_written().as_bytes();
        memchr2_iter(b'<', b'{', bytes).any(|at| {
            let rest = bytes.get(at..).unwrap_or_default();
            [&b"<image>"[..], b"<video>", b"<audio>", b"{{idx}}", b"{{content}}"]
                .iter()
                .any(|mark| rest.starts_with(mark))
        })
    };
    match &message.content {
        None => false,
        Some(retort_model::Content::Text(text)) => has(text),
        Some(retort_model::Content::Parts(parts)) => {
            parts.iter().filter_map(|part| part.text.as_ref()).any(has)
        }
    }
}

/// Whether a message has pictures, sound or files. Nearly none has.
pub(super) fn has_attachments(message: &Message<'_>) -> bool {
    let may = !message.metadata.is_empty()
        || matches!(message.content, Some(retort_model::Content::Parts(_)));
    may && attachments_of(message).next().is_some()
}

/// Pictures, sound and files of a message, as JSON: its parts, and the fields in which some systems keep them.
pub(super) fn attachments_of<'m>(message: &'m Message<'_>) -> impl Iterator<Item = &'m str> {
    let parts = message
        .attachments()
        .filter_map(|part| part.raw.as_ref())
        .map(retort_model::RawJson::as_str);
    let fields = message
        .metadata
        .iter()
        .filter(|(key, raw)| {
            matches!(key.as_written(), "image_paths" | "imageUrls" | "images" | "videos" | "audios")
                && !matches!(raw.as_str(), "[]" | "null" | "\"\"")
        })
        .map(|(_, raw)| raw.as_str());
    parts.chain(fields)
}

/// The flat columns: everything before the last answer, its speakers named; nothing; the last answer; the
/// system's text.
fn flat(turns: &Turns<'_>, contents: &[Text<'_>], out: &mut dyn Sink) {
    let last = turns.turns.iter().rposition(|turn| matches!(turn.side, Side::Answer | Side::Call));
    let mut instruction = String::new();
    let before = last.unwrap_or(turns.turns.len());
    for (turn, content) in turns.turns.iter().zip(contents).take(before) {
        if before > 1 {
            if !instruction.is_empty() {
                instruction.push_str("\n\n");
            }
            instruction.push_str(&role_of(turn));
            instruction.push_str(": ");
        }
        content.push_to(&mut instruction);
    }
    out.str(&instruction);
    out.str("");
    out.text(last.and_then(|last| contents.get(last)).unwrap_or(&Text::default()));
    out.text(&turns.system.map(|system| system.words()).unwrap_or_default());
}

/// Writes JSON objects that are only begun when there is something to say.
struct Lazy<'o> {
    out: &'o mut Vec<u8>,
    begun: bool,
}

impl Lazy<'_> {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.push(if self.begun { b',' } else { b'{' });
        self.begun = true;
        write_string(key, self.out);
        self.out.push(b':');
        self.out
    }

    fn text(&mut self, key: &str, text: &Text<'_>) {
        text.write_string(self.key(key));
    }

    fn end(self) -> bool {
        if self.begun {
            self.out.push(b'}');
        }
        self.begun
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// What the columns cannot hold, as JSON text; empty if there is nothing.
pub(super) fn extra(
    draft: &Draft<'_>,
    turns: &Turns<'_>,
    tools: &Tools,
    options: ShapeOptions,
) -> String {
    let is_plain = draft.graph_round.is_none()
        && draft.task.is_none()
        && turns.cut.is_empty()
        && turns.other_systems.is_empty()
        && tools.nameless.is_empty()
        && turns.system.is_none_or(|system| is_plain_message(system))
        && turns.turns.iter().all(|turn| {
            matches!(turn.side, Side::Question | Side::Answer)
                && turn.more.is_empty()
                && turn.messages().all(is_plain_message)
        });
    if is_plain {
        return String::new();
    }
    let mut buffer = Vec::with_capacity(256);
    let mut object = Lazy { out: &mut buffer, begun: false };
    if let Some(round) = draft.graph_round {
        object.key("round").extend_from_slice(round.number.to_string().as_bytes());
        if let Some(node) = &round.node {
            object.text("node", node);
        }
        if let Some(agent) = &round.agent {
            object.text("agent", agent);
        }
    }
    if let Some(task) = draft.task {
        object.text("task", &task.id);
        if let Some(agent) = &task.agent {
            object.text("agent", agent);
        }
        if let Some(id) = &task.tool_call_id {
            object.text("task_of_call", id);
        }
    }
    let offset = usize::from(turns.system.is_some());
    let mut told = Vec::new();
    for (index, turn) in turns.turns.iter().enumerate() {
        let mut entry = Vec::new();
        if turn_extra(index + offset, turn, options, &mut entry) {
            told.push(entry);
        }
    }
    if let Some(system) = turns.system.filter(|system| !is_plain_message(system)) {
        let mut entry = Vec::new();
        if turn_extra(
            0,
            &Turn {
                side: Side::Question,
                first: Some(system),
                more: Vec::new(),
                results: Vec::new(),
            },
            options,
            &mut entry,
        ) {
            told.insert(0, entry);
        }
    }
    if !told.is_empty() {
        list(object.key("turns"), told.iter(), |entry, out| out.extend_from_slice(entry));
    }
    if !turns.other_systems.is_empty() {
        list(object.key("other_systems"), turns.other_systems.iter(), |m, out| {
            m.words().write_string(out);
        });
    }
    if !turns.cut.is_empty() {
        list(object.key("cut"), turns.cut.iter(), |(before, message), out| {
            write_cut(before + offset, message, out);
        });
    }
    if !tools.nameless.is_empty() {
        list(object.key("other_tools"), tools.nameless.iter(), |tool, out| {
            out.extend_from_slice(tool.source.as_bytes());
        });
    }
    object.end();
    String::from_utf8(buffer).unwrap_or_default()
}

fn is_plain_message(message: &Message<'_>) -> bool {
    message.reasoning.is_none() && message.contexts.is_empty() && !has_attachments(message)
}

/// What one turn says beyond its content; false if nothing.
fn turn_extra(at: usize, turn: &Turn<'_>, options: ShapeOptions, out: &mut Vec<u8>) -> bool {
    let mut object = Lazy { out, begun: false };
    object.key("at").extend_from_slice(at.to_string().as_bytes());
    let bare = object.out.len();
    if turn.side == Side::Call {
        let text = turn.text();
        if !text.is_empty() {
            object.text("text", &text);
        }
        list(object.key("call_ids"), turn.calls(), |call, out| call.id.write_string(out));
    }
    let mut reasoning = turn.messages().filter_map(|message| message.reasoning.as_ref()).peekable();
    if reasoning.peek().is_some() {
        let texts: Vec<_> = reasoning.map(|text| text.decoded()).collect();
        write_string(&texts.join("\n\n"), object.key("reasoning"));
    }
    if turn.side == Side::Results && (turn.messages().count() > 1 || turn.results.len() > 1) {
        list(object.key("results"), turn.messages(), |message, out| {
            let mut result = Lazy { out, begun: false };
            result.text("id", message.tool_call_id.as_ref().unwrap_or(&Text::default()));
            result.text("content", &message.words());
            result.end();
        });
    }
    if !turn.more.is_empty() && turn.side != Side::Results {
        list(object.key("joined"), turn.messages(), |message, out| {
            message.words().write_string(out);
        });
    }
    let mut attachments = turn.messages().flat_map(attachments_of).peekable();
    if attachments.peek().is_some() {
        list(object.key("attachments"), attachments, |raw, out| {
            out.extend_from_slice(raw.as_bytes());
        });
    }
    let mut contexts = turn.messages().flat_map(|message| &message.contexts).peekable();
    if contexts.peek().is_some() {
        let contexts = contexts.take(options.max_contexts);
        list(object.key("contexts"), contexts, |raw, out| {
            out.extend_from_slice(raw.as_str().as_bytes());
        });
    }
    let said = object.out.len() > bare;
    object.end();
    said
}

fn write_cut(before: usize, message: &Message<'_>, out: &mut Vec<u8>) {
    let mut object = Lazy { out, begun: false };
    object.key("before").extend_from_slice(before.to_string().as_bytes());
    object.key("role").push(b'"');
    write_escaped(&message.role_word(), object.out);
    object.out.push(b'"');
    object.text("content", &message.words());
    if !message.tool_calls.is_empty() {
        list(object.key("calls"), message.tool_calls.iter(), |call, out| {
            let mut object = Lazy { out, begun: false };
            object.text("id", &call.id);
            object.text("name", &call.name);
            object.text("arguments", &call.arguments);
            object.end();
        });
    }
    if let Some(id) = &message.tool_call_id {
        object.text("tool_call_id", id);
    }
    if let Some(reasoning) = &message.reasoning {
        object.text("reasoning", reasoning);
    }
    object.end();
}
