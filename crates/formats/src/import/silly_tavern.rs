//! SillyTavern's files of chats: JSON Lines, first what the chat is, then a message a line. Written from its code
//! (`public/script.js`, `saveChat`).
//!
//! The lines of a file belong together by the file's path. Answers that were swiped through are kept with the one that is shown.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Message, Role};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::parts::Segment;
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::Least;

/// The format.
pub(super) struct SillyTavern;

impl ImportFormat for SillyTavern {
    fn name(&self) -> &'static str {
        "silly-tavern"
    }

    fn about(&self) -> &'static str {
        "SillyTavern's chat files, one message per line"
    }

    fn notes(&self) -> &'static str {
        "SillyTavern keeps chats in `data/USER/chats/CHARACTER/*.jsonl`: give Retort the folder, or export a chat as \
         JSONL under Manage chat files. The lines of one file are a conversation. Swipes are sibling rounds; the \
         selected one is shown. Reasoning is kept. Messages hidden from the model (`is_system`) are never trained on. \
         The character's card, world info and the author's note are not in these files. Written from SillyTavern's \
         code; no real chat was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&["mes"]) && sniff.holds(&["is_user"])
            || sniff.holds(&["user_name"]) && sniff.holds(&["character_name"])
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        if self.recognises(&Sniff::found(text, entry)) {
            let key = entry.path.to_owned();
            into.push(Fragment { key, order: 0, text: text.into() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(text);
        let mut rows = Vec::new();
        if parser.kind()? == Kind::Array {
            parser.array()?;
            while parser.next_element()? {
                rows.push(parser.raw()?);
            }
        } else {
            rows.push(parser.raw()?);
        }
        parser.end()?;
        notes.count(&parser);
        let mut items = Items::default();
        let mut draft: Option<Draft<'a>> = None;
        for (at, raw) in rows.iter().enumerate() {
            let mut map = FieldMap::of(raw, notes).unwrap_or_default();
            if map.has(&["mes"]) {
                let mark = notes.mark();
                draft.get_or_insert_default().add(map, at, notes)?;
                notes.under(mark, || format!("[{at}]"));
            } else if map.has(&["user_name"]) && map.has(&["character_name"]) {
                // Files of one name follow one another.
                if let Some(draft) = draft.take() {
                    items.push(draft.finish(notes));
                }
                let created_at = map.take(&["create_date"], fields::time);
                draft = Some(Draft { created_at, about: map, ..Draft::default() });
            } else {
                notes.unplaced(format!("[{at}]"), raw);
            }
        }
        let Some(draft) = draft else {
            return Err(ItemError::new(
                Refusal::UnknownShape,
                0,
                "no messages with `mes` in the item",
            ));
        };
        items.push(draft.finish(notes));
        Ok(items)
    }
}

/// A chat under way.
#[derive(Default)]
struct Draft<'a> {
    about: FieldMap<'a>,
    created_at: Option<retort_model::Time>,
    turns: Vec<Turn<'a>>,
    /// The last message that is shown.
    shown: Option<Text<'a>>,
}

impl<'a> Draft<'a> {
    fn add(
        &mut self,
        mut map: FieldMap<'a>,
        at: usize,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let (asks, is_hidden) = (map.is_true("is_user"), map.is_true("is_system"));
        let text = map.take(&["mes"], RawJson::text).unwrap_or_default();
        let extra = map.peek("extra").and_then(|raw| FieldMap::of(raw, notes)).unwrap_or_default();
        let mut message = Message {
            role: if asks { Role::User } else { Role::Assistant },
            name: map.take(&["name"], RawJson::text),
            created_at: map.take(&["send_date"], fields::time),
            train: is_hidden.then_some(false),
            ..Message::default()
        };
        let model = extra.peek("model").and_then(RawJson::text).filter(|_| !asks);
        let reasoning = extra.peek("reasoning").and_then(RawJson::text);
        let reasoning = reasoning.filter(|text| !text.is_blank());
        let swipes = map.take(&["swipes"], fields::list).unwrap_or_default();
        let selected = map.peek("swipe_id").and_then(fields::count).unwrap_or(0);
        let others: Vec<_> = swipes
            .iter()
            .enumerate()
            .filter(|(place, raw)| {
                u64::try_from(*place) != Ok(selected)
                    && raw.text().is_some_and(|other| other != text)
            })
            .filter_map(|(place, raw)| Some((place, raw.text()?)))
            .collect();
        message.metadata = map.rest();
        let known = [
            "extra",
            "swipe_info",
            "variables",
            "force_avatar",
            "original_avatar",
            "gen_started",
            "gen_finished",
            "title",
        ];
        notes.unplaced_fields(&message.metadata, &known, Least::Prose);
        let swiped = Message {
            role: message.role,
            name: message.name.clone(),
            train: message.train,
            ..Message::default()
        };
        let mut segments: Vec<_> = reasoning.into_iter().map(Segment::Reasoning).collect();
        segments.push(Segment::text(text));
        let id: Text<'a> = at.to_string().into();
        let links = |id: Text<'a>| Links { id, parent: self.shown.clone(), children: Vec::new() };
        let turn =
            Turn { links: links(id.clone()), model: model.clone(), ..Turn::of(message, segments) };
        let others = others.into_iter().map(|(place, text)| {
            let segments = vec![Segment::text(text)];
            let links = links(format!("{at}.{place}").into());
            Turn { links, model: model.clone(), ..Turn::of(swiped.clone(), segments) }
        });
        let others: Vec<_> = others.collect();
        self.turns.push(turn);
        self.turns.extend(others);
        self.shown = Some(id);
        Ok(())
    }

    fn finish(self, notes: &mut Notes) -> Conversation<'a> {
        let Self { mut about, created_at, turns, shown } = self;
        let mut conversation = Conversation { created_at, ..Conversation::default() };
        conversation.title = about.take(&["character_name"], RawJson::text);
        let path = |at: usize| format!("[{at}]");
        thread::grow(turns, shown.as_ref(), &mut conversation, notes, path);
        conversation.metadata = about.rest();
        conversation
    }
}
