//! In which order the list of conversations comes, and which columns it has: both are in the address of the page.

use retort_model::{ConversationFilter, DecimalRange};
use retort_service::{Order, Shown, Summary};

use super::display::{count, day};
use super::filter_form::FilterForm;
use crate::problem::Problem;

/// A column beside the title.
pub(super) struct Column {
    /// Its name in addresses.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// The classes of its cells.
    class: &'static str,
    /// The class that leaves it out where there is no room, unless it was chosen.
    narrow: &'static str,
    /// Whether the list has it if nothing was chosen.
    is_usual: bool,
    /// The orders of a click on its heading, and of another.
    orders: Option<[Order; 2]>,
    text: fn(&Summary) -> String,
}

/// The columns, in their order on the page.
const COLUMNS: &[Column] = &[
    Column::usual("type", "Type", "kind", "", |one| one.kind.to_string()),
    Column::usual("status", "Status", "kind", "hide", |one| one.status.to_string()),
    Column::usual(TAGS, "Tags", "tags", "hide", |_| String::new()),
    Column::usual("model", "Model", "kind cut", "wide", |one| text(one.model.as_ref())),
    Column::usual("rounds", "Rounds", "num", "hide", |one| count(one.rounds)),
    Column::new("turns", "Turns", "num", |one| count(one.turns))
        .sorted([Order::MostTurns, Order::FewestTurns]),
    Column::new("messages", "Messages", "num", |one| count(one.messages)),
    Column::new("tokens", "Tokens", "num", |one| match one.tokens {
        0 => String::new(),
        tokens => count(tokens),
    })
    .sorted([Order::MostTokens, Order::FewestTokens]),
    Column::new("score", "Score", "num", |one| {
        let score = |score| DecimalRange { from: Some(score), to: Some(score) }.to_string();
        one.score.map(score).unwrap_or_default()
    })
    .sorted([Order::BestScore, Order::BestScore]),
    Column::new("language", "Language", "kind", |one| text(one.language.as_ref())),
    Column::new("owner", "Person", "kind cut", |one| text(one.owner.as_ref())),
    Column::new("format", "Format", "kind", |one| one.source.clone()),
    Column::new("changed", "Changed", "kind", |one| day(one.updated_at))
        .sorted([Order::Changed, Order::Unchanged]),
    Column::usual("created", "Created", "kind", "", |one| day(one.created_at))
        .sorted([Order::Newest, Order::Oldest]),
];

/// The column whose cells hold tags.
const TAGS: &str = "tags";

/// The name that an address has if it chooses no column beside the title.
const TITLE_ALONE: &str = "title";

fn text(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

impl Column {
    const fn new(
        name: &'static str,
        label: &'static str,
        class: &'static str,
        text: fn(&Summary) -> String,
    ) -> Self {
        Self { name, label, class, narrow: "", is_usual: false, orders: None, text }
    }

    const fn usual(
        name: &'static str,
        label: &'static str,
        class: &'static str,
        narrow: &'static str,
        text: fn(&Summary) -> String,
    ) -> Self {
        Self { name, label, class, narrow, is_usual: true, orders: None, text }
    }

    const fn sorted(self, orders: [Order; 2]) -> Self {
        Self { orders: Some(orders), ..self }
    }
}

/// The heading of a column.
pub(super) struct Heading {
    pub(super) label: &'static str,
    pub(super) class: String,
    /// The query of the page that is sorted by it.
    pub(super) query: Option<String>,
    /// `ascending` or `descending`, if the page is sorted by it.
    pub(super) sorted: Option<&'static str>,
}

/// What a row has in a column.
pub(super) struct Cell {
    pub(super) class: String,
    pub(super) text: String,
    pub(super) tags: Vec<String>,
}

/// A choice of a form: its name, its label, and whether it is chosen.
pub(super) type Offered = (&'static str, String, bool);

/// In which order the list comes, and which columns it has.
pub(super) struct Arrangement {
    pub(super) order: Order,
    /// Whether someone chose it.
    is_sorted: bool,
    /// None if none were chosen.
    columns: Option<Vec<&'static Column>>,
}

impl Arrangement {
    /// What an address says.
    ///
    /// # Errors
    /// It names an order or a column that there is none of.
    pub(super) fn of(filtering: &FilterForm<ConversationFilter>) -> Result<Self, Problem> {
        let wanted = filtering.value("sort");
        let order = match wanted {
            "" => Order::default(),
            name => Order::by_name(name).ok_or_else(|| {
                let names = Order::ALL.map(Order::as_str).join("`, `");
                Problem::bad_request(format!("unknown order `{name}`; use one of `{names}`"))
            })?,
        };
        let named = |name: &str| {
            let found = COLUMNS.iter().find(|column| column.name == name);
            found.ok_or_else(|| Problem::bad_request(format!("unknown column `{name}`")))
        };
        let names = filtering.values("column");
        let columns = names.iter().filter(|name| **name != TITLE_ALONE).map(|name| named(name));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let columns = (!names.is_empty()).then_some(columns);
        Ok(Self { order, is_sorted: !wanted.is_empty(), columns })
    }

    /// The order of the list at that query.
    pub(super) fn order_at(query: &str) -> Order {
        let filtering = serde_html_form::from_str::<FilterForm<_>>(query).unwrap_or_default();
        Self::of(&filtering).map(|found| found.order).unwrap_or_default()
    }

    /// As a saved view keeps it, with its filter.
    pub(super) fn shown(&self, filter: ConversationFilter) -> Shown {
        let names = |columns: &Vec<&Column>| columns.iter().map(|one| one.name.into()).collect();
        Shown {
            filter,
            order: self.is_sorted.then_some(self.order),
            columns: self.columns.as_ref().map(names),
        }
    }

    /// The query of the page that shows a saved view, without `?`.
    pub(super) fn query_of(shown: &Shown) -> String {
        let query = FilterForm::query_of(&shown.filter);
        let mut query = url::form_urlencoded::Serializer::new(query);
        if let Some(order) = shown.order {
            query.append_pair("sort", order.as_str());
        }
        match shown.columns.as_deref() {
            Some([]) => drop(query.append_pair("column", TITLE_ALONE)),
            Some(names) => {
                // A later release may have saved columns that this one does not know.
                let known = |name: &&String| COLUMNS.iter().any(|column| column.name == **name);
                let known = names.iter().filter(known);
                query.extend_pairs(known.map(|name| ("column", name)));
            }
            None => {}
        }
        query.finish()
    }

    fn columns(&self) -> impl Iterator<Item = (&'static Column, String)> {
        let is_shown = |column: &&Column| match &self.columns {
            Some(columns) => columns.iter().any(|chosen| chosen.name == column.name),
            None => column.is_usual,
        };
        let class = |column: &'static Column| match (&self.columns, column.narrow) {
            (Some(_), _) | (None, "") => (column, column.class.to_owned()),
            (None, narrow) => (column, format!("{} {narrow}", column.class)),
        };
        COLUMNS.iter().filter(is_shown).map(class)
    }

    /// The headings, of the title first.
    pub(super) fn headings(&self, filtering: &FilterForm<ConversationFilter>) -> Vec<Heading> {
        let heading = |label, class, orders: Option<[Order; 2]>| {
            let next =
                orders.map(|[first, second]| if self.order == first { second } else { first });
            let is_here = orders.is_some_and(|orders| orders.contains(&self.order));
            Heading {
                label,
                class,
                query: next.map(|order| filtering.with("sort", order.as_str())),
                sorted: is_here.then(|| self.order.direction_words()),
            }
        };
        let title = heading("Title", String::new(), Some([Order::Title, Order::TitleDown]));
        let others = self.columns().map(|(column, class)| {
            // Numbers are aligned in the heading, too; texts are not cut there.
            let class = class.replace("kind", "").replace("cut", "").trim().to_owned();
            heading(column.label, class, column.orders)
        });
        std::iter::once(title).chain(others).collect()
    }

    /// The cells of a row, without its title.
    pub(super) fn cells(&self, one: &Summary) -> Vec<Cell> {
        let cell = |(column, class): (&Column, String)| Cell {
            class,
            text: (column.text)(one),
            tags: if column.name == TAGS { one.tags.clone() } else { Vec::new() },
        };
        self.columns().map(cell).collect()
    }

    /// The orders to choose from.
    pub(super) fn orders(&self) -> Vec<Offered> {
        let words = |order: Order| super::display::capital(order.words());
        Order::ALL.map(|order| (order.as_str(), words(order), order == self.order)).into()
    }

    /// The columns to choose from.
    pub(super) fn offered(&self) -> Vec<Offered> {
        let shown: Vec<&str> = self.columns().map(|(column, _)| column.name).collect();
        let offered = |one: &Column| (one.name, one.label.to_owned(), shown.contains(&one.name));
        COLUMNS.iter().map(offered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(given: &[(&str, &str)]) -> Result<Arrangement, Problem> {
        Arrangement::of(&FilterForm::of(given))
    }

    #[test]
    fn a_view_brings_its_order_and_columns_back() {
        for given in [
            &[("search", "refund"), ("sort", "most-turns"), ("column", "tokens")][..],
            &[("column", "title")],
            &[("sort", "title-down")],
            &[],
        ] {
            let shown = arranged(given).unwrap().shown(ConversationFilter::default());
            let query = Arrangement::query_of(&shown);
            let read = serde_html_form::from_str::<FilterForm<ConversationFilter>>(&query).unwrap();
            let again = Arrangement::of(&read).unwrap().shown(ConversationFilter::default());
            assert_eq!(shown, again, "{query}");
        }
        for wrong in [("sort", "worst"), ("column", "password")] {
            assert!(arranged(&[wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_heading_sorts_by_its_column_and_then_the_other_way_round() {
        let filtering =
            FilterForm::of(&[("search", "a"), ("sort", "most-tokens"), ("column", "tokens")]);
        let arrangement = Arrangement::of(&filtering).unwrap();
        let headings = arrangement.headings(&filtering);
        let [title, tokens] = &headings[..] else { panic!("{} headings", headings.len()) };
        assert_eq!(title.query.as_deref(), Some("sort=title&search=a&column=tokens"));
        assert_eq!(tokens.query.as_deref(), Some("sort=fewest-tokens&search=a&column=tokens"));
        assert_eq!((title.sorted, tokens.sorted), (None, Some("descending")));
    }
}
