"""The options of `convert` and `preview`, as `retort.options()` lists them. Written by tests/python/options.py."""

from typing import Literal, TypedDict


class Options(TypedDict, total=False):
    data_format: Literal["standard", "openai", "prompt-completion", "history", "runs", "recipe-evaluation", "node-evaluation", "node-optimization", "documents", "chunks", "retort"]
    purpose: Literal["export-dataset", "recipe-evaluation", "node-evaluation", "node-optimization", "fine-tuning"]
    node: str
    check: Literal["repair", "reject", "off"]
    wrap_arguments: bool
    fill: bool
    call_text: Literal["keep", "extra"]
    attachments: Literal["leave-out", "drop"]
    tools: Literal["text", "array"]
    tasks: bool
    max_contexts: int
    embeddings: Literal["f64", "f32", "none"]
    file_name: str
    file_format: Literal["jsonl", "csv", "parquet"]
    compress: Literal["none", "gzip", "zstd"]
    findings: bool
    csv: Literal["spreadsheet", "plain"]
