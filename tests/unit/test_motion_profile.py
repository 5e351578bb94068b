"""The motion profile, word for word."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from massannot import tables
from massannot.questions.profile import motion_profile, profile_blocks
from massannot.questions.scene_dataset import SCHEME

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
    assert "Last Position <0.00, 0.00, 2.00>" in motion_profile(found)
    world = motion_profile(found, template="mass-v2", reference="world")
    assert "Last Position <0.00, 0.00, 5.00>" in world
    assert "the camera of the first frame" in world


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
