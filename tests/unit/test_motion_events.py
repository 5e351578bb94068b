"""Events of motion: scripted paths that bounce, rise, float, slide and rest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.departures import Departure
from massannot.geometry.kinks import GRAVITY, laws_of, parts_of, runs_of, unlawful_parts
from massannot.geometry.laws import StretchSums, weights_of
from massannot.geometry.motion_events import Down, MotionEvent, MotionRules, motion_events
from massannot.geometry.presence import MaskPath
from massannot.stages import find_events
from massannot.stages._courses import Courses, is_other
from massannot.stages.find_events import FindEvents, _Touching
from tests.unit.test_flight import along_floor, bouncing, clip_with, contacts, sliding, with_noise

F64 = NDArray[np.float64]

FPS, T = 24, 48
T_S = np.arange(T) / FPS
DOWN = Down(np.array([0.0, 1.0, 0.0]), 0.2)


def events(
    path: F64,
    t_s: F64 = T_S,
    *,
    cuts: tuple[int, ...] = (),
    least_score: float = 0.5,
    flat: bool = False,
) -> list[MotionEvent]:
    laws = laws_of(DOWN.direction, DOWN.tilt, unit=1.0, unit_error=0.0)
    runs = runs_of(path, t_s, focal_px=150.0, range_rel_sd=0.0, cuts=cuts)
    rules = MotionRules()
    impossible = rules.impossible(DOWN, unit=1.0)
    unlawful = unlawful_parts(runs, laws, impossible, least_s=rules.impossible_s)
    parts = parts_of(runs, laws)
    return motion_events(parts, unlawful, impossible, unit=1.0, flat=flat, least_score=least_score)


def times(found: list[MotionEvent], kind: str) -> list[float]:
    return [event.t_s for event in found if event.kind == kind]


def falling(pull: float, *, speed: float = 0.0) -> F64:
    """(T, 3) in the air all the time, drifting right; `speed` upward at the start."""
    y = -speed * T_S + pull * T_S**2 / 2
    return np.stack([0.3 * T_S, y, 4 + 0 * T_S], axis=-1)


@pytest.mark.seen("events", "engine alone")
@pytest.mark.parametrize("seed", range(3))
def test_every_bounce_is_a_contact_a_landing_and_a_rebound_with_an_apex_between(seed: int) -> None:
    t_s = np.arange(36) / 12
    found = events(with_noise(bouncing(), across=0.002, along=0.004, seed=seed), t_s)
    true = [t for t in contacts() if t < t_s[-1] - 0.2]
    for kind in ("contact_begin", "landing", "rebound"):
        assert times(found, kind)[: len(true)] == pytest.approx(true, abs=0.06)
    tops = [(a + b) / 2 for a, b in itertools.pairwise(true)]
    assert times(found, "apex")[: len(tops)] == pytest.approx(tops, abs=0.06)
    assert not {"upward_acceleration", "weightless"} & {event.kind for event in found}


WHAT_CANNOT_BE = [
    ("falls upward", falling(-9.81), {"upward_acceleration"}),
    ("rises in a straight line", falling(0.0, speed=1.5), {"weightless"}),
    ("sinks slowly in a straight line", falling(0.0, speed=-0.3), {"weightless"}),
    ("falls", falling(9.81, speed=8.0), set()),
    ("rolls", along_floor(lambda t: 0.9 * t), set()),
]


@pytest.mark.parametrize(
    ("what", "path", "kinds"), WHAT_CANNOT_BE, ids=[w[0] for w in WHAT_CANNOT_BE]
)
def test_what_gravity_does_not_allow_is_told(what: str, path: F64, kinds: set[str]) -> None:
    t_s = T_S if len(path) == T else np.arange(len(path)) / 12
    found = events(with_noise(path, across=0.001, along=0.003), t_s)
    assert {"upward_acceleration", "weightless"} & {event.kind for event in found} == kinds


@pytest.mark.parametrize(("n", "kinds"), [(3, set()), (8, {"weightless"})])
@pytest.mark.parametrize("seed", range(3))
def test_a_line_in_a_fall_is_weightless_where_a_blow_between_frames_does_not_explain_it(
    n: int, kinds: set[str], seed: int
) -> None:
    """`n` steps as long as the one before them, where a fall's would grow."""
    gained = np.full(n + 8, GRAVITY / 144)
    gained[4 : 4 + n] = 0
    height = np.cumsum(np.cumsum(gained) - 0.12)
    t_s = np.arange(n + 8) / 12
    path = np.stack([0.2 * t_s, height - 1, 4 + 0 * t_s], axis=-1)
    found = events(with_noise(path, across=0.001, along=0.003, seed=seed), t_s)
    assert {"weightless", "upward_acceleration"} & {event.kind for event in found} == kinds


def test_what_comes_near_to_an_event_has_a_score_below_an_even_chance() -> None:
    clip = clip_with(with_noise(falling(-5.0)))
    stated = FindEvents().events(clip).to_pylist()
    every = FindEvents(least_score=0.0).events(clip).to_pylist()
    likely = [row for row in every if row["score"] is None or row["score"] >= 0.5]
    assert [{**row, "event": n} for n, row in enumerate(likely)] == stated
    assert any(row["kind"] == "weightless" for row in stated)
    assert any(row["kind"] == "contact_begin" and 1e-3 < row["score"] < 0.5 for row in every)


def test_a_departure_has_to_be_surer_than_other_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def seems_gone(*args: object, **options: object) -> list[Departure]:
        return [Departure("vanish", 5, 0.7)]

    monkeypatch.setattr(find_events, "departures", seems_gone)
    clip = clip_with(with_noise(falling(9.81)))
    assert "vanish" not in FindEvents().events(clip)["kind"].to_pylist()
    assert "vanish" in FindEvents(least_departure=0.5).events(clip)["kind"].to_pylist()


@pytest.mark.parametrize(("flat", "n_apexes"), [(False, 1), (True, 0)])
def test_an_apex_needs_a_longer_rise_where_distances_are_not_known(
    flat: bool, n_apexes: int
) -> None:
    """Thrown up 0.08 s before its turning point."""
    t_s = np.arange(12) / 24
    height = -1.0 + 0.5 * GRAVITY * (t_s - 0.08) ** 2
    path = np.stack([0.2 * t_s, height, 4 + 0 * t_s], axis=-1)
    found = events(with_noise(path, across=0.0003, along=0.001), t_s, flat=flat)
    assert len(times(found, "apex")) == n_apexes


def test_what_slides_to_rest_stops_and_touches_nothing() -> None:
    t_s = np.arange(36) / 12
    found = events(with_noise(along_floor(sliding), across=0.001, along=0.003), t_s)
    assert times(found, "stop") == pytest.approx([0.8], abs=0.2)
    assert not times(found, "landing")


def test_no_contact_is_found_where_the_thing_was_elsewhere_before() -> None:
    path = np.tile([0.0, 0.5, 3.0], (T, 1))
    path[20:] += [1.0, 0.0, 0.0]
    path[21:] += np.outer(np.arange(1, T - 20), [0.05, 0, 0])
    assert times(events(path), "contact_begin")
    assert not times(events(path, cuts=(20,)), "contact_begin")


def test_the_stage_writes_flights_and_events_of_motion_in_order_of_time() -> None:
    rows = FindEvents().events(clip_with(with_noise(bouncing()))).to_pylist()
    assert [row["event"] for row in rows] == list(range(len(rows)))
    assert [row["t_s"] for row in rows] == sorted(row["t_s"] for row in rows)
    assert {"flight", "landing", "rebound", "apex", "contact_begin"} <= {r["kind"] for r in rows}
    assert all(row["entities"] == [0] for row in rows)
    scored = [row for row in rows if row["kind"] != "flight"]
    assert all(0.5 <= row["score"] <= 1 and row["t_sd_s"] > 0 and row["rule"] for row in scored)


def test_a_camera_that_moves_in_an_unknown_way_gives_no_events_of_motion() -> None:
    assert FindEvents().events(clip_with(with_noise(bouncing()), static=None)).num_rows == 0


@pytest.mark.parametrize("noise", [0.0005, 0.002])
def test_what_bounces_every_third_picture_is_told_bounce_by_bounce(noise: float) -> None:
    t_s, apart_s = np.arange(36) / 12, 0.26
    phase = t_s % apart_s
    rise = GRAVITY * phase * (apart_s - phase) / 2
    path = np.stack([0.2 * t_s, 0.6 - rise, 3 + 0 * t_s], axis=-1)
    found = times(events(with_noise(path, across=noise, along=noise), t_s), "landing")
    true = np.arange(1, 11) * apart_s
    assert sum(min(abs(t - np.array(found))) < 0.1 for t in true) >= 9


@pytest.mark.parametrize(
    ("across", "along", "most"), [(0.001, 0.003, 0), (0.002, 0.005, 3), (0.002, 0.01, 8)]
)
def test_restless_outlines_are_seldom_contacts(across: float, along: float, most: int) -> None:
    t_s = np.arange(36) / 12
    rolls = along_floor(lambda t: 0.9 * t)
    paths = (with_noise(rolls, across=across, along=along, seed=seed) for seed in range(20))
    assert sum(bool(events(path, t_s)) for path in paths) <= most


@pytest.mark.parametrize("seed", range(4))
def test_a_bounce_before_the_last_two_pictures_is_a_rebound(seed: int) -> None:
    """Two places say nothing of an acceleration, but they have to meet the fall before them."""
    t_s, landed = np.arange(9) / 12, 6.2 / 12
    since = t_s - landed
    height = np.where(since < 0, -1.1, 1.3) * since - GRAVITY / 2 * since**2
    path = np.stack([0.5 * t_s, 1 - height, 4 + 0 * t_s], axis=-1)
    found = events(with_noise(path, across=0.0005, along=0.001, seed=seed), t_s)
    assert times(found, "rebound") == pytest.approx([landed], abs=0.06)


def test_what_cannot_be_is_said_once_and_graded_where_it_is_not() -> None:
    found = events(with_noise(falling(-9.81), across=0.001, along=0.003))
    assert len(times(found, "upward_acceleration")) == 1
    scores = [
        event.score
        for pull in (9.81, -0.5, -9.81)
        for event in events(with_noise(falling(pull), along=0.003), least_score=0)
        if event.kind == "upward_acceleration"
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[1] < 0.5 < scores[2]


@pytest.mark.parametrize("seed", range(4))
def test_half_a_second_of_a_fall_upward_is_told_though_blows_between_frames_would_explain_it(
    seed: int,
) -> None:
    """At rest, then upward for six frames: none of the blows could come from what it lay on."""
    t_s = np.arange(14) / 12
    rise = GRAVITY / 2 * np.maximum(t_s - 8 / 12, 0) ** 2
    path = np.stack([0.3 + 0 * t_s, 0.6 - rise, 4 + 0 * t_s], axis=-1)
    found = events(with_noise(path, across=0.002, along=0.006, seed=seed), t_s)
    assert times(found, "upward_acceleration") == pytest.approx([8 / 12], abs=0.13)


def test_the_speeds_of_all_stretches_are_those_of_each() -> None:
    """Half a step beyond its ends; from end to end a parabola has its mean speed in the middle."""
    t_s = np.sort(np.random.default_rng(3).uniform(0, 1, 9))
    path = np.stack([t_s, 3 * t_s - 4 * t_s**2, 3 + t_s**2], axis=-1)
    sums = StretchSums.of(path, t_s, weights_of(path, np.full(3, 1e-3), np.zeros((9, 2))))
    laws = laws_of(DOWN.direction, DOWN.tilt, unit=1.0, unit_error=0.0)
    axis = np.array([0.36, 0.48, 0.8])
    found = sums.speeds(laws, axis)
    for n, law in enumerate(laws):
        for at, (first, end) in enumerate(zip(sums.first.tolist(), sums.end.tolist())):
            one = sums.stretch(first, end, law)
            _, _, half = one.coefficients.reshape(3, 3)
            lasts_s = t_s[end - 1] - t_s[first]
            mean, gain = (path[end - 1] - path[first]) @ axis / lasts_s, half @ axis
            before_s = t_s[first] - t_s[first - 1] if first else 0.0
            behind_s = t_s[end] - t_s[end - 1] if end < 9 else 0.0
            expected = [mean - gain * (lasts_s + before_s), mean + gain * (lasts_s + behind_s)]
            assert found[n, :, at] == pytest.approx(expected, abs=1e-6)


STRUCK = [
    ("thrown apart", [1.0, -0.3, 0.0], [-2.0, 0.1, 0.3], True),
    ("both thrown up by the floor", [0.2, -3.0, 0.0], [-0.2, -2.0, 0.1], False),
    ("one thrown up, the other aside", [0.0, -3.0, 0.0], [1.0, 0.3, 0.0], False),
]


@pytest.mark.parametrize(("what", "mine", "theirs", "one"), STRUCK, ids=[s[0] for s in STRUCK])
def test_two_things_share_a_contact_where_their_velocities_change_the_opposite_way(
    what: str, mine: list[float], theirs: list[float], one: bool
) -> None:
    score, sd = 1.0, 0.01
    found = {
        entity: [
            MotionEvent("contact_begin", t, sd, "velocity_jump", score, change=np.array(change))
        ]
        for entity, (t, change) in enumerate([(0.5, mine), (0.53, theirs)])
    }
    boxes = np.array([[10.0, 10, 30, 30], [30, 10, 50, 30]])
    masks = {
        entity: MaskPath([], np.tile(boxes[entity], (T, 1)), np.ones(T), np.ones(T))
        for entity in found
    }
    touching = _Touching(T_S, found, {0: np.eye(3), 1: np.eye(3)}, masks)
    assert touching.other(0, found[0][0]) == ((1, found[1][0]) if one else None)


def test_a_mask_whose_area_is_not_that_of_the_frames_around_it_is_another_things() -> None:
    comes_nearer = np.linspace(100, 200, 20)
    lost, half, jumped = comes_nearer.copy(), comes_nearer.copy(), comes_nearer.copy()
    lost[7], half[7], jumped[15:] = np.nan, 70, 600
    other = is_other(np.stack([comes_nearer, lost, half, jumped]))
    assert [np.flatnonzero(row).tolist() for row in other] == [[], [], [7], [15, 16, 17, 18, 19]]


def clip_with_masks(
    surface: F64, boxes: F64, t_s: F64, *, area: F64 | None = None, **of_positions: float
) -> Clip:
    """One thing whose masks have these boxes (T, 4) and areas (T,)."""
    clip = clip_with(None, t_s=t_s, surface=surface)
    masks = [
        {
            "clip_id": clip.clip_id,
            "entity": 0,
            "frame": t,
            "area": 1000 if area is None else round(area[t]),
            "score": 1.0,
            **dict(zip(("x0", "y0", "x1", "y1"), box.tolist(), strict=True)),
            "height": 120,
            "width": 200,
            "counts": "",
            "state": "visible",
        }
        for t, box in enumerate(boxes)
    ]
    positions = [{**row, **of_positions} for row in clip.table("positions").to_pylist()]
    for name, rows in (("masks", masks), ("positions", positions)):
        clip = clip.with_table(name, tables.spec(name).from_rows(rows))
    return clip


SIZES = [
    ("keeps its size, so it rises", 0.0, {"weightless"}),
    ("gets smaller as what rolls away does", 2.0, set()),
]


@pytest.mark.parametrize(("what", "power", "kinds"), SIZES, ids=[s[0] for s in SIZES])
def test_the_size_of_an_outline_tells_what_rises_from_what_rolls_away(
    what: str, power: float, kinds: set[str]
) -> None:
    """It goes up in the picture as on a floor from 2.75 to 5.4 m away; its depth is estimated, and
    says nothing."""
    t_s, focal = np.arange(19) / 12, 150.0
    z = 2.75 + 1.75 * t_s
    area = 200 * (2.75 / z) ** power
    half = np.sqrt(area) / 2
    x, y = 100 + 0 * z, 60 + 0.9 * focal / z
    boxes = np.column_stack([x - half, y - half, x + half, y + half])
    surface = np.column_stack([0 * z, 0.9 * 3.5 / z, 3.5 + 0 * z])
    clip = clip_with_masks(surface, boxes, t_s, area=area, cut_share=0.0, range_rel_sd=0.08)
    course = Courses.of(clip, most_covered=0.2).path_of_size(0)
    assert course is not None
    far = course.xyz[:, 2]
    assert far / far[9] == pytest.approx((z / z[9]) ** (power / 2), rel=0.01)
    found = {row["kind"] for row in FindEvents().events(clip).to_pylist()}
    assert found & {"upward_acceleration", "weightless"} == kinds


def test_what_stands_still_before_a_camera_that_comes_nearer_stays_in_one_place() -> None:
    """Its size says how far it is from the camera of its own frame."""
    t_s, focal = np.arange(13) / 12, 150.0
    z = 5.0 - t_s
    half = 0.2 * focal / z
    x, y = 100 + 0.3 * focal / z, 60 + 0.8 * focal / z
    boxes = np.column_stack([x - half, y - half, x + half, y + half])
    surface = np.column_stack([0.3 + 0 * z, 0.8 + 0 * z, z])
    area = (2 * half) ** 2
    clip = clip_with_masks(surface, boxes, t_s, area=area, cut_share=0.0, range_rel_sd=0.08)
    rows = clip.table("cameras").to_pylist()
    for row, moved in zip(rows, t_s.tolist(), strict=True):
        pose = np.eye(4)
        pose[2, 3] = -moved
        row["cam_from_world"] = pose.ravel().tolist()
    clip = clip.with_table("cameras", tables.spec("cameras").from_rows(rows))
    course = Courses.of(clip, most_covered=0.2).path_of_size(0)
    assert course is not None
    assert np.ptp(course.xyz, axis=0) == pytest.approx(0, abs=0.06)


CUT = [
    ("rises", -1.0, {"upward_acceleration"}),
    ("falls", 1.0, set()),
]


@pytest.mark.parametrize(("what", "sign", "kinds"), CUT, ids=[c[0] for c in CUT])
def test_what_the_border_cuts_all_the_time_tells_of_gravity_by_the_sides_that_are_seen(
    what: str, sign: float, kinds: set[str]
) -> None:
    """A box of 40 pixels, of which the right half, less and less, is outside of the picture."""
    n, focal, far = 9, 150.0, 3.0
    t_s = np.arange(n) / 12
    fall = sign * GRAVITY / 2 * np.maximum(t_s - 0.25, 0) ** 2 * focal / far
    boxes = np.column_stack(
        [175 + t_s, 40 - 20 * sign + fall, np.full(n, 200), 80 - 20 * sign + fall]
    )
    surface = np.column_stack([(boxes[:, 0] + 112.5 - 200) * far / focal, 0 * t_s, far + 0 * t_s])
    clip = clip_with_masks(surface, boxes, t_s, cut_share=0.3, range_rel_sd=0.005)
    course = Courses.of(clip, most_covered=0.2).path(0)
    assert course.is_cut
    assert Courses.of(clip, most_covered=0.2).path_of_size(0) is None
    assert not np.isfinite(course.uncut().xyz).any()
    assert (course.loose[:, 0] > 0.01).all()
    assert not course.loose[:, 1].any()
    found = {row["kind"] for row in FindEvents().events(clip).to_pylist()}
    assert found & {"upward_acceleration", "weightless", "contact_begin"} == kinds
