"""Datasets of Hugging Face's library `datasets`.

    import retort.datasets

    train = retort.datasets.load("train")["train"]                              # a package
    chats = retort.datasets.load("history/", "chats", data_format="openai")     # a history
"""

from ._retort import Dataset, UsageError, convert

__all__ = ["load"]


def load(source, to=None, *, streaming=False, **options):
    """Loads a package as a `datasets.DatasetDict`, with a split for each output.

    `source` is the folder of a package or a `retort.Dataset`. Or it is a history, and `to` the folder of the package to which
    `retort.convert` exports it first, with `options`, and in Parquet unless they say otherwise. With `streaming`, rows are
    read only when they are asked for.
    """
    import datasets

    if to is not None:
        package = convert(source, to, **{"file_format": "parquet", **options})
    elif options:
        raise UsageError(f"`{next(iter(options))}` is for exports; name the folder for the package with `to`")
    else:
        package = source if isinstance(source, Dataset) else Dataset(source)
    if not package.path.is_dir():
        raise UsageError(f"`{package.path}` is an archive; unpack it, as `datasets` reads files")
    # Its card says which file is which split.
    return datasets.load_dataset(str(package.path), streaming=streaming)
