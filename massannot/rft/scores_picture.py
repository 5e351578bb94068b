"""Scores of answered questions as a picture: a panel a category, a bar a condition, its interval as
a line, chance as a dashed one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from massannot.rft.scores import AnswerScore

_BAR, _GAP, _LABEL, _WIDE, _TOP = 18, 6, 330, 300, 30
_COLOURS = {"blind": "#9e9e9e", "plain": "#5b8db8", "profile": "#d9822b"}


def picture(rows: Sequence[AnswerScore]) -> Image.Image:
    """RGB; panels from top to bottom in two columns."""
    from massannot.rft.scores import title

    conditions = list(dict.fromkeys(row.condition for row in rows))
    whats = list(dict.fromkeys(map(title, rows)))
    height = _TOP + len(conditions) * (_BAR + _GAP) + 16
    columns = 2
    n_rows = -(-len(whats) // columns)
    wide = _LABEL + columns * (_WIDE + 40)
    image = Image.new("RGB", (wide, n_rows * height + 10), "white")
    draw = ImageDraw.Draw(image)
    for number, what in enumerate(whats):
        left = _LABEL + (number % columns) * (_WIDE + 40)
        top = (number // columns) * height + 6
        _panel(draw, [row for row in rows if title(row) == what], what, conditions, left, top)
        if number % columns == 0:
            for line, condition in enumerate(conditions):
                y = top + _TOP + line * (_BAR + _GAP)
                draw.text((8, y + 2), condition, fill="black", font=_font(13))
    return image


def _panel(
    draw: ImageDraw.ImageDraw,
    rows: Sequence[AnswerScore],
    what: str,
    conditions: Sequence[str],
    left: int,
    top: int,
) -> None:
    draw.text((left, top), f"{what}, right answers in percent", fill="black", font=_font(14))
    bottom = top + _TOP + len(conditions) * (_BAR + _GAP)
    draw.line((left, top + _TOP - 4, left, bottom), fill="black")
    for row in rows:
        y = top + _TOP + conditions.index(row.condition) * (_BAR + _GAP)
        colour = _COLOURS.get(row.condition.split(" +")[0], "#777777")
        a = row.accuracy
        draw.rectangle((left, y, left + _WIDE * a.value, y + _BAR), fill=colour)
        if a.low == a.low:  # not NaN
            middle = y + _BAR // 2
            draw.line(
                (left + _WIDE * a.low, middle, left + _WIDE * a.high, middle), fill="black", width=2
            )
        draw.text((left + 4, y + 2), f"{100 * a.value:.0f}", fill="white", font=_font(13))
    known = [row.chance for row in rows if row.chance is not None]
    if known:
        x = left + _WIDE * known[0]
        for y in range(top + _TOP - 4, bottom, 8):
            draw.line((x, y, x, y + 4), fill="#b00020", width=2)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
