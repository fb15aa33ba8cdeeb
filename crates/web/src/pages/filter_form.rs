//! Filters in the form and address of a page, made from the tables of their fields.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use retort_model::{Filter, FilterField, FilterValues, ItemKind, Query, Time};
use serde::Deserialize;

use super::display::{capital, sentence};
use crate::problem::Problem;

/// The values in the fields of a filter, by name. A range of times is given by its first and its last day, both included:
/// `created_from` and `created_to`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct FilterForm<F> {
    given: BTreeMap<String, Given>,
    /// What is wrong with it: the form says so beside its fields.
    #[serde(skip)]
    pub(super) trouble: Option<Trouble>,
    #[serde(skip)]
    of: PhantomData<fn() -> F>,
}

/// What is wrong with a filter.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) text: String,
    /// A search that may have been meant, and the query of the page with it.
    pub(super) suggested: Option<(String, String)>,
}

/// The values in a field: forms send one, addresses may have several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Given {
    One(String),
    Several(Vec<String>),
}

impl Given {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let all = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        };
        all.iter().map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

/// The values to choose from: each with its text, and whether it is chosen.
pub(super) type Choices = Vec<(String, String, bool)>;

/// A field as a form shows it.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) about: &'static str,
    pub(super) value: String,
    /// The values to choose from; empty if the field takes any text.
    pub(super) choices: Choices,
    /// `search`, `date` or `text`.
    pub(super) kind: &'static str,
    /// An example of a value.
    pub(super) hint: &'static str,
}

/// Microseconds of a day.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Selects all words of a field that selects only some by default.
const ALL: &str = "all";

/// Fields that forms show at once; the others are behind a click.
const FIRST: &[&str] = &[
    "search",
    "created_from",
    "created_before",
    "started_from",
    "started_before",
    "type",
    "status",
    "source_version",
    "has_feedback",
    "has_error",
];

/// Fields that forms do not show: the page has its own controls for them.
const OWN: &[&str] = &["id", "source", "source_id"];

/// What addresses of lists have beside the filter: it stays when the filter changes.
const KEPT: &[&str] = &["sort", "column"];

impl<F> Default for FilterForm<F> {
    fn default() -> Self {
        Self { given: BTreeMap::new(), trouble: None, of: PhantomData }
    }
}

impl<F: Filter> FilterForm<F> {
    #[cfg(test)]
    pub(super) fn of(given: &[(&str, &str)]) -> Self {
        let text =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Given::One((*value).to_owned()));
        Self { given: given.iter().map(text).collect(), ..Self::default() }
    }

    /// The filter of the list at that query; a query that holds no filter means everything.
    pub(super) fn at(query: &str) -> F {
        let filtering = serde_html_form::from_str::<Self>(query).unwrap_or_default();
        filtering.filter().unwrap_or_default()
    }

    /// The query of the page that shows what a filter means, without `?`: the reverse of [`Self::filter`].
    pub(super) fn query_of(filter: &F) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut conditions = Vec::new();
        for (name, value) in filter.pairs() {
            let Ok(field) = F::field(name) else { continue };
            let last_day = || {
                let end = Time::parse(&value).ok()?.unix_micros();
                let day = Time::from_unix_micros(end.checked_sub(DAY_MICROS)?)?.to_string();
                (end % DAY_MICROS == 0).then(|| day.get(..10).map(str::to_owned))?
            };
            match (name.ends_with("_before"), last_day()) {
                (false, _) => drop(query.append_pair(name, &value)),
                (true, Some(day)) => drop(query.append_pair(&form_name(field), &day)),
                // A moment within a day is no day of a form.
                (true, None) => conditions.push(format!("{name}:{value}")),
            }
        }
        if !conditions.is_empty() {
            query.append_pair("search", &conditions.join(" "));
        }
        query.finish()
    }

    /// The filter.
    ///
    /// # Errors
    /// A field has a value that it does not take.
    pub(super) fn filter(&self) -> Result<F, Problem> {
        let mut filter = F::default();
        for field in shown::<F>() {
            for given in self.given(field) {
                for text in texts(field, given)? {
                    field.set(&mut filter, &text).map_err(Problem::bad_request)?;
                }
            }
        }
        for field in shown::<F>() {
            let Some(name) = field.name.strip_suffix("_before") else { continue };
            let from = F::field(&format!("{name}_from")).map_err(Problem::bad_request)?;
            let moment = |field: &FilterField<F>| {
                field.values_in(&filter).first().and_then(|text| Time::parse(text).ok())
            };
            if moment(from).zip(moment(field)).is_some_and(|(from, before)| from >= before) {
                return Err(Problem::bad_request("“From” is later than “To”."));
            }
        }
        filter.check().map_err(Problem::bad_request)?;
        Ok(filter)
    }

    /// Says beside the fields what is wrong with them.
    pub(super) fn refuse(&mut self, problem: &Problem) {
        let search = Some(self.value("search")).filter(|_| F::KIND == ItemKind::Conversation);
        let suggested = search.and_then(Query::suggested).map(|search| {
            let query = self.with("search", &search);
            (search, query)
        });
        // The link has what was probably meant, so that nobody needs the names of all fields.
        let detail = problem.detail();
        let detail = match &suggested {
            Some(_) => detail.split("; did you mean").next().unwrap_or(detail),
            None => detail,
        };
        self.trouble = Some(Trouble { text: sentence(detail), suggested });
    }

    /// The values in a field.
    fn given(&self, field: &FilterField<F>) -> impl Iterator<Item = &str> {
        self.given.get(&form_name(field)).into_iter().flat_map(Given::texts)
    }

    /// The fields that are set, by the names that they have in forms, and what is kept beside them.
    pub(super) fn set(&self) -> Vec<(String, &str)> {
        let texts = |field| self.given(field).map(move |text| (form_name(field), text));
        shown::<F>().flat_map(texts).chain(self.kept()).collect()
    }

    /// What stays when the filter changes.
    pub(super) fn kept(&self) -> Vec<(String, &str)> {
        let texts = |name: &'static str| {
            self.values(name).into_iter().map(move |text| (name.to_owned(), text))
        };
        KEPT.iter().copied().flat_map(texts).collect()
    }

    /// The same page without the filter, as a query.
    pub(super) fn unfiltered(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.kept()).finish()
    }

    /// What is in a field.
    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        self.given.get(name).into_iter().flat_map(Given::texts).collect()
    }

    /// The filter as a query, without `?`; empty if it matches all.
    pub(super) fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.set()).finish()
    }

    /// What is in a field, if there is one value.
    pub(super) fn value(&self, name: &str) -> &str {
        self.given.get(name).and_then(|given| given.texts().next()).unwrap_or_default()
    }

    /// The filter as a query, with another value in a field.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let others = self.set().into_iter().filter(|(other, _)| other != name);
        let pairs = std::iter::once((name.to_owned(), value)).chain(others);
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    /// The filter as a query, with a condition more in its search; or one less, if its search has that condition already,
    /// which the second value tells. None if it has several searches.
    pub(super) fn narrowed(&self, condition: &str) -> Option<(String, bool)> {
        let field = F::field("search").ok()?;
        let mut searches = self.given(field);
        let search = searches.next().unwrap_or_default();
        if searches.next().is_some() {
            return None;
        }
        let (spaced, wanted) = (format!(" {search} "), format!(" {condition} "));
        let has_it = spaced.contains(&wanted);
        let search = match has_it {
            true => spaced.replacen(&wanted, " ", 1),
            false => format!("{search} {condition}"),
        };
        let others = self.set().into_iter().filter(|(name, _)| name != field.name);
        let search = [(field.name.to_owned(), search.trim())];
        let pairs = search.into_iter().filter(|(_, text)| !text.is_empty()).chain(others);
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Some((query, has_it))
    }

    /// Whether it leaves anything out.
    pub(super) fn is_set(&self) -> bool {
        shown::<F>().any(|field| self.given(field).next().is_some())
    }

    /// The fields that are shown at once.
    pub(super) fn first(&self) -> Vec<Input> {
        self.inputs(true)
    }

    /// The fields behind a click.
    pub(super) fn more(&self) -> Vec<Input> {
        self.inputs(false)
    }

    /// Whether a field behind a click is set.
    pub(super) fn is_more_set(&self) -> bool {
        self.more().iter().any(|input| !input.value.is_empty())
    }

    fn inputs(&self, first: bool) -> Vec<Input> {
        let fields = shown::<F>().filter(|field| FIRST.contains(&field.name) == first);
        fields.map(|field| self.input(field)).collect()
    }

    fn input(&self, field: &FilterField<F>) -> Input {
        let value = self.given(field).next().unwrap_or_default().to_owned();
        let choices = choices(field).into_iter();
        let choices = choices.map(|(name, words)| (name.clone(), words, name == value)).collect();
        let kind = match field.values {
            FilterValues::Time => "date",
            _ if field.name == "search" => "search",
            _ => "text",
        };
        let hint = match field.values {
            FilterValues::Range => "4..10",
            FilterValues::Decimals => "0.5..4",
            _ if field.name == "search" && F::KIND == ItemKind::Conversation => {
                "refund \"late delivery\" -spam tag:done"
            }
            _ => "",
        };
        let (name, label, about) = (form_name(field), label(field), field.about);
        Input { name, label, about, value, choices, kind, hint }
    }

    /// The fields that are shown at once, one of them with the known values of a text field to choose from.
    pub(super) fn offering(&self, name: &str, known: &[(String, String)]) -> Vec<Input> {
        let mut inputs = self.first();
        for input in inputs.iter_mut().filter(|input| input.name == name) {
            let any = (String::new(), "All".to_owned());
            let choices = std::iter::once(&any).chain(known);
            input.choices = choices
                .map(|(value, words)| (value.clone(), words.clone(), *value == input.value))
                .collect();
        }
        inputs
    }
}

fn shown<F: Filter>() -> impl Iterator<Item = &'static FilterField<F>> {
    F::conditions().filter(|field| !OWN.contains(&field.name))
}

/// The name that a field has in forms.
fn form_name<F>(field: &FilterField<F>) -> String {
    match field.name.strip_suffix("_before") {
        Some(name) => format!("{name}_to"),
        None => field.name.to_owned(),
    }
}

fn label<F: Filter>(field: &FilterField<F>) -> String {
    match (field.values, F::KIND) {
        (FilterValues::Time, _) if field.name.ends_with("_from") => "From (UTC)".into(),
        (FilterValues::Time, _) => "To (UTC)".into(),
        (FilterValues::Text, ItemKind::Conversation) if field.name == "search" => "Search".into(),
        (FilterValues::Text, ItemKind::Document) if field.name == "search" => {
            "Search name, URL or path".into()
        }
        (FilterValues::Text, ItemKind::Run) if field.name == "search" => {
            "Search question, answer, error or id".into()
        }
        _ => capital(&field.name.replace('_', " ")),
    }
}

/// The values that a form offers for a field, each with its text; none if the field takes any text.
fn choices<F>(field: &FilterField<F>) -> Vec<(String, String)> {
    let one = |value: &str, words: &str| (value.to_owned(), words.to_owned());
    match field.values {
        FilterValues::Words(words) => {
            let default = field.default.map_or("All".to_owned(), |words| {
                let words = words.split(';').next().unwrap_or(words);
                capital(&words.replace('`', ""))
            });
            let each = words().into_iter().map(|word| (word.to_owned(), capital(word)));
            let all = field.default.map(|_| one(ALL, "All"));
            std::iter::once((String::new(), default)).chain(each).chain(all).collect()
        }
        FilterValues::Flag => vec![one("", "Any"), one("true", "Yes"), one("false", "No")],
        _ => Vec::new(),
    }
}

/// The values that a text in a form stands for.
fn texts<F>(field: &FilterField<F>, text: &str) -> Result<Vec<String>, Problem> {
    Ok(match field.values {
        FilterValues::Words(words) if field.default.is_some() && text == ALL => {
            words().into_iter().map(str::to_owned).collect()
        }
        FilterValues::Time if field.name.ends_with("_before") && text.len() <= 10 => {
            let last =
                Time::parse(text).map_err(|error| Problem::bad_request(error.to_string()))?;
            let end = last.unix_micros().saturating_add(DAY_MICROS);
            vec![Time::from_unix_micros(end).unwrap_or(last).to_string()]
        }
        _ => vec![text.to_owned()],
    })
}

#[cfg(test)]
mod tests {
    use retort_model::{ConversationFilter, RunFilter, Status};

    use super::*;

    #[test]
    fn the_last_day_belongs_to_the_range() {
        let days = [("created_from", "2024-03-01"), ("created_to", "2024-03-02")];
        let filtering = FilterForm::<ConversationFilter>::of(&days);
        let range = filtering.filter().unwrap().created;
        for (moment, is_in) in [
            ("2024-02-29T23:59:59Z", false),
            ("2024-03-01T00:00:00Z", true),
            ("2024-03-02T23:59:59Z", true),
            ("2024-03-03T00:00:00Z", false),
        ] {
            assert_eq!(range.contains(Time::parse(moment).ok()), is_in, "{moment}");
        }
        assert_eq!(filtering.query(), "created_from=2024-03-01&created_to=2024-03-02");
        for wrong in [
            [("created_from", "2024-03-02"), ("created_to", "2024-03-01")],
            [("created_from", "soon"), ("created_to", "")],
            [("type", "poem"), ("turns", "")],
            [("type", ""), ("turns", "many")],
        ] {
            assert!(FilterForm::<ConversationFilter>::of(&wrong).filter().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_filter_comes_back_from_its_query() {
        for given in [
            vec![
                ("search", "refund tag:a"),
                ("created_from", "2024-03-01"),
                ("created_to", "2024-03-02"),
            ],
            vec![
                ("type", "chat"),
                ("turns", "4..10"),
                ("judged", "false"),
                ("created_to", "2024-12-31"),
            ],
            vec![],
        ] {
            let filter = FilterForm::<ConversationFilter>::of(&given).filter().unwrap();
            let query = FilterForm::query_of(&filter);
            assert_eq!(FilterForm::<ConversationFilter>::at(&query), filter, "{query}");
        }
    }

    #[test]
    fn a_condition_is_added_to_the_search_and_taken_out_of_it_again() {
        let narrowed = |search: &str, condition: &str| {
            FilterForm::<ConversationFilter>::of(&[("search", search), ("type", "chat")])
                .narrowed(condition)
                .unwrap()
        };
        let (query, is_set) = narrowed("refund", "tag:\"to do\"");
        assert_eq!((&*query, is_set), ("search=refund+tag%3A%22to+do%22&type=chat", false));
        let (query, is_set) = narrowed("refund tag:\"to do\"", "tag:\"to do\"");
        assert_eq!((&*query, is_set), ("search=refund&type=chat", true));
        assert_eq!(narrowed("tag:a", "tag:a"), ("type=chat".to_owned(), true));
        assert!(!narrowed("-tag:a", "tag:a").1);
    }

    #[test]
    fn a_form_has_every_field_and_reads_what_it_offers() {
        fn check<F: Filter>() {
            let empty = FilterForm::<F>::default();
            let inputs: Vec<_> = empty.first().into_iter().chain(empty.more()).collect();
            assert_eq!(inputs.len(), shown::<F>().count());
            for input in inputs {
                for (value, ..) in &input.choices {
                    FilterForm::<F>::of(&[(&input.name, value)]).filter().unwrap();
                }
            }
        }
        check::<ConversationFilter>();
        check::<RunFilter>();
        let all = FilterForm::<ConversationFilter>::of(&[("status", "all"), ("tag", " a ")]);
        let filter = all.filter().unwrap();
        assert_eq!((&*filter.statuses, &*filter.tags), (Status::ALL, &["a".to_owned()][..]));
    }
}
