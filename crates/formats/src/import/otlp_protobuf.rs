//! Requests of OpenTelemetry's protocol in protobuf, as their JSON: the messages of `trace/v1`, `logs/v1` and what they
//! share are declared here as tables, and whatever a table does not name is skipped, as the protocol's JSON mapping asks.
//!
//! A file holds one request, several behind one another, or requests that each follow their length: four bytes, as the
//! Collector's file exporter writes them, or a varint, as protobuf's own libraries do. It is read one resource at a time.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#binary-protobuf-encoding>,
//! <https://protobuf.dev/programming-guides/encoding/>

use std::fmt::Write;
use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retort_json::write_string;
use retort_model::bounds::ITEM_BYTES;

/// Messages in messages, as protobuf's own libraries read them.
const DEPTH: usize = 100;

/// What a field holds, and how the JSON mapping writes it.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// Bytes that are written in Base64.
    Bytes,
    /// An id: bytes that are written in hexadecimal.
    Id,
    Bool,
    /// A number of up to 32 bits, or of an enum.
    Number,
    /// A number of 64 bits, written as a text.
    Long,
    Fixed32,
    Fixed64,
    Double,
    Message(&'static [Field]),
    List(&'static [Field]),
}

/// A field of a message: its number, its name in JSON, and what it holds.
struct Field(u32, &'static str, Kind);

static TRACES: &[Field] = &[Field(1, "resourceSpans", Kind::List(RESOURCE_SPANS))];
static LOGS: &[Field] = &[Field(1, "resourceLogs", Kind::List(RESOURCE_LOGS))];

static RESOURCE_SPANS: &[Field] = &[
    Field(1, "resource", Kind::Message(RESOURCE)),
    Field(2, "scopeSpans", Kind::List(SCOPE_SPANS)),
    Field(3, "schemaUrl", Kind::Text),
];
static RESOURCE_LOGS: &[Field] = &[
    Field(1, "resource", Kind::Message(RESOURCE)),
    Field(2, "scopeLogs", Kind::List(SCOPE_LOGS)),
    Field(3, "schemaUrl", Kind::Text),
];
static RESOURCE: &[Field] = &[
    Field(1, "attributes", Kind::List(&KEY_VALUE)),
    Field(2, "droppedAttributesCount", Kind::Number),
];
static SCOPE_SPANS: &[Field] = &[
    Field(1, "scope", Kind::Message(SCOPE)),
    Field(2, "spans", Kind::List(SPAN)),
    Field(3, "schemaUrl", Kind::Text),
];
static SCOPE_LOGS: &[Field] = &[
    Field(1, "scope", Kind::Message(SCOPE)),
    Field(2, "logRecords", Kind::List(LOG_RECORD)),
    Field(3, "schemaUrl", Kind::Text),
];
static SCOPE: &[Field] = &[
    Field(1, "name", Kind::Text),
    Field(2, "version", Kind::Text),
    Field(3, "attributes", Kind::List(&KEY_VALUE)),
    Field(4, "droppedAttributesCount", Kind::Number),
];
static SPAN: &[Field] = &[
    Field(1, "traceId", Kind::Id),
    Field(2, "spanId", Kind::Id),
    Field(3, "traceState", Kind::Text),
    Field(4, "parentSpanId", Kind::Id),
    Field(5, "name", Kind::Text),
    Field(6, "kind", Kind::Number),
    Field(7, "startTimeUnixNano", Kind::Fixed64),
    Field(8, "endTimeUnixNano", Kind::Fixed64),
    Field(9, "attributes", Kind::List(&KEY_VALUE)),
    Field(10, "droppedAttributesCount", Kind::Number),
    Field(11, "events", Kind::List(EVENT)),
    Field(12, "droppedEventsCount", Kind::Number),
    Field(13, "links", Kind::List(LINK)),
    Field(14, "droppedLinksCount", Kind::Number),
    Field(15, "status", Kind::Message(STATUS)),
    Field(16, "flags", Kind::Fixed32),
];
static EVENT: &[Field] = &[
    Field(1, "timeUnixNano", Kind::Fixed64),
    Field(2, "name", Kind::Text),
    Field(3, "attributes", Kind::List(&KEY_VALUE)),
    Field(4, "droppedAttributesCount", Kind::Number),
];
static LINK: &[Field] = &[
    Field(1, "traceId", Kind::Id),
    Field(2, "spanId", Kind::Id),
    Field(3, "traceState", Kind::Text),
    Field(4, "attributes", Kind::List(&KEY_VALUE)),
    Field(5, "droppedAttributesCount", Kind::Number),
    Field(6, "flags", Kind::Fixed32),
];
static STATUS: &[Field] = &[Field(2, "message", Kind::Text), Field(3, "code", Kind::Number)];
static LOG_RECORD: &[Field] = &[
    Field(1, "timeUnixNano", Kind::Fixed64),
    Field(2, "severityNumber", Kind::Number),
    Field(3, "severityText", Kind::Text),
    Field(5, "body", Kind::Message(&VALUE)),
    Field(6, "attributes", Kind::List(&KEY_VALUE)),
    Field(7, "droppedAttributesCount", Kind::Number),
    Field(8, "flags", Kind::Fixed32),
    Field(9, "traceId", Kind::Id),
    Field(10, "spanId", Kind::Id),
    Field(11, "observedTimeUnixNano", Kind::Fixed64),
    Field(12, "eventName", Kind::Text),
];
static KEY_VALUE: [Field; 2] =
    [Field(1, "key", Kind::Text), Field(2, "value", Kind::Message(&VALUE))];
static VALUE: [Field; 7] = [
    Field(1, "stringValue", Kind::Text),
    Field(2, "boolValue", Kind::Bool),
    Field(3, "intValue", Kind::Long),
    Field(4, "doubleValue", Kind::Double),
    Field(5, "arrayValue", Kind::Message(&ARRAY)),
    Field(6, "kvlistValue", Kind::Message(&KEY_VALUES)),
    Field(7, "bytesValue", Kind::Bytes),
];
static ARRAY: [Field; 1] = [Field(1, "values", Kind::List(&VALUE))];
static KEY_VALUES: [Field; 1] = [Field(1, "values", Kind::List(&KEY_VALUE))];

/// Requests that a service or the Collector exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `ExportTraceServiceRequest`, and `TracesData`, which is the same.
    Traces,
    /// `ExportLogsServiceRequest`, and `LogsData`.
    Logs,
}

/// A request as the JSON text of an object.
///
/// # Errors
/// If the bytes are not such a request.
pub fn to_json(signal: Signal, bytes: &[u8]) -> io::Result<String> {
    let fields = match signal {
        Signal::Traces => TRACES,
        Signal::Logs => LOGS,
    };
    let mut out = String::new();
    write_message(fields, Wire(bytes), 0, &mut out)?;
    Ok(out)
}

/// Whether a file that begins like this holds requests in protobuf.
pub fn begins(start: &[u8]) -> bool {
    framing(start).is_some()
}

/// How the requests of a file follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Directly, which makes one request of them.
    None,
    /// Behind their length, as a varint.
    Varint,
    /// Behind their length, as four bytes, the highest first.
    Fixed,
}

fn framing(start: &[u8]) -> Option<Framing> {
    // No text contains these bytes, and every request does: they are the tags of keys and values.
    if !start.iter().any(|byte| matches!(byte, 0..=8 | 14..=31)) {
        return None;
    }
    let fixed = start.split_first_chunk().map(|(length, rest)| (u32::from_be_bytes(*length), rest));
    let mut varint = Wire(start);
    let length = varint.varint().ok();
    if begins_request(start, None) {
        Some(Framing::None)
    } else if fixed.is_some_and(|(length, rest)| begins_request(rest, Some(length.into()))) {
        Some(Framing::Fixed)
    } else if length.is_some_and(|length| begins_request(varint.0, Some(length))) {
        Some(Framing::Varint)
    } else {
        None
    }
}

/// Whether the bytes, which may be cut, begin with a resource that holds a list of attributes, or spans or logs of a scope.
fn begins_request(bytes: &[u8], length: Option<u64>) -> bool {
    let mut wire = Wire(bytes);
    let Some(group) = wire.begins_field(1, length) else { return false };
    let inner = wire.clone();
    if let Some(resource) = wire.begins_field(1, Some(group)) {
        let mut attribute = wire.clone();
        let key = attribute.begins_field(1, Some(resource));
        return key.is_some_and(|length| attribute.begins_field(1, Some(length)).is_some())
            || resource == 0 && (group == 2 || wire.begins_field(2, Some(group - 2)).is_some());
    }
    let mut scope = inner;
    let Some(scope_length) = scope.begins_field(2, Some(group)) else { return false };
    [1, 2]
        .into_iter()
        .any(|number| scope.clone().begins_field(number, Some(scope_length)).is_some())
}

/// The requests of a file, each resource of them as the JSON text of a request.
pub struct Requests<R> {
    input: R,
    framing: Option<Framing>,
    /// The rest of the request that is being read, where its length is known.
    left: Option<u64>,
    ended: bool,
}

impl<R: Read> Requests<R> {
    /// Reads requests from an input, whose first bytes are also in `start`.
    pub fn read(input: R, start: &[u8]) -> Self {
        Self { input, framing: framing(start), left: None, ended: false }
    }

    fn next_resource(&mut self) -> io::Result<Option<String>> {
        let framing = self.framing.ok_or_else(|| damaged("it does not begin with a resource"))?;
        while framing != Framing::None && self.left.is_none_or(|left| left == 0) {
            let length = match framing {
                Framing::Fixed => self.fixed()?,
                Framing::Varint | Framing::None => self.varint()?,
            };
            let Some(length) = length else { return Ok(None) };
            self.left = Some(length);
        }
        let Some(tag) = self.varint()? else {
            return match self.left {
                None => Ok(None),
                Some(_) => Err(damaged("it ends within a request")),
            };
        };
        if tag != 0x0a {
            return Err(damaged("a request contains something other than resources"));
        }
        let length = self.varint()?.ok_or_else(|| damaged("it ends within a request"))?;
        if length > ITEM_BYTES as u64 {
            let why = "the spans of one resource are over the item size limit";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        if self.left.is_some_and(|left| length > left) {
            return Err(damaged("a resource is longer than its request"));
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(damaged("it ends within a request"));
        }
        self.left = self.left.map(|left| left - length);
        resource_json(&bytes).map(Some)
    }

    /// One byte; none at the end.
    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            match self.input.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let [byte] = byte;
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(Some(byte))
    }

    /// A number of four bytes; none at the end.
    fn fixed(&mut self) -> io::Result<Option<u64>> {
        let mut number = 0;
        for at in 0..4 {
            match self.byte()? {
                Some(byte) => number = number << 8 | u64::from(byte),
                None if at == 0 => return Ok(None),
                None => return Err(damaged("it ends within a length")),
            }
        }
        Ok(Some(number))
    }

    /// A varint; none at the end.
    fn varint(&mut self) -> io::Result<Option<u64>> {
        let mut bytes = Vec::with_capacity(10);
        loop {
            match self.byte()? {
                Some(byte) => bytes.push(byte),
                None if bytes.is_empty() => return Ok(None),
                None => return Err(damaged("it ends within a number")),
            }
            if bytes.last().is_none_or(|byte| byte & 0x80 == 0) || bytes.len() == 10 {
                return Wire(&bytes).varint().map(Some);
            }
        }
    }
}

impl<R: Read> Iterator for Requests<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_resource().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// One resource with its spans, or its logs, as a request. Files do not say which of the two they hold.
fn resource_json(bytes: &[u8]) -> io::Result<String> {
    let write = |name: &str, fields| {
        let mut out = format!("{{\"{name}\":[");
        write_message(fields, Wire(bytes), 1, &mut out)?;
        out.push_str("]}");
        Ok(out)
    };
    let spans = write("resourceSpans", RESOURCE_SPANS);
    spans.or_else(|error| write("resourceLogs", RESOURCE_LOGS).map_err(|_: io::Error| error))
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("invalid OTLP in protobuf: {why}"))
}

/// The unread rest of a message.
#[derive(Clone)]
struct Wire<'b>(&'b [u8]);

/// The value of a field as it is on the wire.
#[derive(Clone, Copy)]
enum Value<'b> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'b [u8]),
    Fixed32([u8; 4]),
}

impl<'b> Wire<'b> {
    fn varint(&mut self) -> io::Result<u64> {
        let mut number = 0_u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = self.0.get(at + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(damaged("a number is cut short or too long"))
    }

    fn bytes(&mut self, length: u64) -> io::Result<&'b [u8]> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let split = self.0.split_at_checked(length);
        let (bytes, rest) = split.ok_or_else(|| damaged("a field is longer than its message"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.bytes(N as u64)?.try_into().map_err(|_| damaged("a number is cut short"))
    }

    /// The next field: its number and value.
    fn field(&mut self) -> io::Result<(u32, Value<'b>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 {
            return Err(damaged("a field has no number"));
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.array()?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => Value::Fixed32(self.array()?),
            _ => return Err(damaged("a field has an unknown wire type")),
        };
        Ok((number, value))
    }

    /// Goes into the field of that number and gives its length, if it comes next and fits into so many bytes.
    fn begins_field(&mut self, number: u8, most: Option<u64>) -> Option<u64> {
        let before = self.0.len();
        let is_it = self.varint().ok()? == u64::from(number << 3 | 2);
        let length = self.varint().ok().filter(|_| is_it)?;
        let head = (before - self.0.len()) as u64;
        most.is_none_or(|most| length.checked_add(head).is_some_and(|all| all <= most))
            .then_some(length)
    }
}

/// Writes a message as an object, its fields in the order of their numbers. If a field that is no list is repeated, its last
/// value counts.
fn write_message(
    fields: &[Field],
    mut wire: Wire<'_>,
    depth: usize,
    out: &mut String,
) -> io::Result<()> {
    if depth > DEPTH {
        return Err(damaged("its messages nest too deeply"));
    }
    let mut found = Vec::new();
    while !wire.0.is_empty() {
        let (number, value) = wire.field()?;
        if let Some(at) = fields.iter().position(|field| field.0 == number) {
            found.push((at, value));
        }
    }
    found.sort_by_key(|(at, _)| *at);
    out.push('{');
    let mut is_first = true;
    for group in found.chunk_by(|(one, _), (other, _)| one == other) {
        let [.., (at, last)] = group else { continue };
        let Some(Field(_, name, kind)) = fields.get(*at) else { continue };
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        let _ = write!(out, "\"{name}\":");
        let Kind::List(inner) = kind else {
            write_value(*kind, *last, depth, out)?;
            continue;
        };
        for (nth, (_, value)) in group.iter().enumerate() {
            out.push(if nth == 0 { '[' } else { ',' });
            write_value(Kind::Message(inner), *value, depth, out)?;
        }
        out.push(']');
    }
    out.push('}');
    Ok(())
}

fn write_value(kind: Kind, value: Value<'_>, depth: usize, out: &mut String) -> io::Result<()> {
    // Writing to a text does not fail.
    let _ = match (kind, value) {
        (Kind::Message(fields) | Kind::List(fields), Value::Bytes(bytes)) => {
            return write_message(fields, Wire(bytes), depth + 1, out);
        }
        (Kind::Text, Value::Bytes(bytes)) => {
            write_string(&String::from_utf8_lossy(bytes), out);
            Ok(())
        }
        (Kind::Bytes, Value::Bytes(bytes)) => write!(out, "\"{}\"", STANDARD.encode(bytes)),
        (Kind::Id, Value::Bytes(bytes)) => {
            out.push('"');
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
            out.push('"');
            Ok(())
        }
        (Kind::Bool, Value::Varint(number)) => write!(out, "{}", number != 0),
        // A negative number is written with all of its 64 bits.
        (Kind::Number, Value::Varint(number)) => write!(out, "{}", number as u32),
        (Kind::Long, Value::Varint(number)) => write!(out, "\"{}\"", number.cast_signed()),
        (Kind::Fixed32, Value::Fixed32(bytes)) => write!(out, "{}", u32::from_le_bytes(bytes)),
        (Kind::Fixed64, Value::Fixed64(bytes)) => write!(out, "\"{}\"", u64::from_le_bytes(bytes)),
        (Kind::Double, Value::Fixed64(bytes)) => write_double(f64::from_le_bytes(bytes), out),
        _ => return Err(damaged("a field has the wrong wire type")),
    };
    Ok(())
}

/// A number; the JSON mapping has texts for infinities and for what is not a number.
fn write_double(number: f64, out: &mut String) -> std::fmt::Result {
    if number.is_nan() {
        out.write_str("\"NaN\"")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
    } else {
        out.write_str(zmij::Buffer::new().format(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
        out
    }

    /// A field of bytes.
    fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        [varint(u64::from(number << 3 | 2)), varint(bytes.len() as u64), bytes.to_vec()].concat()
    }

    fn number(field: u32, kind: u32, bytes: &[u8]) -> Vec<u8> {
        [varint(u64::from(field << 3 | kind)), bytes.to_vec()].concat()
    }

    fn attribute(number: u32, key: &str, value: &[u8]) -> Vec<u8> {
        field(number, &[field(1, key.as_bytes()), field(2, value)].concat())
    }

    fn request(span_name: &str) -> Vec<u8> {
        let resource = field(1, &attribute(1, "service.name", &field(1, b"shop")));
        let array = [field(1, &number(3, 0, &varint(7))), field(1, &number(2, 0, &[1]))].concat();
        let span = [
            field(5, span_name.as_bytes()),
            field(1, &[0xab; 16]),
            field(2, &[0x01; 8]),
            number(7, 1, &1_700_000_000_000_000_000_u64.to_le_bytes()),
            attribute(9, "s", &field(1, "h\u{e9}\"".as_bytes())),
            attribute(9, "i", &number(3, 0, &varint((-2_i64).cast_unsigned()))),
            attribute(9, "d", &number(4, 1, &0.5_f64.to_le_bytes())),
            attribute(9, "n", &number(4, 1, &f64::NAN.to_le_bytes())),
            attribute(9, "b", &field(7, &[1, 2])),
            attribute(9, "a", &field(5, &array)),
            attribute(9, "k", &field(6, &attribute(1, "x", &[]))),
            field(11, &field(2, b"event")),
            field(15, &[field(2, b"oh"), number(3, 0, &[2])].concat()),
            number(16, 5, &[1, 1, 0, 0]),
            field(99, b"unknown"),
        ];
        field(1, &[resource, field(2, &field(2, &span.concat()))].concat())
    }

    const JSON: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[{"traceId":"abababababababababababababababab","spanId":"0101010101010101","name":"NAME","startTimeUnixNano":"1700000000000000000","attributes":[{"key":"s","value":{"stringValue":"hé\""}},{"key":"i","value":{"intValue":"-2"}},{"key":"d","value":{"doubleValue":0.5}},{"key":"n","value":{"doubleValue":"NaN"}},{"key":"b","value":{"bytesValue":"AQI="}},{"key":"a","value":{"arrayValue":{"values":[{"intValue":"7"},{"boolValue":true}]}}},{"key":"k","value":{"kvlistValue":{"values":[{"key":"x","value":{}}]}}}],"events":[{"name":"event"}],"status":{"message":"oh","code":2},"flags":257}]}]}]}"#;

    #[test]
    fn a_request_is_written_as_the_protocols_json() {
        assert_eq!(to_json(Signal::Traces, &request("NAME")).unwrap(), JSON);
        assert_eq!(to_json(Signal::Traces, b"").unwrap(), "{}");
    }

    #[test]
    fn requests_of_a_file_are_read_however_they_follow_one_another() {
        let (one, two) = (request("one"), request("two"));
        let fixed = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
        let varying = |bytes: &[u8]| [varint(bytes.len() as u64), bytes.to_vec()].concat();
        let both = [&*one, &*two].concat();
        let expect = [JSON.replace("NAME", "one"), JSON.replace("NAME", "two")];
        for bytes in [
            both.clone(),
            [fixed(&one), fixed(&two)].concat(),
            [fixed(&both), fixed(&[])].concat(),
            [varying(&one), varying(&[]), varying(&two)].concat(),
        ] {
            assert!(begins(bytes.get(..300).unwrap()));
            let texts: Result<Vec<_>, _> = Requests::read(&*bytes, &bytes).collect();
            assert_eq!(texts.unwrap(), expect);
            // One that is cut is damaged behind what is whole.
            let cut = bytes.get(..both.len() - 3).unwrap();
            let read: Vec<_> = Requests::read(cut, cut).collect();
            assert_eq!(read.first().unwrap().as_ref().unwrap(), &expect[0]);
            assert!(read.last().unwrap().is_err(), "{read:?}");
        }
    }

    #[test]
    fn logs_are_told_from_spans() {
        let record = [
            number(1, 1, &7_u64.to_le_bytes()),
            field(5, &field(1, b"body")),
            field(9, &[0xab; 16]),
            field(12, b"gen_ai.choice"),
        ];
        let bytes = field(1, &field(2, &field(2, &record.concat())));
        assert!(begins(&bytes));
        let texts: Result<Vec<_>, _> = Requests::read(&*bytes, &bytes).collect();
        let expect = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"7","body":{"stringValue":"body"},"traceId":"abababababababababababababababab","eventName":"gen_ai.choice"}]}]}]}"#;
        assert_eq!(texts.unwrap(), [expect]);
        assert_eq!(to_json(Signal::Logs, &bytes).unwrap(), expect);
    }

    #[test]
    fn nothing_else_is_taken_for_a_request() {
        for text in
            ["", "\n", "\n\n\n\n\n\n", "\n {\"a\":1}", "{\"resourceSpans\":[]}", "\n \n\t\n\ta b"]
        {
            assert!(!begins(text.as_bytes()), "{text:?}");
        }
        assert!(!begins(b"\0{\0\"\0a\0\""));
        assert!(!begins(b"\x0a\x05\x08\x01\x08\x01"));
        let nested = (0..200).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)));
        let bytes = field(1, &field(1, &attribute(1, "deep", &nested)));
        assert!(to_json(Signal::Traces, &bytes).is_err());
        assert!(to_json(Signal::Traces, b"\x0a\xff").is_err());
    }
}
