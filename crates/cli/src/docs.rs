//! Pages of the docs that are written from the code. A test compares each with it; `UPDATE_DOCS=1 cargo test` writes them.

use std::{env, fs};

fn path(page: &str) -> String {
    format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"))
}

/// Compares a whole page with the text that the code gives.
pub fn check(page: &str, text: &str) {
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(page), text).unwrap();
    }
    let there = fs::read_to_string(path(page)).unwrap_or_default();
    assert_eq!(there, text, "docs/{page} is out of date: write it with `UPDATE_DOCS=1 cargo test`");
}

/// Compares the part of a page between `<!-- NAME -->` and `<!-- end of NAME -->` with the text that the code gives.
pub fn check_part(page: &str, name: &str, text: &str) {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let whole = fs::read_to_string(path(page)).unwrap();
    let (before, rest) = whole.split_once(&start).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    check(page, &format!("{before}{start}{text}{end}{after}"));
}

mod schemas {
    use retort_formats::data;

    use crate::commands::formats::schema_of;

    #[test]
    fn the_docs_have_the_schema_of_every_data_format() {
        for format in data::FORMATS {
            if let Some(schema) = schema_of(*format) {
                super::check(&format!("schemas/{}.json", format.name()), &schema);
            }
        }
    }
}

mod commands {
    use std::fmt::Write;

    use clap::{Command, CommandFactory};

    /// The output of `-h` for a command and its subcommands, in a terminal of 100 columns.
    fn push(command: &mut Command, path: &str, page: &mut String) {
        let help = command.render_help().to_string();
        writeln!(page, "\n## `{path}`\n\n```text").unwrap();
        help.lines().for_each(|line| writeln!(page, "{}", line.trim_end()).unwrap());
        page.push_str("```\n");
        for below in command.get_subcommands_mut() {
            if below.get_name() != "help" {
                let path = format!("{path} {}", below.get_name());
                push(below, &path, page);
            }
        }
    }

    #[test]
    fn the_docs_have_the_help_of_every_command() {
        let mut command = crate::Cli::command().term_width(100);
        command.build();
        let mut page = String::from(
            "# Commands\n\nThe output of `retort COMMAND -h`. `--help` describes each option in more detail. `UPDATE_DOCS=1 cargo test` writes this page.\n",
        );
        push(&mut command, "retort", &mut page);
        super::check("commands.md", &page);
    }
}
