//! A field of a filter, and what follows from the table of them.

use std::fmt::Display;
use std::str::FromStr;

use crate::bounds::{FIELD_VALUES, IDS_PER_REQUEST, SEARCH_CHARACTERS, SEARCH_TEXTS};
use crate::item::ItemKind;
use crate::time::Time;

/// One field of a filter.
pub struct FilterField<F: 'static> {
    /// Its name in queries, JSON and forms. The command line writes `-` for `_`.
    pub name: &'static str,
    /// Which items it leaves, in a sentence without a full stop.
    pub about: &'static str,
    /// The values that it takes.
    pub values: FilterValues,
    /// Whether it takes several values, any of which may match.
    pub is_list: bool,
    /// What is meant without it, if that is not all items.
    pub default: Option<&'static str>,
    /// Earlier names in queries and JSON, which are still read.
    pub former: &'static [&'static str],
    /// Earlier names on the command line, which are still taken.
    pub former_options: &'static [&'static str],
    get: fn(&F) -> Vec<String>,
    set: fn(&mut F, &str) -> Result<(), String>,
}

/// The values that a field of a filter takes.
#[derive(Clone, Copy, Debug)]
pub enum FilterValues {
    /// A text.
    Text,
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
    /// A date or a moment.
    Time,
    /// Yes or no.
    Flag,
    /// A range of whole numbers ([`NumberRange`](super::NumberRange)).
    Range,
    /// A range of decimal numbers ([`DecimalRange`](super::DecimalRange)).
    Decimals,
    /// The largest number of items, whatever else the filter says.
    Limit,
}

impl FilterValues {
    /// What a value is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text | Self::Words(_) => "a text",
            Self::Time => "a date or time such as `2026-03-01` or `2026-03-01T12:00:00Z`",
            Self::Flag => "`true` or `false`",
            Self::Range => "a range of whole numbers: `4..10`, `4..`, `..10` or `4`",
            Self::Decimals => "a range of numbers: `0.5..4`, `4..`, `..1` or `3`",
            Self::Limit => "a whole number",
        }
    }
}

impl<F> FilterField<F> {
    /// A field with one value.
    pub(super) const fn one(
        name: &'static str,
        about: &'static str,
        values: FilterValues,
        get: fn(&F) -> Vec<String>,
        set: fn(&mut F, &str) -> Result<(), String>,
    ) -> Self {
        Self {
            name,
            about,
            values,
            is_list: false,
            default: None,
            former: &[],
            former_options: &[],
            get,
            set,
        }
    }

    /// A field with any number of values.
    pub(super) const fn list(
        name: &'static str,
        about: &'static str,
        values: FilterValues,
        get: fn(&F) -> Vec<String>,
        set: fn(&mut F, &str) -> Result<(), String>,
    ) -> Self {
        Self { is_list: true, ..Self::one(name, about, values, get, set) }
    }

    pub(super) const fn default(self, words: &'static str) -> Self {
        Self { default: Some(words), ..self }
    }

    pub(super) const fn formerly(
        self,
        names: &'static [&'static str],
        options: &'static [&'static str],
    ) -> Self {
        Self { former: names, former_options: options, ..self }
    }

    /// As the command line writes it, without the dashes in front.
    pub fn long(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The field's values in a filter, as texts; none if it is not set.
    pub fn values_in(&self, filter: &F) -> Vec<String> {
        (self.get)(filter)
    }

    /// Sets the field, or adds a value to a list.
    ///
    /// # Errors
    /// The field does not take the value; the error says what it takes.
    pub fn set(&self, filter: &mut F, text: &str) -> Result<(), String> {
        (self.set)(filter, text)
    }

    fn is_named(&self, name: &str) -> bool {
        self.name == name || self.former.contains(&name)
    }
}

/// A filter with a table of its fields.
pub trait Filter: Clone + Default + PartialEq + Send + Sync + 'static {
    /// What it filters.
    const KIND: ItemKind;
    /// Its name in the API's description.
    const NAME: &'static str;
    /// Its fields, in the order in which help and forms show them.
    const FIELDS: &'static [FilterField<Self>];

    /// The field of that name, or that had it.
    ///
    /// # Errors
    /// There is none; the error names the most similar one, or all.
    fn field(name: &str) -> Result<&'static FilterField<Self>, String> {
        Self::FIELDS
            .iter()
            .find(|field| field.is_named(name))
            .ok_or_else(|| unknown(name, Self::FIELDS.iter().map(|field| field.name)))
    }

    /// The fields that say which items are meant: all but the limit.
    fn conditions() -> impl Iterator<Item = &'static FilterField<Self>> {
        Self::FIELDS.iter().filter(|field| !matches!(field.values, FilterValues::Limit))
    }

    /// The conditions as a query has them: names and values, lists as one pair a value.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        Self::conditions()
            .flat_map(|field| field.values_in(self).into_iter().map(|value| (field.name, value)))
            .collect()
    }

    /// Reads the conditions from the pairs of a query.
    ///
    /// # Errors
    /// A name that there is not, a value that is not taken, or a second value for a field that takes one.
    fn from_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, text) in pairs {
            let field = Self::conditions()
                .find(|field| field.is_named(name))
                .ok_or_else(|| unknown(name, Self::conditions().map(|field| field.name)))?;
            if !field.is_list && !field.values_in(&filter).is_empty() {
                return Err(format!("`{}` is given twice", field.name));
            }
            field.set(&mut filter, text)?;
        }
        filter.check()?;
        Ok(filter)
    }

    /// Refuses a filter that asks for too much at once.
    ///
    /// # Errors
    /// Says which field, and how much it takes.
    fn check(&self) -> Result<(), String> {
        for field in Self::FIELDS.iter().filter(|field| field.is_list) {
            let values = field.values_in(self);
            if field.name == SEARCH {
                check_search(&values)?;
            }
            let most = if field.name == ID { IDS_PER_REQUEST } else { FIELD_VALUES };
            if values.len() > most {
                let name = field.name;
                return Err(format!(
                    "at most {most} values of `{name}`; use other fields to select more"
                ));
            }
        }
        Ok(())
    }
}

/// The name of the field whose texts are bounded by [`check_search`].
pub(super) const SEARCH: &str = "search";

/// The name of the field of ids, of which there may be many.
const ID: &str = "id";

/// Refuses a search for nothing, for too many texts, or for one that is too long.
///
/// # Errors
/// It is one of these.
pub fn check_search(texts: &[String]) -> Result<(), String> {
    if texts.iter().any(String::is_empty) {
        return Err("`search` is empty".into());
    }
    if texts.len() > SEARCH_TEXTS {
        return Err(format!("`search` takes at most {SEARCH_TEXTS} texts"));
    }
    if texts.iter().any(|text| text.chars().nth(SEARCH_CHARACTERS).is_some()) {
        return Err(format!("a text in `search` has at most {SEARCH_CHARACTERS} characters"));
    }
    Ok(())
}

/// The name that may have been meant by one that is not known.
pub(super) fn nearest(
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let near = known.map(|one| (distance(name, one), one)).min();
    let near =
        near.filter(|(distance, one)| *distance <= 1 + one.len() / 4 || is_shuffled(name, one));
    near.map(|(_, one)| one)
}

/// Says that a name is not known, and which one may have been meant.
pub(super) fn unknown(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let known: Vec<_> = known.collect();
    let near = nearest(name, known.iter().copied());
    let hint = near.map(|one| format!("; did you mean `{one}`?")).unwrap_or_default();
    let names: Vec<_> = known.iter().map(|one| format!("`{one}`")).collect();
    format!("unknown field `{name}`{hint} (known fields: {})", names.join(", "))
}

/// Whether two names have the same letters in another order.
fn is_shuffled(one: &str, other: &str) -> bool {
    let sorted = |name: &str| {
        let mut bytes = name.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}

/// How many characters must be added, taken away or replaced to make one text of the other, of names up to 40
/// characters; more of longer ones.
fn distance(one: &str, other: &str) -> usize {
    const LONGEST: usize = 40;
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len() > LONGEST {
        return one.len();
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, left) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// Reads a limit.
pub(super) fn limit(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

/// Reads a date or a moment.
pub(super) fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).map_err(|error| error.to_string())
}

/// Reads yes or no.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("`{text}` is neither `true` nor `false`"))
}

/// Adds what a text says to a list.
pub(super) fn add<L>(list: &mut L, text: &str) -> Result<(), String>
where
    L: IntoIterator<Item: FromStr<Err: Display>> + Extend<<L as IntoIterator>::Item>,
{
    list.extend([text.parse().map_err(|error| format!("{error}"))?]);
    Ok(())
}

/// A field of texts or words in a vector or a set.
macro_rules! list {
    ($name:literal, $about:literal, $values:expr, $($field:ident).+) => {
        FilterField::list(
            $name,
            $about,
            $values,
            |filter: &Self| filter.$($field).+.iter().map(ToString::to_string).collect(),
            |filter: &mut Self, text: &str| add(&mut filter.$($field).+, text),
        )
    };
}

/// A field with a range of numbers.
macro_rules! range {
    ($name:literal, $about:literal, $field:ident) => {
        range!($name, $about, FilterValues::Range, $field)
    };
    ($name:literal, $about:literal, $values:expr, $field:ident) => {
        FilterField::one(
            $name,
            $about,
            $values,
            |filter: &Self| match filter.$field.is_all() {
                true => Vec::new(),
                false => vec![filter.$field.to_string()],
            },
            |filter: &mut Self, text: &str| {
                filter.$field = text.parse()?;
                Ok(())
            },
        )
    };
}

/// A field with one value that may be missing.
macro_rules! one {
    ($name:literal, $about:literal, $values:expr, $($field:ident).+, $parse:expr) => {
        FilterField::one(
            $name,
            $about,
            $values,
            |filter: &Self| filter.$($field).+.iter().map(ToString::to_string).collect(),
            |filter: &mut Self, text: &str| {
                filter.$($field).+ = Some($parse(text)?);
                Ok(())
            },
        )
    };
}
pub(super) use {list, one, range};
