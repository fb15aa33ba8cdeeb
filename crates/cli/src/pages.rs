//! Lists that are fetched page by page.

use retort_model::bounds::PAGE_ITEMS;

/// The first `most` items of a list. `page` returns the items after an id, up to a number, and the id after which the next
/// page begins, if there is one.
pub fn first_of<T, E>(
    most: usize,
    mut page: impl FnMut(Option<i64>, usize) -> Result<(Vec<T>, Option<i64>), E>,
) -> Result<Vec<T>, E> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let wanted = most.saturating_sub(all.len()).clamp(1, PAGE_ITEMS);
        let (items, next) = page(after, wanted)?;
        all.extend(items);
        after = next;
        if after.is_none() || all.len() >= most {
            return Ok(all);
        }
    }
}

/// All items of a list, in pages of the list's own length.
pub fn all_of<T, E>(
    mut page: impl FnMut(Option<i64>) -> Result<(Vec<T>, Option<i64>), E>,
) -> Result<Vec<T>, E> {
    first_of(usize::MAX, |after, _| page(after))
}
