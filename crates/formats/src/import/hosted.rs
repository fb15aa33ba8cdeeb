//! Tools that a provider runs itself, as items of the Responses API: `web_search_call`, `code_interpreter_call` and the
//! like are a call and, where the item has one, its result. Nothing is made up: a call whose result the provider kept to
//! itself has none, and one whose arguments it kept, too, has neither. Training formats decide what that means for the
//! answer ([`ToolCall::is_hosted`]). An item of another tool without arguments is not understood. Reference: OpenAI's API description, schema
//! `Item`.

use retort_json::{Kind, RawJson};
use retort_model::{Content, Message, Part, PartKind, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{ItemError, Notes};
use super::parts::result_content;

/// A hosted tool: the item's type without `_call`, where the item has its arguments, and where its result.
pub(super) struct Hosted {
    name: &'static str,
    arguments: &'static [&'static str],
    result: &'static [&'static str],
}

const HOSTED: [Hosted; 8] = [
    Hosted { name: "web_search", arguments: &["action"], result: &["results"] },
    Hosted { name: "file_search", arguments: &["queries"], result: &["results"] },
    Hosted { name: "code_interpreter", arguments: &["code"], result: &["outputs"] },
    Hosted {
        name: "image_generation",
        arguments: &["revised_prompt", "prompt"],
        result: &["result"],
    },
    Hosted { name: "computer", arguments: &["action", "actions"], result: &["output"] },
    Hosted { name: "local_shell", arguments: &["action"], result: &["output"] },
    Hosted { name: "shell", arguments: &["action"], result: &["output"] },
    Hosted { name: "apply_patch", arguments: &["operation"], result: &["output"] },
];

/// Open WebUI's own, among items that are otherwise OpenAI's.
static OPEN_WEBUI: Hosted =
    Hosted { name: "code_interpreter", arguments: &["code"], result: &["output"] };

/// The hosted tool that items of that type call.
pub(super) fn tool(item_type: &str) -> Option<&'static Hosted> {
    if item_type == "open_webui:code_interpreter" {
        return Some(&OPEN_WEBUI);
    }
    let name = item_type.strip_suffix("_call")?;
    HOSTED.iter().find(|tool| tool.name == name)
}

/// Whether items of that type are the results of a tool that the client ran for a provider.
pub(super) fn is_output(item_type: &str) -> bool {
    item_type.strip_suffix("_output").is_some_and(|call| tool(call).is_some())
}

impl Hosted {
    /// The call; none if the item has no arguments, though it should.
    pub(super) fn call<'a>(&self, map: &mut FieldMap<'a>, item_type: &str) -> Option<ToolCall<'a>> {
        let mut call = ToolCall { name: self.name.into(), ..ToolCall::default() };
        for name in self.arguments {
            let Some(raw) = map.take(&[name], fields::json) else { continue };
            let is_object = fields::kind(&raw) == Some(Kind::Object);
            call.arguments = if is_object {
                raw.into_cow().into()
            } else {
                format!("{{\"{name}\":{raw}}}").into()
            };
            break;
        }
        call.metadata.put("type".into(), RawJson::string(item_type));
        let has_result = map.has(self.result);
        if call.arguments.is_empty() && (has_result || !call.is_hosted()) {
            return None;
        }
        call.id = map.take_id(&["call_id", "id"]).unwrap_or_default();
        Some(call)
    }

    /// What came of it, if the item says so.
    pub(super) fn output<'a>(&self, map: &mut FieldMap<'a>) -> Option<RawJson<'a>> {
        map.take(self.result, fields::json)
    }

    /// The result as a message.
    pub(super) fn result<'a>(
        &self,
        call: &ToolCall<'a>,
        raw: RawJson<'a>,
        notes: &mut Notes,
    ) -> Result<Message<'a>, ItemError> {
        let content = match raw.text() {
            Some(image) if self.name == "image_generation" => {
                let raw = format!(
                    "{{\"type\":\"output_image\",\"result\":{}}}",
                    RawJson::string(&image.decoded())
                );
                let raw = RawJson::owned(&raw).ok();
                Some(Content::Parts(vec![Part { kind: PartKind::Image, text: None, raw }]))
            }
            _ => result_content(raw, notes)?,
        };
        Ok(Message {
            role: Role::Tool,
            tool_call_id: Some(call.id.clone()),
            name: Some(call.name.clone()),
            content,
            ..Message::default()
        })
    }
}
