"""Points of rendered scenes for `train_selector.py`, without pictures: rays alone.

Physics is what takes long to simulate. So a few hundred scenes lend their motions: each clip has
two things of any two of them, turned about the vertical, in the room and before the camera of a
third.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import unproject
from massannot.questions.scene_dataset import picture_frames
from massannot.questions.scene_families import FAMILIES, ask_of_answers
from massannot.questions.scene_story import OPTIONS, Story, centres_m, shows
from massannot.rft.geometry_tokens import ClipGeometry, points_of
from massannot.scenes.rays import cast
from massannot.scenes.world import Scene

TAUGHT = ("faster", "in_front", "right_of")
GRID = 8
"""Points along each side of a picture, as `make geometry` exports them."""


def mixed(scenes: list[Scene], *, count: int, seed: int = 0) -> Iterator[Scene]:
    """Scenes of two things that take their motions from any of those scenes, turned about the
    vertical, each before the camera of another. That two things never meet, and that a path may
    leave the walls, where no ray sees it, changes no number that is asked for."""
    chance, found = random.Random(seed), 0
    while found < count:
        stage = chance.choice(scenes)
        cast_of = [(chance.choice(scenes), chance.randrange(OPTIONS.n_bodies)) for _ in range(2)]
        parts = [_turned(s, k, stage, chance.uniform(0, 2 * math.pi)) for s, k in cast_of]
        motion = replace(
            stage.motion,
            position=np.stack([position for position, _ in parts], axis=1),
            rotation=np.stack([rotation for _, rotation in parts], axis=1),
        )
        entities = tuple(s.entities[k] for s, k in cast_of)
        scene = replace(stage, entities=entities, motion=motion)
        if shows(scene):
            found += 1
            yield scene


def _turned(
    scene: Scene, entity: int, stage: Scene, angle: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T, 3) and (T, 3, 3) of a thing, about what the camera looks at."""
    turn = np.array(
        [
            [math.cos(angle), -math.sin(angle), 0],
            [math.sin(angle), math.cos(angle), 0],
            [0, 0, 1],
        ]
    )
    flat = np.array([1.0, 1, 0])
    about, there = scene.camera.target * flat, stage.camera.target * flat
    position = (scene.motion.position[:, entity] - about) @ turn.T + there
    return position, turn @ scene.motion.rotation[:, entity]


def draw(clips: Iterable[Scene], file: Path) -> None:
    """Write centres (N,T,K,3), points (N,F,G,G,3), entity and valid (N,F,G,G), camera frame."""
    found: dict[str, list[Any]] = {"centres": [], "points": [], "entity": [], "valid": []}
    frames = picture_frames(OPTIONS.n_frames)
    for scene in clips:
        depth, ids = zip(*(_seen(scene, frame) for frame in frames), strict=True)
        lens = scene.camera.lens
        xyz = unproject(_GRID, np.stack(depth), np.array([lens.focal_px] * 2 + [lens.cx, lens.cy]))
        found["centres"].append(centres_m(scene).astype(np.float32))
        found["points"].append(xyz.astype(np.float32))
        found["entity"].append(np.stack(ids).astype(np.int8) - 1)
        found["valid"].append(np.ones(xyz.shape[:-1], bool))
    np.savez_compressed(file, **{name: np.array(values) for name, values in found.items()})


def _seen(scene: Scene, frame: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Depth and ids (G, G) of the pixels that `export geometry` reads."""
    x, y = (np.floor(_GRID) + 0.5).reshape(-1, 2).T
    hits = cast(scene, frame, x, y)
    return hits.depth_m.reshape(GRID, GRID), hits.ids.reshape(GRID, GRID)


def read(file: Path) -> list[Clip]:
    stored = np.load(file)
    every = zip(*(stored[name] for name in ("centres", "points", "entity", "valid")), strict=True)
    return [
        Clip(
            seed=0,
            view=0,
            names=("a thing", "another"),
            shapes=("thing", "thing"),
            centres_m=centres,
            t_s=np.arange(OPTIONS.n_frames) / OPTIONS.fps,
            contacts=(),
            points=points,
            entity=entity,
            valid=valid,
        )
        for centres, points, entity, valid in every
    ]


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip(Story):
    """A scene as its points show it: of each frame GRID x GRID."""

    points: NDArray[np.float32]
    """(F, G, G, 3), 0 where not valid."""
    entity: NDArray[np.int8]
    """(F, G, G)."""
    valid: NDArray[np.bool_]
    """(F, G, G)."""

    @cached_property
    def mirrored(self) -> Clip:
        return replace(
            self,
            centres_m=self.centres_m * _MIRROR,
            points=self.points[:, :, ::-1] * np.float32(_MIRROR),
            entity=self.entity[:, :, ::-1],
            valid=self.valid[:, :, ::-1],
        )

    @cached_property
    def exchanged(self) -> Clip:
        """Its first thing second."""
        entity = np.where(self.entity < 0, self.entity, 1 - self.entity)
        return replace(self, centres_m=self.centres_m[:, ::-1], entity=entity)

    @cached_property
    def lessons(self) -> list[tuple[str, tuple[float, ...]]]:
        """Wording and numbers of its questions of TAUGHT, whatever its things are called."""
        asked = [q for name in TAUGHT for q in ask_of_answers(FAMILIES[name], self)]
        return [(question.text, question.numbers) for question in asked]

    @property
    def geometry(self) -> ClipGeometry:
        frames = picture_frames(len(self.t_s))
        arrays = {
            "points": self.points,
            "valid": self.valid,
            "sigma": np.zeros(self.valid.shape, np.float32),
            "entity": self.entity,
            "times_s": self.t_s[list(frames)],
        }
        return points_of(arrays, {0: "", 1: ""})


_MIRROR = (-1, 1, 1)
_GRID = np.stack(
    np.meshgrid(*[(np.arange(GRID) + 0.5) * OPTIONS.width / GRID] * 2), axis=-1
)  # (G, G, 2)
