//! Who speaks: the words that systems have for the roles.

use retort_json::Text;
use retort_model::Role;

/// The role of a word, and the word where it is not Retort's own.
pub(super) fn role(word: Text<'_>) -> (Role, Option<Text<'_>>) {
    let role = match word.as_written() {
        "user" => return (Role::User, None),
        "assistant" => return (Role::Assistant, None),
        "system" => return (Role::System, None),
        "tool" => return (Role::Tool, None),
        other => speaker(other).unwrap_or(Role::Other),
    };
    (role, Some(word))
}

/// The role of a word in a field that names the speaker. Some products use words that mean something else elsewhere:
/// Flowise's `apiMessage`, Langflow's `Machine`, and the `Prompt` and `Response` of exporters for browsers.
pub(super) fn speaker(word: &str) -> Option<Role> {
    role_of(word).or_else(|| {
        let lower = word.to_ascii_lowercase();
        Some(match lower.strip_suffix("message").unwrap_or(&lower) {
            "prompt" => Role::User,
            "response" | "machine" | "api" | "llm" => Role::Assistant,
            _ => return None,
        })
    })
}

/// The role of a word, whatever its case; of LangChain's classes (`HumanMessage`) that of what they are named after.
pub(super) fn role_of(word: &str) -> Option<Role> {
    let lower = word.to_ascii_lowercase();
    let named = lower.strip_suffix("chunk").unwrap_or(&lower);
    let named = named.strip_suffix("message").filter(|word| !word.is_empty()).unwrap_or(named);
    Some(match named {
        "user" | "human" | "prompter" => Role::User,
        "assistant" | "gpt" | "chatgpt" | "bing" | "bard" | "bot" | "chatbot" | "ai" | "model"
        | "function_call" | "tool_call" => Role::Assistant,
        "system" | "developer" => Role::System,
        "tool" | "toolresult" | "function" | "observation" | "tool_response" | "tool_result"
        | "function_response" | "ipython" => Role::Tool,
        _ => return None,
    })
}

/// Whether messages of that role hold calls as the JSON text of their content.
pub(super) fn says_calls(word: &Text<'_>) -> bool {
    matches!(word.as_written(), "function_call" | "tool_call")
}
