//! Rows that keep what was asked and what was answered in columns: the names of these columns, and the messages that
//! their values make. Shared by the formats whose rows look like that.

use std::borrow::Cow;

use retort_json::{Kind, RawJson, write_string};

use super::fields::{self, FieldMap};
use super::written_out::conversation_in;

/// Columns with a question, the surest first.
pub(super) const QUESTION: [&str; 27] = [
    "instruction",
    "question",
    "prompt",
    "query",
    "input",
    "problem",
    "user_input",
    "user_message",
    "user_prompt",
    "user_query",
    "inputs",
    "input_text",
    "text_input",
    "question_text",
    "problem_text",
    "prompt_text",
    "human",
    "user",
    "q",
    "问题",
    "提问",
    "指令",
    "输入",
    "pregunta",
    "frage",
    "вопрос",
    "質問",
];

/// Columns with what belongs to an instruction or question and follows it.
pub(super) const INPUT: [&str; 2] = ["input", "context"];

/// Columns with an answer, the surest first: a solution says more than the answer that it leads to.
pub(super) const ANSWER: [&str; 27] = [
    "output",
    "response",
    "completion",
    "solution",
    "answer",
    "reply",
    "model_output",
    "llm_response",
    "assistant_message",
    "assistant_response",
    "bot_response",
    "ai_response",
    "output_text",
    "text_output",
    "answer_text",
    "response_text",
    "targets",
    "target",
    "assistant",
    "gpt",
    "bot",
    "a",
    "答案",
    "回答",
    "输出",
    "respuesta",
    "antwort",
];

/// Columns with the reasoning before an answer.
pub(super) const REASONING: [&str; 6] =
    ["reasoning", "reasoning_content", "thinking", "chain_of_thought", "complex_cot", "cot"];

/// Columns with earlier questions and their answers.
pub(super) const HISTORY: [&str; 2] = ["history", "chat_history"];

/// Columns with all questions and answers.
pub(super) const TURNS: [&str; 6] =
    ["conversation", "conversations", "dialog", "dialogue", "data", "texts"];

/// What such rows have beside.
pub(super) const BESIDE: [&str; 12] = [
    "id",
    "system",
    "system_prompt",
    "category",
    "topic",
    "source",
    "lang",
    "language",
    "images",
    "videos",
    "audios",
    "tags",
];

/// Messages, as the JSON text of a list.
#[derive(Default)]
pub(super) struct Dialogue {
    messages: Vec<RawJson<'static>>,
}

impl Dialogue {
    pub(super) fn say(&mut self, role: &str, text: &str) {
        self.answer(role, text, None);
    }

    fn answer(&mut self, role: &str, text: &str, reasoning: Option<&str>) {
        let mut message = String::from("{\"role\":");
        write_string(role, &mut message);
        message.push_str(",\"content\":");
        write_string(text, &mut message);
        if let Some(reasoning) = reasoning {
            message.push_str(",\"reasoning_content\":");
            write_string(reasoning, &mut message);
        }
        message.push('}');
        self.messages.extend(RawJson::owned(&message).ok());
    }

    pub(super) fn list(&self) -> RawJson<'static> {
        RawJson::array(&self.messages)
    }

    pub(super) fn into_messages(self) -> Vec<RawJson<'static>> {
        self.messages
    }

    /// Adds what a row asks: its history, then its question. False if it has no question.
    pub(super) fn ask(&mut self, row: &mut FieldMap<'_>) -> bool {
        let history = take(row, &HISTORY, |raw| Self::turns(raw));
        self.messages.extend(history.into_iter().flatten());
        let Some((name, mut text)) = take_text(row, &QUESTION) else {
            // Llama-Nemotron's `input` is a list of messages.
            let messages = take(row, &QUESTION, messages_within);
            let asks = messages.is_some();
            self.messages.extend(messages.into_iter().flatten());
            return asks;
        };
        if !["input", "context"].contains(&&*name)
            && let Some((_, input)) = take_text(row, &INPUT)
            && !input.trim().is_empty()
        {
            if text.trim().is_empty() {
                text = input;
            } else {
                text.push('\n');
                text.push_str(&input);
            }
        }
        match conversation_in(&text) {
            Some(turns) => turns.into_iter().for_each(|(role, text)| self.say(role, text)),
            None => self.say("user", &text),
        }
        true
    }

    /// Adds what a row answers; false if it does not.
    pub(super) fn reply(&mut self, row: &mut FieldMap<'_>) -> bool {
        let Some((_, text)) = take_text(row, &ANSWER) else { return false };
        let reasoning = take(row, &REASONING, |raw| raw.as_text().filter(|text| !is_setting(text)));
        self.answer("assistant", &text, reasoning.as_deref());
        true
    }

    /// The messages of a list of turns: pairs of texts, objects with a question and an answer, texts by turns, or
    /// messages. None if it is anything else.
    pub(super) fn turns(raw: &RawJson<'_>) -> Option<Vec<RawJson<'static>>> {
        let list = fields::list_within(raw)?;
        let mut dialogue = Self::default();
        for (at, turn) in list.iter().enumerate() {
            match fields::kind(turn)? {
                Kind::String => {
                    dialogue.say(["user", "assistant"][at % 2], &turn.as_text()?);
                }
                Kind::Array => {
                    let pair = fields::list(turn)?;
                    let [asked, answered] = pair.as_slice() else { return None };
                    dialogue.say("user", &asked.as_text()?);
                    dialogue.say("assistant", &answered.as_text()?);
                }
                Kind::Object => dialogue.turn(turn)?,
                _ => return None,
            }
        }
        Some(dialogue.messages)
    }

    fn turn(&mut self, turn: &RawJson<'_>) -> Option<()> {
        let mut map = fields::map(turn)?;
        if map.has(&["role", "from"]) {
            self.messages.push(turn.clone().into_owned());
            return Some(());
        }
        if let Some(system) = map.take(&["system"], RawJson::text).filter(|text| !text.is_blank()) {
            self.say("system", &system.decoded());
        }
        let asks = self.ask(&mut map);
        let answers = self.reply(&mut map);
        map.retain(|_, raw| !raw.is_null());
        if !(asks || answers) || map.fields().is_empty() {
            return (asks || answers).then_some(());
        }
        // The remaining fields describe the last message.
        let mut last = fields::map(&self.messages.pop()?)?;
        for (key, raw) in map.rest() {
            if !last.has(&[&key.decoded()]) {
                last.add(key.into_owned(), raw.into_owned());
            }
        }
        self.messages.push(last.rest_object()?);
        Some(())
    }
}

/// Takes what `read` finds under the first of these names that has it, whatever the case of its letters.
pub(super) fn take<'a, T>(
    row: &mut FieldMap<'a>,
    names: &[&str],
    mut read: impl FnMut(&RawJson<'a>) -> Option<T>,
) -> Option<T> {
    names.iter().find_map(|name| {
        let key = key_of(row, name)?;
        row.take(&[&key], &mut read)
    })
}

/// A text, and under which of the names it was.
fn take_text(row: &mut FieldMap<'_>, names: &[&str]) -> Option<(String, String)> {
    names.iter().find_map(|name| {
        let key = key_of(row, name)?;
        let text = row.take(&[&key], RawJson::text)?;
        Some(((*name).to_owned(), text.decoded().into_owned()))
    })
}

/// The messages of a list; none if it is anything else.
fn messages_within(raw: &RawJson<'_>) -> Option<Vec<RawJson<'static>>> {
    let list = fields::list_within(raw).filter(|list| !list.is_empty())?;
    let is_message = |one: &RawJson<'_>| fields::map(one).is_some_and(|map| map.has(&["role"]));
    list.iter().all(is_message).then(|| list.into_iter().map(RawJson::into_owned).collect())
}

/// Whether a text says how a model was asked to reason (`reasoning: on` of Llama-Nemotron) and is no reasoning itself.
fn is_setting(text: &str) -> bool {
    let settings = [
        "on", "off", "true", "false", "yes", "no", "none", "minimal", "low", "medium", "high",
        "auto",
    ];
    settings.iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

fn key_of(row: &FieldMap<'_>, name: &str) -> Option<String> {
    let keys = row.fields().iter().map(|(key, _)| key.decoded());
    keys.into_iter().find(|key| key.eq_ignore_ascii_case(name)).map(Cow::into_owned)
}
