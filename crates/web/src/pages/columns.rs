//! The columns of the lists of conversations, runs and documents.

use retort_model::{ConversationFilter, DecimalRange, DocumentFilter, EmbeddingStats, RunFilter};
use retort_service::{
    DocumentOrder, DocumentSummary, ListOrder, Order, RunOrder, RunSummary, Shown, Summary,
};

use super::arrangement::{Arrangement, Column, Listed};
use super::display::{bytes, count, day, moment, status_class, took};
use super::filter_form::FilterForm;

/// The list of conversations.
pub(super) struct Conversations;

/// The list of the runs of a copilot, recipe or application.
pub(super) struct Runs;

/// The list of documents.
pub(super) struct Documents;

impl Listed for Conversations {
    type Filter = ConversationFilter;
    type Row = Summary;
    type Order = Order;

    const FIRST: (&'static str, Option<[Order; 2]>) =
        ("Title", Some([Order::Title, Order::TitleDown]));
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::usual("type", "Type", "kind", "", |one| one.kind.to_string()),
        Column::<Self>::usual("status", "Status", "kind", "hide", |one| one.status.to_string()),
        Column::<Self>::usual("tags", "Tags", "tags", "hide", |_| String::new())
            .tagged(|one| one.tags.clone()),
        Column::<Self>::usual("model", "Model", "kind cut", "wide", |one| text(one.model.as_ref())),
        Column::<Self>::usual("rounds", "Rounds", "num", "hide", |one| count(one.rounds)),
        Column::<Self>::new("turns", "Turns", "num", |one| count(one.turns))
            .sorted([Order::MostTurns, Order::FewestTurns]),
        Column::<Self>::new("messages", "Messages", "num", |one| count(one.messages)),
        Column::<Self>::new("tokens", "Tokens", "num", |one| some(one.tokens))
            .sorted([Order::MostTokens, Order::FewestTokens]),
        Column::<Self>::new("score", "Score", "num", |one| {
            one.score.map(decimal).unwrap_or_default()
        })
        .sorted([Order::BestScore, Order::BestScore]),
        Column::<Self>::new("language", "Language", "kind", |one| text(one.language.as_ref())),
        Column::<Self>::new("owner", "Person", "kind cut", |one| text(one.owner.as_ref())),
        Column::<Self>::new("format", "Format", "kind", |one| one.source.clone()),
        Column::<Self>::new("changed", "Changed", "kind", |one| day(one.updated_at))
            .sorted([Order::Changed, Order::Unchanged]),
        Column::<Self>::usual("created", "Created", "kind", "", |one| day(one.created_at))
            .sorted([Order::Newest, Order::Oldest]),
    ];
}

/// The column with the question of a run. It links to the run, so that narrow screens need not show the id.
pub(super) const QUESTION: &str = "question";

impl Listed for Runs {
    type Filter = RunFilter;
    type Row = RunSummary;
    type Order = RunOrder;

    const FIRST: (&'static str, Option<[RunOrder; 2]>) = ("Request ID", None);
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::usual(QUESTION, "Question", "title", "", |one| match asked(one) {
            "" => "no question".into(),
            question => question.into(),
        })
        .state(|one| if asked(one).is_empty() { "hint" } else { "" })
        .link(),
        Column::<Self>::usual("answer", "Answer", "title kind", "hide", |one| {
            text(one.answer.as_ref())
        })
        .link(),
        Column::<Self>::usual("error", "Error", "title short bad", "", |one| {
            text(one.error.as_ref())
        })
        .link(),
        Column::<Self>::usual("files", "Files", "num", "hide", |one| some(one.files)),
        Column::<Self>::usual("status", "Status", "kind", "hide", |one| one.status.to_string())
            .state(|one| status_class(one.status))
            .marked(|one| one.has_feedback.then_some("with feedback")),
        Column::<Self>::usual("version", "Version", "kind", "wide", |one| {
            text(one.version.as_ref())
        }),
        Column::<Self>::new("nodes", "Nodes", "num", |one| some(one.nodes)),
        Column::<Self>::new("score", "Score", "num", |one| match one.scores {
            Some([least, most]) if least == most => decimal(most),
            Some([least, most]) => format!("{} to {}", decimal(least), decimal(most)),
            None => String::new(),
        })
        .sorted([RunOrder::WorstScore, RunOrder::BestScore]),
        Column::<Self>::new("owner", "Person", "kind cut", |one| text(one.owner.as_ref())),
        Column::<Self>::new("thread", "Thread", "kind cut", |one| text(one.thread.as_ref())),
        Column::<Self>::usual("started", "Started", "kind", "hide", |one| moment(one.started_at))
            .sorted([RunOrder::Newest, RunOrder::Oldest]),
        Column::<Self>::usual("time", "Time", "num", "hide", |one| {
            took(one.started_at, one.finished_at)
        })
        .sorted([RunOrder::Slowest, RunOrder::Slowest]),
    ];
}

impl Listed for Documents {
    type Filter = DocumentFilter;
    type Row = DocumentSummary;
    type Order = DocumentOrder;

    const FIRST: (&'static str, Option<[DocumentOrder; 2]>) =
        ("Name", Some([DocumentOrder::Name, DocumentOrder::NameDown]));
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::usual("url", "URL", "kind cut", "hide", |one| text(one.url.as_ref())),
        Column::<Self>::usual("chunks", "Chunks", "num", "", |one| count(one.chunks))
            .sorted([DocumentOrder::MostChunks, DocumentOrder::FewestChunks]),
        Column::<Self>::usual("embeddings", "Embeddings", "num", "hide", |one| {
            in_words(&one.embeddings)
        }),
        Column::<Self>::new("model", "Embedding model", "kind cut", |one| {
            text(one.embeddings.model.as_ref())
        }),
        Column::<Self>::new("format", "Format", "kind", |one| one.source.clone()),
        Column::<Self>::new("size", "Size", "num", |one| bytes(one.size)),
        Column::<Self>::usual("original", "Original", "kind", "hide", |one| {
            one.original.as_ref().map(|original| bytes(original.bytes)).unwrap_or_default()
        }),
        Column::<Self>::usual("created", "Created", "kind", "", |one| moment(one.created_at))
            .sorted([DocumentOrder::Newest, DocumentOrder::Oldest]),
    ];
}

impl Arrangement<Conversations> {
    /// The filter, order and columns for a saved view.
    pub(super) fn shown(&self, filter: ConversationFilter) -> Shown {
        Shown { filter, order: self.is_sorted.then_some(self.order), columns: self.chosen() }
    }

    /// The query of the page that shows a saved view, without `?`.
    pub(super) fn query_of(shown: &Shown) -> String {
        let query = FilterForm::query_of(&shown.filter);
        let mut query = url::form_urlencoded::Serializer::new(query);
        if let Some(order) = shown.order {
            query.append_pair("sort", order.as_str());
        }
        if let Some(columns) = &shown.columns {
            Self::add_columns(&mut query, columns);
        }
        query.finish()
    }
}

fn text(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

/// A number, if it is not 0.
fn some(number: u64) -> String {
    if number > 0 { count(number) } else { String::new() }
}

/// A score, from millionths.
fn decimal(score: i64) -> String {
    DecimalRange { from: Some(score), to: Some(score) }.to_string()
}

fn asked(run: &RunSummary) -> &str {
    run.question.as_deref().unwrap_or_default()
}

/// The dimensions and precision of embeddings, in words; empty if there are none.
pub(super) fn in_words(stats: &EmbeddingStats) -> String {
    match (stats.least_dimension, stats.most_dimension) {
        _ if stats.embedded == 0 => String::new(),
        (least, most) if least == most => format!("{most} dimensions, float{}", stats.width),
        (least, most) => format!("{least} to {most} dimensions, float{}", stats.width),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    fn arranged(given: &[(&str, &str)]) -> Result<Arrangement<Conversations>, Problem> {
        Arrangement::of(&FilterForm::of(given))
    }

    #[test]
    fn a_view_restores_its_order_and_columns() {
        for given in [
            &[("search", "refund"), ("sort", "most-turns"), ("column", "tokens")][..],
            &[("column", "title")],
            &[("sort", "title-down")],
            &[],
        ] {
            let shown = arranged(given).unwrap().shown(ConversationFilter::default());
            let query = Arrangement::<Conversations>::query_of(&shown);
            let read = serde_html_form::from_str::<FilterForm<ConversationFilter>>(&query).unwrap();
            let again = Arrangement::<Conversations>::of(&read)
                .unwrap()
                .shown(ConversationFilter::default());
            assert_eq!(shown, again, "{query}");
        }
        for wrong in [("sort", "worst"), ("column", "password")] {
            assert!(arranged(&[wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_heading_sorts_by_its_column_and_then_in_reverse() {
        let filtering =
            FilterForm::of(&[("search", "a"), ("sort", "most-tokens"), ("column", "tokens")]);
        let arrangement = Arrangement::<Conversations>::of(&filtering).unwrap();
        let headings = arrangement.choices(&filtering, "/export").headings;
        let [title, tokens] = &headings[..] else { panic!("{} headings", headings.len()) };
        assert_eq!(title.query.as_deref(), Some("sort=title&search=a&column=tokens"));
        assert_eq!(tokens.query.as_deref(), Some("sort=fewest-tokens&search=a&column=tokens"));
        assert_eq!((title.sorted, tokens.sorted), (None, Some("descending")));
    }
}
