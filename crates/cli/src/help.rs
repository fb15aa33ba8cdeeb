//! The help: the groups of commands, their examples, and what `-h` leaves out.
//!
//! `-h` fits a screen: it shows a command's own options and the few of the shared ones that most people need. `--help` and
//! the manual pages show all of them, with every value that they take.

use std::fmt::Write;

use clap::builder::{PossibleValue, Str, StyledStr};
use clap::{Arg, Command};

use crate::commands::conversations::Verb;

/// The commands of the overview, in groups.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Files",
        &[
            "convert", "preview", "inspect", "stats", "verify", "diff", "merge", "sign", "push",
            "formats",
        ],
    ),
    (
        "Store",
        &[
            "import",
            "keep",
            "conversations",
            "runs",
            "documents",
            "judge",
            "export",
            "datasets",
            "schedules",
            "jobs",
            "trace",
            "erase",
        ],
    ),
    ("Team", &["share", "users", "projects", "members", "tokens", "audit"]),
    (
        "Upkeep",
        &["serve", "worker", "doctor", "backup", "restore-backup", "migrate", "completions"],
    ),
];

/// Options of shared groups that `-h` shows; it shows all options that are in no shared group.
const SHORT: [&str; 18] = [
    "search",
    "created_from",
    "tag",
    "limit",
    "all",
    "data_format",
    "purpose",
    "dedup",
    "redact",
    "split",
    "file_format",
    "force",
    "strict",
    "quiet",
    "json",
    "as_model",
    "data",
    "server",
];

/// Examples of commands: the command without `retort`, and what it does.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "convert",
        &[
            ("convert chats/ -o train -d chat", "a folder of histories, as a package to train on"),
            (
                "convert export.zip -o chats.parquet --dedup exact",
                "the data file alone, without duplicates",
            ),
            (
                "convert a.jsonl -o set.zip --split train=0.9,test=0.1 --redact secrets,pii",
                "two data files, redacted",
            ),
        ],
    ),
    (
        "preview",
        &[
            ("preview chats/ -d openai", "the first records that `convert` would write"),
            ("preview train", "the first records of a package"),
            (
                "preview chats/ --as-model --template model/",
                "what the model sees, and what it is trained on",
            ),
        ],
    ),
    (
        "inspect",
        &[
            ("inspect export.zip", "formats, and what was not understood"),
            (
                "inspect own.jsonl --suggest-map",
                "a draft of a mapping for a format that Retort does not know",
            ),
        ],
    ),
    (
        "stats",
        &[
            ("stats chats/ --created-from 2025-01-01", "what files contain"),
            ("stats train --duplicates exact", "what a package contains"),
        ],
    ),
    (
        "verify",
        &[
            ("verify train", "compare every file and record with the receipt"),
            ("verify train --key alice.pub", "check a signature, too"),
        ],
    ),
    (
        "diff",
        &[
            ("diff monday friday", "which records were added, removed or changed"),
            ("diff monday.zip friday.zip --json", "the same, for a program"),
        ],
    ),
    (
        "merge",
        &[
            ("merge part-1 part-2 -o train", "combine what `convert --part` made"),
            ("merge nightly/ -o all.zip", "combine the datasets of a schedule"),
        ],
    ),
    (
        "sign",
        &[
            ("sign train --key alice.key", "write a signed statement about the package"),
            ("verify train --key alice.pub", "check it"),
        ],
    ),
    (
        "push",
        &[
            ("push train hf://datasets/acme/support", "to a private dataset on the Hub"),
            ("push train hf://datasets/acme/support --public", "everyone may read it"),
        ],
    ),
    (
        "formats",
        &[
            ("formats", "all formats that are read and written"),
            ("formats --schema chat", "the JSON Schema of a data format"),
        ],
    ),
    (
        "import",
        &[
            (
                "import chats/ export.zip",
                "run it again at any time: only what is new or changed is stored",
            ),
            ("import chats/ --owner ann@example.org", "name the owner of items that name none"),
            ("import chats/ --dry-run", "only show what would happen"),
        ],
    ),
    (
        "keep",
        &[
            ("keep --agents --once", "from cron: keep the sessions of all known agents"),
            ("keep --agents --import", "watch them, and import what is new"),
        ],
    ),
    (
        "conversations",
        &[
            ("conversations list 'lamp -tag:done'", "search"),
            ("conversations tag --search lamp --add training", "tag all matches"),
            ("conversations delete sc-0001", "`conversations restore sc-0001` undoes it"),
        ],
    ),
    (
        "conversations list",
        &[
            ("conversations list '\"desk lamp\" -tag:done'", "a phrase, without a tag"),
            ("conversations list --tag training --sort oldest", "one tag, the oldest first"),
            ("conversations list --all --lines", "all of them, one line of JSON each"),
        ],
    ),
    (
        "conversations export",
        &[
            ("conversations export lamps --search lamp", "all matches"),
            (
                "conversations export lamps --search lamp --dry-run",
                "only show what would be exported",
            ),
        ],
    ),
    (
        "conversations delete",
        &[
            ("conversations delete sc-0001 sc-0002", "by id"),
            ("conversations delete --search lamp --dry-run", "only show what would be deleted"),
        ],
    ),
    (
        "conversations purge",
        &[
            ("conversations purge --status deleted", "everything that was deleted"),
            ("conversations purge sc-0001 --yes", "without asking"),
        ],
    ),
    (
        "runs",
        &[
            ("runs list --copilot leave-policy --has-error", "failed runs of a copilot"),
            ("runs show req-8f14", "one run with its nodes"),
            (
                "runs export judged --copilot leave-policy --purpose node-evaluation --node answer",
                "a dataset of a node",
            ),
        ],
    ),
    (
        "documents",
        &[
            ("documents list --search soil", "search by name, URL or path"),
            ("documents original soil-guide -o soil.pdf", "download the original file"),
            ("documents export library -f parquet", "one row per chunk"),
        ],
    ),
    (
        "judge",
        &[
            ("judge scores.csv", "columns such as id, score, comment"),
            ("judge - < scores.jsonl", "from standard input"),
            ("judge scores.csv --dry-run", "only show what would change"),
        ],
    ),
    (
        "export",
        &[
            ("export lamps --search lamp -f parquet", "conversations"),
            (
                "export judged --copilot leave-policy --purpose node-evaluation --node answer",
                "runs",
            ),
            ("export library --documents -f parquet", "documents"),
        ],
    ),
    (
        "datasets",
        &[
            ("datasets", "list them"),
            ("datasets download lamps", "write lamps.zip"),
            ("datasets download lamps -o lamps.jsonl", "its data file alone"),
        ],
    ),
    (
        "schedules",
        &[
            (
                "schedules add nightly --cron '0 2 * * *' --window changed",
                "what is new, every night at two",
            ),
            ("schedules run nightly", "run it now"),
            ("schedules show nightly", "its last runs"),
        ],
    ),
    (
        "jobs",
        &[
            ("jobs", "the newest jobs"),
            ("jobs watch 12", "show its progress until it ends"),
            ("jobs retry 12", "run a failed job again"),
        ],
    ),
    (
        "trace",
        &[
            ("trace sc-0001", "datasets that contain this item"),
            ("trace --person ann@example.org", "datasets that contain anything of a person"),
        ],
    ),
    (
        "erase",
        &[
            ("erase --person ann@example.org --dry-run", "only show what would be erased"),
            ("erase --person ann@example.org", "erase it"),
            ("erase --receipt 3", "print the signed receipt"),
        ],
    ),
    (
        "share",
        &[
            ("share make sc-0001 --expires 2027-01-01", "print a link"),
            ("share list", "list the links"),
            ("share revoke 4", "revoke one"),
        ],
    ),
    (
        "users",
        &[
            (
                "users add ann@example.org --role member",
                "add an account, and print a link that signs them in",
            ),
            ("users disable ann@example.org", "`users enable` undoes it"),
        ],
    ),
    (
        "projects",
        &[("projects", "list them"), ("projects add research --owner ann@example.org", "add one")],
    ),
    (
        "members",
        &[
            ("members set ann@example.org admin", "change a role"),
            ("members remove ann@example.org", "remove someone from the project"),
        ],
    ),
    (
        "tokens",
        &[
            ("tokens add nightly --scope read --scope export --days 30", "print a new token"),
            ("tokens", "list them"),
            ("tokens revoke 3", "revoke one"),
        ],
    ),
    (
        "audit",
        &[
            ("audit list", "the newest entries"),
            ("audit export > audit.jsonl", "all entries, one line of JSON each"),
        ],
    ),
    (
        "serve",
        &[
            ("serve", "for yourself, at http://127.0.0.1:8610"),
            (
                "serve --listen 0.0.0.0:8610 --behind-proxy",
                "for a team, behind a proxy that handles TLS",
            ),
        ],
    ),
    (
        "worker",
        &[
            ("worker", "wait for jobs and run them"),
            ("worker --once", "run what is queued, and exit"),
        ],
    ),
    (
        "doctor",
        &[
            ("doctor", "check the store"),
            ("doctor --deep", "read every conversation and dataset"),
            ("doctor --erased texts.txt --also /var/backups", "search for texts that were purged"),
        ],
    ),
    (
        "backup",
        &[
            ("backup /backups/monday", "copy the store and its datasets"),
            ("doctor --data /backups/monday", "check the copy"),
        ],
    ),
    (
        "restore-backup",
        &[
            ("restore-backup /backups/monday", "restore to the usual place"),
            ("restore-backup /backups/monday --data /srv/retort", "restore to another folder"),
        ],
    ),
    (
        "migrate",
        &[
            ("backup /backups/before", "make a backup first"),
            ("migrate --dry-run", "only show what would be upgraded"),
            ("migrate", "upgrade"),
        ],
    ),
    (
        "completions",
        &[
            ("completions bash > ~/.local/share/bash-completion/completions/retort", "for bash"),
            ("completions fish > ~/.config/fish/completions/retort.fish", "for fish"),
        ],
    ),
];

/// The command with its groups, its examples and a short help.
pub fn dressed(command: Command) -> Command {
    let overview = overview(&command);
    dress(command, "").help_template(overview)
}

/// The template of the help of `retort`: clap has no groups of commands.
fn overview(command: &Command) -> StyledStr {
    let header = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (heading, names) in GROUPS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{header}{heading}:{header:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {literal}{name:<15}{literal:#} {about}");
        }
    }
    text.push_str(
        "\n`retort list` is short for `retort conversations list`, as are show, tag,\n\
         favorite, delete, restore and purge. `retort COMMAND --help` has examples.\n\nOptions:\n{options}{after-help}",
    );
    text.into()
}

fn dress(command: Command, path: &str) -> Command {
    let examples = EXAMPLES.iter().find(|(of, _)| *of == path).map(|(_, examples)| examples);
    let command = match examples {
        None => command,
        Some(examples) => {
            let header = *command.get_styles().get_header();
            let mut text = format!("{header}Examples:{header:#}\n");
            for (command, what) in *examples {
                let _ = writeln!(text, "  retort {command}\n      {what}");
            }
            let text = text.trim_end().to_owned();
            command.after_long_help(StyledStr::from(text))
        }
    };
    let is_top = path.is_empty();
    command
        .mut_args(|argument| if is_top { argument } else { shortened(argument) })
        .mut_subcommands(|below| {
            let name = below.get_name().to_owned();
            let path = if is_top { name.clone() } else { format!("{path} {name}") };
            let is_verb = is_top && Verb::NAMES.contains(&name.as_str());
            let below = dress(below, &path);
            if is_verb { below.hide(true) } else { below }
        })
}

/// An argument of which `-h` shows no more than a line or two.
fn shortened(argument: Arg) -> Arg {
    let is_shared = argument.get_help_heading().is_some();
    let argument = match is_shared && !SHORT.contains(&argument.get_id().as_str()) {
        true => argument.hide_short_help(true),
        false => argument,
    };
    let values = argument.get_possible_values();
    let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let long = argument.get_long_help().map_or_else(|| help.clone(), ToString::to_string);
    let argument = argument.help(first_sentence(&help));
    if !argument.get_action().takes_values() || values.is_empty() {
        return argument.long_help(long);
    }
    let has_help = values.iter().any(|value| value.get_help().is_some());
    // Few values are the name of the value: `<repair|reject|off>`.
    let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
    let shown: Vec<_> =
        argument.get_value_names().unwrap_or_default().iter().map(Str::as_str).collect();
    let long = match (has_help, shown.join("|") == names.join("|")) {
        (false, true) => long,
        _ => format!("{long}\n\n{}", list_of(&values)),
    };
    argument.long_help(long).hide_possible_values(true)
}

/// Longest text of an option in `-h`, without its default.
const SHORT_TEXT: usize = 90;

/// The beginning of a help text, as far as it makes sense alone, with its default.
fn first_sentence(help: &str) -> String {
    let (said, default) = match help.find(" [default: ") {
        Some(at) => help.split_at(at),
        None => (help, ""),
    };
    let end = said.find(". ").or_else(|| said.find("; ")).unwrap_or(said.len());
    let sentence = said.get(..end).unwrap_or(said);
    if sentence.len() <= SHORT_TEXT {
        return format!("{sentence}{default}");
    }
    let is_balanced = |text: &str| text.matches('(').count() == text.matches(')').count();
    let ends = [", ", ": ", " ("].into_iter().flat_map(|end| sentence.match_indices(end));
    let cut = ends
        .filter_map(|(at, _)| sentence.get(..at))
        .filter(|text| text.len() <= SHORT_TEXT && is_balanced(text))
        .max_by_key(|text| text.len());
    format!("{}{default}", cut.unwrap_or(sentence))
}

/// The values of an option, as `--help` lists them.
fn list_of(values: &[&PossibleValue]) -> String {
    if values.iter().all(|value| value.get_help().is_none()) {
        let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        return format!("[possible values: {}]", names.join(", "));
    }
    let mut text = String::from("Possible values:");
    for value in values {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n- {}: {help}", value.get_name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a screen on which the short help has to fit.
    const SCREEN: usize = 60;

    fn visible(command: &Command) -> impl Iterator<Item = &Command> {
        command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help")
    }

    #[test]
    fn every_command_is_in_one_group_and_has_a_purpose_of_one_line() {
        let command = crate::command();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let mut names: Vec<_> = visible(&command).map(Command::get_name).collect();
        grouped.sort_unstable();
        names.sort_unstable();
        assert_eq!(grouped, names);
        for one in visible(&command) {
            let about = one.get_about().unwrap().to_string();
            assert!(about.len() <= 80 - 18, "{}: {about}", one.get_name());
        }
    }

    #[test]
    fn every_command_has_two_or_three_examples_that_it_accepts() {
        let command = crate::command();
        for one in visible(&command) {
            let found = EXAMPLES.iter().find(|(path, _)| *path == one.get_name());
            let (_, examples) = found.unwrap_or_else(|| panic!("{} has none", one.get_name()));
            assert!((2..=3).contains(&examples.len()), "{}", one.get_name());
        }
        for (path, examples) in EXAMPLES {
            let mut of = &command;
            for name in path.split(' ') {
                of = of.find_subcommand(name).unwrap_or_else(|| panic!("there is no `{path}`"));
            }
            for (example, _) in *examples {
                // What the shell does with the output or input is not the command's.
                let example = example.split(" > ").next().unwrap();
                let example = example.split(" < ").next().unwrap();
                let words = words(&format!("retort {example}"));
                if let Err(error) = command.clone().try_get_matches_from(&words) {
                    panic!("{example}: {error}");
                }
            }
        }
    }

    /// The words of a command, where quotes hold some together.
    fn words(command: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for character in command.chars() {
            match character {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                _ => words.last_mut().unwrap().push(character),
            }
        }
        words
    }

    #[test]
    fn the_short_help_of_every_command_fits_a_screen() {
        let mut command = crate::command().term_width(80);
        command.build();
        check(&mut command, "retort");
    }

    fn check(command: &mut Command, path: &str) {
        let help = command.render_help().to_string();
        let lines = help.lines().count();
        let most = SCREEN;
        assert!(lines <= most, "{path} -h has {lines} lines:\n{help}");
        for line in help.lines().filter(|line| !line.starts_with("Usage: ")) {
            assert!(line.chars().count() <= 80, "{path}: {line}");
        }
        for below in command.get_subcommands_mut() {
            let path = format!("{path} {}", below.get_name());
            check(below, &path);
        }
    }
}
