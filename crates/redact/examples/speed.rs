//! Megabytes that rules look through in a second of one processor: `cargo run --release --example speed -p retort-redact
//! -- FILE…`, with files of JSON Lines.

use std::io::{self, Write};
use std::time::Instant;

use retort_redact::{Action, Found, Key, Redactor, RuleSets, Settings};

#[allow(clippy::disallowed_methods, reason = "it measures time")]
fn main() -> io::Result<()> {
    let key = Key::new([7; 32]);
    let settings = Settings { sets: RuleSets::ALL, own: None, action: Action::Mask, key };
    let redactor = Redactor::new(settings).map_err(io::Error::other)?;
    let mut texts = Vec::new();
    for path in std::env::args().skip(1) {
        texts.push(std::fs::read_to_string(path)?);
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    let (start, mut found) = (Instant::now(), Found::default());
    for line in texts.iter().flat_map(|text| text.lines()) {
        redactor.line(line, &mut found);
    }
    let seconds = start.elapsed().as_secs_f64();
    let megabytes = bytes as f64 / 1e6;
    writeln!(
        io::stdout(),
        "{megabytes:.0} MB in {seconds:.2} s: {:.0} MB/s, {} hits",
        megabytes / seconds,
        found.counts().map(|(_, count)| count).sum::<u64>()
    )
}
