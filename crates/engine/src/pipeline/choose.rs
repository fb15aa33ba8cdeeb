//! The first stage: ids, and whether the selection means an item.

use retort_model::{
    ConversationFilter, Item, LeftOut, NodeKind, NodeRun, Reason, RunSource, Warning,
};

use super::Shaping;
use super::ids::{content_id, content_of, put_into_namespace};
use super::repeats::hash_of;
use super::stage::{Stage, Standing};
use super::work::ReadItem;

/// Gives ids to items that came without one, puts all into the namespace, and chooses.
pub(super) struct Choose<'p> {
    selection: &'p ConversationFilter,
    namespace: Option<&'p str>,
    /// Whether a trace, which is read as a run and as a conversation, is written as the conversation alone.
    is_for_training: bool,
}

impl<'p> Choose<'p> {
    pub(super) fn of(shaping: &Shaping<'p>) -> Self {
        Self {
            selection: shaping.selection,
            namespace: shaping.namespace,
            is_for_training: shaping.data_format.is_for_training(),
        }
    }
}

impl Stage for Choose<'_> {
    fn examine(&self, items: &mut [ReadItem<'_>], warn: &mut dyn FnMut(&ReadItem<'_>, Warning)) {
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
                if self.is_for_training && is_traced(&one.item) {
                    one.standing = Standing::LeftOut(LeftOut::new(Reason::InConversation, ""));
                }
            } else {
                one.standing = Standing::NotSelected;
                if let Item::Conversation(conversation) = &one.item
                    && conversation.created_at.is_none()
                    && self.selection.asks_for_dates()
                {
                    warn(one, Warning::Undated);
                }
            }
        }
    }

    fn chooses(&self) -> bool {
        true
    }
}

/// Whether an item is the run of a traced application with calls of models: what these said is a conversation beside it.
fn is_traced(item: &Item<'_>) -> bool {
    let Item::Run(run) = item else { return false };
    let says = |node: &NodeRun<'_>| node.input.is_some() || node.output.is_some();
    run.source == RunSource::Application
        && run
            .nodes
            .iter()
            .any(|node| matches!(node.kind, NodeKind::ModelCall | NodeKind::Agent) && says(node))
}

/// Whether an item is meant. ConversationFilters say something of conversations alone; of the others all are meant.
pub(super) fn is_meant(selection: &ConversationFilter, item: &Item<'_>) -> bool {
    match item {
        Item::Conversation(conversation) => selection.matches(conversation),
        Item::Run(_) | Item::Document(_) => true,
    }
}
