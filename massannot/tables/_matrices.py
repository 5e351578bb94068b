"""Symmetric matrices as columns: the upper triangle, row by row, in a list a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def symmetric_matrices(column: pa.ChunkedArray, *, size: int) -> F64:
    """(N, size, size) of their upper triangles, row by row; NaN where the column is null."""
    upper = np.full((len(column), size * (size + 1) // 2), np.nan)
    lists_ = column.combine_chunks()
    known = np.asarray(lists_.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    upper[known] = np.asarray(lists_.flatten().to_numpy(zero_copy_only=False), np.float64).reshape(
        -1, upper.shape[1]
    )
    return _symmetric(upper, size)


def symmetric_matrix(upper: Sequence[float], *, size: int) -> F64:
    """(size, size) of one row's upper triangle."""
    matrix: F64 = _symmetric(np.asarray(upper, np.float64)[None], size)[0]
    return matrix


def _symmetric(upper: F64, size: int) -> F64:
    rows, columns = np.triu_indices(size)
    matrices = np.empty((len(upper), size, size))
    matrices[:, rows, columns] = matrices[:, columns, rows] = upper
    return matrices


def upper_triangles(matrices: F64) -> list[list[float] | None]:
    """Of symmetric matrices (N, size, size), row by row; None where one number is unknown."""
    upper = matrices[:, *np.triu_indices(matrices.shape[-1])]
    return [row.tolist() if np.isfinite(row).all() else None for row in upper]
