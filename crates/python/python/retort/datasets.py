"""Loads packages and histories with Hugging Face's library `datasets`.

    import retort.datasets

    train = retort.datasets.load("train")["train"]                              # a package
    chats = retort.datasets.load("history/", "chats", data_format="openai")     # a history
"""

from ._retort import Dataset, UsageError, convert

__all__ = ["load"]


def load(source, to=None, *, streaming=False, **options):
    """Loads a package as a `datasets.DatasetDict`, with a split for each output.

    `source` is the folder of a package or a `retort.Dataset`. If you pass `to`, `source` is a history, which
    `retort.convert` first exports to the folder `to` with `options`, as Parquet unless they name another file format.
    With `streaming`, rows are read only as you iterate.
    """
    import datasets

    if to is not None:
        package = convert(source, to, **{"file_format": "parquet", **options})
    elif options:
        raise UsageError(f"`{next(iter(options))}` is an option of exports; pass the folder for the package as `to`")
    else:
        package = source if isinstance(source, Dataset) else Dataset(source)
    if not package.path.is_dir():
        raise UsageError(f"`{package.path}` is an archive; unpack it, as `datasets` reads files")
    # The package's card says which files are which split.
    return datasets.load_dataset(str(package.path), streaming=streaming)
