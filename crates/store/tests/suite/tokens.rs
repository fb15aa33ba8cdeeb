//! Tokens and invitations.

use retort_model::{Grant, Grants, ProjectRole, Time};
use retort_store::{Error, Invitation, NewInvitation, NewToken, Store};

use crate::support::*;

fn add(place: &Place, person: i64, number: u8, expires_at: Option<Time>) -> i64 {
    let grants: Grants = [Grant::Read, Grant::Export].into_iter().collect();
    let name = &format!("token {number}");
    let project = place.project;
    let new = NewToken { project, person, name, secret: [number; 32], grants, expires_at };
    place.store.add_token(&new, at(1)).unwrap()
}

fn person(place: &Place, name: &str) -> i64 {
    place.store.add_person(name, None, at(0)).unwrap().id
}

fn invite(place: &Place, number: u8, name: Option<&str>, expires_at: i64) -> i64 {
    place.store.add_invitation(&invitation(place, number, name, expires_at), at(1)).unwrap()
}

fn invitation<'n>(
    place: &Place,
    number: u8,
    name: Option<&'n str>,
    expires_at: i64,
) -> NewInvitation<'n> {
    NewInvitation {
        project: place.project,
        role: ProjectRole::Admin,
        name,
        secret: [number; 32],
        creator: "ann",
        person: None,
        expires_at: at(expires_at),
    }
}

#[test]
fn a_token_is_found_by_its_secret_alone() {
    on_both(|place| {
        let store = &place.store;
        let ann = person(place, "ann");
        let id = add(place, ann, 1, Some(at(10)));
        add(place, ann, 2, None);
        let (token, whose) = store.token(&[1; 32]).unwrap().unwrap();
        assert_eq!((token.id, token.project, token.person), (id, place.project, ann));
        assert_eq!((token.name.as_str(), token.person_name.as_str()), ("token 1", "ann"));
        assert_eq!(token.grants.iter().collect::<Vec<_>>(), [Grant::Read, Grant::Export]);
        assert_eq!((token.created_at, token.expires_at), (Some(at(1)), Some(at(10))));
        assert_eq!((token.seen_at, whose.id), (None, ann));
        store.token_seen(id, at(5)).unwrap();
        assert_eq!(store.token(&[1; 32]).unwrap().unwrap().0.seen_at, Some(at(5)));
        assert_eq!(store.token(&[2; 32]).unwrap().unwrap().0.expires_at, None);
        assert!(store.token(&[3; 32]).unwrap().is_none());
        store.set_disabled(ann, true).unwrap();
        store.set_disabled(ann, false).unwrap();
        assert!(store.token(&[1; 32]).unwrap().is_none(), "it does not come back");
    });
}

#[test]
fn tokens_end_within_their_project_and_person() {
    on_both(|place| {
        let store = &place.store;
        let (ann, bob) = (person(place, "ann"), person(place, "bob"));
        let q = store.project_or_new("q", at(0)).unwrap().id;
        let ids = [(ann, 1), (bob, 2), (ann, 3)].map(|(who, number)| add(place, who, number, None));
        let listed = |project, person| -> Vec<i64> {
            store.tokens(project, person).unwrap().iter().map(|one| one.id).collect()
        };
        assert_eq!(listed(place.project, None), [ids[2], ids[1], ids[0]]);
        assert_eq!(listed(place.project, Some(ann)), [ids[2], ids[0]]);
        assert_eq!(listed(q, None), [0; 0]);
        let end = |project, person, id| store.end_token(project, person, id).unwrap();
        assert!(!end(q, None, ids[0]) && !end(place.project, Some(bob), ids[0]));
        assert!(end(place.project, Some(ann), ids[0]) && !end(place.project, None, ids[0]));
        assert!(end(place.project, None, ids[1]));
        assert!(store.token(&[2; 32]).unwrap().is_none());
        assert_eq!(listed(place.project, None), [ids[2]]);
    });
}

#[test]
fn an_invitation_is_shown_until_it_ends() {
    on_both(|place| {
        let store = &place.store;
        let q = store.project_or_new("q", at(0)).unwrap().id;
        let first = invite(place, 1, Some("bob"), 10);
        let second = invite(place, 2, None, 20);
        let expect = Invitation {
            id: first,
            project: place.project,
            role: ProjectRole::Admin,
            name: Some("bob".into()),
            creator: "ann".into(),
            created_at: Some(at(1)),
            expires_at: Some(at(10)),
        };
        assert_eq!(store.invitation(&[1; 32], at(9)).unwrap(), Some(expect));
        assert_eq!(store.invitation(&[1; 32], at(10)).unwrap(), None);
        assert_eq!(store.take_invitation(&[1; 32], at(10)).unwrap(), None);
        let listed = |project, now| -> Vec<i64> {
            store.invitations(project, at(now)).unwrap().iter().map(|one| one.id).collect()
        };
        assert_eq!(listed(place.project, 9), [second, first]);
        assert_eq!(listed(place.project, 10), [second]);
        assert_eq!(listed(q, 9), [0; 0]);
        store.clear_sessions(at(10)).unwrap();
        assert_eq!(listed(place.project, 9), [second]);
        assert!(!store.end_invitation(q, second).unwrap());
        assert!(store.end_invitation(place.project, second).unwrap());
        assert!(!store.end_invitation(place.project, second).unwrap());
        assert_eq!(store.invitation(&[2; 32], at(9)).unwrap(), None);
    });
}

#[test]
fn who_comes_too_late_for_an_invitation_leaves_no_account() {
    on_both(|place| {
        let other = place.again();
        invite(place, 1, None, 10);
        let added: Vec<String> = std::thread::scope(|scope| {
            let join = |(store, name)| {
                scope.spawn(move || {
                    Store::add_invited(store, &[1; 32], name, "hash", at(2)).unwrap()
                })
            };
            let all = [(&place.store, "ann"), (&other, "bob")].map(join);
            let all = all.into_iter().filter_map(|one| one.join().unwrap());
            all.map(|(_, person)| person.name).collect()
        });
        assert_eq!(added.len(), 1);
        let people = ["ann", "bob"].map(|name| place.store.person_named(name).unwrap());
        let people: Vec<String> = people.into_iter().flatten().map(|one| one.name).collect();
        assert_eq!(people, added);
        // A name that is taken leaves the invitation to be used under another.
        invite(place, 2, None, 10);
        let taken = place.store.add_invited(&[2; 32], &added[0], "hash", at(2));
        assert!(matches!(taken, Err(Error::NameTaken(_))), "{taken:?}");
        assert!(place.store.add_invited(&[2; 32], "eve", "hash", at(2)).unwrap().is_some());
    });
}

#[test]
fn an_invitation_is_taken_once() {
    on_both(|place| {
        let other = place.again();
        for round in 0..10 {
            let id = invite(place, round, None, 10);
            let secret = [round; 32];
            let taken: Vec<Invitation> = std::thread::scope(|scope| {
                let take = |store| {
                    scope.spawn(move || Store::take_invitation(store, &secret, at(2)).unwrap())
                };
                let all = [&place.store, &other, &place.store, &other].map(take);
                all.into_iter().filter_map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(taken.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
        }
    });
}
