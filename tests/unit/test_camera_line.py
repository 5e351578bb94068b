"""What the profile says of the camera, word for word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from massannot import tables
from massannot.geometry.bundle_adjustment import rotations
from massannot.geometry.camera import rigid
from massannot.questions.camera_line import CameraWords

T = 9
RAMP = np.linspace(0, 1, T)
OUT_AND_BACK = np.sin(np.pi * RAMP)


def about_y(angles: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) by radians about the vertical axis."""
    return rotations(angles[:, None] * [0.0, 1.0, 0.0])


def moved(*, pan_deg: np.ndarray = 0 * RAMP, places: np.ndarray | None = None) -> np.ndarray:
    """cam_from_world of a camera that pans and stands at places (T, 3)."""
    turn = about_y(-np.radians(pan_deg))
    places = np.zeros((len(pan_deg), 3)) if places is None else places
    return rigid(turn, -np.einsum("tij,tj->ti", turn, places))


def camera_table(
    cam_from_world: np.ndarray, *, origin: str = "estimated", sd: float | None = None
) -> pa.Table:
    """`cameras` of a clip; `sd` of each number of a pose, independent."""
    cov = None if sd is None else (sd**2 * np.eye(6))[np.triu_indices(6)].tolist()
    return tables.spec("cameras").from_rows(
        [
            {
                "clip_id": "c0" * 16,
                "frame": frame,
                **dict.fromkeys(("fx", "fy", "cx", "cy"), 100.0),
                "cam_from_world": pose.ravel().tolist(),
                "intrinsics_origin": "given",
                "pose_origin": origin,
                "pose_cov": cov,
            }
            for frame, pose in enumerate(cam_from_world)
        ]
    )


def words(
    cameras: pa.Table, *, static: bool | None = False, scale_type: str | None = "metric"
) -> CameraWords:
    clip: dict[str, Any] = {"camera_static": static, "scale_type": scale_type}
    return CameraWords(cameras, clip)


ASIDE = np.outer(RAMP, [0.4, 0.0, 0.0])
ALL_WAYS = np.outer(RAMP, [-0.3, 0.01, 0.4])
FORWARD_LEFT = "forward and left, seen from its first frame"
LINES = [
    ("still", moved(), {}, {"static": True}, "stands still"),
    ("not seen to move", moved(), {"origin": "assumed"}, {"static": True}, "stands still"),
    ("assumed", moved(), {"origin": "assumed"}, {}, "moves, how is not known"),
    ("not tested", moved(), {"origin": "assumed"}, {"static": None}, "unknown"),
    (
        "poses say nothing of a motion that was seen",
        moved(), {}, {}, "moves less than its poses tell",
    ),
    (
        "pan and way",
        moved(pan_deg=31 * RAMP, places=ASIDE), {"origin": "given"}, {},
        "pans right 31 degrees, moves 0.40 m right, seen from its first frame",
    ),
    (
        "errors",
        moved(pan_deg=-31 * RAMP, places=ALL_WAYS), {"sd": 0.02}, {},
        f"pans left 31 degrees (29 to 33, 68 %), moves 0.50 m (0.47 to 0.53, 68 %) {FORWARD_LEFT}",
    ),
    (
        "less than its error",
        moved(pan_deg=2 * RAMP, places=0.1 * ASIDE), {"sd": 0.03}, {"static": None}, "stands still",
    ),
    (
        "depth without a unit",
        moved(places=ASIDE), {}, {"scale_type": "relative"},
        "moves 0.40 units right, seen from its first frame",
    ),
    (
        "out and back",
        moved(pan_deg=20 * OUT_AND_BACK, places=np.outer(OUT_AND_BACK, [0, 0, 0.3])), {}, {},
        "pans right 20 degrees and back, moves 0.30 m away and back, seen from its first frame",
    ),
    (
        "out and half of the way back",
        moved(pan_deg=20 * np.sin(5 / 6 * np.pi * RAMP)), {}, {},
        "pans right 20 degrees, then left 10, seen from its first frame",
    ),
    (
        "a degree",
        moved(pan_deg=1.2 * RAMP), {}, {}, "pans right 1 degree, seen from its first frame",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "poses", "table", "clip", "line"), LINES, ids=[line[0] for line in LINES]
)
def test_the_line_says_what_is_known_and_no_more(
    what: str, poses: np.ndarray, table: dict[str, Any], clip: dict[str, Any], line: str
) -> None:
    assert words(camera_table(poses, **table), **clip).of_clip() == line


def test_without_cameras_nothing_is_known() -> None:
    empty = tables.spec("cameras").empty()
    assert words(empty, static=None).of_clip() == "unknown"
    assert words(empty).of_segment(0, 4) is None


def test_a_segment_has_a_line_of_its_own_only_where_it_says_more() -> None:
    found = words(camera_table(moved(pan_deg=np.r_[20 * np.linspace(0, 1, 5), 20, 20, 20, 20])))
    assert found.of_segment(0, 4) == "pans right 20 degrees, seen from the segment's first frame"
    assert found.of_segment(4, 9) == "stands still"
    assert found.of_segment(0, 9) is None
    assert words(camera_table(moved()), static=True).of_segment(0, 4) is None
