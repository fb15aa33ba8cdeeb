from os import PathLike
from typing import Any, Callable, Iterator, Optional, Sequence, Union, overload
from pathlib import Path

from typing_extensions import Unpack

from ._options import Filter, Options

_Path = Union[str, PathLike[str]]
_Source = Union[_Path, Sequence[_Path]]
_Progress = Callable[[int, int], object]

__version__: str

class RetortError(Exception):
    path: Optional[Path]
    line: Optional[int]

class RepeatedIds(RetortError):
    parts: list[int]
    decisions: Path

class UsageError(ValueError): ...

class Records(Iterator[dict[str, Any]]):
    def __iter__(self) -> Records: ...
    def __next__(self) -> dict[str, Any]: ...

class Dataset:
    def __init__(self, path: _Path) -> None: ...
    @property
    def path(self) -> Path: ...
    @property
    def receipt(self) -> dict[str, Any]: ...
    @property
    def data_paths(self) -> list[Path]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Records: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...

class Renderer:
    def __call__(self, record: dict[str, Any]) -> dict[str, Any]: ...

@overload
def convert(
    source: _Source,
    to: _Path,
    *,
    format: Optional[str] = None,
    name: Optional[str] = None,
    namespace: Optional[str] = None,
    filter: Optional[Filter] = None,
    limit: Optional[int] = None,
    threads: Optional[int] = None,
    force: bool = False,
    strict: bool = False,
    part: None = None,
    repeats: None = None,
    rejects: Optional[_Path] = None,
    redact_key: Optional[_Path] = None,
    progress: Optional[_Progress] = None,
    **options: Unpack[Options],
) -> Dataset: ...
@overload
def convert(
    source: _Source,
    to: _Path,
    *,
    format: Optional[str] = None,
    name: Optional[str] = None,
    namespace: Optional[str] = None,
    filter: Optional[Filter] = None,
    threads: Optional[int] = None,
    force: bool = False,
    strict: bool = False,
    part: str,
    repeats: Optional[_Path] = None,
    rejects: Optional[_Path] = None,
    redact_key: Optional[_Path] = None,
    progress: Optional[_Progress] = None,
    **options: Unpack[Options],
) -> Path: ...
def read(
    source: _Source,
    *,
    format: Optional[str] = None,
    namespace: Optional[str] = None,
    threads: Optional[int] = None,
    progress: Optional[_Progress] = None,
) -> Dataset: ...
def preview(
    source: _Source,
    *,
    format: Optional[str] = None,
    filter: Optional[Filter] = None,
    redact_key: Optional[_Path] = None,
    **options: Unpack[Options],
) -> list[dict[str, Any]]: ...
def merge(
    parts: Sequence[_Path],
    to: _Path,
    *,
    force: bool = False,
    threads: Optional[int] = None,
    progress: Optional[_Progress] = None,
) -> Dataset: ...
def verify(path: _Path) -> list[tuple[str, str]]: ...
def inspect(
    source: _Source,
    *,
    format: Optional[str] = None,
    namespace: Optional[str] = None,
    filter: Optional[Filter] = None,
    limit: Optional[int] = None,
    threads: Optional[int] = None,
    progress: Optional[_Progress] = None,
    **options: Unpack[Options],
) -> dict[str, Any]: ...
def diff(
    before: _Path,
    after: _Path,
    *,
    list: Optional[_Path] = None,
    progress: Optional[_Progress] = None,
) -> dict[str, Any]: ...
def render(
    template: _Path, tokenizer: Optional[_Path] = None, *, data_format: str = "standard"
) -> Renderer: ...
def filters() -> dict[str, dict[str, Any]]: ...
def formats() -> dict[str, dict[str, str]]: ...
def options() -> dict[str, dict[str, Any]]: ...
