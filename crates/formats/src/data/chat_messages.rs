//! Messages as chat systems take them, with tool calls whose ids and names are such as all of them take. Shared by the
//! data formats that write them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use retort_json::{RawJson, Text, Value, write_string};
use retort_model::{Check, Item, LeftOut, Message, Reason, Repair, Role, ToolCall, Warning};

use super::arguments::object_of;
use super::attachments::has_attachments;
use super::carried::{Carried, Media, Piece, ShownAs};
use super::extra::{Held, extra};
use super::format::{CallText, Outcome, ReasoningAs, RecordNotes, ShapeContext, ShapeOptions};
use super::record::{Draft, Examined, NO_RESULT, examine, settle, shape_records};
use super::repairs::Repairs;
use super::schema::Sink;
use super::tools::Tools;
use super::turn::{Side, Turn, is_blank, result_words};
use super::turns::{Rules, Unlearnt};

const RULES: Rules = Rules {
    joins_results: false,
    calls_are_answered: true,
    questions_have_words: true,
    unlearnt: Unlearnt::Refused,
    fill: false,
    needs_attachments: true,
    last_is_learnt: false,
    may_ask: false,
};

/// What a format's messages can say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    /// What becomes of answers that are not to be learnt.
    pub(super) unlearnt: Unlearnt,
    /// Whether a row may end with a question.
    pub(super) may_ask: bool,
    /// Whether there is a field for reasoning.
    pub(super) has_reasoning: bool,
    /// How images, videos and sound are held, if they are kept.
    pub(super) shown_as: ShownAs,
}

/// Longest tool name that OpenAI and Mistral take.
const TOOL_NAME: usize = 64;

/// What becomes one record, as chat messages.
pub(super) struct Speech<'c> {
    pub(super) messages: Vec<ChatMessageText<'c>>,
    /// The definitions of tools as a JSON array; empty if there are none.
    pub(super) tools: String,
    /// What the messages show, where there are columns for it.
    pub(super) media: Media,
    pub(super) notes: RecordNotes,
}

impl<'c> Speech<'c> {
    /// The messages before the last one of the model, and those from it on; all of them and none if a question is the last.
    pub(super) fn split_at_answer(&self) -> (&[ChatMessageText<'c>], &[ChatMessageText<'c>]) {
        let asks = self.messages.last().is_some_and(|message| message.role == "user");
        let answer = self.messages.iter().rposition(|message| message.role == "assistant");
        self.messages.split_at(answer.filter(|_| !asks).unwrap_or(self.messages.len()))
    }
}

/// Writes the records of an item whose rows are made of chat messages. `write` writes the values of one row.
pub(super) fn shape_speech(
    item: &Item<'_>,
    voice: Voice,
    context: &mut ShapeContext<'_>,
    out: &mut dyn Sink,
    write: impl Fn(&Draft<'_>, &Speech<'_>, &mut dyn Sink),
) -> Outcome {
    let mut renamed_tools = Vec::new();
    let outcome = shape_records(item, context.options, |_, draft| {
        let speech = speak(draft, voice, context, &mut renamed_tools)?;
        out.begin_row();
        write(draft, &speech, out);
        out.end_row();
        Ok(speech.notes)
    });
    Outcome { renamed_tools, ..outcome }
}

/// Puts a draft into words. Tools that get another name are added to `renamed_tools`.
pub(super) fn speak<'c>(
    draft: &Draft<'c>,
    voice: Voice,
    context: &mut ShapeContext<'_>,
    renamed_tools: &mut Vec<(String, String)>,
) -> Result<Speech<'c>, LeftOut> {
    let options = context.options;
    let mends = options.check != Check::Off;
    let (carried, files) = Carried::of(draft.messages(), context, voice.shown_as);
    let rules = Rules { unlearnt: voice.unlearnt, may_ask: voice.may_ask, ..RULES };
    let Examined { turns, tools, mut repairs, mut hopeless } =
        examine(draft, context.tools, options, rules, &carried)?;
    let mut names = Names::default();
    let mut row = Row {
        options,
        mends,
        reasoning: ReasoningPlace::of(options, voice.has_reasoning),
        tools: &tools,
        calls: 0,
        repairs: &mut repairs,
        hopeless: &mut hopeless,
        carried: &carried,
        has_parts: matches!(voice.shown_as, ShownAs::Parts | ShownAs::Urls),
    };
    let definitions = row.definitions(&turns.turns, &mut names);
    let mut messages = row.chat_messages(turns.system, &turns.turns, &mut names);
    let reasoning = row.reasoning;
    if draft.answer_at.is_some() && voice.unlearnt == Unlearnt::Marked {
        // The answers before have rows of their own.
        let mut answers = messages.iter_mut().rev().filter(|message| message.role == "assistant");
        answers.next();
        answers.for_each(|message| message.is_learnt = Some(false));
    }
    let media = carried.media(turns.turns.iter().flat_map(Turn::messages));
    let texts = messages.iter().map(|message| &message.content);
    hopeless = hopeless.or_else(|| media.strays(voice.shown_as, texts, options));
    if voice.shown_as == ShownAs::Urls {
        hopeless = hopeless.or_else(|| media.too_many());
    }
    let mut notes = settle(draft, options.check, hopeless, &repairs)?;
    notes.files = files.of_messages(turns.turns.iter().flat_map(Turn::messages));
    let mut all = turns.turns.iter().flat_map(Turn::messages).chain(turns.system);
    for (warning, message) in [
        (Warning::AttachmentLeftBehind, all.find(|one| has_attachments(one) && !carried.has(one))),
        (Warning::CutContexts, turns.with_more_contexts(options.max_contexts)),
        (Warning::ReasoningLeftBehind, reasoning.left_behind(&turns.turns)),
    ] {
        if message.is_some() {
            notes.warnings.push(draft.noted(warning, message));
        }
    }

    let mut renames: Vec<_> =
        names.written.into_iter().filter(|(name, written)| name != written).collect();
    renames.sort_unstable();
    renamed_tools.extend(renames);

    let held = Held {
        call_text: !mends || options.call_text == CallText::Keep,
        reasoning: reasoning != ReasoningPlace::Extra,
    };
    notes.extra =
        Some(extra(draft, &turns, &tools, options, held)).filter(|extra| !extra.is_empty());
    Ok(Speech { messages, tools: definitions, media, notes })
}

/// A message as it is written.
#[derive(PartialEq)]
pub(super) struct ChatMessageText<'c> {
    pub(super) role: Cow<'c, str>,
    pub(super) content: Text<'c>,
    /// The reasoning, where the format has a field for it.
    pub(super) reasoning: Option<Text<'c>>,
    pub(super) calls: Vec<SpokenCall<'c>>,
    /// The id of the call that it answers.
    pub(super) answers: Option<Cow<'c, str>>,
    /// Of an answer whether it is learnt, where that is marked.
    pub(super) is_learnt: Option<bool>,
    /// What it says and shows, in order, where it shows something and the format has parts for that.
    pub(super) parts: Option<Vec<Piece>>,
}

impl<'c> ChatMessageText<'c> {
    fn new(role: impl Into<Cow<'c, str>>, content: Text<'c>) -> Self {
        Self {
            role: role.into(),
            content,
            reasoning: None,
            calls: Vec::new(),
            answers: None,
            is_learnt: None,
            parts: None,
        }
    }

    fn result(id: String, content: Text<'c>) -> Self {
        Self { answers: Some(id.into()), ..Self::new("tool", content) }
    }
}

/// A call as it is written.
#[derive(PartialEq)]
pub(super) struct SpokenCall<'c> {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Cow<'c, str>,
    /// Whether the arguments are JSON: with the check off they may be any text.
    is_json: bool,
}

impl SpokenCall<'_> {
    /// Writes the name and the arguments as a JSON object, with `space` after each colon and comma.
    pub(super) fn write_json(&self, space: &str, out: &mut String) {
        out.push_str("{\"name\":");
        out.push_str(space);
        write_string(&self.name, out);
        out.push(',');
        out.push_str(space);
        out.push_str("\"arguments\":");
        out.push_str(space);
        out.push_str(&self.arguments_as_json());
        out.push('}');
    }

    /// The arguments as JSON; a string, if the check is off and they are not JSON.
    pub(super) fn arguments_as_json(&self) -> Cow<'_, str> {
        if self.is_json {
            return Cow::Borrowed(&self.arguments);
        }
        let mut text = String::new();
        write_string(&self.arguments, &mut text);
        Cow::Owned(text)
    }
}

/// Where the reasoning of a row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReasoningPlace {
    /// Into a field of its own.
    Field,
    /// In front of what is said.
    Front,
    /// To `extra`.
    Extra,
    /// Nowhere.
    Nowhere,
}

impl ReasoningPlace {
    pub(super) fn of(options: &ShapeOptions, has_field: bool) -> Self {
        match options.reasoning {
            ReasoningAs::Keep if has_field => Self::Field,
            ReasoningAs::Keep | ReasoningAs::Extra => Self::Extra,
            ReasoningAs::Think => Self::Front,
            ReasoningAs::Drop => Self::Nowhere,
        }
    }

    /// The first message with reasoning that is not in the rows.
    pub(super) fn left_behind<'c>(self, turns: &[Turn<'c>]) -> Option<&'c Message<'c>> {
        if matches!(self, Self::Field | Self::Front) {
            return None;
        }
        let has = |message: &&Message<'_>| {
            message.reasoning.as_ref().is_some_and(|text| !text.is_blank())
        };
        turns.iter().flat_map(Turn::messages).find(has)
    }
}

/// What is said with the reasoning in front of it, as LLaMA-Factory and the templates of reasoning models read it.
pub(super) fn with_reasoning<'c>(reasoning: &Text<'_>, content: &Text<'c>) -> Text<'c> {
    format!("<think>\n{}\n</think>\n\n{}", reasoning.decoded().trim(), content.decoded()).into()
}

/// Whether trainers take a character in the name of a tool.
fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn is_valid(name: &str) -> bool {
    name.len() <= TOOL_NAME && name.chars().all(is_of_name)
}

/// Names of tools as the row writes them, alike in definitions and calls.
#[derive(Default)]
struct Names {
    written: HashMap<String, String>,
    /// The names that were written.
    taken: HashSet<String>,
}

impl Names {
    /// Keeps the names that are valid as they are for those that have them.
    fn reserve<'n>(&mut self, names: impl Iterator<Item = Cow<'n, str>>) {
        self.taken.extend(names.filter(|name| is_valid(name)).map(Cow::into_owned));
    }

    fn of(&mut self, name: &str, repairs: &mut Repairs<'_>) -> String {
        if let Some(written) = self.written.get(name) {
            return written.clone();
        }
        let mut written: String =
            name.chars().map(|c| if is_of_name(c) { c } else { '_' }).collect();
        let is_taken = written != name && self.taken.contains(&written);
        if written.len() > TOOL_NAME || is_taken {
            // What the name alone decides, so that it is the same in every row.
            written.truncate(TOOL_NAME - 9);
            written = format!("{written}_{:08x}", retort_model::fnv1a(name) & 0xffff_ffff);
        }
        if written != name {
            repairs.add(Repair::RenamedTool);
        }
        self.written.insert(name.to_owned(), written.clone());
        self.taken.insert(written.clone());
        written
    }
}

/// Builds one row and notes what it takes.
struct Row<'n, 'c> {
    options: &'n ShapeOptions,
    mends: bool,
    reasoning: ReasoningPlace,
    tools: &'n Tools,
    calls: usize,
    repairs: &'n mut Repairs<'c>,
    hopeless: &'n mut Option<LeftOut>,
    carried: &'n Carried,
    /// Whether what messages show is among parts of their content.
    has_parts: bool,
}

impl<'c> Row<'_, 'c> {
    /// The definitions as a JSON array; empty if there are none.
    fn definitions(&mut self, turns: &[Turn<'_>], names: &mut Names) -> String {
        let tools = self.tools;
        let mut definitions = Vec::new();
        if tools.tools.iter().any(|tool| tool.invalid) {
            self.repairs.add(Repair::MendedTools);
        }
        let called = || turns.iter().flat_map(Turn::calls).map(|call| call.name.decoded());
        if self.mends {
            let defined = tools.tools.iter().map(|tool| Cow::Borrowed(&*tool.name));
            names.reserve(defined.chain(called()));
        }
        for tool in &tools.tools {
            let name =
                if self.mends { names.of(&tool.name, self.repairs) } else { tool.name.to_string() };
            if !self.mends {
                definitions.push(tool.source.clone());
            } else if *name == *tool.name {
                definitions.push(tool.nested.clone());
            } else {
                definitions.push(renamed(&tool.nested, &name));
            }
        }
        for name in called().filter(|name| !name.is_empty()) {
            if tools.defines(&name) || names.written.contains_key(&*name) {
                continue;
            }
            self.repairs.add(Repair::DeclaredTool);
            let name = names.of(&name, self.repairs);
            if self.mends {
                definitions.push(format!(
                    r#"{{"type":"function","function":{{"name":"{name}","description":"","parameters":{{"type":"object","properties":{{}}}}}}}}"#
                ));
            }
        }
        if definitions.is_empty() { String::new() } else { format!("[{}]", definitions.join(",")) }
    }

    fn chat_messages(
        &mut self,
        system: Option<&'c Message<'c>>,
        turns: &[Turn<'c>],
        names: &mut Names,
    ) -> Vec<ChatMessageText<'c>> {
        let mut messages = Vec::with_capacity(turns.len() + 1);
        if let Some(system) = system
            && !(self.mends && is_blank(system))
        {
            messages.push(ChatMessageText::new("system", system.words()));
        }
        let mut open: Vec<String> = Vec::new();
        for turn in turns {
            match turn.side {
                Side::Question => messages.push(self.question(turn)),
                Side::Answer => {
                    let is_learnt = self.is_learnt(turn);
                    let answer = self.answer(turn, turn.text());
                    messages.push(ChatMessageText { is_learnt, ..answer });
                }
                Side::Call => {
                    let call = self.call(turn, names);
                    open = call.calls.iter().map(|call| call.id.clone()).collect();
                    messages.push(call);
                }
                Side::Results => self.results(turn, &mut open, &mut messages),
            }
        }
        messages
    }

    fn question(&mut self, turn: &Turn<'c>) -> ChatMessageText<'c> {
        let role = match turn.first {
            Some(message) if message.role == Role::Other => message.role_word(),
            Some(message) if message.role == Role::System => "system".into(),
            _ => "user".into(),
        };
        let mut content = self.carried.text_of(turn.messages()).unwrap_or_else(|| turn.text());
        if self.mends && self.options.fill && content.is_blank() {
            self.repairs.add_at(Repair::MarkedEmpty, turn.first);
            content = if turn.has_attachments() { "[attachment]".into() } else { "[empty]".into() };
        }
        let parts = self.has_parts.then(|| self.carried.pieces_of(turn.messages())).flatten();
        ChatMessageText { parts, ..ChatMessageText::new(role, content) }
    }

    /// Whether an answer is learnt, if that is to be marked.
    fn is_learnt(&self, turn: &Turn<'_>) -> Option<bool> {
        let is_marked = if self.mends { turn.unlearnt.is_some() } else { turn.is_marked() };
        let is_named = || turn.messages().any(|message| message.train == Some(true));
        if is_marked { Some(false) } else { is_named().then_some(true) }
    }

    fn call(&mut self, turn: &Turn<'c>, names: &mut Names) -> ChatMessageText<'c> {
        let mut calls = Vec::new();
        for call in turn.calls() {
            calls.push(self.one_call(call, turn.first, names));
        }
        let mut content = turn.text();
        let moves = self.mends && self.options.call_text == CallText::Extra;
        if moves && !content.is_empty() {
            self.repairs.add_at(Repair::MovedCallText, turn.first);
            content = Text::default();
        }
        let is_learnt = self.is_learnt(turn);
        ChatMessageText { calls, is_learnt, ..self.answer(turn, content) }
    }

    /// A message of the model with its reasoning.
    fn answer(&self, turn: &Turn<'c>, content: Text<'c>) -> ChatMessageText<'c> {
        let reasoning = match self.reasoning {
            ReasoningPlace::Field | ReasoningPlace::Front => turn.reasoning(),
            ReasoningPlace::Extra | ReasoningPlace::Nowhere => None,
        };
        match (self.reasoning, reasoning) {
            (ReasoningPlace::Front, Some(reasoning)) => {
                ChatMessageText::new("assistant", with_reasoning(&reasoning, &content))
            }
            (_, reasoning) => {
                ChatMessageText { reasoning, ..ChatMessageText::new("assistant", content) }
            }
        }
    }

    fn one_call(
        &mut self,
        call: &'c ToolCall<'c>,
        message: Option<&'c Message<'c>>,
        names: &mut Names,
    ) -> SpokenCall<'c> {
        self.calls += 1;
        let mut found = Vec::new();
        let (arguments, is_json) = match object_of(call, self.tools, self.options, &mut found) {
            Ok(arguments) => (arguments, true),
            Err(why) => {
                self.hopeless.get_or_insert(why);
                let text = call.arguments.decoded();
                let is_json = RawJson::parse(&text).is_ok();
                (text, is_json)
            }
        };
        for repair in found {
            self.repairs.add_at(repair, message);
        }
        let name = call.name.decoded();
        if name.is_empty() {
            self.hopeless.get_or_insert_with(|| {
                LeftOut::new(Reason::CallWithoutTool, "a call without the name of a tool")
            });
        }
        if self.mends {
            // Nine letters and digits, as Mistral demands, the same whenever the row is made.
            let id = format!("call{:05}", self.calls);
            SpokenCall { id, name: names.of(&name, self.repairs), arguments, is_json }
        } else {
            let id = call.id.decoded().into_owned();
            SpokenCall { id, name: name.into_owned(), arguments, is_json }
        }
    }

    fn results(
        &mut self,
        turn: &Turn<'c>,
        open: &mut Vec<String>,
        messages: &mut Vec<ChatMessageText<'c>>,
    ) {
        if turn.results.is_empty() && self.mends && open.len() > 1 {
            // Joined in the source: taken apart again, one for each call.
            let results = turn.first.and_then(super::joined::joined_results).unwrap_or_default();
            for (result, id) in results.into_iter().zip(open.drain(..)) {
                let content =
                    Text::from(if result.trim().is_empty() { "\"\"".to_owned() } else { result });
                messages.push(ChatMessageText::result(id, content));
            }
            return;
        }
        if turn.results.is_empty() {
            for message in turn.messages() {
                let answers =
                    message.tool_call_id.as_ref().map_or(Cow::Borrowed(""), Text::decoded);
                let result = ChatMessageText::new("tool", result_words(message));
                messages.push(ChatMessageText { answers: Some(answers), ..result });
            }
            return;
        }
        for (result, id) in turn.results.iter().zip(open.drain(..)) {
            let mut content = result.map_or(Text::from(NO_RESULT), result_words);
            if self.mends && content.is_blank() {
                // The JSON text of an empty string: what the tool said, where nothing may not be said.
                self.repairs.add_at(Repair::MarkedEmpty, *result);
                content = "\"\"".into();
            }
            messages.push(ChatMessageText::result(id, content));
        }
    }
}

fn renamed(nested: &str, name: &str) -> String {
    let Ok(mut value) = Value::parse(nested) else { return nested.to_owned() };
    if let Some(field) = value.get_mut("function").and_then(|function| function.get_mut("name")) {
        *field = Value::String(name.to_owned().into());
    }
    value.to_json()
}
