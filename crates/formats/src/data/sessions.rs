//! Conversations as files of their own, a file for each, which the rows list. Shared by the formats that write such.

use std::collections::HashSet;

use retort_json::Text;
use retort_model::{Conversation, LeftOut, Message, Reason, Round, Task};

use super::format::{Branches, Noted, Outcome, RecordLeftOut, RecordNotes, ShapeContext};
use super::record::{is_silent, left_behind};
use super::record_file::{FileContent, RecordFile, file_name_of};
use super::schema::{Field, Schema, Sink, Type};

/// The columns of the rows that list the files.
pub(super) static SCHEMA: Schema = Schema::of(&[
    Field::required("id", Type::Text),
    Field::required("file", Type::Text),
    Field::nullable("title", Type::Text),
    Field::required("source", Type::Word),
    Field::nullable("model", Type::Word),
    Field::nullable("created_at", Type::Text),
    Field::required("messages", Type::Int),
]);

/// What becomes one file: a branch of a conversation, or the history of a sub-agent.
pub(super) struct Session<'c, 'a> {
    pub(super) conversation: &'c Conversation<'a>,
    /// The id of the conversation, with what tells the session from its others.
    pub(super) id: String,
    pub(super) title: Option<&'c Text<'a>>,
    pub(super) model: Option<&'c Text<'a>>,
    pub(super) rounds: Vec<&'c Round<'a>>,
}

impl<'c, 'a> Session<'c, 'a> {
    /// The messages with the rounds that they are of, in order.
    pub(super) fn messages(
        &self,
    ) -> impl Iterator<Item = (&'c Round<'a>, &'c Message<'a>)> + use<'c, 'a, '_> {
        let of_round = |round: &'c Round<'a>| round.messages.iter().map(move |one| (round, one));
        self.rounds.iter().copied().flat_map(of_round)
    }
}

/// The text of a file, and what was found in it.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) notes: RecordNotes,
}

/// Writes a file for each session of a conversation, and the rows that list them.
pub(super) fn shape_sessions(
    conversation: &Conversation<'_>,
    (folder, ending): (&str, &str),
    context: &ShapeContext<'_>,
    out: &mut dyn Sink,
    write: impl Fn(&Session<'_, '_>) -> Result<Written, LeftOut>,
) -> Outcome {
    if let Some(why) = is_silent(conversation) {
        return Outcome::left_out(None, why);
    }
    let mut outcome = Outcome::default();
    let mut names = HashSet::new();
    each_session(conversation, context, |session, part| {
        let suffix = session.id.get(conversation.id.decoded().len()..).unwrap_or_default();
        let suffix = Some(suffix.to_owned()).filter(|suffix| !suffix.is_empty());
        let Written { text, mut notes } = match write(&session) {
            Ok(written) => written,
            Err(why) => return outcome.left_out.push(RecordLeftOut { part, why }),
        };
        let path = context.path_in(folder, &format!("{}.{ending}", file_name_of(&session.id)));
        // Two sub-agents may have one id.
        if !names.insert(path.clone()) {
            let why =
                LeftOut::new(Reason::RepeatedId, format!("`{}` is there already", session.id));
            return outcome.left_out.push(RecordLeftOut { part, why });
        }
        row(&session, &path, out);
        notes.files.push(RecordFile { path, content: FileContent::Bytes(text.into_bytes()) });
        outcome.records.push(RecordNotes { part, suffix, ..notes });
    });
    if let Some(first) = outcome.records.first_mut() {
        let missing = left_behind(conversation, context.options.tasks);
        let is_active = context.options.branches == Branches::Active;
        let missing =
            missing.filter(|one| is_active || *one != retort_model::Warning::OtherBranches);
        first.warnings.extend(missing.map(Noted::from));
    }
    outcome
}

fn row(session: &Session<'_, '_>, path: &str, out: &mut dyn Sink) {
    out.begin_row();
    out.str(&session.id);
    out.str(path);
    let mut optional = |text: Option<&Text<'_>>| match text {
        Some(text) => out.text(text),
        None => out.absent(),
    };
    optional(session.title);
    optional(Some(&session.conversation.source));
    optional(session.model);
    match session.conversation.created_at {
        Some(time) => out.str(&time.to_string()),
        None => out.absent(),
    }
    out.int(i64::try_from(session.messages().count()).unwrap_or(i64::MAX));
    out.end_row();
}

/// The sessions of a conversation, each with its name among several: the branch that was shown or each branch and, where
/// that is asked, the histories of sub-agents.
fn each_session<'c, 'a>(
    conversation: &'c Conversation<'a>,
    context: &ShapeContext<'_>,
    mut take: impl FnMut(Session<'c, 'a>, Option<String>),
) {
    let id = conversation.id.decoded();
    for (branch, path) in context.options.branches.paths(conversation) {
        let session = Session {
            conversation,
            id: branch.map_or(id.to_string(), |branch| format!("{id}#branch-{branch}")),
            title: conversation.title.as_ref(),
            model: conversation.model_of(path.iter().copied()),
            rounds: path.iter().filter_map(|&at| conversation.rounds.get(at)).collect(),
        };
        take(session, branch.map(|branch| format!("branch {branch}")));
    }
    let has_messages =
        |task: &&Task<'_>| task.rounds.iter().any(|round| !round.messages.is_empty());
    let tasks = conversation.tasks.iter().filter(|_| context.options.tasks);
    for task in tasks.filter(has_messages) {
        let name = task.id.decoded();
        let session = Session {
            conversation,
            id: format!("{id}#{name}"),
            title: task.agent.as_ref(),
            model: task.rounds.iter().rev().find_map(|round| round.model.as_ref()),
            rounds: task.rounds.iter().collect(),
        };
        take(session, Some(format!("task {name}")));
    }
}
