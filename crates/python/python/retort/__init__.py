"""Turn the history of conversations with language models into datasets that people can trust.

    import retort

    for conversation in retort.read("conversations.json"):
        print(conversation["id"])

    dataset = retort.convert("history/", "train", data_format="openai", check="reject")
    print(dataset.receipt["conversations"])

`retort.options()` lists the options of `convert` and `preview`, `retort.filters()` the fields of `filter`, and
`retort.formats()` the formats that can be read and written. Exports with Spark and Ray are in `retort.spark` and `retort.ray`, which import those libraries only when they
are used.
"""

from ._retort import (
    Dataset,
    Records,
    Renderer,
    RepeatedIds,
    RetortError,
    UsageError,
    __version__,
    convert,
    diff,
    filters,
    formats,
    inspect,
    merge,
    options,
    preview,
    read,
    render,
    verify,
)

__all__ = [
    "Dataset",
    "Records",
    "Renderer",
    "RepeatedIds",
    "RetortError",
    "UsageError",
    "__version__",
    "convert",
    "diff",
    "filters",
    "formats",
    "inspect",
    "merge",
    "options",
    "preview",
    "read",
    "render",
    "verify",
]
