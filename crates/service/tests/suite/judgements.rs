//! What people say of answers, and what becomes of it.

use std::time::Duration;

use retort_json::RawJson;
use retort_model::{ConversationFilter, Judging, MessagePosition, ProjectRole};
use retort_service::{Error, JudgementTarget, OneJudgement, Queue};
use serde_json::{Value, json};

use crate::support::{Office, chat, named};

fn line(office: &Office, id: &str) -> Value {
    let shown = office.service.show(&office.local(), id).unwrap();
    serde_json::from_slice(&shown[0].1).unwrap()
}

fn rates(rating: &str) -> Judging {
    Judging { rating: Some(Some(RawJson::owned(rating).unwrap())), ..Judging::default() }
}

fn of_answer(says: Judging) -> OneJudgement {
    OneJudgement { target: JudgementTarget::LastAnswer, says, ..OneJudgement::default() }
}

fn filtered(query: &str) -> ConversationFilter {
    let search = vec![query.parse().unwrap()];
    ConversationFilter { search, ..ConversationFilter::default() }
}

/// An office with `chat("a")`, whose source rated the answer, judged by two people.
fn judged() -> Office {
    let office = Office::new();
    office.import(&[rated()], None);
    let (_, ann) = office.join("ann", ProjectRole::Admin);
    let (_, bob) = office.join("bob", ProjectRole::Admin);
    let hers = Judging {
        comment: Some(Some("no source".into())),
        train: Some(Some(false)),
        ..rates("true")
    };
    assert!(office.service.judge_one(&ann, ("a", None), &of_answer(hers)).unwrap());
    office.clock.advance(Duration::from_secs(1));
    let his = OneJudgement {
        corrected: Some(Some("a better answer".into())),
        ..of_answer(Judging { label: Some(Some("rejected".into())), ..rates("2") })
    };
    assert!(office.service.judge_one(&bob, ("a", None), &his).unwrap());
    office
}

fn rated() -> Value {
    let mut row = chat("a");
    row["messages"][1]["feedback"] = json!({"rating": 5, "comment": "thanks"});
    row
}

#[test]
fn what_was_said_last_counts_and_what_everyone_said_is_kept() {
    let office = judged();
    let line = line(&office, "a");
    let answer = &line["rounds"][0]["messages"][1];
    assert_eq!(
        answer["feedback"],
        json!({"rating": 2, "label": "rejected", "comment": "no source"})
    );
    assert_eq!((&answer["label"], &answer["train"]), (&json!("rejected"), &json!(false)));
    let judgements = answer["judgements"].as_array().unwrap();
    let by: Vec<_> = judgements.iter().map(|one| &one["by"]).collect();
    assert_eq!(by, [&Value::Null, &json!("ann"), &json!("bob")]);
    assert_eq!(judgements[0], json!({"rating": 5, "comment": "thanks"}), "what the source said");
    let correction = &line["rounds"][1]["messages"][1];
    assert_eq!(correction["content"], "a better answer");
    assert_eq!(correction["metadata"], json!({"corrects": "1", "author": "bob"}));
    assert_eq!(line["current"], 1);
}

#[test]
fn what_is_taken_back_leaves_what_was_there_before() {
    let office = Office::new();
    office.import(&[rated()], None);
    let before = line(&office, "a");
    let caller = office.local();
    let says = |says| office.service.judge_one(&caller, ("a", None), &of_answer(says)).unwrap();
    assert!(says(rates("1")));
    assert!(!says(rates("1")), "it is known");
    assert_ne!(line(&office, "a"), before);
    assert!(says(Judging { rating: Some(None), ..Judging::default() }));
    assert!(!says(Judging { rating: Some(None), ..Judging::default() }));
    assert_eq!(line(&office, "a"), before);
    let corrects = |text: Option<&str>| {
        let corrected = Some(text.map(str::to_owned));
        let target = JudgementTarget::Message(MessagePosition { round: 0, message: 1 });
        let one = OneJudgement { target, corrected, ..OneJudgement::default() };
        office.service.judge_one(&caller, ("a", None), &one).unwrap()
    };
    assert!(corrects(Some("better")));
    assert!(corrects(Some("still better")), "in place of the last one");
    assert_eq!(line(&office, "a")["rounds"].as_array().unwrap().len(), 2);
    assert!(corrects(None));
    let mut after = line(&office, "a");
    after.as_object_mut().unwrap().remove("current");
    assert_eq!(after, before);
}

#[test]
fn judgements_stay_with_their_messages_when_the_conversation_is_imported_again() {
    let office = judged();
    let before = line(&office, "a");
    let again = office.import(&[rated()], None);
    assert_eq!((again.same, again.updated), (1, 0), "{again:?}");
    assert_eq!(line(&office, "a"), before);

    let mut longer = rated();
    longer["messages"].as_array_mut().unwrap().extend([
        json!({"role": "user", "content": "And then?"}),
        json!({"role": "assistant", "content": "That was all."}),
    ]);
    let report = office.import(&[longer.clone()], None);
    assert_eq!(report.updated, 1, "{report:?}");
    let next = line(&office, "a");
    assert_eq!(next["rounds"][0], before["rounds"][0]);
    assert_eq!(next["rounds"][1]["messages"][1]["content"], "That was all.");
    assert_eq!(next["rounds"][2]["messages"], before["rounds"][1]["messages"]);
    // What was held goes on behind the original.
    assert_eq!(next["current"], 1);
    let report = office.import(&[longer], None);
    assert_eq!(report.same, 1, "{report:?}");

    // What is not there any more is judged no more.
    let mut other = chat("a");
    other["messages"][1]["content"] = "a regenerated answer".into();
    let request = retort_service::IntakeRequest { replace: true, ..Default::default() };
    let text = other.to_string().into_bytes();
    office.service.take_in(&office.local(), &request, text).unwrap();
    let line = line(&office, "a");
    assert_eq!(line["rounds"].as_array().unwrap().len(), 1);
    assert_eq!(line["rounds"][0]["messages"][1].get("judgements"), None);
}

#[test]
fn a_history_with_judgements_comes_back_as_it_was() {
    let office = judged();
    let written = |office: &Office| office.service.show(&office.local(), "a").unwrap().remove(0).1;
    let take_in = |office: &Office, line: Vec<u8>| {
        office.service.take_in(&office.local(), &Default::default(), line).unwrap()
    };
    let before = written(&office);
    let other = Office::new();
    take_in(&other, before.clone());
    assert_eq!(written(&other), before);
    // Into the store that it came from, with what was said since.
    let caller = office.local();
    office.clock.advance(Duration::from_secs(1));
    office.service.judge_one(&caller, ("a", None), &of_answer(rates("4"))).unwrap();
    let since = written(&office);
    let report = take_in(&office, before);
    assert_eq!(written(&office), since);
    assert_eq!(report.same, 1, "{report:?}");
}

#[test]
fn who_judged_what_is_found() {
    let office = judged();
    office.import(&[chat("b"), chat("c")], None);
    let caller = office.local();
    let whole = OneJudgement { says: rates("false"), ..OneJudgement::default() };
    office.service.judge_one(&caller, ("b", None), &whole).unwrap();
    for (query, expect) in [
        ("judged:true", &["a", "b"][..]),
        ("judged:false", &["c"]),
        ("judged_by:ann", &["a"]),
        ("judged_by:bob", &["a"]),
        ("-judged_by:bob", &["b", "c"]),
        ("judged_by:local", &["b"]),
        ("rating:bad", &["b"]),
    ] {
        assert_eq!(office.ids(&caller, &filtered(query)), expect, "{query}");
    }
    let facets = office.service.facets(&caller, &ConversationFilter::default()).unwrap();
    let judges = facets.fields.iter().find(|facet| facet.field == "judged_by").unwrap();
    let counts: Vec<_> = judges.values.iter().map(|one| (&*one.query, one.count)).collect();
    assert_eq!(counts, [("judged_by:ann", 1), ("judged_by:bob", 1), ("judged_by:local", 1)]);
}

#[test]
fn people_judge_what_they_may_see() {
    let office = judged();
    let (_, member) = office.join("dee", ProjectRole::Member);
    let refused = office.service.judge_one(&member, ("a", None), &of_answer(rates("1")));
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    office.import(&[chat("d")], Some("dee"));
    office.service.judge_one(&member, ("d", None), &of_answer(rates("1"))).unwrap();
    assert_eq!(office.ids(&member, &filtered("judged_by:dee")), ["d"]);

    let question = JudgementTarget::Message(MessagePosition { round: 0, message: 0 });
    let corrects = OneJudgement {
        target: question,
        corrected: Some(Some("What?".into())),
        ..OneJudgement::default()
    };
    let refused = office.service.judge_one(&office.local(), ("d", None), &corrects);
    assert!(matches!(refused, Err(Error::Choice(_))), "{refused:?}");
    let nowhere = JudgementTarget::Message(MessagePosition { round: 7, message: 0 });
    let refused = OneJudgement { target: nowhere, ..of_answer(rates("1")) };
    let refused = office.service.judge_one(&office.local(), ("d", None), &refused);
    assert!(matches!(refused, Err(Error::Choice(_))), "{refused:?}");
}

#[test]
fn a_purged_conversation_leaves_no_judgement() {
    let office = judged();
    let caller = office.local();
    office.service.edit(&caller, &named(&["a"]), &retort_service::Edit::Purge).unwrap();
    assert!(office.ids(&caller, &filtered("judged_by:ann")).is_empty());
    office.import(&[chat("a")], None);
    assert_eq!(line(&office, "a")["rounds"][0]["messages"][1].get("judgements"), None);
}

#[test]
fn a_queue_has_what_is_left_for_each_and_for_all() {
    let office = Office::new();
    let ids: Vec<String> = (0..5).map(|number| format!("c{number}")).collect();
    for id in &ids {
        office.import(&[chat(id)], None);
    }
    let callers: Vec<_> = ["ann", "bob"].map(|name| office.join(name, ProjectRole::Admin).1).into();
    let all = ConversationFilter::default();
    let next = |caller, queue, behind: Option<&str>| {
        let behind = behind.map(|id| office.service.find_one(caller, id, None).unwrap());
        let next = office.service.next_to_judge(caller, &all, queue, behind.as_ref()).unwrap();
        (next.next.map(|one| one.id), next.left)
    };
    let mut judged = Vec::new();
    for caller in callers.iter().cycle() {
        let (id, left) = next(caller, Queue::Anyone, None);
        assert_eq!(left, (5 - judged.len()) as u64);
        let Some(id) = id else { break };
        office.service.judge_one(caller, (&id, None), &of_answer(rates("true"))).unwrap();
        judged.push(id);
    }
    judged.sort();
    assert_eq!(judged, ids, "each once");
    // Ann judged three of them, and has two left of her own.
    let mine: Vec<_> = office.ids(&callers[0], &filtered("-judged_by:ann"));
    assert_eq!(mine.len(), 2);
    let (first, left) = next(&callers[0], Queue::Mine, None);
    assert_eq!(left, 2);
    let first = first.unwrap();
    let (second, _) = next(&callers[0], Queue::Mine, Some(&first));
    let second = second.unwrap();
    let mut both = vec![first.clone(), second.clone()];
    both.sort();
    assert_eq!(both, mine);
    assert_eq!(next(&callers[0], Queue::Mine, Some(&second)).0, Some(first), "from the beginning");
}

#[test]
fn what_was_read_is_what_is_judged() {
    let office = judged();
    let target = JudgementTarget::Message(MessagePosition { round: 0, message: 1 });
    let of = |read| OneJudgement { target, read: Some(read), ..of_answer(rates("3")) };
    let refused = office.service.judge_one(&office.local(), ("a", None), &of(7));
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let message = retort_model::Message::text(retort_model::Role::Assistant, "an answer");
    let read = retort_service::beginning(&message);
    assert!(office.service.judge_one(&office.local(), ("a", None), &of(read)).unwrap());
}
