//! Conversations and their rounds.

use crate::fields::Fields;
use crate::judgement::{Judgement, Label};
use crate::message::{CORRECTS, Message, NotUnderstood};
use crate::named;
use crate::time::Time;
use retort_json::{RawJson, Text};

/// One conversation with a language model, as a tree of rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation<'a> {
    /// The source's own id, or one made from its place in the input.
    pub id: Text<'a>,
    /// Name of the import format that it was read with.
    pub source: Text<'a>,
    /// The project it belongs to, if the source says.
    pub project: Option<Text<'a>>,
    /// E-mail or name of the person who held it; none if unknown.
    pub owner: Option<Text<'a>>,
    /// What held it.
    pub kind: Kind,
    /// Its title.
    pub title: Option<Text<'a>>,
    /// Its tags, in the source's order.
    pub tags: Vec<Text<'a>>,
    /// Whether it is active, a favourite or (softly) deleted.
    pub status: Status,
    /// The model that the source names for the whole conversation.
    pub model: Option<Text<'a>>,
    /// When it began.
    pub created_at: Option<Time>,
    /// When it changed last.
    pub updated_at: Option<Time>,
    /// Its rounds, in the source's order; a parent comes before its children.
    pub rounds: Vec<Round<'a>>,
    /// Position in `rounds` of the leaf that is shown; none means the last round.
    pub current: Option<usize>,
    /// Histories of sub-agents that it called.
    pub tasks: Vec<Task<'a>>,
    /// Whether the source, or a person, prefers or rejects it as a whole; none if nobody does.
    pub label: Option<Label>,
    /// What people said of it as a whole, and what the source had said before.
    pub judgements: Vec<Judgement<'a>>,
    /// What the reader met and could not place. Nothing is trained on a conversation that has any.
    pub not_understood: Vec<NotUnderstood<'a>>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// What held a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A person and a model.
    #[default]
    Chat,
    /// A person and an agent with tools.
    Agent,
    /// A graph of agents.
    Graph,
}

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// In use, and marked.
    Favorite,
    /// Softly deleted: kept, but exported only when asked for.
    Deleted,
}

/// An exchange: what was asked, and all that was answered to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round<'a> {
    /// The source's number of the round, from 1.
    pub number: u32,
    /// The round that it follows.
    pub parent: Parent,
    /// Name of the graph's node that it ran in.
    pub node: Option<Text<'a>>,
    /// Name of the agent that answered.
    pub agent: Option<Text<'a>>,
    /// The model that answered.
    pub model: Option<Text<'a>>,
    /// Definitions of the tools offered, as the source wrote them. Sources that list tools once for the whole
    /// conversation have them on the first round.
    pub tools: Vec<RawJson<'a>>,
    /// The messages, in order.
    pub messages: Vec<Message<'a>>,
    /// Tokens used.
    pub usage: Usage,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// Which round a round follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// The one before it in the list.
    #[default]
    Previous,
    /// None: it begins the conversation (anew).
    Root,
    /// The round at this position of the list, from 0.
    Round(usize),
}

/// Tokens that a round used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
}

/// A sub-agent's history inside a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task<'a> {
    /// The source's id of the task.
    pub id: Text<'a>,
    /// Name of the sub-agent.
    pub agent: Option<Text<'a>>,
    /// Id of the tool call that began it.
    pub tool_call_id: Option<Text<'a>>,
    /// Its own rounds.
    pub rounds: Vec<Round<'a>>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

impl<'a> Conversation<'a> {
    /// All messages, of every branch: those of the rounds, then those of the tasks of sub-agents.
    pub fn messages(&self) -> impl Iterator<Item = &Message<'a>> {
        let tasks = self.tasks.iter().flat_map(|task| &task.rounds);
        self.rounds.iter().chain(tasks).flat_map(|round| &round.messages)
    }

    /// Positions of the rounds from the root to the current leaf. A parent that does not come before its child
    /// ends the walk, so that no cycle can hold it.
    pub fn active_path(&self) -> Vec<usize> {
        self.path_to(self.current)
    }

    /// Position of the round that is shown last: the current leaf, or the last round.
    pub fn leaf(&self) -> Option<usize> {
        self.leaf_or_last(self.current)
    }

    fn leaf_or_last(&self, leaf: Option<usize>) -> Option<usize> {
        leaf.filter(|&leaf| leaf < self.rounds.len()).or(self.rounds.len().checked_sub(1))
    }

    /// As [`active_path`](Self::active_path), to this leaf; where there is none of that position, to the last round.
    pub fn path_to(&self, leaf: Option<usize>) -> Vec<usize> {
        let linear = self.rounds.iter().all(|round| round.parent == Parent::Previous);
        let Some(leaf) = self.leaf_or_last(leaf) else { return Vec::new() };
        if linear {
            return (0..=leaf).collect();
        }
        let mut path = vec![leaf];
        let mut at = leaf;
        while let Some(parent) = self.parent_of(at) {
            path.push(parent);
            at = parent;
        }
        path.reverse();
        path
    }

    /// Positions of the rounds that none follows: the ends of its branches.
    pub fn leaves(&self) -> Vec<usize> {
        let mut is_followed = vec![false; self.rounds.len()];
        for at in 0..self.rounds.len() {
            if let Some(parent) = self.parent_of(at).and_then(|at| is_followed.get_mut(at)) {
                *parent = true;
            }
        }
        (0..self.rounds.len()).filter(|&at| is_followed.get(at) == Some(&false)).collect()
    }

    /// Position of the round that the round at `position` follows.
    pub fn parent_of(&self, position: usize) -> Option<usize> {
        match self.rounds.get(position)?.parent {
            Parent::Previous => position.checked_sub(1),
            Parent::Root => None,
            Parent::Round(parent) => Some(parent).filter(|&parent| parent < position),
        }
    }

    /// The model to name for a record of these rounds: the last that a round names, else the conversation's.
    pub fn model_of(&self, rounds: impl DoubleEndedIterator<Item = usize>) -> Option<&Text<'a>> {
        rounds
            .rev()
            .filter_map(|position| self.rounds.get(position)?.model.as_ref())
            .find(|model| !model.is_empty())
            .or(self.model.as_ref())
    }
}

impl Conversation<'_> {
    /// The same conversation, borrowing from nothing.
    pub fn into_owned(self) -> Conversation<'static> {
        Conversation {
            id: self.id.into_owned(),
            source: self.source.into_owned(),
            project: self.project.map(Text::into_owned),
            owner: self.owner.map(Text::into_owned),
            kind: self.kind,
            title: self.title.map(Text::into_owned),
            tags: self.tags.into_iter().map(Text::into_owned).collect(),
            status: self.status,
            model: self.model.map(Text::into_owned),
            created_at: self.created_at,
            updated_at: self.updated_at,
            rounds: self.rounds.into_iter().map(Round::into_owned).collect(),
            current: self.current,
            tasks: self.tasks.into_iter().map(Task::into_owned).collect(),
            label: self.label,
            judgements: self.judgements.into_iter().map(Judgement::into_owned).collect(),
            not_understood: self
                .not_understood
                .into_iter()
                .map(NotUnderstood::into_owned)
                .collect(),
            metadata: self.metadata.into_owned(),
        }
    }
}

impl Round<'_> {
    /// Whether the round is there only for a person's correction of an answer.
    pub fn is_correction(&self) -> bool {
        self.messages.last().is_some_and(Message::is_correction)
    }

    /// The number of the round whose answer it corrects.
    pub fn corrects(&self) -> Option<u32> {
        self.messages.last()?.metadata.get(CORRECTS)?.as_text()?.parse().ok()
    }

    fn into_owned(self) -> Round<'static> {
        Round {
            number: self.number,
            parent: self.parent,
            node: self.node.map(Text::into_owned),
            agent: self.agent.map(Text::into_owned),
            model: self.model.map(Text::into_owned),
            tools: self.tools.into_iter().map(RawJson::into_owned).collect(),
            messages: self.messages.into_iter().map(Message::into_owned).collect(),
            usage: self.usage,
            metadata: self.metadata.into_owned(),
        }
    }
}

impl Task<'_> {
    fn into_owned(self) -> Task<'static> {
        Task {
            id: self.id.into_owned(),
            agent: self.agent.map(Text::into_owned),
            tool_call_id: self.tool_call_id.map(Text::into_owned),
            rounds: self.rounds.into_iter().map(Round::into_owned).collect(),
            metadata: self.metadata.into_owned(),
        }
    }
}

named!(Kind, "type of conversation", Chat = "chat", Agent = "agent", Graph = "graph");
named!(Status, "status", Active = "active", Favorite = "favorite", Deleted = "deleted");

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(parents: &[Parent]) -> Conversation<'static> {
        let rounds = parents.iter().map(|&parent| Round { parent, ..Round::default() }).collect();
        Conversation { rounds, ..Conversation::default() }
    }

    #[test]
    fn without_parents_every_round_is_on_the_path() {
        assert_eq!(rounds(&[Parent::Previous; 3]).active_path(), [0, 1, 2]);
        assert!(rounds(&[]).active_path().is_empty());
    }

    #[test]
    fn the_path_runs_from_the_root_to_the_current_leaf() {
        // 0 ← 1, 0 ← 2 (regenerated), 3 edits the question of 0, 2 ← 4
        let mut tree = rounds(&[
            Parent::Root,
            Parent::Previous,
            Parent::Round(0),
            Parent::Root,
            Parent::Round(2),
        ]);
        assert_eq!(tree.active_path(), [0, 2, 4]);
        tree.current = Some(1);
        assert_eq!(tree.active_path(), [0, 1]);
        tree.current = Some(3);
        assert_eq!(tree.active_path(), [3]);
    }

    #[test]
    fn a_cycle_or_a_parent_that_is_not_there_ends_the_walk() {
        let mut tree = rounds(&[Parent::Round(1), Parent::Round(0), Parent::Round(9)]);
        assert_eq!(tree.active_path(), [2]);
        tree.current = Some(1);
        assert_eq!(tree.active_path(), [0, 1]);
        tree.current = Some(77);
        assert_eq!(tree.active_path(), [2]);
    }
}
