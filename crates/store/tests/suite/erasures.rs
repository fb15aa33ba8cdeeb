//! Erasures of a person, and the tombstones that they leave.

use retort_model::{ConversationFilter, ErasureState, Scope, Status};
use retort_store::{Edit, Importer, Incoming, IncomingRun, Taken};

use crate::runs::{run, take};
use crate::support::*;

const KEY: [u8; 32] = [5; 32];

fn all() -> ConversationFilter {
    ConversationFilter { statuses: Status::ALL.to_vec(), ..ConversationFilter::default() }
}

#[test]
fn tombstones_keep_out_a_person_and_what_was_theirs() {
    on_both(|place| {
        let of = |id: &str, text: &str, owner: Option<&str>| Incoming {
            owner: owner.map(str::to_owned),
            ..place.incoming(id, text)
        };
        place.take(&[of("a", "x", Some("ann")), of("b", "y", Some("bob")), of("u", "z", None)]);
        assert_eq!(place.take(&[of("n", "new", Some("ann"))]), [Taken::New]);
        let store = &place.store;
        let id = store.begin_erasure(place.project, "local", "ann", &KEY, at(1)).unwrap();
        let again = store.begin_erasure(place.project, "local", "ann", &[6; 32], at(2)).unwrap();
        assert_eq!(again, id, "one is under way");
        assert_eq!(store.bury_held(place.project, id, "ann").unwrap(), 2);
        store.edit(&Scope::person(place.project, "ann"), &all(), &Edit::Purge).unwrap();
        for (item, taken) in [
            // The person, the content, and the id where nobody is named.
            (of("c", "other", Some("ann")), Taken::Erased),
            (of("d", "x", Some("bob")), Taken::Erased),
            (of("a", "other", None), Taken::Erased),
            (of("a", "other", Some("bob")), Taken::New),
            (of("e", "other", None), Taken::New),
            (of("b", "y", Some("bob")), Taken::Same),
        ] {
            assert_eq!(place.take(std::slice::from_ref(&item)), [taken], "{item:?}");
        }
        // A member's ids are their own; what they would hold is theirs.
        let member = |name: &str, item: Incoming| {
            let scope = Scope::person(place.project, name);
            let importer =
                Importer { scope: &scope, name: Some(name), holds_unowned: true, replaces: false };
            store.take_in(&importer, &[item], &mut overlaps).unwrap()
        };
        assert_eq!(member("carl", of("a", "of carl", None)), [Taken::New]);
        assert_eq!(member("ann", of("f", "more", None)), [Taken::Erased]);
        // Another project knows nothing of it.
        let other = store.project_or_new("other", at(0)).unwrap().id;
        let there = take_in(store, &Scope::project(other), &[of("a", "x", Some("ann"))]);
        assert_eq!(there, [Taken::New]);
        let found = store.stored_erasure(place.project, id).unwrap().unwrap();
        assert_eq!((found.state, found.person.as_deref()), (ErasureState::Running, Some("ann")));
        assert_eq!(store.lift_erasures(place.project, "ann").unwrap(), 0, "it is under way");
        store.complete_erasure(id, ("{}", "signed"), at(3)).unwrap();
        let found = store.stored_erasure(place.project, id).unwrap().unwrap();
        assert_eq!((found.state, found.person), (ErasureState::Completed, None));
        assert_eq!(found.receipt.as_deref(), Some("signed"));
        assert!(store.running_erasures().unwrap().is_empty());
        assert_eq!(store.lift_erasures(place.project, "bob").unwrap(), 0);
        assert_eq!(store.lift_erasures(place.project, "ann").unwrap(), 1);
        assert_eq!(store.lift_erasures(place.project, "ann").unwrap(), 0);
        assert_eq!(place.take(&[of("c", "other", Some("ann"))]), [Taken::New]);
    });
}

#[test]
fn the_bare_ids_of_purged_items_go_when_nothing_names_them() {
    on_both(|place| {
        let of = |id: &str, owner: &str| Incoming {
            owner: Some(owner.into()),
            ..place.incoming(id, id)
        };
        place.take(&[of("a", "ann"), of("b", "ann"), of("c", "bob")]);
        place.export("d", &ids(&["a", "c"]));
        let (store, project) = (&place.store, place.project);
        let id = store.begin_erasure(project, "local", "ann", &KEY, at(1)).unwrap();
        store.bury_held(project, id, "ann").unwrap();
        store.edit(&place.scope(), &all(), &Edit::Purge).unwrap();
        let knows = |id: &str| store.knows(&place.scope(), id).unwrap();
        assert!(knows("a") && !knows("b") && knows("c"));
        // Another purge leaves its ids where exports name them.
        assert_eq!(store.forget_bare_ids(project, id).unwrap(), 1);
        assert!(!knows("a") && knows("c"));
        assert_eq!(store.forget_bare_ids(project, id).unwrap(), 0);
    });
}

#[test]
fn exports_under_way_of_what_a_person_holds_are_cancelled() {
    on_both(|place| {
        let hers = Incoming { owner: Some("ann".into()), ..place.incoming("a", "x") };
        place.take(&[hers, place.incoming("b", "y")]);
        let with = place.export("with", &everything());
        let without = place.export("without", &ids(&["b"]));
        assert_eq!(place.store.cancel_exports_of_held(place.project, "ann").unwrap(), [with]);
        let ends = place.store.job_ends(&[with, without]).unwrap();
        assert_eq!(ends.iter().map(|end| end.0).collect::<Vec<_>>(), [with, without]);
        let job = place.store.job(&place.scope(), without).unwrap().unwrap();
        assert!(!job.state.is_ended());
    });
}

#[test]
fn what_a_person_judged_of_others_is_found_and_a_lease_keeps_others_from_an_erasure() {
    on_both(|place| {
        let of = |id: &str, owner: &str, judges: &[&str]| {
            let mut one = Incoming { owner: Some(owner.into()), ..place.incoming(id, id) };
            one.features.judges = judges.iter().map(|name| (*name).to_owned()).collect();
            one
        };
        let many: Vec<String> = (0..120).map(|n| format!("judge {n:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        place.take(&[
            of("a", "bob", &["ann"]),
            of("b", "bob", &["joanna", "carl"]),
            of("c", "ann", &["ann"]),
            of("d", "bob", &["ann\", \"x", "carl"]),
            of("e", "bob", &many),
        ]);
        let (store, project) = (&place.store, place.project);
        assert_eq!(
            store.judged_by(project, "ann").unwrap(),
            [1, 0],
            "one may be in the body alone"
        );
        let (mut behind, mut found) = (0, Vec::new());
        let kind = retort_model::ItemKind::Conversation;
        while let Some(item) = store.next_judged(kind, (project, "ann"), behind).unwrap() {
            behind = item.key;
            found.push(item.id);
        }
        assert_eq!(found, ["a", "e"]);
        let ran = |id: &str, owner: &str, judges: &[&str]| {
            let mut one = IncomingRun { owner: Some(owner.into()), ..run(place, id, id) };
            one.features.judges = judges.iter().map(|name| (*name).to_owned()).collect();
            one
        };
        let some = [
            ran("r", "bob", &["ann", "carl"]),
            ran("s", "bob", &["joanna"]),
            ran("t", "ann", &["ann"]),
        ];
        take(place, &place.scope(), &some);
        assert_eq!(store.judged_by(project, "ann").unwrap(), [1, 1]);
        let item =
            store.next_judged(retort_model::ItemKind::Run, (project, "ann"), 0).unwrap().unwrap();
        assert_eq!(item.id, "r");
        let mut becomes = ran("r", "bob", &["carl"]);
        becomes.digest = [9; 16];
        assert!(store.change_judged_run((item.key, item.body), &becomes).unwrap());
        assert!(
            !store.change_judged_run((item.key, item.body), &becomes).unwrap(),
            "it is another"
        );
        assert_eq!(store.judged_by(project, "ann").unwrap(), [1, 0]);
        place.export("d", &ids(&["a"]));
        place.export("o", &ids(&["b", "c"]));
        let id = store.begin_erasure(project, "local", "ann", &KEY, at(1)).unwrap();
        assert!(store.claim_erasure(id, at(1), at(5)).unwrap());
        assert!(!store.claim_erasure(id, at(4), at(9)).unwrap(), "another works on it");
        assert!(!store.keep_erasure(id, at(4), None).unwrap(), "that is not its lease");
        assert!(store.keep_erasure(id, at(5), None).unwrap());
        assert!(store.claim_erasure(id, at(4), at(9)).unwrap());
        assert!(store.claim_erasure(id, at(10), at(12)).unwrap(), "its lease is over");
        let people = store.erased_people(project).unwrap().unwrap();
        assert!(people.contains("ann") && !people.contains("joanna"));
        store.complete_erasure(id, ("{}", "signed"), at(13)).unwrap();
        assert!(!store.claim_erasure(id, at(20), at(30)).unwrap(), "it is completed");
    });
}
