//! Rehearsals: changes are visible within one, and undone at its end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use retort_model::ConversationFilter;
use retort_store::Error;

use crate::support::*;

#[test]
fn a_rehearsal_sees_its_changes_and_keeps_none() {
    on_both(|place| {
        let store = &place.store;
        let every = ConversationFilter::default();
        let count = || store.count(&place.scope(), &every).unwrap();
        place.add("a", "one");
        assert_eq!(count(), 1);
        let found = store.rehearse(|| {
            place.add("b", "two");
            store.add_person("ann", None, at(1))?;
            // A refused call undoes only its own changes.
            let again = store.add_person("ann", None, at(2));
            assert!(matches!(again, Err(Error::NameTaken(_))), "{again:?}");
            assert!(store.person_named("ann")?.is_some());
            // A rehearsal within another is part of it.
            store.rehearse(|| store.add_person("bob", None, at(3)))?;
            assert!(store.person_named("bob")?.is_some());
            // Other connections see none of it. In SQLite, they could not write.
            assert_eq!(place.again().person_named("ann")?, None);
            Ok::<_, Error>(count())
        });
        assert_eq!(found.unwrap(), 2);
        assert_eq!((count(), store.person_named("ann").unwrap()), (1, None));
        assert_eq!(store.person_named("bob").unwrap(), None);
        // Counts made in it are not kept: the next turn gets the number of the one that was undone.
        place.add("c", "three");
        place.add("d", "four");
        assert_eq!(count(), 3);
    });
}

#[test]
fn a_rehearsal_that_fails_or_panics_keeps_nothing_either() {
    on_both(|place| {
        let store = &place.store;
        let failed = store.rehearse(|| {
            store.add_person("ann", None, at(1))?;
            Err::<(), _>(Error::NameTaken("x".into()))
        });
        assert!(matches!(failed, Err(Error::NameTaken(_))));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.rehearse(|| {
                store.add_person("ann", None, at(1))?;
                if store.person_named("ann")?.is_some() {
                    panic!("a bug");
                }
                Ok::<_, Error>(())
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(store.person_named("ann").unwrap(), None);
        store.add_person("ann", None, at(1)).unwrap();
    });
}
