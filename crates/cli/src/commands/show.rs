//! `retort show`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use retort_model::{Content, Conversation, Message, Round, Text, canonical};
use retort_service::Summary;

use super::Failure;
use crate::config::Keeping;
use crate::words::{many_lines, moment, one_line, several};

/// Show a conversation in the store.
#[derive(Args)]
pub struct Show {
    /// The conversation's id.
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    keeping: Keeping,

    /// As the line of JSON that keeps everything (the data format `retort`).
    #[arg(long)]
    json: bool,
}

impl Show {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let mut out = std::io::stdout().lock();
        for (index, (summary, line)) in
            opened.service.show(&opened.caller, &self.id)?.iter().enumerate()
        {
            let line = std::str::from_utf8(line)?;
            if self.json {
                writeln!(out, "{line}")?;
                continue;
            }
            if index > 0 {
                writeln!(out)?;
            }
            print(summary, &canonical::read(line)?, &mut out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(
    summary: &Summary,
    conversation: &Conversation<'_>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let title = summary.title.as_deref().unwrap_or("without a title");
    writeln!(out, "{}", one_line(title, 200))?;
    let mut facts = vec![
        format!("id {}", one_line(&summary.id, 200)),
        format!("from {}", one_line(&summary.source, 40)),
        summary.kind.to_string(),
        summary.status.to_string(),
    ];
    facts.extend(summary.owner.as_deref().map(|owner| format!("held by {}", one_line(owner, 80))));
    facts.extend(summary.model.as_deref().map(|model| one_line(model, 60)));
    facts.extend(summary.created_at.map(moment));
    writeln!(out, "{}", facts.join(" · "))?;
    if !summary.tags.is_empty() {
        writeln!(out, "tags: {}", one_line(&summary.tags.join(", "), 400))?;
    }
    let path = conversation.active_path();
    for (place, round) in conversation.rounds.iter().enumerate() {
        let branch = if path.contains(&place) { "" } else { " (another branch)" };
        print_round(round, branch, out)?;
    }
    for task in &conversation.tasks {
        let agent = task.agent.as_ref().map(Text::decoded).unwrap_or_default();
        writeln!(out, "\ntask {} {}", one_line(&task.id.decoded(), 80), one_line(&agent, 80))?;
        for round in &task.rounds {
            print_round(round, "", out)?;
        }
    }
    Ok(())
}

fn print_round(round: &Round<'_>, branch: &str, out: &mut impl Write) -> std::io::Result<()> {
    let mut head = vec![format!("round {}{branch}", round.number)];
    for (what, text) in [("node", &round.node), ("agent", &round.agent), ("model", &round.model)] {
        if let Some(text) = text {
            head.push(format!("{what} {}", one_line(&text.decoded(), 60)));
        }
    }
    if !round.tools.is_empty() {
        head.push(several(round.tools.len() as u64, "tool"));
    }
    writeln!(out, "\n{}", head.join(" · "))?;
    round.messages.iter().try_for_each(|message| print_message(message, out))
}

fn print_message(message: &Message<'_>, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "\n{}", message.role)?;
    let mut say = |label: &str, text: &str| {
        let text = many_lines(text);
        text.lines().try_for_each(|line| writeln!(out, "    {label}{line}"))
    };
    if let Some(reasoning) = &message.reasoning {
        say("(thinks) ", &reasoning.decoded())?;
    }
    match &message.content {
        None => {}
        Some(Content::Text(text)) => say("", &text.decoded())?,
        Some(Content::Parts(parts)) => {
            for part in parts {
                match &part.text {
                    Some(text) => say("", &text.decoded())?,
                    None => say("", &format!("[{}]", part.kind))?,
                }
            }
        }
    }
    for call in &message.tool_calls {
        say("→ ", &format!("{}({})", call.name.decoded(), call.arguments.decoded()))?;
    }
    if !message.contexts.is_empty() {
        say("", &format!("[{}]", several(message.contexts.len() as u64, "retrieved passage")))?;
    }
    if let Some(error) = &message.error {
        say("(failed) ", &error.decoded())?;
    }
    Ok(())
}
