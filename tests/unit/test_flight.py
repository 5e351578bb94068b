"""Flights: scripted paths that fall, bounce, roll, slide and rest, and the rows written of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.flight import find_flights
from massannot.stages._flights import Flights
from tests.drawn_world import RED, Thing, World

F64 = NDArray[np.float64]

FPS, G = 12, 9.81
T = 36
T_S = np.arange(T) / FPS
FOCAL_PX = 150.0


def bouncing(*, gravity: float = G, restitution: float = 0.8, height: float = 1.0) -> F64:
    """(T, 3) dropped from rest, drifting right; exact between its contacts; y is down."""
    contact, speed, t0 = np.sqrt(2 * height / gravity), 0.0, 0.0
    rise = np.empty(T)
    start = height
    for i, t in enumerate(T_S):
        while t > contact:
            landed = np.sqrt(2 * gravity * start) if speed == 0.0 else speed
            speed, t0, start = restitution * landed, contact, 0.0
            contact = t0 + 2 * speed / gravity
        dt = t - t0
        rise[i] = start + speed * dt - gravity * dt**2 / 2
    return np.stack([-0.5 + 0.3 * T_S, 0.6 - rise, 3 + 0.1 * T_S], axis=-1)


def along_floor(way: Callable[[F64], F64]) -> F64:
    return np.stack([-1 + way(T_S), 0.6 + 0 * T_S, 3 + 0.3 * way(T_S)], axis=-1)


def sliding(t: F64) -> F64:
    """Friction of 3 m/s2 brings it to rest after 0.8 s."""
    braking = np.minimum(t, 0.8)
    return 2.4 * braking - 1.5 * braking**2


def with_noise(path: F64, *, across: float = 0.004, along: float = 0.01, seed: int = 0) -> F64:
    """Errors of an outline's centre, in rad, and of depth, relative."""
    rng = np.random.default_rng(seed)
    noisy = path + across * path[:, 2:] * rng.standard_normal(path.shape) * [1, 1, 0]
    return np.asarray(noisy * (1 + along * rng.standard_normal((len(path), 1))))


def flights(path: F64) -> list[tuple[int, int]]:
    return [
        (int(f.frames[0]), int(f.frames[-1])) for f in find_flights(path, T_S, focal_px=FOCAL_PX)
    ]


def contacts(*, height: float = 1.0, restitution: float = 0.8) -> list[float]:
    first = np.sqrt(2 * height / G)
    times = [float(first)]
    for n in range(1, 4):
        times.append(times[-1] + 2 * restitution**n * float(first))
    return times


@pytest.mark.parametrize("seed", range(6))
def test_every_contact_cuts_and_every_flight_has_the_acceleration_of_gravity(seed: int) -> None:
    found = find_flights(with_noise(bouncing(), seed=seed), T_S, focal_px=FOCAL_PX)
    assert len(found) >= 3
    for flight in found:
        first, last = T_S[flight.frames[[0, -1]]]
        assert [t for t in contacts() if first + 0.01 < t < last - 0.01] == []
        half = flight.length_half(errors=3.5, range_rel_sd=0.0)
        assert abs(flight.length - G) < half < G


def test_exact_places_give_the_exact_acceleration() -> None:
    first, second, *_ = find_flights(bouncing(), T_S, focal_px=FOCAL_PX)
    for flight in (first, second):
        np.testing.assert_allclose(flight.acceleration, [0, G, 0], atol=0.01)


NOT_FLYING = [
    ("rest", along_floor(lambda t: 0 * t)),
    ("rolling", along_floor(lambda t: 0.9 * t)),
    ("rolling, slowing down", along_floor(lambda t: 1.2 * t - 0.15 * t**2)),
    ("sliding to rest", along_floor(sliding)),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("what", "path"), NOT_FLYING, ids=[n[0] for n in NOT_FLYING])
def test_what_stays_on_the_floor_does_not_fly(what: str, path: F64, seed: int) -> None:
    assert flights(with_noise(path, seed=seed)) == []


def test_a_slow_fall_is_a_flight_too_since_gravity_is_not_used_to_find_it() -> None:
    found = find_flights(with_noise(bouncing(gravity=2.5)), T_S, focal_px=FOCAL_PX)
    assert found
    assert all(abs(f.length - 2.5) < f.length_half(errors=3.5, range_rel_sd=0) for f in found)


def test_a_gap_does_not_end_a_flight_and_unmeasured_frames_are_not_in_it() -> None:
    path = bouncing()
    path[8] = np.nan
    (flight,) = [f for f in find_flights(path, T_S, focal_px=FOCAL_PX) if 7 in f.frames]
    assert set(flight.frames) & {8, 9} == {9}


def test_a_path_of_few_places_has_no_flights() -> None:
    path = bouncing()
    path[4:] = np.nan
    assert flights(path) == []


def clip_with(
    body: F64 | None,
    *,
    t_s: F64 = T_S,
    surface: F64 | None = None,
    scale_type: str = "metric",
    pose_origin: str = "assumed",
    static: bool | None = True,
    basis: str = "calibrated",
) -> Clip:
    """One entity whose positions are `surface` (default: the body's, 10 cm nearer)."""
    thing = Thing("a ball", RED, 10, np.tile([30.0, 30.0], (len(t_s), 1)))
    clip = World([thing]).clip()
    n = len(t_s)
    if surface is None:
        assert body is not None
        surface = body - [0, 0, 0.1]
    id_ = {"clip_id": clip.clip_id}
    frames = [
        {**id_, "frame": t, "pts": t, "t_s": t_s[t], "keyframe": False, "damaged": False}
        for t in range(n)
    ]
    entity = {**id_, "entity": 0, "phrase": 0, "first_frame": 0, "last_frame": n - 1, "score": 1.0}
    camera = {"fx": FOCAL_PX, "fy": FOCAL_PX, "cx": 100.0, "cy": 60.0}
    origin = {"intrinsics_origin": "given", "pose_origin": pose_origin}
    rows = []
    for t in range(n):
        row = {**id_, "entity": 0, "frame": t, "scale_type": scale_type, "n_points": 9}
        row |= {"state": "measured", "interval_basis": basis}
        row |= {**{f"{a}_cam": surface[t, i] for i, a in enumerate("xyz")}}
        if body is not None:
            row |= {f"body_{a}": body[t, i] for i, a in enumerate("xyz")}
        rows.append(row)
    of_clip = {**clip.read_columns(), "scale_type": scale_type, "camera_static": static}
    pose = np.eye(4).ravel().tolist()
    cameras = [{**id_, "frame": t, "cam_from_world": pose, **camera, **origin} for t in range(n)]
    for name, items in (
        ("frames", frames),
        ("masks", []),
        ("clips", [of_clip]),
        ("entities", [entity]),
        ("positions", rows),
        ("cameras", cameras),
    ):
        spec = tables.spec(name)
        clip = clip.with_table(name, spec.from_rows(items) if items else spec.empty())
    return clip


def verdicts(clip: Clip) -> list[tuple[str, str]]:
    rows = list(Flights().rows(clip))
    return [(row["verdict"], row["rule"]) for row in rows]


def test_a_row_says_when_which_entity_and_how_sure() -> None:
    first = next(Flights().rows(clip_with(with_noise(bouncing()))))
    assert (first["kind"], first["entities"]) == ("flight", [0])
    assert (first["t_s"], first["t1_s"]) == pytest.approx((0.0, 5 / FPS))
    assert abs(first["acceleration_y"] - G) < 2
    assert 0 < first["acceleration_half_90"] < 4
    assert first["interval_basis"] == "internal"


WHAT_IS_SAID = [
    # what, clip, verdict and rule of the longest flight
    ("gravity", clip_with(with_noise(bouncing())), ("consistent with gravity", "length")),
    (
        "a film at half its speed",
        clip_with(with_noise(bouncing(gravity=G / 4), along=0.003)),
        ("not gravity", "length"),
    ),
    (
        "gravity, with errors that are a lower bound",
        clip_with(with_noise(bouncing()), basis="internal"),
        ("cannot tell", "uncalibrated"),
    ),
    (
        "less than 0.3 s",
        clip_with(with_noise(bouncing()), t_s=T_S / 3),
        ("cannot tell", "short"),
    ),
    ("no body", clip_with(None, surface=with_noise(bouncing())), ("cannot tell", "outline")),
    (
        "no unit",
        clip_with(with_noise(bouncing()), scale_type="relative"),
        ("cannot tell", "unit"),
    ),
    (
        "depth that errs by 8 %",
        clip_with(with_noise(bouncing(), along=0.08)),
        ("cannot tell", "wide"),
    ),
]


@pytest.mark.parametrize(("what", "clip", "said"), WHAT_IS_SAID, ids=[w[0] for w in WHAT_IS_SAID])
def test_what_is_said_of_gravity(what: str, clip: Clip, said: tuple[str, str]) -> None:
    assert said in verdicts(clip)


def test_depth_as_good_as_exact_needs_no_calibration() -> None:
    clip = clip_with(with_noise(bouncing()), basis="internal")
    rows = list(Flights(calibrated_only=False).rows(clip))
    assert rows[0]["verdict"] == "consistent with gravity"


def test_a_thing_that_something_nearer_may_cover_says_nothing_of_its_body() -> None:
    clip = clip_with(with_noise(bouncing()))
    two = clip.table("entities").to_pylist() * 2
    clip = clip.with_table(
        "entities",
        tables.spec("entities").from_rows([{**r, "entity": i} for i, r in enumerate(two)]),
    )
    mine = clip.table("positions").to_pylist()
    nearer = [{**row, "entity": 1, "z_cam": 1.0, "body_z": 1.1} for row in mine]
    clip = clip.with_table("positions", tables.spec("positions").from_rows(mine + nearer))
    assert ("consistent with gravity", "length") in verdicts(clip)  # no masks: nothing is covered
    box = {"x0": 10.0, "y0": 10.0, "x1": 20.0, "y1": 20.0, "score": 1.0, "state": "visible"}
    size = {"clip_id": clip.clip_id, "height": 120, "width": 200, "counts": "", "area": 100}
    masks = [{**size, **box, "entity": e, "frame": t} for e in (0, 1) for t in range(T)]
    covered = clip.with_table("masks", tables.spec("masks").from_rows(masks))
    rows = list(Flights().rows(covered))
    assert {r["rule"] for r in rows if r["entities"] == [0]} == {"outline"}
    assert {r["rule"] for r in rows if r["entities"] == [1]} != {"outline"}


def test_a_camera_that_moves_in_an_unknown_way_gives_no_flights() -> None:
    path = with_noise(bouncing())
    assert verdicts(clip_with(path, static=False)) == []
    assert verdicts(clip_with(path, static=None)) == []
    assert verdicts(clip_with(path, static=False, pose_origin="estimated"))
