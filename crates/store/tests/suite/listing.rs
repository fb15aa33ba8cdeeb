//! Lists, counts, search and isolation, against the selection's own word on each conversation.

use retort_model::{
    Content, Conversation, ConversationFilter, DateRange, Features, Feedback, Judgement, Kind,
    Label, Message, Part, PartKind, Query, Rating, Role, Round, Scope, Status, Time, ToolCall,
    canonical,
};
use retort_store::{Counted, Cursor, Edit, Incoming, ListOrder, Order, Summary};

use crate::support::*;

use std::fmt::Write;

const WORDS: [&str; 26] = [
    "Reise",
    "REISE",
    "reise nach",
    "Straße",
    "STRASSE",
    "旅行",
    "旅",
    "東京旅行記",
    "Ärger",
    "ÄRGER",
    "100%",
    "a_b",
    "aXb",
    "c\\d",
    "\"q\"",
    "'x'",
    "💬",
    "👩‍👩‍👧",
    "İstanbul",
    "ΟΔΟΣ",
    "οδος",
    "мир",
    "МИР!",
    "ab",
    "\u{1f}",
    "e\u{301}\u{308}",
];

const OWNERS: [Option<&str>; 4] = [None, Some("ann"), Some("Ann"), Some("bob@example.org")];

/// A conversation as it went in, where, and as the selection sees it.
struct Known {
    project: i64,
    incoming: Incoming,
    seen: Conversation<'static>,
}

fn made(place: &Place, project: i64, n: usize, dice: &mut Dice) -> Known {
    let title = dice.happens(80).then(|| words(dice, 4));
    let tags: Vec<String> = (0..dice.below(3)).map(|_| words(dice, 2)).collect();
    // Few moments, so that many share one.
    let moment = |dice: &mut Dice| dice.happens(85).then(|| at(dice.below(40) as i64));
    let seen = Conversation { id: format!("c{}", n % 250).into(), ..featured(dice) };
    let owner = dice.one(&OWNERS).map(str::to_owned);
    let seen = Conversation { owner: owner.clone().map(Into::into), ..seen };
    let incoming = Incoming {
        features: Features::with_language(&seen),
        messages: seen.messages().count() as u64,
        model: seen.model.as_ref().map(|model| model.decoded().into_owned()),
        source: (*dice.one(&["x", "y"])).into(),
        owner,
        kind: *dice.one(Kind::ALL),
        status: *dice.one(&[Status::Active, Status::Active, Status::Favorite, Status::Deleted]),
        title,
        tags,
        created_at: moment(dice),
        updated_at: moment(dice),
        ..place.made_of(&seen)
    };
    let seen = Conversation {
        source: incoming.source.clone().into(),
        kind: incoming.kind,
        status: incoming.status,
        title: incoming.title.clone().map(Into::into),
        tags: incoming.tags.iter().cloned().map(Into::into).collect(),
        created_at: incoming.created_at,
        ..seen
    };
    Known { project, incoming, seen }
}

const MODELS: [&str; 4] = ["m", "m-1", "m\"1", ","];
const JUDGES: [&str; 3] = ["ann", "Ann", "bob, \"b\""];
const TOOLS: [&str; 4] = ["", "look_up", "reise", "t\"1"];

/// A conversation with what filters ask for beyond its own fields.
fn featured(dice: &mut Dice) -> Conversation<'static> {
    let message = |dice: &mut Dice| {
        let is_user = dice.happens(50);
        let image = Part { kind: PartKind::Image, text: None, raw: None };
        let rating = *dice.one(&["true", "0", "3"]);
        Message {
            role: if is_user { Role::User } else { Role::Assistant },
            content: match dice.below(10) {
                0 => Some(Content::Parts(vec![image])),
                1..=6 => Some(Content::Text(words(dice, 6).into())),
                _ => None,
            },
            tool_calls: (0..dice.below(3)).map(|_| call(dice)).collect(),
            label: dice.happens(10).then(|| *dice.one(Label::ALL)),
            error: dice.happens(10).then(|| "no".into()),
            feedback: dice.happens(15).then(|| {
                let rating = Some(retort_json::RawJson::parse(rating).unwrap());
                Box::new(Feedback { rating, ..Feedback::default() })
            }),
            judgements: (0..dice.below(2)).filter_map(|_| judgement(dice)).collect(),
            ..Message::default()
        }
    };
    let mut round = || Round {
        model: dice.happens(30).then(|| (*dice.one(&MODELS)).into()),
        messages: (0..dice.below(4)).map(|_| message(dice)).collect(),
        ..Round::default()
    };
    let rounds = vec![round(), round()];
    Conversation {
        rounds,
        label: dice.happens(5).then(|| *dice.one(Label::ALL)),
        model: dice.happens(30).then(|| (*dice.one(&MODELS)).into()),
        ..Conversation::default()
    }
}

fn judgement(dice: &mut Dice) -> Option<Judgement<'static>> {
    let by = dice.happens(20).then(|| (*dice.one(&JUDGES)).into())?;
    Some(Judgement { by: Some(by), train: Some(false), ..Judgement::default() })
}

fn call(dice: &mut Dice) -> ToolCall<'static> {
    ToolCall {
        name: (*dice.one(&TOOLS)).into(),
        arguments: "{\"about\":\"reise\"}".into(),
        ..ToolCall::default()
    }
}

/// Up to `most` words, some of them grown together.
fn words(dice: &mut Dice, most: usize) -> String {
    let count = dice.below(most + 1);
    let some: Vec<_> = (0..count).map(|_| *dice.one(&WORDS)).collect();
    some.join(if dice.happens(70) { " " } else { "" })
}

/// Adds one of the filters that ask for more than lists show.
fn ask_for_features(known: &[Known], filter: &mut ConversationFilter, dice: &mut Dice) {
    let numbers = ["2", "..1", "3..", "1..4"];
    match dice.below(17) {
        16 => filter.messages = dice.one(&numbers).parse().unwrap(),
        15 => filter.judges = vec![(*dice.one(&JUDGES)).into(), "nobody".into()],
        14 => filter.judged = Some(dice.happens(50)),
        13 => filter.tools = vec![(*dice.one(&TOOLS)).into(), "look_up".into()],
        10 => filter.tokens = dice.one(&["0", "5..", "..7"]).parse().unwrap(),
        11 => filter.scores = dice.one(&["1", "-1..0.5", "2..", "..3"]).parse().unwrap(),
        12 => filter.languages = vec![(*dice.one(&["en", "de", "zh"])).into()],
        0 => filter.turns = dice.one(&numbers).parse().unwrap(),
        1 => filter.calls = dice.one(&numbers).parse().unwrap(),
        2 => filter.owners = vec![(*dice.one(&["ann", "Ann", "nobody"])).into()],
        3 => filter.formats = vec![(*dice.one(&["x", "z"])).into(), "y".into()],
        4 => filter.has_error = Some(dice.happens(50)),
        5 => filter.has_attachment = Some(dice.happens(50)),
        6 => filter.labels = vec![*dice.one(Label::ALL)],
        7 => filter.ratings = vec![*dice.one(Rating::ALL)],
        8 => filter.models = vec![(*dice.one(&MODELS)).into(), (*dice.one(&MODELS)).into()],
        _ => {
            let some = &dice.one(known).incoming.tags;
            filter.tags = some.iter().cloned().chain([",".into()]).collect();
        }
    }
}

fn random_selection(known: &[Known], dice: &mut Dice) -> ConversationFilter {
    let mut selection = ConversationFilter::default();
    if dice.happens(50) {
        for _ in 0..1 + dice.below(2) {
            selection.search.push(query(known, dice));
        }
    }
    if dice.happens(30) {
        let mut end = || dice.happens(70).then(|| at(dice.below(40) as i64));
        selection.created = DateRange { from: end(), before: end() };
    }
    if dice.happens(30) {
        selection.kinds = (0..1 + dice.below(2)).map(|_| *dice.one(Kind::ALL)).collect();
    }
    if dice.happens(30) {
        selection.statuses = (0..1 + dice.below(3)).map(|_| *dice.one(Status::ALL)).collect();
    }
    if dice.happens(15) {
        selection.ids = (0..1 + dice.below(30)).map(|_| format!("c{}", dice.below(300))).collect();
    }
    for _ in 0..2 {
        if dice.happens(40) {
            ask_for_features(known, &mut selection, dice);
        }
    }
    selection
}

/// Conditions of fields.
const CONDITIONS: [&str; 20] = [
    "judged:false",
    "-judged_by:ann",
    "tag:reise",
    "tag:\"旅行 旅行\"",
    "-tag:Straße",
    "model:m-1",
    "-model:m",
    "tool:look_up",
    "tool:reise",
    "-tool:look_up",
    "type:chat",
    "-type:agent",
    "status:deleted",
    "-status:favorite",
    "turns:1..",
    "-turns:2",
    "has_error:true",
    "-score:1..",
    "owner:ann",
    "created_from:1970-01-01T00:00:10Z",
];

/// A query with some of what queries may have.
fn query(known: &[Known], dice: &mut Dice) -> Query {
    let mut text = String::new();
    for _ in 0..1 + dice.below(3) {
        if dice.happens(25) {
            write!(text, " {}", dice.one(&CONDITIONS)).unwrap();
            continue;
        }
        let sought = sought(known, dice);
        // What has no letters is refused.
        if sought.parse::<Query>().is_err() {
            continue;
        }
        let exclusion = if dice.happens(20) { "-" } else { "" };
        let field = *dice.one(&["", "", "", "title:", "question:", "answer:", "text:"]);
        let start = if dice.happens(20) { "*" } else { "" };
        write!(text, " {exclusion}{field}\"{sought}\"{start}").unwrap();
    }
    text.parse().unwrap_or_else(|_| "旅".parse().unwrap())
}

/// A few characters out of some title, tag or message, or what has a meaning in some language of queries.
fn sought(known: &[Known], dice: &mut Dice) -> String {
    if dice.happens(25) {
        return (*dice.one(&[
            "'",
            "''",
            "*",
            "a OR b",
            "NOT",
            "^a",
            "a_b",
            "A%",
            "missing",
            "-a b",
            "(ab",
            "text:re",
            "ß",
            "SS",
            "é",
            "e\u{301}",
            "m-1",
            "look up",
            "ann",
            "c17",
            "NEAR(a b)",
            "a & b",
            "a:*",
            "\\",
            "reise*",
        ]))
        .into();
    }
    let one = dice.one(known);
    let said = one.seen.messages().map(|message| message.words().decoded().into_owned());
    let texts: Vec<String> =
        said.chain(one.incoming.title.clone()).chain(one.incoming.tags.iter().cloned()).collect();
    let text = if texts.is_empty() { "" } else { dice.one(&texts).as_str() };
    let characters: Vec<char> = text.chars().filter(|one| *one != '"').collect();
    if characters.is_empty() {
        return "旅".into();
    }
    let start = dice.below(characters.len());
    let length = 1 + dice.below(12);
    let part: String = characters.iter().skip(start).take(length).collect();
    match dice.below(3) {
        0 => part.to_uppercase(),
        1 => part.to_lowercase(),
        _ => part,
    }
}

fn expected<'k>(
    known: &'k [Known],
    scope: &Scope,
    selection: &ConversationFilter,
) -> Vec<&'k Known> {
    known
        .iter()
        .filter(|one| {
            one.project == scope.project
                && (scope.owner.is_none() || scope.owner == one.incoming.owner)
                && selection.matches(&one.seen)
        })
        .collect()
}

/// Sorts what is in the order in which it came; this order is kept among those of equal value, or reversed.
fn sort(all: &mut [&Known], order: Order) {
    match order {
        Order::Newest | Order::Oldest => all.sort_by_key(|one| one.incoming.created_at),
        Order::Changed | Order::Unchanged => all.sort_by_key(|one| one.incoming.updated_at),
        Order::Title | Order::TitleDown => all.sort_by_key(|one| {
            let title = one.incoming.title.as_ref();
            (title.is_none(), title.map(|title| title.to_ascii_lowercase()))
        }),
        Order::MostTurns | Order::FewestTurns => {
            all.sort_by_key(|one| one.incoming.features.turns);
        }
        Order::MostTokens | Order::FewestTokens => {
            all.sort_by_key(|one| one.incoming.features.tokens);
        }
        Order::BestScore => {
            all.sort_by_key(|one| one.incoming.features.scores.map(|[_, most]| most));
        }
    }
    if order.direction_words() == "descending" {
        all.reverse();
    }
}

type Name<'n> = (&'n str, &'n str, Option<&'n str>);

fn name(one: &Incoming) -> Name<'_> {
    (&one.id, &one.source, one.title.as_deref())
}

fn listed(
    place: &Place,
    scope: &Scope,
    selection: &ConversationFilter,
    order: Order,
    most: usize,
) -> Vec<Summary> {
    let (mut all, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = place.store.list(scope, selection, order, after, most).unwrap();
        assert!(page.conversations.len() <= most);
        all.extend(page.conversations);
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return all,
        }
    }
}

#[test]
fn lists_and_counts_agree_with_the_selection() {
    on_both(|place| {
        let mut dice = Dice(42);
        let other = place.store.project_or_new("q", at(0)).unwrap().id;
        let known: Vec<Known> = (0..400)
            .map(|n| {
                let project = if n % 4 == 3 { other } else { place.project };
                made(place, project, n, &mut dice)
            })
            .collect();
        // The number that each has in the store is the order in which it came.
        let mut known: Vec<Known> = known;
        let mut seen = std::collections::HashSet::new();
        known.retain(|one| {
            seen.insert((one.project, one.incoming.id.clone(), one.incoming.source.clone()))
        });
        for one in &known {
            take_in(
                &place.store,
                &Scope::project(one.project),
                std::slice::from_ref(&one.incoming),
            );
        }
        let mut found = 0;
        for round in 0..500 {
            let selection =
                if round == 0 { everything() } else { random_selection(&known, &mut dice) };
            let project = *dice.one(&[place.project, other]);
            let owner = if dice.happens(40) { *dice.one(&OWNERS) } else { None };
            let scope =
                owner.map_or(Scope::project(project), |owner| Scope::person(project, owner));
            let mut expect = expected(&known, &scope, &selection);
            assert_eq!(
                place.store.count(&scope, &selection).unwrap(),
                expect.len() as u64,
                "{scope:?} {selection:?}"
            );
            // A stable sort: what has the same value stays in the order in which it came.
            let order = *dice.one(Order::ALL);
            sort(&mut expect, order);
            let most = *dice.one(&[1, 2, 3, 7, 50, 1000]);
            let got = listed(place, &scope, &selection, order, most);
            if !got.is_empty() {
                let index = dice.below(got.len());
                let around = place.store.neighbours(&scope, &selection, order, &got[index]);
                let before = index.checked_sub(1).map(|before| got[before].clone());
                let expect = [before, got.get(index + 1).cloned()];
                assert_eq!(around.unwrap(), expect, "{scope:?} {selection:?} {order:?} {index}");
            }
            let got: Vec<_> = got
                .iter()
                .map(|one| (one.id.as_str(), one.source.as_str(), one.title.as_deref()))
                .collect();
            let expect: Vec<_> = expect.iter().map(|one| name(&one.incoming)).collect();
            assert_eq!(got, expect, "{scope:?} {selection:?} {order:?} by {most}");
            found += expect.len();
        }
        assert!(found > 5000, "{found} say little");
    });
}

#[test]
fn what_is_sought_stays_within_a_title_or_a_tag() {
    on_both(|place| {
        let one = Incoming {
            title: Some("Anfang Ende".into()),
            tags: vec!["eins".into(), "zwei".into()],
            ..place.incoming("c", "x")
        };
        place.take(&[one]);
        for (sought, found) in [
            ("endeeins", 0),
            ("\"ende eins\"", 0),
            ("ENDE", 1),
            ("eins", 1),
            ("\"eins zwei\"", 0),
            ("\"anfang ende\"", 1),
            ("eins zwei ende", 1),
        ] {
            let selection = ConversationFilter { search: queries(&[sought]), ..everything() };
            assert_eq!(place.all(&selection).len(), found, "{sought:?}");
            assert_eq!(place.store.count(&place.scope(), &selection).unwrap(), found as u64);
        }
    });
}

#[test]
fn a_moment_is_inside_from_its_first_microsecond() {
    on_both(|place| {
        let time = |text: &str| Time::parse(text).unwrap();
        for (id, created) in [
            ("before", "2024-02-29T23:59:59.999999Z"),
            ("first", "2024-03-01T00:00:00Z"),
            ("offset", "2024-03-01T01:30:00+02:00"),
            ("last", "2024-03-01T23:59:59.999999Z"),
            ("after", "2024-03-02T00:00:00Z"),
            ("old", "0000-01-01"),
            ("far", "9999-12-31T23:59:59Z"),
        ] {
            let created_at = Some(time(created));
            place.take(&[Incoming { created_at, ..place.incoming(id, "x") }]);
        }
        place.add("unknown", "x");
        let found = |range: &str| {
            let selection = ConversationFilter { created: range.parse().unwrap(), ..everything() };
            let mut found: Vec<_> = place.all(&selection).into_iter().map(|one| one.id).collect();
            found.sort();
            found.join(" ")
        };
        assert_eq!(found("2024-03-01..2024-03-02"), "first last");
        assert_eq!(
            found("2024-02-29T23:59:59.9999995Z..2024-03-02T00:00:00.0000001Z"),
            "after first last"
        );
        assert_eq!(found("..2024-03-01"), "before offset old");
        assert_eq!(found("2024-03-02.."), "after far");
        assert_eq!(found(".."), "after before far first last offset old unknown");
    });
}

#[test]
fn pages_neither_lose_nor_double_while_conversations_come_in() {
    on_both(|place| {
        let one = |n: i64| Incoming {
            created_at: (n % 3 != 0).then(|| at(n % 7)),
            ..place.incoming(&format!("c{n}"), "x")
        };
        place.take(&(0..60).map(one).collect::<Vec<_>>());
        let before: Vec<_> = place.all(&everything()).into_iter().map(|one| one.id).collect();
        let (mut seen, mut after, mut n) = (Vec::new(), None, 60);
        loop {
            let page =
                place.store.list(&place.scope(), &everything(), Order::Newest, after, 7).unwrap();
            seen.extend(page.conversations.into_iter().map(|one| one.id));
            place.take(&[one(n), one(n + 1)]);
            n += 2;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        seen.retain(|id| before.contains(id));
        assert_eq!(seen, before);
    });
}

#[test]
fn what_is_no_cursor_is_refused() {
    for text in ["", "-", "1", "x-1", "1-", "1-2-3", "-1-2", "fffffffffffffffff-1"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn many_ids_are_no_fault() {
    on_both(|place| {
        place.take(&["a'b", "c\"d", "e\\f", "💬"].map(|id| place.incoming(id, "x")));
        let mut selection = ids(&["a'b", "c\"d", "e\\f", "💬"]);
        selection.ids.extend((0..50_000).map(|n| format!("missing {n}")));
        assert_eq!(place.store.count(&place.scope(), &selection).unwrap(), 4);
    });
}

#[test]
fn a_person_finds_only_what_is_theirs() {
    on_both(|place| {
        let of = |owner: Option<&str>, id: &str| Incoming {
            owner: owner.map(str::to_owned),
            ..place.incoming(id, "x")
        };
        place.take(&[of(Some("ann"), "a"), of(Some("bob"), "b"), of(None, "n")]);
        let other = place.store.project_or_new("q", at(0)).unwrap().id;
        take_in(
            &place.store,
            &Scope::project(other),
            &[of(Some("ann"), "a"), of(Some("ann"), "q")],
        );
        let ann = Scope::person(place.project, "ann");
        for (id, count) in [("a", 1), ("b", 0), ("n", 0), ("q", 0)] {
            assert_eq!(place.store.find(&ann, id).unwrap().len(), count, "{id}");
            assert_eq!(place.store.count(&ann, &ids(&[id])).unwrap(), count as u64, "{id}");
            assert_eq!(place.store.knows(&ann, id).unwrap(), count == 1, "{id}");
        }
        assert!(place.store.knows(&place.scope(), "b").unwrap());
        assert!(!place.store.knows(&place.scope(), "q").unwrap());
    });
}

#[test]
fn lists_are_read_from_an_index() {
    on_sqlite(|place| {
        let mut dice = Dice(3);
        let some: Vec<_> = (0..2000)
            .map(|n| Incoming { id: format!("c{n}"), ..made(place, 0, n, &mut dice).incoming })
            .collect();
        place.take(&some);
        for owner in [None, Some("ann".to_owned())] {
            let scope = Scope { owner, ..Scope::project(place.project) };
            for combination in 0..8 {
                let mut selection = everything();
                if combination & 1 != 0 {
                    selection.kinds = vec![Kind::Agent];
                }
                if combination & 2 != 0 {
                    selection.statuses = vec![Status::Deleted, Status::Favorite];
                }
                if combination & 4 != 0 {
                    selection.created = DateRange { from: Some(at(3)), before: Some(at(30)) };
                }
                for &order in Order::ALL {
                    let plan = place.store.explain(&scope, &selection, order).unwrap().join("\n");
                    let told = format!("{scope:?} {selection:?} {order:?}: {plan}");
                    assert!(plan.contains("INDEX"), "{told}");
                    assert!(!plan.contains("SCAN c"), "{told}");
                    // A range or a person leads by itself; what it finds is then sorted by something else.
                    let narrow = scope.owner.is_some() || combination & 4 != 0;
                    let is_by_creation = matches!(order, Order::Newest | Order::Oldest);
                    let sorted = !is_by_creation && narrow;
                    assert!(sorted || !plan.contains("TEMP B-TREE"), "{told}");
                }
            }
            // By id and by text the few that are found are sorted.
            for selection in [
                ids(&["c1", "c2"]),
                ConversationFilter { search: queries(&["reise"]), ..everything() },
            ] {
                let plan =
                    place.store.explain(&scope, &selection, Order::Newest).unwrap().join("\n");
                assert!(!plan.contains("SCAN c") && plan.contains("INDEX"), "{plan}");
            }
        }
    });
}

#[test]
fn a_tag_or_an_owner_that_is_rare_is_found_by_an_index() {
    on_both(|place| {
        let one = |n: i64| {
            let tag = match n {
                5 | 1005 => "to do",
                6 => "do to",
                7 => "🔥",
                8 => "tö dö",
                _ => "done",
            };
            let owner = if n % 1000 == 0 { "ana" } else { "ben" };
            let language = if n % 1500 == 0 { "fi" } else { "en" };
            Incoming {
                created_at: Some(at(n)),
                tags: vec![tag.into()],
                owner: Some(owner.into()),
                features: Features { language: Some(language), ..Features::default() },
                ..place.speaking(&format!("c{n}"), if n == 5 { "alpha" } else { "beta" })
            }
        };
        place.take(&(0..3000).map(one).collect::<Vec<_>>());
        if place.is_postgres() {
            place.client().batch_execute("ANALYZE").unwrap();
        }
        let by_tags = |tags: &[&str]| ConversationFilter {
            tags: tags.iter().map(|&tag| tag.into()).collect(),
            ..everything()
        };
        let by_query =
            |query: &str| ConversationFilter { search: queries(&[query]), ..everything() };
        let in_languages = |languages: &[&str]| ConversationFilter {
            languages: languages.iter().map(|&language| language.into()).collect(),
            ..everything()
        };
        let of_ana = ConversationFilter { owners: vec!["ana".into()], ..everything() };
        let is_by_words = |plan: &str| {
            plan.contains("conversation_words_words") || plan.contains(" s VIRTUAL TABLE")
        };
        for (selection, is_rare, expect) in [
            (by_tags(&["to do"]), true, &["c1005", "c5"][..]),
            (by_tags(&["to do", "do to"]), true, &["c1005", "c6", "c5"]),
            (by_tags(&["TO DO"]), true, &[]),
            (by_tags(&["🔥"]), false, &["c7"]),
            (by_tags(&["to do", "🔥"]), false, &["c1005", "c7", "c5"]),
            (by_query(r#"tag:"to do""#), true, &["c1005", "c5"]),
            (by_query(r#"tag:"to do" alpha"#), true, &["c5"]),
            (by_query(r#"tag:"to do" -alpha"#), true, &["c1005"]),
            (by_query(r#"-alpha -tag:done"#), false, &["c1005", "c8", "c7", "c6"]),
            (
                ConversationFilter { search: queries(&["beta"]), ..by_tags(&["to do"]) },
                true,
                &["c1005"],
            ),
            (in_languages(&["fi"]), false, &["c1500", "c0"]),
            (
                ConversationFilter { owners: of_ana.owners.clone(), ..in_languages(&["fi", "sv"]) },
                false,
                &["c0"],
            ),
            (of_ana, false, &["c2000", "c1000", "c0"]),
        ] {
            let plan = place.store.explain(&place.scope(), &selection, Order::Newest).unwrap();
            let plan = plan.join("\n");
            assert_eq!(is_by_words(&plan), is_rare, "{selection:?}: {plan}");
            let is_by_holder = plan.contains("conversation_holder");
            assert_eq!(is_by_holder, !selection.owners.is_empty(), "{selection:?}: {plan}");
            let is_by_language = plan.contains("conversation_language");
            assert_eq!(is_by_language, selection.languages.len() == 1, "{selection:?}: {plan}");
            let got = listed(place, &place.scope(), &selection, Order::Newest, 100);
            let got: Vec<_> = got.iter().map(|one| one.id.as_str()).collect();
            assert_eq!(got, expect, "{selection:?}");
            let count = place.store.count(&place.scope(), &selection).unwrap();
            assert_eq!(count, expect.len() as u64, "{selection:?}");
        }
    });
}

#[test]
fn a_quick_count_of_what_no_index_tells_is_of_the_newest() {
    on_both(|place| {
        let one = |n: i64| Incoming {
            created_at: Some(at(n)),
            owner: Some(if n % 100 == 0 { "ana" } else { "ben" }.into()),
            features: Features { turns: n.unsigned_abs() % 2, ..Features::default() },
            ..place.speaking(&format!("c{n}"), if n == 3 { "alpha" } else { "beta" })
        };
        let all: Vec<_> = (0..10_500).map(one).collect();
        all.chunks(3_500).for_each(|some| drop(place.take(some)));
        let counted = |scope: &Scope, selection: &ConversationFilter| {
            let Counted { count, is_least } = place.store.count_quickly(scope, selection).unwrap();
            (count, is_least)
        };
        let everyone = place.scope();
        let ana = Scope { owner: Some("ana".into()), ..place.scope() };
        let odd = ConversationFilter { turns: "1..1".parse().unwrap(), ..everything() };
        let of_word = |word| ConversationFilter { search: queries(&[word]), ..odd.clone() };
        assert_eq!(counted(&everyone, &everything()), (10_500, false));
        assert_eq!(counted(&everyone, &of_word("alpha")), (1, false));
        assert_eq!(counted(&ana, &odd), (0, false));
        assert_eq!(counted(&ana, &everything()), (105, false));
        let of_owner = ConversationFilter { owners: vec!["ana".into()], ..everything() };
        assert_eq!(counted(&everyone, &of_owner), (105, false));
        assert_eq!(counted(&everyone, &of_word("-gamma owner:ana")), (0, false));
        assert_eq!(counted(&everyone, &odd), (5_000, true));
        assert_eq!(place.store.count(&everyone, &odd).unwrap(), 5_250);
        // It was counted, and nothing has changed.
        assert_eq!(counted(&everyone, &odd), (5_250, false));
        place.add("later", "beta");
        assert!(counted(&everyone, &odd).1);
        let mut recent = 0;
        let more = place.store.each_recent_stats(&everyone, &odd, 10_000, &mut |_| recent += 1);
        assert!(more.unwrap() && (4_999..=5_000).contains(&recent), "{recent}");
        let mut recent = 0;
        let more = place.store.each_recent_stats(&ana, &everything(), 10_000, &mut |_| recent += 1);
        assert!(!more.unwrap() && recent == 105, "{recent}");
    });
}

/// In PostgreSQL, looking at a row means reading all its words.
#[test]
fn postgres_looks_at_few_rows_for_what_is_found_rarely() {
    on_postgres(|place| {
        // Statistics say that half of the conversations with `alpha` also have `beta`. Those with `gamma` are
        // old.
        let text = |n: i64| match n {
            5 | 1005 | 2005 => "gamma delta",
            6 | 1006 => "delta gamma",
            _ if n % 2 == 0 => "alpha",
            _ => "beta",
        };
        let one = |n: i64| Incoming {
            created_at: Some(at(n)),
            ..place.speaking(&format!("c{n}"), text(n))
        };
        place.take(&(0..3000).map(one).collect::<Vec<_>>());
        place.client().batch_execute("ANALYZE").unwrap();
        let all: Vec<i64> = (0..3000).collect();
        let of = |has: &dyn Fn(&str) -> bool| {
            all.iter().filter(|n| has(text(**n))).map(|n| format!("c{n}")).collect::<Vec<_>>()
        };
        for (sought, is_rare, mut expect) in [
            (&["zzzz"][..], true, vec![]),
            (&["alpha beta"], true, vec![]),
            (&["gamma"], true, of(&|text| text.contains("gamma"))),
            (&["\"gamma delta\""], true, of(&|text| text == "gamma delta")),
            (&["gamma -\"delta gamma\""], true, of(&|text| text == "gamma delta")),
            (&["question:gamma", "zzzz"], true, of(&|text| text.contains("gamma"))),
            (&["answer:gamma"], true, vec![]),
            (&["alpha"], false, of(&|text| text == "alpha")),
            (&["-gamma"], false, of(&|text| !text.contains("gamma"))),
            (&["-alpha -beta"], false, of(&|text| text.contains("gamma"))),
        ] {
            let selection = ConversationFilter { search: queries(sought), ..everything() };
            let plan = place.store.explain(&place.scope(), &selection, Order::Newest).unwrap();
            let plan = plan.join("\n");
            assert_eq!(plan.contains("conversation_words_words"), is_rare, "{sought:?}: {plan}");
            assert_eq!(plan.contains("conversation_created"), !is_rare, "{sought:?}: {plan}");
            assert_eq!(place.store.count(&place.scope(), &selection).unwrap(), expect.len() as u64);
            expect.sort();
            for order in [Order::Newest, Order::Oldest, Order::Title, Order::BestScore] {
                let got = listed(place, &place.scope(), &selection, order, 100);
                let mut got: Vec<_> = got.into_iter().map(|one| one.id).collect();
                got.sort();
                assert_eq!(got, expect, "{sought:?} {order:?}");
            }
        }
    });
}

#[test]
fn what_was_purged_since_it_was_found_is_no_longer_read() {
    on_both(|place| {
        place.add("c", "one");
        let found = place.one("c");
        place.dataset("keeps the bare id", &everything());
        place.store.edit(&place.scope(), &ids(&["c"]), &Edit::Purge).unwrap();
        assert_eq!(place.store.line(&found, &mut place.store.unpacker()).unwrap(), None);
    });
}

#[test]
fn a_count_asked_for_again_follows_what_others_change() {
    on_both(|place| {
        let (other, scope) = (place.again(), place.scope());
        let counts = || {
            let deleted = ConversationFilter {
                statuses: vec![Status::Deleted],
                ..ConversationFilter::default()
            };
            let sought =
                ConversationFilter { search: queries(&["neu*"]), ..ConversationFilter::default() };
            [ConversationFilter::default(), deleted, sought].map(|one| {
                let count = place.store.count(&scope, &one).unwrap();
                assert_eq!(place.store.count(&scope, &one).unwrap(), count);
                count
            })
        };
        assert_eq!(counts(), [0, 0, 0]);
        take_in(&other, &scope, &[place.incoming("a", "x"), place.incoming("b", "y")]);
        assert_eq!(counts(), [2, 0, 0]);
        let edit = |id: &str, edit: Edit| {
            let selection = ConversationFilter { statuses: Status::ALL.to_vec(), ..ids(&[id]) };
            assert_eq!(other.edit(&scope, &selection, &edit).unwrap(), 1, "{edit:?}");
        };
        edit("a", Edit::Title(Some("Neues".into())));
        assert_eq!(counts(), [2, 0, 1]);
        edit("a", Edit::Delete);
        assert_eq!(counts(), [1, 1, 0]);
        let later = Incoming {
            title: Some("Neueres".into()),
            updated_at: Some(at(9_000_000_000)),
            ..place.incoming("b", "z")
        };
        take_in(&other, &scope, &[later]);
        assert_eq!(counts(), [1, 1, 1]);
        edit("b", Edit::Purge);
        assert_eq!(counts(), [0, 1, 0]);
        edit("a", Edit::Restore);
        assert_eq!(counts(), [1, 0, 1]);
    });
}

#[test]
fn a_page_ends_before_it_is_too_large_and_the_next_goes_on_there() {
    on_both(|place| {
        // Quotes are six times as long in HTML.
        let titled = |n: i64| Incoming {
            title: Some("\"".repeat(1_000)),
            tags: vec!["<".repeat(200); 20],
            created_at: Some(at(n)),
            ..place.incoming(&format!("c-{n}"), "x")
        };
        let some: Vec<_> = (0..400).map(titled).collect();
        place.take(&some);
        let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
        loop {
            let list = place.store.list(&place.scope(), &everything(), Order::Oldest, after, 1000);
            let page = list.unwrap();
            pages += 1;
            let written = page
                .conversations
                .iter()
                .map(|one| 6 * (one.title.as_ref().unwrap().len() + one.tags.concat().len()));
            assert!(written.sum::<usize>() <= retort_model::bounds::PAGE_BYTES);
            found.extend(page.conversations.into_iter().map(|one| one.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, (0..400).map(|n| format!("c-{n}")).collect::<Vec<_>>());
        assert!((3..=5).contains(&pages), "{pages} pages");
    });
}

#[test]
fn conversations_of_an_earlier_release_are_found_by_what_they_hold() {
    on_both(|place| {
        let message = Message { error: Some("no".into()), ..Message::text(Role::User, "a") };
        let whole = Conversation {
            id: "old".into(),
            rounds: vec![Round {
                model: Some("m-1".into()),
                messages: vec![message],
                ..Round::default()
            }],
            ..Conversation::default()
        };
        let mut line = Vec::new();
        canonical::write(&whole, &mut line);
        place.add("old", std::str::from_utf8(&line).unwrap());
        place.add("damaged", "no conversation");
        let unread = "turns = NULL, calls = NULL, marks = NULL, models = NULL, tokens = NULL, language = NULL";
        assert_eq!(place.sql(&format!("UPDATE conversation SET {unread}")), 2);
        let filters = [
            ConversationFilter { models: vec!["m-1".into()], ..everything() },
            ConversationFilter { turns: "1".parse().unwrap(), ..everything() },
            ConversationFilter { has_error: Some(true), ..everything() },
        ];
        for filter in &filters {
            assert_eq!(place.all(filter).len(), 0);
        }
        let again = retort_store::Store::open_existing(&place.url).unwrap();
        for filter in &filters {
            let found = again.list(&place.scope(), filter, Order::Newest, None, 9).unwrap();
            let ids: Vec<_> = found.conversations.iter().map(|one| one.id.as_str()).collect();
            assert_eq!(ids, ["old"]);
        }
        assert_eq!(place.all(&everything()).len(), 2);
    });
}
