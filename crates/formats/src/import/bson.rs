//! BSON documents as items, as `mongodump` writes them: each a JSON object in MongoDB's Extended JSON (bsonspec.org, version
//! 1.1). A document is read whole, so a bound holds for each.

use std::fmt::Write;
use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retort_json::write_string;
use retort_model::bounds::ITEM_BYTES;

/// Documents in documents: MongoDB itself allows 100.
const DEPTH: usize = 200;

/// The documents of a file, each as the JSON text of an object.
pub struct Documents<R> {
    input: R,
    ended: bool,
}

impl<R: Read> Documents<R> {
    /// The documents that come from an input.
    pub fn read(input: R) -> Self {
        Self { input, ended: false }
    }

    fn document(&mut self) -> io::Result<Option<String>> {
        let mut length = [0; 4];
        let mut had = 0;
        while had < length.len() {
            match self.input.read(length.get_mut(had..).unwrap_or_default()) {
                Ok(0) if had == 0 => return Ok(None),
                Ok(0) => return Err(damaged("it ends within a document")),
                Ok(read) => had += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > ITEM_BYTES {
            let why = "a document is over the item size limit";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        let rest = length.checked_sub(4).filter(|rest| *rest > 0);
        let rest = rest.ok_or_else(|| damaged("a document is cut short"))?;
        let mut bytes = Vec::new();
        (&mut self.input).take(rest as u64).read_to_end(&mut bytes)?;
        if bytes.len() < rest {
            return Err(damaged("it ends within a document"));
        }
        let mut out = String::new();
        let mut cut = Cut(&bytes);
        elements(&mut cut, false, 0, &mut out)?;
        Ok(Some(out))
    }
}

impl<R: Read> Iterator for Documents<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.document().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is not BSON: {why}"))
}

/// What of a document was not read yet.
struct Cut<'b>(&'b [u8]);

impl<'b> Cut<'b> {
    fn bytes(&mut self, count: usize) -> io::Result<&'b [u8]> {
        let (first, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| damaged("a value is longer than its document"))?;
        self.0 = rest;
        Ok(first)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| damaged("a value is cut"))
    }

    fn length(&mut self) -> io::Result<usize> {
        usize::try_from(i32::from_le_bytes(self.array()?))
            .map_err(|_| damaged("a length is negative"))
    }

    /// A name: bytes up to a zero.
    fn name(&mut self) -> io::Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let bytes = self.bytes(end.ok_or_else(|| damaged("a name has no end"))?)?;
        self.bytes(1)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// A text: its length, with the zero at its end.
    fn text(&mut self) -> io::Result<String> {
        let length = self.length()?;
        let bytes = self.bytes(length)?;
        let bytes = bytes.split_last().ok_or_else(|| damaged("a text has no end"))?.1;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The elements of a document or a list, to the zero behind them.
fn elements(cut: &mut Cut<'_>, is_list: bool, depth: usize, out: &mut String) -> io::Result<()> {
    if depth > DEPTH {
        return Err(damaged("its documents nest too deeply"));
    }
    out.push(if is_list { '[' } else { '{' });
    let mut is_first = true;
    loop {
        let [kind] = cut.array()?;
        if kind == 0 {
            break;
        }
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        let name = cut.name()?;
        if !is_list {
            write_string(&name, out);
            out.push(':');
        }
        value(kind, cut, depth, out)?;
    }
    out.push(if is_list { ']' } else { '}' });
    Ok(())
}

/// A document in another, whose length is that of what follows.
fn nested(cut: &mut Cut<'_>, is_list: bool, depth: usize, out: &mut String) -> io::Result<()> {
    let length = cut.length()?;
    let inner = length.checked_sub(4).ok_or_else(|| damaged("a document is too short"))?;
    let mut inner = Cut(cut.bytes(inner)?);
    elements(&mut inner, is_list, depth + 1, out)
}

/// An object of one field, which says the type of its text.
fn typed(name: &str, text: &str, out: &mut String) {
    let _ = write!(out, "{{\"{name}\":");
    write_string(text, out);
    out.push('}');
}

fn value(kind: u8, cut: &mut Cut<'_>, depth: usize, out: &mut String) -> io::Result<()> {
    match kind {
        0x01 => double(f64::from_le_bytes(cut.array()?), out),
        0x02 | 0x0e => write_string(&cut.text()?, out),
        0x03 => nested(cut, false, depth, out)?,
        0x04 => nested(cut, true, depth, out)?,
        0x05 => {
            let length = cut.length()?;
            let [subtype] = cut.array()?;
            let bytes = STANDARD.encode(cut.bytes(length)?);
            let _ = write!(
                out,
                "{{\"$binary\":{{\"base64\":\"{bytes}\",\"subType\":\"{subtype:02x}\"}}}}"
            );
        }
        0x06 | 0x0a => out.push_str("null"),
        0x07 => typed("$oid", &hex(cut.bytes(12)?), out),
        0x08 => out.push_str(if cut.array()? == [1] { "true" } else { "false" }),
        0x09 => {
            let ms = i64::from_le_bytes(cut.array()?);
            let _ = write!(out, "{{\"$date\":{{\"$numberLong\":\"{ms}\"}}}}");
        }
        0x0b => {
            let (pattern, options) = (cut.name()?, cut.name()?);
            typed("$regularExpression", &format!("/{pattern}/{options}"), out);
        }
        0x0c => {
            let space = cut.text()?;
            let id = hex(cut.bytes(12)?);
            typed("$dbPointer", &format!("{space}/{id}"), out);
        }
        0x0d => typed("$code", &cut.text()?, out),
        0x0f => {
            cut.length()?;
            typed("$code", &cut.text()?, out);
            nested(cut, false, depth, &mut String::new())?;
        }
        0x10 => {
            let _ = write!(out, "{}", i32::from_le_bytes(cut.array()?));
        }
        0x11 => {
            let stamp = u64::from_le_bytes(cut.array()?);
            let (t, i) = (stamp >> 32, stamp & 0xffff_ffff);
            let _ = write!(out, "{{\"$timestamp\":{{\"t\":{t},\"i\":{i}}}}}");
        }
        0x12 => {
            let _ = write!(out, "{}", i64::from_le_bytes(cut.array()?));
        }
        0x13 => typed("$numberDecimal", &decimal(u128::from_le_bytes(cut.array()?)), out),
        0xff => out.push_str("{\"$minKey\":1}"),
        0x7f => out.push_str("{\"$maxKey\":1}"),
        other => return Err(damaged(&format!("it has a value of the unknown type {other:#04x}"))),
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn double(number: f64, out: &mut String) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.push_str(&number.to_string()),
        // As Python writes it: the readers take it for null and count it.
        None if number.is_nan() => out.push_str("NaN"),
        None => out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// A decimal of 128 bits in the binary encoding of IEEE 754, as its digits and exponent.
fn decimal(bits: u128) -> String {
    let sign = if bits >> 127 == 1 { "-" } else { "" };
    let special = (bits >> 122) & 0x1f;
    if special == 0x1f {
        return "NaN".to_owned();
    }
    if special == 0x1e {
        return format!("{sign}Infinity");
    }
    // Other encodings of the exponent have no digits that 34 places hold: they are zero.
    let is_usual = (bits >> 125) & 3 != 3;
    let exponent = if is_usual { (bits >> 113) & 0x3fff } else { (bits >> 111) & 0x3fff };
    let exponent = i32::try_from(exponent).unwrap_or(0) - 6176;
    let digits = if is_usual { bits & ((1 << 113) - 1) } else { 0 };
    if exponent == 0 { format!("{sign}{digits}") } else { format!("{sign}{digits}E{exponent}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
        [&[kind], name.as_bytes(), &[0], value].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len() + 1).unwrap();
        [&length.to_le_bytes(), text.as_bytes(), &[0]].concat()
    }

    fn document(elements: &[Vec<u8>]) -> Vec<u8> {
        let inside = elements.concat();
        let length = u32::try_from(inside.len() + 5).unwrap();
        [&length.to_le_bytes()[..], &inside, &[0]].concat()
    }

    fn rows(bytes: &[u8]) -> Vec<Result<String, String>> {
        Documents::read(bytes).map(|row| row.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn each_type_has_its_extended_json() {
        let whole = document(&[
            element(0x07, "_id", &[0x5f; 12]),
            element(0x02, "title", &text("R\u{e4}in \"x\"")),
            element(0x01, "score", &0.5_f64.to_le_bytes()),
            element(0x09, "at", &1_700_000_000_123_i64.to_le_bytes()),
            element(0x10, "n", &(-7_i32).to_le_bytes()),
            element(0x12, "big", &i64::MAX.to_le_bytes()),
            element(0x08, "ok", &[1]),
            element(0x0a, "none", &[]),
            element(
                0x04,
                "list",
                &document(&[element(0x02, "0", &text("a")), element(0x03, "1", &document(&[]))]),
            ),
            element(0x05, "raw", &[3, 0, 0, 0, 0, 1, 2, 3]),
            // 1.5: fifteen, and one place.
            element(0x13, "price", &(((6175_u128) << 113) | 15).to_le_bytes()),
        ]);
        let two = [whole, document(&[])].concat();
        let expect = r#"{"_id":{"$oid":"5f5f5f5f5f5f5f5f5f5f5f5f"},"title":"Räin \"x\"","score":0.5,"at":{"$date":{"$numberLong":"1700000000123"}},"n":-7,"big":9223372036854775807,"ok":true,"none":null,"list":["a",{}],"raw":{"$binary":{"base64":"AQID","subType":"00"}},"price":{"$numberDecimal":"15E-1"}}"#;
        assert_eq!(rows(&two), [Ok(expect.to_owned()), Ok("{}".to_owned())]);
    }

    #[test]
    fn what_is_cut_or_made_up_ends_with_a_message() {
        let whole = document(&[element(0x02, "a", &text("b"))]);
        for end in 1..whole.len() {
            let read = rows(&whole[..end]);
            assert!(read.len() == 1 && read[0].is_err(), "{end}: {read:?}");
        }
        assert!(rows(&[0xff; 64])[0].as_ref().unwrap_err().contains("over the item size limit"));
        assert!(
            rows(&document(&[element(0x55, "a", &[])]))[0].as_ref().unwrap_err().contains("0x55")
        );
        // A text that says it is longer than all that is there.
        let lies = document(&[element(0x02, "a", &i32::MAX.to_le_bytes())]);
        assert!(rows(&lies)[0].is_err());
        let mut deep = document(&[]);
        for _ in 0..DEPTH + 2 {
            deep = document(&[element(0x03, "a", &deep)]);
        }
        assert!(rows(&deep)[0].as_ref().unwrap_err().contains("deep"));
    }
}
