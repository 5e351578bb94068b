"""The motion profile, word for word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from massannot import tables
from massannot.geometry.camera import rigid
from massannot.questions.profile import motion_profile
from massannot.questions.profile_blocks import profile_blocks
from massannot.questions.reference import chosen_reference
from massannot.questions.scene_dataset import SCHEME
from tests.unit.test_camera_line import about_y, camera_table

CLIP = "c0" * 16


def clip_row(**changes: Any) -> dict[str, Any]:
    return {
        "clip_id": CLIP,
        "video_id": "ab" * 16,
        "uri": "v.mp4",
        "clip_index": 0,
        "first_pts": 0,
        "end_pts": 64,
        "time_base_num": 1,
        "time_base_den": 10,
        "t0_s": 0.0,
        "t1_s": 6.3,
        "sampling": "10",
        "n_frames": 64,
        "source_width": 640,
        "source_height": 480,
        "working_width": 640,
        "working_height": 480,
        "scale_type": "metric",
        "camera_static": True,
        "noise_floor": 0.012,
        "noise_floor_p90": 0.034,
        "micro_batch": 0,
        "damaged": False,
        **changes,
    }


def motion_row(entity: int, segment: int, first: tuple, last: tuple, **more: Any) -> dict[str, Any]:
    axes = "xyz"
    return {
        "clip_id": CLIP,
        "entity": entity,
        "segment": segment,
        "reference": "camera",
        "scale_type": "metric",
        **{f"first_{a}": v for a, v in zip(axes, first, strict=True)},
        **{f"last_{a}": v for a, v in zip(axes, last, strict=True)},
        **{f"motion_{a}": w - v for a, v, w in zip(axes, first, last, strict=True)},
        "path": 1.5,
        "t0_s": 3.2 * segment,
        "t1_s": 3.2 * (segment + 1) - (0.1 if segment else 0),
        "length_low_68": 0.9,
        "length_high_68": 1.1,
        "interval_basis": "calibrated",
        "quality": 0.9,
        "above_noise": True,
        **more,
    }


def profile_tables(
    motions: list[dict[str, Any]],
    texts: tuple[str, ...] = ("basketball", "hoop"),
    *,
    quality_basis: str = "calibrated",
    **clip: Any,
) -> dict[str, pa.Table]:
    """Tables of a clip of 64 frames in which entity i answers texts[i]."""
    phrases = list(dict.fromkeys(texts))
    rows: dict[str, list[dict[str, Any]]] = {
        "clips": [clip_row(**clip)],
        "segments": [
            {"segment": i, "first_frame": 32 * i, "end_frame": 32 * i + 32, "kind": "fixed"}
            for i in (0, 1)
        ],
        "phrases": [
            {"phrase": i, "text": text, "origin": "prompt", "n_entities": texts.count(text)}
            for i, text in enumerate(phrases)
        ],
        "entities": [
            {
                "entity": i,
                "phrase": phrases.index(text),
                "first_frame": 0,
                "last_frame": 63,
                "score": 1.0,
                "quality_basis": quality_basis,
            }
            for i, text in enumerate(texts)
        ],
        "positions": [
            {
                "entity": 0,
                "frame": frame,
                "scale_type": "metric",
                "spread": 0.051,
                "n_points": 9,
                "state": "measured",
            }
            for frame in range(64)
        ],
        "motions": motions,
    }
    return {
        name: tables.spec(name).from_rows([{"clip_id": CLIP, **row} for row in found])
        if found
        else tables.spec(name).empty()
        for name, found in rows.items()
    }


NO_INTERVAL = {"length_low_68": None, "length_high_68": None, "interval_basis": "none"}
THROWN = [
    motion_row(0, 0, (0.0, 0.5, 3.0), (1.0, -0.004, 3.25)),
    motion_row(0, 1, (1.0, -0.004, 3.25), (1.5, 0.25, 3.25)),
    motion_row(1, 1, (2.0, -1.0, 4.0), (2.0, -1.0, 4.0), above_noise=False, **NO_INTERVAL),
]


def test_mass_v1_reads_as_in_the_paper() -> None:
    assert motion_profile(profile_tables(THROWN)) == (
        "Motion Profile\n"
        "  Frame of reference: the camera\n"
        "  Video Segment 1: Frame 0...31\n"
        "    * Entity: basketball\n"
        "    * Motion: First position <0.00, 0.50, 3.00>, Last Position <1.00, 0.00, 3.25>, "
        "Motion is <1.00, -0.50, 0.25>\n"
        "  Video Segment 2: Frame 32...63\n"
        "    * Entity: basketball\n"
        "    * Motion: First position <1.00, 0.00, 3.25>, Last Position <1.50, 0.25, 3.25>, "
        "Motion is <0.50, 0.25, 0.00>\n"
        "    * Entity: hoop\n"
        "    * Motion: First position <2.00, -1.00, 4.00>, Last Position <2.00, -1.00, 4.00>, "
        "Motion is <0.00, 0.00, 0.00>\n"
    )


def test_mass_v2_states_units_reference_time_and_uncertainty() -> None:
    assert motion_profile(profile_tables(THROWN), template="mass-v2") == (
        "Motion Profile\n"
        "  Units: metres\n"
        "  Frame of reference: the camera of each position's own frame; "
        "<x, y, z> is right, down, forward\n"
        "  Position: centre of the visible surface\n"
        "  Time: 0.00 s to 6.30 s of the video, 64 frames\n"
        "  Camera: stands still\n"
        "  Noise: background that stands still seems to move 0.01 a second "
        "(90th percentile 0.03)\n"
        "  Video Segment 1: Frame 0...31\n"
        "    * Entity: basketball\n"
        "    * Motion: First position <0.00, 0.50, 3.00> at 0.00 s, "
        "Last Position <1.00, 0.00, 3.25> at 3.20 s, Motion is <1.00, -0.50, 0.25>\n"
        "    * Path 1.50, length of the motion 0.90 to 1.10 (68 %), spread of the points 0.05, "
        "above the noise, quality 0.90\n"
        "  Video Segment 2: Frame 32...63\n"
        "    * Entity: basketball\n"
        "    * Motion: First position <1.00, 0.00, 3.25> at 3.20 s, "
        "Last Position <1.50, 0.25, 3.25> at 6.30 s, Motion is <0.50, 0.25, 0.00>\n"
        "    * Path 1.50, length of the motion 0.90 to 1.10 (68 %), spread of the points 0.05, "
        "above the noise, quality 0.90\n"
        "    * Entity: hoop\n"
        "    * Motion: First position <2.00, -1.00, 4.00> at 3.20 s, "
        "Last Position <2.00, -1.00, 4.00> at 6.30 s, Motion is <0.00, 0.00, 0.00>\n"
        "    * Path 1.50, error of the length unknown, not told from noise, quality 0.90\n"
    )


UNITS = [
    ("metric", "Units: metres\n"),
    ("relative", "Units: relative, one unknown factor for the whole clip\n"),
    ("affine", "Units: none, the depth of this clip gives no positions\n"),
    (None, "Units: none, this clip has no depth\n"),
]


@pytest.mark.parametrize(("scale_type", "line"), UNITS)
def test_only_metric_depth_gives_metres(scale_type: str | None, line: str) -> None:
    text = motion_profile(profile_tables([], scale_type=scale_type), template="mass-v2")
    assert line in text
    assert ("metres" in text) is (scale_type == "metric")


@pytest.mark.parametrize(
    ("uri", "centre"),
    [
        pytest.param("v.mp4", "centre of the visible surface", id="seen in a video"),
        pytest.param(f"{SCHEME}3/0", "centre of mass", id="known of a scene"),
    ],
)
def test_a_profile_says_which_centre_its_positions_are(uri: str, centre: str) -> None:
    text = motion_profile(profile_tables([], uri=uri), template="mass-v2")
    assert f"  Position: {centre}\n" in text


def test_entities_of_one_phrase_are_numbered() -> None:
    rows = [motion_row(i, 0, (0, 0, 1), (0, 0, 1)) for i in range(3)]
    text = motion_profile(profile_tables(rows, texts=("ball", "hoop", "ball")))
    named = [line.strip() for line in text.splitlines() if "Entity" in line]
    assert named == ["* Entity: ball 1", "* Entity: hoop", "* Entity: ball 2"]


@pytest.mark.parametrize(
    ("least", "entities"), [(None, 3), (0.5, 2), (0.9, 1)], ids=["all", "known and good", "best"]
)
def test_motions_of_low_or_unknown_quality_can_be_left_out(
    least: float | None, entities: int
) -> None:
    rows = [
        motion_row(i, 0, (0, 0, 1), (0, 0, 1), quality=quality)
        for i, quality in enumerate((0.95, 0.6, None))
    ]
    text = motion_profile(profile_tables(rows, texts=("a", "b", "c")), min_quality=least)
    assert text.count("* Entity") == entities


def test_the_frame_of_reference_can_be_the_world() -> None:
    rows = [
        motion_row(0, 0, (0, 0, 1), (0, 0, 2)),
        motion_row(0, 0, (0, 0, 1), (0, 0, 5), reference="world"),
    ]
    found = profile_tables(rows)
    camera = motion_profile(found, template="mass-v2", reference="camera")
    assert "Last Position <0.00, 0.00, 2.00>" in camera
    assert "the camera of each position's own frame; " in camera
    world = motion_profile(found, template="mass-v2", reference="world")
    assert "Last Position <0.00, 0.00, 5.00>" in world
    assert "the world, which is the camera of the first frame; " in world


POSES = [
    ("it stands still", True, "assumed", "world"),
    ("it stands still, cameras are not in the tables", True, None, "world"),
    ("poses were estimated", False, "estimated", "world"),
    ("poses were given, its stillness was not tested", None, "given", "world"),
    ("it moves, nobody knows how", False, "assumed", "camera"),
    ("nobody knows whether it moves", None, "assumed", "camera"),
    ("there are no cameras", False, None, "camera"),
]


@pytest.mark.parametrize(("what", "static", "origin", "chosen"), POSES, ids=[p[0] for p in POSES])
def test_auto_is_the_world_where_poses_are_known(
    what: str, static: bool | None, origin: str | None, chosen: str
) -> None:
    rows = [
        motion_row(0, 0, (0, 0, 1), (0, 0, 2)),
        motion_row(0, 0, (0, 0, 1), (0, 0, 5), reference="world"),
    ]
    found = profile_tables(rows, camera_static=static)
    if origin is not None:
        found["cameras"] = camera_table(np.tile(np.eye(4), (64, 1, 1)), origin=origin)
    text = motion_profile(found, template="mass-v2")
    assert ("Last Position <0.00, 0.00, 5.00>" in text) is (chosen == "world")
    assert ("so that things at rest seem to move" in text) is (chosen == "camera")
    assert text == motion_profile(found, template="mass-v2", reference=chosen)  # type: ignore[arg-type]


def test_one_clip_without_a_world_takes_it_from_all_clips_of_a_profile() -> None:
    rows = [motion_row(0, 0, (0, 0, 1), (0, 0, 5), reference="world")]
    still, moving = (profile_tables(rows, camera_static=static) for static in (True, False))
    assert chosen_reference([still, still], "auto") == "world"
    assert chosen_reference([still, moving], "auto") == "camera"


REST = [
    ("at rest", {}, "at rest as far as can be told"),
    ("its interval leaves nothing out", {"length_low_68": 0.2}, "not told from noise"),
    ("it goes out and back", {"above_noise": True}, "above the noise"),
    ("the noise is unknown", {"above_noise": None}, "noise unknown"),
]


@pytest.mark.parametrize(("what", "more", "said"), REST, ids=[r[0] for r in REST])
def test_a_thing_at_rest_in_the_world_is_said_to_be(
    what: str, more: dict[str, Any], said: str
) -> None:
    still = {"path": 0.02, "length_low_68": 0.0, "length_high_68": 0.03, "above_noise": False}
    rows = [
        motion_row(0, 0, (0, 0, 1), (0, 0, 1), reference=reference, **{**still, **more})
        for reference in ("camera", "world")
    ]
    found = profile_tables(rows, camera_static=False)
    found["cameras"] = camera_table(np.tile(np.eye(4), (64, 1, 1)), origin="given")
    assert f", {said}, quality" in motion_profile(found, template="mass-v2")
    in_camera = motion_profile(found, template="mass-v2", reference="camera")
    assert "at rest as" not in in_camera
    assert "  Noise: known in the world only\n" in in_camera


def test_camera_lines_of_segments_are_read_back_and_go_along_with_them() -> None:
    turn = np.radians(np.minimum(np.arange(64), 32) * 0.5)
    found = profile_tables(THROWN, camera_static=False)
    found["cameras"] = camera_table(rigid(about_y(-turn), np.zeros((64, 3))))
    text = motion_profile(found, template="mass-v2", reference="camera")
    assert "  Camera: pans right 16 degrees, seen from its first frame\n" in text
    pans = "    * Camera: pans right 16 degrees, seen from the segment's first frame\n"
    assert f"Frame 0...31\n{pans}    * Entity: basketball" in text
    assert "Frame 32...63\n    * Camera: stands still\n" in text
    blocks = profile_blocks(text)
    assert blocks.text == text
    moved = blocks.shuffled((1, 0)).text
    assert f"Frame 32...63\n{pans}" in moved
    assert moved.index("Frame 0...31") < moved.index("Frame 32...63")


SEEN = "measured"
ABSENCES = [
    ("seen", [SEEN] * 6, {}, []),
    ("all the time", ["left"] * 6, {}, ["outside of the picture throughout"]),
    (
        "hidden by a thing of the text, then lost",
        [SEEN, "hidden", "hidden", SEEN, "lost", "lost"],
        {1: 1, 2: 1},
        ["0.10 s to 0.30 s hidden by hoop, from 0.40 s not found"],
    ),
    (
        "hidden at first, by a thing that is not in the text",
        ["hidden", SEEN, SEEN, SEEN, SEEN, SEEN],
        {0: 7},
        ["until 0.10 s hidden"],
    ),
]


@pytest.mark.parametrize(
    ("what", "states", "by", "lines"), ABSENCES, ids=[case[0] for case in ABSENCES]
)
def test_the_profile_says_when_a_thing_is_not_seen_and_why(
    what: str, states: list[str], by: dict[int, int], lines: list[str]
) -> None:
    found = profile_tables([motion_row(e, 0, (0, 0, 1), (0, 0, 2)) for e in (0, 1)])
    common = {"clip_id": CLIP, "entity": 0, "scale_type": "metric", "n_points": 0}
    found["positions"] = tables.spec("positions").from_rows(
        [
            {**common, "frame": t, "state": state, "occluder": by.get(t)}
            for t, state in enumerate(states)
        ]
    )
    found["frames"] = tables.spec("frames").from_rows(
        [
            {"clip_id": CLIP, "frame": t, "pts": t, "t_s": t / 10, "keyframe": True,
             "damaged": False}
            for t in range(64)
        ]
    )  # fmt: skip
    text = motion_profile(found, template="mass-v2")
    said = [line for line in text.splitlines() if "Not seen" in line]
    assert said == [f"    * Not seen: {line}" for line in lines]
    assert profile_blocks(text).text == text


def test_only_a_calibrated_interval_or_quality_is_a_probability() -> None:
    rows = [motion_row(0, 0, (0, 0, 1), (0, 0, 2), interval_basis="internal")]
    text = motion_profile(profile_tables(rows, quality_basis="internal"), template="mass-v2")
    assert "length of the motion 0.90 to 1.10 or wider," in text
    assert "quality 0.90 (a rank)\n" in text


@pytest.mark.parametrize(
    ("uri", "worth"),
    [
        ("v.mp4", "Path 1.50, error of the length unknown, above the noise, quality unknown"),
        (f"{SCHEME}3/0", "Path 1.50, above the noise"),
    ],
    ids=["of a video", "of a scene, whose own motions are exact"],
)
def test_what_is_unknown_is_called_unknown(uri: str, worth: str) -> None:
    rows = [motion_row(1, 0, (0, 0, 1), (0, 0, 2), quality=None, **NO_INTERVAL)]
    text = motion_profile(profile_tables(rows, uri=uri), template="mass-v2")
    assert f"    * {worth}\n" in text


@pytest.mark.parametrize(
    ("reference", "said"), [("world", True), ("camera", False)], ids=["no world", "camera"]
)
def test_where_the_world_is_unknown_it_has_no_motions(reference: Any, said: bool) -> None:
    rows = [motion_row(0, 0, (0, 0, 1), (0, 0, 2))]
    found = profile_tables(rows, camera_static=False)
    text = motion_profile(found, template="mass-v2", reference=reference)
    assert ("  Motions: none, the camera's poses are not known\n" in text) is said
    assert ("* Entity" in text) is not said
    assert profile_blocks(text).text == text


def test_several_clips_are_refused() -> None:
    found = profile_tables([])
    two = tables.spec("clips").from_rows([clip_row(), clip_row(clip_id="d0" * 16)])
    with pytest.raises(ValueError, match="found 2 clips"):
        motion_profile({**found, "clips": two})


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(ValueError, match="mass-v3"):
        motion_profile(profile_tables([]), template="mass-v3")  # type: ignore[arg-type]
