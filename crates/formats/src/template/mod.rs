//! Chat templates of Hugging Face: a conversation as the exact text that a model sees, and its tokens.
//!
//! A template is Jinja2, rendered as `transformers` renders it (`render_jinja_template`), to the byte: with its sandbox,
//! `trim_blocks` and `lstrip_blocks`, loop controls, `raise_exception`, `strftime_now`, its own `tojson`, and spans of
//! `{% generation %}` blocks. [MiniJinja](https://docs.rs/minijinja) does most of it; the files here are what Python does
//! beside it.

mod clock;
mod files;
mod filters;
mod json;
mod methods;
mod prepare;
mod python;
mod render;
mod row;
mod tokens;

pub use files::{TemplateFiles, Templates};
pub use render::{Chat, Rendered, Template, TemplateError};
pub use tokens::{BUILT_IN, TokenCount, Tokenizer, TokenizerError};
