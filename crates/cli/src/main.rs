//! The program `retort`.

use std::ffi::OsString;
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Many threads make and drop many small things: a tenth of the CPU seconds of a conversion is in the
/// allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    retort_cli::main(&args)
}
