//! The options of exports as arguments, made from the engine's table.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use retort_service::{ExportOption, ExportOptions, Group, OPTIONS, Values};

/// How to shape and check the records.
#[derive(Clone, Default)]
pub struct Records(pub ExportOptions);

/// How records look to a model, and how long they may be.
#[derive(Clone, Default)]
pub struct Model(pub ExportOptions);

/// What the data file is to be.
#[derive(Clone, Default)]
pub struct Package(pub ExportOptions);

/// Up to this number of words, help shows all of them instead of a name for the value.
pub const FEW: usize = 3;

macro_rules! arguments {
    ($type:ident, $group:expr, $heading:literal) => {
        impl FromArgMatches for $type {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self(asked(matches, $group)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }

        impl Args for $type {
            fn augment_args(command: Command) -> Command {
                let options = arguments_of($group);
                command.args(options.map(|option| argument(option).help_heading($heading)))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }
    };
}

arguments!(Records, Group::Records, "Records");
arguments!(Model, Group::Model, "As the model sees it");
arguments!(Package, Group::Package, "Package");

/// The options of a group that have arguments of their own.
fn arguments_of(group: Group) -> impl Iterator<Item = &'static ExportOption> {
    let is_own = |option: &&ExportOption| !matches!(option.values, Values::FileText);
    OPTIONS.iter().filter(move |option| option.group == group).filter(is_own)
}

fn argument(option: &'static ExportOption) -> Arg {
    let argument = Arg::new(option.name).long(option.long());
    let argument = match option.name {
        "data_format" => argument.short('d').visible_alias("to"),
        "file_format" => argument.short('f'),
        _ => argument,
    };
    let about = match option.values {
        Values::Flag => option.about.to_owned(),
        _ => format!("{} [default: {}]", option.about, option.default_words()),
    };
    let argument = argument.help(about);
    match option.values {
        Values::Flag => argument.action(ArgAction::SetTrue),
        Values::Words(words) => {
            let words = words();
            let names: Vec<_> = words.iter().map(|word| word.name).collect();
            let name = if names.len() > FEW { noun(option.name) } else { names.join("|") };
            let values = words.iter().map(|word| PossibleValue::new(word.name).help(word.about));
            argument.value_name(name).value_parser(PossibleValuesParser::new(values))
        }
        Values::Number(_) => argument.value_name("N").value_parser(parser(option)),
        Values::File => argument.value_name("FILE").value_parser(parser(option)),
        Values::Text | Values::FileText => {
            argument.value_name(noun(option.name)).value_parser(parser(option))
        }
    }
}

/// The last word of a name, as help calls a value.
pub fn noun(name: &str) -> String {
    name.rsplit('_').next().unwrap_or(name).to_uppercase()
}

/// Takes a value if a plan can be made with it.
fn parser(
    option: &'static ExportOption,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| {
        let options = ExportOptions::default().with_files(option.name, text)?;
        let name = "any".parse().map_err(|error| format!("{error}"))?;
        options.resolve(name, None).map(|_| text.to_owned())
    }
}

/// What the arguments of a group ask. Their values were looked at when they were parsed.
fn asked(matches: &ArgMatches, group: Group) -> ExportOptions {
    arguments_of(group).fold(ExportOptions::default(), |options, option| {
        let text = match option.values {
            Values::Flag => matches.get_flag(option.name).then(|| "true".to_owned()),
            _ => matches.get_one::<String>(option.name).cloned(),
        };
        let Some(text) = text else { return options };
        options.clone().with_files(option.name, &text).unwrap_or(options)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// The page of the docs, from the table.
    fn page() -> String {
        let mut page = String::from(
            "# Options of exports\n\nThe options that shape a dataset have one name everywhere: `--call-text` on the command \
             line is `call_text`\nin the API, in forms and in receipts. `UPDATE_DOCS=1 cargo test` writes this page from the \
             table of options.\n",
        );
        for option in OPTIONS {
            let kinds: Vec<_> = option.kinds.iter().map(|kind| kind.plural()).collect();
            let long = option.long();
            writeln!(page, "\n## `--{long}`\n\n{}. For {}.", option.about, kinds.join(", "))
                .unwrap();
            match option.values {
                Values::Flag => {}
                _ => writeln!(page, "Default: {}.", option.default_words()).unwrap(),
            }
            match option.values {
                Values::Flag => {}
                Values::Number(most) => writeln!(page, "A whole number up to {most}.").unwrap(),
                Values::Text => writeln!(page, "A text.").unwrap(),
                Values::FileText => {
                    let how =
                        "The text of a file. On the command line, `--redact FILE.toml` reads it.";
                    writeln!(page, "{how}").unwrap();
                }
                Values::File => {
                    writeln!(page, "The text of a file, which the command line names.").unwrap();
                }
                Values::Words(words) => {
                    page.push_str("\n| value | what it means |\n|---|---|\n");
                    for word in words() {
                        writeln!(page, "| `{}` | {} |", word.name, word.about).unwrap();
                    }
                }
            }
        }
        page
    }

    #[test]
    fn the_docs_have_every_option() {
        crate::docs::check("options.md", &page());
    }
}
