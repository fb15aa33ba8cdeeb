//! `rejects.jsonl`: what was left out and why; `extra.jsonl`: what the rows of a data format could not hold. A line
//! each, so that nothing is lost in silence.

use retort_json::write_string;
use retort_model::ItemKind;

/// Something that was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reject {
    /// The item and its kind; none if it could not be read.
    pub id: Option<(ItemKind, String)>,
    /// The part of the item that it is, if not the whole.
    pub part: Option<String>,
    /// The reason's name.
    pub reason: String,
    /// Where and what, in words.
    pub detail: String,
    /// The input.
    pub input: String,
    /// Line in the input, from 1.
    pub line: u64,
    /// Place among the input's items, from 1.
    pub index: u64,
    /// Byte in the input.
    pub byte: u64,
}

/// The key under which the id of such an item stands.
fn id_key(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Conversation => "conversation_id",
        ItemKind::Run => "request_id",
        ItemKind::Document => "document_id",
    }
}

pub(super) fn write_id(kind: ItemKind, id: Option<&str>, out: &mut Vec<u8>) {
    out.push(b'{');
    write_string(id_key(kind), out);
    out.push(b':');
    match id {
        Some(id) => write_string(id, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends the line of what a record could not hold: `extra` is the JSON text of an object.
pub fn write_extra(
    (kind, id): (ItemKind, &str),
    part: Option<&str>,
    extra: &str,
    out: &mut Vec<u8>,
) {
    write_id(kind, Some(id), out);
    if let Some(part) = part {
        out.extend_from_slice(b",\"part\":");
        write_string(part, out);
    }
    out.extend_from_slice(b",\"extra\":");
    out.extend_from_slice(extra.as_bytes());
    out.extend_from_slice(b"}\n");
}

/// Appends the line of a reject.
pub fn write_reject(reject: &Reject, out: &mut Vec<u8>) {
    let id = reject.id.as_ref();
    let kind = id.map(|(kind, _)| *kind).unwrap_or_default();
    write_id(kind, id.map(|(_, id)| &**id), out);
    if let Some(part) = &reject.part {
        out.extend_from_slice(b",\"part\":");
        write_string(part, out);
    }
    for (key, text) in [("reason", &reject.reason), ("detail", &reject.detail)] {
        out.push(b',');
        write_string(key, out);
        out.push(b':');
        write_string(text, out);
    }
    write_place(&reject.input, (reject.line, reject.index, reject.byte), out);
}

/// Ends a line with where the item is: the input, and the line, item and byte in it.
pub(super) fn write_place(input: &str, (line, item, byte): (u64, u64, u64), out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"input\":");
    write_string(input, out);
    let place = format!(",\"line\":{line},\"item\":{item},\"byte\":{byte}}}\n");
    out.extend_from_slice(place.as_bytes());
}
