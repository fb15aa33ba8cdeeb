//! People, their roles and their sessions.

use retort_model::{Grants, JobState, ProjectRole, Scope};
use retort_store::{
    Ended, Error, Incoming, NewDataset, NewExport, NewInvitation, NewShare, NewToken, Person,
    SessionKind, Store,
};

use crate::support::*;

fn is_taken<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::NameTaken(_)))
}

fn names(people: Vec<Person>) -> Vec<String> {
    people.into_iter().map(|one| one.name).collect()
}

#[test]
fn a_name_is_in_use_in_whatever_case() {
    on_both(|place| {
        let store = &place.store;
        assert!(!store.has_people().unwrap());
        let long = "Ö".repeat(900);
        for name in ["Ann@x.org", "İpek", "Groß", "ΟΔΟΣ", "b\0b", &long] {
            let person = store.add_person(name, None, at(1)).unwrap();
            assert_eq!(person.name, name.replace('\0', "\u{fffd}"));
            assert_eq!(store.person_named(name).unwrap().unwrap(), person);
            assert_eq!(store.person(person.id).unwrap().unwrap(), person);
            assert_eq!((person.has_password, person.is_disabled), (false, false));
            assert_eq!((person.created_at, person.seen_at), (Some(at(1)), None));
        }
        assert!(store.has_people().unwrap());
        let of_900 = "ö".repeat(900);
        for name in ["ann@X.org", "ANN@x.ORG", "i\u{307}PEK", "GROẞ", "οδος", &of_900] {
            assert!(is_taken(store.add_person(name, None, at(2))), "{name}");
            assert!(store.person_named(name).unwrap().is_some(), "{name}");
        }
        // Others, whatever they look like.
        for name in ["ipek", "ıpek", "GROSS", "ann@x.org ", &"ö".repeat(899)] {
            assert_eq!(store.person_named(name).unwrap(), None, "{name}");
            store.add_person(name, None, at(2)).unwrap();
        }
        assert_eq!(names(store.people().unwrap())[..2], ["Ann@x.org", "ann@x.org "]);
        assert_eq!(store.people().unwrap().len(), 11);
    });
}

#[test]
fn of_many_who_take_a_name_one_gets_it() {
    on_both(|place| {
        let other = place.again();
        let add = |store: &Store, name: &str| store.add_person(name, None, at(1)).is_ok();
        let made: usize = std::thread::scope(|scope| {
            let one = |store, name| scope.spawn(move || usize::from(add(store, name)));
            let all = [
                one(&place.store, "ann"),
                one(&other, "Ann"),
                one(&place.store, "ANN"),
                one(&other, "ann"),
            ];
            all.map(|one| one.join().unwrap()).iter().sum()
        });
        assert_eq!(made, 1);
    });
}

#[test]
fn a_new_password_ends_what_signed_in_before() {
    on_both(|place| {
        let store = &place.store;
        let ann = store.add_person("ann", Some("hash 1"), at(0)).unwrap();
        let bob = store.add_person("bob", None, at(0)).unwrap();
        assert!(ann.has_password);
        assert_eq!(store.password_of(ann.id).unwrap().as_deref(), Some("hash 1"));
        assert_eq!(store.password_of(bob.id).unwrap(), None);
        let begin = |kind, number: u8, person: &Person| {
            store.add_session(kind, &[number; 32], person.id, at(1), at(100)).unwrap();
        };
        begin(SessionKind::Session, 1, &ann);
        begin(SessionKind::Session, 2, &ann);
        begin(SessionKind::Link, 3, &ann);
        begin(SessionKind::Session, 4, &bob);
        store.set_password(ann.id, Some("hash 2"), Some(&[2; 32])).unwrap();
        assert_eq!(store.password_of(ann.id).unwrap().as_deref(), Some("hash 2"));
        let here = |number: u8| store.session(&[number; 32], at(2)).unwrap().is_some();
        assert_eq!([1, 2, 4].map(here), [false, true, true]);
        assert_eq!(store.take_link(&[3; 32], at(2)).unwrap(), None);
        store.set_password(ann.id, None, None).unwrap();
        assert_eq!(store.password_of(ann.id).unwrap(), None);
        assert_eq!([1, 2, 4].map(here), [false, false, true]);
    });
}

#[test]
fn who_is_kept_out_is_out_at_once() {
    on_both(|place| {
        let store = &place.store;
        let ann = store.add_person("ann", None, at(0)).unwrap();
        let begin = |kind, number: u8| {
            store.add_session(kind, &[number; 32], ann.id, at(1), at(100)).unwrap();
        };
        begin(SessionKind::Session, 1);
        begin(SessionKind::Link, 2);
        store.set_disabled(ann.id, true).unwrap();
        assert!(store.person(ann.id).unwrap().unwrap().is_disabled);
        // Those who signed in at that very moment are not in either, now or later.
        begin(SessionKind::Session, 3);
        begin(SessionKind::Link, 4);
        let here = |number: u8| store.session(&[number; 32], at(2)).unwrap().is_some();
        assert_eq!([1, 3].map(here), [false, false]);
        assert_eq!([2, 4].map(|n| store.take_link(&[n; 32], at(2)).unwrap()), [None, None]);
        store.set_disabled(ann.id, false).unwrap();
        assert_eq!([1, 3].map(here), [false, false]);
        begin(SessionKind::Session, 5);
        store.set_disabled(ann.id, false).unwrap();
        assert!(here(5));
    });
}

#[test]
fn a_session_lasts_until_its_end() {
    on_both(|place| {
        let store = &place.store;
        let ann = store.add_person("ann", None, at(0)).unwrap();
        let kind = SessionKind::Session;
        store.add_session(kind, &[1; 32], ann.id, at(1), at(100)).unwrap();
        store.add_session(SessionKind::Link, &[2; 32], ann.id, at(1), at(200)).unwrap();
        let here = |number: u8, now| store.session(&[number; 32], at(now)).unwrap();
        assert_eq!(here(1, 99).map(|one| one.id), Some(ann.id));
        assert_eq!([here(1, 100), here(2, 1), here(3, 1)], [None, None, None]);
        assert_eq!(store.take_link(&[1; 32], at(2)).unwrap(), None, "a session is no link");
        store.clear_sessions(at(100)).unwrap();
        assert_eq!(here(1, 2), None);
        assert_eq!(store.take_link(&[2; 32], at(200)).unwrap(), None);
        assert!(store.take_link(&[2; 32], at(199)).unwrap().is_some());
        for number in [1, 2, 3] {
            store.add_session(kind, &[number; 32], ann.id, at(1), at(100)).unwrap();
        }
        assert!(store.end_session(&[1; 32]).unwrap() && !store.end_session(&[1; 32]).unwrap());
        assert_eq!(store.set_password(ann.id, None, Some(&[2; 32])).unwrap().sessions, 1);
        assert_eq!([here(1, 2), here(3, 2)], [None, None]);
        assert_eq!(store.end_credentials(ann.id).unwrap().sessions, 1);
        store.person_seen(ann.id, at(7)).unwrap();
        assert_eq!(store.person(ann.id).unwrap().unwrap().seen_at, Some(at(7)));
    });
}

#[test]
fn a_link_signs_in_once() {
    on_both(|place| {
        let ann = place.store.add_person("ann", None, at(0)).unwrap();
        let other = place.again();
        for round in 0..10 {
            let secret = [round; 32];
            let link = SessionKind::Link;
            place.store.add_session(link, &secret, ann.id, at(0), at(100)).unwrap();
            let taken: Vec<Person> = std::thread::scope(|scope| {
                let take =
                    |store| scope.spawn(move || Store::take_link(store, &secret, at(1)).unwrap());
                let all = [&place.store, &other, &place.store, &other].map(take);
                all.into_iter().filter_map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(names(taken), ["ann"]);
        }
    });
}

#[test]
fn an_identity_means_one_person() {
    on_both(|place| {
        let store = &place.store;
        let ann = store.add_person("ann", None, at(0)).unwrap();
        let bob = store.add_person("bob", None, at(0)).unwrap();
        let who = |issuer: &str, subject: &str| store.person_identified(issuer, subject).unwrap();
        assert_eq!(who("https://one", "1"), None);
        store.add_identity("https://one", "1", ann.id).unwrap();
        store.add_identity("https://one", "1", ann.id).unwrap();
        store.add_identity("https://two", "1", bob.id).unwrap();
        assert!(is_taken(store.add_identity("https://one", "1", bob.id)));
        assert_eq!(who("https://one", "1"), Some(ann));
        assert_eq!(who("https://two", "1"), Some(bob));
        assert_eq!(who("https://two", "2"), None);
    });
}

#[test]
fn a_role_is_of_one_project() {
    on_both(|place| {
        use ProjectRole::{Admin, Member, Owner};
        let store = &place.store;
        let q = store.project_or_new("q", at(0)).unwrap();
        let [bob, ann] = ["bob", "Ann"].map(|one| store.add_person(one, None, at(0)).unwrap());
        let set = |project, person: &Person, role, now| {
            store.set_role(project, person.id, role, at(now)).unwrap()
        };
        assert!(set(place.project, &bob, Some(Member), 1));
        assert!(!set(place.project, &bob, Some(Member), 2));
        assert!(set(place.project, &bob, Some(Admin), 3));
        assert!(set(place.project, &ann, Some(Owner), 4));
        assert!(set(q.id, &ann, Some(Member), 5));
        let members: Vec<_> = store
            .members(place.project)
            .unwrap()
            .into_iter()
            .map(|one| (one.person.name, one.role, one.since))
            .collect();
        let expect = [("Ann".into(), Owner, Some(at(4))), ("bob".into(), Admin, Some(at(1)))];
        assert_eq!(members, expect);
        let of_ann = store.memberships(ann.id).unwrap();
        let of_ann: Vec<_> =
            of_ann.iter().map(|one| (one.project.name.as_str(), one.role)).collect();
        assert_eq!(of_ann, [("p", Owner), ("q", Member)]);
        assert_eq!(store.role(q.id, ann.id).unwrap(), Some(Member));
        assert_eq!(store.role(q.id, bob.id).unwrap(), None);
        assert!(!set(q.id, &bob, None, 6));
        assert!(set(q.id, &ann, None, 6));
        assert!(store.members(q.id).unwrap().is_empty());
    });
}

#[test]
fn who_leaves_a_project_leaves_nothing_that_acts_there() {
    on_both(|place| {
        let store = &place.store;
        let q = store.project_or_new("q", at(0)).unwrap();
        let [ann, bob] = ["ann", "bob"].map(|one| store.add_person(one, None, at(0)).unwrap());
        let mut number = 0;
        for project in [place.project, q.id] {
            for person in [&ann, &bob] {
                number += 1;
                let role = Some(ProjectRole::Member);
                store.set_role(project, person.id, role, at(1)).unwrap();
                let secret = [number; 32];
                let (person, grants) = (person.id, Grants::ALL);
                let token =
                    NewToken { project, person, name: "t", secret, grants, expires_at: None };
                store.add_token(&token, at(1)).unwrap();
            }
            for name in ["ann", "bob"] {
                store.add_webhook(project, name, &webhook_to("https://h", None), at(1)).unwrap();
            }
        }
        place.dataset("d", &everything());
        assert_eq!(place.number("SELECT COUNT(*) FROM delivery"), 1);
        assert!(store.set_role(place.project, ann.id, None, at(2)).unwrap());
        let tokens = |project| store.tokens(project, None).unwrap().len();
        assert_eq!((tokens(place.project), tokens(q.id)), (1, 2));
        let webhooks =
            |project, name: &str| store.webhooks(&Scope::person(project, name)).unwrap().len();
        let left = [(place.project, "ann"), (place.project, "bob"), (q.id, "ann"), (q.id, "bob")];
        assert_eq!(left.map(|(project, name)| webhooks(project, name)), [0, 1, 1, 1]);
        assert_eq!(place.number("SELECT COUNT(*) FROM delivery"), 0);
        assert_eq!(store.check(true, at(0)).unwrap(), []);
    });
}

#[test]
fn a_project_keeps_an_owner_who_may_sign_in() {
    on_both(|place| {
        use ProjectRole::{Member, Owner};
        let store = &place.store;
        let [ann, bob] = ["ann", "bob"].map(|one| store.add_person(one, None, at(0)).unwrap());
        let set = |person: &Person, role| store.set_role(place.project, person.id, role, at(1));
        let refused = |person: &Person, role| {
            let result = set(person, role);
            assert!(matches!(result, Err(Error::LastOwner)), "{result:?}");
        };
        set(&ann, Some(Owner)).unwrap();
        refused(&ann, Some(Member));
        refused(&ann, None);
        set(&bob, Some(Owner)).unwrap();
        store.set_disabled(bob.id, true).unwrap();
        refused(&ann, None);
        assert!(set(&bob, Some(Member)).unwrap(), "one who is kept out is no loss");
        store.set_disabled(bob.id, false).unwrap();
        set(&bob, Some(Owner)).unwrap();
        assert!(set(&ann, None).unwrap());
        refused(&bob, None);
    });
}

#[test]
fn of_two_owners_who_step_down_one_stays() {
    on_both(|place| {
        let [ann, bob] =
            ["ann", "bob"].map(|one| place.store.add_person(one, None, at(0)).unwrap().id);
        let other = place.again();
        for round in 0..10 {
            for person in [ann, bob] {
                let owner = Some(ProjectRole::Owner);
                place.store.set_role(place.project, person, owner, at(1)).unwrap();
            }
            let role = (round % 2 == 0).then_some(ProjectRole::Member);
            let results = std::thread::scope(|scope| {
                let step_down = |store, person| {
                    scope.spawn(move || Store::set_role(store, place.project, person, role, at(2)))
                };
                let both = [step_down(&place.store, ann), step_down(&other, bob)];
                both.map(|one| one.join().unwrap())
            });
            let passed = results.iter().filter(|one| matches!(one, Ok(true))).count();
            let refused = results.iter().filter(|one| matches!(one, Err(Error::LastOwner))).count();
            assert_eq!((passed, refused), (1, 1), "{results:?}");
        }
    });
}

#[test]
fn projects_are_renamed_within_their_names() {
    on_both(|place| {
        let store = &place.store;
        let q = store.project_or_new("q", at(0)).unwrap();
        assert!(is_taken(store.rename_project(q.id, "p")));
        store.rename_project(q.id, "q").unwrap();
        store.rename_project(q.id, "r").unwrap();
        assert_eq!(store.project("q").unwrap(), None);
        assert_eq!(store.project_numbered(q.id).unwrap().unwrap().name, "r");
        assert_eq!(store.project_numbered(99).unwrap(), None);
    });
}

fn token(place: &Place, person: &Person, number: u8) {
    let (secret, grants) = ([number; 32], Grants::ALL);
    let (project, person) = (place.project, person.id);
    let token = NewToken { project, person, name: "t", secret, grants, expires_at: None };
    place.store.add_token(&token, at(1)).unwrap();
}

fn invite(place: &Place, person: Option<i64>, role: ProjectRole, number: u8) {
    let (project, secret) = (place.project, [number; 32]);
    let (name, creator, expires_at) = (None, "ann", at(100));
    let new = NewInvitation { project, role, name, secret, creator, person, expires_at };
    place.store.add_invitation(&new, at(1)).unwrap();
}

#[test]
fn a_new_password_and_a_sign_out_everywhere_end_tokens_too() {
    on_both(|place| {
        let store = &place.store;
        let [ann, bob] = ["ann", "bob"].map(|one| store.add_person(one, None, at(0)).unwrap());
        for (person, number) in [(&ann, 1), (&ann, 2), (&bob, 3)] {
            token(place, person, number);
            let kind = SessionKind::Session;
            store.add_session(kind, &[number; 32], person.id, at(1), at(100)).unwrap();
        }
        let there = |number: u8| {
            let session = store.session(&[number; 32], at(2)).unwrap().is_some();
            (session, store.token(&[number; 32]).unwrap().is_some())
        };
        let ended = store.set_password(ann.id, Some("hash"), Some(&[1; 32])).unwrap();
        assert_eq!(ended, Ended { sessions: 1, tokens: 2 });
        assert_eq!([1, 2, 3].map(there), [(true, false), (false, false), (true, true)]);
        assert_eq!(store.end_credentials(ann.id).unwrap(), Ended { sessions: 1, tokens: 0 });
        assert_eq!([1, 3].map(there), [(false, false), (true, true)]);
    });
}

#[test]
fn an_invitation_gives_no_more_than_its_maker_has() {
    use ProjectRole::{Admin, Member, Owner};
    on_both(|place| {
        let store = &place.store;
        let [ann, eve] = ["ann", "eve"].map(|one| store.add_person(one, None, at(0)).unwrap());
        let set = |person: &Person, role| store.set_role(place.project, person.id, role, at(1));
        set(&eve, Some(Owner)).unwrap();
        let open = || {
            let all = store.invitations(place.project, at(2)).unwrap();
            let mut roles: Vec<_> = all.into_iter().map(|one| one.role).collect();
            roles.sort_unstable();
            roles
        };
        invite(place, None, Owner, 1);
        // By an event that takes the role away, and by one that no event told of.
        for (after, left) in
            [(Some(Admin), &[Member, Admin, Owner][..]), (Some(Member), &[Owner]), (None, &[Owner])]
        {
            for is_told in [true, false] {
                set(&ann, Some(Owner)).unwrap();
                for (role, number) in [(Member, 2), (Admin, 3), (Owner, 4)] {
                    invite(place, Some(ann.id), role, number);
                }
                assert_eq!(open().len(), 4);
                if is_told {
                    set(&ann, after).unwrap();
                } else {
                    let role = after.map_or("gone", ProjectRole::as_str);
                    place.sql(&format!(
                        "UPDATE membership SET role = '{role}' WHERE person = {}",
                        ann.id
                    ));
                }
                assert_eq!(open(), left, "{after:?} {is_told}");
                let taken = [2, 3, 4].map(|number| {
                    store.take_invitation(&[number; 32], at(2)).unwrap().map(|one| one.role)
                });
                assert_eq!(taken.iter().flatten().count(), left.len() - 1, "{after:?} {is_told}");
                if after == Some(Member) || after.is_none() {
                    assert_eq!(store.add_invited(&[3; 32], "new", "hash", at(2)).unwrap(), None);
                }
                place.sql("DELETE FROM invitation WHERE person IS NOT NULL");
                place.sql(&format!(
                    "UPDATE membership SET role = 'owner' WHERE person = {}",
                    ann.id
                ));
            }
        }
        invite(place, Some(ann.id), Member, 2);
        store.set_disabled(ann.id, true).unwrap();
        assert_eq!(open(), [Owner]);
    });
}

#[test]
fn a_job_is_refused_when_its_asker_loses_the_role_that_it_takes() {
    use ProjectRole::{Admin, Member};
    on_both(|place| {
        let store = &place.store;
        let [ann, bob] = ["ann", "bob"].map(|one| store.add_person(one, None, at(0)).unwrap());
        let of = |owner: &str, id: &str| Incoming {
            owner: Some(owner.into()),
            ..place.incoming(id, "x")
        };
        place.take(&[of("ann", "a"), of("bob", "b")]);
        let set = |role| store.set_role(place.project, ann.id, role, at(1)).unwrap();
        let submit = |name: &str, scope: &Scope| {
            let new =
                NewExport { creator: "ann", person: Some(ann.id), name, plan: "{}", part_bytes: 1 };
            store.submit_export(scope, &everything().into(), &new, at(100)).unwrap()
        };
        let (all, own) = (place.scope(), Scope::person(place.project, "ann"));
        for (number, (scope, before, after, why)) in (0..).zip([
            (&all, Admin, Some(Admin), None),
            (&all, Admin, Some(Member), Some("no longer an admin")),
            (&all, Admin, None, Some("no longer in the project")),
            (&own, Member, Some(Member), None),
            (&own, Admin, Some(Member), None),
            (&own, Member, None, Some("no longer in the project")),
        ]) {
            set(Some(before));
            let name = format!("d{number}");
            let job = submit(&name, scope);
            set(after);
            let job = place.claim("w", job);
            let told = store.refuse_lost_role(&job).err().map(|error| error.to_string());
            assert_eq!(told.is_some(), why.is_some(), "{number}: {told:?}");
            assert!(told.unwrap_or_default().contains(why.unwrap_or_default()), "{number}");
            let dataset = NewDataset { name, ..NewDataset::default() };
            let end =
                store.finish_export(job.id, "w", JobState::Completed, "{}", &dataset, at(300));
            assert_eq!(end.is_err(), why.is_some(), "{number}: {end:?}");
        }
        set(Some(Admin));
        let needs: Vec<_> =
            store.datasets(&own).unwrap().into_iter().map(|one| one.needs).collect();
        assert_eq!(needs, [Member, Member, Admin]);
        let job = submit("disabled", &own);
        let job = place.claim("w", job);
        store.set_disabled(ann.id, true).unwrap();
        let told = store.refuse_lost_role(&job).unwrap_err().to_string();
        assert!(told.contains("`ann`") && told.contains("disabled"), "{told}");
        store.set_role(place.project, bob.id, Some(Member), at(1)).unwrap();
    });
}

#[test]
fn links_close_with_the_role_that_let_someone_make_them_until_another_keeps_them() {
    use ProjectRole::{Admin, Member};
    on_both(|place| {
        let store = &place.store;
        let [ann, eve] = ["ann", "eve"].map(|one| store.add_person(one, None, at(0)).unwrap());
        let of = |owner: &str, id: &str| Incoming {
            owner: Some(owner.into()),
            ..place.incoming(id, "x")
        };
        place.take(&[of("ann", "own"), of("bob", "other")]);
        let share = |text: &str, id: &str| {
            let new = NewShare { person: Some(ann.id), ..link(text, place.one(id).key) };
            store.add_share(&place.scope(), &new, at(1)).unwrap().unwrap()
        };
        let leads = |text: &str| store.share_behind(&secret_of(text), at(2)).unwrap().is_some();
        let set = |role| store.set_role(place.project, ann.id, role, at(1)).unwrap();
        set(Some(Admin));
        let (own, other) = (share("own", "own"), share("other", "other"));
        assert_eq!(["own", "other"].map(leads), [true, true]);
        set(Some(Member));
        assert_eq!(["own", "other"].map(leads), [true, false]);
        // The role comes back, what closed does not.
        set(Some(Admin));
        assert_eq!(["own", "other"].map(leads), [true, false]);
        let q = Scope::project(store.project_or_new("q", at(0)).unwrap().id);
        assert!(!store.keep_share(&q, other, ("eve", Some(eve.id))).unwrap());
        assert!(store.keep_share(&place.scope(), other, ("eve", Some(eve.id))).unwrap());
        set(None);
        assert_eq!(["own", "other"].map(leads), [false, true]);
        let shares = store.shares(&place.scope(), None, None, 9).unwrap().0;
        let told: Vec<_> =
            shares.iter().map(|one| (one.id, one.creator.as_str(), one.is_closed)).collect();
        assert_eq!(told, [(other, "eve", false), (own, "ann", true)]);
        store.set_disabled(eve.id, true).unwrap();
        assert_eq!(["own", "other"].map(leads), [false, false]);
    });
}

#[test]
fn the_first_to_come_by_a_link_or_a_provider_ends_what_an_account_had_before() {
    on_both(|place| {
        let store = &place.store;
        let role = Some(ProjectRole::Admin);
        for identity in [None, Some(("https://one", "1"))] {
            let name = if identity.is_some() { "ann" } else { "bob" };
            invite(place, None, ProjectRole::Admin, 9);
            let (_, person) = store.add_invited(&[9; 32], name, "hash", at(1)).unwrap().unwrap();
            assert_eq!((person.is_proved, person.is_confirmed), (false, false));
            store.set_role(place.project, person.id, role, at(1)).unwrap();
            token(place, &person, 1);
            invite(place, Some(person.id), ProjectRole::Member, 2);
            store.add_webhook(place.project, name, &webhook_to("https://h", None), at(1)).unwrap();
            store.add_identity("https://one", name, person.id).unwrap();
            let kind = SessionKind::Session;
            store.add_session(kind, &[3; 32], person.id, at(1), at(100)).unwrap();
            assert!(store.confirm_person(person.id, identity).unwrap());
            let after = store.person(person.id).unwrap().unwrap();
            assert_eq!(
                (after.is_proved, after.is_confirmed, after.has_password),
                (true, true, false)
            );
            assert_eq!(store.session(&[3; 32], at(2)).unwrap(), None);
            assert!(store.token(&[1; 32]).unwrap().is_none());
            assert_eq!(store.invitation(&[2; 32], at(2)).unwrap(), None);
            assert!(store.webhooks(&Scope::person(place.project, name)).unwrap().is_empty());
            assert_eq!(store.person_identified("https://one", name).unwrap(), None);
            // From now on it is theirs, and nothing ends as they come again.
            token(place, &person, 1);
            assert!(!store.confirm_person(person.id, identity).unwrap());
            assert!(store.token(&[1; 32]).unwrap().is_some());
            place.sql("DELETE FROM token");
        }
    });
}

#[test]
fn a_name_is_in_use_that_owns_or_made_anything_in_any_project() {
    on_both(|place| {
        let store = &place.store;
        let of = |owner: &str, id: &str| Incoming {
            owner: Some(owner.into()),
            ..place.incoming(id, "x")
        };
        place.take(&[of("bob", "b")]);
        place.dataset("d", &everything());
        for (name, is_used) in [("bob", true), ("ann", true), ("eve", false), ("bo", false)] {
            assert_eq!(store.is_name_in_use(name).unwrap(), is_used, "{name}");
        }
    });
}
