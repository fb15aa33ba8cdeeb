//! Results of several calls in one message.

use retort_json::Value;
use retort_model::Message;

/// The results that one message holds, as ShareGPT has them.
pub(super) fn joined_results(message: &Message<'_>) -> Option<Vec<String>> {
    results_in(&message.content.as_ref()?.text().decoded())
}

/// The elements of a text that is a JSON array: texts as such, other values as their JSON text.
pub(super) fn results_in(text: &str) -> Option<Vec<String>> {
    let Ok(Value::Array(items)) = Value::parse(text) else { return None };
    let text_of = |item: &Value<'_>| item.as_str().map_or_else(|| item.to_json(), str::to_owned);
    Some(items.iter().map(text_of).collect())
}
