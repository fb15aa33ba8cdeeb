//! Messages as the nodes of a tree, made into rounds. A round is a chain of nodes: it ends where several nodes follow
//! one, behind the node that is shown last, and before a question that follows an answer.

use std::collections::HashMap;

use retort_json::Text;
use retort_model::{Parent, Round};

/// What a node says of its neighbours.
#[derive(Clone, Default)]
pub(super) struct Links<'a> {
    pub(super) id: Text<'a>,
    pub(super) parent: Option<Text<'a>>,
    pub(super) children: Vec<Text<'a>>,
}

/// A tree of nodes, known by their positions, on which rounds grow.
pub(super) struct Tree {
    parents: Vec<Option<usize>>,
    /// Children of each, in the source's order.
    children: Vec<Vec<usize>>,
    /// The node that is shown last.
    current: Option<usize>,
    states: Vec<State>,
    rounds: Vec<Grown>,
    last: Option<usize>,
}

/// What is known of a node once it has its place.
#[derive(Clone, Copy, Default)]
struct State {
    has_place: bool,
    /// The round that it is in, or the one before it.
    round: Option<usize>,
    /// The round that goes on with its only child.
    open: Option<usize>,
}

struct Grown {
    parent: Parent,
    is_answered: bool,
}

/// What is wrong with the links of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Its parent is not there.
    NoParent(usize),
    /// It is its own ancestor.
    Circle(usize),
}

impl Tree {
    /// The tree of nodes of which `current` is shown last, and what is wrong with it. Nodes that say nothing of each
    /// other follow one another.
    pub(super) fn of(nodes: &[Links<'_>], current: Option<&Text<'_>>) -> (Self, Vec<Broken>) {
        let ids = nodes.iter().map(|node| node.id.decoded());
        let places: HashMap<_, _> = ids.zip(0..).collect();
        let place = |id: &Text<'_>| places.get(&id.decoded()).copied();
        let mut parents: Vec<Option<usize>> =
            nodes.iter().map(|node| place(node.parent.as_ref()?)).collect();
        for (at, node) in nodes.iter().enumerate() {
            for child in node.children.iter().filter_map(place) {
                if let Some(parent @ None) = parents.get_mut(child) {
                    *parent = Some(at);
                }
            }
        }
        let mut broken: Vec<_> = nodes
            .iter()
            .zip(&parents)
            .enumerate()
            .filter(|(_, (node, parent))| node.parent.is_some() && parent.is_none())
            .map(|(at, _)| Broken::NoParent(at))
            .collect();
        if broken.is_empty() && parents.iter().all(Option::is_none) {
            parents = (0..nodes.len()).map(|at| at.checked_sub(1)).collect();
        }
        // Those that a parent lists in its order, then the others.
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        let mut is_listed = vec![false; nodes.len()];
        let listed = nodes.iter().map(|node| node.children.iter().filter_map(place));
        let all =
            listed.enumerate().flat_map(|(at, list)| list.map(move |child| (Some(at), child)));
        let others = (0..nodes.len()).map(|child| (None, child));
        for (at, child) in all.chain(others) {
            let Some(Some(parent)) = parents.get(child) else { continue };
            if at.is_none_or(|at| at == *parent)
                && let (Some(siblings), Some(is_listed @ false)) =
                    (children.get_mut(*parent), is_listed.get_mut(child))
            {
                siblings.push(child);
                *is_listed = true;
            }
        }
        let current = current.and_then(place);
        drop(places);
        let states = vec![State::default(); nodes.len()];
        let tree = Self { parents, children, current, states, rounds: Vec::new(), last: None };
        broken.extend(tree.walk().1.into_iter().map(Broken::Circle));
        (tree, broken)
    }

    /// The nodes, each behind its parent, and the children of one in their order.
    pub(super) fn order(&self) -> Vec<usize> {
        self.walk().0
    }

    /// The order, and where it enters a circle.
    fn walk(&self) -> (Vec<usize>, Vec<usize>) {
        let mut seen = vec![false; self.parents.len()];
        let (mut order, mut circles) = (Vec::with_capacity(seen.len()), Vec::new());
        let roots = |at: &usize| self.parents.get(*at) == Some(&None);
        let mut waiting: Vec<usize> = (0..seen.len()).rev().filter(roots).collect();
        let mut start = 0;
        loop {
            while let Some(at) = waiting.pop() {
                let Some(seen @ false) = seen.get_mut(at) else { continue };
                *seen = true;
                order.push(at);
                waiting.extend(self.children.get(at).into_iter().flatten().rev());
            }
            match (start..seen.len()).find(|&at| seen.get(at) == Some(&false)) {
                None => return (order, circles),
                Some(at) => {
                    circles.push(at);
                    waiting.push(at);
                    start = at + 1;
                }
            }
        }
    }

    /// The node that one follows, if that has its place already.
    pub(super) fn parent(&self, at: usize) -> Option<usize> {
        let parent = self.parents.get(at).copied().flatten()?;
        self.states.get(parent)?.has_place.then_some(parent)
    }

    fn before(&self, at: usize) -> State {
        let Some(parent) = self.parent(at) else { return State::default() };
        let state = self.states.get(parent).copied().unwrap_or_default();
        let is_only = self.children.get(parent).is_some_and(|children| children.len() == 1);
        State { open: state.open.filter(|_| is_only && self.current != Some(parent)), ..state }
    }

    /// Gives a node that says nothing its place. Nodes come in their [`order`](Self::order).
    pub(super) fn pass(&mut self, at: usize) {
        let state = State { has_place: true, ..self.before(at) };
        self.set(at, state);
    }

    /// Gives a node that says something its place; gives the position of its round.
    pub(super) fn enter(&mut self, at: usize, asks: bool, answers: bool) -> usize {
        let before = self.before(at);
        let is_answered = |round: usize| self.rounds.get(round).is_some_and(|one| one.is_answered);
        let round = before.open.filter(|&round| !(asks && is_answered(round)));
        let round = round.unwrap_or_else(|| {
            let place = self.rounds.len();
            let parent = match before.round {
                Some(round) if round + 1 != place => Parent::Round(round),
                None if place > 0 => Parent::Root,
                _ => Parent::Previous,
            };
            self.rounds.push(Grown { parent, is_answered: false });
            place
        });
        if let Some(round) = self.rounds.get_mut(round) {
            round.is_answered |= answers;
        }
        self.set(at, State { has_place: true, round: Some(round), open: Some(round) });
        round
    }

    fn set(&mut self, at: usize, state: State) {
        self.last = Some(at);
        if let Some(slot) = self.states.get_mut(at) {
            *slot = state;
        }
    }

    /// The rounds, without messages, and the position of the one that is shown last, where that is not the last of
    /// them. Without a mark it is: of several answers the last.
    pub(super) fn rounds<'a>(&self) -> (Vec<Round<'a>>, Option<usize>) {
        let round = |(at, grown): (usize, &Grown)| Round {
            number: u32::try_from(at + 1).unwrap_or(u32::MAX),
            parent: grown.parent,
            ..Round::default()
        };
        let rounds: Vec<_> = self.rounds.iter().enumerate().map(round).collect();
        let shown = self.current.or(self.last).and_then(|at| self.states.get(at)?.round);
        let shown = shown.filter(|shown| shown + 1 != rounds.len());
        (rounds, shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes as `id<parent`, each a question if its name is upper case.
    fn grown(nodes: &str, current: &str) -> (Vec<String>, Vec<Broken>) {
        let names: Vec<(&str, Option<&str>)> = nodes
            .split(' ')
            .map(|node| node.split_once('<').map_or((node, None), |(id, up)| (id, Some(up))))
            .collect();
        let links: Vec<_> = names
            .iter()
            .map(|&(id, parent)| Links {
                id: id.into(),
                parent: parent.map(Text::from),
                children: Vec::new(),
            })
            .collect();
        let (mut tree, broken) = Tree::of(&links, Some(&current.into()));
        let mut words = Vec::new();
        for at in tree.order() {
            let name = names[at].0;
            let asks = name.starts_with(char::is_uppercase);
            let round = tree.enter(at, asks, !asks);
            words.resize(words.len().max(round + 1), String::new());
            words[round].push_str(name);
        }
        let (rounds, shown) = tree.rounds();
        let parents = rounds.iter().map(|round| format!("{:?} ", round.parent));
        let told = parents.zip(words).map(|(parent, words)| parent + &words);
        (told.chain(shown.map(|shown| shown.to_string())).collect(), broken)
    }

    #[test]
    fn chains_are_rounds_and_branches_are_siblings() {
        let previous = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| format!("Previous {name}")).collect()
        };
        assert_eq!(grown("Q a<Q B<a c<B d<c", "d").0, previous(&["Qa", "Bcd"]));
        assert_eq!(grown("Q a b", "").0, previous(&["Qab"]));
        assert_eq!(
            grown("Q a<Q b<Q C<a", "C").0,
            ["Previous Q", "Previous a", "Previous C", "Round(0) b", "2"]
        );
        assert_eq!(grown("Q a<Q b<a", "a").0, ["Previous Qa", "Previous b", "0"]);
        assert_eq!(grown("Q a<Q P b<P", "b").0, ["Previous Qa", "Root Pb"]);
    }

    #[test]
    fn broken_links_are_told_of() {
        let (told, broken) = grown("Q a<b b<a c<gone", "Q");
        assert_eq!(told, ["Previous Q", "Root c", "Root ab", "0"]);
        assert_eq!(broken, [Broken::NoParent(3), Broken::Circle(1)]);
    }
}
