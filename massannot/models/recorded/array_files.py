"""Arrays from npz, npy and JSON files, strictly: a name that nobody reads is refused.

What does not fit raises UsageError with what was found and what was expected: an array that is
left out without a word would be taken for one that counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.errors import ModelFailed, UsageError
from massannot.models.recorded.json_entries import json_of, kind_of
from massannot.models.recorded.row_times import RowTimes

TIMES = ("pts", "t_s", "fps")


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """The arrays of a file by name; that of an npy file under the name `""`."""

    path: Path
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def read(cls, path: Path, *, known: Collection[str]) -> ArrayFile:
        """Raises UsageError for a file that is none, holds Python objects, or holds names that are
        not `known`."""
        file = cls(path, _of_json(path) if path.suffix == ".json" else _of_numpy(path))
        _refuse_unknown(path, set(file.arrays), known)
        return file

    def first(self, *names: str) -> NDArray[Any] | None:
        """The array under one of `names`. Raises UsageError where several are given."""
        given = [name for name in names if name in self.arrays]
        if len(given) > 1:
            raise UsageError(f"{self.path}: found {' and '.join(given)}, expected one of them")
        return self.arrays[given[0]] if given else None

    def numbers(self, name: str) -> NDArray[Any] | None:
        """An array of finite or infinite numbers, no text. Raises UsageError."""
        array = self.arrays.get(name)
        if array is not None and array.dtype.kind not in "fiub":
            raise UsageError(f"{self.path}: {name} is {array.dtype}, expected numbers")
        return array

    def number(self, name: str) -> float | None:
        """A single number. Raises UsageError."""
        array = self.numbers(name)
        if array is None:
            return None
        if array.size != 1:
            raise UsageError(f"{self.path}: {name} has shape {array.shape}, expected one number")
        return float(array.reshape(()))

    def word(self, name: str, *, expected: Sequence[str], default: str) -> str:
        """A text out of `expected`. Raises UsageError."""
        array = self.arrays.get(name)
        if array is None:
            return default
        if array.size != 1 or str(array.reshape(())) not in expected:
            raise UsageError(
                f"{self.path}: {name} {array.tolist()!r}, expected {' or '.join(expected)}"
            )
        return str(array.reshape(()))

    def size(self) -> tuple[int, int] | None:
        """(width, height) of the pictures; None: not given. Raises UsageError."""
        array = self.numbers("size")
        if array is None:
            return None
        if array.shape != (2,) or not np.all(array >= 1):
            raise UsageError(f"{self.path}: size {array.tolist()}, expected [width, height]")
        return int(array[0]), int(array[1])

    def times(self, n_rows: int, *, fps: float | None) -> RowTimes:
        """When the file's rows are. `fps`: where the file does not say."""
        for name in ("pts", "t_s"):
            self.numbers(name)
        given = self.number("fps")
        return RowTimes(
            n_rows,
            pts=self.arrays.get("pts"),
            t_s=self.arrays.get("t_s"),
            fps=fps if given is None else given,
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.arrays.items()}


def check_names(path: str, *, known: Collection[str]) -> None:
    """Read the names of a single file, before any video. Raises UsageError."""
    file = Path(path)
    if file.is_file() and file.suffix == ".npz":
        try:
            with np.load(file, allow_pickle=False) as loaded:
                names = set(loaded.files)
        except Exception as error:  # see _of_numpy
            raise UsageError(f"{path}: not an npz file of plain arrays: {error}") from error
        _refuse_unknown(file, names, known)
    elif file.is_file() and file.suffix == ".json":
        ArrayFile.read(file, known=known)


@contextmanager
def a_clip_fails(path: str) -> Iterator[None]:
    """Make a bad file cost its clip where a folder has a file a video; a single file, that all
    clips read, ends the command."""
    try:
        yield
    except UsageError as error:
        if Path(path).is_dir():
            raise ModelFailed(str(error)) from error
        raise


def one_origin(file: ArrayFile) -> str:
    """`center` or `corner`: which point of the picture has whole coordinates."""
    return file.word("origin", expected=("center", "corner"), default="center")


def _refuse_unknown(path: Path, names: set[str], known: Collection[str]) -> None:
    unknown = sorted(names - {*known, ""})
    if unknown:
        raise UsageError(
            f"{path}: nobody reads {', '.join(map(repr, unknown))}; known names are "
            f"{', '.join(sorted(known))}"
        )


def _of_numpy(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # numpy, zipfile and tokenize raise a dozen kinds for a damaged file
        raise UsageError(f"{path}: not an npz or npy file of plain arrays: {error}") from error


def _of_json(path: Path) -> Mapping[str, NDArray[Any]]:
    expected = "an object of arrays, {name: numbers}, or an npz"
    content = json_of(path, expected=expected)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: found {kind_of(content)}, expected {expected}")
    try:
        return {name: np.asarray(value) for name, value in content.items()}
    except ValueError as error:
        raise UsageError(f"{path}: expected {expected}: {error}") from error
