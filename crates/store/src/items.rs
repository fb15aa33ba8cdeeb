//! What conversations, runs and documents have in common: a number, an id, a state and a body.

use retort_model::ItemKind;

/// Where the items of a kind stand. Each of these tables has the columns `key`, `project`, `id`, `owner`, `status`,
/// `size` and `body`; the status of a purged item is [`PURGED`](crate::filter::PURGED) in all of them.
pub(crate) fn table(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Conversation => "conversation",
        ItemKind::Run => "run",
        ItemKind::Document => "document",
    }
}
