//! Aider's history of chats, `.aider.chat.history.md`: Markdown that is added to. Source: the code of `Aider-AI/aider`
//! (`io.py`, which writes it, and `utils.py`, which splits it).
//!
//! `# aider chat started at …` begins a session, lines with `#### ` are what the person typed, those with `> ` what Aider
//! reported, and the rest is what the model answered. The file is cut into its sessions before they are read.

use std::io::{self, BufRead, Read};

use retort_json::{RawJson, write_string};
use retort_model::bounds::ITEM_BYTES;
use retort_model::{Conversation, Kind as Held, Message, Role, Time};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, TextFiles, TextItems};
use super::rounds::Rounds;
use super::session;
use super::sniff::Sniff;

/// The format.
pub(super) struct Aider;

/// How a session begins.
const HEAD: &str = "# aider chat started at ";

/// The names of the fields that a session is kept under.
const STARTED: &str = "aider_chat_started_at";
const MARKDOWN: &str = "markdown";

impl ImportFormat for Aider {
    fn name(&self) -> &'static str {
        "aider"
    }

    fn about(&self) -> &'static str {
        "Aider's history of chats: the files `.aider.chat.history.md`"
    }

    fn notes(&self) -> &'static str {
        "Aider adds to `.aider.chat.history.md` in the folder of each project. A session is a conversation; `/clear` \
         and `/reset`, after which the model sees nothing of what came before, begin another. What Aider reports \
         (tokens, edits, commits), the commands that are not sent to the model and what they print, and text before \
         the first question are kept under `events`; `/ask`, `/code` and `/architect` are questions. The file does not \
         contain what Aider sent in addition to the chat: its instructions, the files, the map of the repository. \
         Where the model itself begins a line with `> ` or `#### `, the file cannot tell. Times of sessions are read \
         as UTC, as the file names no zone. Sessions without a question are skipped."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has(STARTED) && sniff.text(&[MARKDOWN]).is_some()
    }

    fn text_files(&self) -> Option<&'static TextFiles> {
        Some(&TextFiles { names: &["*.aider.chat.history.md"], mark: HEAD, items: sessions })
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let started = map.take(&[STARTED], fields::time);
        let markdown = map.take(&[MARKDOWN], RawJson::as_text).unwrap_or_default();
        let mut chat = Chat::default();
        let mut items = Items::default();
        for (kind, text) in blocks(&markdown) {
            match kind {
                Block::Typed => {
                    let typed = command(&text);
                    if matches!(typed, Some("/clear" | "/reset")) {
                        items.extend(std::mem::take(&mut chat).finish(started));
                    }
                    // What follows a command is what it printed.
                    chat.answers = typed.is_none();
                    match typed {
                        Some(_) => chat.events.push(text),
                        None => chat.say(Role::User, text),
                    }
                }
                Block::Reported => {
                    chat.model = model_in(&text).or(chat.model.take());
                    chat.events.push(text);
                }
                Block::Answered if chat.answers => chat.say(Role::Assistant, text),
                Block::Answered => chat.events.push(text),
            }
        }
        items.extend(chat.finish(started));
        Ok(items)
    }
}

/// A conversation as far as it was read.
#[derive(Default)]
struct Chat {
    rounds: Rounds<'static>,
    asked: bool,
    /// Whether text that comes now is the model's.
    answers: bool,
    model: Option<String>,
    events: Vec<String>,
}

impl Chat {
    fn say(&mut self, role: Role, text: String) {
        self.asked = true;
        self.rounds.push(Message::text(role, text));
    }

    /// The conversation, unless nothing was asked.
    fn finish(self, started: Option<Time>) -> Option<Conversation<'static>> {
        if !self.asked {
            return None;
        }
        let mut conversation = Conversation {
            kind: Held::Agent,
            created_at: started,
            model: self.model.map(Into::into),
            rounds: self.rounds.finish(Vec::new()),
            ..Conversation::default()
        };
        let events: Vec<_> = self.events.iter().map(|text| RawJson::string(text)).collect();
        session::keep_events(&mut conversation, &events);
        Some(conversation)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Typed,
    Reported,
    Answered,
}

/// The blocks of a session, without those that are empty.
fn blocks(markdown: &str) -> Vec<(Block, String)> {
    let mut blocks: Vec<(Block, String)> = Vec::new();
    for line in markdown.lines() {
        let (kind, text) = if let Some(typed) = after(line, "####") {
            // The two spaces at the end of a line break it in Markdown.
            (Block::Typed, typed.strip_suffix("  ").unwrap_or(typed))
        } else if let Some(reported) = after(line, ">") {
            (Block::Reported, reported.trim_end())
        } else {
            (Block::Answered, line)
        };
        match blocks.last_mut().filter(|(last, _)| *last == kind) {
            Some((_, before)) => {
                before.push('\n');
                before.push_str(text);
            }
            None => blocks.push((kind, text.to_owned())),
        }
    }
    for (_, text) in &mut blocks {
        *text = text.trim_matches('\n').to_owned();
    }
    blocks.retain(|(kind, text)| *kind == Block::Typed || !text.trim().is_empty());
    blocks
}

/// What follows a mark at the start of a line.
fn after<'l>(line: &'l str, mark: &str) -> Option<&'l str> {
    let rest = line.strip_prefix(mark)?;
    rest.strip_prefix(' ').or_else(|| rest.is_empty().then_some(rest))
}

/// The command that was typed, unless the model sees it.
fn command(typed: &str) -> Option<&str> {
    let word = typed.split_whitespace().next().unwrap_or("<blank>");
    let asks = matches!(word, "/ask" | "/code" | "/architect" | "/context" | "/help")
        && typed.trim().len() > word.len();
    let is_command = word.starts_with(['/', '!']) || matches!(typed.trim(), "<blank>" | "");
    (is_command && !asks).then_some(word)
}

/// The model that a report names, as `Main model: NAME with diff edit format`.
fn model_in(report: &str) -> Option<String> {
    let named = |line: &str| {
        let name = ["Main model: ", "Model: ", "Models: "]
            .iter()
            .find_map(|start| line.strip_prefix(start))?;
        Some(name.split(" with ").next().unwrap_or(name).to_owned())
    };
    report.lines().find_map(named)
}

/// The sessions of a file, each as an object with its start and its Markdown.
fn sessions<'r>(input: Box<dyn BufRead + 'r>) -> TextItems<'r> {
    let mut cut = Cut { input, head: Some(None) };
    Box::new(std::iter::from_fn(move || cut.next().transpose()))
}

struct Cut<'r> {
    input: Box<dyn BufRead + 'r>,
    /// When the session began that comes next; none at the end. Text before the first head has no start.
    head: Option<Option<String>>,
}

impl Cut<'_> {
    fn next(&mut self) -> io::Result<Option<String>> {
        let Some(started) = self.head.take() else { return Ok(None) };
        let (mut markdown, mut line) = (String::new(), Vec::new());
        loop {
            line.clear();
            let room = ITEM_BYTES.saturating_sub(markdown.len());
            if (&mut self.input).take(room as u64).read_until(b'\n', &mut line)? == 0 {
                if room == 0 {
                    let why = "an Aider session is over the item size limit";
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
                }
                break;
            }
            let text = String::from_utf8_lossy(&line);
            if let Some(head) = text.strip_prefix(HEAD) {
                self.head = Some(Some(head.trim().to_owned()));
                break;
            }
            markdown.push_str(&text);
        }
        let mut item = format!("{{\"{STARTED}\":");
        match started {
            Some(started) => write_string(&started, &mut item),
            None => item.push_str("null"),
        }
        item.push_str(",\"");
        item.push_str(MARKDOWN);
        item.push_str("\":");
        write_string(&markdown, &mut item);
        item.push('}');
        Ok(Some(item))
    }
}
