//! Rows of a question and its answer: Alpaca's `instruction`, `input` and `output` with `system` and `history`, `prompt`
//! and `completion` or `query` and `response` as text, tables of questions and answers, and lists of such pairs in one
//! row. References: the data formats of LLaMA-Factory and ms-swift, Stanford Alpaca, Dolly, UltraChat.

use retort_json::{Kind, RawJson};

use super::fields::FieldMap;
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::openhands::OpenHands;
use super::pairs::{ANSWER, BESIDE, Dialogue, HISTORY, INPUT, QUESTION, REASONING, TURNS, take};
use super::ranked::Ranked;
use super::runs::Runs;
use super::sniff::Sniff;
use super::written_out::conversation_in;

/// The format.
pub(super) struct QuestionAnswer;

/// Keys of rows that other formats read.
const OTHERS: [&str; 8] =
    ["messages", "rounds", "convo", "chosen", "rejected", "mapping", "chat_messages", "trace_id"];

impl ImportFormat for QuestionAnswer {
    fn name(&self) -> &'static str {
        "question-answer"
    }

    fn about(&self) -> &'static str {
        "rows of a question and its answer: Alpaca, `prompt` and `completion` as text, tables of questions and answers"
    }

    fn notes(&self) -> &'static str {
        "Columns are recognized by their names, in upper or lower case: `instruction`, `question`, `prompt`, `query`, \
         … for what is asked, `output`, `response`, `completion`, `answer`, … for the answer, `reasoning` or \
         `Complex_CoT` for the reasoning before it. `input` or `context` follows the instruction on a line of its own. \
         `system` becomes a system message, `history` (pairs, or messages) earlier rounds. The \
         question may also be a list of messages, as in Llama-Nemotron, whose `reasoning: on` is no reasoning. A row may hold a list of \
         pairs instead (`conversation` of `human` and `assistant`, `texts` of `user` and `assistant` as in FineVision, `data` of texts by turns). A `prompt` or `text` that \
         is a transcript (`Human: …`, `Assistant:`) is read as its messages, and so is one that a chat template made: \
         ChatML, Alpaca and the templates of Llama, Mistral, Gemma, Phi, Zephyr, GLM and DeepSeek. If it has other marks \
         of templates, such as those around calls, it is not understood. Tables in CSV and XLSX are read the same way. \
         KTO's `label` labels the conversation. Other columns are kept as metadata."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_text = |names: &[&str]| {
            names.iter().any(|name| sniff.key(name).is_some_and(|key| sniff.is_text(&key)))
        };
        let only = |names: &[&[&str]]| {
            sniff.keys().iter().all(|key| {
                names.iter().any(|names| names.iter().any(|name| key.eq_ignore_ascii_case(name)))
            })
        };
        if OTHERS.iter().any(|key| sniff.has(key))
            || Runs.recognises(sniff)
            || OpenHands.recognises(sniff)
            || Ranked.recognises(sniff)
        {
            return false;
        }
        let asks = is_text(&QUESTION);
        let asks_messages =
            || QUESTION.iter().any(|name| *name != "prompt" && sniff.holds(&[name, "role"]));
        let answers = || {
            let mut keys = ANSWER.iter().filter_map(|name| sniff.key(name));
            keys.any(|key| sniff.kind(&[&key]) != Some(Kind::Null))
        };
        let is_whole =
            || sniff.text(&["text"]).is_some_and(|text| conversation_in(&text).is_some());
        ((asks || asks_messages()) && is_text(&ANSWER))
            || (!asks && is_text(&["text"]) && is_whole())
            || sniff.is_text("instruction")
            || (asks && !answers() && only(&[&QUESTION, &INPUT, &ANSWER, &HISTORY, &BESIDE]))
            || (is_text(&["response"]) && only(&[&["response"], &HISTORY, &BESIDE]))
            || TURNS.iter().any(|name| is_list_of_pairs(sniff, name))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut row = FieldMap::item(item, notes)?;
        let mut dialogue = Dialogue::default();
        let asks = dialogue.ask(&mut row);
        let answers = dialogue.reply(&mut row);
        let messages = if asks || answers {
            dialogue.list()
        } else if let Some(text) = row.peek("text").and_then(RawJson::as_text)
            && let Some(turns) = conversation_in(&text)
        {
            // The text itself is kept with the row, because no message contains its marks.
            turns.into_iter().for_each(|(role, said)| dialogue.say(role, said));
            dialogue.list()
        } else {
            let turns = take(&mut row, &TURNS, Dialogue::turns).ok_or_else(unknown)?;
            RawJson::array(&turns)
        };
        Ok(openai::with_messages(row.rest(), messages, &[], notes)?.into())
    }
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no question and no answer in the row")
}

/// Whether a list has turns that [`Dialogue::turns`] reads and that are no messages.
fn is_list_of_pairs(sniff: &Sniff<'_>, name: &str) -> bool {
    match sniff.first_kind(&[name]) {
        Some(Kind::String) => name != "conversations" || sniff.has("id"),
        // An object around a table.
        Some(Kind::Object) if name == "data" => false,
        Some(Kind::Object) => {
            let holds = |names: &[&str]| names.iter().any(|one| sniff.holds(&[name, one]));
            holds(&QUESTION) && holds(&ANSWER) && !holds(&["role", "from"]) && !holds(&REASONING)
        }
        _ => false,
    }
}
