//! mcp-agent-graph's MongoDB documents: `conversations` (what a conversation is) and `agent_run` or `graph_run`
//! (its rounds), joined in one object or side by side under one `_id`. Source: its
//! `repositories/conversation_repository.py`, `agent_run_repository.py` and `graph_run_repository.py`.

use retort_json::{Kind as JsonKind, Parser};
use retort_model::{Conversation, Fields, Kind, Round, Task};

use super::chat;
use super::fields::{
    count_or_keep, each_field, id_or_keep, keep, named_or_keep, put, raws_or_keep, text_or_keep,
    texts_or_keep, time_or_keep,
};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, SideFiles, Spread};
use super::sniff::{Entry, Sniff};

/// The format.
pub(super) struct McpAgentGraph;

impl ImportFormat for McpAgentGraph {
    fn name(&self) -> &'static str {
        "mcp-agent-graph"
    }

    fn about(&self) -> &'static str {
        "mcp-agent-graph's documents: chat, agent and graph conversations, with metadata and runs in one document or \
         in separate ones"
    }

    fn notes(&self) -> &'static str {
        "Documents of `conversations` with `agent_run` or `graph_run`, joined in one document or separate: in one \
         stream, in two files, with one `_id` or, without ids, with one file name (`data/x.json`, `metadata/x.json`)."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_named = ["_id", "conversation_id", "id"].iter().any(|key| sniff.has(key));
        let has_rounds = || {
            let of_round = ["messages", "round", "node_name"];
            of_round.iter().any(|key| sniff.holds(&["rounds", key]))
                || (is_named && !sniff.has_keys(&["rounds"]))
        };
        let is_run = sniff.has("rounds") && !sniff.has("retort") && has_rounds();
        let is_metadata =
            sniff.has("type") && (sniff.has("round_count") || sniff.has("total_token_usage"));
        is_run || is_metadata
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut read = Read::default();
        if parser.kind()? == JsonKind::Array {
            // The two halves.
            parser.array()?;
            while parser.next_element()? {
                read.document(&mut parser, notes)?;
            }
        } else {
            read.document(&mut parser, notes)?;
        }
        parser.end()?;
        notes.count(&parser);
        if !read.is_one {
            let why = "no `rounds` in the item, nor the `type` and `round_count` of a conversation";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        let conversation = read.finish();
        super::openai::account_for_messages(&conversation, notes);
        Ok(conversation.into())
    }

    fn side_files(&self) -> Option<&'static SideFiles> {
        // What `mongodump` writes beside the documents of a collection.
        Some(&SideFiles {
            items: &["*.bson", "*.bson.gz"],
            read: &[],
            ignored: &["*.metadata.json", "*.metadata.json.gz", "prelude.json", "prelude.json.gz"],
        })
    }

    fn spread(&self) -> Spread {
        Spread::Halves
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        into.extend(half(text, entry).ok().flatten());
    }
}

/// A document that has the rounds of a conversation or what tells of it, and not both. It is known by its id, or by the
/// name of its file.
fn half<'t>(text: &'t str, entry: Entry<'_>) -> Result<Option<Fragment<'t>>, ItemError> {
    let mut parser = Parser::lenient(text);
    let (mut id, mut conversation_id) = (None, None);
    let (mut has_rounds, mut has_metadata) = (false, false);
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        match &*key {
            "_id" => id = id_or_keep(&mut parser, key, &mut Fields::new())?,
            "conversation_id" => {
                conversation_id = id_or_keep(&mut parser, key, &mut Fields::new())?;
            }
            "rounds" => {
                has_rounds = true;
                parser.skip()?;
            }
            "type" | "title" | "round_count" => {
                has_metadata = true;
                parser.skip()?;
            }
            _ => parser.skip()?,
        }
    }
    if has_rounds && has_metadata {
        return Ok(None);
    }
    let key = conversation_id
        .or(id)
        .map_or_else(|| format!("file {}", entry.stem()), |id| format!("id {}", id.decoded()));
    Ok(Some(Fragment { key, order: u64::from(has_rounds), text: text.into() }))
}

#[derive(Default)]
struct Read<'a> {
    conversation: Conversation<'a>,
    kind: Option<Kind>,
    is_graph: bool,
    /// Whether any field was there that says what it is.
    is_one: bool,
}

impl<'a> Read<'a> {
    fn document(&mut self, parser: &mut Parser<'a>, notes: &mut Notes) -> Result<(), ItemError> {
        if parser.kind()? != JsonKind::Object {
            return Err(ItemError::new(
                Refusal::UnknownShape,
                parser.at(),
                "a document that is not an object",
            ));
        }
        let conversation = &mut self.conversation;
        each_field(parser, notes, |parser, key, notes| {
            let rest = &mut conversation.metadata;
            self.is_one |= matches!(
                &*key,
                "rounds" | "type" | "round_count" | "total_token_usage" | "graph_name"
            );
            match &*key {
                "conversation_id" => {
                    // A run names its conversation; its own `_id` may be another.
                    if let Some(id) = id_or_keep(parser, key, rest)? {
                        conversation.id = id;
                    }
                }
                "_id" if conversation.id.is_empty() => {
                    conversation.id = id_or_keep(parser, key, rest)?.unwrap_or_default();
                }
                "_id" => parser.skip()?,
                "user_id" => conversation.owner = id_or_keep(parser, key, rest)?,
                "type" => {
                    if let Some(kind) = named_or_keep(parser, key, rest)? {
                        self.kind = Some(kind);
                    }
                }
                "title" => conversation.title = text_or_keep(parser, key, rest)?,
                "created_at" => conversation.created_at = time_or_keep(parser, key, rest, notes)?,
                "updated_at" => {
                    let updated_at = time_or_keep(parser, key, rest, notes)?;
                    conversation.updated_at = conversation.updated_at.max(updated_at);
                }
                "status" => {
                    if let Some(status) = named_or_keep(parser, key, rest)? {
                        conversation.status = status;
                    }
                }
                "tags" => conversation.tags = texts_or_keep(parser, key, rest)?,
                "project_id" => conversation.project = id_or_keep(parser, key, rest)?,
                "rounds" => conversation.rounds = rounds(parser, notes)?,
                "tasks" => conversation.tasks = tasks(parser, notes)?,
                "graph_name" => {
                    self.is_graph = true;
                    keep(parser, key, rest)?;
                }
                _ => keep(parser, key, rest)?,
            }
            Ok(())
        })
    }

    fn finish(mut self) -> Conversation<'a> {
        let has_nodes = self.conversation.rounds.iter().any(|round| round.node.is_some());
        self.conversation.kind =
            self.kind.unwrap_or(if self.is_graph || has_nodes { Kind::Graph } else { Kind::Agent });
        self.conversation
    }
}

fn rounds<'a>(parser: &mut Parser<'a>, notes: &mut Notes) -> Result<Vec<Round<'a>>, ItemError> {
    list(parser, notes, "the rounds are not a list", |parser, position, notes| {
        let mut round =
            Round { number: u32::try_from(position + 1).unwrap_or(u32::MAX), ..Round::default() };
        let mark = notes.mark();
        each_field(parser, notes, |parser, key, notes| {
            round_field(parser, key, &mut round, notes)
        })?;
        notes.under(mark, || format!("rounds[{position}]"));
        Ok(round)
    })
}

fn round_field<'a>(
    parser: &mut Parser<'a>,
    key: std::borrow::Cow<'a, str>,
    round: &mut Round<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let rest = &mut round.metadata;
    match &*key {
        "round" => {
            if let Some(number) = count_or_keep(parser, key, rest)? {
                round.number = u32::try_from(number).unwrap_or(u32::MAX);
            }
        }
        "node_name" => round.node = text_or_keep(parser, key, rest)?,
        "agent_name" => round.agent = text_or_keep(parser, key, rest)?,
        "model" => round.model = text_or_keep(parser, key, rest)?,
        "messages" => {
            let mark = notes.mark();
            round.messages = chat::messages(parser, &[], notes)?;
            notes.under(mark, || "messages".into());
        }
        "tools" => round.tools = raws_or_keep(parser, key, rest)?,
        "prompt_tokens" => round.usage.input_tokens = count_or_keep(parser, key, rest)?,
        "completion_tokens" => round.usage.output_tokens = count_or_keep(parser, key, rest)?,
        _ => keep(parser, key, rest)?,
    }
    Ok(())
}

fn tasks<'a>(parser: &mut Parser<'a>, notes: &mut Notes) -> Result<Vec<Task<'a>>, ItemError> {
    list(parser, notes, "the tasks are not a list", |parser, position, notes| {
        let mut task = Task::default();
        let mark = notes.mark();
        each_field(parser, notes, |parser, key, notes| {
            let rest = &mut task.metadata;
            match &*key {
                "task_id" => task.id = id_or_keep(parser, key, rest)?.unwrap_or_default(),
                "agent_name" => task.agent = text_or_keep(parser, key, rest)?,
                "rounds" => task.rounds = rounds(parser, notes)?,
                _ => keep(parser, key, rest)?,
            }
            Ok(())
        })?;
        notes.under(mark, || format!("tasks[{position}]"));
        // The link to the call that began the task is on the task's rounds.
        for round in &mut task.rounds {
            let Some(raw) = round.metadata.take("tool_call_id") else { continue };
            match raw.as_text() {
                Some(id) if task.tool_call_id.as_ref().is_none_or(|one| *one == *id) => {
                    task.tool_call_id = Some(id.into());
                }
                _ => put(&mut round.metadata, "tool_call_id".into(), raw),
            }
        }
        Ok(task)
    })
}

fn list<'a, T>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
    otherwise: &str,
    mut take: impl FnMut(&mut Parser<'a>, usize, &mut Notes) -> Result<T, ItemError>,
) -> Result<Vec<T>, ItemError> {
    let mut items = Vec::new();
    match parser.kind()? {
        JsonKind::Array => {
            parser.array()?;
            while parser.next_element()? {
                if parser.kind()? == JsonKind::Null {
                    parser.null()?;
                    continue;
                }
                items.push(take(parser, items.len(), notes)?);
            }
        }
        JsonKind::Null => drop(parser.null()?),
        _ => return Err(ItemError::new(Refusal::BadField, parser.at(), otherwise)),
    }
    Ok(items)
}
