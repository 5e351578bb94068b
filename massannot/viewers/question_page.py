"""A page about one question: its derivation, and the evidence drawn on the frames that it cites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from massannot.dataset.frames_again import clips_again
from massannot.dataset.layout import Layout
from massannot.questions.ask.derivation import Derivation
from massannot.storage.durable import write_over
from massannot.viewers import html
from massannot.viewers.overlay import DrawnEntity, draw


def write_question_page(path: Path, found: Derivation, *, data: Path) -> bool:
    """Write the page; returns whether its video could be read again for pictures."""
    pictures = [
        f"<div>{html.picture(image, alt=f'frame {frame}')}<p class=sub>frame {frame}</p></div>"
        for frame, image in _pictures(found, data)
    ]
    rows = [
        [html.text(r["step"]), html.text(r["table"]), html.text(r["row_key"]), html.text(r["role"])]
        for r in found.evidence
    ]
    parts = [
        f"<h1>{html.text(found.question['question'])}</h1>",
        f"<pre>{html.text(found.text)}</pre>",
        f"<div class=strip>{''.join(pictures)}</div>",
        "<h2>Rows it was computed from</h2>",
        html.table(["step", "table", "row", "role"], rows),
        f"<h2>Program</h2><pre>{html.text(found.program['program'])}</pre>",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_over(path, html.page(found.question["question"], parts).encode())
    return bool(pictures)


def _pictures(found: Derivation, data: Path) -> Iterator[tuple[int, Image.Image]]:
    """The frames whose boxes are cited, drawn into; none where the video is not there any more."""
    boxes: dict[int, dict[int, tuple[float, float, float, float]]] = {}
    for row in found.evidence:
        if row["table"] == "masks" and row["x0"] is not None:
            thing = int(row["row_key"].split(",")[1])
            box = (row["x0"], row["y0"], row["x1"], row["y1"])
            boxes.setdefault(row["frame"], {})[thing] = box
    nothing = np.zeros((0, 0, 2), np.float32), np.zeros((0, 0), np.bool_)
    for clip in clips_again(Layout(data), {found.question["clip_id"]}):
        scale = np.tile(clip.frames.source_from_working, 2)
        for frame in sorted(boxes):
            things = [
                DrawnEntity(thing, f"thing {thing}", None, tuple(np.array(box) / scale), *nothing)
                for thing, box in sorted(boxes[frame].items())
            ]
            yield frame, draw(np.array(clip.frames.pixels(frame, frame + 1)[0]), things)
