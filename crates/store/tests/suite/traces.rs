//! Spans that wait for the rest of their traces.

use retort_store::{KeptSpans, NewSpans, TraceSender, TraceStats, TraceTimes};

use crate::support::*;

fn sender(place: &Place) -> TraceSender {
    TraceSender { project: place.project, importer: "ann".into(), holder: None }
}

fn times(now: i64) -> TraceTimes {
    TraceTimes {
        whole_at: at(now + 5),
        partial_at: at(now + 100),
        forget_at: at(now + 1000),
        trace_bytes: 100,
        project_bytes: 10_000,
    }
}

fn spans<'s>(trace: &'s str, text: &'s str) -> NewSpans<'s> {
    NewSpans { trace, session: None, has_root: false, spans: 1, text }
}

fn keep(place: &Place, now: i64, new: &[NewSpans<'_>]) -> KeptSpans {
    place.store.keep_spans(&sender(place), new, &times(now)).unwrap()
}

fn texts(place: &Place, trace: i64) -> Vec<String> {
    let texts = place.store.trace_texts(trace).unwrap();
    texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect()
}

const ALL: KeptSpans = KeptSpans::Kept { refused: 0 };

#[test]
fn a_trace_is_due_soon_after_its_root_came_and_later_without_one() {
    on_both(|place| {
        let store = &place.store;
        assert_eq!(keep(place, 0, &[spans("a", "a1"), spans("b", "b1")]), ALL);
        assert_eq!(store.trace_stats().unwrap(), TraceStats { traces: 2, spans: 2 });
        let root = NewSpans { has_root: true, session: Some("s"), ..spans("a", "a2") };
        assert_eq!(keep(place, 10, &[root]), ALL);
        // What comes behind the root has it wait for a while only.
        assert_eq!(keep(place, 12, &[spans("a", "a3")]), ALL);
        assert_eq!(store.claim_traces(at(16), at(50)).unwrap(), []);
        let claimed = store.claim_traces(at(17), at(50)).unwrap();
        let [trace] = &*claimed else { panic!("{claimed:?}") };
        assert_eq!((trace.session.as_deref(), trace.size), (Some("s"), 6));
        assert_eq!(trace.sender, sender(place));
        assert_eq!(texts(place, trace.key), ["a1", "a2", "a3"]);
        // Nobody else takes it until the lease is over.
        assert_eq!(store.claim_traces(at(49), at(90)).unwrap(), []);
        assert_eq!(store.claim_traces(at(50), at(90)).unwrap(), claimed);
        assert_eq!(store.imported_traces(&sender(place), "s").unwrap(), []);
        store.end_traces(&[trace.key], at(90)).unwrap();
        assert_eq!(store.claim_traces(at(99), at(150)).unwrap(), []);
        assert_eq!(store.imported_traces(&sender(place), "s").unwrap(), claimed);
        assert_eq!(store.trace_stats().unwrap(), TraceStats { traces: 1, spans: 1 });
        assert_eq!(store.claim_traces(at(100), at(150)).unwrap().len(), 1);
    });
}

#[test]
fn spans_that_come_while_a_trace_is_imported_have_it_imported_again() {
    on_both(|place| {
        let store = &place.store;
        let root = NewSpans { has_root: true, ..spans("a", "a1") };
        assert_eq!(keep(place, 0, &[root]), ALL);
        let claimed = store.claim_traces(at(5), at(500)).unwrap();
        assert_eq!(keep(place, 6, &[spans("a", "a2")]), ALL);
        store.end_traces(&[claimed[0].key], at(500)).unwrap();
        assert_eq!(store.forget_traces(at(5000)).unwrap(), 0);
        let again = store.claim_traces(at(11), at(500)).unwrap();
        assert_eq!(texts(place, again[0].key), ["a1", "a2"]);
        store.end_traces(&[again[0].key], at(500)).unwrap();
        assert_eq!(store.forget_traces(at(1005)).unwrap(), 0);
        assert_eq!(store.forget_traces(at(1006)).unwrap(), 1);
        assert_eq!(texts(place, again[0].key), [""; 0]);
    });
}

#[test]
fn neither_a_trace_nor_a_project_holds_more_than_it_may() {
    on_both(|place| {
        let long = "x".repeat(60);
        assert_eq!(keep(place, 0, &[spans("a", &long), spans("b", &long)]), ALL);
        let new = [NewSpans { spans: 7, ..spans("a", &long) }, spans("b", "short")];
        assert_eq!(keep(place, 1, &new), KeptSpans::Kept { refused: 7 });
        assert_eq!(keep(place, 1, &[spans("c", &"x".repeat(101))]), KeptSpans::Kept { refused: 1 });
        let names: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| spans(name, "x")).collect();
        assert_eq!(keep(place, 2, &many), KeptSpans::Full);
        assert_eq!(keep(place, 2, &many[..10]), ALL);
        // What is forgotten makes room.
        let claimed = place.store.claim_traces(at(500), at(900)).unwrap();
        assert_eq!(claimed.len(), 12);
        let keys: Vec<_> = claimed.iter().map(|trace| trace.key).collect();
        place.store.end_traces(&keys, at(900)).unwrap();
        assert_eq!(keep(place, 901, &many[10..40]), KeptSpans::Full);
        assert_eq!(place.store.forget_traces(at(2000)).unwrap(), 12);
        assert_eq!(keep(place, 901, &many[10..40]), ALL);
    });
}

#[test]
fn senders_share_no_trace_and_a_purge_forgets_what_was_imported() {
    on_both(|place| {
        let store = &place.store;
        let bob = TraceSender { holder: Some("bob".into()), ..sender(place) };
        let root = NewSpans { has_root: true, ..spans("a", "ann") };
        assert_eq!(keep(place, 0, std::slice::from_ref(&root)), ALL);
        let mine = NewSpans { text: "bob", ..root };
        assert_eq!(store.keep_spans(&bob, &[mine], &times(0)).unwrap(), ALL);
        assert_eq!(keep(place, 0, &[spans("b", "waits")]), ALL);
        let claimed = store.claim_traces(at(5), at(50)).unwrap();
        assert_eq!(
            [texts(place, claimed[0].key), texts(place, claimed[1].key)],
            [["ann"], ["bob"]]
        );
        let keys: Vec<_> = claimed.iter().map(|trace| trace.key).collect();
        store.end_traces(&keys, at(50)).unwrap();
        store.purge_runs(&place.scope(), &Default::default()).unwrap();
        assert_eq!(texts(place, keys[0]), [""; 0]);
        assert_eq!(store.trace_stats().unwrap(), TraceStats { traces: 1, spans: 1 });
        store.delete_project(place.project).unwrap();
        assert_eq!(store.trace_stats().unwrap(), TraceStats::default());
    });
}
