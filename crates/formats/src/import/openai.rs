//! OpenAI chat messages: `{messages, tools, …}` objects and bare lists of messages, and the rows of others that keep to
//! that shape: Anthropic's requests, logs with the response beside the messages, preference data. Reference: the request
//! schema of `POST /v1/chat/completions` and the fine-tuning row.

use std::borrow::Cow;
use std::collections::HashSet;

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Fields, Label, Message, Role, Round};

use super::answers::{self, Answer, PREFERRED, REJECTED};
use super::fields::{
    self, FieldMap, count_or_keep, each_field, id_or_keep, keep, named_or_keep, put, raws_or_keep,
    text_or_keep, texts_or_keep, time_or_keep,
};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::links::linked;
use super::rounds::Rounds;
use super::sniff::Sniff;
use super::unplaced::{self, Least, says};
use super::{chat, definitions, marks, media, tagged_calls};

/// The format.
pub(super) struct OpenAi;

/// Where items keep their messages.
const MESSAGES: [&str; 7] =
    ["messages", "traj", "conversation", "dialog", "dialogue", "turns", "History"];

/// Keys of items in which these are something else, but for the first two.
const NOT_CHATS: [&str; 4] = ["request_id", "requestId", "question", "nodes"];

impl ImportFormat for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn about(&self) -> &'static str {
        "OpenAI chat messages: objects with `messages` (and `tools`), or bare lists of messages"
    }

    fn notes(&self) -> &'static str {
        "Content as text, null or parts; `tool_calls` and the older `function_call`; `tools` and `functions`, in \
         the shapes of OpenAI, Anthropic, Google and Bedrock. Messages may be written as Anthropic, LangChain, \
         Vercel's AI SDK, Google, Bedrock, Ollama, OpenTelemetry or OpenAI's Responses API write them: `tool_use` \
         and `tool_result` blocks, `{name, args, id}`, `toolInvocations`, `parts`, `function_call` and \
         `function_call_output` items. `system` (or `instructions`) beside the messages becomes a system message. \
         A response beside them (`response`, `choices`) is the answer; of several choices that with index 0 is, \
         and the others become siblings. Tools that OpenAI hosts (`web_search_call`, `code_interpreter_call`, …) \
         become calls, with a result where the item has one. If it has none, the answer that follows is based on \
         something that is not in the log: it is never trained on, but later answers are. An answer whose \
         `finish_reason`, `status` or \
         `unfinished` says that it was cut off, stopped or failed is never trained on. `messages` may be JSON \
         text; an item with two lists of messages that say different things is not understood. Tools are also \
         read from `available_tools`, `tool_definitions`, `tool_list`, `tools_json`, `tool_schemas`, \
         `functions_list`, `api_list` and `chat_template_kwargs`. An answer whose beginning was given (`prefix`, \
         `partial`, `continue_final_message`) is one answer with it. Beside the messages it takes `id`, `title`, \
         `tags`, `model`, `status`, `created_at`, `updated_at`, `owner`, \
         `project` and `type`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        // In MongoDB, LangChain has a message a document under this name.
        let is_list = |key: &str| key != "History" || sniff.first_kind(&[key]).is_some();
        sniff.is_message_array()
            || (sniff.has_messages()
                && (MESSAGES[..2].iter().any(|key| sniff.has(key))
                    || (MESSAGES[2..].iter().any(|key| sniff.has(key) && is_list(key))
                        && !NOT_CHATS.iter().any(|key| sniff.has(key)))))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        conversation(item, notes).map(Items::from)
    }
}

/// Reads a list of messages, or an object that has one.
pub(super) fn conversation<'a>(
    item: &'a str,
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let mut parser = Parser::lenient(item);
    let conversation = if parser.kind()? == Kind::Array {
        let mut rounds = Rounds::default();
        chat::each_message(&mut parser, &[], notes, |message| rounds.push(message))?;
        let rounds = linked(rounds.finish(Vec::new()), notes)?;
        Conversation { rounds, ..Conversation::default() }
    } else {
        object(&mut parser, &MESSAGES, &[], notes)?
    };
    parser.end()?;
    notes.count(&parser);
    Ok(conversation)
}

/// Where the system's text is beside the messages.
const SYSTEM: [&str; 7] = [
    "system",
    "system_message",
    "system_prompt",
    "systemPrompt",
    "system_instruction",
    "systemInstruction",
    "instructions",
];

/// What SmolTalk2's template puts into the system's text.
const CUSTOM: &str = "custom_instructions";

/// Where rows keep the definitions of tools, if they are such and no mere names.
const TOOLS: [&str; 7] = [
    "available_tools",
    "tool_definitions",
    "tool_list",
    "tools_json",
    "tool_schemas",
    "functions_list",
    "api_list",
];

/// Where logs keep what was answered.
const RESPONSE: [&str; 4] = ["response", "response_body", "choices", "candidates"];

/// Reads a conversation whose messages stand flat under the first of `message_keys` that it has. `known` are fields
/// that say nothing more than the messages do.
pub(super) fn object<'a>(
    parser: &mut Parser<'a>,
    message_keys: &[&str],
    known: &[&str],
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let mut conversation = Conversation::default();
    let mut rounds: Option<Rounds<'a>> = None;
    let mut last: Option<(Cow<'a, str>, Parser<'a>)> = None;
    let mut tools = Vec::new();
    each_field(parser, notes, |parser, key, notes| {
        let rest = &mut conversation.metadata;
        match &*key {
            name if message_keys.contains(&name) => {
                let mark = notes.mark();
                // The last of two counts, as everywhere; what another name holds must say the same.
                if let Some((before, mut list)) = last.replace((key.clone(), parser.clone()))
                    && before != key
                {
                    put(rest, before.into(), list.raw()?);
                }
                let rounds = rounds.insert(Rounds::default());
                if parser.kind()? == Kind::String && !is_list(parser)? {
                    rounds.push(Message::text(Role::User, parser.string()?));
                } else {
                    chat::each_message(parser, &[], notes, |message| rounds.push(message))?;
                }
                notes.under(mark, || key.to_string());
            }
            "tools" | "functions" | "tool_defs" => {
                let mark = notes.mark();
                tools.extend(definitions::definitions(
                    raws_or_keep(parser, key.clone(), rest)?,
                    notes,
                ));
                if let Some(raw) = rest.get(&key)
                    && says(raw, Least::Word)
                {
                    notes.unplaced("", raw);
                }
                notes.under(mark, || key.to_string());
            }
            name if TOOLS.contains(&name) && definitions::are_defined(&parser.clone().raw()?) => {
                let mark = notes.mark();
                let listed = raws_or_keep(parser, key.clone(), rest)?;
                tools.extend(definitions::definitions(listed, notes));
                notes.under(mark, || key.to_string());
            }
            "chat_template_kwargs" => {
                let raw = parser.raw()?;
                let mark = notes.mark();
                tools.extend(definitions::of_template(&raw, notes));
                notes.under(mark, || key.to_string());
                put(rest, key.into(), raw);
            }
            "toolConfig" | "tool_config" => {
                let raw = parser.raw()?;
                let listed = FieldMap::of(&raw, notes)
                    .and_then(|mut map| map.take(&["tools"], fields::list));
                let mark = notes.mark();
                tools.extend(definitions::definitions(listed.unwrap_or_default(), notes));
                notes.under(mark, || format!("{key}.tools"));
                put(rest, key.into(), raw);
            }
            "id" | "conversation_id" | "_id" | "SessionId" if conversation.id.is_empty() => {
                conversation.id = id_or_keep(parser, key, rest)?.unwrap_or_default();
            }
            "title" => conversation.title = text_or_keep(parser, key, rest)?,
            "tags" | "ability" if conversation.tags.is_empty() => {
                conversation.tags = texts_or_keep(parser, key, rest)?;
            }
            "model" => conversation.model = text_or_keep(parser, key, rest)?,
            "created_at" | "create_time" if conversation.created_at.is_none() => {
                conversation.created_at = time_or_keep(parser, key, rest, notes)?;
            }
            "updated_at" | "update_time" if conversation.updated_at.is_none() => {
                conversation.updated_at = time_or_keep(parser, key, rest, notes)?;
            }
            "owner" | "user_email" if conversation.owner.is_none() => {
                conversation.owner = text_or_keep(parser, key, rest)?;
            }
            "project" => conversation.project = text_or_keep(parser, key, rest)?,
            "status" => {
                if let Some(status) = named_or_keep(parser, key, rest)? {
                    conversation.status = status;
                }
            }
            "kind" | "type" | "data_source" => {
                if let Some(kind) = named_or_keep(parser, key, rest)? {
                    conversation.kind = kind;
                }
            }
            "label" | "kto_tag" => {
                let raw = parser.raw()?;
                let label = marks::label_of(&key, &raw);
                if label.is_none() && !raw.is_null() {
                    put(rest, key.into(), raw);
                }
                conversation.label = conversation.label.or(label);
            }
            _ => keep(parser, key, rest)?,
        }
        Ok(())
    })?;
    let Some(rounds) = rounds else {
        let names =
            message_keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" or ");
        return Err(ItemError::new(Refusal::UnknownShape, 0, format!("no {names} in the item")));
    };
    conversation.rounds = linked(rounds.finish(tools), notes)?;
    tagged_calls::take(&mut conversation);
    if !conversation.metadata.is_empty() {
        take_system(&mut conversation, notes);
        take_answers(&mut conversation, notes);
        take_request(&mut conversation);
        take_usage(&mut conversation)?;
        account_for(&conversation, known, notes);
    } else {
        answers::join_begun(&mut conversation, &mut [], None);
    }
    media::place_in_row(&mut conversation);
    Ok(conversation)
}

/// Reads a conversation whose messages were put together from a row; `row` has the row's other fields.
pub(super) fn with_messages<'a>(
    mut row: Fields<'a>,
    messages: RawJson<'a>,
    known: &[&str],
    notes: &mut Notes,
) -> Result<Conversation<'static>, ItemError> {
    row.put("messages".into(), messages);
    let text = RawJson::object(&row).unwrap_or(RawJson::null()).into_cow();
    object(&mut Parser::new(&text), &["messages"], known, notes)
        .map(Conversation::into_owned)
        .map_err(|error| ItemError { at: 0, ..error })
}

/// Whether the text that comes next is the JSON text of a list.
fn is_list(parser: &Parser<'_>) -> Result<bool, ItemError> {
    Ok(parser.clone().string()?.decoded().trim_start().starts_with('['))
}

/// The system's text that is beside the messages goes in front of them, where they do not begin with it.
fn take_system(conversation: &mut Conversation<'_>, notes: &mut Notes) {
    // SmolTalk2's rows have it among what they pass to the chat template.
    if let Some(raw) = conversation.metadata.get("chat_template_kwargs")
        && let Some(mut given) = fields::map(raw)
        && let Some(text) = given.take(&[CUSTOM], fields::json)
        && conversation.metadata.get(CUSTOM).is_none()
    {
        let text = text.into_owned();
        conversation.metadata.put(CUSTOM.into(), text);
    }
    for name in SYSTEM.into_iter().chain([CUSTOM]) {
        let Some(raw) = conversation.metadata.get(name) else { continue };
        if !says(raw, Least::Word) {
            continue;
        }
        let field = if raw.as_str().contains("\"parts\"") { "parts" } else { "content" };
        let value = match fields::kind(raw) {
            Some(Kind::Object) if field == "parts" => {
                FieldMap::of(raw, notes).and_then(|mut map| map.take(&["parts"], fields::json))
            }
            // The system's text as a message.
            Some(Kind::Object) => fields::map(raw)
                .and_then(|mut map| map.take(&["content"], fields::json))
                .or_else(|| Some(raw.clone())),
            _ => Some(raw.clone()),
        };
        let Some(value) = value else { continue };
        let text = format!("{{\"role\":\"system\",\"{field}\":{value}}}");
        let mark = notes.mark();
        let Ok(messages) = chat::message(&mut Parser::new(&text), &[], notes) else { continue };
        notes.under(mark, || name.into());
        let messages: Vec<_> = messages.into_iter().map(Message::into_owned).collect();
        let is_there = |message: &Message<'_>| {
            conversation.rounds.first().is_some_and(|round| {
                let same =
                    |one: &&Message<'_>| one.role == Role::System && one.words() == message.words();
                round.messages.iter().any(|one| same(&one))
            })
        };
        let new: Vec<_> = messages.into_iter().filter(|one| !is_there(one)).collect();
        conversation.metadata.take(name);
        match conversation.rounds.first_mut() {
            Some(round) => drop(round.messages.splice(0..0, new)),
            None => {
                conversation.rounds.push(Round { number: 1, messages: new, ..Round::default() });
            }
        }
    }
}

/// Answers that are beside the messages: what an API responded, and those that were chosen or rejected.
fn take_answers(conversation: &mut Conversation<'_>, notes: &mut Notes) {
    let mut answers: Vec<Answer> = Vec::new();
    let has = |names: &[&str]| {
        conversation.metadata.iter().any(|(key, _)| names.contains(&&*key.decoded()))
    };
    // Of a pair, a text is an answer, even if it is `true`.
    let is_pair = has(&PREFERRED) && has(&REJECTED);
    let is_flag = |raw: &RawJson<'_>| {
        marks::flag_of(raw).is_some() && !(is_pair && raw.as_str().starts_with('"'))
    };
    let mut take =
        |key: &str,
         raw: &RawJson<'_>,
         read: &dyn Fn(&RawJson<'_>, &mut Notes) -> Option<Vec<Answer>>| {
            let mark = notes.mark();
            match read(raw, notes) {
                Some(read) => answers.extend(read),
                None => notes.unplaced("", raw),
            }
            notes.under(mark, || key.to_owned());
        };
    let mut response = None;
    for (key, raw) in &conversation.metadata {
        let key = key.decoded();
        match &*key {
            key if matches!(key, "choices" | "candidates") => {
                let whole =
                    RawJson::owned(&format!("{{\"{key}\":{raw}}}")).unwrap_or(RawJson::null());
                take("", &whole, &|raw, notes| answers::of_response(raw, notes));
            }
            key if RESPONSE.contains(&key) => {
                response = Some(raw.clone());
                take(key, raw, &|raw, notes| answers::of_response(raw, notes));
            }
            key if PREFERRED.contains(&key) && !is_flag(raw) => {
                take(key, raw, &|raw, notes| answers::of_preference(raw, Label::Preferred, notes));
            }
            key if REJECTED.contains(&key) && !is_flag(raw) => {
                take(key, raw, &|raw, notes| answers::of_preference(raw, Label::Rejected, notes));
            }
            _ => {}
        }
    }
    answers::join_begun(conversation, &mut answers, response.as_ref());
    if !answers.is_empty() {
        answers::add(conversation, answers);
        let read = |key: &str| {
            RESPONSE.contains(&key) || PREFERRED.contains(&key) || REJECTED.contains(&key)
        };
        let read = |key: &str, raw: &RawJson<'_>| read(key) && !is_flag(raw);
        // What was said stands with the answers now; a response says more than that.
        conversation.metadata.retain(|key, raw| {
            let key = key.decoded();
            RESPONSE.contains(&&*key) || !read(&key, raw)
        });
    }
}

/// A log names a request by an id and times of its own.
fn take_request(conversation: &mut Conversation<'_>) {
    let find = |names: &[&str]| {
        let fields: &Fields<'_> = &conversation.metadata;
        names
            .iter()
            .find_map(|name| fields.iter().find(|(key, _)| *key == **name))
            .map(|(_, raw)| raw)
    };
    if conversation.id.is_empty() {
        conversation.id = find(&["request_id", "custom_id"])
            .and_then(fields::id)
            .map(Text::into_owned)
            .unwrap_or_default();
    }
    if conversation.created_at.is_none() {
        conversation.created_at =
            find(&["startTime", "start_time", "request_created_at"]).and_then(fields::time);
    }
}

/// A whole conversation's token counts, where the source has them beside a single round.
fn take_usage(conversation: &mut Conversation<'_>) -> Result<(), ItemError> {
    let [round] = conversation.rounds.as_mut_slice() else { return Ok(()) };
    let Some((_, usage)) = conversation.metadata.iter().find(|(key, _)| key == "usage") else {
        return Ok(());
    };
    let mut parser = Parser::new(usage.as_str());
    if parser.kind()? != Kind::Object {
        return Ok(());
    }
    let mut others = Fields::new();
    each_field(&mut parser, &mut Notes::default(), |parser, key, _| {
        match &*key {
            "prompt_tokens" | "input_tokens" => {
                round.usage.input_tokens = count_or_keep(parser, key, &mut others)?;
            }
            "completion_tokens" | "output_tokens" => {
                round.usage.output_tokens = count_or_keep(parser, key, &mut others)?;
            }
            _ => {
                let raw = parser.raw()?;
                put(&mut others, key.into(), raw);
            }
        }
        Ok(())
    })
}

/// Tells of fields beside the messages that hold other messages, or words under a name that stands for what is said, if
/// the messages do not say the same.
fn account_for(conversation: &Conversation<'_>, known: &[&str], notes: &mut Notes) {
    account(conversation, known, true, notes);
}

/// Tells of fields that hold other messages.
pub(super) fn account_for_messages(conversation: &Conversation<'_>, notes: &mut Notes) {
    account(conversation, &[], false, notes);
}

fn account(conversation: &Conversation<'_>, known: &[&str], words: bool, notes: &mut Notes) {
    let mut said: Option<HashSet<String>> = None;
    for (key, raw) in &conversation.metadata {
        let key = key.decoded();
        if known.contains(&&*key) || words && RESPONSE.contains(&&*key) {
            continue;
        }
        let texts = unplaced::texts_of(&key, raw, words);
        if texts.is_empty() {
            continue;
        }
        let said = said.get_or_insert_with(|| {
            let words = |message: &Message<'_>| message.words().decoded().trim().to_owned();
            conversation.messages().map(words).collect()
        });
        let is_again = |text: &String| {
            let text = text.trim();
            let is_part = || texts.len() == 1 && said.iter().any(|one| one.contains(text));
            text.is_empty() || said.contains(text) || is_part()
        };
        if !texts.iter().all(is_again) {
            notes.unplaced(unplaced::short(&key), raw);
        }
    }
}
