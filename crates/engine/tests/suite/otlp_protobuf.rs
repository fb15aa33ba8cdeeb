//! Traces in protobuf, as exporters and the Collector write them.

use std::io::Write;

use crate::support::asked_in_file;

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let length = [(length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
    [&[number << 3 | 2], &length[..], bytes].concat()
}

fn attribute(number: u8, key: &str, value: &str) -> Vec<u8> {
    field(number, &[field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat())
}

/// A request with one call of a model.
fn request(trace: u8, question: &str) -> Vec<u8> {
    let resource = field(1, &attribute(1, "service.name", "shop"));
    let span = [
        field(1, &[trace; 16]),
        field(2, &[trace; 8]),
        field(5, b"chat"),
        attribute(9, "gen_ai.operation.name", "chat"),
        attribute(9, "gen_ai.prompt.0.role", "user"),
        attribute(9, "gen_ai.prompt.0.content", question),
        attribute(9, "gen_ai.completion.0.role", "assistant"),
        attribute(9, "gen_ai.completion.0.content", "Here."),
    ];
    field(1, &[resource, field(2, &field(2, &span.concat()))].concat())
}

#[test]
fn spans_are_read_in_every_framing_up_to_where_a_file_is_damaged() {
    let (one, two) = (request(1, "Where is a?"), request(2, "Where is b?"));
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let framed = [&length(&one), &*one, &length(&two), &two].concat();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&framed).unwrap();
    let cut = [&*framed, &length(&one), &one[..40]].concat();
    for (name, bytes, counts) in [
        ("request.bin", [one, two].concat(), (4, 0)),
        ("traces", framed, (4, 0)),
        ("traces.pb.gz", packed.finish().unwrap(), (4, 0)),
        ("cut.binpb", cut, (5, 1)),
    ] {
        let mut questions = asked_in_file(bytes, name, counts);
        questions.sort();
        assert_eq!(questions, ["Where is a?", "Where is b?"], "{name}");
    }
}
