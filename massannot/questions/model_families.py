"""Families of vision-language models: how they resize a picture and write a box, and the number of
tokens of a prompt.

Both Qwen families resize to whole patches within a range of pixels, and see one token for each
square of `factor` pixels. Qwen2.5-VL reads and writes boxes in pixels of that resized picture,
Qwen3-VL in thousandths of it; a box in any other unit is wrong without an error
(QwenLM/Qwen3-VL issues 940, 1486, 1741, 1975). Tokens are counted with the model's own tokenizer
and chat template, without the model or torchvision: a picture's tokens follow from its size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, sqrt
from pathlib import Path
from typing import Any, Literal

from massannot.errors import UsageError
from massannot.questions.expected_answer import Box
from massannot.questions.prompts import VideoPrompt

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
    """The default: 128 tokens a picture, as Video-R1 trains."""
    thousandths: bool
    """Boxes in thousandths of the picture; else in pixels of the resized one."""

    def resized(self, size: Size, *, max_pixels: int | None = None) -> Size:
        """The size of a picture after the family's processor: both sides multiples of `factor`, and
        at most `max_pixels` where that leaves `least_pixels`.

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
        """Tokens of a picture of this resized size."""
        return (size[0] // self.factor) * (size[1] // self.factor)

    def box(self, box: Box, *, source: Size, resized: Size) -> tuple[int, int, int, int]:
        """A box in pixels of the source, as this family writes it."""
        to = (1000, 1000) if self.thousandths else resized
        scale = (to[0] / source[0], to[1] / source[1]) * 2
        x0, y0, x1, y1 = (round(value * by) for value, by in zip(box, scale, strict=True))
        return x0, y0, x1, y1

    def text(self, text: str, *, source: Size, resized: Size) -> str:
        """`text` with every box in source pixels as this family writes it: in <box> tags, behind
        the words "bounding box" or "box coordinates", and in Qwen's "bbox_2d"."""

        def converted(match: re.Match[str]) -> str:
            x0, y0, x1, y1 = (float(value) for value in match["box"].split(","))
            box = self.box((x0, y0, x1, y1), source=source, resized=resized)
            return f"{match['before']}[{', '.join(map(str, box))}]"

        return _BOX.sub(converted, text)

    def _round(self, side: int) -> int:
        return round(side / self.factor) * self.factor


_NUMBER = r"\s*[0-9]+(?:\.[0-9]+)?\s*"
_BOX = re.compile(
    r"(?P<before><box>\s*|\"bbox_2d\"\s*:\s*"
    r"|\b(?:bounding[\s-]box(?:es)?|bbox|box\s+coordinates)(?:\s+coordinates)?[\s:=]*(?:(?:at|of)\s+)?)"
    rf"\[(?P<box>{_NUMBER}(?:,{_NUMBER}){{3}})\]",
    re.IGNORECASE,
)
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


Media = Literal["images", "video"]


def token_counter(
    folder: Path, *, family: ModelFamily, size: Size, media: Media
) -> Callable[[VideoPrompt], int]:
    """Counts prompts whose pictures were resized to `size`, as images or as one video.

    `folder` holds the model's tokenizer and chat template, and preferably its
    preprocessor_config.json. Raises UsageError where it does not, or where the processor would
    resize pictures of this size once more.
    """
    _check_pictures_stay(folder, family=family, size=size)
    tokenizer, limits = _tokenizer(folder), _limits(folder / "video_preprocessor_config.json")

    def count_text(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    def count(prompt: VideoPrompt) -> int:
        written = tokenizer.apply_chat_template(
            _messages(prompt, media), tokenize=False, add_generation_prompt=True
        )
        n_tokens = count_text(written)
        of_picture = family.n_tokens(size)
        if not prompt.frames:
            return n_tokens
        if media == "images":  # the template writes one token for each
            return n_tokens + len(prompt.frames) * (of_picture - 1)
        if family.thousandths:  # Qwen3-VL limits the pixels of a film as a whole
            n_pixels = len(prompt.frames) * size[0] * size[1]
            _check_within(limits, n_pixels, what=f"films of {len(prompt.frames)} such frames")
        n_steps = len(prompt.frames) // 2  # two frames are seen as one
        times = _times_written(prompt, family)
        around = sum(count_text(time) + 2 for time in times) - (2 if times else 0)
        return n_tokens - 1 + n_steps * of_picture + around

    return count


def _messages(prompt: VideoPrompt, media: Media) -> list[dict[str, Any]]:
    """The conversation that verl makes of a text with placeholders."""
    text = prompt.text(image="\0") if media == "images" else prompt.film_text(video="\0")
    part = {"type": "image" if media == "images" else "video"}
    content: list[dict[str, str]] = []
    for number, piece in enumerate(text.split("\0")):
        content += [part] * (number > 0) + ([{"type": "text", "text": piece}] if piece else [])
    return [{"role": "user", "content": content}]


def _times_written(prompt: VideoPrompt, family: ModelFamily) -> list[str]:
    """Qwen3-VL writes a time before every two frames, with the marks of a video around each."""
    if not family.thousandths:
        return []
    times = [t_s - prompt.times_s[0] for t_s in prompt.times_s]
    return [f"<{(t0 + t1) / 2:.1f} seconds>" for t0, t1 in list(pairwise(times))[::2]]


def _tokenizer(folder: Path) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UsageError(
            '--processor: counting tokens needs transformers; pip install "massannot[rft]"'
        ) from error
    if not folder.is_dir():
        raise UsageError(f"--processor {folder}: no such folder; expected a model's, downloaded")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"--processor {folder}: found no tokenizer: {error}") from error
    if not tokenizer.chat_template:
        raise UsageError(f"--processor {folder}: found a tokenizer without a chat template")
    return tokenizer


def _check_pictures_stay(folder: Path, *, family: ModelFamily, size: Size) -> None:
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    factor = config.get("patch_size", 0) * config.get("merge_size", 0)
    if factor and factor != family.factor:
        raise UsageError(
            f"{path}: found {factor} pixels a token's side, expected {family.factor} for "
            f"{family.name}; choose another --model-family"
        )
    _check_within(_limits(path), size[0] * size[1], what=f"pictures of {size[0]}x{size[1]}")


@dataclass(frozen=True)
class _Limits:
    """Least and most pixels that a processor leaves unchanged."""

    path: Path
    least: float = 0
    most: float = float("inf")


def _limits(path: Path) -> _Limits:
    if not path.is_file():
        return _Limits(path)
    config = json.loads(path.read_text(encoding="utf-8"))
    size = config.get("size") or {}
    return _Limits(
        path,
        config.get("min_pixels") or size.get("shortest_edge") or 0,
        config.get("max_pixels") or size.get("longest_edge") or float("inf"),
    )


def _check_within(limits: _Limits, n_pixels: int, *, what: str) -> None:
    if not limits.least <= n_pixels <= limits.most:
        raise UsageError(
            f"{limits.path}: {what} would be resized again: the processor wants {limits.least} to "
            f"{limits.most} pixels, found {n_pixels}; choose another --max-pixels"
        )
