"""What a family of vision-language models does to a picture before it sees it, and how it writes a
box.

Both Qwen families resize to whole patches within a range of pixels, and see one token for each
square of `factor` pixels. Qwen2.5-VL reads and writes boxes in pixels of that resized picture,
Qwen3-VL in thousandths of it; a box in any other unit is wrong without an error
(QwenLM/Qwen3-VL issues 940, 1486, 1741, 1975).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, sqrt

from massannot.errors import UsageError
from massannot.rft.expected import Box

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    name: str
    factor: int
    """Pixels on a token's side: a patch, times the 2 patches a side that are merged."""
    least_pixels: int
    """Of a picture; the processor enlarges smaller ones."""
    max_pixels: int
    """Where nothing else is asked for: 128 tokens a picture, as Video-R1 trains."""
    thousandths: bool
    """Boxes in thousandths of the picture; else in pixels of the resized one."""

    def resized(self, size: Size, *, max_pixels: int | None = None) -> Size:
        """What the family's processor makes of a picture: both sides multiples of `factor`, and at
        most `max_pixels` where that leaves `least_pixels`.

        The rule of Qwen2-VL's `smart_resize`. Resizing its result again changes nothing.
        """
        most = self.max_pixels if max_pixels is None else max_pixels
        if most < self.least_pixels:
            raise UsageError(
                f"--max-pixels {most}: {self.name} sees no picture of fewer than "
                f"{self.least_pixels} pixels"
            )
        width, height = (max(self.factor, self._round(side)) for side in size)
        pixels = size[0] * size[1]
        if width * height > most:
            shrink = sqrt(pixels / most)
            width, height = (
                max(self.factor, floor(side / shrink / self.factor) * self.factor) for side in size
            )
        elif width * height < self.least_pixels:
            grow = sqrt(self.least_pixels / pixels)
            width, height = (ceil(side * grow / self.factor) * self.factor for side in size)
        return width, height

    def n_tokens(self, size: Size) -> int:
        """That a picture of this resized size is seen as."""
        return (size[0] // self.factor) * (size[1] // self.factor)

    def box(self, box: Box, *, source: Size, resized: Size) -> tuple[int, int, int, int]:
        """A box in pixels of the source, as this family writes it."""
        to = (1000, 1000) if self.thousandths else resized
        scale = (to[0] / source[0], to[1] / source[1]) * 2
        x0, y0, x1, y1 = (round(value * by) for value, by in zip(box, scale, strict=True))
        return x0, y0, x1, y1

    def text(self, text: str, *, source: Size, resized: Size) -> str:
        """`text` with every <box>[x0, y0, x1, y1]</box>, in source pixels, as this family writes
        it."""

        def converted(found: re.Match[str]) -> str:
            x0, y0, x1, y1 = (float(value) for value in found[1].split(","))
            box = self.box((x0, y0, x1, y1), source=source, resized=resized)
            return f"<box>[{', '.join(map(str, box))}]</box>"

        return re.sub(rf"<box>\s*\[({_NUMBER}(?:,{_NUMBER}){{3}})\]\s*</box>", converted, text)

    def _round(self, side: int) -> int:
        return round(side / self.factor) * self.factor


_NUMBER = r"\s*[0-9]+(?:\.[0-9]+)?\s*"
_FAMILIES = (
    ModelFamily(
        name="qwen2_5_vl",
        factor=28,
        least_pixels=4 * 28**2,
        max_pixels=128 * 28**2,
        thousandths=False,
    ),
    ModelFamily(
        name="qwen3_vl",
        factor=32,
        least_pixels=64 * 32**2,
        max_pixels=128 * 32**2,
        thousandths=True,
    ),
)
FAMILIES: Mapping[str, ModelFamily] = {each.name: each for each in _FAMILIES}


def family(name: str) -> ModelFamily:
    """Raises UsageError naming the families there are."""
    if name not in FAMILIES:
        raise UsageError(f"--model-family {name}: expected one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
