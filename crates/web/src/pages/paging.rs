//! The pages of a list: every list goes on by "Next" and back by "First page".

use std::fmt::Display;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The addresses of the other pages of a list.
pub(super) struct Paging {
    /// The first page, if this is another one.
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
}

impl Paging {
    /// `list` is the address of the first page, `next` where the next page begins.
    pub(super) fn of(list: &str, is_first: bool, next: Option<impl Display>) -> Self {
        let mark = if list.contains('?') { '&' } else { '?' };
        let next = next.map(|next| {
            let next = next.to_string();
            format!("{list}{mark}after={}", utf8_percent_encode(&next, NON_ALPHANUMERIC))
        });
        Self { first: (!is_first).then(|| list.to_owned()), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_keep_the_query_of_their_list() {
        let paging = Paging::of("/documents?search=a%26b", false, Some("1f-2"));
        assert_eq!(paging.first.as_deref(), Some("/documents?search=a%26b"));
        assert_eq!(paging.next.as_deref(), Some("/documents?search=a%26b&after=1f%2D2"));
        let paging = Paging::of("/project/shares", true, Some(7));
        assert_eq!((paging.first, paging.next.as_deref()), (None, Some("/project/shares?after=7")));
    }
}
