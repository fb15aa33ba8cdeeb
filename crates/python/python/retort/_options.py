"""The options of `convert` and `preview`, as `retort.options()` lists them, and the fields of `filter`, as
`retort.filters()` does. Written by tests/python/options.py.
"""

from typing import Literal, Sequence, TypedDict


class Options(TypedDict, total=False):
    data_format: Literal["standard", "openai", "chat", "prompt-completion", "preference", "kto", "prompt-only", "alpaca", "ms-swift", "history", "runs", "recipe-evaluation", "evaluation", "node-evaluation", "node-optimization", "documents", "chunks", "atif", "sts", "markdown", "otlp", "retort"]
    purpose: Literal["export-dataset", "recipe-evaluation", "node-evaluation", "node-optimization", "fine-tuning"]
    for_: Literal["ragas", "deepeval", "inspect", "promptfoo", "openai-evals"]
    node: str
    check: Literal["repair", "reject", "off"]
    wrap_arguments: bool
    fill: bool
    rows: Literal["per-conversation", "per-answer"]
    reasoning: Literal["keep", "extra", "think", "drop"]
    reasoning_field: Literal["reasoning_content", "thinking"]
    layout: Literal["trl", "llama-factory", "openai"]
    pairs: Literal["shown", "rated"]
    call_text: Literal["keep", "extra"]
    attachments: Literal["leave-out", "keep", "drop"]
    tools: Literal["text", "array"]
    tools_of: Literal["conversation", "answer"]
    tasks: bool
    branches: Literal["active", "all"]
    max_contexts: int
    embeddings: Literal["f64", "f32", "none"]
    dedup: Literal["none", "exact", "near"]
    decontaminate: str
    contaminated: Literal["leave-out", "report"]
    sample: str
    seed: int
    sample_by: Literal["none", "type", "model", "format", "owner", "tag", "language", "rating", "label"]
    balance: Literal["none", "type", "model", "format", "owner", "tag", "language", "rating", "label"]
    redact: str
    redact_with: Literal["mask", "pseudonym", "leave-out"]
    redact_rules: str
    template: str
    tokenizer: str
    max_tokens: int
    max_characters: int
    over_long: Literal["leave-out", "split"]
    file_name: str
    file_format: Literal["jsonl", "csv", "parquet"]
    compress: Literal["none", "gzip", "zstd"]
    findings: bool
    card_types: bool
    split: str
    group_by: Literal["conversation", "user", "family", "duplicates"]
    split_from: str
    papers: str
    csv: Literal["spreadsheet", "plain"]


class Filter(TypedDict, total=False):
    search: Sequence[str]
    created_from: str
    created_before: str
    type: Sequence[Literal["chat", "agent", "graph"]]
    status: Sequence[Literal["active", "favorite", "deleted"]]
    tag: Sequence[str]
    model: Sequence[str]
    tool: Sequence[str]
    owner: Sequence[str]
    format: Sequence[str]
    turns: str
    messages: str
    calls: str
    tokens: str
    score: str
    language: Sequence[str]
    rating: Sequence[Literal["good", "bad"]]
    label: Sequence[Literal["preferred", "rejected"]]
    judged_by: Sequence[str]
    judged: bool
    has_error: bool
    has_attachment: bool
    id: Sequence[str]
    limit: int
