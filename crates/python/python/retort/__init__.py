"""Turn the history of conversations with language models into datasets that people can trust.

    import retort

    for conversation in retort.read("conversations.json"):
        print(conversation["id"])

    dataset = retort.convert("history/", "train", data_format="openai", check="reject")
    print(dataset.receipt["conversations"])

`retort.options()` lists the options of `convert` and `preview`; `retort.formats()` what can be read and written.
Adapters for Spark and Ray are in `retort.spark` and `retort.ray`; they import nothing until they are used.
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
    "formats",
    "inspect",
    "merge",
    "options",
    "preview",
    "read",
    "render",
    "verify",
]
