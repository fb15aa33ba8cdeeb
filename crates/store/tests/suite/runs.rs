//! Runs: taken in, listed, counted, purged, exported; and what they were executions of.

use std::collections::{BTreeSet, HashMap};

use retort_json::RawJson;
use retort_model::{
    DateRange, DecimalRange, Feedback, ItemKind, NodeKind, NodeRun, Run, RunFeatures, RunFilter,
    RunSource, RunStatus, Scope, canonical,
};
use retort_store::{
    Cursor, Importer, IncomingRun, JobProgress, ListOrder, NewDataset, NewExport, RunOrder,
    RunSummary, Taken, Updated,
};

use crate::support::*;

/// A run of that id whose line is `text`.
pub fn run(place: &Place, id: &str, text: &str) -> IncomingRun {
    let plain = place.incoming(id, text);
    IncomingRun {
        id: id.into(),
        flow: "helper".into(),
        digest: plain.digest,
        size: plain.size,
        body: plain.body,
        ..IncomingRun::default()
    }
}

/// Takes in runs; one that is there becomes what comes if its line is longer, and is older if it is shorter.
pub fn take(place: &Place, scope: &Scope, some: &[IncomingRun]) -> Vec<Taken> {
    let taken = place.store.take_in_runs(&Importer::unnamed(scope), some, &mut longest).unwrap();
    assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    taken
}

fn longest(was: &[u8], came: &[u8], run: &IncomingRun) -> Result<Updated, retort_store::Error> {
    Ok(match was.len().cmp(&came.len()) {
        std::cmp::Ordering::Less => Updated::To(Box::new(run.clone())),
        std::cmp::Ordering::Equal => Updated::Same,
        std::cmp::Ordering::Greater => Updated::Older,
    })
}

fn all(place: &Place, selection: &RunFilter) -> Vec<RunSummary> {
    place.store.runs(&place.scope(), selection, RunOrder::Newest, None, 1000).unwrap().runs
}

fn line(place: &Place, summary: &RunSummary) -> String {
    let line = place.store.run_line(summary, &mut place.store.unpacker()).unwrap().unwrap();
    String::from_utf8(line).unwrap()
}

fn of(ids: &[&str]) -> RunFilter {
    RunFilter { ids: ids.iter().map(|&id| id.to_owned()).collect(), ..RunFilter::default() }
}

fn freeze(place: &Place, name: &str, selection: &RunFilter) -> i64 {
    let new = NewExport { creator: "ann", person: None, name, plan: "{}", part_bytes: 1 << 30 };
    let selection = selection.clone().into();
    place.store.submit_export(&place.scope(), &selection, &new, at(100)).unwrap()
}

/// The lines of a frozen selection of runs, or the ids of those that are purged.
fn frozen(place: &Place, job: i64) -> Vec<String> {
    let last = place.job(job).progress.items_total;
    let batch = place.store.selected(job, 0, last, 0).unwrap();
    assert_eq!(batch.kind, ItemKind::Run);
    let mut unpacker = place.store.unpacker();
    let text = |item: &retort_store::SelectedItem| match &item.purged_id {
        Some(id) => format!("purged {id}"),
        None => {
            let mut line = Vec::new();
            batch.unpack(item, &mut unpacker, &mut line).unwrap();
            String::from_utf8(line).unwrap()
        }
    };
    batch.items.iter().map(text).collect()
}

#[test]
fn what_becomes_of_a_run_that_is_there_is_asked_for_with_both_lines() {
    on_both(|place| {
        let scope = place.scope();
        let (a, longer, shorter) =
            (run(place, "a", "line"), run(place, "a", "longer"), run(place, "a", "l"));
        let dry = place.store.would_take_in_runs(
            &Importer::unnamed(&scope),
            std::slice::from_ref(&a),
            &mut longest,
        );
        assert_eq!(dry.unwrap(), [Taken::New]);
        assert_eq!(all(place, &RunFilter::default()), []);
        assert_eq!(take(place, &scope, std::slice::from_ref(&a)), [Taken::New]);
        assert_eq!(take(place, &scope, std::slice::from_ref(&a)), [Taken::Same]);
        let came = [shorter.clone(), longer.clone(), longer.clone(), shorter.clone()];
        let expect = [Taken::Older, Taken::Updated, Taken::Same, Taken::Older];
        assert_eq!(take(place, &scope, &came), expect);
        assert_eq!(take(place, &scope, &came[..2]), [Taken::Older, Taken::Same]);
        let found = all(place, &of(&["a"]));
        assert_eq!(line(place, &found[0]), "longer");
        // Of one id twice at once, too.
        let twice = [run(place, "b", "one"), run(place, "b", "three"), run(place, "b", "two")];
        let expect = [Taken::New, Taken::Updated, Taken::Older];
        assert_eq!(take(place, &scope, &twice), expect);
        assert_eq!(line(place, &all(place, &of(&["b"]))[0]), "three");
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 2);
    });
}

#[test]
fn one_id_of_two_flows_is_of_two_runs() {
    on_both(|place| {
        let scope = place.scope();
        let recipe = IncomingRun { source: RunSource::Recipe, ..run(place, "a", "recipe") };
        let other = IncomingRun { flow: "other".into(), ..run(place, "a", "other") };
        let some = [run(place, "a", "copilot"), recipe, other];
        assert_eq!(take(place, &scope, &some), [Taken::New; 3]);
        assert_eq!(take(place, &scope, &some), [Taken::Same; 3]);
        let mut found: Vec<_> = all(place, &of(&["a"]))
            .into_iter()
            .map(|one| (one.source, one.flow.clone(), line(place, &one)))
            .collect();
        found.sort();
        let expect = [
            (RunSource::Copilot, "helper", "copilot"),
            (RunSource::Copilot, "other", "other"),
            (RunSource::Recipe, "helper", "recipe"),
        ];
        assert_eq!(found, expect.map(|(source, flow, line)| (source, flow.into(), line.into())));
    });
}

#[test]
fn runs_of_others_are_neither_seen_nor_changed() {
    on_both(|place| {
        let owned = |id: &str, text: &str, owner: Option<&str>| IncomingRun {
            owner: owner.map(str::to_owned),
            ..run(place, id, text)
        };
        let some = [
            owned("a", "1", Some("ann")),
            owned("b", "1", Some("bob")),
            IncomingRun { flow: "secret".into(), ..owned("n", "1", None) },
        ];
        take(place, &place.scope(), &some);
        let ann = Scope::person(place.project, "ann");
        let came = [
            owned("a", "22", Some("ann")),
            owned("b", "22", Some("ann")),
            owned("n", "22", Some("ann")),
        ];
        let taken =
            place.store.take_in_runs(&Importer::unnamed(&ann), &came, &mut longest).unwrap();
        // An id that others have is as new to her as one that nobody has.
        assert_eq!(taken, [Taken::Updated, Taken::New, Taken::New]);
        let seen = place.store.runs(&ann, &RunFilter::default(), RunOrder::Newest, None, 10);
        let seen = seen.unwrap().runs;
        let seen: Vec<_> = seen.iter().map(|one| (&*one.id, &*one.flow)).collect();
        assert_eq!(seen, [("n", "helper"), ("b", "helper"), ("a", "helper")]);
        assert_eq!(place.store.count_runs(&ann, &of(&["b", "a"])).unwrap(), 2);
        assert_eq!(place.store.count_runs(&place.scope(), &of(&["b"])).unwrap(), 2);
        let flows = place.store.flows(&ann, None, None).unwrap();
        assert_eq!(
            flows.iter().map(|flow| (&*flow.id, flow.runs)).collect::<Vec<_>>(),
            [("helper", 3)]
        );
        assert!(
            place.store.flow_parts(&ann, RunSource::Copilot, "secret").unwrap().versions.is_empty()
        );
        assert_eq!(place.store.purge_runs(&ann, &of(&["b"])).unwrap(), 1);
        assert!(!place.store.has_runs(&ann, &of(&["b"])).unwrap());
        let mut stats = 0;
        place.store.each_run_fact(&ann, &RunFilter::default(), 10, &mut |_| stats += 1).unwrap();
        assert_eq!(stats, 2);
        assert_eq!(place.store.purge_runs(&ann, &of(&["b"])).unwrap(), 0);
        assert_eq!(place.store.purge_runs(&ann, &RunFilter::default()).unwrap(), 2);
        assert_eq!(place.store.count_runs(&place.scope(), &RunFilter::default()).unwrap(), 2);
        assert!(
            !place.store.knows(&ann, "b").unwrap()
                && place.store.knows(&place.scope(), "b").unwrap()
        );
    });
}

/// A run as the test knows it, beside the store.
struct Told {
    incoming: IncomingRun,
    project: i64,
}

fn told(place: &Place, number: usize, project: i64, dice: &mut Dice) -> Told {
    const NODES: [(&str, NodeKind); 4] = [
        ("suche", NodeKind::Retrieval),
        ("answer", NodeKind::ModelCall),
        ("検索", NodeKind::Tool),
        ("check", NodeKind::Other),
    ];
    let texts = ["Wo ist Ärger?", "50% of a_b\\c", "旅行の計画", "plain question"];
    let id = format!("r-{number}");
    let status = *dice.one(RunStatus::ALL);
    let nodes: BTreeSet<_> = NODES
        .iter()
        .filter(|_| dice.happens(50))
        .map(|(node, kind)| ((*node).to_owned(), *kind))
        .collect();
    let version = dice.happens(80).then(|| format!("v{}", dice.below(3)));
    let mut variant = [0_u8; 16];
    let text = format!("{version:?}{nodes:?}");
    for (index, byte) in text.bytes().enumerate() {
        variant[index % 16] = variant[index % 16].wrapping_mul(31).wrapping_add(byte);
    }
    let failed = status == RunStatus::Failure;
    let incoming = IncomingRun {
        source: *dice.one(RunSource::ALL),
        flow: (*dice.one(&["helper", "other"])).into(),
        flow_name: dice.happens(50).then(|| "Helper".to_owned()),
        version,
        owner: dice.happens(70).then(|| (*dice.one(&["ann", "bob"])).to_owned()),
        status,
        has_feedback: dice.happens(30),
        has_error: failed || dice.happens(10),
        features: RunFeatures {
            models: ["m-1", "m-2", "m\"[,"]
                .into_iter()
                .filter(|_| dice.happens(30))
                .map(str::to_owned)
                .collect(),
            scores: dice.happens(40).then(|| {
                let least = dice.below(5) as i64;
                [least, least + dice.below(5) as i64].map(|score| score * 1_000_000)
            }),
            environment: dice.happens(50).then(|| (*dice.one(&["prod", "test"])).to_owned()),
            judges: ["ann", "joanna"]
                .into_iter()
                .filter(|_| dice.happens(30))
                .map(str::to_owned)
                .collect(),
        },
        thread: dice.happens(50).then(|| (*dice.one(&["t-1", "t-2", "旅"])).to_owned()),
        started_at: dice.happens(90).then(|| at(dice.below(40) as i64)),
        finished_at: dice.happens(50).then(|| at(50)),
        node_count: nodes.len() as u64,
        nodes,
        question: dice.happens(90).then(|| (*dice.one(&texts)).to_owned()),
        answer: dice.happens(50).then(|| (*dice.one(&texts)).to_owned()),
        error: failed.then(|| "time-out".to_owned()),
        variant,
        ..run(place, &id, &format!("line of {id}"))
    };
    Told { incoming, project }
}

fn matches(told: &Told, scope: &Scope, selection: &RunFilter) -> bool {
    let run = &told.incoming;
    let texts = [Some(&run.id), run.question.as_ref(), run.answer.as_ref(), run.error.as_ref()];
    let finds = |sought: &String| {
        let sought = sought.to_lowercase();
        texts.iter().flatten().any(|text| text.to_lowercase().contains(&sought))
    };
    let is_judged_by =
        |names: &[String]| names.iter().any(|name| run.features.judges.contains(name));
    told.project == scope.project
        && scope.owner.as_ref().is_none_or(|owner| run.owner.as_ref() == Some(owner))
        && selection.source.is_none_or(|source| run.source == source)
        && selection.flow.as_ref().is_none_or(|flow| run.flow == *flow)
        && (selection.versions.is_empty()
            || run.version.as_ref().is_some_and(|version| selection.versions.contains(version)))
        && (selection.statuses.is_empty() || selection.statuses.contains(&run.status))
        && selection.started.contains(run.started_at)
        && (selection.search.is_empty() || selection.search.iter().any(finds))
        && selection.has_feedback.is_none_or(|has| run.has_feedback == has)
        && selection.has_error.is_none_or(|has| run.has_error == has)
        && selection.node.as_ref().is_none_or(|node| run.nodes.iter().any(|(one, _)| one == node))
        && (selection.node_kinds.is_empty()
            || run.nodes.iter().any(|(_, kind)| selection.node_kinds.contains(kind)))
        && (selection.models.is_empty()
            || selection.models.iter().any(|model| run.features.models.contains(model)))
        && run.features.scores.map_or(selection.scores.is_all(), |scores| {
            scores.into_iter().all(|score| selection.scores.contains(score))
        })
        && is_among(&selection.threads, run.thread.as_ref())
        && is_among(&selection.owners, run.owner.as_ref())
        && is_among(&selection.environments, run.features.environment.as_ref())
        && (selection.judges.is_empty() || is_judged_by(&selection.judges))
        && !is_judged_by(&selection.not_judges)
        && selection.judged.is_none_or(|judged| judged != run.features.judges.is_empty())
        && (selection.ids.is_empty() || selection.ids.contains(&run.id))
}

/// Whether nothing is asked, or a value is one of those.
fn is_among(asked: &[String], value: Option<&String>) -> bool {
    asked.is_empty() || value.is_some_and(|value| asked.contains(value))
}

/// Nothing as a rule, else one or two of these.
fn some_of<T: Clone>(dice: &mut Dice, all: &[T]) -> Vec<T> {
    let count = if dice.happens(15) { 1 + dice.below(2) } else { 0 };
    (0..count).map(|_| dice.one(all).clone()).collect()
}

fn selection(dice: &mut Dice) -> RunFilter {
    let search = ["ärger", "%", "a_b\\", "旅行", "time", "r-1", "question"];
    let maybe = |dice: &mut Dice| dice.happens(20).then(|| dice.happens(50));
    RunFilter {
        source: dice.happens(30).then(|| *dice.one(RunSource::ALL)),
        flow: dice.happens(40).then(|| (*dice.one(&["helper", "other", "none"])).to_owned()),
        versions: if dice.happens(20) { vec!["v1".into(), "v2".into()] } else { vec![] },
        statuses: if dice.happens(30) {
            vec![*dice.one(RunStatus::ALL), *dice.one(RunStatus::ALL)]
        } else {
            vec![]
        },
        started: DateRange {
            from: dice.happens(20).then(|| at(10)),
            before: dice.happens(20).then(|| at(30)),
        },
        search: if dice.happens(30) { vec![(*dice.one(&search)).to_owned()] } else { vec![] },
        has_feedback: maybe(dice),
        has_error: maybe(dice),
        node: dice.happens(20).then(|| (*dice.one(&["suche", "検索", "none"])).to_owned()),
        node_kinds: some_of(dice, NodeKind::ALL),
        models: some_of(dice, &["m-1".to_owned(), "m\"[,".to_owned(), "m".to_owned()]),
        scores: if dice.happens(20) {
            (*dice.one(&["1..3", "2..", "..2", "4"])).parse().unwrap()
        } else {
            DecimalRange::default()
        },
        threads: some_of(dice, &["t-1".to_owned(), "旅".to_owned()]),
        owners: some_of(dice, &["ann".to_owned(), "none".to_owned()]),
        environments: some_of(dice, &["prod".to_owned(), "test".to_owned()]),
        judges: some_of(dice, &["ann".to_owned(), "none".to_owned()]),
        not_judges: some_of(dice, &["ann".to_owned(), "none".to_owned()]),
        judged: maybe(dice),
        ids: if dice.happens(10) {
            (0..20).map(|n| format!("r-{}", n * 3)).collect()
        } else {
            BTreeSet::new()
        },
        limit: dice.happens(30).then(|| dice.below(40) as u64),
    }
}

/// Sorts these runs, and those with equal values by their number in the store.
fn sort(all: &mut [&Told], keys: &HashMap<String, i64>, order: RunOrder) {
    let score = |one: &&Told, which: usize| one.incoming.features.scores.map(|both| both[which]);
    all.sort_by_key(|one| keys[&one.incoming.id]);
    match order {
        RunOrder::Newest | RunOrder::Oldest => all.sort_by_key(|one| one.incoming.started_at),
        RunOrder::Slowest => all.sort_by_key(|one| {
            let run = &one.incoming;
            let moments = run.finished_at.zip(run.started_at);
            moments.map(|(end, start)| end.unix_micros() - start.unix_micros())
        }),
        RunOrder::BestScore => all.sort_by_key(|one| score(one, 1)),
        RunOrder::WorstScore => {
            all.sort_by_key(|one| (score(one, 0).is_none(), score(one, 0)));
        }
    }
    if order.direction_words() == "descending" {
        all.reverse();
    }
}

/// All runs of the list, read in pages of seven.
fn listed(place: &Place, scope: &Scope, asked: &RunFilter, order: RunOrder) -> Vec<RunSummary> {
    let (mut found, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = place.store.runs(scope, asked, order, after, 7).unwrap();
        found.extend(page.runs);
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return found,
        }
    }
}

#[test]
fn lists_counts_facts_and_exports_mean_the_same_runs() {
    on_both(|place| {
        let mut dice = Dice(6);
        let other = place.store.project_or_new("q", at(0)).unwrap().id;
        let told: Vec<Told> = (0..300)
            .map(|n| {
                let project = if dice.happens(85) { place.project } else { other };
                told(place, n, project, &mut dice)
            })
            .collect();
        for project in [place.project, other] {
            let some: Vec<_> = told
                .iter()
                .filter(|one| one.project == project)
                .map(|one| one.incoming.clone())
                .collect();
            for part in some.chunks(70) {
                take(place, &Scope::project(project), part);
            }
        }
        let keys = all(place, &RunFilter::default()).into_iter().map(|one| (one.id, one.key));
        let keys: HashMap<_, _> = keys.collect();
        for number in 0..250 {
            let asked = selection(&mut dice);
            let owner = dice.happens(40).then(|| "ann".to_owned());
            let scope = Scope { owner, ..Scope::project(place.project) };
            let words = format!("{number} {scope:?} {asked:?}");
            let mut expect: Vec<&Told> =
                told.iter().filter(|one| matches(one, &scope, &asked)).collect();
            let order = *dice.one(RunOrder::ALL);
            sort(&mut expect, &keys, order);
            let found = listed(place, &scope, &asked, order);
            let ids: Vec<_> = found.iter().map(|one| one.id.clone()).collect();
            let expected: Vec<_> = expect.iter().map(|one| one.incoming.id.clone()).collect();
            assert_eq!(ids, expected, "{words} {order:?}");
            if !found.is_empty() {
                let index = dice.below(found.len());
                let around = place.store.run_neighbours(&scope, &asked, order, &found[index]);
                let before = index.checked_sub(1).map(|before| found[before].clone());
                let expect = [before, found.get(index + 1).cloned()];
                assert_eq!(around.unwrap(), expect, "{words} {order:?} {index}");
            }
            sort(&mut expect, &keys, RunOrder::Newest);
            assert_eq!(
                place.store.count_runs(&scope, &asked).unwrap(),
                ids.len() as u64,
                "{words}"
            );
            assert_eq!(place.store.has_runs(&scope, &asked).unwrap(), !ids.is_empty(), "{words}");
            let mut stats = Vec::new();
            let most = asked.limit.unwrap_or(1000);
            place.store.each_run_fact(&scope, &asked, most, &mut |one| stats.push(one)).unwrap();
            let times = expect.iter().map(|one| one.incoming.started_at);
            let expected: Vec<_> = times.take(usize::try_from(most).unwrap()).collect();
            assert_eq!(
                stats.iter().map(|one| one.started_at).collect::<Vec<_>>(),
                expected,
                "{words}"
            );
            // An export takes the most recent, and freezes them in the order in which they came.
            let name = format!("d{number}");
            let new = NewExport {
                creator: "ann",
                person: None,
                name: &name,
                plan: "{}",
                part_bytes: 1 << 30,
            };
            let job =
                place.store.submit_export(&scope, &asked.clone().into(), &new, at(0)).unwrap();
            let mut lines = frozen(place, job);
            lines.sort();
            let limit = usize::try_from(asked.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            let mut expected: Vec<_> = expect
                .iter()
                .take(limit)
                .map(|one| format!("line of {}", one.incoming.id))
                .collect();
            expected.sort();
            assert_eq!(lines, expected, "{words}");
        }
        // What one run tells.
        for one in told.iter().filter(|one| one.project == place.project) {
            let run = &one.incoming;
            let asked = RunFilter {
                source: Some(run.source),
                flow: Some(run.flow.clone()),
                ..of(&[&run.id])
            };
            let found = all(place, &asked);
            assert_eq!(found.len(), 1);
            let seen = &found[0];
            assert_eq!(
                (&seen.version, &seen.owner, seen.status, seen.has_feedback, seen.has_error),
                (&run.version, &run.owner, run.status, run.has_feedback, run.has_error)
            );
            assert_eq!(
                (&seen.question, &seen.answer, &seen.error),
                (&run.question, &run.answer, &run.error)
            );
            assert_eq!((seen.nodes, seen.finished_at), (run.node_count, run.finished_at));
        }
    });
}

#[test]
fn flows_are_learnt_from_their_runs() {
    on_both(|place| {
        let of_flow = |id: &str, version: &str, nodes: &[(&str, NodeKind)], seconds: i64| {
            let nodes: BTreeSet<_> =
                nodes.iter().map(|(node, kind)| ((*node).to_owned(), *kind)).collect();
            let mut variant = [version.as_bytes()[1]; 16];
            variant[0] = nodes.len() as u8;
            IncomingRun {
                version: Some(version.into()),
                flow_name: Some(format!("Helper {seconds}")),
                nodes,
                variant,
                started_at: Some(at(seconds)),
                status: if seconds == 2 { RunStatus::Failure } else { RunStatus::Success },
                ..run(place, id, id)
            }
        };
        let (search, answer) = (("search", NodeKind::Retrieval), ("answer", NodeKind::ModelCall));
        let some = [
            of_flow("a", "v1", &[search, answer], 1),
            of_flow("b", "v1", &[search], 2),
            of_flow("c", "v2", &[search, answer], 3),
            IncomingRun {
                source: RunSource::Recipe,
                flow: "r".into(),
                ..of_flow("d", "v1", &[], 9)
            },
        ];
        take(place, &place.scope(), &some);
        let flows = place.store.flows(&place.scope(), None, None).unwrap();
        let told: Vec<_> = flows
            .iter()
            .map(|flow| {
                (&*flow.id, flow.name.as_deref(), flow.runs, flow.failures, flow.last_started_at)
            })
            .collect();
        let expect = [
            ("r", Some("Helper 9"), 1, 0, Some(at(9))),
            ("helper", Some("Helper 3"), 3, 1, Some(at(3))),
        ];
        assert_eq!(told, expect);
        let copilots = place.store.flows(&place.scope(), Some(RunSource::Copilot), None).unwrap();
        assert_eq!(copilots, flows[1..]);
        assert_eq!(place.store.flows(&place.scope(), None, Some("r")).unwrap(), flows[..1]);
        let parts =
            || place.store.flow_parts(&place.scope(), RunSource::Copilot, "helper").unwrap();
        assert_eq!(parts().versions, [(Some("v1".to_owned()), 2), (Some("v2".to_owned()), 1)]);
        let nodes = [
            ("search".to_owned(), NodeKind::Retrieval, 3),
            ("answer".to_owned(), NodeKind::ModelCall, 2),
        ];
        assert_eq!(parts().nodes, nodes);
        // What no run tells any more is not told, and nothing of it stays.
        assert_eq!(place.store.purge_runs(&place.scope(), &of(&["c"])).unwrap(), 1);
        assert_eq!(parts().versions, [(Some("v1".to_owned()), 2)]);
        assert_eq!(place.number("SELECT COUNT(*) FROM variant"), 3);
        assert_eq!(place.store.purge_runs(&place.scope(), &RunFilter::default()).unwrap(), 3);
        for table in ["run", "body", "variant", "variant_node", "flow"] {
            assert_eq!(place.number(&format!("SELECT COUNT(*) FROM {table}")), 0, "{table}");
        }
    });
}

#[test]
fn an_export_of_runs_is_of_the_moment_in_which_it_was_asked_for() {
    on_both(|place| {
        place.add("conversation", "talk");
        let some = ["kept", "changed", "purged"].map(|id| run(place, id, id));
        take(place, &place.scope(), &some);
        let job = freeze(place, "d", &RunFilter::default());
        assert_eq!(place.job(job).items, ItemKind::Run);
        let lines = frozen(place, job);
        assert_eq!(lines.len(), 3);
        take(
            place,
            &place.scope(),
            &[run(place, "changed", "changed since"), run(place, "later", "l")],
        );
        assert_eq!(frozen(place, job), lines);
        assert_eq!(place.store.purge_runs(&place.scope(), &of(&["purged"])).unwrap(), 1);
        let mut expect = lines.clone();
        expect
            .iter_mut()
            .filter(|line| *line == "purged")
            .for_each(|line| *line = "purged purged".into());
        assert_eq!(frozen(place, job), expect);
        // It is named by the dataset that it would have been in, and by no other's.
        place.claim("w", job);
        let dataset = NewDataset { name: "d".into(), ..NewDataset::default() };
        place.store.keep(job, "w", &JobProgress::default(), at(1000)).unwrap();
        let state = retort_model::JobState::Completed;
        place.store.finish_export(job, "w", state, "{}", &dataset, at(300)).unwrap();
        let traced = |id: &str| place.store.trace(&place.scope(), id, None, 10).unwrap().0.len();
        assert_eq!(
            (traced("kept"), traced("purged"), traced("later"), traced("conversation")),
            (1, 1, 0, 0)
        );
        assert!(place.store.knows(&place.scope(), "purged").unwrap());
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
        assert_eq!(place.number("SELECT COUNT(*) FROM body WHERE superseded = 1"), 0);
        // It may come again.
        assert_eq!(take(place, &place.scope(), &[run(place, "purged", "anew")]), [Taken::New]);
        assert_eq!(line(place, &all(place, &of(&["purged"]))[0]), "anew");
        assert_eq!(traced("purged"), 1);
    });
}

#[test]
fn a_page_of_runs_is_read_from_an_index() {
    on_sqlite(|place| {
        let mut dice = Dice(1);
        let some: Vec<_> =
            (0..200).map(|n| told(place, n, place.project, &mut dice).incoming).collect();
        take(place, &place.scope(), &some);
        let flow = |flow: &str| RunFilter {
            flow: Some(flow.into()),
            source: Some(RunSource::Copilot),
            ..RunFilter::default()
        };
        for owner in [None, Some("ann".to_owned())] {
            let scope = Scope { owner, ..Scope::project(place.project) };
            for asked in [
                RunFilter::default(),
                flow("helper"),
                RunFilter {
                    statuses: vec![RunStatus::Failure],
                    has_error: Some(true),
                    ..flow("helper")
                },
                RunFilter {
                    node: Some("suche".into()),
                    versions: vec!["v1".into()],
                    ..flow("helper")
                },
                RunFilter {
                    started: DateRange { from: Some(at(3)), before: None },
                    ..flow("helper")
                },
            ] {
                for &order in RunOrder::ALL {
                    let plan = place.store.explain_runs(&scope, &asked, order).unwrap().join("\n");
                    let told = format!("{scope:?} {asked:?} {order:?}: {plan}");
                    assert!(plan.contains("INDEX run_"), "{told}");
                    assert!(!plan.contains("SCAN c"), "{told}");
                    // A range or a person has an index of its own, and the indexes by time and score are per flow.
                    let is_by_start = matches!(order, RunOrder::Newest | RunOrder::Oldest);
                    let leads = scope.owner.is_some() || asked.started.from.is_some();
                    let sorted = !is_by_start && (leads || asked.flow.is_none());
                    assert!(sorted || !plan.contains("TEMP B-TREE"), "{told}");
                }
            }
        }
    });
}

#[test]
fn runs_of_an_earlier_release_are_found_by_what_they_hold() {
    on_both(|place| {
        let judged =
            Feedback { rating: Some(RawJson::owned("0.5").unwrap()), ..Feedback::default() };
        let mut whole = Run {
            request_id: "old".into(),
            source_id: "helper".into(),
            nodes: vec![NodeRun { model: Some("m-1".into()), ..NodeRun::default() }],
            feedback: Some(Box::new(judged)),
            ..Run::default()
        };
        whole.metadata.put("environment".into(), RawJson::string("prod"));
        let mut line = Vec::new();
        canonical::write_run(&whole, &mut line);
        let scope = Scope::project(place.project);
        let old = run(place, "old", std::str::from_utf8(&line).unwrap());
        take(place, &scope, &[old, run(place, "damaged", "no run")]);
        assert_eq!(place.sql("UPDATE run SET models = NULL"), 2);
        let filters = [
            RunFilter { models: vec!["m-1".into()], ..RunFilter::default() },
            RunFilter { scores: "0.5..1".parse().unwrap(), ..RunFilter::default() },
            RunFilter { environments: vec!["prod".into()], ..RunFilter::default() },
        ];
        for filter in &filters {
            assert_eq!(all(place, filter).len(), 0);
        }
        let again = retort_store::Store::open_existing(&place.url).unwrap();
        for filter in &filters {
            let found = again.runs(&scope, filter, RunOrder::Newest, None, 9).unwrap();
            let ids: Vec<_> = found.runs.iter().map(|one| one.id.as_str()).collect();
            assert_eq!(ids, ["old"]);
        }
        assert_eq!(all(place, &RunFilter::default()).len(), 2);
    });
}
