//! URLs of conversations, runs and documents, with the list and the queue to return to.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_service::{Queue, RunSummary};

use super::flows;

/// The address of a conversation.
pub(super) fn path(id: &str, source: &str) -> String {
    format!(
        "/conversations/{}?source={}",
        utf8_percent_encode(id, NON_ALPHANUMERIC),
        utf8_percent_encode(source, NON_ALPHANUMERIC)
    )
}

/// The address of a conversation of any source.
pub(super) fn conversation(id: &str) -> String {
    format!("/conversations/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// The URL of a conversation, with the query of the list to return to.
pub(super) fn path_from(id: &str, source: &str, list: &str) -> String {
    let path = path(id, source);
    match list {
        "" => path,
        list => format!("{path}&from={}", utf8_percent_encode(list, NON_ALPHANUMERIC)),
    }
}

/// The URL of a document, with the query of the list to return to.
pub(super) fn document_from(id: &str, source: &str, list: &str) -> String {
    let (id, source) =
        (utf8_percent_encode(id, NON_ALPHANUMERIC), utf8_percent_encode(source, NON_ALPHANUMERIC));
    match list {
        "" => format!("/documents/{id}?source={source}"),
        list => {
            let list = utf8_percent_encode(list, NON_ALPHANUMERIC);
            format!("/documents/{id}?source={source}&from={list}")
        }
    }
}

/// The URL of a list with that query.
pub(super) fn list_at(list: &str, query: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if query.is_empty() || !query.bytes().all(plain) {
        return list.to_owned();
    }
    format!("{list}?{query}")
}

/// The queue of that name.
pub(super) fn queue_of(name: &str) -> Option<Queue> {
    Queue::ALL.into_iter().find(|queue| queue.as_str() == name)
}

/// The address of a conversation in a queue.
pub(super) fn path_in(queue: Option<Queue>, id: &str, source: &str, list: &str) -> String {
    let path = path_from(id, source, list);
    match queue {
        Some(queue) => format!("{path}&queue={}", queue.as_str()),
        None => path,
    }
}

/// The address of a run, from which the way leads back to the history at that query, in a queue or not.
pub(super) fn run_in(queue: Option<Queue>, run: &RunSummary, list: &str) -> String {
    let id = utf8_percent_encode(&run.id, NON_ALPHANUMERIC);
    let path = format!("{}/runs/{id}", flows::path(run.source, &run.flow));
    // A query is there in any case, so that more can be added to it.
    let path = format!("{path}?from={}", utf8_percent_encode(list, NON_ALPHANUMERIC));
    match queue {
        Some(queue) => format!("{path}&queue={}", queue.as_str()),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_the_list_alone() {
        assert_eq!(path_from("a b", "s", ""), "/conversations/a%20b?source=s");
        let from = path_from("a", "s", "search=x&after=1-2");
        assert_eq!(from, "/conversations/a?source=s&from=search%3Dx%26after%3D1%2D2");
        assert_eq!(list_at("/export", "search=x&after=1-2"), "/export?search=x&after=1-2");
        for odd in ["", "a b", "x\r\ny", "#x"] {
            assert_eq!(list_at("/export", odd), "/export");
        }
    }
}
