//! Times chat templates and tokenizers on invented conversations: `measure-templates TEMPLATE [TOKENIZER]`, where the
//! tokenizer is a `tokenizer.json`, `cl100k` or `o200k`. One thread; prints megabytes of rendered text a second.
#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::error::Error;
use std::time::{Duration, Instant};
use std::{env, fs};

use retort_formats::template::{Chat, Template, Tokenizer};
use retort_model::Time;

/// Characters of each message.
const SIZES: [usize; 3] = [100, 500, 2000];

/// Questions and answers of each conversation.
const ROUNDS: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let template = arguments.next().ok_or("usage: measure-templates TEMPLATE [TOKENIZER]")?;
    let tokens =
        [("bos_token".to_owned(), "<s>".to_owned()), ("eos_token".to_owned(), "</s>".to_owned())];
    let template =
        Template::new(&fs::read_to_string(template)?, &tokens, Time::parse("2026-01-02")?)?;
    let tokenizer = match arguments.next() {
        None => None,
        Some(name) => match Tokenizer::built_in(&name) {
            Some(tokenizer) => Some(tokenizer),
            None => Some(fs::read_to_string(name)?.parse::<Tokenizer>()?),
        },
    };
    for size in SIZES {
        let messages = conversation(size);
        let chat = Chat { messages: &messages, tools: None, add_generation_prompt: false };
        let text = template.render(&chat)?.text;
        let rendering = times_a_second(|| template.render(&chat).map(drop))?;
        let megabytes = text.len() as f64 / 1e6;
        print!("{size} characters a message: {:.1} MB/s rendered", rendering * megabytes);
        if let Some(tokenizer) = &tokenizer {
            let counting = times_a_second(|| tokenizer.count(&text, &[]).map(drop))?;
            print!(", {:.1} MB/s counted", counting * megabytes);
        }
        println!();
    }
    Ok(())
}

fn conversation(size: usize) -> String {
    let words = "The weather in Åsgard is fine, they say; 12.5 degrees and “hardly” any wind. ";
    let content: String = words.chars().cycle().take(size).collect();
    let message = |role| format!(r#"{{"role":"{role}","content":"{content}"}}"#);
    let rounds = [message("user"), message("assistant")].join(",");
    format!(r#"[{{"role":"system","content":"Be brief."}},{}]"#, vec![rounds; ROUNDS].join(","))
}

fn times_a_second<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(2) {
        run()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}
