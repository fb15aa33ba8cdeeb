//! The first stage: ids, and whether the selection means an item.

use retort_model::{ConversationFilter, Item, Warning};

use super::ids::{content_id, content_of, put_into_namespace};
use super::item::ReadItem;
use super::item::Standing;
use super::repeats::hash_of;
use super::shaping::Shaping;
use super::stage::{Stage, Warn};

/// Gives ids to items that came without one, puts all into the namespace, and chooses.
pub(super) struct Choose<'p> {
    selection: &'p ConversationFilter,
    namespace: Option<&'p str>,
}

impl<'p> Choose<'p> {
    pub(super) fn of(shaping: &Shaping<'p>) -> Self {
        Self { selection: shaping.selection, namespace: shaping.namespace }
    }
}

impl Stage for Choose<'_> {
    fn examine(&self, items: &mut [ReadItem<'_>], warn: &mut Warn<'_>) {
        let mut line = Vec::new();
        for one in items {
            if !one.has_id {
                let content = content_of(one, &mut line);
                one.content = Some(content);
                *one.item.id_mut() = content_id(&content, 1).into();
            }
            if let Some(namespace) = self.namespace {
                put_into_namespace(&mut one.item, namespace);
            }
            if is_meant(self.selection, &one.item) {
                one.hash = Some(hash_of(one));
            } else {
                one.standing = Standing::NotSelected;
                if let Item::Conversation(conversation) = &one.item
                    && conversation.created_at.is_none()
                    && self.selection.asks_for_dates()
                {
                    warn(one, Warning::Undated, None);
                }
            }
        }
    }

    fn chooses(&self) -> bool {
        true
    }
}

/// Whether the filter matches an item. It has conditions on conversations only; runs and documents always match.
pub(super) fn is_meant(selection: &ConversationFilter, item: &Item<'_>) -> bool {
    match item {
        Item::Conversation(conversation) => selection.matches(conversation),
        Item::Run(_) | Item::Document(_) => true,
    }
}
