//! Requests that come again.

use retort_store::{Begun, Store};

use crate::support::*;

fn begin(store: &Store, key: &str, fingerprint: u8, now: i64) -> Begun {
    store.begin_answer(1, key, &[fingerprint; 32], at(now), at(now - 10)).unwrap()
}

fn answered(status: i64, body: &str) -> Begun {
    Begun::Answered { status, body: body.into() }
}

#[test]
fn a_request_that_comes_again_has_the_same_answer() {
    on_both(|place| {
        let store = &place.store;
        assert_eq!(begin(store, "k", 1, 100), Begun::New);
        assert_eq!(begin(store, "k", 1, 101), Begun::UnderWay);
        assert_eq!(begin(store, "k", 2, 101), Begun::Different);
        store.end_answer(1, "k", 201, "{\"id\":7}").unwrap();
        assert_eq!(begin(store, "k", 1, 102), answered(201, "{\"id\":7}"));
        assert_eq!(begin(store, "k", 1, 1000), answered(201, "{\"id\":7}"));
        assert_eq!(begin(store, "k", 2, 1000), Begun::Different);
    });
}

#[test]
fn what_was_done_before_its_answer_was_kept_is_not_done_again() {
    on_both(|place| {
        let store = &place.store;
        place.add("a", "1");
        for (key, is_done) in [(Some((1, "k")), true), (None, false)] {
            assert_eq!(begin(store, "k", 1, 100), Begun::New);
            let (seen, item) = (place.one("a"), place.incoming("a", "2"));
            assert!(store.change_body(&place.scope(), seen.key, seen.body, &item, key).unwrap());
            store.drop_answer(1, "k").unwrap();
            let known = if is_done { Begun::Done } else { Begun::New };
            assert_eq!(begin(store, "k", 1, 101), known);
            assert_eq!(begin(store, "k", 1, 1000), known);
            store.end_answer(1, "k", 201, "{}").unwrap();
            assert_eq!(begin(store, "k", 1, 1001), answered(201, "{}"));
            store.clear_answers(at(2000)).unwrap();
        }
    });
}

#[test]
fn a_key_is_one_persons() {
    on_both(|place| {
        let store = &place.store;
        let long = "k".repeat(5000);
        for key in ["k", "K", "", "\0", &long] {
            for person in [1, 2] {
                let begin = || store.begin_answer(person, key, &[1; 32], at(100), at(90)).unwrap();
                assert_eq!(begin(), Begun::New, "{key}");
                let body = format!("{person} {key}").replace('\0', "");
                store.end_answer(person, key, 200, &body).unwrap();
                assert_eq!(begin(), answered(200, &body), "{key}");
            }
        }
    });
}

#[test]
fn a_request_that_never_ended_is_begun_again() {
    on_both(|place| {
        let store = &place.store;
        assert_eq!(begin(store, "k", 1, 100), Begun::New);
        assert_eq!(begin(store, "k", 1, 110), Begun::UnderWay);
        assert_eq!(begin(store, "k", 2, 111), Begun::Different);
        assert_eq!(begin(store, "k", 1, 111), Begun::New);
        assert_eq!(begin(store, "k", 1, 121), Begun::UnderWay);
        store.drop_answer(1, "k").unwrap();
        assert_eq!(begin(store, "k", 2, 121), Begun::New);
    });
}

#[test]
fn answers_are_forgotten_after_a_while() {
    on_both(|place| {
        let store = &place.store;
        for (key, now) in [("a", 100), ("b", 200)] {
            assert_eq!(begin(store, key, 1, now), Begun::New);
            store.end_answer(1, key, 200, "").unwrap();
        }
        assert_eq!(store.clear_answers(at(200)).unwrap(), 1);
        assert_eq!(begin(store, "a", 1, 201), Begun::New);
        assert_eq!(begin(store, "b", 1, 201), answered(200, ""));
    });
}

#[test]
fn of_requests_at_once_one_is_done() {
    on_both(|place| {
        let other = place.again();
        for round in 0..10 {
            let key = &format!("k{}", round / 2);
            // Every second time, the one before was left lying.
            let now = 100 + round % 2 * 100;
            let begun: Vec<Begun> = std::thread::scope(|scope| {
                let begin = |store| scope.spawn(move || begin(store, key, 1, now));
                let all = [&place.store, &other, &place.store, &other].map(begin);
                all.map(|one| one.join().unwrap()).into()
            });
            let count = |what: &Begun| begun.iter().filter(|one| *one == what).count();
            assert_eq!((count(&Begun::New), count(&Begun::UnderWay)), (1, 3), "{begun:?}");
        }
    });
}
