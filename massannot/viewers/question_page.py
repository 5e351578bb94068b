"""A page about some questions: how each follows, and its evidence drawn on the frames it cites."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from massannot.counts import counted
from massannot.dataset.reading import open_dataset
from massannot.exporters._pictures import pixels_of
from massannot.questions.ask.derivation import Derivation
from massannot.questions.shown_video import BOX_RGB
from massannot.storage.durable import write_over
from massannot.viewers import html
from massannot.viewers.overlay import DrawnEntity, draw

N_FRAMES = 3
LEAST_WIDTH = 480
_NOTHING = np.zeros((0, 0, 2), np.float32), np.zeros((0, 0), np.bool_)
_IS = {
    "mirrored": "Asked of the video mirrored left to right; the frames are those of the video.",
    "reversed": "Asked of the video played backwards; the frames are those of the video.",
    "paraphrased": "The same question in other words.",
}


def write_question_page(path: Path, found: Sequence[Derivation], *, data: Path) -> bool:
    """Write the page; returns whether the videos could be read again for pictures."""
    pictures = _pictures(found, data)
    one, many = found[0].question["question"], counted(len(found), "question")
    title = one if len(found) == 1 else many
    parts = [] if len(found) == 1 else [f"<h1>{html.text(title)}</h1>"]
    for number, one in enumerate(found, 1):
        parts += _question(one, pictures, number if len(found) > 1 else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_over(path, html.page(title, parts).encode())
    return bool(pictures)


def _question(
    one: Derivation, pictures: dict[tuple[str, float], Image.Image], number: int | None
) -> list[str]:
    question, program = one.question, one.program
    head = html.text(question["question"])
    heading = f"<h1>{head}</h1>" if number is None else f"<h2>{number}. {head}</h2>"
    margin = "nothing uncertain" if program["margin"] is None else f"margin {program['margin']:.1f}"
    ground = f"{html.text(program['family'])}, {margin}, {program['basis']}"
    strip = "".join(
        f"<div>{html.picture(image, alt=f'{t_s:.2f} s')}<p class=sub>{t_s:.2f} s</p></div>"
        for (question_id, t_s), image in pictures.items()
        if question_id == question["question_id"]
    )
    rows = [
        [html.text(r["step"]), html.text(r["table"]), html.text(r["row_key"]), html.text(r["role"])]
        for r in one.evidence
    ]
    read = counted(len(rows), "row")
    told = [*(f"<li>{html.text(line)}</li>" for line in one.lines)]
    told += [f"<li class=bad>WRONG: {html.text(problem)}</li>" for problem in one.problems]
    twin = [f"<p class=sub>{_IS[program['twin_kind']]}</p>"] if program["twin_kind"] else []
    return [
        heading,
        *twin,
        *(f"<p class=sub>{html.text(option)}</p>" for option in one.options),
        f"<p><b>Answer: {html.text(question['answer'])}</b> <span class=sub>{ground}</span></p>",
        f"<div class=strip>{strip}</div>",
        f"<ol>{''.join(told)}</ol>",
        f"<details><summary class=sub>The program and {read} it read</summary>",
        f"<pre>{html.text(program['program'])}</pre>",
        html.table(["step", "table", "row", "role"], rows),
        "</details>",
    ]


def _pictures(found: Sequence[Derivation], data: Path) -> dict[tuple[str, float], Image.Image]:
    """By question and time, the boxes that it cites drawn into it, of N_FRAMES frames at most;
    none where the video is not there any more."""
    dataset = open_dataset(data)
    by_clip: dict[str, list[tuple[str, dict[int, list[DrawnEntity]]]]] = defaultdict(list)
    frames_of: dict[str, set[int]] = defaultdict(set)
    for one in found:
        clip_id, things = one.question["clip_id"], _things(one)
        by_clip[clip_id].append((one.question["question_id"], things))
        frames_of[clip_id] |= set(things)
    pictures: dict[tuple[str, float], Image.Image] = {}
    for clip_id, pixels in pixels_of(dataset, frames_of):
        clip = dataset.clip(clip_id)
        width, t_s = clip.row["source_width"], clip.table("frames")["t_s"].to_pylist()
        for question_id, things in by_clip[clip_id]:
            for frame, drawn in things.items():
                rgb = _large(pixels[frame])
                scale = rgb.shape[1] / width
                picture = draw(rgb, [_scaled(one, scale) for one in drawn])
                pictures[question_id, t_s[frame]] = picture
    return pictures


def _large(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3), so many times larger that labels do not hide what they name."""
    times = max(1, round(LEAST_WIDTH / rgb.shape[1]))
    return np.repeat(np.repeat(np.asarray(rgb), times, axis=0), times, axis=1)


def _scaled(one: DrawnEntity, scale: float) -> DrawnEntity:
    x0, y0, x1, y1 = one.box_xyxy or (0, 0, 0, 0)
    return replace(one, box_xyxy=(x0 * scale, y0 * scale, x1 * scale, y1 * scale))


def _things(one: Derivation) -> dict[int, list[DrawnEntity]]:
    """Of the question, by frame, in source pixels: first, middle and last of those in which it
    cites a box."""
    further = json.loads(one.question["further"])
    colours = dict(zip(further.get("things") or (), further.get("boxes") or (), strict=False))
    boxes: dict[int, list[DrawnEntity]] = defaultdict(list)
    for row in one.evidence:
        if row["table"] == "masks" and row["x0"] is not None:
            thing = int(json.loads(row["row_key"])[1])
            box = (row["x0"], row["y0"], row["x1"], row["y1"])
            rgb = BOX_RGB[colours[thing]] if thing in colours else None
            name = one.names.get(thing, f"thing {thing}").removeprefix("the ")
            label = name.removesuffix(f" ({colours.get(thing)} box)")
            boxes[row["frame"]].append(DrawnEntity(thing, label, None, box, *_NOTHING, rgb))
    frames = sorted(boxes)
    if not frames:
        return {}
    chosen = sorted({frames[i * (len(frames) - 1) // (N_FRAMES - 1)] for i in range(N_FRAMES)})
    return {frame: boxes[frame] for frame in chosen}
