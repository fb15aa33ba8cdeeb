//! Public links.

use retort_model::{ConversationFilter, Scope, Status};
use retort_store::{Edit, Incoming, NewShare, Share};

use crate::support::*;

fn held(place: &Place, owner: &str, id: &str) -> Incoming {
    let title = Some(format!("title of {id}"));
    Incoming { owner: Some(owner.into()), title, ..place.incoming(id, "x") }
}

fn share(place: &Place, id: &str, text: &str) -> i64 {
    let new = link(text, place.one(id).key);
    place.store.add_share(&place.scope(), &new, at(1)).unwrap().expect("a link")
}

/// The conversation that a link leads to.
fn behind(place: &Place, link: &str) -> Option<String> {
    place.store.share_behind(&secret_of(link), at(2)).unwrap().map(|(_, summary, _)| summary.id)
}

fn edit(place: &Place, selection: &ConversationFilter, edit: Edit) -> u64 {
    place.store.edit(&place.scope(), selection, &edit).unwrap()
}

fn deleted() -> ConversationFilter {
    ConversationFilter { statuses: vec![Status::Deleted], ..everything() }
}

#[test]
fn a_link_leads_to_its_conversation_until_it_ends() {
    on_both(|place| {
        place.take(&[held(place, "ann", "a")]);
        let summary = place.one("a");
        let new = NewShare {
            password: Some("hash"),
            expires_at: Some(at(10)),
            ..link("secret", summary.key)
        };
        let id = place.store.add_share(&place.scope(), &new, at(1)).unwrap().unwrap();
        let expect = Share {
            id,
            project: place.project,
            conversation: summary.key,
            conversation_id: "a".into(),
            title: Some("title of a".into()),
            creator: "ann".into(),
            is_closed: false,
            has_password: true,
            shows: 5,
            created_at: Some(at(1)),
            expires_at: Some(at(10)),
        };
        let found = |link: &str, now| place.store.share_behind(&secret_of(link), at(now)).unwrap();
        assert_eq!(found("secret", 9), Some((expect.clone(), summary, Some("hash".into()))));
        assert_eq!([found("secret", 10), found("SECRET", 9), found("\0", 9)], [None, None, None]);
        assert_eq!(place.store.shares(&place.scope(), None, None, 10).unwrap().0, [expect]);
        share(place, "a", "open");
        assert_eq!(found("open", 1_000_000).map(|one| one.2), Some(None));
    });
}

#[test]
fn links_are_made_listed_and_ended_within_a_scope() {
    on_both(|place| {
        let store = &place.store;
        place.take(&[held(place, "ann", "a"), held(place, "bob", "b")]);
        let q = Scope::project(store.project_or_new("q", at(0)).unwrap().id);
        let (ann, all) = (Scope::person(place.project, "ann"), place.scope());
        let (a, b) = (place.one("a").key, place.one("b").key);
        for (scope, key) in [(&ann, b), (&q, a), (&all, 999)] {
            assert_eq!(store.add_share(scope, &link("no", key), at(1)).unwrap(), None);
        }
        let ids = [("1", "a"), ("2", "b"), ("3", "a")].map(|(text, id)| share(place, id, text));
        let listed = |scope: &Scope, conversation, after, most| -> Vec<i64> {
            let shares = store.shares(scope, conversation, after, most).unwrap().0;
            shares.iter().map(|one| one.id).collect()
        };
        assert_eq!(listed(&all, None, None, 10), [ids[2], ids[1], ids[0]]);
        assert_eq!(listed(&all, None, None, 2), [ids[2], ids[1]]);
        assert_eq!(listed(&all, None, Some(ids[1]), 2), [ids[0]]);
        assert_eq!(listed(&all, Some(b), None, 10), [ids[1]]);
        assert_eq!(listed(&ann, None, None, 10), [ids[2], ids[0]]);
        assert_eq!(listed(&ann, Some(b), None, 10), [0; 0]);
        assert_eq!(listed(&q, None, None, 10), [0; 0]);
        let end = |scope: &Scope, id| store.end_share(scope, id).unwrap().map(|one| one.id);
        assert_eq!((end(&ann, ids[1]), end(&q, ids[1])), (None, None));
        assert_eq!(end(&ann, ids[0]), Some(ids[0]));
        assert_eq!(end(&all, ids[0]), None);
        assert_eq!(end(&all, ids[1]), Some(ids[1]));
        assert_eq!(["1", "2", "3"].map(|link| behind(place, link)), [None, None, Some("a".into())]);
    });
}

#[test]
fn what_is_deleted_has_no_links_even_once_restored() {
    on_both(|place| {
        place.take(&["a", "b"].map(|id| held(place, "ann", id)));
        share(place, "a", "1");
        share(place, "b", "2");
        assert_eq!(edit(place, &ids(&["a"]), Edit::Title(None)), 1);
        assert_eq!(behind(place, "1").as_deref(), Some("a"));
        assert_eq!(edit(place, &ids(&["a"]), Edit::Delete), 1);
        assert_eq!(behind(place, "1"), None);
        assert_eq!(place.number("SELECT COUNT(*) FROM share"), 1);
        let key = place.one("a").key;
        let refused = place.store.add_share(&place.scope(), &link("3", key), at(1)).unwrap();
        assert_eq!(refused, None, "what is deleted is not shared");
        assert_eq!(edit(place, &deleted(), Edit::Restore), 1);
        assert_eq!((behind(place, "1"), behind(place, "2")), (None, Some("b".into())));
    });
}

#[test]
fn what_its_source_deleted_has_no_links_either() {
    on_both(|place| {
        place.take(&[held(place, "ann", "a")]);
        share(place, "a", "1");
        let gone = Incoming {
            status: Status::Deleted,
            updated_at: Some(at(1)),
            digest: [9; 16],
            ..held(place, "ann", "a")
        };
        place.take(&[gone]);
        assert_eq!(behind(place, "1"), None);
        assert_eq!(edit(place, &deleted(), Edit::Restore), 1);
        assert_eq!(behind(place, "1"), None);
    });
}

#[test]
fn what_is_purged_has_no_links_even_once_it_comes_again() {
    on_both(|place| {
        place.take(&["named", "bare"].map(|id| held(place, "ann", id)));
        share(place, "named", "1");
        share(place, "bare", "2");
        let key = place.one("named").key;
        place.dataset("d", &ids(&["named"]));
        assert_eq!(edit(place, &everything(), Edit::Purge), 2);
        assert_eq!(place.number("SELECT COUNT(*) FROM share"), 0);
        let refused = place.store.add_share(&place.scope(), &link("3", key), at(1)).unwrap();
        assert_eq!(refused, None, "what is purged is not shared");
        place.take(&["named", "bare"].map(|id| held(place, "ann", id)));
        assert_eq!((behind(place, "1"), behind(place, "2")), (None, None));
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn a_link_and_a_deletion_at_once_leave_no_link() {
    on_both(|place| {
        let other = place.again();
        for round in 0..10 {
            let id = format!("c{round}");
            place.take(&[held(place, "ann", &id)]);
            let key = place.one(&id).key;
            let purge = round % 2 == 0;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let gone = if purge { Edit::Purge } else { Edit::Delete };
                    other.edit(&place.scope(), &ids(&[&id]), &gone).unwrap();
                });
                place.store.add_share(&place.scope(), &link(&id, key), at(1)).unwrap();
            });
            assert_eq!(place.number("SELECT COUNT(*) FROM share"), 0);
        }
    });
}
