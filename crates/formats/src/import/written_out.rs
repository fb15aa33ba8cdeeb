//! Texts that hold a whole conversation: those that a chat template made, and transcripts.

use super::roles::role_of;

/// Who speaks, and what they say.
type Turn<'t> = (&'t str, &'t str);

/// The messages of a text that holds a whole conversation.
///
/// None if it is none, or if anything in it has marks that no message can have: what they mean is not understood.
pub(super) fn conversation_in(text: &str) -> Option<Vec<Turn<'_>>> {
    let trimmed = without_beginning(text);
    let turns = NAMED
        .iter()
        .find_map(|template| template.turns(trimmed))
        .or_else(|| instructions(trimmed))
        .or_else(|| MARKED.iter().find_map(|template| template.turns(trimmed)))
        .or_else(|| alpaca(trimmed))
        .or_else(|| transcript(text))?;
    let is_whole = turns.iter().any(|(role, said)| *role != "system" && !said.is_empty())
        && !turns.iter().any(|(_, said)| has_marks(said));
    is_whole.then_some(turns)
}

/// What templates begin a text with.
const BEGINNINGS: [&str; 6] = [
    "<s>",
    "<bos>",
    "<|begin_of_text|>",
    "<|startoftext|>",
    "[gMASK]<sop>",
    "<｜begin▁of▁sentence｜>",
];

/// What they end it with, besides what ends each message.
const ENDS: [&str; 7] = [
    "</s>",
    "<eos>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<｜end▁of▁sentence｜>",
    "<|im_end|>",
    "<|eot_id|>",
];

fn without_beginning(text: &str) -> &str {
    let text = text.trim();
    BEGINNINGS.iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text).trim_start()
}

fn without_end(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(rest) = ENDS.iter().find_map(|mark| text.strip_suffix(mark)) {
        text = rest.trim_end();
    }
    text
}

/// Whether a text has a token that templates write between messages, or around calls.
fn has_marks(text: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "[INST]",
        "[/INST]",
        "[TOOL_CALLS]",
        "[AVAILABLE_TOOLS]",
        "[TOOL_RESULTS]",
        "<start_of_turn>",
        "<end_of_turn>",
    ];
    let is_token = |rest: &str, bar: char| {
        let name = rest.split(bar).next().unwrap_or_default();
        name.len() < rest.len()
            && (1..=32).contains(&name.chars().count())
            && !name.contains(char::is_whitespace)
            && rest.get(name.len() + bar.len_utf8()..).is_some_and(|rest| rest.starts_with('>'))
    };
    OTHERS.iter().any(|mark| text.contains(mark))
        || ['|', '｜'].iter().any(|bar| {
            text.match_indices(&format!("<{bar}"))
                .filter_map(|(at, mark)| text.get(at + mark.len()..))
                .any(|rest| is_token(rest, *bar))
        })
}

/// A template that writes the name of each role.
struct Named {
    /// What comes before a name.
    before: &'static str,
    /// What comes behind it.
    behind: &'static str,
    /// What ends a message.
    ends: &'static [&'static str],
}

const NAMED: [Named; 4] = [
    // ChatML.
    Named { before: "<|im_start|>", behind: "\n", ends: &["<|im_end|>"] },
    // Llama 3.
    Named {
        before: "<|start_header_id|>",
        behind: "<|end_header_id|>",
        ends: &["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"],
    },
    // Llama 4.
    Named { before: "<|header_start|>", behind: "<|header_end|>", ends: &["<|eot|>", "<|eom|>"] },
    // Gemma.
    Named { before: "<start_of_turn>", behind: "\n", ends: &["<end_of_turn>"] },
];

impl Named {
    fn turns<'t>(&self, text: &'t str) -> Option<Vec<Turn<'t>>> {
        let mut turns = Vec::new();
        for piece in text.strip_prefix(self.before)?.split(self.before) {
            let (role, said) = match piece.split_once(self.behind) {
                Some((role, said)) => (role.trim(), said),
                // The last one may only ask for an answer.
                None => (piece.trim(), ""),
            };
            let end = self.ends.iter().filter_map(|end| Some((said.find(end)?, end.len()))).min();
            let (said, behind) = match end {
                Some((at, length)) => (said.get(..at)?, said.get(at + length..)?),
                None => (said, ""),
            };
            role_of(role)?;
            if !without_end(behind).is_empty() {
                return None;
            }
            turns.push((role, said.trim()));
        }
        without_request(&mut turns);
        Some(turns)
    }
}

/// Drops an answer that is only asked for.
fn without_request(turns: &mut Vec<Turn<'_>>) {
    if turns.last().is_some_and(|(_, said)| said.is_empty()) {
        turns.pop();
    }
}

/// A template that has a token for each role.
struct Marked {
    /// The roles and their tokens.
    roles: &'static [Turn<'static>],
    /// Whether the system's text comes first, without a token.
    begins_with_system: bool,
    /// What ends a message, besides [`ENDS`].
    end: &'static str,
}

const MARKED: [Marked; 2] = [
    // Phi, Zephyr, Tulu, GLM.
    Marked {
        roles: &[("system", "<|system|>"), ("user", "<|user|>"), ("assistant", "<|assistant|>")],
        begins_with_system: false,
        end: "<|end|>",
    },
    // DeepSeek.
    Marked {
        roles: &[("user", "<｜User｜>"), ("assistant", "<｜Assistant｜>")],
        begins_with_system: true,
        end: "<｜end▁of▁sentence｜>",
    },
];

impl Marked {
    fn turns<'t>(&self, text: &'t str) -> Option<Vec<Turn<'t>>> {
        let next = |rest: &str| {
            let found = self
                .roles
                .iter()
                .filter_map(|(role, mark)| Some((rest.find(mark)?, *role, mark.len())));
            found.min_by_key(|(at, ..)| *at)
        };
        let mut turns = Vec::new();
        let mut following = next(text);
        let before = text.get(..following?.0)?.trim();
        if !before.is_empty() {
            if !self.begins_with_system {
                return None;
            }
            turns.push(("system", before));
        }
        let mut rest = text;
        while let Some((at, role, length)) = following {
            rest = rest.get(at + length..)?;
            following = next(rest);
            let said = without_end(following.map_or(Some(rest), |(at, ..)| rest.get(..at))?);
            turns.push((role, said.strip_suffix(self.end).unwrap_or(said).trim()));
        }
        without_request(&mut turns);
        Some(turns)
    }
}

/// The template of Llama 2 and Mistral: `[INST] question [/INST] answer</s>`, and the system's text in the first question.
fn instructions(text: &str) -> Option<Vec<Turn<'_>>> {
    let mut turns = Vec::new();
    for piece in text.strip_prefix("[INST]")?.split("[INST]") {
        let (asked, answered) = piece.split_once("[/INST]")?;
        let mut asked = asked.trim();
        if turns.is_empty()
            && let Some(rest) = asked.strip_prefix("<<SYS>>")
        {
            let (system, question) = rest.split_once("<</SYS>>")?;
            turns.push(("system", system.trim()));
            asked = question.trim();
        }
        turns.push(("user", asked));
        let answered = without_end(answered.trim().strip_suffix("<s>").unwrap_or(answered));
        turns.push(("assistant", answered));
    }
    without_request(&mut turns);
    Some(turns)
}

/// Alpaca's template, with one instruction and its response.
fn alpaca(text: &str) -> Option<Vec<Turn<'_>>> {
    const INSTRUCTION: &str = "### Instruction:";
    const RESPONSE: &str = "### Response:";
    let at = text.find(INSTRUCTION)?;
    let (before, rest) = (text.get(..at)?, text.get(at + INSTRUCTION.len()..)?);
    let (asked, answered) = rest.split_once(RESPONSE)?;
    let begins =
        before.is_empty() || before.starts_with("Below is an instruction that describes a task");
    if !begins
        || [asked, answered]
            .iter()
            .any(|text| text.contains(INSTRUCTION) || text.contains(RESPONSE))
    {
        return None;
    }
    // What comes first is what templates have as the system's text. An input stays with its instruction, under its heading.
    let system = Some(("system", before.trim())).filter(|(_, text)| !text.is_empty());
    let pair = [("user", asked.trim()), ("assistant", without_end(answered))];
    let mut turns: Vec<_> = system.into_iter().chain(pair).collect();
    without_request(&mut turns);
    Some(turns)
}

/// What comes before what each side says in texts that hold a whole conversation, and whether a blank line does, too.
const MARKS: [[&str; 2]; 3] =
    [["Human:", "Assistant:"], ["### Human:", "### Assistant:"], ["User:", "Assistant:"]];

/// The messages of a text that holds a whole conversation, as HH-RLHF's do: it begins with a mark of who speaks, and an
/// answer follows or is asked for.
fn transcript(text: &str) -> Option<Vec<Turn<'_>>> {
    let text = text.trim();
    let marks = MARKS.iter().find(|marks| text.starts_with(marks[0]))?;
    let blank = format!("\n\n{}", marks[1]);
    // Guanaco's rows have nothing before their marks.
    let gap = if text.contains(&blank) {
        "\n\n"
    } else if marks[1].starts_with("### ") && !text.contains(&format!("\n{}", marks[1])) {
        ""
    } else {
        "\n"
    };
    let ends = |mark: &str| format!("{gap}{mark}");
    let marks = [("user", ends(marks[0])), ("assistant", ends(marks[1]))];
    let mut turns = Vec::new();
    let (mut role, mut rest) = ("user", text.get(marks[0].1.len() - gap.len()..)?);
    loop {
        let next = marks.iter().filter_map(|(role, mark)| Some((rest.find(mark)?, *role, mark)));
        let next = next.min_by_key(|(at, ..)| *at);
        let said = next.map_or(Some(rest), |(at, ..)| rest.get(..at))?;
        turns.push((role, said.trim()));
        let Some((at, speaks, mark)) = next else { break };
        role = speaks;
        rest = rest.get(at + mark.len()..)?;
    }
    let answers = turns.iter().any(|(role, _)| *role == "assistant");
    without_request(&mut turns);
    answers.then_some(turns)
}
