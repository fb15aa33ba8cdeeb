//! Where the items that are written come from, for papers ([`crate::papers`]).

use std::collections::BTreeMap;

use retort_model::{Item, NodeKind, Origins, Role};

use super::item_stats::ItemStats;

/// Where an item that was written comes from.
pub(super) fn origins_of(item: &Item<'_>) -> Origins {
    let item_stats = ItemStats::of_one(item);
    let mut models: BTreeMap<String, u64> = BTreeMap::new();
    let mut add =
        |model: Option<String>| *models.entry(model.unwrap_or_default()).or_default() += 1;
    match item {
        Item::Conversation(conversation) => {
            let whole = conversation.model.as_ref();
            let tasks = conversation.tasks.iter().flat_map(|task| &task.rounds);
            for round in conversation.rounds.iter().chain(tasks) {
                let model = round.model.as_ref().or(whole);
                let answers = round.messages.iter().filter(|one| one.role == Role::Assistant);
                answers.for_each(|_| add(model.map(|model| model.decoded().into_owned())));
            }
        }
        Item::Run(run) => {
            let calls = run.nodes.iter().filter(|node| node.kind == NodeKind::ModelCall);
            calls.for_each(|node| {
                add(node.model.as_ref().map(|model| model.decoded().into_owned()));
            });
        }
        Item::Document(_) => {}
    }
    Origins {
        models,
        languages: item_stats.languages,
        characters: item_stats.characters_each.total,
        first: item_stats.first,
        last: item_stats.last,
    }
}
