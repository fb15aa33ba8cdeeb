//! A row of training data as a model sees it: its text, and what of that is learnt.

use std::ops::Range;

use super::files::Templates;
use super::render::{Chat, Rendered, TemplateError};
use crate::data::{ChatMessage, ChatRow};

impl Templates {
    /// Renders a row. What is learnt is what the template marks with `{% generation %}`. Without such marks it is found as
    /// trainers find it: from where the text of the messages before an answer ends to where that of the answer ends; none
    /// where a template writes earlier messages in another way once later ones follow.
    ///
    /// # Errors
    /// What the template raises, or can't do with this row.
    pub fn render_row(&self, row: &ChatRow) -> Result<Rendered, TemplateError> {
        let whole = self.render_messages(row, row.messages.len(), false)?;
        if whole.learnt.is_some() {
            return Ok(whole);
        }
        let learnt = self.answers(row, &whole.text);
        Ok(Rendered { learnt, ..whole })
    }

    /// Renders the first `count` messages.
    fn render_messages(
        &self,
        row: &ChatRow,
        count: usize,
        prompts: bool,
    ) -> Result<Rendered, TemplateError> {
        let messages: Vec<&str> =
            row.messages.iter().take(count).map(|message| message.json.as_str()).collect();
        let messages = format!("[{}]", messages.join(","));
        self.render(&Chat {
            messages: &messages,
            tools: row.tools.as_deref(),
            add_generation_prompt: prompts,
        })
    }

    fn answers(&self, row: &ChatRow, whole: &str) -> Option<Vec<Range<usize>>> {
        let learnt = row
            .messages
            .iter()
            .enumerate()
            .filter(|(_, message): &(usize, &ChatMessage)| message.is_learnt);
        learnt.map(|(place, _)| self.answer(row, place, whole)).collect()
    }

    /// Where the message at `place` is in the text.
    fn answer(&self, row: &ChatRow, place: usize, whole: &str) -> Option<Range<usize>> {
        let before = self.render_messages(row, place, true).ok()?.text;
        let start = if whole.starts_with(&before) {
            before.len()
        } else {
            // The beginning of an answer that the template writes is not always that of this one.
            let before = self.render_messages(row, place, false).ok()?.text;
            whole.starts_with(&before).then_some(before.len())?
        };
        let is_last = place + 1 == row.messages.len();
        let end = if is_last {
            whole.len()
        } else {
            let through = self.render_messages(row, place + 1, false).ok()?.text;
            whole.starts_with(&through).then_some(through.len())?
        };
        (start <= end).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use retort_model::Time;

    use super::super::TemplateFiles;
    use super::*;

    fn learnt(template: &str, messages: &[(&str, bool)]) -> Option<Vec<String>> {
        let mut files = TemplateFiles::default();
        files.add_template(None, template.into());
        let templates = Templates::new(&files, None, Time::parse("2026-01-02").unwrap()).unwrap();
        let message = |&(content, is_learnt): &(&str, bool)| {
            let role = if is_learnt { "assistant" } else { "user" };
            ChatMessage { json: format!(r#"{{"role":"{role}","content":"{content}"}}"#), is_learnt }
        };
        let row = ChatRow { messages: messages.iter().map(message).collect(), tools: None };
        let rendered = templates.render_row(&row).unwrap();
        let texts = |spans: Vec<Range<usize>>| {
            spans.into_iter().map(|span| rendered.text[span].to_owned()).collect()
        };
        rendered.learnt.map(texts)
    }

    const CHAT: [(&str, bool); 4] = [("a", false), ("b", true), ("c", false), ("d", true)];

    #[test]
    fn answers_are_learnt_from_the_end_of_what_asks_for_them() {
        let template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
        assert_eq!(learnt(template, &CHAT).unwrap(), ["b<end>", "d<end>"]);
    }

    #[test]
    fn the_marks_of_a_template_go_first() {
        let template = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}.{% endif %}{% endfor %}";
        assert_eq!(learnt(template, &CHAT).unwrap(), ["b", "d"]);
    }

    #[test]
    fn it_is_not_known_where_a_template_writes_earlier_answers_anew() {
        let template = "{% for m in messages %}{{ m.content if loop.last else '-' }}{% endfor %}";
        assert_eq!(learnt(template, &CHAT), None);
    }
}
