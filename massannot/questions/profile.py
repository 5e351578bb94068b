"""The motion profile: a clip's motions as text, for a prompt or a reader.

mass-v1 has the wording of MASS (arXiv 2511.18373, teaser figure), which says no unit, and before it
a line with the frame of reference. mass-v2 states units, frame of reference, times and uncertainty,
the camera's turns and ways, rest, and when and why a thing is not seen. Motions are in the world
wherever it is known, unless those in the camera are asked for. In both, a segment's last position
is the next one's first, numbers have two decimals and no minus before zero, an entity without a
motion in a segment has no line there, and entities that answer the same phrase are numbered
("ball 1", "ball 2").

profile_blocks.py reads the text of both back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from massannot.counts import counted
from massannot.questions.absence_line import absence_line, absences
from massannot.questions.camera_line import CameraWords
from massannot.questions.profile_blocks import CAMERA, Template
from massannot.questions.reference import (
    Reference,
    ReferenceChoice,
    chosen_reference,
    reference_text,
)
from massannot.tables.cameras import SPEC as CAMERAS
from massannot.tables.frames import SPEC as FRAMES

if TYPE_CHECKING:
    import pyarrow as pa


_UNKNOWN = {
    "camera": "none in this frame of reference",
    "world": "none, the camera's poses are not known",
}
_NOTHING = 0.005
"""In two decimals it is nothing."""
_AXES = "<x, y, z> is right, down, forward"
_SCENE = "scene:"
"""So begins the address of a scene whose motions are the bodies' own, not those of a film of it."""


def motion_profile(
    tables: Mapping[str, pa.Table],
    *,
    template: Template = "mass-v1",
    reference: ReferenceChoice = "auto",
    min_quality: float | None = None,
    names: Mapping[int, str] | None = None,
) -> str:
    """The text of one clip.

    `tables` are that clip's `clips`, `segments`, `phrases`, `entities`, `motions`, where there are
    any `cameras` and, for mass-v2, `positions` and `frames`. `reference`: see
    `reference.chosen_reference`. `min_quality`: leave out motions of lower or unknown quality.
    `names`: of the entities, where clips that belong together share them; None: `entity_names`.
    Where the world is unknown there are no motions in it, and mass-v2 says so.
    Raises ValueError for the tables of several clips or an unknown template.
    """
    if template not in ("mass-v1", "mass-v2"):
        raise ValueError(f"motion profile: found template {template!r}, expected mass-v1, mass-v2")
    if tables["clips"].num_rows != 1:
        raise ValueError(
            f"motion profile: found {tables['clips'].num_rows} clips, expected the tables of one"
        )
    reference = chosen_reference([tables], reference)
    names = entity_names(tables) if names is None else names
    motions: dict[int, list[dict[str, Any]]] = {}
    rows = tables["motions"].to_pylist()
    for row in rows:
        if row["reference"] == reference and is_good(row["quality"], min_quality):
            motions.setdefault(row["segment"], []).append(row)
    clip = tables["clips"].to_pylist()[0]
    exact = clip["uri"].startswith(_SCENE)
    fixed = reference == "world" or clip["camera_static"] is True
    lines = ["Motion Profile"]
    if template == "mass-v1":
        lines.append(f"  Frame of reference: the {reference}")
    further = _Further(tables, clip, names, reference) if template == "mass-v2" else None
    if further is not None:
        lines += _conventions(clip, reference, further.camera.of_clip())
        if rows and all(row["reference"] != reference for row in rows):
            lines.append(f"  Motions: {_UNKNOWN[reference]}")
    basis = {row["entity"]: row["quality_basis"] for row in tables["entities"].to_pylist()}
    spreads = _spreads(tables) if template == "mass-v2" else {}
    for segment in tables["segments"].to_pylist():
        first, last = segment["first_frame"], segment["end_frame"] - 1
        title = f"  Video Segment {segment['segment'] + 1}: Frame {first}...{last}"
        lines += [title, *(further.of_segment(segment) if further is not None else ())]
        for row in motions.get(segment["segment"], []):
            lines.append(f"    * Entity: {names[row['entity']]}")
            if further is None:
                lines.append(f"    * Motion: {_motion(row)}")
            else:
                spread = _median(spreads.get(row["entity"], {}), first, last)
                lines.append(f"    * Motion: {_timed_motion(row)}")
                worth = _worth(row, spread, basis[row["entity"]], exact=exact, fixed=fixed)
                lines.append(f"    * {worth}")
                lines += further.of_entity(row["entity"], segment)
    return "\n".join(lines) + "\n"


class _Further:
    """Lines of mass-v2 that are no motions."""

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        clip: Mapping[str, Any],
        names: Mapping[int, str],
        reference: Reference,
    ) -> None:
        frames = tables.get("frames", FRAMES.empty())
        self._times_s = dict(zip(frames["frame"].to_pylist(), frames["t_s"].to_pylist()))
        self._absences = absences(tables, names) if self._times_s else {}
        self.camera = CameraWords(tables.get("cameras", CAMERAS.empty()), clip)

    def of_segment(self, segment: Mapping[str, Any]) -> list[str]:
        text = self.camera.of_segment(segment["first_frame"], segment["end_frame"])
        return [f"{CAMERA}{text}"] if text else []

    def of_entity(self, entity: int, segment: Mapping[str, Any]) -> list[str]:
        span = {"first": segment["first_frame"], "end": segment["end_frame"]}
        text = absence_line(self._absences.get(entity, {}), self._times_s, **span)
        return [f"    * Not seen: {text}"] if text else []


def _motion(row: Mapping[str, Any]) -> str:
    return (
        f"First position {_vector(row, 'first')}, Last Position {_vector(row, 'last')}, "
        f"Motion is {_vector(row, 'motion')}"
    )


def _timed_motion(row: Mapping[str, Any]) -> str:
    return (
        f"First position {_vector(row, 'first')} at {_number(row['t0_s'])} s, "
        f"Last Position {_vector(row, 'last')} at {_number(row['t1_s'])} s, "
        f"Motion is {_vector(row, 'motion')}"
    )


def _worth(
    row: Mapping[str, Any],
    spread: float | None,
    quality_basis: str | None,
    *,
    exact: bool,
    fixed: bool,
) -> str:
    """Path, errors and quality of a motion. Only calibrated ones have a probability; `exact`: a
    scene's own motion has no errors; `fixed`: its frame of reference stands still."""
    parts = [f"Path {_number(row['path'])}"]
    if row["length_low_68"] is not None:
        low, high = _number(row["length_low_68"]), _number(row["length_high_68"])
        ground = "(68 %)" if row["interval_basis"] == "calibrated" else "or wider"
        parts.append(f"length of the motion {low} to {high} {ground}")
    elif not exact:
        parts.append("error of the length unknown")
    if spread is not None:
        parts.append(f"spread of the points {_number(spread)}")
    if _is_at_rest(row, exact=exact, fixed=fixed):
        parts.append("at rest" if exact else "at rest as far as can be told")
    elif row["above_noise"] is not None:
        parts.append("above the noise" if row["above_noise"] else "not told from noise")
    elif not exact:
        parts.append("noise unknown")
    if row["quality"] is not None:
        rank = "" if exact or quality_basis == "calibrated" else " (a rank)"
        parts.append(f"quality {_number(row['quality'])}{rank}")
    elif not exact:
        parts.append("quality unknown")
    return ", ".join(parts)


def _is_at_rest(row: Mapping[str, Any], *, exact: bool, fixed: bool) -> bool:
    """Whether the motion may be none at all: its interval holds what rounds to nothing, and its
    path is no longer than those of the background. Nothing is at rest in a camera that moves."""
    if exact:
        return fixed and row["path"] < _NOTHING
    low = row["length_low_68"]
    return fixed and low is not None and low < _NOTHING and row["above_noise"] is False


def _conventions(clip: Mapping[str, Any], reference: Reference, camera: str) -> list[str]:
    """Lines on units, frame of reference, position, time, camera and noise."""
    unit = {
        "metric": "metres",
        "relative": "relative, one unknown factor for the whole clip",
        "affine": "none, the depth of this clip gives no positions",
        None: "none, this clip has no depth",
    }[clip["scale_type"]]
    centre = "centre of mass" if clip["uri"].startswith(_SCENE) else "centre of the visible surface"
    span = f"{_number(clip['t0_s'])} s to {_number(clip['t1_s'])} s of the video"
    static = clip["camera_static"]
    return [
        f"  Units: {unit}",
        f"  Frame of reference: {reference_text(reference, camera_static=static)}; {_AXES}",
        f"  Position: {centre}",
        f"  Time: {span}, {counted(clip['n_frames'], 'frame')}",
        f"  Camera: {camera}",
        f"  Noise: {_noise(clip, reference)}",
    ]


def _noise(clip: Mapping[str, Any], reference: Reference) -> str:
    if clip["noise_floor"] is None:
        return "unknown"
    if reference == "camera" and clip["camera_static"] is not True:
        return "known in the world only"
    return (
        f"background that stands still seems to move {_number(clip['noise_floor'])} "
        f"a second (90th percentile {_number(clip['noise_floor_p90'])})"
    )


def entity_names(tables: Mapping[str, pa.Table]) -> dict[int, str]:
    """The phrase each entity answers, numbered where several do."""
    texts = {row["phrase"]: row["text"] for row in tables["phrases"].to_pylist()}
    entities = {row["entity"]: texts[row["phrase"]] for row in tables["entities"].to_pylist()}
    how_many = Counter(entities.values())
    so_far: Counter[str] = Counter()
    names = {}
    for entity, text in sorted(entities.items()):
        so_far[text] += 1
        names[entity] = text if how_many[text] == 1 else f"{text} {so_far[text]}"
    return names


def _spreads(tables: Mapping[str, pa.Table]) -> dict[int, dict[int, float]]:
    """Entity to frame to spread."""
    spreads: dict[int, dict[int, float]] = {}
    columns = (tables["positions"][name].to_pylist() for name in ("entity", "frame", "spread"))
    for entity, frame, spread in zip(*columns, strict=True):
        if spread is not None:
            spreads.setdefault(entity, {})[frame] = spread
    return spreads


def _median(by_frame: Mapping[int, float], first: int, last: int) -> float | None:
    inside = sorted(value for frame, value in by_frame.items() if first <= frame <= last)
    return inside[len(inside) // 2] if inside else None


def is_good(quality: float | None, least: float | None) -> bool:
    """Whether a quality is at least `least`; an unknown one is where `least` is None."""
    return least is None or (quality is not None and quality >= least)


def _vector(row: Mapping[str, Any], name: str) -> str:
    return "<" + ", ".join(_number(row[f"{name}_{axis}"]) for axis in "xyz") + ">"


def _number(value: float) -> str:
    """Two decimals, halves to even; never -0.00."""
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text
