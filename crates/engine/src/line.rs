//! Reading text line by line.

use std::io::{self, BufRead, Read};

use retort_model::bounds::ITEM_BYTES;

/// The next line without its end; none at the end of the input. A line that is longer than any item is cut there.
pub fn next_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if input.take(ITEM_BYTES as u64).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(Some(line))
}
