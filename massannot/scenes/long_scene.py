"""A long scene: things that come and go for as long as the film lasts, on ways that never end.

Room, light, lens, camera and skins are those of the same seed's physics scene. Bodies swing from
side to side, each in a lane of its own, so that they hide one another and never touch; two of them
swing beyond the picture's edges and are away for seconds. The first two have one name: look-alikes
that only their ways tell apart. Not physics: nothing falls, and no forces act.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from massannot.scenes.physics import Body, Motion, turned
from massannot.scenes.scenarios import draw_shape
from massannot.scenes.shapes import SHAPE_NAMES, Floats
from massannot.scenes.textures import draw_skin
from massannot.scenes.world import COLOURS, Entity, Scene, SceneOptions, make_scene

N_THINGS = 5
LANE_M = 0.45
"""Between the lanes' middles: bodies are made narrower than this."""
_SIZE_M = 0.19
STAYS_M, LEAVES_M = (0.5, 0.9), (2.3, 2.6)
"""How far a thing that stays, or one that leaves, swings to each side."""
PERIOD_S = {True: (22.0, 34.0), False: (9.0, 16.0)}
"""Of the swing of a thing that leaves, or stays."""


def make_long_scene(seed: int, options: SceneOptions) -> Scene:
    """The long scene of a seed: equal arguments give equal scenes."""
    base = make_scene(seed, replace(options, long=False, n_frames=2, n_bodies=1))
    camera = replace(base.camera, period_s=_period_s(base, options))
    rng = np.random.default_rng([seed, 5])
    # the picture's middle on the floor, and its right, from the camera's first pose
    pose = camera.room_from_cam(0.0)
    right, ahead = pose[:3, 0], pose[:3, 2] * [1, 1, 0]
    ahead = ahead / np.linalg.norm(ahead)
    middle = camera.target * [1, 1, 0]
    lanes = rng.permutation(N_THINGS) - (N_THINGS - 1) / 2
    t_s = np.arange(options.n_frames) / options.fps
    names = _names(rng)
    entities, positions, rotations = [], [], []
    for number, (colour, shape_name) in enumerate(names):
        shape = draw_shape(rng, shape_name)
        while shape.bound_m > _SIZE_M + 0.1:
            shape = draw_shape(rng, shape_name)
        leaves = number in (1, 3)
        swing = rng.uniform(*(LEAVES_M if leaves else STAYS_M))
        period, phase = rng.uniform(*PERIOD_S[leaves]), rng.uniform(0, 2 * np.pi)
        aside = swing * np.sin(2 * np.pi * t_s / period + phase)
        height = float(-shape.lowest_points(np.array([0, 0, 1.0]))[:, 2].min())
        start = middle + lanes[number] * LANE_M * ahead + [0, 0, height]
        positions.append(start + aside[:, None] * right)
        spin = rng.uniform(-0.6, 0.6)
        rotations.append([turned(np.eye(3), np.array([0, 0, spin * t])) for t in t_s])
        body = Body(shape, 300.0, 0.5, 0.5, positions[-1][0], rotations[-1][0], *np.zeros((2, 3)))
        entities.append(Entity(colour, draw_skin(rng, dict(COLOURS)[colour]), body))
    return replace(
        base,
        options=options,
        camera=camera,
        entities=tuple(entities),
        motion=_motion(np.stack(positions, axis=1), np.array(rotations).swapaxes(0, 1), options),
    )


def _period_s(base: Scene, options: SceneOptions) -> float:
    """Slow moves take the whole film; a hand trembles as fast as ever."""
    if base.camera.move == "handheld":
        return base.camera.period_s
    return max(options.n_frames / options.fps, 0.5)


def _names(rng: np.random.Generator) -> list[tuple[str, str]]:
    """(colour, shape) of each thing: the first two alike, the third of their colour."""
    colours = [name for name, _ in rng.permutation(np.array(COLOURS, dtype=object))]
    shapes = [str(shape) for shape in rng.permutation(SHAPE_NAMES)]
    alike = (colours[0], shapes[0])
    return [alike, alike, (colours[0], shapes[1]), (colours[1], shapes[0]), (colours[2], shapes[2])]


def _motion(position: Floats, rotation: Floats, options: SceneOptions) -> Motion:
    velocity = np.gradient(position, 1 / options.fps, axis=0)
    spin = np.zeros_like(velocity)
    return Motion(position, rotation, velocity, spin, np.zeros(len(position)), ())
