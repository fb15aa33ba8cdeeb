//! `retort show`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use retort_json::{Text, Value};
use retort_model::{Conversation, Message, Parent, Round, canonical};
use retort_web::wire;

use super::Failure;
use crate::config::StoreArgs;
use crate::display::{bytes, lines, moment_of, one_line, several};

/// Show a complete conversation.
///
/// It is shown with all branches, tool calls, results and the tasks of sub-agents.
#[derive(Args)]
pub struct Show {
    /// Id of the conversation.
    #[arg(value_name = "ID")]
    id: String,

    /// Print the lossless line of JSON that `retort convert` reads.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

/// Characters of a name or title on its line.
const NAME: usize = 200;

/// Titles of retrieved passages that are named.
const PASSAGES_NAMED: usize = 8;

impl Show {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let found = self.keeping.client()?.show(&self.id)?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        for (index, (summary, line)) in found.iter().enumerate() {
            if self.json {
                out.write_all(line)?;
                writeln!(out)?;
                continue;
            }
            if index > 0 {
                writeln!(out)?;
            }
            let conversation = canonical::read(std::str::from_utf8(line)?)?;
            print(summary, &conversation, &mut out)?;
        }
        out.flush()?;
        if found.len() > 1 {
            let number = several(found.len() as u64, "conversation");
            eprintln!("{number} of different formats have this id");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(
    summary: &wire::Conversation,
    conversation: &Conversation<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let name = |text: &str| one_line(text, NAME);
    writeln!(out, "{}", name(summary.title.as_deref().unwrap_or("(no title)")))?;
    let owner = summary.owner.as_ref().map(|owner| format!("owned by {}", name(owner)));
    let kind = format!("{}, {}", summary.kind, summary.status);
    let model = summary.model.as_ref().map(|model| name(model));
    let source = format!("read as {}", name(&summary.source));
    let importer = summary.importer.as_ref().map(|who| format!("imported by {}", name(who)));
    let head = [Some(name(&summary.id)), Some(kind), model, owner, importer, Some(source)];
    writeln!(out, "{}", head.into_iter().flatten().collect::<Vec<_>>().join(" · "))?;
    let created =
        summary.created_at.as_deref().map(|time| format!("created {}", moment_of(Some(time))));
    let changed =
        summary.updated_at.as_deref().map(|time| format!("changed {}", moment_of(Some(time))));
    let size = format!(
        "{}, {}, {}",
        several(summary.rounds, "round"),
        several(summary.messages, "message"),
        bytes(summary.bytes)
    );
    let times = [created, changed, Some(size)];
    writeln!(out, "{}", times.into_iter().flatten().collect::<Vec<_>>().join(" · "))?;
    if !summary.tags.is_empty() {
        let tags: Vec<_> = summary.tags.iter().map(|tag| name(tag)).collect();
        writeln!(out, "tags: {}", tags.join(", "))?;
    }
    let path = conversation.active_path().into_iter().collect();
    print_rounds(&conversation.rounds, |at| conversation.parent_of(at), &path, "", out)?;
    for task in &conversation.tasks {
        let agent = task.agent.as_ref().map(|agent| format!(" of {}", name(&agent.decoded())));
        let call =
            task.tool_call_id.as_ref().map(|call| format!(", called by {}", name(&call.decoded())));
        let (agent, call) = (agent.unwrap_or_default(), call.unwrap_or_default());
        writeln!(out, "\n=== task {}{agent}{call} ===", name(&task.id.decoded()))?;
        let path = (0..task.rounds.len()).collect();
        print_rounds(&task.rounds, |at| at.checked_sub(1), &path, "  ", out)?;
    }
    Ok(())
}

/// The rounds in the source's order; those that are not on the path say where they branch off.
fn print_rounds(
    rounds: &[Round<'_>],
    parent_of: impl Fn(usize) -> Option<usize>,
    path: &BTreeSet<usize>,
    indent: &str,
    out: &mut impl Write,
) -> io::Result<()> {
    let numbers: BTreeSet<u32> = rounds.iter().map(|round| round.number).collect();
    let own_numbers = numbers.len() == rounds.len() && !numbers.contains(&0);
    let number = |at: usize| match rounds.get(at) {
        Some(round) if own_numbers => u64::from(round.number),
        _ => at as u64 + 1,
    };
    let is_tree = rounds.iter().any(|round| round.parent != Parent::Previous);
    for (at, round) in rounds.iter().enumerate() {
        let mut about: Vec<String> = [&round.node, &round.agent, &round.model]
            .into_iter()
            .flatten()
            .map(|text| one_line(&text.decoded(), NAME))
            .collect();
        let is_shown = path.contains(&at);
        if is_tree || !is_shown {
            let after = match parent_of(at) {
                Some(parent) => format!("after round {}", number(parent)),
                None => "a beginning".into(),
            };
            let place = if is_shown { "on the active path" } else { "on another branch" };
            about.push(format!("{after}, {place}"));
        }
        let mark = if is_shown { "---" } else { "···" };
        let about = about.join(" · ");
        let about = if about.is_empty() { about } else { format!(" {about}") };
        writeln!(out, "\n{indent}{mark} round {}{about} {mark}", number(at))?;
        for message in &round.messages {
            print_message(message, indent, out)?;
        }
    }
    Ok(())
}

fn print_message(message: &Message<'_>, indent: &str, out: &mut impl Write) -> io::Result<()> {
    let (inner, deeper) = (format!("{indent}  "), format!("{indent}    "));
    let name = |text: &Text<'_>| one_line(&text.decoded(), NAME);
    write!(out, "{indent}{}", one_line(&message.role_word(), NAME))?;
    if let Some(speaker) = &message.name {
        write!(out, " {}", name(speaker))?;
    }
    if let Some(call) = &message.tool_call_id {
        write!(out, " (answers {})", name(call))?;
    }
    writeln!(out, ":")?;
    if let Some(reasoning) = &message.reasoning {
        writeln!(out, "{inner}[reasoning]")?;
        write!(out, "{}", lines(&reasoning.decoded(), &deeper))?;
        writeln!(out, "{inner}[answer]")?;
    }
    write!(out, "{}", lines(&message.words().decoded(), &inner))?;
    for part in message.attachments() {
        writeln!(out, "{inner}[{}]", part.kind)?;
    }
    for call in &message.tool_calls {
        let id = if call.id.is_empty() { String::new() } else { format!(" ({})", name(&call.id)) };
        writeln!(out, "{inner}calls {}{id}", name(&call.name))?;
        write!(out, "{}", lines(&call.arguments.decoded(), &deeper))?;
    }
    if !message.contexts.is_empty() {
        let number = several(message.contexts.len() as u64, "retrieved passage");
        let mut titles: Vec<String> = Vec::new();
        for context in &message.contexts {
            let title = title_of(context.as_str());
            titles.extend(title.filter(|title| !titles.contains(title)));
        }
        let more = titles.len().saturating_sub(PASSAGES_NAMED);
        titles.truncate(PASSAGES_NAMED);
        if more > 0 {
            titles.push(format!("{more} more"));
        }
        let titles =
            if titles.is_empty() { String::new() } else { format!(": {}", titles.join(", ")) };
        writeln!(out, "{inner}[{number}{titles}]")?;
    }
    if let Some(feedback) = &message.feedback {
        let rating = feedback.rating.as_ref().map(|rating| one_line(rating.as_str(), NAME));
        let said = [rating, feedback.label.as_ref().map(name), feedback.comment.as_ref().map(name)];
        writeln!(
            out,
            "{inner}[feedback: {}]",
            said.into_iter().flatten().collect::<Vec<_>>().join(", ")
        )?;
    }
    if let Some(error) = &message.error {
        writeln!(out, "{inner}[error: {}]", name(error))?;
    }
    Ok(())
}

/// What a retrieved passage is called.
fn title_of(context: &str) -> Option<String> {
    let value = Value::parse(context).ok()?;
    let names = ["readable_filename", "title", "filename", "url", "source"];
    let name = names.into_iter().find_map(|key| value.get(key)?.as_str())?;
    Some(one_line(name, NAME))
}
