//! Gemini's activity as Google Takeout exports it: a list of activities, of which each prompt has its answer as HTML. Written
//! from public code that reads such files.

use retort_json::{RawJson, Text};
use retort_model::{Content, Conversation, Message, PartKind, Role};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::unplaced::Least;

/// The format.
pub(super) struct GeminiActivity;

impl ImportFormat for GeminiActivity {
    fn name(&self) -> &'static str {
        "gemini-activity"
    }

    fn about(&self) -> &'static str {
        "Gemini's activity from Google Takeout: `MyActivity.json`"
    }

    fn notes(&self) -> &'static str {
        "At takeout.google.com, select My Activity, in it only Gemini Apps, and JSON as the format (not HTML). Each \
         prompt with its answer is a conversation of its own: the export does not say which of them belong together. \
         Answers are HTML, as the export has them. Activities without a prompt (such as feedback given) are refused \
         with that reason. A prompt is recognized by the English word `Prompted` in front of it; in other languages, \
         the whole title is the question. Written from public code that reads such files; no real export was \
         available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("products")
            && sniff.has("title")
            && sniff
                .text(&["header"])
                .is_some_and(|header| matches!(header.as_str(), "Gemini Apps" | "Bard" | "Gemini"))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let title = map.take(&["title"], RawJson::text).ok_or_else(|| unknown("no `title`"))?;
        let answers = map.take(&["safeHtmlItem"], fields::list).unwrap_or_default();
        let told = title.decoded();
        let prompt = told.strip_prefix("Prompted").map(str::trim_start).map(str::to_owned);
        if answers.is_empty() && prompt.is_none() {
            return Err(unknown("an activity that is not a prompt"));
        }
        let created_at = map.take(&["time"], fields::time);
        let question: Text<'a> = prompt.map_or_else(|| title.clone(), Text::from);
        let message = |role, text: Text<'a>| Message {
            role,
            content: Some(Content::Text(text)),
            created_at,
            ..Message::default()
        };
        let mut messages = vec![message(Role::User, question)];
        let mut parts = Vec::new();
        for name in ["attachedFiles", "imageFile"] {
            let Some(raw) = map.take(&[name], fields::json) else { continue };
            for raw in fields::list(&raw).unwrap_or_else(|| vec![raw]) {
                let kind = if name == "imageFile" { PartKind::Image } else { PartKind::File };
                parts.push(retort_model::Part { kind, text: None, raw: Some(raw) });
            }
        }
        thread::attach(&mut messages, parts);
        for (at, raw) in answers.iter().enumerate() {
            let html =
                FieldMap::of(raw, notes).and_then(|mut map| map.take(&["html"], RawJson::text));
            match html {
                Some(html) => messages.push(message(Role::Assistant, html)),
                None => notes.unplaced(format!("safeHtmlItem[{at}]"), raw),
            }
        }
        let mut conversation = Conversation { created_at, ..Conversation::default() };
        let turns = vec![Turn::plain(messages)];
        thread::grow(turns, None, &mut conversation, notes, |_| String::new());
        conversation.metadata = map.rest();
        let known = [
            "header",
            "products",
            "activityControls",
            "subtitles",
            "titleUrl",
            "details",
            "locationInfos",
        ];
        notes.unplaced_fields(&conversation.metadata, &known, Least::Prose);
        Ok(conversation.into())
    }
}

fn unknown(why: &str) -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, why)
}
