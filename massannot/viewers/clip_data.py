"""What the page shows of one clip, as JSON values: frames, masks, trails, places, events, words.

Coordinates are source pixels, places the camera's or the world's axes in the clip's unit. Unknown
is null. Masks stay run lengths, whose outline the page draws. At most TRAILS points of a thing are
drawn, evenly chosen among its tracked ones.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from massannot.counts import counted
from massannot.geometry.camera import inverse
from massannot.questions.profile import entity_names, is_good, motion_profile
from massannot.tables.cameras import known_poses
from massannot.tables.positions import STATES
from massannot.viewers.clip_drawing import GetTable
from massannot.viewers.clip_speeds import ClipSpeeds
from massannot.viewers.depth_sheet import depth_sheet
from massannot.viewers.overlay import entity_rgb
from massannot.viewers.summary import PROFILE_TABLES

TRAILS = 12
WORLD_UNKNOWN_NOTE = (
    "The world is not known: the camera moves, or may, and its poses are assumed. Motions are "
    "relative to the camera."
)
Json = dict[str, Any]


@dataclass(frozen=True)
class ShownFilm:
    """Where the page finds the clip's film: frame k is shown at t_s[k] - offset_s of it."""

    src: str
    offset_s: float | None
    """0: the video itself; None: a film that begins with the clip's first frame."""


def clip_data(
    table: GetTable,
    *,
    film: ShownFilm | None,
    index_link: str | None,
    min_quality: float | None = None,
    questions: Sequence[Json] = (),
    depth_src: str | None = None,
    story: Json | None = None,
) -> Json:
    """The page's data. `min_quality`: leave out entities of lower or unknown quality. `depth_src`:
    an address of the depth pictures; without one they are inside the data. `story`: the clip's
    place in its video, see video_story.py."""
    clip = table("clips").to_pylist()[0]
    names = entity_names({name: table(name) for name in ("phrases", "entities")})
    rows = table("entities").to_pylist()
    good = {r["entity"] for r in rows if is_good(r["quality"], min_quality)}
    places, cameras = table("positions"), table("cameras")
    placed = places.filter(places["x_cam"].is_valid())
    no_world = placed.num_rows > 0 and placed["x_world"].null_count == placed.num_rows
    t_s = table("frames")["t_s"].to_pylist()
    camera = _camera(cameras, clip["camera_static"])
    return {
        "kind": "clip",
        "id": clip["clip_id"],
        "name": clip_name(clip),
        "facts": facts_line(clip),
        "notes": [WORLD_UNKNOWN_NOTE] if no_world else [],
        "index_link": index_link,
        "width": clip["source_width"],
        "height": clip["source_height"],
        "unit": unit_of(clip),
        "camera_static": clip["camera_static"],
        "world": placed.num_rows > 0 and not no_world,
        "t_s": t_s,
        "film": _film(film, t_s),
        "no_film": "The video could not be read again, so there is no film.",
        "entities": _entities(table, names, good),
        "left_out": _left_out(rows, good, min_quality),
        "masks": _masks(table("masks"), good),
        "trails": _trails(table("tracks_xy"), clip["n_frames"], good),
        "depth": depth_sheet(table("depth_maps"), src=depth_src),
        "positions": _positions(table, good),
        "internal": "internal" in places["interval_basis"].to_pylist(),
        "camera": camera,
        "half_view": _half_view(cameras, clip),
        "segments": [
            {"first": r["first_frame"], "end": r["end_frame"]}
            for r in table("segments").to_pylist()
        ],
        "events": _events(table("events"), names, t_s),
        "questions": list(questions),
        "story": story,
        "review": None,
        "motions": _motions(table, names, good, t_s),
        "profile": motion_profile(
            {name: table(name) for name in PROFILE_TABLES},
            template="mass-v2",
            min_quality=min_quality,
        ),
        "row": [[key, None if value is None else str(value)] for key, value in clip.items()],
    }


def _film(film: ShownFilm | None, t_s: Sequence[float]) -> Json | None:
    if film is None:
        return None
    offset_s = t_s[0] if film.offset_s is None else film.offset_s
    return {"src": film.src, "offset_s": offset_s}


def clip_name(row: Mapping[str, Any]) -> str:
    return str(row["source_id"] or Path(row["uri"]).name)


def unit_of(row: Mapping[str, Any]) -> str:
    return "m" if row["scale_type"] == "metric" else "units"


def facts_line(row: Mapping[str, Any]) -> str:
    floor = row["noise_floor"]
    noise = f"; noise floor {floor:.3f} {unit_of(row)}/s" if floor is not None else ""
    return (
        f"{row['uri']}, {row['t0_s']:.2f} to {row['t1_s']:.2f} s, "
        f"{counted(row['n_frames'], 'frame')} of "
        f"{row['source_width']}x{row['source_height']}, scale {row['scale_type'] or 'unknown'}"
        f"{noise}"
    )


def _short(value: float | None, digits: int = 4) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _left_out(rows: Sequence[Json], good: set[int], least: float | None) -> str | None:
    if len(good) == len(rows):
        return None
    unknown = sum(r["quality"] is None for r in rows)
    return (
        f"{len(rows) - len(good)} below quality {least} left out, {unknown} of them of unknown "
        "quality"
    )


def _entities(table: GetTable, names: Mapping[int, str], good: set[int]) -> list[Json]:
    states: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for r in table("positions").select(["entity", "state"]).to_pylist():
        states[r["entity"]][r["state"]] += 1
    return [
        {
            "entity": r["entity"],
            "name": names[r["entity"]],
            "colour": "#{:02x}{:02x}{:02x}".format(*entity_rgb(r["entity"])),
            "quality": _short(r["quality"]),
            "basis": r["quality_basis"],
            "first": r["first_frame"],
            "last": r["last_frame"],
            "states": ", ".join(
                f"{states[r['entity']][s]} {s}" for s in STATES if states[r["entity"]][s]
            )
            or "unknown",
            **{
                name: _short(r[name])
                for name in ("score", "fb_error_px", "in_mask_share", "depth_valid_share",
                             "points_alive_share")
            },
        }
        for r in table("entities").to_pylist()
        if r["entity"] in good
    ]  # fmt: skip


def _masks(masks: pa.Table, good: set[int]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for r in masks.to_pylist():
        if r["entity"] in good and r["area"] > 0:
            box = [_short(r[name], 1) for name in ("x0", "y0", "x1", "y1")]
            row = {"frame": r["frame"], "counts": r["counts"], "box": box, "state": r["state"]}
            found.setdefault(str(r["entity"]), []).append(row)
    return found


def _trails(tracks: pa.Table, n_frames: int, good: set[int]) -> dict[str, list[Json]]:
    by_entity: defaultdict[int, list[Json]] = defaultdict(list)
    for row in tracks.select(["entity", "x", "y", "visible"]).to_pylist():
        if row["entity"] in good:
            by_entity[row["entity"]].append(row)
    return {
        str(entity): [
            {
                "x": [_short(v, 1) for v in rows[k]["x"]],
                "y": [_short(v, 1) for v in rows[k]["y"]],
                "visible": "".join("01"[v] for v in rows[k]["visible"]),
            }
            for k in np.unique(np.linspace(0, len(rows) - 1, TRAILS).round().astype(int))
        ]
        for entity, rows in by_entity.items()
    }


def _positions(table: GetTable, good: set[int]) -> dict[str, Json]:
    """Entity to its state, places, intervals and speed by frame."""
    found: dict[str, Json] = {}
    of_clip = ClipSpeeds(table)
    n = len(of_clip.t_s)
    by_entity: defaultdict[int, list[Json]] = defaultdict(list)
    for row in table("positions").to_pylist():
        if row["entity"] in good:
            by_entity[row["entity"]].append(row)
    for entity, rows in by_entity.items():
        series: Json = {"states": ["lost"] * n}
        series |= {name: [None] * n for name in ("cam", "world", "half")}
        for row in rows:
            frame = row["frame"]
            series["states"][frame] = row["state"]
            for name, columns in (
                ("cam", [f"{a}_cam" for a in "xyz"]),
                ("world", [f"{a}_world" for a in "xyz"]),
                ("half", [f"{a}_half_90" for a in "xyz"]),
            ):
                if row[columns[0]] is not None:
                    series[name][frame] = [_short(row[c]) for c in columns]
        speeds = of_clip.of(entity, rows)
        for name, column in zip(("speed", "speed_low", "speed_high"), speeds.T, strict=True):
            series[name] = [_short(float(value)) for value in column]
        found[str(entity)] = series
    return found


def _camera(cameras: pa.Table, static: bool | None) -> list[list[float]] | None:
    """A frame's place and rotation, world_from_cam, as 3 + 9 numbers; None: not known."""
    poses = known_poses(cameras, camera_static=static)
    if poses is None:
        return None
    return [[*pose[:3, 3].round(5).tolist(), *pose[:3, :3].ravel().round(6).tolist()]
            for pose in inverse(poses)]  # fmt: skip


def _half_view(cameras: pa.Table, clip: Mapping[str, Any]) -> list[float]:
    """Half of the picture's width and height at distance 1."""
    if not cameras.num_rows:
        return [0.6, 0.6 * clip["source_height"] / clip["source_width"]]
    first = cameras.slice(0, 1).to_pylist()[0]
    halves = (clip["source_width"] / 2 / first["fx"], clip["source_height"] / 2 / first["fy"])
    return [round(half, 4) for half in halves]


def _events(events: pa.Table, names: Mapping[int, str], t_s: Sequence[float]) -> list[Json]:
    found = []
    for r in events.to_pylist():
        who = " and ".join(names.get(e, f"thing {e}") for e in r["entities"])
        until = r["t1_s"]
        found.append(
            {
                "frame": frame_at(t_s, r["t_s"]),
                "end_frame": frame_at(t_s, r["t_s"] if until is None else until),
                "t_s": r["t_s"],
                "text": f"{r['kind'].replace('_', ' ')}: {who}{_grounds(r)}",
            }
        )
    return found


def _grounds(event: Mapping[str, Any]) -> str:
    """How long, on what ground and how sure, as far as it is known."""
    parts = []
    if event["t1_s"] is not None:
        parts.append(f"until {event['t1_s']:.2f} s")
    if event["t_sd_s"] is not None:
        parts.append(f"time ± {event['t_sd_s']:.2f} s")
    if event["rule"] is not None:
        parts.append(f"by {event['rule'].replace('_', ' ')}")
    if event["verdict"] is not None:
        parts.append(event["verdict"])
    if event["score"] is not None:
        parts.append(f"score {event['score']:.2f}")
    return f" ({', '.join(parts)})" if parts else ""


def frame_at(t_s: Sequence[float], moment_s: float) -> int:
    """The frame nearest to a moment."""
    return int(np.abs(np.asarray(t_s) - moment_s).argmin())


def _motions(
    table: GetTable, names: Mapping[int, str], good: set[int], t_s: Sequence[float]
) -> list[Json]:
    basis = {r["entity"]: r["quality_basis"] for r in table("entities").to_pylist()}
    return [
        {
            "name": names[r["entity"]],
            "segment": r["segment"],
            "frame": frame_at(t_s, r["t0_s"]),
            "reference": r["reference"],
            "length": _short(r["length"]),
            "speed": _short(r["speed"]),
            "interval": interval_text(r),
            "above_noise": r["above_noise"],
            "quality": _short(r["quality"]),
            "basis": basis[r["entity"]],
        }
        for r in table("motions").to_pylist()
        if r["entity"] in good
    ]


def interval_text(row: Mapping[str, Any]) -> str:
    """Of a motion's length; an internal one has no probability."""
    low, high = row["length_low_90"], row["length_high_90"]
    if low is None or high is None:
        return "unknown"
    if row["interval_basis"] == "calibrated":
        return f"{low:.2f}–{high:.2f}, calibrated"
    return f"{low:.2f}–{high:.2f} or wider, internal"
