//! Filters as arguments, made from the tables of their fields.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use retort_model::{
    ConversationFilter, DocumentFilter, Filter, FilterField, FilterValues, ItemFilter, ItemKind,
    RunFilter, RunSource,
};

use crate::options::{FEW, noun};
use crate::views::{NoViews, ViewArgs, Views};

/// A filter. With `LIMIT`, its limit is an argument, too; without, because `--limit` is the length of a page there.
pub struct FilterArgs<F, const LIMIT: bool = false>(pub F);

/// A filter of conversations with its limit.
pub type SelectionArgs = FilterArgs<ConversationFilter, true>;

/// The filter of an export, of any kind of item.
pub struct ExportFilterArgs(pub ItemFilter);

/// One copilot, recipe or application.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct FlowArgs {
    /// Only runs of this copilot: short for `--source copilot --source-id ID`.
    #[arg(long, value_name = "ID", conflicts_with = "recipe")]
    copilot: Option<String>,

    /// Only runs of this webhook recipe: short for `--source recipe --source-id ID`.
    #[arg(long, value_name = "ID")]
    recipe: Option<String>,

    /// Only runs of this traced application: short for `--source application --source-id ID`.
    #[arg(long, value_name = "ID", conflicts_with_all = ["copilot", "recipe"])]
    application: Option<String>,
}

/// A filter of runs; see [`FilterArgs`] about `LIMIT`.
#[derive(Args)]
pub struct RunFilterArgs<const LIMIT: bool = false> {
    #[command(flatten)]
    flow: FlowArgs,

    #[command(flatten)]
    filter: FilterArgs<RunFilter, LIMIT>,
}

/// The arguments of [`FlowArgs`].
const FLOWS: [&str; 3] = ["copilot", "recipe", "application"];

/// The heading of filters in the help.
const HEADING: &str = "Selection";

impl FlowArgs {
    /// The source and id that were given.
    fn given(self) -> Option<(RunSource, String)> {
        let all = [
            (RunSource::Copilot, self.copilot),
            (RunSource::Recipe, self.recipe),
            (RunSource::Application, self.application),
        ];
        all.into_iter().find_map(|(source, id)| Some((source, id?)))
    }

    /// Adds it to a filter.
    ///
    /// # Errors
    /// The filter already names a copilot, recipe or application.
    pub fn narrow(self, filter: &mut RunFilter) -> Result<(), String> {
        let Some((source, id)) = self.given() else { return Ok(()) };
        if filter.source.is_some() || filter.flow.is_some() {
            return Err(format!(
                "`--{source}` is short for `--source` and `--source-id`: give one or the other"
            ));
        }
        (filter.source, filter.flow) = (Some(source), Some(id));
        Ok(())
    }
}

/// Arguments that say which items of one kind, or of any kind, to export.
pub trait ExportSelection {
    /// The options that can replace the filter.
    type Views: Views + Args;

    /// The filter.
    ///
    /// # Errors
    /// The arguments do not go together.
    fn filter(self) -> Result<ItemFilter, String>;
}

impl ExportSelection for ExportFilterArgs {
    type Views = ViewArgs;

    fn filter(self) -> Result<ItemFilter, String> {
        Ok(self.0)
    }
}

impl ExportSelection for FilterArgs<ConversationFilter, true> {
    type Views = ViewArgs;

    fn filter(self) -> Result<ItemFilter, String> {
        Ok(self.0.into())
    }
}

impl ExportSelection for FilterArgs<DocumentFilter, true> {
    type Views = NoViews;

    fn filter(self) -> Result<ItemFilter, String> {
        Ok(self.0.into())
    }
}

impl ExportSelection for RunFilterArgs<true> {
    type Views = NoViews;

    fn filter(self) -> Result<ItemFilter, String> {
        RunFilter::try_from(self).map(Into::into)
    }
}

impl<const LIMIT: bool> TryFrom<RunFilterArgs<LIMIT>> for RunFilter {
    type Error = String;

    fn try_from(
        RunFilterArgs { flow, filter: FilterArgs(mut filter) }: RunFilterArgs<LIMIT>,
    ) -> Result<Self, String> {
        flow.narrow(&mut filter)?;
        Ok(filter)
    }
}

impl<F: Filter, const LIMIT: bool> Args for FilterArgs<F, LIMIT> {
    fn augment_args(command: Command) -> Command {
        let fields = fields::<F>(LIMIT);
        command.args(fields.map(|field| {
            let argument = argument(field).value_parser(move |text: &str| takes(field, text));
            let argument = match field.values {
                FilterValues::Words(words) => argument.value_parser(PossibleValuesParser::new(
                    words().into_iter().map(PossibleValue::new),
                )),
                _ => argument,
            };
            argument.aliases(field.former_options.iter().copied())
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: Filter, const LIMIT: bool> FromArgMatches for FilterArgs<F, LIMIT> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut filter = F::default();
        for field in fields::<F>(LIMIT) {
            fill(&mut filter, field, field.name, matches)?;
        }
        filter.check().map_err(usage)?;
        Ok(Self(filter))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn fields<F: Filter>(with_limit: bool) -> impl Iterator<Item = &'static FilterField<F>> {
    let is_asked =
        move |field: &&FilterField<F>| with_limit || !matches!(field.values, FilterValues::Limit);
    F::FIELDS.iter().filter(is_asked)
}

/// The argument of a field, without its values.
fn argument<F>(field: &'static FilterField<F>) -> Arg {
    let name = match field.values {
        FilterValues::Text if field.name == "search" => "TEXT".to_owned(),
        FilterValues::Text => noun(field.name),
        FilterValues::Words(words) if words().len() <= FEW => words().join("|"),
        FilterValues::Words(_) => noun(field.name),
        FilterValues::Time => "DATE".to_owned(),
        FilterValues::Flag => "true|false".to_owned(),
        FilterValues::Range | FilterValues::Decimals => "N..M".to_owned(),
        FilterValues::Limit => "N".to_owned(),
    };
    let argument = Arg::new(field.name)
        .long(field.long())
        .value_name(name)
        .help(help(field))
        .help_heading(HEADING)
        .action(if field.is_list { ArgAction::Append } else { ArgAction::Set });
    match field.values {
        FilterValues::Flag => argument.num_args(0..=1).default_missing_value("true"),
        _ => argument,
    }
}

fn help<F>(field: &FilterField<F>) -> String {
    let about = field.about;
    let repeatable = if field.is_list { "; repeatable" } else { "" };
    let default = field.default.map(|words| format!(" [default: {words}]")).unwrap_or_default();
    format!("{about}{repeatable}{default}")
}

/// The text, if the field takes it.
fn takes<F: Filter>(field: &FilterField<F>, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(format!("`{}` is empty", field.name));
    }
    field.set(&mut F::default(), text).map(|()| text.to_owned())
}

/// Sets a field to the values of an argument.
fn fill<F: Filter>(
    filter: &mut F,
    field: &FilterField<F>,
    id: &str,
    matches: &ArgMatches,
) -> Result<(), clap::Error> {
    for text in matches.get_many::<String>(id).into_iter().flatten() {
        let text = takes(field, text).map_err(usage)?;
        field.set(filter, &text).map_err(usage)?;
    }
    Ok(())
}

fn usage(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, message)
}

/// An argument of an export: a field of one filter, or of several.
struct ExportArgument {
    argument: Arg,
    kinds: Vec<ItemKind>,
}

/// The arguments of the fields of all filters, each name once. A former name that only one of several filters had is an
/// argument of its own, because it tells which items to export.
fn export_arguments() -> Vec<ExportArgument> {
    let mut all: Vec<ExportArgument> = Vec::new();
    add_fields::<ConversationFilter>(&mut all);
    add_fields::<RunFilter>(&mut all);
    add_fields::<DocumentFilter>(&mut all);
    for ExportArgument { argument, kinds } in &mut all {
        let (_, also) = kinds.split_first().unwrap_or((&ItemKind::Conversation, &[]));
        if !also.is_empty() {
            let also: Vec<_> = also.iter().map(|kind| kind.plural()).collect();
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            *argument = argument.clone().help(format!("{help} (also for {})", also.join(", ")));
        }
    }
    all
}

fn add_fields<F: Filter>(all: &mut Vec<ExportArgument>) {
    for field in F::FIELDS {
        let there = all.iter().position(|one| one.argument.get_id() == field.name);
        match there.and_then(|there| all.get_mut(there)) {
            Some(one) => {
                one.kinds.push(F::KIND);
                all.extend(field.former_options.iter().map(|former| ExportArgument {
                    argument: argument(field).id(*former).long(*former).hide(true),
                    kinds: vec![F::KIND],
                }));
            }
            None => all.push(ExportArgument {
                argument: argument(field).aliases(field.former_options.iter().copied()),
                kinds: vec![F::KIND],
            }),
        }
    }
}

impl Args for ExportFilterArgs {
    fn augment_args(command: Command) -> Command {
        let flag = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).help(help).help_heading(HEADING).action(ArgAction::SetTrue)
        };
        let command = command
            .arg(flag(
                "runs",
                "Export runs instead of conversations; implied by any filter that only runs have",
            ))
            .arg(
                flag("documents", "Export documents instead of conversations")
                    .conflicts_with("runs"),
            );
        let command = command.args(export_arguments().into_iter().map(|one| one.argument));
        FlowArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ExportFilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flow = FlowArgs::from_arg_matches(matches)?;
        let all = export_arguments();
        let given: Vec<_> =
            all.iter().filter(|one| matches.contains_id(one.argument.get_id().as_str())).collect();
        let is_only_of = |kind: ItemKind| given.iter().any(|one| one.kinds == [kind]);
        let kind = if matches.get_flag("documents") {
            ItemKind::Document
        } else if matches.get_flag("runs")
            || FLOWS.iter().any(|id| matches.contains_id(id))
            || is_only_of(ItemKind::Run)
        {
            ItemKind::Run
        } else {
            ItemKind::Conversation
        };
        if let Some(other) = given.iter().find(|one| !one.kinds.contains(&kind)) {
            let long = other.argument.get_long().unwrap_or_default();
            let of: Vec<_> = other.kinds.iter().map(|kind| kind.plural()).collect();
            let of = of.join(" and ");
            let is_of_kind = |one: &&ExportArgument| one.kinds.contains(&kind);
            let own: Vec<_> = all
                .iter()
                .filter(is_of_kind)
                .filter_map(|one| Some(format!("`--{}`", one.argument.get_long()?)))
                .collect();
            let (kind, own) = (kind.plural(), own.join(", "));
            return Err(usage(format!("`--{long}` filters {of}, not {kind}; use {own}")));
        }
        if kind != ItemKind::Run
            && let Some(id) = FLOWS.iter().find(|id| matches.contains_id(id))
        {
            return Err(usage(format!("`--{id}` filters runs, not {}", kind.plural())));
        }
        Ok(Self(match kind {
            ItemKind::Conversation => filled::<ConversationFilter>(matches)?.into(),
            ItemKind::Document => filled::<DocumentFilter>(matches)?.into(),
            ItemKind::Run => {
                let mut filter = filled::<RunFilter>(matches)?;
                flow.narrow(&mut filter).map_err(usage)?;
                filter.into()
            }
        }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn filled<F: Filter>(matches: &ArgMatches) -> Result<F, clap::Error> {
    let mut filter = F::default();
    for field in F::FIELDS {
        fill(&mut filter, field, field.name, matches)?;
        for former in field.former_options {
            // Most are other names of the same argument.
            if matches.try_contains_id(former).unwrap_or(false) {
                fill(&mut filter, field, former, matches)?;
            }
        }
    }
    filter.check().map_err(usage)?;
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// The page of the docs, from the tables.
    fn page() -> String {
        let mut page = String::from(
            "# Filters\n\nA filter selects conversations, runs or documents. An item must match every field, and for a field \
             with several\nvalues any one of them. A field has one name everywhere: `--created-from` on the command line is \
             `created_from` in\nqueries, JSON bodies, pages and receipts. To give a field several values, repeat it in a query \
             (`type=chat&type=agent`)\nand write a list in JSON (`\"type\": [\"chat\", \"agent\"]`). In lists with \
             pages, `limit` is the length of a page.\n`UPDATE_DOCS=1 cargo test` writes this page from the tables of \
             fields.\n",
        );
        section::<ConversationFilter>(&mut page);
        section::<RunFilter>(&mut page);
        page.push_str(
            "\n`--copilot ID`, `--recipe ID` and `--application ID` are short for `--source` with one of these words and \
             `--source-id ID`.\nFor runs, `source` says what ran. The import format of a conversation is `format`; \
             `retort documents show`, `retort documents\noriginal` and `retort share make` call it `--source`.\n",
        );
        section::<DocumentFilter>(&mut page);
        page
    }

    fn section<F: Filter>(page: &mut String) {
        writeln!(page, "\n## Filters of {}\n", F::KIND.plural()).unwrap();
        page.push_str("| field | values | what it selects |\n|---|---|---|\n");
        for field in F::FIELDS {
            let one = match field.values {
                FilterValues::Text => "a text".to_owned(),
                FilterValues::Words(words) => {
                    let words: Vec<_> = words().iter().map(|word| format!("`{word}`")).collect();
                    words.join(", ")
                }
                values => values.words().to_owned(),
            };
            let several = if field.is_list { "; several allowed" } else { "" };
            let default =
                field.default.map(|words| format!(" (default: {words})")).unwrap_or_default();
            writeln!(page, "| `{}` | {one}{several} | {}{default} |", field.name, field.about)
                .unwrap();
        }
    }

    #[test]
    fn the_docs_have_every_field_of_every_filter() {
        crate::docs::check("filters.md", &page());
    }

    fn export(args: &[&str]) -> Result<ItemFilter, String> {
        let command = ExportFilterArgs::augment_args(Command::new("export").no_binary_name(true));
        let matches = command.try_get_matches_from(args).map_err(|error| error.to_string())?;
        ExportFilterArgs::from_arg_matches(&matches)
            .map(|args| args.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_export_takes_the_items_that_its_filters_are_for() {
        for (args, kind) in [
            (&["--search", "a"][..], ItemKind::Conversation),
            (&["--status", "favorite"], ItemKind::Conversation),
            (&["--runs", "--status", "failure"], ItemKind::Run),
            (&["--run-status", "failure"], ItemKind::Run),
            (&["--recipe", "r", "--has-error"], ItemKind::Run),
            (&["--of-version", "3"], ItemKind::Run),
            (&["--documents", "--created-from", "2026-01-01"], ItemKind::Document),
        ] {
            assert_eq!(export(args).unwrap().kind(), kind, "{args:?}");
        }
        for (args, expect) in [
            (
                &["--documents", "--status", "active"][..],
                "`--status` filters conversations and runs, not documents",
            ),
            (&["--runs", "--type", "chat"], "`--type` filters conversations, not runs"),
            (&["--status", "failure"], "unknown status `failure`"),
            (&["--documents", "--recipe", "r"], "`--recipe` filters runs, not documents"),
            (&["--recipe", "r", "--source-id", "r"], "give one or the other"),
            (&["--search", ""], "`search` is empty"),
        ] {
            let error = export(args).unwrap_err();
            assert!(error.contains(expect), "{args:?}: {error}");
        }
    }
}
