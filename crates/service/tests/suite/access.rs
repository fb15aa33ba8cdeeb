//! Who sees and may do what.

use std::time::Duration;

use retort_model::{ConversationFilter, Grant, Grants, JobKind, ProjectRole};
use retort_service::{Caller, Edit, Error, Origin, TokenRequest};

use crate::support::{Office, chat, named};

#[test]
fn members_see_what_they_held_and_admins_everything() {
    let office = Office::new();
    let (_, ann) = office.join("ann", ProjectRole::Member);
    let (_, bob) = office.join("bob", ProjectRole::Member);
    let (_, admin) = office.join("admin", ProjectRole::Admin);
    office.import(&[chat("a")], Some("ann"));
    office.import(&[chat("b")], Some("bob"));
    office.import(&[chat("c")], None);

    let all = ConversationFilter::default();
    assert_eq!(office.ids(&ann, &all), ["a"]);
    assert_eq!(office.ids(&bob, &all), ["b"]);
    assert_eq!(office.ids(&admin, &all), ["a", "b", "c"]);
    let other = office.service.show(&ann, "b");
    assert!(matches!(other, Err(Error::NotFound { .. })), "{other:?}");
}

#[test]
fn members_change_and_export_only_what_is_theirs() {
    let office = Office::new();
    let (_, ann) = office.join("ann", ProjectRole::Member);
    office.import(&[chat("a")], Some("ann"));
    office.import(&[chat("b")], Some("bob"));
    assert_eq!(
        office.service.edit(&ann, &ConversationFilter::default(), &Edit::Delete).unwrap(),
        1
    );
    assert_eq!(office.ids(&office.local(), &ConversationFilter::default()), ["b"]);
    let export = office.submit(&ann, "d", named(&["b"]));
    assert!(matches!(export, Err(Error::NotFound { .. })), "{export:?}");
}

#[test]
fn datasets_are_seen_by_who_made_them() {
    let office = Office::new();
    let (_, ann) = office.join("ann", ProjectRole::Member);
    let (_, bob) = office.join("bob", ProjectRole::Member);
    office.import(&[chat("a")], Some("ann"));
    office.export(&ann, "mine", ConversationFilter::default());
    let seen = office.service.dataset(&bob, "mine");
    assert!(matches!(seen, Err(Error::NotFound { .. })), "{seen:?}");
}

#[test]
fn a_token_gives_no_more_than_its_grants_and_ends() {
    let office = Office::new();
    let (person, _) = office.join("ann", ProjectRole::Member);
    office.import(&[chat("a")], Some("ann"));
    let request =
        TokenRequest { name: "reads".into(), grants: [Grant::Read].into_iter().collect(), days: 1 };
    let (_, secret) = office.service.add_token_for(&office.local(), &person, &request).unwrap();
    let signed = office.service.by_token(&secret).unwrap();
    let reader = office.service.caller(&signed, None, Origin::default()).unwrap();
    assert_eq!(office.ids(&reader, &ConversationFilter::default()), ["a"]);
    let edit = office.service.edit(&reader, &named(&["a"]), &Edit::Delete);
    assert!(edit.is_err(), "{edit:?}");

    office.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    assert!(office.service.by_token(&secret).is_err());
}

#[test]
fn a_disabled_person_is_let_in_no_more() {
    let office = Office::new();
    let (person, _) = office.join("ann", ProjectRole::Member);
    let request = TokenRequest { name: "t".into(), grants: Grants::ALL, days: 1 };
    let (_, secret) = office.service.add_token_for(&office.local(), &person, &request).unwrap();
    let link = office.service.sign_in_link(&person).unwrap();
    let session = office.service.sign_in_by_link(&link, &Origin::default()).unwrap().secret;
    assert!(office.service.by_session(&session).unwrap().is_some());

    office.service.set_disabled(&person, true).unwrap();
    assert!(office.service.by_session(&session).unwrap().is_none());
    assert!(office.service.by_token(&secret).is_err());
}

#[test]
fn a_project_keeps_an_owner() {
    let office = Office::new();
    let (person, owner) = office.join("ann", ProjectRole::Owner);
    let left = office.service.set_role(&owner, person.id, None);
    assert!(matches!(left, Err(Error::Conflict(_))), "{left:?}");
}

#[test]
fn only_admins_are_told_which_process_did_a_job() {
    let office = Office::new();
    office.import(&[chat("a")], Some("ann"));
    let (_, ann) = office.join("ann", ProjectRole::Member);
    let job = office.submit(&ann, "d", ConversationFilter::default()).unwrap();
    office.work().unwrap();
    let worker = |caller: &Caller| office.service.job(caller, job).unwrap().worker;
    assert_eq!(worker(&ann), None);
    assert_eq!(worker(&office.local()).as_deref(), Some("worker"));
    let (jobs, _) = office.service.jobs_of(&ann, (JobKind::Export, false), None, 10).unwrap();
    assert_eq!(jobs[0].worker, None);
}
