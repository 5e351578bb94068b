"""A physics clip as a pure function of (seed, options): room, light, camera, bodies and motion.

Metric scale is observable in every picture: the floor's tiles are TILE_M = 0.5 m, and the lens is
between 1.4 and 1.6 m above the floor (CAMERA_HEIGHT_M). The room frame has z up and its origin in
the middle of the floor; frame k is at k / fps seconds. Names are unique within a scene: no two
bodies share both colour and shape.

A trainer draws seeds only from TRAINING_SEEDS and calls `refuse_held_out` on every seed it was
given. VALIDATION_SEEDS calibrate thresholds and pick checkpoints; TEST_SEEDS give the numbers that
are published, and nothing else may look at them. Intervals are learnt from CALIBRATION_SEEDS and
judged on COVERAGE_SEEDS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.camera_path import (
    CAMERA_HEIGHT_M,
    CAMERA_MOVES,
    FIELD_OF_VIEW_DEG,
    CameraMove,
    CameraPath,
    draw_camera,
    pinhole,
)
from massannot.scenes.contacts import Plane
from massannot.scenes.physics import Body, Motion, room_planes, simulate
from massannot.scenes.prisms import FRONTED_NAMES, front_of
from massannot.scenes.scenarios import SCENARIOS, Arena, Scenario, draw_bodies
from massannot.scenes.shapes import SHAPE_NAMES, Floats
from massannot.scenes.textures import TILE_M, Skin, Tiling, draw_floor, draw_skin, draw_wall
from massannot.scenes.violations import VIOLATIONS, Violation, ViolationName, violate

SCENE_VERSION = 1
VALIDATION_SEEDS = range(900_000, 900_128)
TEST_SEEDS = range(900_128, 900_256)
CALIBRATION_SEEDS = range(901_000, 901_512)
COVERAGE_SEEDS = range(902_000, 902_512)
HELD_OUT_SEEDS = range(900_000, 1_000_000)  # those above and room for later rulers
TRAINING_SEEDS = range(1_000_000, 2_000_000_000)

COLOURS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("red", (205, 38, 38)),
    ("green", (44, 158, 62)),
    ("blue", (40, 76, 205)),
    ("yellow", (232, 205, 40)),
    ("purple", (130, 52, 165)),
    ("orange", (238, 124, 28)),
    ("cyan", (40, 196, 205)),
    ("white", (236, 236, 236)),
)
COLOUR_NAMES = tuple(name for name, _ in COLOURS)
_RGB = dict(COLOURS)
_DRAWS = 25
_CLEARANCE_M = 0.35
_LAMP_CLEARANCE_M = 0.25  # nearer, and a shadow covers the room

Matrices: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class SceneOptions:
    """Settings of a scene; None leaves the choice to the seed."""

    width: int = 160
    height: int = 128
    n_frames: int = 48
    fps: int = 24
    scenario: Scenario | None = None
    n_bodies: int | None = None  # 1..6; fewer if there is no room for all
    camera: CameraMove | None = None
    noise: bool = True
    antialias: bool = True
    violate: ViolationName | None = None  # a law of physics, from a moment on
    n_fronts: int = 0  # bodies with a front, see prisms.py; they stand for the first ones
    long: bool = False  # things that come and go instead of physics, see long_scene.py

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.n_frames, self.fps) < 1:
            raise ValueError(f"scene options: found {self}, expected sizes and rates of 1 or more")
        if self.n_bodies is not None and not 1 <= self.n_bodies <= 6:
            raise ValueError(f"scene options: found n_bodies={self.n_bodies}, expected 1 to 6")
        if not 0 <= self.n_fronts <= 6:
            raise ValueError(f"scene options: found n_fronts={self.n_fronts}, expected 0 to 6")
        if self.long and (self.violate or self.n_fronts):
            raise ValueError(
                "scene options: found long with violate or n_fronts, expected one without them"
            )
        if self.violate is not None and self.violate not in VIOLATIONS:
            raise ValueError(
                f"scene options: found violate {self.violate!r}, expected {VIOLATIONS}"
            )
        if self.scenario is not None and self.scenario not in SCENARIOS:
            raise ValueError(
                f"scene options: found scenario {self.scenario!r}, expected {SCENARIOS}"
            )
        if self.camera is not None and self.camera not in CAMERA_MOVES:
            raise ValueError(
                f"scene options: found camera {self.camera!r}, expected {CAMERA_MOVES}"
            )


@dataclass(frozen=True)
class Room:
    """A box of air around the origin; `half_m` is along x and y."""

    half_m: tuple[float, float]
    height_m: float
    floor: Tiling
    walls: tuple[Tiling, Tiling]  # across x, across y
    ceiling: float  # grey, 0..1


@dataclass(frozen=True)
class Lamp:
    position: Floats  # (3,) room frame
    strength: float
    colour: Floats  # (3,)


@dataclass(frozen=True)
class Entity:
    """A body with a name and a look; `body` is its state at frame 0."""

    colour: str
    skin: Skin
    body: Body

    @property
    def shape_name(self) -> str:
        return self.body.shape.name

    @property
    def phrase(self) -> str:
        return name_of(self.colour, self.shape_name)


@dataclass(frozen=True)
class Scene:
    """One clip, complete. Entity i is number i + 1 in an id picture, 0 is the room."""

    seed: int
    options: SceneOptions
    scenario: Scenario
    room: Room
    lamps: tuple[Lamp, ...]
    ambient: float
    exposure: float
    noise_level: float  # standard deviation of the sensor, in 0..255
    camera: CameraPath
    entities: tuple[Entity, ...]
    motion: Motion
    violation: Violation | None = None

    @property
    def n_frames(self) -> int:
        return self.options.n_frames

    def t_s(self, frame: int) -> float:
        """Seconds since frame 0."""
        return frame / self.options.fps

    def phrases(self) -> list[str]:
        """The entities' names, in entity order."""
        return [entity.phrase for entity in self.entities]

    def hard_negatives(self, count: int) -> list[str]:
        """Up to `count` names that are nearly true, drawn by the scene's seed: the colour of one
        entity with another shape, or the reverse; never the name of an entity."""
        true = set(self.phrases())
        near = {name_of(entity.colour, shape) for entity in self.entities for shape in SHAPE_NAMES}
        for entity in self.entities:
            near |= {name_of(colour, entity.shape_name) for colour in COLOUR_NAMES}
        rng = np.random.default_rng([self.seed, 3])
        return [str(name) for name in rng.permutation(sorted(near - true))[:count]]

    @cached_property
    def intrinsics(self) -> Matrices:
        """(3,3) fx, fy, cx, cy in pixels, corner convention."""
        lens = self.camera.lens
        return np.array([[lens.focal_px, 0, lens.cx], [0, lens.focal_px, lens.cy], [0, 0, 1.0]])

    def cam_from_room(self, frame: int) -> Matrices:
        """(4,4)."""
        return self.camera.cam_from_room(self.t_s(frame))

    def cam_from_world(self, frame: int) -> Matrices:
        """(4,4); the world is the clip's first camera."""
        return self.cam_from_room(frame) @ self.camera.room_from_cam(0.0)

    def room_from_body(self, frame: int, entity: int) -> Matrices:
        """(4,4) of the body's own frame, whose origin is its centre of mass."""
        pose = np.eye(4)
        pose[:3, :3] = self.motion.rotation[frame, entity]
        pose[:3, 3] = self.motion.position[frame, entity]
        return pose

    def cam_from_body(self, frame: int, entity: int) -> Matrices:
        """(4,4)."""
        return self.cam_from_room(frame) @ self.room_from_body(frame, entity)

    def front_in_cam(self, frame: int, entity: int) -> Floats | None:
        """(3,) unit vector along which a body's front points, camera frame; None: it has none."""
        front = front_of(self.entities[entity].body.shape)
        return None if front is None else self.cam_from_body(frame, entity)[:3, :3] @ front

    def describe(self) -> str:
        """One sentence for people, with the scale that can be read off the picture."""
        low, high = CAMERA_HEIGHT_M
        wrong = "" if self.violation is None else f"; violation: {self._violation_in_words()}"
        return (
            f"scene {self.seed} (version {SCENE_VERSION}): {self.scenario}, {self.camera.move} "
            f"camera {low}-{high} m above a floor of {TILE_M} m tiles; "
            + ", ".join(self.phrases())
            + wrong
        )

    def _violation_in_words(self) -> str:
        assert self.violation is not None
        who = ", ".join(self.entities[i].phrase for i in self.violation.entities)
        what = self.violation.law.replace("_", " ")
        return f"{who or 'nothing'} {what} from {self.t_s(self.violation.frame):.2f} s on"


def make_scene(seed: int, options: SceneOptions | None = None) -> Scene:
    """The scene of a seed: equal arguments give equal scenes, to the last bit."""
    options = options or SceneOptions()
    if options.long:
        from massannot.scenes.long_scene import make_long_scene

        return make_long_scene(seed, options)
    for attempt in range(_DRAWS):
        scene = _draw(seed, attempt, options)
        if _worth_showing(scene):
            break
    return scene if options.violate is None else _violated(scene, options.violate)


def _violated(scene: Scene, name: ViolationName) -> Scene:
    """The scene with the same pictures until something impossible happens."""
    violation, motion = violate(scene, name, planes=_planes(scene.room))
    return replace(scene, violation=violation, motion=motion)


def refuse_held_out(seeds: Iterable[int]) -> None:
    """Raise ValueError if any of the seeds is kept for validation or test."""
    held_out = sorted(seed for seed in set(seeds) if seed in HELD_OUT_SEEDS)
    if held_out:
        raise ValueError(
            f"training seeds: found {held_out[:5]} of the held-out seeds "
            f"{HELD_OUT_SEEDS.start}..{HELD_OUT_SEEDS.stop - 1}, expected none; "
            f"draw from TRAINING_SEEDS ({TRAINING_SEEDS.start} and up)"
        )


def name_of(colour: str, shape: str) -> str:
    """The phrase that a person would type for it: "a red ball", "an orange cone"."""
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape}"


def _draw(seed: int, attempt: int, options: SceneOptions) -> Scene:
    rng = np.random.default_rng([seed, 1, attempt])
    half = rng.uniform(2.9, 4.2, 2)
    room = Room(
        half_m=(float(half[0]), float(half[1])),
        height_m=float(rng.uniform(2.6, 3.2)),
        floor=draw_floor(rng),
        walls=(draw_wall(rng), draw_wall(rng)),
        ceiling=float(rng.uniform(0.75, 0.95)),
    )
    scenario = options.scenario or SCENARIOS[rng.integers(len(SCENARIOS))]
    moving = CAMERA_MOVES[1 + rng.integers(len(CAMERA_MOVES) - 1)]
    move = options.camera or ("static" if rng.random() < 0.5 else moving)
    azimuth = float(rng.uniform(0, 2 * np.pi))
    lens = pinhole(options.width, options.height, float(rng.uniform(*FIELD_OF_VIEW_DEG)))
    duration_s = options.n_frames / options.fps
    away = -np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    focus = away * rng.uniform(0.2, 0.8)
    camera = draw_camera(
        rng,
        lens=lens,
        move=move,
        duration_s=duration_s,
        focus=focus + np.array([0, 0, 0.25]),
        distance_m=float(rng.uniform(2.4, 3.2)),
        azimuth=azimuth,
    )
    right = np.array([-away[1], away[0], 0.0]) * -1
    arena = Arena(focus, right, away, half_width_m=1.05, half_depth_m=1.05)
    count = options.n_bodies or int(rng.choice(6, p=[0.08, 0.17, 0.25, 0.22, 0.16, 0.12])) + 1
    names = _with_fronts(_draw_names(rng, scenario, count), seed, options.n_fronts)
    bodies = draw_bodies(rng, scenario=scenario, names=[shape for _, shape in names], arena=arena)
    entities = _named(rng, names, bodies)
    motion = simulate(
        [entity.body for entity in entities],
        _planes(room),
        fps=options.fps,
        n_frames=options.n_frames,
    )
    return Scene(
        seed=seed,
        options=options,
        scenario=scenario,
        room=room,
        lamps=_draw_lamps(rng, room),
        ambient=float(rng.uniform(0.34, 0.5)),
        exposure=float(rng.uniform(1.0, 1.3)),
        noise_level=float(rng.uniform(0.5, 4.0)),
        camera=camera,
        entities=entities,
        motion=motion,
    )


def _planes(room: Room) -> list[Plane]:
    return room_planes(room.half_m[0], room.half_m[1], room.height_m)


def _draw_names(rng: np.random.Generator, scenario: Scenario, count: int) -> list[tuple[str, str]]:
    """Distinct (colour, shape) pairs; often two that share a colour or a shape."""
    names: list[tuple[str, str]] = []
    while len(names) < count:
        colour, shape = str(rng.choice(COLOUR_NAMES)), str(rng.choice(SHAPE_NAMES))
        if names and rng.random() < 0.3:
            colour = names[-1][0]
        elif not names and scenario in ("rolling", "bouncing"):
            shape = "ball" if rng.random() < 0.7 else "cylinder"
        if (colour, shape) not in names:
            names.append((colour, shape))
    return names


def _with_fronts(names: list[tuple[str, str]], seed: int, count: int) -> list[tuple[str, str]]:
    """The first `count` shapes replaced by such with a front, in distinct pairs with colours."""
    rng = np.random.default_rng([seed, 6])
    fronted = [(colour, str(rng.choice(FRONTED_NAMES))) for colour, _ in names[:count]]
    for n, (colour, shape) in enumerate(fronted):
        taken = fronted[:n]
        if (colour, shape) in taken:
            free = [name for name in COLOUR_NAMES if (name, shape) not in taken]
            fronted[n] = str(rng.choice(free)), shape
    return fronted + names[count:]


def _named(
    rng: np.random.Generator, names: list[tuple[str, str]], bodies: list[Body]
) -> tuple[Entity, ...]:
    """Bodies that found no place have left the list; the others keep the order of names."""
    waiting = list(names)
    entities = []
    for body in bodies:
        name = next(name for name in waiting if name[1] == body.shape.name)
        waiting.remove(name)
        entities.append(Entity(name[0], draw_skin(rng, _RGB[name[0]]), body))
    return tuple(entities)


def _draw_lamps(rng: np.random.Generator, room: Room) -> tuple[Lamp, ...]:
    lamps = []
    for strength in ((1.0,), (0.65, 0.45))[int(rng.random() < 0.45)]:
        spot = rng.uniform(-0.6, 0.6, 2) * room.half_m
        position = np.array([spot[0], spot[1], room.height_m - rng.uniform(0.1, 0.4)])
        warmth = rng.uniform(-0.08, 0.08)
        colour = np.array([1 + warmth, 1.0, 1 - warmth])
        lamps.append(Lamp(position, strength * float(rng.uniform(0.85, 1.15)), colour))
    return tuple(lamps)


def _worth_showing(scene: Scene) -> bool:
    """No body comes near a lens or a lamp, and each is in view for a quarter of the clip."""
    if not scene.entities:
        return False
    lens = scene.camera.lens
    seen = np.zeros(len(scene.entities))
    bounds = np.array([entity.body.shape.bound_m for entity in scene.entities])
    for frame in range(scene.n_frames):
        pose = scene.cam_from_room(frame)
        centres = scene.motion.position[frame]
        for lamp in scene.lamps:
            if (np.linalg.norm(centres - lamp.position, axis=1) < bounds + _LAMP_CLEARANCE_M).any():
                return False
        x, y, z = (centres @ pose[:3, :3].T + pose[:3, 3]).T
        if (np.sqrt(x * x + y * y + z * z) < bounds + _CLEARANCE_M).any():
            return False
        z = np.maximum(z, 0.05)
        u, v = lens.focal_px * x / z + lens.cx, lens.focal_px * y / z + lens.cy
        seen += (u > 0) & (u < lens.width) & (v > 0) & (v < lens.height) & (z > 0.1)
    return bool((seen >= min(0.25 * scene.n_frames, scene.n_frames)).all())
