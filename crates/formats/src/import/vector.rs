//! Embeddings as JSON writes them: every number keeps what it says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retort_json::Parser;
use retort_model::Vector;

use super::format::{ItemError, Refusal};

/// Decimal digits up to which the nearest number of 32 bits is told by no shorter ones.
const SURE_DIGITS: usize = 6;

/// Digits that the shortest text of a number of 32 bits has at most.
const MOST_DIGITS: usize = 9;

/// The list of numbers that comes next. Numbers that have the digits of 32 bits stay so, if all do; and those that
/// have the digits of 64, but of which 32 bits hold all that they say.
///
/// # Errors
/// Something in it is no number, or one too large; with the byte at which it stands.
pub(super) fn vector(parser: &mut Parser<'_>) -> Result<Vector, ItemError> {
    let mut doubles = Vec::new();
    let mut singles = Some(Vec::new());
    let mut is_short = true;
    parser.array()?;
    while parser.next_element()? {
        // Steps to where the number begins; what is none is told by the next line.
        let _ = parser.kind();
        let at = parser.at();
        let text = parser.number().map_err(|_| not_finite(at))?;
        let double: f64 = text.parse().map_err(|_| not_finite(at))?;
        if !double.is_finite() {
            return Err(not_finite(at));
        }
        if let Some(held) = &mut singles {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whether anything is lost is looked at"
            )]
            let single = double as f32;
            let nearest = if is_short { shortest(text, double) } else { None };
            // The first that is told with the digits of 64: those before it must be what such digits say, too.
            let were_wide =
                || !is_short || held.iter().zip(&doubles).all(|(one, told)| is_same(*one, *told));
            match nearest {
                Some(nearest) => held.push(nearest),
                None if is_same(single, double) && were_wide() => {
                    is_short = false;
                    held.push(single);
                }
                None => singles = None,
            }
        }
        doubles.push(double);
    }
    Ok(match singles {
        Some(numbers) if is_short => Vector::F32(numbers),
        Some(numbers) => Vector::F32AsF64(numbers),
        None => Vector::F64(doubles),
    })
}

/// An embedding in a text: the list as its JSON text, as pgvector gives it out, or the bytes of 32-bit numbers in
/// base64, as OpenAI sends them. None if the text is neither.
pub(super) fn vector_in_text(text: &str) -> Option<Vector> {
    let text = text.trim();
    if text.starts_with('[') {
        let mut parser = Parser::new(text);
        let vector = vector(&mut parser).ok()?;
        return parser.end().is_ok().then_some(vector);
    }
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())?;
    let numbers: Vec<f32> = bytes
        .chunks(4)
        .map(|four| Some(f32::from_le_bytes(four.try_into().ok()?)))
        .collect::<Option<_>>()?;
    // A word that happens to be base64 is no embedding, and seldom comes out as numbers of a usual size.
    let is_usual = |number: &f32| *number == 0.0 || (1e-30..1e6).contains(&number.abs());
    numbers.iter().all(is_usual).then_some(Vector::F32(numbers))
}

fn is_same(single: f32, double: f64) -> bool {
    f64::from(single).to_bits() == double.to_bits()
}

/// The number of 32 bits whose shortest text says just that.
fn shortest(text: &str, double: f64) -> Option<f32> {
    let digits = significant(text);
    if digits > MOST_DIGITS {
        return None;
    }
    let single: f32 = text.parse().ok()?;
    let is_sure = digits <= SURE_DIGITS && (single.is_normal() || double == 0.0);
    let says_so = || {
        let mut buffer = zmij::Buffer::new();
        let again = buffer.format_finite(single).parse::<f64>();
        again.is_ok_and(|again| again.to_bits() == double.to_bits())
    };
    (single.is_finite() && (is_sure || says_so())).then_some(single)
}

/// How many digits of a number's text say something: zeros before the first and behind the last other one do not.
fn significant(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let (mut first, mut last, mut digits) = (0, 0, 0);
    for digit in mantissa.bytes().filter(u8::is_ascii_digit) {
        digits += 1;
        if digit != b'0' {
            first = if first == 0 { digits } else { first };
            last = digits;
        }
    }
    if last == 0 { 0 } else { last + 1 - first }
}

fn not_finite(at: usize) -> ItemError {
    ItemError::new(Refusal::BadField, at, "an embedding can only contain finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vector, ItemError> {
        vector(&mut Parser::new(text))
    }

    #[test]
    fn numbers_keep_the_width_that_their_digits_tell() {
        let three = |vector| Ok(vector);
        assert_eq!(read("[]"), three(Vector::F32(vec![])));
        assert_eq!(read("[0.1, -2, 1e-3, -0.0]"), three(Vector::F32(vec![0.1, -2.0, 1e-3, -0.0])));
        assert_eq!(read("[0.0023064255]"), three(Vector::F32(vec![0.002_306_425_5])));
        // The digits of 64 bits, and all that they say fits 32.
        let wide = f64::from(0.1_f32);
        assert_eq!(read(&format!("[{wide}, 0.5]")), three(Vector::F32AsF64(vec![0.1, 0.5])));
        assert_eq!(read(&format!("[0.5, {wide}]")), three(Vector::F32AsF64(vec![0.5, 0.1])));
        // One tells the digits of 32 bits, another those of 64: only 64 bits hold both as they are told.
        assert_eq!(read(&format!("[0.1, {wide}]")), three(Vector::F64(vec![0.1, wide])));
        assert_eq!(read("[0.1234567891234]"), three(Vector::F64(vec![0.123_456_789_123_4])));
        assert_eq!(read("[1e300]"), three(Vector::F64(vec![1e300])));
        assert_eq!(read("[1e-300]"), three(Vector::F64(vec![1e-300])));
    }

    #[test]
    fn embeddings_are_read_from_texts() {
        // Report embedding-as-text.
        assert_eq!(vector_in_text("[0.1,0.2]"), Some(Vector::F32(vec![0.1, 0.2])));
        assert_eq!(vector_in_text(" [1, -2.5] "), Some(Vector::F32(vec![1.0, -2.5])));
        assert_eq!(vector_in_text("zczMPc3MTD4="), Some(Vector::F32(vec![0.1, 0.2])));
        for other in ["", "[1,", "[1] 2", "[\"a\"]", "text", "zczMPc3MTD4", "AAA=", "////fw=="] {
            assert_eq!(vector_in_text(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_finite_number_is_refused_where_it_stands() {
        for (text, at) in [
            ("[1, NaN]", 4),
            ("[1,-Infinity]", 3),
            ("[ 1e999 ]", 2),
            ("[1,\"2\"]", 3),
            ("[null]", 1),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn every_finite_number_of_either_width_comes_back() {
        arbtest::arbtest(|u| {
            let (single, double) = (f32::from_bits(u.arbitrary()?), f64::from_bits(u.arbitrary()?));
            let mut buffer = zmij::Buffer::new();
            if single.is_finite() {
                let vector = read(&format!("[{}]", buffer.format_finite(single))).unwrap();
                assert_eq!(
                    (vector.width(), vector.to_bytes()),
                    (32, single.to_le_bytes().to_vec())
                );
                let wide = f64::from(single);
                let vector = read(&format!("[{}]", buffer.format_finite(wide))).unwrap();
                assert_eq!(
                    (vector.width(), vector.to_bytes()),
                    (32, single.to_le_bytes().to_vec())
                );
            }
            if double.is_finite() {
                let vector = read(&format!("[{}]", buffer.format_finite(double))).unwrap();
                let back: Vec<u64> = match vector {
                    Vector::F64(numbers) => numbers.into_iter().map(f64::to_bits).collect(),
                    Vector::F32AsF64(numbers) => {
                        numbers.into_iter().map(|number| f64::from(number).to_bits()).collect()
                    }
                    Vector::F32(numbers) => numbers
                        .into_iter()
                        .map(|number| {
                            buffer.format_finite(number).parse::<f64>().unwrap().to_bits()
                        })
                        .collect(),
                };
                assert_eq!(back, [double.to_bits()]);
            }
            Ok(())
        });
    }
}
