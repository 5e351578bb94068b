"""Violations: the same scene, in which from one moment on something happens that cannot.

    gravity    a thing in flight, or one on the floor, falls upward, or floats on in a straight line
    vanish     a thing in full view is no longer there
    teleport   it is somewhere else at once, and moves on as before
    penetrate  what it meets, be it the floor, does not stop it
    reverse    everything that moves runs backwards, while the camera goes on

Until that moment the pictures are those of the scene without it, to the last bit; the violation is
in full view where the scene has such a moment at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.contacts import Plane
from massannot.scenes.physics import GRAVITY_M_S2, Breach, Motion, simulate
from massannot.scenes.shapes import Floats, Ints
from massannot.scenes.touches import Touch

if TYPE_CHECKING:
    from massannot.scenes.world import Scene

Bools: TypeAlias = NDArray[np.bool_]
ViolationName = Literal["gravity", "vanish", "teleport", "penetrate", "reverse"]
VIOLATIONS: tuple[ViolationName, ...] = get_args(ViolationName)
Law = Literal["falls_up", "floats", "vanishes", "teleports", "penetrates", "runs_backwards"]

_SHOWN_S = 0.3  # of a violated flight, where the scene allows it
_BEFORE = 2  # frames of a flight before gravity changes
_NOWHERE_M = np.array([0.0, 0.0, -1000.0])  # below the floor, which hides it
_JUMP_M = (0.7, 1.6)
_TRIES = 60
_SIMULATED = 10


@dataclass(frozen=True)
class Violation:
    """What is impossible in a scene."""

    law: Law
    frame: int
    """The first one whose picture differs from that of the scene without it, or the one before."""
    end: int
    """Frames up to this one, exclusive, show it: of gravity the flight, else to the last."""
    entities: tuple[int, ...]


def violate(scene: Scene, name: ViolationName, *, planes: list[Plane]) -> tuple[Violation, Motion]:
    """The violation of a scene, and the motion with it; the scene's seed decides all else."""
    stage = _Stage(scene, planes, np.random.default_rng([scene.seed, 5]))
    return {
        "gravity": stage.gravity,
        "vanish": stage.vanish,
        "teleport": stage.teleport,
        "penetrate": stage.penetrate,
        "reverse": stage.reverse,
    }[name]()


@dataclass(frozen=True)
class _Stage:
    scene: Scene
    planes: list[Plane]
    rng: np.random.Generator

    def gravity(self) -> tuple[Violation, Motion]:
        """Of a flight after its first third, half of them up and half of them straight on; without
        one that is seen long enough, of a thing on the floor, upward."""
        scene, share = self.scene, float(self.rng.choice([-1.0, 0.0]))
        in_flight = [
            (body, first + max(_BEFORE, (end - first) // 3), share)
            for body in range(len(scene.entities))
            for first, end in _runs(_free(scene, scene.motion, body, share=1.0))
            if end - first > _BEFORE
        ]
        lying = [(body, frame, -1.0) for frame, body in self._moments()]
        best: tuple[Violation, Motion] | None = None
        for chosen in (in_flight, lying):
            for n in self.rng.permutation(len(chosen))[:_SIMULATED]:
                body, frame, share = chosen[n]
                motion = self._with(Breach(body, frame, gravity_share=share))
                free = _free(scene, motion, body, share=share) & self._clear(motion, body)[:-1]
                seen = int(np.argmin(np.r_[free[frame:], False]))
                law: Law = "falls_up" if share < 0 else "floats"
                found = Violation(law, frame, frame + seen + 1, (body,)), motion
                if seen >= math.ceil(_SHOWN_S * scene.options.fps):
                    return found
                if best is None or found[0].end - frame > best[0].end - best[0].frame:
                    best = found
        assert best is not None  # a scene has a thing that is seen
        return best

    def vanish(self) -> tuple[Violation, Motion]:
        """Of a thing in full view."""
        frame, body = self._moments()[0]
        shift = _NOWHERE_M - self.scene.motion.position[frame, body]
        motion = self._with(Breach(body, frame, gravity_share=0.0, solid=False, shift_m=shift))
        return self._rest("vanishes", frame, body), motion

    def teleport(self) -> tuple[Violation, Motion]:
        """Of a thing in full view, to a place that is free and in full view, too."""
        for frame, body in self._moments():
            for _ in range(_TRIES):
                angle, far = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(*_JUMP_M)
                shift = far * np.array([np.cos(angle), np.sin(angle), 0.0])
                centres = self.scene.motion.position[frame].copy()
                centres[body] += shift
                if self._is_free(centres, body) and self._is_clear(centres, body, frame):
                    motion = self._with(Breach(body, frame, shift_m=shift))
                    return self._rest("teleports", frame, body), motion
        return self._rest("teleports", frame, body), self._with(Breach(body, frame, shift_m=shift))

    def penetrate(self) -> tuple[Violation, Motion]:
        """Through what a thing hits in full view; without such a blow, through its floor."""
        scene, fps = self.scene, self.scene.options.fps
        blows = [
            (int(touch.begin_s * fps), body)
            for touch in scene.motion.touches
            for body in touch.bodies
            if touch.approach_m_s > 0.8 and touch.begin_s * fps >= _BEFORE
        ]
        shown = [(f, b) for f, b in blows if f + 1 < scene.n_frames and self._clear_now[b][f]]
        frame, body = shown[self.rng.integers(len(shown))] if shown else self._moments()[0]
        motion = self._with(Breach(body, frame, solid=False))
        return self._rest("penetrates", frame, body), motion

    def reverse(self) -> tuple[Violation, Motion]:
        """Of all that moved in the time that is seen again."""
        scene, n = self.scene, self.scene.n_frames
        frame = int(self.rng.integers(n // 2, max(2 * n // 3, n // 2 + 1)))
        order = np.r_[np.arange(frame + 1), frame - 1 - np.arange(n - frame - 1)]
        sign = np.where(np.arange(n) <= frame, 1.0, -1.0)[:, None, None]
        before, t_s = scene.motion, scene.t_s(frame)
        motion = Motion(
            before.position[order],
            before.rotation[order],
            sign * before.velocity[order],
            sign * before.spin[order],
            before.energy_J[order],
            tuple(event for event in before.events if event.t_s <= t_s),
            tuple(_mirrored(before.touches, t_s, scene.t_s(n - 1))),
        )
        way = np.linalg.norm(np.diff(motion.position[frame:], axis=0), axis=-1).sum(axis=0)
        moving = tuple(int(body) for body in np.flatnonzero(way > 0.1))
        return Violation("runs_backwards", frame, n, moving), motion

    def _rest(self, law: Law, frame: int, body: int) -> Violation:
        return Violation(law, frame, self.scene.n_frames, (body,))

    def _with(self, breach: Breach) -> Motion:
        bodies = [entity.body for entity in self.scene.entities]
        size = self.scene.options
        return simulate(bodies, self.planes, fps=size.fps, n_frames=size.n_frames, breach=breach)

    def _moments(self) -> list[tuple[int, int]]:
        """(frame, body) in the middle of the clip in which the body is in full view, also in the
        frames around it, in chance order; those that are best seen where there are none."""
        n = self.scene.n_frames
        middle = range(max(1, 3 * n // 10), max(2, 6 * n // 10))
        shown = [
            (frame, body)
            for frame in middle
            for body, clear in enumerate(self._clear_now)
            if clear[max(0, frame - 3) : frame + 3].all()
        ]
        if not shown:
            frames = np.arange(1, max(2, n - 1))
            clear = np.array(self._clear_now)[:, frames]
            body = int(clear.sum(axis=1).argmax())
            seen = frames[clear[body]] if clear[body].any() else frames
            shown = [(int(seen[len(seen) // 2]), body)]
        return [shown[n] for n in self.rng.permutation(len(shown))]

    @cached_property
    def _clear_now(self) -> list[Bools]:
        return [self._clear(self.scene.motion, body) for body in range(len(self.scene.entities))]

    def _clear(self, motion: Motion, body: int) -> Bools:
        """(T,) whether the body is clear, see _is_clear, in each frame."""
        frames = range(self.scene.n_frames)
        return np.array([self._is_clear(motion.position[t], body, t) for t in frames])

    def _is_clear(self, position: Floats, body: int, frame: int) -> bool:
        """Whether a body's middle half is in the picture and nothing nearer covers it, with the
        bodies at `position` (N, 3)."""
        lens, bounds, pose = self.scene.camera.lens, self._bounds, self.scene.cam_from_room(frame)
        centres = position @ pose[:3, :3].T + pose[:3, 3]
        x, y, z = centres[body]
        if z < 0.3:
            return False
        margin = 0.5 * lens.focal_px * bounds[body] / z
        u, v = lens.focal_px * x / z + lens.cx, lens.focal_px * y / z + lens.cy
        inside = margin < u < lens.width - margin and margin < v < lens.height - margin
        ray = centres[body] / np.linalg.norm(centres[body])
        along = centres @ ray
        aside = np.linalg.norm(centres - along[:, None] * ray, axis=1)
        covers = (along > 0) & (along < along[body]) & (aside < bounds + 0.3 * bounds[body])
        return bool(inside and not covers.any())

    def _is_free(self, position: Floats, body: int) -> bool:
        """Whether a body meets nothing, with the bodies at `position` (N, 3)."""
        gap = np.linalg.norm(position - position[body], axis=1) - self._bounds - self._bounds[body]
        half = np.array(self.scene.room.half_m) - self._bounds[body]
        within = (np.abs(position[body, :2]) < half).all()
        return bool((np.delete(gap, body) > 0).all() and within)

    @cached_property
    def _bounds(self) -> Floats:
        """(N,) radii of the bodies, metres."""
        return np.array([entity.body.shape.bound_m for entity in self.scene.entities])


def _free(scene: Scene, motion: Motion, body: int, *, share: float) -> Bools:
    """(T - 1,) whether nothing but this share of gravity acts from one frame to the next."""
    gained = np.diff(motion.velocity[:, body], axis=0)
    gained[:, 2] += share * GRAVITY_M_S2 / scene.options.fps
    floor = motion.position[:-1, body, 2] > -1.0
    return np.asarray((np.abs(gained) < 1e-6).all(axis=1) & floor)


def _runs(flags: Bools) -> Iterator[tuple[int, int]]:
    """First and end of every run, end exclusive."""
    edges: Ints = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    for first, end in edges.reshape(-1, 2):
        yield int(first), int(end)


def _mirrored(touches: tuple[Touch, ...], t_s: float, end_s: float) -> Iterator[Touch]:
    """Touches of a clip that runs backwards from `t_s` on."""
    for touch in touches:
        begin, end = touch.begin_s, math.inf if touch.end_s is None else touch.end_s
        if begin > t_s:
            continue
        if end < t_s:
            yield touch
            begin, end = 2 * t_s - end, 2 * t_s - begin
            if begin < end_s:
                yield replace(
                    touch,
                    begin_s=begin,
                    end_s=end if end < end_s else None,
                    approach_m_s=touch.depart_m_s,
                    depart_m_s=touch.approach_m_s,
                )
        else:
            end = 2 * t_s - begin
            yield replace(touch, end_s=end if end < end_s else None, depart_m_s=touch.approach_m_s)
