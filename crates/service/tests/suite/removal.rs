//! What is deleted, purged, and traced.

use retort_model::{ConversationFilter, ProjectRole};
use retort_service::Edit;

use crate::support::{Office, chat, named};

#[test]
fn a_trace_names_the_datasets_that_hold_a_conversation_after_its_purge() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a"), chat("b")], None);
    office.export(&caller, "both", ConversationFilter::default());
    office.export(&caller, "one", named(&["b"]));

    let names = |id: &str| -> Vec<String> {
        let (held, _) = office.service.trace(&caller, id, None, 10).unwrap();
        held.into_iter().map(|dataset| dataset.name).collect()
    };
    assert_eq!(names("a"), ["both"]);
    assert_eq!(office.service.edit(&caller, &named(&["a"]), &Edit::Purge).unwrap(), 1);
    assert!(office.service.show(&caller, "a").is_err());
    assert_eq!(names("a"), ["both"], "the person who erases has to know where it went");
}

#[test]
fn a_job_of_a_person_who_was_deleted_meanwhile_fails() {
    let office = Office::new();
    let (person, ann) = office.join("ann", ProjectRole::Member);
    office.import(&[chat("a")], Some("ann"));
    let belongings = office.service.belongings_of(&person).unwrap();
    assert!(belongings.tokens > 0, "{belongings:?}");
    office.submit(&ann, "d", ConversationFilter::default()).unwrap();
    office.service.delete_person(&person).unwrap();
    assert!(office.service.person("ann").is_err());
    assert!(!matches!(office.work(), Ok(Some(_))));
    assert!(office.service.dataset(&office.local(), "d").is_err());
}

#[test]
fn a_dataset_that_is_deleted_is_gone_from_the_place_of_objects() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a")], None);
    let dataset = office.export(&caller, "d", ConversationFilter::default());
    office.service.delete_dataset(&caller, "d").unwrap();
    assert!(office.service.dataset(&caller, "d").is_err());
    assert!(office.service.verify_dataset(&dataset).is_err());
}
