"""Small tables with known motion, as a dataset that questions can be asked about: two or three
things a clip on straight ways, seen for 24 frames by a camera that stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from massannot import tables
from massannot.dataset.layout import Layout
from massannot.storage.parquet import write_parquet

FPS, N = 12, 24
NOUNS = ("ball", "box", "cone")


def write_asked_about(
    folder: Path,
    *,
    n_clips: int = 24,
    basis: str = "calibrated",
    sd_m: float = 0.005,
    nouns: tuple[str, ...] = NOUNS,
    bend: float = 0.0,
    unlike: float = 1.0,
) -> Path:
    """`basis`: ground of all intervals; none: there are none, and the scale is unknown. `bend`:
    radians by which each way turns, clockwise from above in even clips, else anticlockwise.
    `unlike`: how many times faster a thing is than the next slower one."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _EMPTY}
    for number in range(n_clips):
        turn = bend if number % 2 == 0 else -bend
        for name, found in _clip(number, basis, sd_m, nouns, turn, unlike).items():
            rows[name] += found
    layout = Layout(folder)
    for name, found in rows.items():
        table = tables.spec(name).from_rows(found)
        write_parquet(layout.published(name, "00000"), [table], spec=tables.spec(name))
    return folder


_EMPTY = ("clips", "cameras", "entities", "events", "frames", "masks", "motions", "phrases",
          "positions", "segments", "videos")  # fmt: skip


def way_of(number: int, thing: int, bend: float = 0.0, unlike: float = 1.0) -> np.ndarray:
    """(N, 3) metres. Drawn from the numbers alone, and then bent and stretched."""
    chance = np.random.default_rng([number, thing])
    start = np.array([1.2 * thing - 1.2, 0.3, 4.0 + 0.3 * thing])
    heading, speed = chance.uniform(0, 2 * np.pi), chance.uniform(0.05, 0.5)
    if unlike != 1:
        speed = 0.15 * unlike ** ((number + thing) % len(NOUNS))
    step = speed * np.array([np.sin(heading) * 0.4, 0.0, np.cos(heading)])
    if bend:
        angle = heading + np.linspace(0, bend, N - 1)
        steps = speed / FPS * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
        return start + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    return start + np.arange(N)[:, None] / FPS * step


def _clip(
    number: int, basis: str, sd_m: float, nouns: tuple[str, ...], bend: float, unlike: float
) -> dict[str, list[dict[str, Any]]]:
    clip_id = f"{number:032x}"
    key = {"clip_id": clip_id}
    known = basis != "none"
    scale = "metric" if known else "relative"
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in _EMPTY}
    found["videos"] = [_video(number)]
    found["clips"] = [_clip_row(number, clip_id, scale)]
    found["segments"] = [{**key, "segment": 0, "first_frame": 0, "end_frame": N, "kind": "fixed"}]
    for frame in range(N):
        t = {"pts": frame, "t_s": frame / FPS, "keyframe": frame == 0, "damaged": False}
        found["frames"].append({**key, "frame": frame, **t})
        found["cameras"].append(
            {**key, "frame": frame, "fx": 150.0, "fy": 150.0, "cx": 160.0, "cy": 120.0,
             "cam_from_world": np.eye(4).ravel().tolist(), "intrinsics_origin": "given",
             "pose_origin": "given"}
        )  # fmt: skip
    for thing, noun in enumerate(nouns):
        phrase = {"text": f"a {noun}", "origin": "prompt", "n_entities": 1}
        found["phrases"].append({**key, "phrase": thing, **phrase})
        seen = {"first_frame": 0, "last_frame": N - 1, "score": 1.0, "quality": 0.9}
        found["entities"].append({**key, "entity": thing, "phrase": thing, **seen})
        way = way_of(number, thing, bend, unlike)
        for frame, point in enumerate(way):
            of = {**key, "entity": thing, "frame": frame}
            found["positions"].append(of | _position(point, scale, basis, sd_m))
            x, y = 150 * point[:2] / point[2] + [160, 120]
            box = {"x0": x - 8, "y0": y - 8, "x1": x + 8, "y1": y + 8}
            found["masks"].append(
                {**of, "height": 240, "width": 320, "counts": "", "area": 256, **box,
                 "score": 1.0, "state": "visible"}
            )  # fmt: skip
        for reference in ("camera", "world"):
            of = {**key, "entity": thing, "segment": 0, "reference": reference}
            found["motions"].append(of | _motion(way, scale, basis, sd_m))
        t_s = 0.5 + ((number * 7 + thing * 3) % 9) / 9
        found["events"].append({**key, "kind": "stop", "entities": [thing], "t_s": t_s})
    found["events"].sort(key=lambda row: row["t_s"])
    for i, row in enumerate(found["events"]):
        row["event"] = i
    return found


def _position(point: np.ndarray, scale: str, basis: str, sd_m: float) -> dict[str, Any]:
    row: dict[str, Any] = {"scale_type": scale, "n_points": 9, "state": "measured", "spread": 0.05}
    for axis, value in zip("xyz", point, strict=True):
        row |= {f"{axis}_cam": value, f"{axis}_world": value}
    if basis != "none":
        row |= {"cov": [sd_m**2, 0, 0, sd_m**2, 0, sd_m**2], "interval_basis": basis}
    return row


def _motion(way: np.ndarray, scale: str, basis: str, sd_m: float) -> dict[str, Any]:
    path = float(np.linalg.norm(way[-1] - way[0]))
    row: dict[str, Any] = {"scale_type": scale, "path": path, "t0_s": 0.0, "t1_s": (N - 1) / FPS}
    row |= {"length": path, "speed": path / row["t1_s"], "quality": 0.9}
    for i, axis in enumerate("xyz"):
        ends = {"first": way[0, i], "last": way[-1, i], "motion": way[-1, i] - way[0, i]}
        row |= {f"{name}_{axis}": value for name, value in ends.items()}
    if basis != "none":
        row["interval_basis"] = basis
        for name in ("path", "length"):
            row |= {f"{name}_low_68": path - 2 * sd_m, f"{name}_high_68": path + 2 * sd_m}
    return row


def _video(number: int) -> dict[str, Any]:
    return {
        "uri": f"film-{number}.mp4", "video_id": f"{number + 4096:032x}", "n_frames": N,
        "damaged": False, "time_base_num": 1, "time_base_den": FPS, "size_bytes": 0,
        "container": "mp4", "codec": "h264", "width": 320, "height": 240, "rotation": 0,
        "sample_aspect_num": 1, "sample_aspect_den": 1, "color_space": "rgb",
        "color_range": "full", "first_pts": 0, "duration_s": N / FPS, "variable_rate": False,
    }  # fmt: skip


def _clip_row(number: int, clip_id: str, scale: str) -> dict[str, Any]:
    return {
        "clip_id": clip_id, "video_id": f"{number + 4096:032x}", "uri": f"film-{number}.mp4",
        "clip_index": 0, "first_pts": 0, "end_pts": N, "time_base_num": 1, "time_base_den": FPS,
        "t0_s": 0.0, "t1_s": (N - 1) / FPS, "sampling": "all", "n_frames": N, "source_width": 320,
        "source_height": 240, "working_width": 320, "working_height": 240, "scale_type": scale,
        "camera_static": True, "noise_floor": 0.0, "noise_floor_p90": 0.0, "micro_batch": 0,
        "damaged": False,
    }  # fmt: skip
