"""A dataset to look at, written without a model: a disc moves through a film, and its tables say so
exactly. Many clips share the one film."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from massannot import tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.card import write_card
from massannot.dataset.layout import Layout
from massannot.geometry import rle
from massannot.video.film_encoder import FilmWriter
from tests.unit.small_dataset import RECORD, stage

WIDTH, HEIGHT, N_FRAMES, RADIUS = 160, 120, 20, 18


def centre(frame: int) -> tuple[float, float]:
    """Of the disc, source pixels."""
    return 30.0 + 5 * frame, 60.0


def disc(frame: int) -> npt.NDArray[np.bool_]:
    """(H, W): the disc's mask."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.asarray(np.hypot(x - centre(frame)[0], y - centre(frame)[1]) < RADIUS)


def write_film(path: Path) -> None:
    """Ten frames a second: a red disc on grey, whose brightness tells the frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FilmWriter(path, width=WIDTH, height=HEIGHT, fps=Fraction(10), crf=10) as film:
        for frame in range(N_FRAMES):
            picture = np.full((HEIGHT, WIDTH, 3), 40 + 8 * frame, np.uint8)
            picture[disc(frame)] = (220, 30, 30)
            film.write(picture)


def write_looked_at(out: Path, names: Sequence[tuple[str, str]]) -> Layout:
    """A finished run of one shard. `names`: of each clip, the user's id and the phrase; the film
    lies in `out`/../film.mp4, and every clip shows all of it."""
    film = out.parent / "film.mp4"
    if not film.is_file():
        write_film(film)
    layout = Layout(out)
    run_record.begin(layout, RECORD)
    rows: dict[str, list[dict[str, Any]]] = {}
    for number, (source_id, phrase) in enumerate(names):
        for name, more in rows_of(number, source_id, phrase, film).items():
            rows.setdefault(name, []).extend(more)
    found = {name: tables.spec(name).from_rows(these) for name, these in rows.items()}
    staged = stage(layout, "000000", layout.new_attempt("000000"), found)
    assert commits.put(layout, staged)
    commits.publish(layout, staged)
    write_card(layout)
    return layout


def clip_id_of(number: int) -> str:
    return f"c{number:07d}"


def rows_of(
    number: int, source_id: str, phrase: str, film: Path
) -> dict[str, list[dict[str, Any]]]:
    clip_id, uri = clip_id_of(number), str(film)
    clip = {"clip_id": clip_id}
    thing = {**clip, "entity": 0}
    sides = {"width": WIDTH, "height": HEIGHT}
    base = {"time_base_num": 1, "time_base_den": 10, "damaged": False}
    quality = None if number % 7 == 3 else round((number * 37 % 100) / 100, 2)
    video = {
        "uri": uri, "video_id": "v", "size_bytes": 1, "container": "mp4", "codec": "h264",
        "pixel_format": "yuv420p", **sides, **base, "rotation": 0, "sample_aspect_num": 1,
        "sample_aspect_den": 1, "color_space": "smpte170m", "color_range": "limited",
        "first_pts": 0,
    }  # fmt: skip
    frames = range(N_FRAMES)
    return {
        "videos": [video] if number == 0 else [],
        "clips": [
            {**clip, "video_id": "v", "uri": uri, "source_id": source_id, "clip_index": number,
             "first_pts": 0, "end_pts": N_FRAMES, **base, "t0_s": 0.0, "t1_s": (N_FRAMES - 1) / 10,
             "sampling": "10", "n_frames": N_FRAMES, "source_width": WIDTH,
             "source_height": HEIGHT, "working_width": WIDTH, "working_height": HEIGHT,
             "scale_type": "metric", "camera_static": [True, False, None][number % 3],
             "micro_batch": 0}
        ],
        "frames": [
            {**clip, "frame": f, "pts": f, "t_s": f / 10, "keyframe": f == 0, "damaged": False}
            for f in frames
        ],
        "segments": [
            {**clip, "segment": 0, "first_frame": 0, "end_frame": N_FRAMES, "kind": "fixed"}
        ],
        "phrases": [
            {**clip, "phrase": 0, "text": phrase, "origin": "prompt", "n_entities": 1}
        ],
        "entities": [
            {**thing, "phrase": 0, "first_frame": 0, "last_frame": N_FRAMES - 1, "score": 0.9,
             "quality": quality, "quality_basis": "internal"}
        ],
        "masks": [_mask_row(thing, f) for f in frames],
        "tracks_xy": [
            {**thing, "point": 0, "query_frame": 0, "x": [centre(f)[0] for f in frames],
             "y": [centre(f)[1] for f in frames], "visible": [True] * N_FRAMES,
             "visibility": [1.0] * N_FRAMES, "confidence": [1.0] * N_FRAMES,
             "fb_error_px": [None] * N_FRAMES}
        ],
        "positions": [
            {**thing, "frame": f, "scale_type": "metric", "x_cam": -1 + 0.1 * f, "y_cam": 0.5,
             "z_cam": 2.0, "n_points": 1, "state": "hidden" if f in (7, 8) else "measured",
             "x_half_90": 0.1, "y_half_90": 0.1, "z_half_90": 0.3, "interval_basis": "internal"}
            for f in frames
        ],
        "motions": [],
        "questions": [] if number else [
            {"question_id": "q1", "uri": uri, **clip, "question": "Where is <it>?",
             "answer": "left", "options": ["left", "right"], "evidence_times_s": [0.3],
             "evidence_boxes": [0.5, 10.0, 10.0, 40.0, 40.0]}
        ],
        "events": [
            {**clip, "event": 0, "kind": "contact_body", "entities": [0], "t_s": 0.7}
        ],
    }  # fmt: skip


def _mask_row(thing: dict[str, Any], frame: int) -> dict[str, Any]:
    mask = disc(frame)
    counts = rle.encode(mask)
    box = rle.box_xyxy(counts, height=HEIGHT, width=WIDTH)
    assert box is not None
    edges = dict(zip(("x0", "y0", "x1", "y1"), map(float, box), strict=True))
    return {**thing, "frame": frame, "height": HEIGHT, "width": WIDTH, "counts": counts,
            "area": int(mask.sum()), **edges, "score": 1.0, "state": "visible"}  # fmt: skip
