//! Files of `mongodump`.

use crate::support::asked_in_file;

fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), &[0], value].concat()
}

fn text(name: &str, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len() + 1).unwrap();
    element(2, name, &[&length.to_le_bytes(), text.as_bytes(), &[0]].concat())
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let inside = elements.concat();
    let length = u32::try_from(inside.len() + 5).unwrap();
    [&length.to_le_bytes()[..], &inside, &[0]].concat()
}

#[test]
fn the_documents_of_a_dump_are_items_up_to_where_it_is_damaged() {
    let chat = |id: &str| {
        let message =
            |role: &str, content: &str| document(&[text("role", role), text("content", content)]);
        let messages = document(&[
            element(3, "0", &message("user", &format!("Where is {id}?"))),
            element(3, "1", &message("assistant", "Here.")),
        ]);
        document(&[text("id", id), element(4, "messages", &messages)])
    };
    let whole = [chat("a"), chat("b")].concat();
    let cut = [&whole[..], &chat("c")[..20]].concat();
    for (name, bytes, counts) in [("chats.bson", whole, (2, 0)), ("cut.bson", cut, (3, 1))] {
        assert_eq!(asked_in_file(bytes, name, counts), ["Where is a?", "Where is b?"], "{name}");
    }
}
