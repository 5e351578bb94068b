"""Films of odd rates with a thing of known boxes, masks and states, and datasets that say it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.clip import Clip
from massannot.geometry import rle
from massannot.inputs.span import VideoSource
from massannot.storage.parquet import write_parquet
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
from tests.unit.make_videos import Film
from tests.unit.reader_films import VARIABLE, WITH_B

H, W = 96, 160
RATES = {
    "29.97": Film(n=24, options=WITH_B, rate=Fraction(30000, 1001), height=H, width=W),
    "23.976": Film(n=24, options=WITH_B, rate=Fraction(24000, 1001), height=H, width=W),
    "variable": Film(
        n=24, options=WITH_B, time_base=Fraction(1, 1000), pts=VARIABLE[:24], height=H, width=W
    ),
}


def box_at(frame: int) -> tuple[int, int, int, int]:
    return 10 + 7 * frame, 20 + frame, 34 + 7 * frame, 44 + frame


def mask_at(frame: int) -> np.ndarray:
    x0, y0, x1, y1 = box_at(frame)
    mask = np.zeros((H, W), np.bool_)
    mask[y0:y1, x0:x1] = True
    mask[y0 + 2, x0] = mask[y0 : y0 + 3, x1 - 1] = False
    return mask


def clips_table(clip: Clip) -> pa.Table:
    frames = clip.frames
    row = {
        "clip_id": clip.clip_id, "video_id": frames.video_id, "uri": clip.video.uri,
        "clip_index": 0, "first_pts": int(frames.pts[0]), "end_pts": int(frames.pts[-1]) + 1,
        "time_base_num": frames.time_base.numerator,
        "time_base_den": frames.time_base.denominator,
        "t0_s": float(frames.t_s[0]), "t1_s": float(frames.t_s[-1]), "sampling": "10",
        "n_frames": len(clip), "source_width": W, "source_height": H, "working_width": W,
        "working_height": H, "scale_type": "metric", "micro_batch": 0, "damaged": False,
    }  # fmt: skip
    return tables.spec("clips").from_rows([row])


STATES = ("visible", None, "occluded", "absent", "visible", "visible")
"""Of each annotated frame; None: nothing is said. Frames after these have the last."""


def state_at(frame: int) -> str | None:
    return STATES[min(frame, len(STATES) - 1)]


def annotated(rate: str, tmp_path: Path) -> tuple[Clip, Path]:
    """A clip of the film of this rate, and a dataset that says what `box_at` and `state_at` say."""
    film = RATES[rate].write(tmp_path / "film.mp4")
    clip = next(iter(read_clips(VideoSource(str(film)), sampling=Sampling(fps=10, shots=None))))
    assert isinstance(clip, Clip)
    n = len(clip)
    rows = []
    for frame in range(n):
        state = state_at(frame)
        if state is None:
            continue
        seen = state == "visible"
        box = box_at(frame) if seen else (None,) * 4
        mask = mask_at(frame) if seen else np.zeros((H, W), np.bool_)
        rows.append(
            {"clip_id": clip.clip_id, "entity": 0, "frame": frame, "height": H, "width": W,
             "counts": rle.encode(mask), "area": int(mask.sum()), "state": state,
             **dict(zip(("x0", "y0", "x1", "y1"), box)),
             "score": 0.125 if state == "absent" else 0.75, "origin": "propagated"}
        )  # fmt: skip
    key = {"clip_id": clip.clip_id}
    found = {
        "clips": clips_table(clip),
        "frames": clip.table("frames"),
        "phrases": tables.spec("phrases").from_rows(
            [{**key, "phrase": 0, "text": "a ball", "origin": "prompt", "n_entities": 1}]
        ),
        "entities": tables.spec("entities").from_rows(
            [{**key, "entity": 0, "phrase": 0, "first_frame": 0, "last_frame": n - 1, "score": 0.5}]
        ),
        "masks": tables.spec("masks").from_rows(rows),
    }
    for name, table in found.items():
        write_parquet(tmp_path / f"out/data/{name}/0.parquet", [table], spec=tables.spec(name))
    return clip, tmp_path / "out"
