//! Times chat templates and tokenizers on invented conversations: `measure-templates TEMPLATES [TOKENIZER]`, where TEMPLATES
//! is a `.jinja` file or a folder of them, and the tokenizer is a `tokenizer.json`, `cl100k` or `o200k`. One thread; prints
//! megabytes of rendered text a second of CPU, of all templates together and of the slowest.
#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use retort_formats::template::{Chat, Template, Tokenizer};
use retort_model::Time;
use retort_testing::growth::thread_time;

/// Characters of each message.
const SIZES: [usize; 3] = [100, 500, 2000];

/// Questions and answers of each conversation.
const ROUNDS: usize = 6;

/// How long each template is measured with each conversation.
const SPAN: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let place = arguments.next().ok_or("usage: measure-templates TEMPLATES [TOKENIZER]")?;
    let tokens = ["bos_token", "eos_token"].map(|name| (name.to_owned(), "<s>".to_owned()));
    let now = Time::parse("2026-01-02")?;
    let tokenizer = match arguments.next() {
        None => None,
        Some(name) => match Tokenizer::built_in(&name) {
            Some(tokenizer) => Some(tokenizer),
            None => Some(fs::read_to_string(name)?.parse::<Tokenizer>()?),
        },
    };
    let mut templates = Vec::new();
    for path in files(Path::new(&place))? {
        // Some are there to show what no reader takes.
        if let Ok(template) = Template::new(&fs::read_to_string(&path)?, &tokens, now) {
            templates.push((path, template));
        }
    }
    for (shape, conversation) in [("plain", plain as fn(usize) -> String), ("with calls", calls)] {
        for size in SIZES {
            let messages = conversation(size);
            let chat = Chat { messages: &messages, tools: None, add_generation_prompt: false };
            let mut all = Measured::default();
            let mut slowest: Option<(f64, &Path)> = None;
            for (path, template) in &templates {
                let Ok(rendered) = template.render(&chat) else { continue };
                let one = measure(rendered.text.len(), || template.render(&chat).is_ok());
                if slowest.is_none_or(|(least, _)| one.speed() < least) {
                    slowest = Some((one.speed(), path));
                }
                all = all.and(one);
                if let Some(tokenizer) = tokenizer.as_ref().filter(|_| templates.len() == 1) {
                    let text = rendered.text;
                    let counted =
                        measure(text.len(), || tokenizer.count(&text, &[]).is_ok()).speed();
                    print!("{counted:.1} MB counted; ");
                }
            }
            let Some((least, path)) = slowest else { continue };
            print!("{shape}, {size} characters a message: {:.1} MB rendered", all.speed());
            if templates.len() > 1 {
                print!("; slowest {least:.1} MB, {}", path.display());
            }
            println!(" a second of CPU");
        }
    }
    Ok(())
}

fn files(place: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if !place.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|ending| ending == "jinja") {
            found.extend(files(&path)?);
        }
    }
    found.sort();
    Ok(found)
}

const WORDS: &str = "The weather in Åsgard is fine, they say; 12.5 degrees and “hardly” any wind. ";

fn plain(size: usize) -> String {
    let content: String = WORDS.chars().cycle().take(size).collect();
    let message = |role| format!(r#"{{"role":"{role}","content":"{content}"}}"#);
    let rounds = [message("user"), message("assistant")].join(",");
    format!(r#"[{{"role":"system","content":"Be brief."}},{}]"#, vec![rounds; ROUNDS].join(","))
}

/// Questions, each with reasoning, a call and its result before the answer.
fn calls(size: usize) -> String {
    let content: String = WORDS.chars().cycle().take(size).collect();
    let rounds = (0..ROUNDS).map(|at| {
        let call = format!(
            r#"{{"id":"call00{at:03}","type":"function","function":{{"name":"look","arguments":{{"place":"Åsgard"}}}}}}"#
        );
        format!(
            r#"{{"role":"user","content":"{content}"}},{{"role":"assistant","content":"","reasoning_content":"{content}","tool_calls":[{call}]}},{{"role":"tool","tool_call_id":"call00{at:03}","name":"look","content":"{content}"}},{{"role":"assistant","content":"{content}"}}"#
        )
    });
    format!("[{}]", rounds.collect::<Vec<_>>().join(","))
}

/// What was rendered, and how long it took.
#[derive(Clone, Copy, Default)]
struct Measured {
    bytes: u64,
    time: Duration,
}

impl Measured {
    fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, time: self.time + other.time }
    }

    /// Megabytes a second.
    fn speed(self) -> f64 {
        self.bytes as f64 / 1e6 / self.time.as_secs_f64()
    }
}

/// Runs so often as the span allows what handles this many bytes.
fn measure(bytes: usize, mut run: impl FnMut() -> bool) -> Measured {
    let began = thread_time();
    let mut measured = Measured::default();
    while measured.time < SPAN && run() {
        measured.bytes += bytes as u64;
        measured.time = thread_time() - began;
    }
    measured
}
