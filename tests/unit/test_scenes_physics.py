"""The simulation obeys the laws that a reader can check with a pencil."""

import numpy as np
import pytest

from massannot.scenes.contacts import touching_pair, touching_plane
from massannot.scenes.physics import (
    GRAVITY_M_S2,
    ROLLING_LOSS_PER_S,
    Body,
    Motion,
    room_planes,
    simulate,
)
from massannot.scenes.revolved import Cone, Cylinder
from massannot.scenes.shapes import Ball, Box, Shape
from massannot.scenes.world import SceneOptions, make_scene

PLANES = room_planes(4, 4, 6)
FPS = 24


def body(
    shape: Shape,
    position: tuple[float, float, float],
    velocity: tuple[float, float, float] = (0, 0, 0),
    spin: tuple[float, float, float] = (0, 0, 0),
    *,
    friction: float = 0.3,
    restitution: float = 0.5,
    rotation: np.ndarray | None = None,
) -> Body:
    return Body(
        shape,
        300.0,
        restitution,
        friction,
        np.array(position, float),
        np.eye(3) if rotation is None else rotation,
        np.array(velocity, float),
        np.array(spin, float),
    )


def run(*bodies: Body, seconds: float = 1.0) -> Motion:
    return simulate(list(bodies), PLANES, fps=FPS, n_frames=round(seconds * FPS) + 1)


def test_free_fall_is_the_exact_parabola() -> None:
    motion = run(body(Box((0.2, 0.3, 0.1)), (0, 0, 5), (1, 0, 1), (1, 2, 3)), seconds=0.9)
    t = np.arange(len(motion.position)) / FPS
    assert motion.position[:, 0, 2] == pytest.approx(5 + t - 0.5 * GRAVITY_M_S2 * t**2, abs=1e-9)
    assert motion.position[:, 0, 0] == pytest.approx(t, abs=1e-9)


def test_a_tumbling_box_keeps_its_angular_momentum_and_energy() -> None:
    box = body(Box((0.1, 0.2, 0.3)), (0, 0, 5.5), (0, 0, 0), (0.1, 5, 0.1))
    motion = run(box, seconds=0.9)
    inertia = box.mass_kg * box.shape.inertia_per_mass
    momentum = [r @ (inertia * (r.T @ w)) for r, w in zip(motion.rotation[:, 0], motion.spin[:, 0])]
    assert np.ptp(np.array(momentum), axis=0).max() < 1e-9
    assert np.ptp(motion.energy_J) < 2e-5 * motion.energy_J[0]


@pytest.mark.parametrize("restitution", [0.3, 0.6, 0.85])
def test_a_ball_bounces_to_the_square_of_its_restitution(restitution: float) -> None:
    motion = run(body(Ball(0.2), (0, 0, 1.2), restitution=restitution), seconds=1.1)
    first = next(e for e in motion.events if e.kind == "floor")
    after = motion.position[int(first.t_s * FPS) + 1 :, 0, 2] - 0.2
    rebound = after[: int(0.9 * restitution * FPS) + 2].max()
    assert rebound == pytest.approx(restitution**2, abs=0.03)


def test_a_ball_hits_the_floor_when_the_parabola_says() -> None:
    motion = run(body(Ball(0.2), (0, 0, 1.2)))
    assert motion.events[0].kind == "floor"
    assert motion.events[0].t_s == pytest.approx(np.sqrt(2 / GRAVITY_M_S2), abs=1e-3)


def test_a_box_slides_to_a_stop_over_the_distance_friction_gives() -> None:
    motion = run(body(Box((0.2, 0.2, 0.1)), (-2, 0, 0.1), (2, 0, 0), friction=0.3), seconds=1.5)
    distance = motion.position[-1, 0, 0] + 2
    assert distance == pytest.approx(2**2 / (2 * 0.3 * GRAVITY_M_S2), rel=0.04)
    assert np.abs(motion.velocity[-1]).max() == 0


ROLLERS = [("ball", Ball(0.25), np.eye(3)), ("cylinder", Cylinder(0.2, 0.3), None)]


@pytest.mark.parametrize(("name", "shape", "rotation"), ROLLERS)
def test_what_slides_at_first_ends_up_rolling_without_slipping(
    name: str, shape: Ball | Cylinder, rotation: np.ndarray | None
) -> None:
    lying = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) if rotation is None else rotation
    motion = run(body(shape, (-2, 0, shape.radius_m), (2, 0, 0), rotation=lying), seconds=1.2)
    rim = motion.velocity[-1, 0, 0] - motion.spin[-1, 0, 1] * shape.radius_m
    assert abs(rim) < 1e-3
    factor = {"ball": 2 / 5, "cylinder": 1 / 2}[name]
    # Friction's impulse times the radius turns the body: v falls to 2 / (1 + I / m r^2).
    expected = 2 / (1 + factor) * np.exp(-ROLLING_LOSS_PER_S * 1.2)
    assert motion.velocity[-1, 0, 0] == pytest.approx(expected, rel=0.005)


def test_equal_balls_exchange_their_momentum_in_a_head_on_collision() -> None:
    one = body(Ball(0.2), (-0.5, 0, 3), (2, 0, 0), restitution=0.8)
    two = body(Ball(0.2), (0.5, 0, 3), (0, 0, 0), restitution=0.8)
    motion = run(one, two, seconds=0.6)
    assert motion.velocity[-1, :, 0] == pytest.approx([0.2, 1.8], abs=1e-6)
    assert [e.kind for e in motion.events] == ["body"]
    assert motion.events[0].t_s == pytest.approx(0.6 / 2, abs=1e-3)


def test_a_fast_ball_returns_from_the_wall() -> None:
    motion = run(body(Ball(0.2), (3, 0, 0.2), (4, 0, 0), (0, 20, 0), restitution=0.8))
    assert [e.kind for e in motion.events][:1] == ["wall"]
    assert motion.position[:, 0, 0].max() <= 4 - 0.2 + 0.002
    assert motion.velocity[-1, 0, 0] < -1


STANDING = [
    ("box", Box((0.2, 0.2, 0.3)), 0.3),
    ("cylinder", Cylinder(0.2, 0.3), 0.3),
    ("cone", Cone(0.2, 0.6), 0.15),
]


@pytest.mark.parametrize(("name", "shape", "height"), STANDING)
def test_what_stands_stays(name: str, shape: Shape, height: float) -> None:
    motion = run(body(shape, (0, 0, height)))
    assert np.abs(motion.position - [0, 0, height]).max() < 1e-3
    assert np.abs(motion.rotation - np.eye(3)).max() < 1e-3


def test_a_long_box_dropped_on_its_edge_falls_over() -> None:
    tilt = 0.5
    c, s = np.cos(tilt), np.sin(tilt)
    tilted = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    motion = run(body(Box((0.1, 0.1, 0.4)), (0, 0, 0.6), rotation=tilted), seconds=2)
    assert motion.position[-1, 0, 2] == pytest.approx(0.1, abs=0.002)


@pytest.fixture(scope="module")
def motions() -> list[tuple[list[Shape], Motion]]:
    scenes = [make_scene(seed, SceneOptions(n_bodies=5)) for seed in range(8)]
    return [([e.body.shape for e in scene.entities], scene.motion) for scene in scenes]


def test_energy_never_grows(motions: list[tuple[list[Shape], Motion]]) -> None:
    for _, motion in motions:
        assert np.diff(motion.energy_J).max() < 1e-5 * motion.energy_J[0]


def test_bodies_stay_out_of_each_other_and_of_the_room(
    motions: list[tuple[list[Shape], Motion]],
) -> None:
    """2 mm into the room, 2.5 cm into each other in the frame of a hard impact, 3 mm mostly."""
    planes = room_planes(5, 5, 4)[:1]
    depths = [0.0]
    for shapes, motion in motions:
        for frame in range(0, len(motion.position), 3):
            placed = [
                (s, motion.position[frame, i], motion.rotation[frame, i])
                for i, s in enumerate(shapes)
            ]
            for i, one in enumerate(placed):
                for point in touching_plane(*one, planes[0]):
                    assert point[2] > -0.002
                near = [
                    two
                    for two in placed[:i]
                    if np.linalg.norm(one[1] - two[1]) < one[0].bound_m + two[0].bound_m
                ]
                depths += [d for two in near for _, _, d in touching_pair(one, two)]
    assert max(depths) < 0.025
    assert np.percentile(depths, 95) < 0.003


def test_a_contact_event_is_told_when_the_gap_closes() -> None:
    found = 0
    for seed in range(3):
        scene = make_scene(seed, SceneOptions(scenario="colliding", n_bodies=2))
        for event in scene.motion.events:
            if event.second is None:
                continue
            found += 1
            frame = min(round(event.t_s * scene.options.fps), scene.n_frames - 1)
            pair = [
                (scene.entities[i].body.shape, scene.motion.position[f, i])
                for f in (frame,)
                for i in (event.first, event.second)
            ]
            gap = np.linalg.norm(pair[0][1] - pair[1][1])
            assert gap < pair[0][0].bound_m + pair[1][0].bound_m + 0.1
    assert found >= 2
