//! Names of attributes that the reader of `otlp` and its writer (`data/otlp.rs`) share.

use retort_model::NodeKind;

/// What a span is, in Retort's words, where its source did not say.
pub const NODE_KIND: &str = "retort.node.kind";

/// OpenInference's name for what a span is, which is written beside it for other readers.
pub const KIND: &str = "openinference.span.kind";

/// Names under which a span's own ids are kept in the metadata of its node.
pub const SPAN_ID: &str = "span_id";
/// The same of its parent.
pub const PARENT_ID: &str = "parent_span_id";

/// The id of an application that does not say what it is called.
pub const UNNAMED: &str = "traces";

/// Names under which the conventions say what a span is, the special before the general.
pub(super) const KINDS: [&str; 8] = [
    KIND,
    "gen_ai.operation.name",
    "langfuse.observation.type",
    "mlflow.spanType",
    "traceloop.span.kind",
    "llm.request.type",
    "langsmith.span.kind",
    "span.type",
];

/// Whether one of the attributes says what a span is.
pub fn names_kind(has: impl Fn(&str) -> bool) -> bool {
    KINDS.iter().chain(&["ai.operationId", "operation.name"]).any(|name| has(name))
}

/// OpenInference's word for a kind.
pub fn kind_word(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::ModelCall => "LLM",
        NodeKind::Retrieval => "RETRIEVER",
        NodeKind::Tool => "TOOL",
        NodeKind::Agent => "AGENT",
        NodeKind::Other => "CHAIN",
    }
}
