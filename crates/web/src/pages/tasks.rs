//! Sub-agents of a conversation as a tree: each below the one that called it.

use std::collections::HashMap;

use retort_model::Conversation;

use super::records::{Linked, Room, Said, said, shown_messages};

/// Rounds that are shown of one sub-agent.
const ROUNDS: usize = 500;

/// Levels that are set in; deeper ones are below one another.
const LEVELS: usize = 4;

/// A sub-agent as a page shows it.
pub(super) struct Task {
    /// Its place on the page.
    pub(super) place: usize,
    /// The id of the call that started it.
    call: String,
    pub(super) name: String,
    /// How deep it is in the tree, from 0.
    pub(super) depth: usize,
    /// How many messages it has.
    pub(super) total: usize,
    pub(super) said: Vec<Said>,
    /// How many of its messages there was no room for.
    pub(super) cut: usize,
}

/// The sub-agents for which there is room, each before those that it started. `total` says how many messages one has, not
/// all of which may be here.
pub(super) fn shown(
    (conversation, total): (&Conversation<'_>, &dyn Fn(usize) -> usize),
    linked: &Linked<'_>,
    room: &mut Room,
) -> Vec<Task> {
    let mut all: Vec<Task> = Vec::new();
    for (index, depth) in in_order(conversation) {
        let Some(task) = conversation.tasks.get(index) else { continue };
        let agent = task.agent.as_ref().unwrap_or(&task.id).decoded().into_owned();
        if !room.take(&agent) {
            break;
        }
        let in_rounds = task.rounds.iter().take(ROUNDS).flat_map(|round| &round.messages);
        let said = said(in_rounds, linked, room);
        let total = total(index);
        all.push(Task {
            place: all.len() + 1,
            call: task
                .tool_call_id
                .as_ref()
                .map(|id| id.decoded().into_owned())
                .unwrap_or_default(),
            name: agent,
            depth: depth.min(LEVELS),
            total,
            cut: total.saturating_sub(shown_messages(&said)),
            said,
        });
    }
    let mut said: Vec<Vec<Said>> =
        all.iter_mut().map(|task| std::mem::take(&mut task.said)).collect();
    link(&all, said.iter_mut().flatten());
    for (task, said) in all.iter_mut().zip(said) {
        task.said = said;
    }
    all
}

/// Names the sub-agents at the calls that started them.
pub(super) fn link<'s>(tasks: &[Task], messages: impl Iterator<Item = &'s mut Said>) {
    let named = tasks.iter().filter(|task| !task.call.is_empty());
    let by_call: HashMap<&str, &Task> = named.map(|task| (&*task.call, task)).collect();
    if by_call.is_empty() {
        return;
    }
    for call in messages.flat_map(|one| &mut one.calls) {
        call.agent = by_call.get(&*call.id).map(|task| (task.place, task.name.clone()));
    }
}

/// The places of the sub-agents with their depths, each before those that it started. A stranger may have made the
/// tree: sub-agents that started one another are at the top.
fn in_order(conversation: &Conversation<'_>) -> Vec<(usize, usize)> {
    let tasks = &conversation.tasks;
    let mut caller: HashMap<_, usize> = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        let messages = task.rounds.iter().flat_map(|round| &round.messages);
        for call in messages.flat_map(|message| &message.tool_calls) {
            caller.entry(call.id.decoded()).or_insert(index);
        }
    }
    let mut below: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        let id = task.tool_call_id.as_ref().map(|id| id.decoded());
        let parent = id.and_then(|id| caller.get(&id).copied()).filter(|&parent| parent != index);
        below.entry(parent).or_default().push(index);
    }
    let mut order = Vec::new();
    let mut met = vec![false; tasks.len()];
    let roots = below.get(&None).into_iter().flatten().copied();
    for root in roots.chain(0..tasks.len()) {
        let mut stack = vec![(root, 0)];
        while let Some((index, depth)) = stack.pop() {
            if std::mem::replace(met.get_mut(index).unwrap_or(&mut true), true) {
                continue;
            }
            order.push((index, depth));
            let children = below.get(&Some(index)).into_iter().flatten().rev();
            stack.extend(children.map(|&child| (child, depth + 1)));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use retort_model::{Message, Round, Task as Source, ToolCall};

    use super::*;

    fn task(id: &'static str, by: &'static str, calls: &[&'static str]) -> Source<'static> {
        let call = |id: &&'static str| ToolCall { id: (*id).into(), ..ToolCall::default() };
        let message =
            Message { tool_calls: calls.iter().map(call).collect(), ..Message::default() };
        Source {
            id: id.into(),
            tool_call_id: Some(by.into()),
            rounds: vec![Round { messages: vec![message], ..Round::default() }],
            ..Source::default()
        }
    }

    #[test]
    fn sub_agents_stand_below_those_that_called_them() {
        let tasks = vec![
            task("grandchild", "c2", &[]),
            task("child", "c1", &["c2"]),
            task("other", "main-2", &[]),
            task("top", "main-1", &["c1"]),
            task("ring-a", "b", &["a"]),
            task("ring-b", "a", &["b"]),
            task("self", "s", &["s"]),
        ];
        let conversation = Conversation { tasks, ..Conversation::default() };
        let shown = shown((&conversation, &|_| 1), &|_| None, &mut Room::of_page());
        let tree: Vec<_> = shown.iter().map(|task| (&*task.name, task.depth)).collect();
        assert_eq!(
            tree,
            [
                ("other", 0),
                ("top", 0),
                ("child", 1),
                ("grandchild", 2),
                ("self", 0),
                ("ring-a", 0),
                ("ring-b", 1),
            ]
        );
        let call = &shown[1].said[0].calls[0];
        assert_eq!(call.agent, Some((3, "child".into())));
    }
}
