"""Masks as run lengths, in the compressed string form that COCO's tools read and write.

A mask of H x W pixels is walked down its columns, left to right. The lengths of its runs, the
first one of zeros (and so perhaps 0), are written as numbers in base 32; from the fourth run on, as
the difference to the run two places earlier. Digits go lowest first, five bits in a character
(48 + digit, plus 32 when another digit follows); the top bit of the last digit is the sign.

Unusual: no function but `decode` and `decode_box` ever holds a picture, or part of one. Area, box,
overlap and resizing are arithmetic on the spans of ones, [start, end) in column-major pixel
numbers, so they cost the length of the mask's outline. Only canonical strings are written (no zero
runs after the first, no run split in two): equal masks are equal strings. Foreign strings with such
runs are read all the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from massannot.errors import BadMask

Integers = NDArray[np.int64]

_LONGEST_NUMBER = 8  # base-32 digits of a number, so that sums of runs stay far inside int64
_LONGEST_RUN = 2 ** (5 * _LONGEST_NUMBER - 1) - 1


def encode(mask: NDArray[np.bool_]) -> str:
    """The string of a mask (H, W). Refuses anything but a two-dimensional bool array."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"mask: found {mask.dtype} {mask.shape}, expected bool (H, W)")
    height = mask.shape[0]
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return _pack(np.array([mask.size]))
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    x0, x1 = int(columns[0]), int(columns[-1]) + 1

    # Each column of the box with a zero before and after it, so that no run leaves its column here.
    padded = np.zeros((x1 - x0, y1 - y0 + 2), np.bool_)
    padded[:, 1:-1] = mask[y0:y1, x0:x1].T
    flat = padded.ravel()
    column, row = np.divmod(np.flatnonzero(flat[1:] != flat[:-1]), y1 - y0 + 2)
    pixel = (x0 + column) * height + y0 + row
    return _from_spans(pixel[0::2], pixel[1::2], n_pixels=mask.size)


def decode(counts: str, *, height: int, width: int) -> NDArray[np.bool_]:
    """The mask (H, W) of a string, C-contiguous. Raises as `check` does."""
    starts, ends = _spans(_checked_runs(counts, height, width))
    mask = np.zeros((height, width), np.bool_)
    if starts.size == 0:
        return mask
    left, right = int(starts[0]) // height, int(ends[-1] - 1) // height + 1
    runs = np.diff(_alternating(starts, ends), prepend=left * height, append=right * height)
    bits = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    mask[:, left:right] = bits.reshape(right - left, height).T
    return mask


def decode_box(
    counts: str, box_xyxy: tuple[int, int, int, int], *, height: int, width: int
) -> NDArray[np.bool_]:
    """The part (y1 - y0, x1 - x0) of the mask (H, W) in a half-open box that lies in the picture,
    at the cost of that part. Raises as `check` does."""
    x0, y0, x1, y1 = box_xyxy
    along = y1 - y0
    ends = _checked_runs(counts, height, width).cumsum()
    ends = np.minimum(np.maximum(ends, x0 * height), x1 * height)
    column = ends // height
    row = ends - column * height
    runs = (column - x0) * along + np.minimum(np.maximum(row - y0, 0), along)
    runs[1:] -= runs[:-1].copy()
    ones = np.zeros(runs.size, np.bool_)
    ones[1::2] = True
    return ones.repeat(runs).reshape(x1 - x0, along).T


def check(counts: str, *, height: int, width: int) -> None:
    """Raise BadMask unless `counts` is a well-formed string of height x width pixels."""
    _checked_runs(counts, height, width)


def area(counts: str) -> int:
    """Number of pixels inside the mask."""
    return int(_runs(counts)[1::2].sum())


def box_xyxy(counts: str, *, height: int, width: int) -> tuple[int, int, int, int] | None:
    """Smallest (x0, y0, x1, y1) around the mask, half-open, from the picture's top-left corner.

    None for an empty mask: it has no place. Raises as `check` does.
    """
    starts, ends = _spans(_checked_runs(counts, height, width))
    if starts.size == 0:
        return None
    x0, x1 = int(starts[0]) // height, int(ends[-1] - 1) // height + 1
    if np.any(starts // height != (ends - 1) // height):  # one turns from the bottom to the top
        return x0, 0, x1, height
    return x0, int((starts % height).min()), x1, int(((ends - 1) % height).max()) + 1


def contains(counts: str, xy: NDArray[np.float64], *, height: int, width: int) -> NDArray[np.bool_]:
    """Whether the pixels that hold points xy (N, 2) are inside the mask; false for points outside
    the picture or NaN. Raises as `check` does."""
    ends = np.cumsum(_checked_runs(counts, height, width))
    with np.errstate(invalid="ignore"):
        inside = np.asarray(((xy >= 0) & (xy < [width, height])).all(axis=-1))
    column, row = np.where(inside[:, None], xy, 0).astype(np.int64).T
    run = np.searchsorted(ends, column * height + row, side="right")
    return inside & (run % 2 == 1)


def intersection_area(counts: str, other: str) -> int:
    """Number of pixels inside both masks, which must be of one picture size."""
    runs, other_runs = _runs(counts), _runs(other)
    if runs.sum() != other_runs.sum():
        raise ValueError(
            f"masks of one picture expected, found {runs.sum()} and {other_runs.sum()} pixels"
        )
    starts, ends = _spans(runs)
    if starts.size == 0:
        return 0
    # Ones before a pixel: piecewise linear with slopes 0 and 1, so interpolation is exact.
    edges = _alternating(starts, ends)
    inside = np.cumsum(_alternating(np.zeros_like(starts), ends - starts))
    other_starts, other_ends = _spans(other_runs)
    ones = np.interp(other_ends, edges, inside) - np.interp(other_starts, edges, inside)
    return int(ones.sum())


def union_area(counts: str, other: str) -> int:
    """Number of pixels inside at least one of two masks of one picture size."""
    return area(counts) + area(other) - intersection_area(counts, other)


def iou(counts: str, other: str) -> float:
    """Intersection over union of two masks of one picture size; 0.0 when both are empty."""
    union = union_area(counts, other)
    return intersection_area(counts, other) / union if union else 0.0


def resize_nearest(counts: str, *, height: int, width: int, to_height: int, to_width: int) -> str:
    """The string of the mask stretched to (to_height, to_width), each pixel from the nearest one.

    A new pixel takes the value under its centre: column j reads column floor((j + 0.5) width /
    to_width), in exact integers, and rows likewise. Raises as `check` does.
    """
    starts, ends = _spans(_checked_runs(counts, height, width))
    column, y0, y1 = _column_segments(starts, ends, height)
    y0, y1 = _first_centre_from(y0, height, to_height), _first_centre_from(y1, height, to_height)
    nonempty = y1 > y0
    column, y0, y1 = column[nonempty], y0[nonempty], y1[nonempty]

    source = (2 * np.arange(to_width) + 1) * width // (2 * to_width)
    first = np.searchsorted(column, source, side="left")
    n_segments = np.searchsorted(column, source, side="right") - first
    segment = _ranges(first, n_segments)
    at = np.repeat(np.arange(to_width), n_segments) * to_height
    return _from_spans(at + y0[segment], at + y1[segment], n_pixels=to_height * to_width)


def _first_centre_from(edge: Integers, size: int, to_size: int) -> Integers:
    """First new pixel whose centre (j + 0.5) size / to_size lies at or beyond a source edge."""
    return -((size - 2 * to_size * edge) // (2 * size))


def _column_segments(
    starts: Integers, ends: Integers, height: int
) -> tuple[Integers, Integers, Integers]:
    """Spans cut where columns end: column, first row, end row of each piece."""
    first = starts // height
    n_columns = (ends - 1) // height + 1 - first
    column = _ranges(first, n_columns)
    y0 = np.maximum(np.repeat(starts, n_columns) - column * height, 0)
    y1 = np.minimum(np.repeat(ends, n_columns) - column * height, height)
    return column, y0, y1


def _ranges(first: Integers, length: Integers) -> Integers:
    """first[0], first[0] + 1, ... (length[0] numbers), then first[1], ... in one array."""
    skipped = np.cumsum(length) - length
    return np.arange(int(length.sum())) + np.repeat(first - skipped, length)


def _spans(runs: Integers) -> tuple[Integers, Integers]:
    """Starts and ends of the ones: none empty, none touching the next."""
    bounds = np.cumsum(runs)
    starts, ends = bounds[: runs.size - 1 : 2], bounds[1::2]
    nonempty = ends > starts
    return _joined(starts[nonempty], ends[nonempty])


def _joined(starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
    """The same ones, spans that touch made one."""
    gap = starts[1:] > ends[:-1]
    if gap.all():  # nearly always
        return starts, ends
    return starts[np.r_[True, gap][: starts.size]], ends[np.r_[gap, True][: ends.size]]


def _from_spans(starts: Integers, ends: Integers, *, n_pixels: int) -> str:
    starts, ends = _joined(starts, ends)
    runs = np.diff(_alternating(starts, ends), prepend=0, append=n_pixels)
    runs = runs[:-1] if runs.size > 1 and runs[-1] == 0 else runs
    counts = _pack(runs)
    _MEMORY.add(counts, runs)
    return counts


def _alternating(first: Integers, second: Integers) -> Integers:
    return np.stack([first, second], axis=1).ravel()


def _pack(runs: Integers) -> str:
    """The compressed string of run lengths."""
    if runs.max() > _LONGEST_RUN:
        raise ValueError(f"mask: found a run of {runs.max()} pixels, at most {_LONGEST_RUN} fit")
    rest = runs.astype(np.int64)
    rest[3:] -= runs[1:-2]
    digits = np.zeros((rest.size, _LONGEST_NUMBER), np.uint8)
    written = np.zeros(digits.shape, np.bool_)
    more = np.ones(rest.size, np.bool_)
    position = 0
    while more.any():
        written[:, position] = more
        digit = rest & 31
        rest >>= 5
        more = more & (rest != -(digit >> 4))  # all that is left is the sign that bit 4 repeats
        digits[:, position] = digit + 32 * more + 48
        position += 1
    return digits[written].tobytes().decode("ascii")


def _checked_runs(counts: str, height: int, width: int) -> Integers:
    runs = _runs(counts)
    if runs.sum() != height * width:
        raise BadMask(
            f"mask {_quoted(counts)}: found runs of {runs.sum()} pixels, "
            f"expected {height} x {width} = {height * width}"
        )
    return runs


class _RunMemory:
    """The run lengths of strings that were written or read last: every stage asks for a clip's
    masks, and reading a string costs more than most of what is asked. Values are read-only."""

    def __init__(self, most: int):
        self._most = most
        self._runs: dict[str, Integers] = {}
        self._n_runs = 0

    def get(self, counts: str) -> Integers | None:
        return self._runs.get(counts)

    def add(self, counts: str, runs: Integers) -> Integers:
        """`runs`, remembered; everything else is forgotten once it is too much."""
        if self._n_runs > self._most:
            self._runs, self._n_runs = {}, 0
        runs.setflags(write=False)
        self._runs[counts] = runs
        self._n_runs += runs.size
        return runs


_MEMORY = _RunMemory(1 << 22)
"""32 MB and the strings: some thousand frames of smooth things."""


def _runs(counts: str) -> Integers:
    """The run lengths of a compressed string; BadMask where it is malformed."""
    known = _MEMORY.get(counts)
    return _MEMORY.add(counts, _parsed(counts)) if known is None else known


def _parsed(counts: str) -> Integers:
    code = np.frombuffer(counts.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    if code.size == 0 or code.min() < 0 or code.max() > 63:
        raise BadMask(f"mask {_quoted(counts)}: expected one or more characters from '0' to 'o'")
    last = np.flatnonzero(code < 32)
    if last.size == 0 or last[-1] != code.size - 1:
        raise BadMask(f"mask {_quoted(counts)}: the string ends in the middle of a number")
    first = np.r_[0, last[:-1] + 1]
    length = last + 1 - first
    if length.max() > _LONGEST_NUMBER:
        raise BadMask(f"mask {_quoted(counts)}: a number of {length.max()} digits")
    position = np.arange(code.size) - np.repeat(first, length)
    runs = np.add.reduceat((code & 31) << (5 * position), first)
    runs -= ((code[last] >> 4) & 1) << (5 * length)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    impossible = runs[(runs < 0) | (runs > _LONGEST_RUN)]
    if impossible.size:
        raise BadMask(f"mask {_quoted(counts)}: a run of {impossible[0]} pixels")
    return runs


def _quoted(counts: str) -> str:
    return repr(counts if len(counts) <= 40 else counts[:37] + "...")
