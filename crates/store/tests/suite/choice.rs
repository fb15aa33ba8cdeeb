//! What is chosen, and what of it a filter shows.

use retort_model::{ConversationFilter, Status};

use crate::support::{Place, on_both};

fn ids(some: &[&str]) -> ConversationFilter {
    ConversationFilter {
        ids: some.iter().map(|id| (*id).to_owned()).collect(),
        statuses: Status::ALL.to_vec(),
        ..ConversationFilter::default()
    }
}

fn sought(text: &str) -> ConversationFilter {
    ConversationFilter { search: vec![text.parse().unwrap()], ..ConversationFilter::default() }
}

fn filled(place: &Place) {
    let some: Vec<_> = ["alpha one", "alpha two", "beta three", "gamma four"]
        .iter()
        .enumerate()
        .map(|(index, title)| retort_store::Incoming {
            title: Some((*title).to_owned()),
            ..place.incoming(&format!("c{index}"), title)
        })
        .collect();
    place.take(&some);
}

#[test]
fn alternatives_add_and_exceptions_take_away() {
    on_both(|place| {
        filled(place);
        let count =
            |selection: &ConversationFilter| place.store.count(&place.scope(), selection).unwrap();
        let mut selection = sought("alpha");
        assert_eq!(count(&selection), 2);
        selection.or = vec![sought("gamma"), ids(&["c2", "c0"])];
        assert_eq!(count(&selection), 4);
        selection.except = ["c0".to_owned(), "c3".to_owned()].into();
        assert_eq!(count(&selection), 2);
        let page = place
            .store
            .list(&place.scope(), &selection, retort_store::Order::Newest, None, 10)
            .unwrap();
        let mut found: Vec<_> = page.conversations.iter().map(|one| one.id.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, ["c1", "c2"]);
    });
}

#[test]
fn what_is_chosen_is_known_row_by_row_and_behind_a_filter() {
    on_both(|place| {
        filled(place);
        let scope = place.scope();
        let keys: Vec<i64> = place
            .store
            .list(&scope, &ConversationFilter::default(), retort_store::Order::Newest, None, 10)
            .unwrap()
            .conversations
            .iter()
            .map(|one| one.key)
            .collect();
        let mut chosen = sought("alpha");
        chosen.or = vec![ids(&["c3"])];
        assert_eq!(place.store.among(&scope, &chosen, &keys).unwrap().len(), 3);
        assert_eq!(place.store.among(&scope, &chosen, &[]).unwrap().len(), 0);
        assert_eq!(place.store.count_both(&scope, &chosen, &sought("two")).unwrap(), 1);
        assert_eq!(place.store.count_both(&scope, &chosen, &sought("beta")).unwrap(), 0);
        assert_eq!(
            place.store.count_both(&scope, &chosen, &ConversationFilter::default()).unwrap(),
            3
        );
        let other = retort_model::Scope::person(place.project, "ann");
        assert_eq!(place.store.among(&other, &chosen, &keys).unwrap().len(), 0);
    });
}

#[test]
fn a_choice_is_kept_for_each_person() {
    on_both(|place| {
        assert_eq!(place.store.choice(place.project, "ann").unwrap(), None);
        place.store.set_choice(place.project, "ann", "{}").unwrap();
        place.store.set_choice(place.project, "ann", "[]").unwrap();
        assert_eq!(place.store.choice(place.project, "ann").unwrap().as_deref(), Some("[]"));
        assert_eq!(place.store.choice(place.project, "bob").unwrap(), None);
    });
}
