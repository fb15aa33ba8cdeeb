//! The progress bar: on standard error, where a person waits for more than a moment, and nowhere else.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use retort_service::{Observer, Progress};

/// Shows how far an export is.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar if someone is there to see it.
    pub fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
        // The template is a constant; if it did not fit, the default would be shown.
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:30} {percent:>3}%  {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {msg}  {eta} left",
        ) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self(bar)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Observer for Bar {
    fn progress(&self, progress: Progress) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_length(progress.total_bytes.max(progress.read_bytes));
        self.0.set_position(progress.read_bytes);
        let records = crate::display::several(progress.records, "record");
        self.0.set_message(if progress.records == 0 { String::new() } else { records });
    }
}
