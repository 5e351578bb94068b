"""Medians of the known values of an array: what noise and a few wrong points cannot pull away.

Unusual: numpy's nanmedian walks small axes in Python; here the unknown sort to the end and the
middle of the known is picked, one sort for all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

SIGMA_FROM_MAD = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""
MEDIAN_ERROR = 1.2533
"""Standard error of a Gaussian sample's median over that of its mean: sqrt(pi / 2)."""


def masked_median(values: ArrayLike, known: ArrayLike, *, axis: int) -> F64:
    """Median along `axis` of the values where `known`; NaN where none is."""
    return masked_quantile(values, known, q=0.5, axis=axis)


def masked_quantile(values: ArrayLike, known: ArrayLike, *, q: float, axis: int) -> F64:
    """Quantile q along `axis` of the values where `known`, linear between ranks; NaN where none."""
    array = np.moveaxis(np.where(known, np.asarray(values, np.float64), np.inf), axis, 0)
    count = np.broadcast_to(np.moveaxis(np.asarray(known, np.bool_), axis, 0), array.shape)
    n = count.sum(axis=0)
    if array.shape[0] == 0:
        return np.full(array.shape[1:], np.nan)
    ranked = np.sort(array, axis=0)
    rank = q * np.maximum(n - 1, 0)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    low = np.take_along_axis(ranked, below[None], axis=0)[0]
    high = np.take_along_axis(ranked, above[None], axis=0)[0]
    some = n > 0
    low, high = np.where(some, low, np.nan), np.where(some, high, np.nan)
    return np.asarray(low + (rank - below) * (high - low))
