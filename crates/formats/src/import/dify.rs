//! Dify's logs of conversations: pages of its API for messages, and rows of its table `messages`. A row is a question and its
//! answer. Written from Dify's documentation and code (`api/fields/message_fields.py`).

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Content, Conversation, Feedback, Message, Role, ToolCall, Usage};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::parts::Segment;
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::Least;

/// The format.
pub(super) struct Dify;

/// What first messages name as the one before them.
const ROOT: &str = "00000000-0000-0000-0000-000000000000";

impl ImportFormat for Dify {
    fn name(&self) -> &'static str {
        "dify"
    }

    fn about(&self) -> &'static str {
        "Dify's logs of conversations: pages of its API for messages, or rows of its table"
    }

    fn notes(&self) -> &'static str {
        "Save the pages of `GET /v1/messages?conversation_id=…` (or of the console's log API) one per line or one per \
         file, or export the table `messages` as JSON lines or CSV. Rows of one conversation are joined by \
         `conversation_id`, wherever they are, and ordered by time; a regenerated answer is a sibling round. Thoughts \
         of an agent with a tool become calls with their results, retrieved passages contexts, likes and dislikes \
         feedback, files parts without their bytes. The variables of a message (`inputs`) are kept as metadata; \
         `message`, the prompt that was sent, is dropped but for its system message. Written from Dify's documentation \
         and code."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_row = |path: &[&str]| {
            ["query", "answer", "conversation_id"]
                .iter()
                .all(|key| sniff.holds(&[path, &[*key]].concat()))
        };
        is_row(&[]) || is_row(&["data"])
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        if !self.recognises(&Sniff::found(text, entry)) {
            return;
        }
        let Ok(raw) = RawJson::parse(text) else { return };
        let map = fields::map(&raw).unwrap_or_default();
        let rows = match map.peek("data").and_then(fields::list) {
            Some(rows) if !map.has(&["query"]) => rows,
            _ => vec![raw],
        };
        for raw in rows {
            let Some(map) = fields::map(&raw) else { continue };
            let Some(key) = map.peek("conversation_id").and_then(fields::id) else { continue };
            let order = map.peek("created_at").and_then(fields::micros).unwrap_or(0);
            let key = key.decoded().into_owned();
            into.push(Fragment { key, order, text: raw.into_cow() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(text);
        let mut rows = Vec::new();
        if parser.kind()? == Kind::Array {
            parser.array()?;
            while parser.next_element()? {
                rows.push(parser.raw()?);
            }
        } else {
            let raw = parser.raw()?;
            let map = FieldMap::of(&raw, notes).unwrap_or_default();
            match map.peek("data").and_then(fields::list) {
                Some(list) if !map.has(&["query"]) => rows = list,
                _ => rows.push(raw),
            }
        }
        parser.end()?;
        notes.count(&parser);
        let mut conversation = Conversation::default();
        let mut system = None;
        let mut turns = Vec::with_capacity(rows.len());
        let mut last: Option<Text<'a>> = None;
        for (at, raw) in rows.iter().enumerate() {
            let mark = notes.mark();
            let map = FieldMap::of(raw, notes).filter(|map| map.has(&["query", "answer"]));
            let Some(mut map) = map else {
                let why = format!("row {at} has neither `query` nor `answer`");
                return Err(ItemError::new(Refusal::UnknownShape, 0, why));
            };
            let id = map.take_id(&["conversation_id"]).unwrap_or_default();
            if conversation.id.is_empty() {
                conversation.id = id;
            } else if conversation.id != id {
                let why =
                    "a page with messages of several conversations, read without its fragments";
                return Err(ItemError::new(Refusal::BadField, 0, why));
            }
            system = system.or_else(|| system_of(map.peek("message")?));
            let parent = map.peek("parent_message_id").and_then(fields::id);
            let parent = match parent {
                Some(parent) if parent == *ROOT => None,
                Some(parent) => Some(parent),
                None => last.clone(),
            };
            let id = map.peek("id").and_then(fields::id).unwrap_or_else(|| at.to_string().into());
            last = Some(id.clone());
            let mut turn = row(map, &mut conversation, notes)?;
            turn.links = Links { id, parent, children: Vec::new() };
            turns.push(turn);
            notes.under(mark, || format!("[{at}]"));
        }
        let path = |at| format!("[{at}].parent_message_id");
        thread::grow(turns, None, &mut conversation, notes, path);
        thread::instruct(&mut conversation, system);
        Ok(conversation.into())
    }
}

/// The system message of the prompt that was sent.
fn system_of<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    fields::list_within(raw)?.iter().find_map(|raw| {
        let mut map = fields::map(raw)?;
        let role = map.take(&["role"], RawJson::text)?;
        map.take(&["text", "content"], RawJson::text).filter(|_| role == *"system")
    })
}

/// Fields of rows that are not part of the chat, or repeat what other fields say.
const KNOWN: [&str; 9] = [
    "inputs",
    "message",
    "message_metadata",
    "model_provider",
    "model_id",
    "override_model_configs",
    "from_source",
    "workflow_run_id",
    "invoke_from",
];

/// Reads a row: a question, what an agent did, and the answer.
fn row<'a>(
    mut map: FieldMap<'a>,
    conversation: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<Turn<'a>, ItemError> {
    let created_at = map.take(&["created_at"], fields::time);
    conversation.created_at = conversation.created_at.or(created_at);
    conversation.updated_at = created_at.or(conversation.updated_at);
    let mut question = Message { role: Role::User, created_at, ..Message::default() };
    question.content = map.take(&["query"], RawJson::text).map(Content::Text);
    let mut messages = vec![question];
    let files = map.take(&["message_files", "files"], fields::list_within).unwrap_or_default();
    let (asked, shown): (Vec<_>, Vec<_>) = files.into_iter().partition(|raw| {
        let map = fields::map(raw);
        let whose = map.and_then(|map| map.peek("belongs_to").and_then(RawJson::as_text));
        whose.is_none_or(|whose| whose == "user")
    });
    let part = |raw: &RawJson<'a>| thread::file_part(raw, &["mime_type", "type"]);
    thread::attach(&mut messages, asked.iter().map(part).collect());
    let mut segments: Vec<_> = shown.iter().map(|raw| Segment::Part(part(raw))).collect();
    let thoughts = map.take(&["agent_thoughts"], fields::list_within).unwrap_or_default();
    for (at, raw) in thoughts.iter().enumerate() {
        let mark = notes.mark();
        thought(raw, &mut segments, notes)?;
        notes.under(mark, || format!("agent_thoughts[{at}]"));
    }
    let text = map.take(&["answer"], RawJson::text).filter(|text| !text.is_empty());
    segments.extend(text.map(Segment::text));
    let mut answer = Message { role: Role::Assistant, created_at, ..Message::default() };
    answer.contexts = map.take(&["retriever_resources"], fields::list_within).unwrap_or_default();
    let metadata = map.take(&["message_metadata", "metadata"], fields::object_within);
    if let Some(mut metadata) = metadata.and_then(|raw| FieldMap::of(&raw, notes)) {
        if answer.contexts.is_empty() {
            let list = metadata.take(&["retriever_resources"], fields::list);
            answer.contexts = list.unwrap_or_default();
        }
        if let Some(rest) = metadata.rest_object() {
            map.put("message_metadata", rest);
        }
    }
    answer.error = map.take(&["error"], RawJson::text).filter(|text| !text.is_empty());
    let status = map.peek("status").and_then(RawJson::text);
    if answer.error.is_none() && status.is_some_and(|status| status == *"error") {
        answer.error = Some("failed".into());
    }
    let feedback = map.take(&["feedback"], fields::map);
    let feedback = feedback.or_else(|| {
        let list = map.take(&["feedbacks"], fields::list_within)?;
        FieldMap::of(list.first()?, notes)
    });
    answer.feedback = feedback.and_then(|mut map| {
        thread::feedback(&mut map, &["rating"], &["from_source"], &["content"])
            .filter(|feedback| feedback.rating.is_some() || **feedback != Feedback::default())
    });
    let usage = Usage {
        input_tokens: map.take(&["message_tokens"], fields::count),
        output_tokens: map.take(&["answer_tokens"], fields::count),
    };
    let model = map.peek("model_id").and_then(RawJson::text).filter(|model| !model.is_empty());
    answer.metadata = map.rest();
    answer.metadata.retain(|_, raw| !raw.is_null());
    notes.unplaced_fields(&answer.metadata, &KNOWN, Least::Prose);
    if !segments.is_empty() || answer.error.is_some() {
        messages.extend(Turn::of(answer, segments).messages);
    } else if let Some(question) = messages.first_mut() {
        question.metadata = answer.metadata;
    }
    Ok(Turn { model, usage, ..Turn::plain(messages) })
}

/// What an agent thought and did: a thought, the tool that it called, with which input, and what came of it.
fn thought<'a>(
    raw: &RawJson<'a>,
    segments: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(());
    };
    let text = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_blank());
    let thought = map.take(&["thought"], text);
    let tool = map.take(&["tool"], text);
    let input = map.take(&["tool_input"], fields::words);
    let output = map.take(&["observation"], fields::json).filter(|raw| raw.as_str() != "\"\"");
    match tool {
        Some(name) => {
            segments.extend(thought.map(Segment::Reasoning));
            let call = ToolCall {
                id: map.take_id(&["id"]).unwrap_or_default(),
                name,
                arguments: input.unwrap_or_default(),
                metadata: map.rest(),
            };
            segments.push(thread::ran(call, output, None, notes)?);
        }
        // The last thought of an agent is its answer once more.
        None if output.is_none() => segments.push(Segment::Kept("agent_thoughts", raw.clone())),
        None => notes.unplaced("observation", raw),
    }
    Ok(())
}
