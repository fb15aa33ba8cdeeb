//! FastGPT's chats: the collection `chatitems` of its database, a message a row, and pages of its API for records. Reference:
//! `packages/global/core/chat/type` of FastGPT.

use retort_json::{RawJson, Text};
use retort_model::{Conversation, Feedback, Message, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::parts::Segment;
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct FastGpt;

/// Fields of rows that are not part of the chat, or repeat what other fields say.
const KNOWN: [&str; 8] = [
    "responseData",
    "totalQuoteList",
    "customFeedbacks",
    "adminFeedback",
    "llmModuleAccount",
    "historyPreviewLength",
    "citeCollectionIds",
    "memories",
];

impl ImportFormat for FastGpt {
    fn name(&self) -> &'static str {
        "fastgpt"
    }

    fn about(&self) -> &'static str {
        "FastGPT's chats: rows of its collection `chatitems`, or pages of its API for records"
    }

    fn notes(&self) -> &'static str {
        "Dump the collection with `mongodump` or `mongoexport --collection=chatitems`, or save the pages of \
         `/api/core/chat/getPaginationRecords`. Rows are joined by `chatId` and ordered by time; a page without it is \
         one chat. Reasoning, tools with their responses, and files become reasoning, calls with results, and parts; \
         likes and dislikes are feedback. The trace of the workflow (`responseData`) is kept as metadata. Tables of \
         exported logs (CSV) are not read. Written from FastGPT's code; no real file was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_row = |within: &[&str]| {
            let path = |key| [within, &[key]].concat();
            sniff.text(&path("obj")).is_some_and(|word| role_of(&word).is_some())
                && sniff.holds(&path("value"))
        };
        is_row(&[]) || is_row(&["data", "list"]) || is_row(&["list"])
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        if !self.recognises(&Sniff::found(text, entry)) {
            return;
        }
        let Ok(raw) = RawJson::parse(text) else { return };
        for raw in rows(raw) {
            let Some(map) = fields::map(&raw) else { continue };
            let chat = map.peek("chatId").and_then(fields::id);
            let key = chat
                .map_or_else(|| session::key_of_file(entry), |id| format!("chat {}", id.decoded()));
            let order = map.peek("time").and_then(fields::micros).unwrap_or(0);
            into.push(Fragment { key, order, text: raw.into_cow() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation::default();
        let mut steps = Vec::new();
        let lines = session::lines(text, notes)?.into_iter().map(|line| line.raw);
        for (at, raw) in lines.flat_map(rows).enumerate() {
            let mark = notes.mark();
            match FieldMap::of(&raw, notes) {
                Some(map) => steps.push(step(map, &raw, &mut conversation, notes)?),
                None => notes.unplaced("", &raw),
            }
            notes.under(mark, || format!("[{at}]"));
        }
        session::finish(&mut conversation, steps)?;
        Ok(conversation.into())
    }
}

/// The rows of a page, or the one row that a text is.
fn rows(raw: RawJson<'_>) -> Vec<RawJson<'_>> {
    let page = fields::map(&raw).and_then(|mut map| {
        let mut inner = map.take(&["data"], fields::map).unwrap_or(map);
        inner.take(&["list"], fields::list)
    });
    page.unwrap_or_else(|| vec![raw])
}

fn role_of(word: &str) -> Option<Role> {
    Some(match word {
        "Human" => Role::User,
        "AI" => Role::Assistant,
        "System" => Role::System,
        _ => return None,
    })
}

fn step<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    conversation: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<Step<'a>, ItemError> {
    let id = map.take_id(&["chatId"]);
    if conversation.id.is_empty() {
        conversation.id = id.unwrap_or_default();
    }
    let word = map.take(&["obj"], RawJson::as_text).unwrap_or_default();
    let Some(role) = role_of(&word) else {
        notes.unplaced(format!("obj={}", short(&word)), raw);
        return Ok(Step::default());
    };
    let mut message =
        Message { role, created_at: map.take(&["time"], fields::time), ..Message::default() };
    let value = map.take(&["value"], fields::json).unwrap_or(RawJson::null());
    let mut segments = Vec::new();
    match fields::list_within(&value) {
        Some(list) => {
            for (at, raw) in list.iter().enumerate() {
                let mark = notes.mark();
                said(raw, &mut segments, notes)?;
                notes.under(mark, || format!("value[{at}]"));
            }
        }
        None => segments.extend(value.text().filter(|text| !text.is_empty()).map(Segment::text)),
    }
    if role == Role::Assistant {
        message.feedback = feedback(&mut map).map(Box::new);
    }
    let model = model_of(&map);
    message.metadata = map.rest();
    message.metadata.retain(|_, raw| !raw.is_null());
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    let mut messages = Turn::said(message, segments);
    // Whatever is made of a question's parts is the person's.
    for one in messages.iter_mut().filter(|one| one.role == Role::Assistant) {
        one.role = role;
    }
    Ok(Step { messages, model, ..Step::default() })
}

/// Reads one element of a message.
fn said<'a>(
    raw: &RawJson<'a>,
    segments: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(());
    };
    let content = |raw: &RawJson<'a>| {
        fields::text_or_under(raw, &["content"]).filter(|text: &Text<'a>| !text.is_empty())
    };
    map.take(&["type"], fields::json);
    segments.extend(map.take(&["reasoning"], content).map(Segment::Reasoning));
    segments.extend(map.take(&["text"], content).map(Segment::text));
    if let Some(file) = map.take(&["file"], fields::object) {
        segments.push(Segment::Part(thread::file_part(&file, &["type"])));
    }
    let tools = map.take(&["tools"], fields::list).unwrap_or_default();
    for tool in tools.iter().filter_map(fields::map) {
        segments.push(ran(tool, notes)?);
    }
    let rest = map.rest();
    notes.unplaced_fields(&rest, &["id", "stepId", "text", "reasoning"], Least::Word);
    Ok(())
}

fn ran<'a>(mut tool: FieldMap<'a>, notes: &mut Notes) -> Result<Segment<'a>, ItemError> {
    let call = ToolCall {
        id: tool.take_id(&["id"]).unwrap_or_default(),
        name: tool.take(&["functionName", "toolName"], RawJson::text).unwrap_or_default(),
        arguments: tool.take(&["params"], fields::words).unwrap_or_default(),
        ..ToolCall::default()
    };
    let output = tool.take(&["response"], fields::json).filter(|raw| raw.as_str() != "\"\"");
    thread::ran(ToolCall { metadata: tool.rest(), ..call }, output, None, notes)
}

/// A like, or a dislike with its reason.
fn feedback<'a>(map: &mut FieldMap<'a>) -> Option<Feedback<'a>> {
    let mut take = |name: &str| map.take(&[name], |raw| raw.text().filter(|text| !text.is_blank()));
    let (good, bad) = (take("userGoodFeedback"), take("userBadFeedback"));
    let rating = match (&good, &bad) {
        (None, None) => return None,
        (_, Some(_)) => "-1",
        (Some(_), None) => "1",
    };
    Some(Feedback { rating: RawJson::owned(rating).ok(), comment: bad, ..Feedback::default() })
}

/// The model of the first step of the workflow that names one.
fn model_of<'a>(map: &FieldMap<'a>) -> Option<Text<'a>> {
    let steps = map.peek("responseData").and_then(fields::list_within)?;
    steps.iter().find_map(|raw| fields::map(raw)?.take(&["model"], RawJson::text))
}
