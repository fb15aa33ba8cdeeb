//! The sort order and the columns of a list. Both are in the URL of the page.

use retort_model::Filter;
use retort_service::ListOrder;

use super::filter_form::FilterForm;
use crate::problem::Problem;
use crate::wire;

/// A list of items of one kind.
pub(super) trait Listed: Sized + 'static {
    type Filter: Filter;
    /// An item as the list shows it.
    type Row;
    type Order: ListOrder;

    /// The label of the first column, which is always shown, and the orders after a first and a second click on it.
    const FIRST: (&'static str, Option<[Self::Order; 2]>);
    /// The other columns, in their order on the page.
    const COLUMNS: &'static [Column<Self>];
}

/// A column other than the first.
pub(super) struct Column<L: Listed> {
    /// Its name in URLs.
    name: &'static str,
    label: &'static str,
    /// The classes of its cells.
    class: &'static str,
    /// The class that hides it on narrow screens, unless it was selected.
    narrow: &'static str,
    /// Whether the list has it by default.
    is_usual: bool,
    /// The orders after a first and a second click on its heading.
    orders: Option<[L::Order; 2]>,
    text: fn(&L::Row) -> String,
    tags: fn(&L::Row) -> Vec<String>,
    /// A class that depends on the item.
    state: fn(&L::Row) -> &'static str,
    /// The meaning of a mark next to the text, if there is one.
    mark: fn(&L::Row) -> Option<&'static str>,
    /// Whether its cells are links to the item.
    is_link: bool,
}

/// The name in the URL if only the first column is selected.
const FIRST_ALONE: &str = "title";

impl<L: Listed> Column<L> {
    pub(super) const fn new(
        name: &'static str,
        label: &'static str,
        class: &'static str,
        text: fn(&L::Row) -> String,
    ) -> Self {
        Self {
            name,
            label,
            class,
            narrow: "",
            is_usual: false,
            orders: None,
            text,
            tags: |_| Vec::new(),
            state: |_| "",
            mark: |_| None,
            is_link: false,
        }
    }

    /// A column that the list has by default. The class `narrow` hides it on narrow screens.
    pub(super) const fn usual(
        name: &'static str,
        label: &'static str,
        class: &'static str,
        narrow: &'static str,
        text: fn(&L::Row) -> String,
    ) -> Self {
        Self { narrow, is_usual: true, ..Self::new(name, label, class, text) }
    }

    pub(super) const fn sorted(self, orders: [L::Order; 2]) -> Self {
        Self { orders: Some(orders), ..self }
    }

    pub(super) const fn tagged(self, tags: fn(&L::Row) -> Vec<String>) -> Self {
        Self { tags, ..self }
    }

    pub(super) const fn state(self, state: fn(&L::Row) -> &'static str) -> Self {
        Self { state, ..self }
    }

    pub(super) const fn marked(self, mark: fn(&L::Row) -> Option<&'static str>) -> Self {
        Self { mark, ..self }
    }

    pub(super) const fn link(self) -> Self {
        Self { is_link: true, ..self }
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

/// The content of a row in a column.
pub(super) struct Cell {
    pub(super) class: String,
    pub(super) text: String,
    pub(super) tags: Vec<String>,
    /// The meaning of a mark next to the text, if there is one.
    pub(super) mark: Option<&'static str>,
    pub(super) is_link: bool,
}

/// A choice of a form: its name, its label, and whether it is selected.
pub(super) type Offered = (&'static str, String, bool);

/// Orders and columns to choose from.
#[derive(Default)]
pub(super) struct Choices {
    pub(super) headings: Vec<Heading>,
    pub(super) orders: Vec<Offered>,
    pub(super) columns: Vec<Offered>,
    /// The URL of the list without a query.
    pub(super) list: String,
    /// The parameters of the URL other than filter, order and columns: names and values.
    pub(super) beside: Vec<(&'static str, String)>,
}

/// The sort order and the columns of a list.
pub(super) struct Arrangement<L: Listed> {
    pub(super) order: L::Order,
    /// Whether someone chose it.
    pub(super) is_sorted: bool,
    /// None if none were chosen.
    columns: Option<Vec<&'static Column<L>>>,
}

impl<L: Listed> Default for Arrangement<L> {
    fn default() -> Self {
        Self { order: L::Order::default(), is_sorted: false, columns: None }
    }
}

impl<L: Listed> Arrangement<L> {
    /// What an address says.
    ///
    /// # Errors
    /// It names an order or a column that there is none of.
    pub(super) fn of(filtering: &FilterForm<L::Filter>) -> Result<Self, Problem> {
        let wanted = Some(filtering.value("sort")).filter(|name| !name.is_empty());
        let order = wire::order(wanted)?;
        let named = |name: &str| {
            let found = L::COLUMNS.iter().find(|column| column.name == name);
            found.ok_or_else(|| Problem::bad_request(format!("unknown column `{name}`")))
        };
        let names = filtering.values("column");
        let columns = names.iter().filter(|name| **name != FIRST_ALONE).map(|name| named(name));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let columns = (!names.is_empty()).then_some(columns);
        Ok(Self { order: order.unwrap_or_default(), is_sorted: order.is_some(), columns })
    }

    /// The order of the list at that query.
    pub(super) fn order_at(query: &str) -> L::Order {
        let filtering = serde_html_form::from_str::<FilterForm<_>>(query).unwrap_or_default();
        Self::of(&filtering).map(|found| found.order).unwrap_or_default()
    }

    /// The names of the selected columns; none for the default columns.
    pub(super) fn chosen(&self) -> Option<Vec<String>> {
        let columns = self.columns.as_ref()?;
        Some(columns.iter().map(|one| one.name.to_owned()).collect())
    }

    /// Appends the selected columns to a query.
    pub(super) fn add_columns(
        query: &mut url::form_urlencoded::Serializer<'_, String>,
        columns: &[String],
    ) {
        if columns.is_empty() {
            query.append_pair("column", FIRST_ALONE);
        }
        // A later release may have saved columns that this one does not know.
        let known = |name: &&String| L::COLUMNS.iter().any(|column| column.name == **name);
        query.extend_pairs(columns.iter().filter(known).map(|name| ("column", name)));
    }

    /// Whether the list has that column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.columns().any(|(column, _)| column.name == name)
    }

    fn columns(&self) -> impl Iterator<Item = (&'static Column<L>, String)> {
        let is_shown = |column: &&Column<L>| match &self.columns {
            Some(columns) => columns.iter().any(|chosen| chosen.name == column.name),
            None => column.is_usual,
        };
        let class = |column: &'static Column<L>| match (&self.columns, column.narrow) {
            (Some(_), _) | (None, "") => (column, column.class.to_owned()),
            (None, narrow) => (column, format!("{} {narrow}", column.class)),
        };
        L::COLUMNS.iter().filter(is_shown).map(class)
    }

    /// The headings, orders and columns of the list at that URL.
    pub(super) fn choices(&self, filtering: &FilterForm<L::Filter>, list: &str) -> Choices {
        Choices {
            headings: self.headings(filtering),
            orders: self.orders(),
            columns: self.offered(),
            list: list.to_owned(),
            beside: Vec::new(),
        }
    }

    /// The headings, beginning with the first column.
    fn headings(&self, filtering: &FilterForm<L::Filter>) -> Vec<Heading> {
        let heading = |label, class, orders: Option<[L::Order; 2]>| {
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
        let (label, orders) = L::FIRST;
        let first = heading(label, String::new(), orders);
        let others = self.columns().map(|(column, class)| {
            // Numbers are aligned in the heading, too; texts are not cut there.
            let is_kept = |class: &&str| ["num", "hide", "wide"].contains(class);
            let class: Vec<_> = class.split(' ').filter(is_kept).collect();
            heading(column.label, class.join(" "), column.orders)
        });
        std::iter::once(first).chain(others).collect()
    }

    /// The cells of a row, without the first.
    pub(super) fn cells(&self, one: &L::Row) -> Vec<Cell> {
        let cell = |(column, class): (&Column<L>, String)| Cell {
            class: match (column.state)(one) {
                "" => class,
                state => format!("{class} {state}"),
            },
            text: (column.text)(one),
            tags: (column.tags)(one),
            mark: (column.mark)(one),
            is_link: column.is_link,
        };
        self.columns().map(cell).collect()
    }

    /// The orders to choose from.
    fn orders(&self) -> Vec<Offered> {
        let words = |order: L::Order| super::display::capital(order.words());
        let each = |&order: &L::Order| (order.as_str(), words(order), order == self.order);
        L::Order::ALL.iter().map(each).collect()
    }

    /// The columns to choose from.
    fn offered(&self) -> Vec<Offered> {
        let offered = |one: &Column<L>| (one.name, one.label.to_owned(), self.has(one.name));
        L::COLUMNS.iter().map(offered).collect()
    }
}
