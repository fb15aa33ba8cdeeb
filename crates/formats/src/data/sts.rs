//! `sts`: session traces in the simple form that the Hugging Face Hub shows, a file for each session. Reference:
//! `docs/hub/session-traces-format.md` of the Hub's documentation.
//!
//! `datasets` takes a file for a session if its messages differ in their keys. So answers always have a list of calls,
//! which may be empty, and nothing else does.

use retort_json::{Text, write_string};
use retort_model::{Item, ItemKind, LeftOut, Message, Reason, Role, Warning};

use super::attachments::has_attachments;
use super::format::{DataFormat, Noted, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::object::{Lazy, list};
use super::record::not_understood;
use super::schema::{Schema, Sink};
use super::sessions::{SCHEMA, Session, Written, shape_sessions};

/// The format.
pub(super) struct Sts;

/// The folder of the sessions in a package.
const FOLDER: &str = "sessions";

impl DataFormat for Sts {
    fn name(&self) -> &'static str {
        "sts"
    }

    fn about(&self) -> &'static str {
        "session traces that the Hugging Face Hub shows, one file per session"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation]
    }

    fn records_folder(&self) -> Option<&'static str> {
        Some(FOLDER)
    }

    fn writes_files(&self, _options: &ShapeOptions) -> bool {
        true
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "Each file in `sessions` is one session: a line about it, then a line for each message. The Hub shows them as \
         sessions, and `datasets` reads each as a row if `teich` is installed. The data file lists them with their \
         ids."
            .to_owned()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Conversation(conversation) = item else { return Outcome::other_kind(item) };
        if let Some(why) = not_understood(item) {
            return Outcome::left_out(None, why);
        }
        shape_sessions(conversation, (FOLDER, "jsonl"), context, out, write)
    }
}

fn write(session: &Session<'_, '_>) -> Result<Written, LeftOut> {
    let mut notes = RecordNotes::default();
    let mut text = String::with_capacity(4096);
    let mut head = Lazy::new(&mut text);
    write_string("session", head.key("type"));
    head.text("harness", &session.conversation.source);
    write_string(&session.id, head.key("id"));
    if let Some(title) = session.title {
        head.text("name", title);
    }
    head.end();
    text.push('\n');
    for (at, (round, said)) in session.messages().enumerate() {
        if has_attachments(said)
            && !notes.warnings.iter().any(|one| one.kind == Warning::AttachmentLeftBehind)
        {
            notes.warnings.push(Noted { kind: Warning::AttachmentLeftBehind, message: Some(at) });
        }
        let mut line = Lazy::new(&mut text);
        write_string("message", line.key("type"));
        let model = round.model.as_ref().or(session.model);
        message(said, model, line.key("message"))?;
        line.end();
        text.push('\n');
    }
    Ok(Written { text, notes })
}

fn message(said: &Message<'_>, model: Option<&Text<'_>>, out: &mut String) -> Result<(), LeftOut> {
    if said.role == Role::Other {
        let word: String = said.role_word().chars().take(40).collect();
        let detail = format!("the role `{}`", word.escape_debug());
        return Err(LeftOut::new(Reason::UnknownRole, detail));
    }
    let mut object = Lazy::new(out);
    write_string(said.role.as_str(), object.key("role"));
    object.text("content", &said.words());
    if let Some(reasoning) = &said.reasoning {
        object.text("reasoningContent", reasoning);
    }
    if said.role == Role::Assistant || !said.tool_calls.is_empty() {
        list(object.key("toolCalls"), said.tool_calls.iter(), |call, out| {
            let mut object = Lazy::new(out);
            object.text("id", &call.id);
            write_string("function", object.key("type"));
            let mut function = Lazy::new(object.key("function"));
            function.text("name", &call.name);
            function.text("arguments", &call.arguments);
            function.end();
            object.end();
        });
    }
    let model = model.filter(|_| said.role == Role::Assistant);
    let texts: [(&str, Option<&Text<'_>>); 5] = [
        ("toolCallId", said.tool_call_id.as_ref()),
        ("model", model),
        ("name", said.name.as_ref()),
        ("error", said.error.as_ref()),
        ("finish_reason", said.finish_reason.as_ref()),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            object.text(key, text);
        }
    }
    if let Some(time) = said.created_at {
        object.key("timestamp").push_str(&(time.unix_nanos().div_euclid(1_000_000)).to_string());
    }
    if let Some(train) = said.train {
        object.key("train").push_str(if train { "true" } else { "false" });
    }
    object.end();
    Ok(())
}
