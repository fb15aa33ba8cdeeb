//! Saved views: whose they are, and for whom.

use retort_store::ShownView;

use crate::support::*;

#[test]
fn views_are_their_makers_and_shared_ones_the_projects() {
    on_both(|place| {
        let (store, project) = (&place.store, place.project);
        let save = |person: &str, name: &str, filter: &str, is_shared: bool| {
            let shown = ShownView { filter: filter.to_owned(), ..ShownView::default() };
            store.save_view((project, person), name, &shown, is_shared, at(1)).unwrap()
        };
        let first = save("ann", "mine", "{\"a\":1}", false);
        let shared = save("ann", "ours", "{}", true);
        save("bob", "mine", "{}", false);
        assert_eq!(save("ann", "mine", "{\"a\":2}", false), first, "in place of the last");
        let names = |person: &str| -> Vec<_> {
            let views = store.views(project, person).unwrap();
            views.into_iter().map(|one| (one.name, one.creator, one.shown.filter)).collect()
        };
        let row = |name: &str, creator: &str, filter: &str| {
            (name.to_owned(), creator.to_owned(), filter.to_owned())
        };
        assert_eq!(names("ann"), [row("mine", "ann", "{\"a\":2}"), row("ours", "ann", "{}")]);
        let shown = ShownView {
            filter: "{}".into(),
            sort: Some("title".into()),
            columns: Some("tokens,score".into()),
        };
        store.save_view((project, "ann"), "sorted", &shown, false, at(1)).unwrap();
        let kept = store.views(project, "ann").unwrap().pop().unwrap();
        assert_eq!((&*kept.name, kept.shown), ("sorted", shown));
        assert!(store.remove_view(project, kept.id).unwrap());
        assert_eq!(names("bob"), [row("mine", "bob", "{}"), row("ours", "ann", "{}")]);
        assert!(!store.remove_view(project + 1, shared).unwrap());
        assert!(store.remove_view(project, shared).unwrap());
        assert!(!store.remove_view(project, shared).unwrap());
        assert!(store.remove_view(project, first).unwrap());
        assert_eq!(names("ann"), []);
    });
}

#[test]
fn a_sample_is_drawn_by_its_seed_among_what_matches() {
    on_both(|place| {
        let some: Vec<_> =
            (0..200).map(|number| place.incoming(&format!("c{number}"), "text")).collect();
        place.take(&some);
        let filter = Default::default();
        let draw = |seed, most| place.store.sample(&place.scope(), &filter, seed, most).unwrap();
        let one = draw(7, 20);
        assert_eq!(one.len(), 20);
        assert_eq!(one, draw(7, 20));
        let other = draw(u64::MAX, 20);
        assert_ne!(one, other);
        // Not simply the first of them.
        assert!(one.iter().any(|id| id.len() == 4), "{one:?}");
        let mut all = draw(3, 1000);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 200);
    });
}
