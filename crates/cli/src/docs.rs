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
    use std::fmt::Write;

    use crate::commands::formats::schemas;

    #[test]
    fn the_docs_have_every_schema() {
        let mut page = String::from(
            "# JSON Schemas\n\nFor editors, and for programs that check or type what they write for Retort or read \
             from it. `retort formats --schema NAME`\nprints the same. Schemas of rows describe the default options. \
             `UPDATE_DOCS=1 cargo test` writes this page and the schemas.\n\n| schema | of |\n|---|---|\n",
        );
        for (name, about, schema) in schemas() {
            super::check(&format!("schemas/{name}.json"), &format!("{schema:#}\n"));
            writeln!(page, "| [`{name}`](schemas/{name}.json) | {about} |").unwrap();
        }
        super::check("schemas.md", &page);
    }
}

mod findings {
    use std::fmt::Write;

    use retort_model::{Reason, Repair, Warning};
    use retort_web::problem::PROBLEMS;

    fn table<T: ToString>(heading: &str, about: &str, rows: &[T], words: fn(&T) -> &str) -> String {
        let mut text = format!("\n## {heading}\n\n{about}\n\n| name | in words |\n|---|---|\n");
        for row in rows {
            writeln!(text, "| `{}` | {} |", row.to_string(), words(row)).unwrap();
        }
        text
    }

    /// Scripts depend on the names: this page is their snapshot.
    #[test]
    fn the_docs_have_every_finding() {
        let page = [
            "# Findings\n\nWhat an export can report about records, in the receipt (`manifest.json`), `rejects.jsonl`, \
             `findings.jsonl` and on the\nterminal. [The check](formats.md#the-check) says when each repair is made. \
             `UPDATE_DOCS=1 cargo test` writes this page.\n",
            &*table(
                "Left out",
                "Why a record is not in the dataset. `left_out_by_reason` counts these records, and `rejects.jsonl` \
                 names each.",
                Reason::ALL,
                |one| one.words(),
            ),
            &*table(
                "Repairs",
                "What was changed so that trainers accept a record: `repaired_by_kind`. With `--check off`, nothing is changed, \
                 and\n`would_be_refused` counts what would have been.",
                Repair::ALL,
                |one| one.words(),
            ),
            &*table(
                "Warnings",
                "Notes on records that were written: `warnings`.",
                Warning::ALL,
                |one| one.words(),
            ),
        ];
        super::check("findings.md", &page.concat());
    }

    #[test]
    fn the_docs_have_every_kind_of_problem() {
        let mut table =
            String::from("| status | `type` | title | what to do |\n|---|---|---|---|\n");
        for kind in PROBLEMS {
            let (status, slug, title, remedy) = (kind.status, kind.slug, kind.title, kind.remedy);
            writeln!(table, "| {status} | `/problems/{slug}` | {title} | {remedy} |").unwrap();
        }
        super::check_part("api.md", "problems", &table);
    }
}

mod commands {
    use std::fmt::Write;

    use clap::{Arg, Args, Command};
    use retort_service::OPTIONS;

    use crate::config::StoreArgs;

    /// Headings of options that other pages list, or that this page lists once.
    const ELSEWHERE: [&str; 5] =
        ["Selection", "Records", "As the model sees it", "Store", "Server"];

    /// Hides what is said elsewhere.
    fn own(argument: Arg) -> Arg {
        let id = argument.get_id().as_str();
        let is_option = OPTIONS.iter().any(|option| option.name == id);
        let is_elsewhere = argument.get_help_heading().is_some_and(|one| ELSEWHERE.contains(&one));
        if is_option || is_elsewhere { argument.hide(true) } else { argument }
    }

    fn stripped(command: Command) -> Command {
        command.mut_args(own).mut_subcommands(stripped)
    }

    fn push_text(help: &str, page: &mut String) {
        page.push_str("\n```text\n");
        help.lines().for_each(|line| writeln!(page, "{}", line.trim_end()).unwrap());
        page.push_str("```\n");
    }

    /// The output of `--help` for a command and its subcommands, in a terminal of 100 columns.
    fn push(command: &mut Command, path: &str, page: &mut String) {
        let help = command.render_long_help().to_string();
        write!(page, "\n## `{path}`\n").unwrap();
        push_text(&help, page);
        for below in command.get_subcommands_mut() {
            if below.get_name() != "help" && !below.is_hide_set() {
                let path = format!("{path} {}", below.get_name());
                push(below, &path, page);
            }
        }
    }

    #[test]
    fn the_docs_have_the_help_of_every_command() {
        let mut command = stripped(crate::command()).term_width(100);
        command.build();
        let mut page = String::from(
            "# Commands\n\nThe output of `retort COMMAND --help`, without the options that many commands share: filters \
             (*Selection*) are in\n[Filters](filters.md), the options of exports (*Records*, *As the model sees it*, \
             *Package*) in [Options](options.md),\nand those of the store and of servers at the end. `retort COMMAND -h` is \
             shorter, and `retort man FOLDER` writes manual\npages. `UPDATE_DOCS=1 cargo test` writes this page.\n",
        );
        push(&mut command, "retort", &mut page);
        page.push_str("\n## Options of the store and of servers\n");
        let mut shared = StoreArgs::<true>::augment_args(Command::new("retort"))
            .term_width(100)
            .disable_help_flag(true)
            .help_template("{all-args}");
        push_text(&shared.render_help().to_string(), &mut page);
        super::check("commands.md", &page);
    }
}
