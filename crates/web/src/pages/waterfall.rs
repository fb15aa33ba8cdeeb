//! The nodes of a run as a tree with their times: which ran inside which, when, and for how long.

use std::collections::HashMap;

use retort_model::{NodeRun, RunStatus};

use super::display::{span, status_class, took};

/// Nodes that are drawn; the others are on the pages of their details.
const DRAWN: usize = 400;

/// Levels that are set in.
const LEVELS: usize = 6;

/// The width of the drawing.
const WIDTH: i64 = 1000;

/// A node in the drawing.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// How deep it is set in.
    pub(super) depth: usize,
    pub(super) class: &'static str,
    /// Its position in the run.
    pub(super) place: usize,
    /// When it began after the first node, and how long it took; empty if that is not known.
    pub(super) after: String,
    pub(super) took: String,
    /// Where its bar begins and how wide it is, if its times are known.
    pub(super) bar: Option<(i64, i64)>,
}

/// The drawing of a run's nodes, parents first and then by the time, and how many nodes are not in it.
pub(super) fn waterfall(nodes: &[NodeRun<'_>]) -> (Vec<Bar>, usize) {
    let times = |node: &NodeRun<'_>| {
        let start = node.started_at?.unix_micros();
        Some((start, node.finished_at.map_or(start, |end| end.unix_micros().max(start))))
    };
    let known = || nodes.iter().filter_map(times);
    let first = known().map(|(start, _)| start).min().unwrap_or(0);
    let last = known().map(|(_, end)| end).max().unwrap_or(0);
    let length = last.saturating_sub(first).max(1);
    let scaled = |micros: i64| {
        let part = i128::from(micros.saturating_sub(first)) * i128::from(WIDTH);
        i64::try_from(part / i128::from(length)).unwrap_or(WIDTH)
    };
    let drawn = ordered(nodes, &times);
    let left = nodes.len().saturating_sub(DRAWN);
    let bars = drawn.into_iter().take(DRAWN).filter_map(|(place, depth)| {
        let node = nodes.get(place)?;
        let times = times(node);
        let after = times.and_then(|(start, _)| u64::try_from((start - first) / 1000).ok());
        Some(Bar {
            name: node.node.decoded().into_owned(),
            kind: node.kind.as_str(),
            depth: depth.min(LEVELS),
            class: match node.status {
                RunStatus::Success => "",
                status => status_class(status),
            },
            place,
            after: after.map(|millis| format!("+{}", span(millis))).unwrap_or_default(),
            took: took(node.started_at, node.finished_at),
            bar: times.map(|(start, end)| {
                let x = scaled(start).min(WIDTH - 2);
                (x, (scaled(end) - x).clamp(2, WIDTH - x))
            }),
        })
    });
    (bars.collect(), left)
}

/// The positions of the nodes, each behind the node that it ran inside, with how deep it is. Each is there once, whatever
/// the parents say.
fn ordered(
    nodes: &[NodeRun<'_>],
    times: &dyn Fn(&NodeRun<'_>) -> Option<(i64, i64)>,
) -> Vec<(usize, usize)> {
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (place, node) in nodes.iter().enumerate() {
        let parent = node.parent.filter(|&parent| parent < nodes.len() && parent != place);
        children.entry(parent).or_default().push(place);
    }
    let started = |place: &usize| nodes.get(*place).and_then(times);
    for list in children.values_mut() {
        list.sort_by_key(|place| (started(place), *place));
    }
    let mut out = Vec::with_capacity(nodes.len());
    let mut is_drawn = vec![false; nodes.len()];
    // What is only inside itself comes last.
    let roots = children.get(&None).cloned().unwrap_or_default();
    for root in roots.into_iter().chain(0..nodes.len()) {
        let mut open = vec![(root, 0)];
        while let Some((place, depth)) = open.pop() {
            match is_drawn.get_mut(place) {
                Some(is_drawn) if !*is_drawn => *is_drawn = true,
                _ => continue,
            }
            out.push((place, depth));
            let below = children.get(&Some(place)).into_iter().flatten().rev();
            open.extend(below.map(|&child| (child, depth + 1)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use retort_model::Time;

    use super::*;

    fn node(parent: Option<usize>, times: Option<(i64, i64)>) -> NodeRun<'static> {
        let time = |seconds: i64| Time::from_unix_micros(seconds * 1_000_000);
        NodeRun {
            parent,
            started_at: times.and_then(|(start, _)| time(start)),
            finished_at: times.and_then(|(_, end)| time(end)),
            ..NodeRun::default()
        }
    }

    #[test]
    fn nodes_stand_behind_their_parents_by_the_time_and_bars_are_to_scale() {
        let nodes = [
            node(Some(3), Some((15, 20))),
            node(Some(3), Some((11, 15))),
            node(Some(1), None),
            node(None, Some((10, 20))),
        ];
        let (bars, left) = waterfall(&nodes);
        let drawn: Vec<_> =
            bars.iter().map(|one| (one.place, one.depth, one.bar, &*one.after)).collect();
        assert_eq!(
            drawn,
            [
                (3, 0, Some((0, 1000)), "+0 ms"),
                (1, 1, Some((100, 400)), "+1.0 s"),
                (2, 2, None, ""),
                (0, 1, Some((500, 500)), "+5.0 s"),
            ]
        );
        assert_eq!(left, 0);
    }

    #[test]
    fn each_node_is_drawn_once_whatever_its_parent_is() {
        let nodes =
            [node(Some(1), None), node(Some(0), None), node(Some(2), None), node(Some(9), None)];
        let (bars, _) = waterfall(&nodes);
        let mut places: Vec<_> = bars.iter().map(|one| one.place).collect();
        assert_eq!(places[..2], [2, 3]);
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3]);
        let many: Vec<_> = (0..DRAWN + 5).map(|n| node(n.checked_sub(1), Some((0, 0)))).collect();
        let (bars, left) = waterfall(&many);
        assert_eq!((bars.len(), left, bars.last().map(|one| one.depth)), (DRAWN, 5, Some(LEVELS)));
    }
}
