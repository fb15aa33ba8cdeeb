//! Trajectories of the Agent Data Protocol (ADP): `content` is a list of actions and observations, told apart by
//! `class_`. Source: `schema/` of `neulab/agent-data-protocol`.
//!
//! Calls have no ids; what the environment says next answers the call before it.

use retort_json::{RawJson, Text};
use retort_model::{
    Content, Conversation, Fields, Kind as Held, Message, Part, PartKind, Role, ToolCall,
};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::session::{self, Step};
use super::sniff::Sniff;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Adp;

impl ImportFormat for Adp {
    fn name(&self) -> &'static str {
        "adp"
    }

    fn about(&self) -> &'static str {
        "Trajectories of the Agent Data Protocol: `content` of actions and observations"
    }

    fn notes(&self) -> &'static str {
        "Actions are calls (`api_action` under its function's name, `code_action` under that of its language) with their \
         description as the text beside them, or messages; observations of the environment are the results of the call \
         before them. Pictures of pages are parts without their bytes."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&["content", "class_"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map.take(&["content"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list `content` in the item")
        })?;
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        conversation.id = map.take_id(&["id"]).unwrap_or_default();
        let mut steps = Vec::with_capacity(list.len());
        let mut waiting: Option<Text<'a>> = None;
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            let message = match FieldMap::of(raw, notes) {
                Some(map) => one(map, raw, at, &mut waiting, notes),
                None => None,
            };
            match message {
                Some(message) => {
                    steps.push(Step { messages: vec![message], ..Step::default() });
                }
                None => notes.unplaced("", raw),
            }
            notes.under(mark, || format!("content[{at}]"));
        }
        (conversation.rounds, conversation.current) = session::rounds(steps, None);
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}

fn one<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    at: usize,
    waiting: &mut Option<Text<'a>>,
    notes: &mut Notes,
) -> Option<Message<'a>> {
    let class = map.take(&["class_"], RawJson::text)?;
    let class = class.decoded().into_owned();
    let kind = class.clone();
    let mut message = Message { role: Role::Assistant, ..Message::default() };
    let said = map.take(&["description"], RawJson::text).filter(|text| !text.is_empty());
    match class.as_str() {
        "message_action" => {
            let text = map.take(&["content"], RawJson::text)?;
            message.reasoning = said;
            message.content = Some(Content::Text(text));
            *waiting = None;
        }
        "api_action" | "code_action" => {
            let (name, arguments) = if class == "api_action" {
                let name = map.take(&["function"], RawJson::text)?;
                (name, map.take(&["kwargs"], fields::words).unwrap_or_else(|| "{}".into()))
            } else {
                let code = map.take(&["content"], fields::json)?;
                let name = map.take(&["language"], RawJson::text).unwrap_or_else(|| "code".into());
                let mut fields = Fields::new();
                fields.put("code".into(), code);
                (name, RawJson::object(&fields)?.into_cow().into())
            };
            let id = Text::from(format!("call-{at}"));
            message.content = said.map(Content::Text);
            message.tool_calls.push(ToolCall {
                id: id.clone(),
                name,
                arguments,
                ..ToolCall::default()
            });
            *waiting = Some(id);
        }
        "text_observation" | "web_observation" | "image_observation" => {
            let source = map.peek("source").and_then(RawJson::text);
            let source = source.as_ref().map_or("environment".into(), Text::decoded);
            message.role = match &*source {
                "user" => Role::User,
                "agent" => Role::Assistant,
                "system" => Role::System,
                _ => Role::Tool,
            };
            if message.role == Role::Tool {
                message.tool_call_id = waiting.take();
                if message.tool_call_id.is_none() {
                    // What the agent sees before it did anything.
                    message.role = Role::User;
                    message.source_role = Some(source.into_owned().into());
                }
            }
            message.name = map.take(&["name"], RawJson::text);
            message.content = observed(&class, &mut map, raw);
        }
        other => {
            notes.unplaced(format!("class_={}", short(other)), raw);
            message.role = Role::Other;
            message.source_role = Some(class.into());
        }
    }
    let mut rest = map.rest();
    rest.put("class_".into(), RawJson::string(&kind));
    notes.unplaced_fields(
        &rest,
        &["class_", "source", "image_observation", "annotations", "html"],
        Least::Prose,
    );
    message.metadata = rest;
    Some(message)
}

/// What an observation says.
fn observed<'a>(class: &str, map: &mut FieldMap<'a>, raw: &RawJson<'a>) -> Option<Content<'a>> {
    let image =
        |raw: &RawJson<'a>| Part { kind: PartKind::Image, text: None, raw: Some(raw.clone()) };
    match class {
        "image_observation" => Some(Content::Parts(vec![image(raw)])),
        "web_observation" => {
            let mut texts = Vec::new();
            for name in ["url", "axtree", "html"] {
                texts.extend(map.take(&[name], RawJson::text).filter(|text| !text.is_empty()));
            }
            let mut parts: Vec<_> = texts.into_iter().map(Part::text).collect();
            parts.extend(map.take(&["image_observation"], |raw| Some(image(raw))));
            Some(Content::Parts(parts))
        }
        _ => map.take(&["content"], RawJson::text).map(Content::Text),
    }
}
