//! What people say of answers, and what becomes of it.

use std::time::Duration;

use retort_json::RawJson;
use retort_model::{ConversationFilter, Judging, MessagePosition, ProjectRole, RunFilter};
use retort_service::{Caller, Error, JudgementTarget, OneJudgement, Queue};
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
fn a_file_of_judgements_says_the_same_however_often_it_is_imported() {
    let office = Office::new();
    office.import(&[rated(), chat("b")], None);
    let rows = concat!(
        r#"{"id":"a","score":1,"label":"rejected","corrected_answer":"better"}"#,
        "\n",
        r#"{"id":"b#1","label":"rejected","corrected_answer":"better","author":"ann"}"#,
        "\n",
    );
    let judge = |rows: &str| office.service.judge(&office.local(), rows.as_bytes()).unwrap();
    let once = judge(rows);
    assert_eq!((once.changed, once.same), (2, 0), "{once:?}");
    let before = [line(&office, "a"), line(&office, "b")];
    let again = judge(rows);
    assert_eq!((again.changed, again.same), (0, 2), "{again:?}");
    assert_eq!([line(&office, "a"), line(&office, "b")], before);
    for one in &before {
        assert_eq!(one["rounds"][0]["messages"][1]["label"], "rejected");
        assert_eq!(one["rounds"][1]["messages"][1]["label"], "preferred");
    }
    // Without a correction, it is about the answer that is there now.
    judge("{\"id\":\"a\",\"label\":\"rejected\"}\n");
    assert_eq!(line(&office, "a")["rounds"][1]["messages"][1]["label"], "rejected");
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

/// An office with the runs `r0` to `r2` of `copilot`, started by these people; the source rated `r0`.
fn ran(owners: [&str; 3]) -> Office {
    let office = Office::new();
    let rows: Vec<Value> = (0..3)
        .map(|number| {
            let mut row = json!({
                "request_id": format!("r{number}"), "copilot_id": "helper", "owner": owners[number],
                "question": "How long?", "answer": "A week.", "status": "success",
            });
            if number == 0 {
                row["feedback"] = json!({"rating": 5, "comment": "thanks"});
            }
            row
        })
        .collect();
    assert_eq!(office.import(&rows, None).new, 3);
    office
}

fn run_line(office: &Office, id: &str) -> Value {
    let (_, line) = office.service.run(&office.local(), id, (None, None)).unwrap();
    serde_json::from_slice(&line).unwrap()
}

fn judge_run(office: &Office, caller: &Caller, id: &str, one: &OneJudgement) -> bool {
    office.service.judge_run(caller, (id, (None, None)), one).unwrap()
}

#[test]
fn what_people_say_of_a_run_counts_over_its_source_and_is_kept_with_their_names() {
    let office = ran(["carl"; 3]);
    let before = run_line(&office, "r0");
    let (_, ann) = office.join("ann", ProjectRole::Admin);
    let (_, bob) = office.join("bob", ProjectRole::Admin);
    let hers = Judging { train: Some(Some(false)), ..rates("false") };
    assert!(judge_run(&office, &ann, "r0", &of_answer(hers.clone())));
    assert!(!judge_run(&office, &ann, "r0", &of_answer(hers)), "it is known");
    office.clock.advance(Duration::from_secs(1));
    let his = OneJudgement {
        corrected: Some(Some("Ten days.".into())),
        ..of_answer(Judging { label: Some(Some("tone".into())), ..Judging::default() })
    };
    assert!(judge_run(&office, &bob, "r0", &his));
    let judged = run_line(&office, "r0");
    assert_eq!(judged["answer"], "A week.", "no answer is overwritten");
    assert_eq!(judged["feedback"], json!({"rating": false, "label": "tone", "comment": "thanks"}));
    assert_eq!(judged["ground_truth"], "Ten days.");
    let judgements = judged["judgements"].as_array().unwrap();
    assert_eq!(judgements[0], json!({"rating": 5, "comment": "thanks"}), "what the source said");
    assert_eq!((&judgements[1]["by"], &judgements[1]["train"]), (&json!("ann"), &json!(false)));
    assert_eq!(judgements[2]["corrected_answer"], "Ten days.");

    // What comes of the run later does not undo it.
    let again = json!({"request_id": "r0", "copilot_id": "helper", "feedback": {"rating": 1}});
    office.import(&[again], None);
    let later = run_line(&office, "r0");
    assert_eq!(later["feedback"]["rating"], false);
    assert_eq!(later["judgements"][0]["rating"], 1);

    let says_no_more = OneJudgement {
        corrected: Some(None),
        ..of_answer(Judging { label: Some(None), ..Judging::default() })
    };
    assert!(judge_run(&office, &bob, "r0", &says_no_more));
    let nothing = Judging { rating: Some(None), train: Some(None), ..Judging::default() };
    assert!(judge_run(&office, &ann, "r0", &of_answer(nothing)));
    let mut after = run_line(&office, "r0");
    after["feedback"]["rating"] = 5.into();
    assert_eq!(after, before);
}

#[test]
fn runs_are_queued_and_found_by_who_judged_them() {
    let office = ran(["carl"; 3]);
    let (_, ann) = office.join("ann", ProjectRole::Admin);
    let (_, bob) = office.join("bob", ProjectRole::Admin);
    let all = RunFilter::default();
    let next = |caller: &Caller, queue| {
        let next = office.service.next_run_to_judge(caller, &all, queue, None).unwrap();
        (next.next.map(|one| one.id), next.left)
    };
    let mut judged = Vec::new();
    for caller in [&ann, &bob, &ann, &bob] {
        let (id, left) = next(caller, Queue::Anyone);
        assert_eq!(left, (3 - judged.len()) as u64);
        let Some(id) = id else { break };
        judge_run(&office, caller, &id, &of_answer(rates("true")));
        judged.push(id);
    }
    assert_eq!(next(&bob, Queue::Mine).1, 2, "what ann judged is left for him");
    let count = |filter: RunFilter| office.service.count_runs(&ann, &filter).unwrap();
    let by = |name: &str| vec![name.to_owned()];
    assert_eq!(count(RunFilter { judges: by("ann"), ..all.clone() }), 2);
    assert_eq!(count(RunFilter { not_judges: by("ann"), ..all.clone() }), 1);
    assert_eq!(count(RunFilter { judged: Some(false), ..all.clone() }), 0);
    assert_eq!(count(RunFilter { has_feedback: Some(true), ..all.clone() }), 3);
    judged.sort();
    assert_eq!(judged, ["r0", "r1", "r2"], "each once");
}

#[test]
fn people_judge_the_runs_that_they_may_see_as_they_read_them() {
    let office = ran(["carl", "dee", "carl"]);
    let (_, member) = office.join("dee", ProjectRole::Member);
    let judge = |caller: &Caller, id: &str, one: &OneJudgement| {
        office.service.judge_run(caller, (id, (None, None)), one)
    };
    let refused = judge(&member, "r0", &of_answer(rates("1")));
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    assert!(judge(&member, "r1", &of_answer(rates("1"))).unwrap());
    // What a member imported for themselves, an admin judges, too.
    let (_, admin) = office.join("ann", ProjectRole::Admin);
    assert!(judge(&admin, "r1", &of_answer(rates("2"))).unwrap());
    let of = |read| OneJudgement { read: Some(read), ..of_answer(rates("3")) };
    let refused = judge(&admin, "r1", &of(7));
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert!(judge(&admin, "r1", &of(retort_service::beginning_of_answer("A week."))).unwrap());
}

#[test]
fn an_erasure_finds_what_a_person_said_of_the_runs_of_others() {
    let office = ran(["carl", "carl", "ann"]);
    let before = run_line(&office, "r1");
    let (_, ann) = office.join("ann", ProjectRole::Admin);
    let says = OneJudgement { corrected: Some(Some("Ten days.".into())), ..of_answer(rates("2")) };
    for id in ["r0", "r1", "r2"] {
        judge_run(&office, &ann, id, &says);
    }
    let found = office.service.erasure(&office.local(), "ann").unwrap();
    assert_eq!((found.runs, found.judged_runs), (1, 2));
    office.service.erase(&office.local(), "ann").unwrap();
    assert_eq!(run_line(&office, "r1"), before);
    assert_eq!(run_line(&office, "r0")["feedback"]["rating"], 5);
    // It does not come back with a copy of the run.
    let mut copy = before;
    copy["judgements"] = json!([{"by": "ann", "at": "2026-01-01T00:00:00Z", "comment": "no"}]);
    copy["feedback"] = json!({"comment": "no"});
    office.import(&[copy], None);
    assert_eq!(run_line(&office, "r1").get("feedback"), None);
}

#[test]
fn labels_are_suggested_from_what_a_person_may_see() {
    let office = ran(["carl", "dee", "carl"]);
    office.import(&[chat("c")], None);
    let (_, ann) = office.join("ann", ProjectRole::Admin);
    let labelled =
        |label: &str| of_answer(Judging { label: Some(Some(label.into())), ..Judging::default() });
    office.service.judge_one(&ann, ("c", None), &labelled("tone")).unwrap();
    judge_run(&office, &ann, "r0", &labelled("tone"));
    judge_run(&office, &ann, "r1", &labelled("length"));
    assert_eq!(office.service.labels_used(&ann).unwrap(), ["tone", "length"]);
    let (_, member) = office.join("dee", ProjectRole::Member);
    assert_eq!(office.service.labels_used(&member).unwrap(), ["length"]);
}
