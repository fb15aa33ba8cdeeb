//! `markdown`: conversations to read, a Markdown file for each.

use memchr::memchr_iter;
use retort_json::Text;
use retort_model::{Item, ItemKind, Message, Role, Round, ToolCall};

use super::attachments::attachments_of;
use super::format::{DataFormat, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::schema::{Schema, Sink};
use super::sessions::{SCHEMA, Session, Written, shape_sessions};
use super::turn::result_words;

/// The format.
pub(super) struct Markdown;

/// The folder of the files in a package.
const FOLDER: &str = "markdown";

/// Longest JSON of a picture or file that is shown as it is: a link and a name, but not the bytes themselves.
const SHOWN_BYTES: usize = 500;

impl DataFormat for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn about(&self) -> &'static str {
        "conversations to read, one Markdown file per conversation"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation]
    }

    fn is_for_people(&self) -> bool {
        true
    }

    fn writes_files(&self, _options: &ShapeOptions) -> bool {
        true
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "Each file in `markdown` is one conversation, for people to read. The data file lists them with their ids.".to_owned()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Conversation(conversation) = item else { return Outcome::other_kind(item) };
        shape_sessions(conversation, (FOLDER, "md"), context, out, |session| {
            Ok(Written { text: page(session), notes: RecordNotes::default() })
        })
    }
}

fn page(session: &Session<'_, '_>) -> String {
    let mut page = String::with_capacity(4096);
    let conversation = session.conversation;
    let title = session.title.map_or_else(|| session.id.clone(), |title| title.decoded().into());
    page.push_str(&format!("# {}\n\n", one_line(&title)));
    let mut fact = |name: &str, value: &str| {
        page.push_str(&format!("- {name}: {}\n", one_line(value)));
    };
    fact("id", &session.id);
    if !conversation.source.is_empty() {
        fact("source", &conversation.source.decoded());
    }
    if let Some(model) = session.model {
        fact("model", &model.decoded());
    }
    for (name, time) in [("created", conversation.created_at), ("updated", conversation.updated_at)]
    {
        if let Some(time) = time {
            fact(name, &time.to_string());
        }
    }
    if !conversation.tags.is_empty() {
        let tags: Vec<_> = conversation.tags.iter().map(|tag| tag.decoded().into_owned()).collect();
        fact("tags", &tags.join(", "));
    }
    for (round, said) in session.messages() {
        message(round, said, session.model, &mut page);
    }
    if !conversation.not_understood.is_empty() {
        page.push_str("\n## Not understood\n");
        for one in &conversation.not_understood {
            page.push_str(&format!("\n`{}`\n", one_line(&one.path)));
            fenced("json", one.raw.as_str(), &mut page);
        }
    }
    page
}

fn message(round: &Round<'_>, said: &Message<'_>, model: Option<&Text<'_>>, page: &mut String) {
    let mut heading = match said.role {
        Role::System => "System".to_owned(),
        Role::User => "User".to_owned(),
        Role::Assistant => "Assistant".to_owned(),
        Role::Tool => "Tool result".to_owned(),
        Role::Other => said.role_word().into_owned(),
    };
    if let Some(name) = &said.name {
        heading.push_str(&format!(" {}", name.decoded()));
    }
    if said.role == Role::Assistant
        && let Some(own) = round.model.as_ref().filter(|own| Some(*own) != model)
    {
        heading.push_str(&format!(" ({})", own.decoded()));
    }
    page.push_str(&format!("\n## {}\n", one_line(&heading)));
    if let Some(time) = said.created_at {
        page.push_str(&format!("\n*{time}*\n"));
    }
    if let Some(reasoning) = said.reasoning.as_ref().filter(|text| !text.is_blank()) {
        page.push_str("\n<details><summary>Reasoning</summary>\n\n");
        page.push_str(reasoning.decoded().trim());
        page.push_str("\n\n</details>\n");
    }
    let words = if said.role == Role::Tool { result_words(said) } else { said.words() };
    if said.role == Role::Tool {
        fenced("", &words.decoded(), page);
    } else if !words.is_blank() {
        page.push_str(&format!("\n{}\n", words.decoded().trim_end()));
    }
    for attachment in attachments_of(said) {
        if attachment.len() > SHOWN_BYTES {
            page.push_str(&format!("\n*A picture, sound or file of {} bytes*\n", attachment.len()));
        } else {
            fenced("json", attachment, page);
        }
    }
    for call in &said.tool_calls {
        tool_call(call, page);
    }
    if said.role != Role::Tool
        && let Some(error) = &said.error
    {
        page.push_str(&format!("\n*Error: {}*\n", one_line(&error.decoded())));
    }
    if said.is_cut_off() {
        let reason = said.finish_reason.as_ref().map(Text::decoded).unwrap_or_default();
        page.push_str(&format!("\n*Cut off: {}*\n", one_line(&reason)));
    }
}

fn tool_call(call: &ToolCall<'_>, page: &mut String) {
    page.push_str(&format!("\n**Call of `{}`**\n", one_line(&call.name.decoded())));
    fenced("json", &call.arguments.decoded(), page);
}

/// A block of code between fences that are longer than any in it.
fn fenced(language: &str, code: &str, page: &mut String) {
    let (mut longest, mut run, mut end) = (2, 0, 0);
    for at in memchr_iter(b'`', code.as_bytes()) {
        run = if at == end { run + 1 } else { 1 };
        (longest, end) = (longest.max(run), at + 1);
    }
    let fence = "`".repeat(longest + 1);
    page.push_str(&format!("\n{fence}{language}\n{}\n{fence}\n", code.trim_end_matches('\n')));
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
