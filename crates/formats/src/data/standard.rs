//! `standard`: ShareGPT with roles `user`, `assistant`, `function_call`, `tool` and `system`, as
//! LLaMA-Factory reads it.

use memchr::memchr2_iter;
use retort_json::{Text, Value, write_string};
use retort_model::{
    Check, Conversation, Item, ItemKind, LeftOut, Message, Reason, Repair, Role, Warning,
};

use super::arguments::object_of;
use super::attachments::has_attachments;
use super::carried::{COLUMNS, Carried, Media, ShownAs};
use super::chat_messages::{ReasoningPlace, with_reasoning};
use super::chat_row::ChatRow;
use super::extra::{Held, extra};
use super::format::{
    DataFormat, Noted, Outcome, RecordNotes, ShapeContext, ShapeOptions, ToolsAs, TrainerColumns,
};
use super::record::{Draft, Examined, NO_RESULT, examine, settle, shape_records};
use super::repairs::Repairs;
use super::schema::{Field, Schema, Sink, Type};
use super::tools::Tools;
use super::turn::{Side, Turn, is_blank, result_words};
use super::turns::{Rules, Turns, Unlearnt};

/// The format.
pub(super) struct Standard;

pub(super) const MESSAGES: Type = Type::List(&Type::Struct(&[
    Field::required("role", Type::Word),
    Field::required("content", Type::Text),
]));
const TEXTS: Type = Type::List(&Type::Word);

macro_rules! columns {
    ($tools:expr $(, $more:expr)*) => {
        Schema::of(&[
                Field::required("data_source", Type::Word),
                Field::required("ability", TEXTS),
                Field::required("messages", MESSAGES),
                Field::required("tools", $tools),
                Field::required("model", Type::Word),
                Field::required("conversation_id", Type::Text),
                Field::required("extra", Type::Text),
                $($more),*
        ])
    };
}

static NESTED: Schema = columns!(Type::Word);
static WITH_TOOL_ARRAY: Schema = columns!(Type::Json);
static FLAT: Schema = columns!(
    Type::Word,
    Field::required("instruction", Type::Text),
    Field::required("input", Type::Text),
    Field::required("output", Type::Text),
    Field::required("system", Type::Text)
);
static WITH_MEDIA: Schema = columns!(Type::Word, COLUMNS[0], COLUMNS[1], COLUMNS[2]);
static WITH_TOOL_ARRAY_AND_MEDIA: Schema = columns!(Type::Json, COLUMNS[0], COLUMNS[1], COLUMNS[2]);

/// The words for roles, as LLaMA-Factory is told of them.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("role_tag", "role"),
    ("content_tag", "content"),
    ("user_tag", "user"),
    ("assistant_tag", "assistant"),
    ("function_tag", "function_call"),
    ("observation_tag", "tool"),
    ("system_tag", "system"),
];

const NESTED_COLUMNS: TrainerColumns = TrainerColumns {
    formatting: "sharegpt",
    ranking: false,
    columns: &[("messages", "messages"), ("tools", "tools")],
    tags: TAGS,
};
static MEDIA_COLUMNS: TrainerColumns = TrainerColumns {
    columns: &[
        ("messages", "messages"),
        ("tools", "tools"),
        ("images", "images"),
        ("videos", "videos"),
        ("audios", "audios"),
    ],
    ..NESTED_COLUMNS
};
static FLAT_COLUMNS: TrainerColumns = TrainerColumns {
    formatting: "alpaca",
    ranking: false,
    columns: &[
        ("prompt", "instruction"),
        ("query", "input"),
        ("response", "output"),
        ("system", "system"),
        ("tools", "tools"),
    ],
    tags: &[],
};

/// What to tell on the card of rows with images, videos and sound.
pub(super) const MEDIA_NOTE: &str = "\n\n`images`, `videos` and `audios` list what the messages show, in the order of the \
    marks `<image>`, `<video>` and `<audio>` in them: as paths of files in this folder, or as URLs.";

pub(super) const RULES: Rules = Rules {
    joins_results: true,
    calls_are_answered: false,
    questions_have_words: false,
    // LLaMA-Factory masks the whole history or nothing of it.
    unlearnt: Unlearnt::Refused,
    fill: false,
    needs_attachments: true,
    last_is_learnt: false,
    may_ask: false,
};

impl DataFormat for Standard {
    fn name(&self) -> &'static str {
        "standard"
    }

    fn about(&self) -> &'static str {
        "ShareGPT: one record per conversation; for graphs, one per round"
    }

    fn schema(&self, options: &ShapeOptions, flat: bool) -> Schema {
        let schema = match (flat, options.tools, self.writes_files(options)) {
            (true, ..) => &FLAT,
            (false, ToolsAs::Text, false) => &NESTED,
            (false, ToolsAs::Array, false) => &WITH_TOOL_ARRAY,
            (false, ToolsAs::Text, true) => &WITH_MEDIA,
            (false, ToolsAs::Array, true) => &WITH_TOOL_ARRAY_AND_MEDIA,
        };
        schema.clone()
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation, ItemKind::Run]
    }

    fn is_for_training(&self) -> bool {
        true
    }

    fn has_ids_apart(&self) -> bool {
        false
    }

    fn carries_attachments(&self, _options: &ShapeOptions) -> bool {
        true
    }

    fn trainer_columns(&self, options: &ShapeOptions, flat: bool) -> Option<TrainerColumns> {
        Some(match (flat, self.writes_files(options)) {
            (true, _) => FLAT_COLUMNS,
            (false, true) => MEDIA_COLUMNS,
            (false, false) => NESTED_COLUMNS,
        })
    }

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        Some(vec![ChatRow::standard(row.get("messages")?, row.get("tools"))?])
    }

    fn card_notes(&self, options: &ShapeOptions, flat: bool) -> String {
        if flat {
            return "CSV is for spreadsheets. LLaMA-Factory can train on the flat columns `instruction`, `input`, \
                    `output` and `system` through `dataset_info.json`, which is left out if cells were guarded for \
                    spreadsheets; tool calls inside a history are then plain text that is not trained on. For \
                    training, use JSON Lines or Parquet."
                .into();
        }
        let mut notes = String::from(
            "LLaMA-Factory reads the folder through `dataset_info.json`. `messages` holds the roles `system`, `user`, \
             `assistant`, `function_call` and `tool`; the content of a `function_call` is the JSON text of a list of \
             calls. `extra` has, as JSON text, what the columns cannot hold.",
        );
        if self.writes_files(options) {
            notes.push_str(MEDIA_NOTE);
        }
        if options.tools == ToolsAs::Array {
            notes.push_str(
                "\n\n`tools` is a JSON array here. LLaMA-Factory does not accept that, and `load_dataset` refuses the \
                 file if definitions differ in shape. As text (the default), every trainer reads it.",
            );
        }
        notes
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        shape_records(item, context.options, |conversation, draft| {
            write(conversation, draft, context, out)
        })
    }
}

/// What a record says, in the words of ShareGPT.
pub(super) struct Said<'c> {
    /// The system message.
    pub system: Option<Text<'c>>,
    /// The turns that follow it.
    pub turns: Turns<'c>,
    /// The content of each turn.
    pub contents: Vec<Text<'c>>,
    pub tools: Tools,
    pub notes: RecordNotes,
    /// What the messages do not hold, as JSON text; empty if nothing.
    pub extra: String,
    /// What the messages show, where there are columns for it.
    pub media: Media,
}

/// Puts a draft into the words of ShareGPT.
pub(super) fn say<'c>(
    draft: &Draft<'c>,
    context: &mut ShapeContext<'_>,
    rules: Rules,
    shown_as: ShownAs,
) -> Result<Said<'c>, LeftOut> {
    let options = context.options;
    let (carried, files) = Carried::of(draft.messages(), context, shown_as);
    let Examined { turns, tools, mut repairs, mut hopeless } =
        examine(draft, context.tools, options, rules, &carried)?;
    let reasoning = ReasoningPlace::of(options, false);
    let contents = contents(&turns, &tools, options, reasoning, &mut repairs, &mut hopeless);
    let media = carried.media(turns.turns.iter().flat_map(Turn::messages));
    let system = turns.system.map(|system| system.words());
    let texts = contents.iter().chain(&system);
    hopeless = hopeless.or_else(|| media.strays(shown_as, texts, options));
    let mut notes = settle(draft, options.check, hopeless, &repairs)?;
    notes.files = files.of_messages(turns.turns.iter().flat_map(Turn::messages));
    warn(draft, &turns, options, &mut notes.warnings);
    let held = Held { call_text: false, reasoning: reasoning != ReasoningPlace::Extra };
    let extra = extra(draft, &turns, &tools, options, held);
    let system = turns.system.map(|system| system.words());
    Ok(Said { system, turns, contents, tools, notes, extra, media })
}

impl Said<'_> {
    /// Writes the messages, all or only the first `count` turns, as a list.
    pub(super) fn write_messages(&self, count: usize, out: &mut dyn Sink) {
        out.open_list();
        if let Some(system) = &self.system {
            message(out, &Text::Escaped("system"), system);
        }
        for (turn, content) in self.turns.turns.iter().zip(&self.contents).take(count) {
            message(out, &role_of(turn), content);
        }
        out.close_list();
    }

    /// The findings, with what the messages do not hold.
    pub(super) fn into_notes(self) -> RecordNotes {
        let extra = Some(self.extra).filter(|extra| !extra.is_empty());
        RecordNotes { extra, ..self.notes }
    }

    /// Writes the definitions of tools as text, empty if there are none.
    pub(super) fn write_tools(&self, check: Check, out: &mut dyn Sink) {
        if self.tools.tools.is_empty() {
            out.str("");
        } else if check == Check::Off {
            out.str(&self.tools.to_json(|tool| &tool.source));
        } else {
            out.text(&Text::Escaped(&self.tools.to_json(|tool| &tool.completed_escaped)));
        }
    }
}

fn write(
    conversation: &Conversation<'_>,
    draft: &Draft<'_>,
    context: &mut ShapeContext<'_>,
    out: &mut dyn Sink,
) -> Result<RecordNotes, LeftOut> {
    // With a row for each answer, the trainer masks the history.
    let unlearnt = if draft.answer_at.is_some() { Unlearnt::Context } else { RULES.unlearnt };
    let options = context.options;
    let has_media = Standard.writes_files(options);
    let said = say(draft, context, Rules { unlearnt, ..RULES }, ShownAs::Marks)?;
    out.begin_row();
    out.str(conversation.kind.as_str());
    out.open_list();
    for tag in &conversation.tags {
        out.text(tag);
    }
    out.close_list();
    said.write_messages(usize::MAX, out);
    if options.tools == ToolsAs::Array && !context.flat {
        let is_off = options.check == Check::Off;
        out.json(&said.tools.to_json(|tool| if is_off { &tool.source } else { &tool.completed }));
    } else {
        said.write_tools(options.check, out);
    }
    out.text(draft.model.unwrap_or(&Text::default()));
    match draft.suffix() {
        Some(suffix) => out.str(&format!("{}{suffix}", conversation.id.decoded())),
        None => out.text(&conversation.id),
    }
    out.str(&said.extra);
    if has_media && !context.flat {
        said.media.write(out);
    }
    if context.flat {
        flat(&said.turns, &said.contents, out);
    }
    out.end_row();
    Ok(said.notes)
}

pub(super) fn message(out: &mut dyn Sink, role: &Text<'_>, content: &Text<'_>) {
    out.open_struct();
    out.text(role);
    out.text(content);
    out.close_struct();
}

pub(super) fn role_of<'t>(turn: &'t Turn<'_>) -> Text<'t> {
    // Nothing in our own words is to be escaped.
    Text::Escaped(match turn.side {
        Side::Answer => "assistant",
        Side::Call => "function_call",
        Side::Results => "tool",
        Side::Question => match turn.first {
            // Only where the check is off.
            Some(message) if message.role == Role::Other => return message.role_word().into(),
            Some(message) if message.role == Role::System => "system",
            _ => "user",
        },
    })
}

/// The content of each turn.
fn contents<'c>(
    turns: &Turns<'c>,
    tools: &Tools,
    options: &ShapeOptions,
    reasoning: ReasoningPlace,
    repairs: &mut Repairs<'c>,
    hopeless: &mut Option<LeftOut>,
) -> Vec<Text<'c>> {
    let mut contents = Vec::with_capacity(turns.turns.len());
    for turn in &turns.turns {
        let content = match turn.side {
            Side::Question => turns.carried.text_of(turn.messages()).unwrap_or_else(|| turn.text()),
            Side::Answer => turn.text(),
            Side::Call => {
                if let Some(message) = turn.messages().find(|one| !is_blank(one)) {
                    repairs.add_at(Repair::MovedCallText, Some(message));
                }
                let (text, problem) = calls_text(turn, tools, options, repairs);
                if hopeless.is_none() {
                    *hopeless = problem;
                }
                text.into()
            }
            Side::Results => results_text(turn),
        };
        let reasoning = turn.reasoning().filter(|_| reasoning == ReasoningPlace::Front);
        contents.push(match reasoning {
            Some(reasoning) => with_reasoning(&reasoning, &content),
            None => content,
        });
    }
    contents
}

/// The JSON text of a turn's calls: a list of `{"name", "arguments"}`. `<` is escaped, as templates look for
/// their own tags in it.
fn calls_text<'c>(
    turn: &Turn<'c>,
    tools: &Tools,
    options: &ShapeOptions,
    repairs: &mut Repairs<'c>,
) -> (String, Option<LeftOut>) {
    let mut out = String::with_capacity(128);
    let mut problem = None;
    let mut found = Vec::new();
    for (index, call) in turn.calls().enumerate() {
        out.push_str(if index == 0 { "[{\"name\": " } else { ", {\"name\": " });
        write_string(&call.name.decoded(), &mut out);
        out.push_str(", \"arguments\": ");
        if call.name.is_empty() && problem.is_none() {
            problem =
                Some(LeftOut::new(Reason::CallWithoutTool, "a call without the name of a tool"));
        }
        match object_of(call, tools, options, &mut found) {
            Ok(arguments) => out.push_str(&arguments),
            Err(why) => {
                problem.get_or_insert(why);
                write_string(&call.arguments.decoded(), &mut out);
            }
        }
        out.push('}');
    }
    out.push(']');
    for repair in found {
        repairs.add_at(repair, turn.first);
    }
    if out.contains('<') {
        out = out.replace('<', "\\u003c");
    }
    (out, problem)
}

/// A single result as its own text, several as a JSON array in the order of the calls.
fn results_text<'c>(turn: &Turn<'c>) -> Text<'c> {
    match (turn.results.as_slice(), turn.first) {
        // As it stands, where nothing was mended.
        ([], Some(message)) => result_words(message),
        ([Some(message)], _) => result_words(message),
        ([None], _) => NO_RESULT.into(),
        (results, _) => {
            let mut out = String::from("[");
            for (index, result) in results.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                let text = result.map_or(Text::from(NO_RESULT), result_words);
                let text = text.decoded();
                if text.starts_with(['{', '['])
                    && retort_json::RawJson::parse(&text).is_ok_and(|raw| raw.as_str() == text)
                {
                    out.push_str(&text);
                } else {
                    write_string(&text, &mut out);
                }
            }
            out.push(']');
            out.into()
        }
    }
}

/// What trainers take, but people should know.
fn warn(
    draft: &Draft<'_>,
    turns: &Turns<'_>,
    options: &ShapeOptions,
    warnings: &mut Vec<Noted<Warning>>,
) {
    let messages = || turns.system.into_iter().chain(turns.turns.iter().flat_map(Turn::messages));
    let carries = |turn: &Turn<'_>| turn.messages().any(|one| turns.carried.has(one));
    let empty = turns.turns.iter().find(|turn| turn.is_empty_question() && !carries(turn));
    for (warning, message) in [
        (Warning::TemplateMark, messages().find(|message| has_template_mark(message))),
        (
            Warning::AttachmentLeftBehind,
            messages().find(|one| has_attachments(one) && !turns.carried.has(one)),
        ),
        (
            Warning::ReasoningLeftBehind,
            ReasoningPlace::of(options, false).left_behind(&turns.turns),
        ),
        (Warning::EmptyQuestion, empty.and_then(|turn| turn.first)),
        (Warning::CutContexts, turns.with_more_contexts(options.max_contexts)),
    ] {
        if message.is_some() {
            warnings.push(draft.noted(warning, message));
        }
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

/// The flat columns: everything before the last answer, its speakers named; nothing; the last answer; the
/// system's text.
fn flat(turns: &Turns<'_>, contents: &[Text<'_>], out: &mut dyn Sink) {
    let last = turns.turns.iter().rposition(|turn| matches!(turn.side, Side::Answer | Side::Call));
    let before = last.unwrap_or(turns.turns.len());
    let bytes = contents.iter().take(before).map(|content| content.as_written().len() + 20).sum();
    let mut instruction = String::with_capacity(bytes);
    for (turn, content) in turns.turns.iter().zip(contents).take(before) {
        if before > 1 {
            if !instruction.is_empty() {
                instruction.push_str("\n\n");
            }
            role_of(turn).push_to(&mut instruction);
            instruction.push_str(": ");
        }
        content.push_to(&mut instruction);
    }
    out.str(&instruction);
    out.str("");
    out.text(last.and_then(|last| contents.get(last)).unwrap_or(&Text::default()));
    out.text(&turns.system.map(|system| system.words()).unwrap_or_default());
}
