"""Story: the positions and contacts of a scene's bodies, for questions. Nothing is rendered.

Positions are the bodies' centres of mass in the camera's frame (x right, y down, z forward), in
metres; the camera stands still. A scene is simulated once and seen from several sides: a body that
moves to the right from one side moves away from another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.physics import ContactEvent
from massannot.scenes.world import Scene, SceneOptions, make_scene

SEGMENT_FRAMES = 32
OPTIONS = SceneOptions(
    width=32,
    height=32,
    n_frames=2 * SEGMENT_FRAMES,
    fps=SEGMENT_FRAMES,
    n_bodies=2,
    camera="static",
    noise=False,
    antialias=False,
)
"""Two seconds in two segments, two bodies, thumbnails."""


@dataclass(frozen=True, eq=False)
class Story:
    seed: int
    view: int
    """0: the scene's own camera."""
    names: tuple[str, ...]
    """As in "a ball"; (K,)."""
    shapes: tuple[str, ...]
    centres_m: NDArray[np.float64]
    """(T, K, 3)."""
    t_s: NDArray[np.float64]
    """(T,)."""
    contacts: tuple[ContactEvent, ...]
    scene: Scene | None = None
    """To draw pictures of."""
    colours: tuple[str, ...] = ()
    """(K,)."""
    half_width: float = 1.0
    """Of the picture, as x / z of a point at its edge."""

    @cached_property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """First and last frame of each; the last of one is the first of the next."""
        last = len(self.t_s) - 1
        starts = range(0, last, SEGMENT_FRAMES)
        return tuple((first, min(first + SEGMENT_FRAMES, last)) for first in starts)

    def the(self, entity: int) -> str:
        """As in "the ball"."""
        return "the " + self.names[entity].partition(" ")[2]

    def displacement_m(self, entity: int, segment: int | None = None) -> NDArray[np.float64]:
        """(3,) last minus first position, of a segment or of all."""
        first, last = (0, -1) if segment is None else self.segments[segment]
        return np.asarray(self.centres_m[last, entity] - self.centres_m[first, entity])

    def distance_m(self, entity: int, segment: int | None = None) -> float:
        return float(np.linalg.norm(self.displacement_m(entity, segment)))

    def way_m(self, entity: int, segment: int) -> float:
        """Length of the way, every turn of it."""
        first, last = self.segments[segment]
        steps = np.diff(self.centres_m[first : last + 1, entity], axis=0)
        return float(np.linalg.norm(steps, axis=1).sum())

    def rise_m(self, entity: int) -> float:
        """How high it gets above the lowest place it was at since it first hit the floor; of a
        story without a scene, along the camera's y."""
        times = self.floor_contacts_s(entity)
        if not times:
            return 0.0
        up = -self.centres_m[..., 1] if self.scene is None else self.scene.motion.position[..., 2]
        height = up[self.t_s >= times[0], entity]
        return float((height - np.minimum.accumulate(height)).max(initial=0.0))

    def motions(self, entity: int, segment: int | None = None) -> tuple[float, ...]:
        """Displacements of one segment or of all, one after the other."""
        which = range(len(self.segments)) if segment is None else [segment]
        return tuple(x for number in which for x in self.displacement_m(entity, number).tolist())

    def picture_x(self, frame: int, entity: int) -> float | None:
        """Where its centre is across the picture, -1 at the left edge and 1 at the right one; None
        outside of the picture, or where another body in front may hide it."""
        x, y, z = np.moveaxis(self.centres_m[frame], -1, 0)
        across, down = x / z / self.half_width, y / z / self.half_width
        apart = np.hypot(across - across[entity], down - down[entity])
        hidden = (apart < _MAY_HIDE) & (z < z[entity])
        if hidden.any() or max(abs(across[entity]), abs(down[entity])) > _INSIDE:
            return None
        return float(across[entity])

    def floor_contacts_s(self, entity: int) -> list[float]:
        return [e.t_s for e in self.contacts if e.kind == "floor" and e.first == entity]


def stories(seeds: Iterable[int], *, views: int = 1) -> Iterator[Story]:
    """The stories of every seed whose scene has two bodies of different shapes, so that "the ball"
    is one of them; from up to `views` sides."""
    for seed in seeds:
        scene = make_scene(seed, OPTIONS)
        if len({entity.shape_name for entity in scene.entities}) == OPTIONS.n_bodies:
            for view in range(views):
                seen = seen_from(scene, view)
                if seen is not None:
                    yield _story(seen, view)


def seen_from(scene: Scene, view: int) -> Scene | None:
    """The scene with its camera moved around its target; None: the bodies are not visible from
    there."""
    if view == 0:
        return scene
    chance = np.random.default_rng([scene.seed, 7, view])
    for angle in chance.uniform(0, 2 * math.pi, _SIDES_TRIED):
        path = scene.camera
        turn = np.array(
            [
                [math.cos(angle), -math.sin(angle), 0],
                [math.sin(angle), math.cos(angle), 0],
                [0, 0, 1],
            ]
        )
        eye = path.target + turn @ (path.eye - path.target)
        turned = replace(scene, camera=replace(path, eye=eye))
        if (np.abs(eye[:2]) < np.array(scene.room.half_m) - _FROM_WALL_M).all() and shows(turned):
            return turned
    return None


def shows(scene: Scene) -> bool:
    """Whether each body's centre is in the picture in half the frames, and none near the lens."""
    centres = centres_m(scene)
    lens = scene.camera.lens
    x, y, z = np.moveaxis(centres, -1, 0)
    if z.min() < _FROM_LENS_M:
        return False
    u, v = lens.focal_px * x / z + lens.cx, lens.focal_px * y / z + lens.cy
    inside = (u > 0) & (u < lens.width) & (v > 0) & (v < lens.height)
    return bool((inside.mean(axis=0) >= 0.5).all())


def _story(scene: Scene, view: int) -> Story:
    return Story(
        seed=scene.seed,
        view=view,
        names=tuple(f"a {entity.shape_name}" for entity in scene.entities),
        shapes=tuple(entity.shape_name for entity in scene.entities),
        centres_m=centres_m(scene),
        t_s=np.array([scene.t_s(frame) for frame in range(scene.n_frames)]),
        contacts=scene.motion.events,
        scene=scene,
        colours=tuple(entity.colour for entity in scene.entities),
        half_width=scene.camera.lens.width / 2 / scene.camera.lens.focal_px,
    )


def centres_m(scene: Scene) -> NDArray[np.float64]:
    """(T, K, 3) in the camera's frame."""
    cam_from_room = scene.cam_from_room(0)
    return scene.motion.position @ cam_from_room[:3, :3].T + cam_from_room[:3, 3]


_INSIDE = 0.95
_MAY_HIDE = 0.4  # half widths of the picture
_SIDES_TRIED = 12
_FROM_WALL_M = 0.3
_FROM_LENS_M = 0.6
