"""Shots: which frames of a film were taken in one go, found on small pictures while it is decoded.

Every frame gets the number of its shot, 0.. within the film, or None where it belongs to none: to
a gradual transition (two shots at once), or because it is blank (black between fades, an empty
title card, between black bars too). A flash is part of its shot. A frame's number is known
`ShotRule.look_ahead` frames later, and depends on the film alone, not on which frames are
annotated.

A hard cut: the picture changes much more than just before and after, its details do not stay where
they were (as they do behind a large thing that flies by), and neither side comes back within four
frames, as it does after a flash or when a lamp goes on. A gradual transition: the
picture is a mix of an earlier and a later one that are unlike each other, also in their details,
with no cut between them.
The numbers were chosen on drawn films of ten frames a second (tests/unit/shot_films.py); of a film
with more, shots_in_time gives so many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from massannot.geometry.active_area import without_bars
from massannot.video.shot_rule import ShotRule

WIDTH, HEIGHT = 64, 36
NOISE = 3.0
"""Levels of brightness that are no detail."""
_AREA = 0x20 | 0x40000 | 0x80000  # swscale's area | accurate_rnd | bitexact
Small = npt.NDArray[np.uint8]


class SmallPictures:
    """Scales decoded frames down to (36, 64, 3) uint8 RGB, straight from their stored form."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Small:
        rgb = self._reformatter.reformat(
            frame, width=WIDTH, height=HEIGHT, format="rgb24", interpolation=_AREA, threads=1
        )
        return rgb.to_ndarray().astype(np.uint8, copy=False)


@dataclass(frozen=True)
class Numbered:
    """What is found about one frame."""

    shot: int | None
    """0.. within the film; None: a transition, or blank."""
    is_cut: bool
    """A hard cut lies before it."""


class ShotFinder:
    """Numbers frames by their shots, in order, each as soon as enough frames after it are seen."""

    def __init__(self, rule: ShotRule) -> None:
        self.rule = rule
        self._looks: dict[int, _Look] = {}
        self._n = self._n_cuts = self._n_mixes = self._n_numbered = 0
        """Frames seen, judged as cuts, judged as mixes, numbered."""
        self._shot = -1
        self._is_over = True

    def add(self, small: Small) -> Iterator[Numbered]:
        """The next frame, uint8 (36, 64, 3). Gives the frames that are now decided."""
        self._looks[self._n] = _look(small, self._looks.get(self._n - 1), self.rule)
        self._n += 1
        cuts = self._n - self.rule.back
        yield from self._judged(cuts=cuts, mixes=cuts - max(self.rule.mix_over))

    def finish(self) -> Iterator[Numbered]:
        """The frames that are left at the end of the film."""
        yield from self._judged(cuts=self._n, mixes=self._n)

    def _judged(self, *, cuts: int, mixes: int) -> Iterator[Numbered]:
        """Judge so many frames from the first on; number those that this decides."""
        for t in range(self._n_cuts, cuts):
            self._looks[t].is_cut = self._is_cut(t)
        self._n_cuts = max(self._n_cuts, cuts)
        for t in range(self._n_mixes, mixes):
            self._looks[t].is_mix = self._is_mix(t)
        self._n_mixes = max(self._n_mixes, mixes)
        while self._n_numbered < self._n_mixes:
            is_mixed = self._is_mixed(self._n_numbered)
            if is_mixed is None:
                break
            yield self._numbered(self._looks[self._n_numbered], is_mixed)
            self._n_numbered += 1
        self._looks.pop(self._n_numbered - self.rule.look_back - 1, None)

    def _numbered(self, look: _Look, is_mixed: bool) -> Numbered:
        self._is_over |= look.is_cut
        if is_mixed or self._is_empty(self._n_numbered):
            self._is_over = True
            return Numbered(None, look.is_cut)
        self._shot += self._is_over
        self._is_over = False
        return Numbered(self._shot, look.is_cut)

    def _is_cut(self, t: int) -> bool:
        """Whether a hard cut lies between frames t - 1 and t."""
        rule, looks = self.rule, self._looks
        if t == 0 or looks[t].change < rule.change:
            return False
        around = range(max(1, t - rule.around), min(self._n, t + rule.around + 1))
        near = [looks[k].change for k in around if k != t]
        if len(near) < rule.around:  # a film of half a second does not tell what is usual in it
            return False
        if looks[t].change < rule.ratio * sum(near) / len(near):
            return False
        if looks[t - 1].detail_in_common(looks[t]) > rule.stays:
            return False
        comes_back = (looks[t - 1].likeness(looks[k]) for k in self._upto(t, t + rule.back))
        was_there = (looks[t].likeness(looks[k]) for k in self._upto(t - rule.back - 1, t - 1))
        return all(like <= rule.same for like in (*comes_back, *was_there))

    def _is_mix(self, t: int) -> bool:
        """Whether frame t is a mix of an earlier and a later one, without a cut between them."""
        return any(
            t >= over and t + over < self._n and self._mixes(t, over) for over in self.rule.mix_over
        )

    def _mixes(self, t: int, over: int) -> bool:
        """Least squares: m = share a + (1 - share) b."""
        rule, looks = self.rule, self._looks
        before, middle, after = looks[t - over], looks[t], looks[t + over]
        if before.likeness(after) > rule.differ or (before.blank and after.blank):
            return False
        if before.detail_in_common(after) > rule.stays:
            return False
        if any(looks[k].is_cut for k in range(t - over + 1, t + over + 1)):
            return False
        way = before.levels - after.levels
        far = float(way @ way)
        share = float((middle.levels - after.levels) @ way) / far
        if not rule.share < share < 1 - rule.share:
            return False
        rest = middle.levels - share * before.levels - (1 - share) * after.levels
        return 1 - float(rest @ rest) / (min(share, 1 - share) ** 2 * far) > rule.fit

    def _is_mixed(self, t: int) -> bool | None:
        """Whether frame t lies within a gradual transition; None: later frames will tell."""
        pad, is_mix = self.rule.pad, self._is_mix_at
        if is_mix(t):
            return True
        for step in (-1, 1):
            first = next((t + step * k for k in range(1, pad + 1) if is_mix(t + step * k)), None)
            if first is None:
                continue
            length = next((k for k in range(1, 2 * pad) if not is_mix(first + step * k)), 2 * pad)
            if abs(first - t) <= (length + 1) // 2:
                return True
            if first + step * length >= self._n_mixes < self._n:
                return None
        known = t + pad < self._n_mixes or self._n_mixes == self._n
        return False if known else None

    def _is_mix_at(self, t: int) -> bool:
        return t in self._looks and self._looks[t].is_mix

    def _is_empty(self, t: int) -> bool:
        """Whether frame t is blank, and no flash that the picture comes back after."""
        looks, back = self._looks, self.rule.back
        if not looks[t].blank:
            return False
        first, end = t, t + 1
        while first - 1 in looks and looks[first - 1].blank and t - first <= back:
            first -= 1
        while end in looks and looks[end].blank and end - t <= back:
            end += 1
        if end - first > back or first - 1 not in looks or end not in looks:
            return True
        return looks[first - 1].likeness(looks[end]) <= self.rule.same

    def _upto(self, first: int, last: int) -> range:
        """Frames first to last, of those that there are."""
        return range(max(0, first), min(self._n, last + 1))


@dataclass(eq=False)
class _Look:
    """What is kept of one frame, and what was found out about it so far."""

    hsv: npt.NDArray[np.float32]
    """(3, 36, 64) hue 0..180 (a circle), saturation and value 0..255."""
    levels: npt.NDArray[np.float32]
    """(1728,) RGB of a picture half as large."""
    pattern: npt.NDArray[np.float32]
    """(1728,) the same without each channel's mean, of length 1; 0 where nothing is left."""
    brightness: npt.NDArray[np.float32]
    """(36, 64) levels."""
    blank: bool
    change: float
    """Mean absolute difference of `hsv` to the frame before; 0 for the first."""
    is_cut: bool = False
    is_mix: bool = False

    def likeness(self, other: _Look) -> float:
        """Correlation of two pictures, -1 to 1; 0 with a blank one."""
        return float(self.pattern @ other.pattern)

    def detail_in_common(self, other: _Look) -> float:
        """The same of what is small in them: of a large thing that appears little is seen here,
        and what it leaves as it was is seen."""
        return float(self.detail @ other.detail)

    @cached_property
    def detail(self) -> npt.NDArray[np.float32]:
        """(2304,) brightness against its surroundings, equally strong everywhere, of length 1."""
        against = self.brightness - _around(self.brightness)
        even = against / np.sqrt(_around(against * against) + NOISE**2)
        flat = even.reshape(-1)
        return (flat / max(1e-3, float(np.linalg.norm(flat)))).astype(np.float32)


def _look(small: Small, before: _Look | None, rule: ShotRule) -> _Look:
    planes = np.ascontiguousarray(small.transpose(2, 0, 1)).astype(np.float32)
    hsv = _hsv(planes)
    change = 0.0
    if before is not None:
        apart = np.abs(hsv - before.hsv)
        np.minimum(apart[0], 180 - apart[0], out=apart[0])
        change = float(apart.mean())
    even, odd = planes[:, ::2], planes[:, 1::2]
    quarters = even[..., ::2] + even[..., 1::2] + odd[..., ::2] + odd[..., 1::2]
    half = (quarters / 4).astype(np.float32, copy=False)
    mean_free = (half - half.mean((1, 2), keepdims=True)).reshape(-1)
    length = max(1e-3, float(np.linalg.norm(mean_free)))
    pattern = (mean_free / length).astype(np.float32)
    inner = without_bars(planes)
    spread = np.abs(inner - inner.mean((1, 2), keepdims=True)).max()
    return _Look(
        hsv,
        half.reshape(-1),
        pattern,
        planes.mean(0),
        bool(spread <= rule.blank),
        change,
    )


def _around(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean of the 5 x 5 pixels about each."""
    sums = np.pad(np.pad(values, 2, mode="edge").cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    mean = (sums[5:, 5:] - sums[:-5, 5:] - sums[5:, :-5] + sums[:-5, :-5]) / 25
    return mean.astype(np.float32)


def _hsv(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(3, H, W) hue in half degrees, saturation and value in levels, as OpenCV scales them."""
    red, green, blue = rgb
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    safe = np.maximum(spread, 1)
    hue = np.where(
        value == red,
        (green - blue) / safe % 6,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    return np.stack([30 * hue, 255 * spread / np.maximum(value, 1), value])
