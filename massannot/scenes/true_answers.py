"""Answers: the truth about the pictures of a clip, in the working pixels that models see.

Frames may be fewer, smaller or start later than the scene's: pictures are matched by time, and
everything is cast again at the working size's own pixel centres, so nothing is resampled.

Positions follow the annotator's own definition, the component-wise median of an entity's VISIBLE
points; `body_centres` says where its centre of mass is, which no picture shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.counts import counted
from massannot.errors import ModelFailed
from massannot.geometry.motion import Centres, surface_centre
from massannot.geometry.point_choice import choose_points
from massannot.scenes.rays import cast, silhouette
from massannot.scenes.shapes import Floats, Ints
from massannot.scenes.true_tracks import ROOM, ExactTracks, exact_tracks
from massannot.scenes.world import Scene

Bools: TypeAlias = NDArray[np.bool_]

POINTS_PER_ENTITY = 64
QUERY_EVERY_FRAMES = 32
"""As the annotator's key frames: a sub-segment of the motion profile."""
_ON_TIME_FRAMES = 1e-3


@dataclass(frozen=True, eq=False)
class Answers:
    """Truth for T frames of a scene at working size (H, W); pictures are cast once."""

    scene: Scene
    scene_frames: tuple[int, ...]  # (T,)
    height: int
    width: int
    scale: Floats  # (2,) scene pixels per working pixel
    _ids: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, scene: Scene, frames: Frames) -> Answers:
        """The answers for these frames. Raises ModelFailed for a picture whose time is not that of
        a frame of the scene."""
        position = frames.t_s * scene.options.fps
        nearest = np.round(position)
        wrong = (np.abs(position - nearest) > _ON_TIME_FRAMES) | (nearest < 0)
        wrong |= nearest >= scene.n_frames
        if wrong.any():
            raise ModelFailed(
                f"scene {scene.seed}: found a picture at {frames.t_s[wrong][0]} s, expected one of "
                f"its {counted(scene.n_frames, 'frame')} at k/{scene.options.fps} s"
            )
        return cls(
            scene,
            tuple(int(k) for k in nearest),
            frames.height,
            frames.width,
            frames.source_from_working,
        )

    def first(self, n_frames: int) -> Answers:
        """The answers for the first frames alone; what was cast is shared."""
        return replace(self, scene_frames=self.scene_frames[:n_frames])

    def ids(self, frame: int) -> NDArray[np.uint8]:
        """(H, W): 0 the room, entity i is i + 1."""
        if frame not in self._ids:
            x, y = self._grid(self.height, self.width)
            hits = cast(self.scene, self.scene_frames[frame], x, y)
            self._ids[frame] = hits.ids.astype(np.uint8).reshape(self.height, self.width)
        return self._ids[frame]

    def mask(self, frame: int, entity: int) -> Bools:
        """(H, W) where the entity is seen."""
        return np.asarray(self.ids(frame) == entity + 1)

    def box_xyxy(self, frame: int, entity: int) -> Floats | None:
        """(4,) half-open box of the entity's visible part; None: it has none."""
        mask = self.mask(frame, entity)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return None
        return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)

    def in_picture(self, frame: int, entity: int) -> bool:
        """Whether it would be seen if nothing stood before it."""
        return bool(self.mask(frame, entity).any()) or self.area_alone(frame, entity) > 0

    def area_alone(self, frame: int, entity: int) -> int:
        """Pixels that would show it if nothing stood before it."""
        x, y = self._grid(self.height, self.width)
        met = silhouette(self.scene, self.scene_frames[frame], entity, x, y)
        return int(np.count_nonzero(met))

    def occluder(self, frame: int, entity: int) -> int | None:
        """The entity that stands before most of it; None: it is seen, or outside of the picture."""
        x, y = self._grid(self.height, self.width)
        behind = silhouette(self.scene, self.scene_frames[frame], entity, x, y)
        front = self.ids(frame).ravel()[behind]
        if not len(front) or (front == entity + 1).any():
            return None
        return int(np.bincount(front).argmax()) - 1

    def depth_m(self, frame: int, *, height: int, width: int) -> NDArray[np.float32]:
        """(height, width) metric z at the centres of a map of that size over the whole picture."""
        x, y = self._grid(height, width)
        hits = cast(self.scene, self.scene_frames[frame], x, y)
        return hits.depth_m.astype(np.float32).reshape(height, width)

    def tracks(self, queries_txy: Floats) -> ExactTracks:
        """Tracks (T, N) of queries (N, 3) of (frame, x, y), in and out in working pixels."""
        queries = np.asarray(queries_txy, np.float64).reshape(-1, 3).copy()
        frames = np.array(self.scene_frames)
        queries[:, 0] = frames[queries[:, 0].astype(int)]
        queries[:, 1:] *= self.scale
        whole = exact_tracks(self.scene, queries)
        return ExactTracks(
            whole.xy[frames] / self.scale, whole.xyz_cam[frames], whole.visible[frames]
        )

    def intrinsics(self) -> Floats:
        """(4,) fx fy cx cy in working pixels."""
        k = self.scene.intrinsics
        x, y = self.scale
        return np.array([k[0, 0] / x, k[1, 1] / y, k[0, 2] / x, k[1, 2] / y])

    def cam_from_world(self) -> Floats:
        """(T, 4, 4); the world is the camera of the first of these frames."""
        world_from_room = self.scene.cam_from_room(self.scene_frames[0])
        room_from_world = np.linalg.inv(world_from_room)
        return np.stack([self.scene.cam_from_room(k) @ room_from_world for k in self.scene_frames])

    def _grid(self, height: int, width: int) -> tuple[Floats, Floats]:
        """Scene pixel positions of the centres of a height x width grid over the picture."""
        across = self.width * self.scale[0] / width
        along = self.height * self.scale[1] / height
        x = np.tile((np.arange(width) + 0.5) * across, height)
        return x, np.repeat((np.arange(height) + 0.5) * along, width)


@dataclass(frozen=True)
class TruePoints:
    """Points chosen on one entity (or on the room, ROOM) and followed exactly."""

    entity: int
    query_frame: Ints  # (N,)
    tracks: ExactTracks  # (T,N), working pixels


def followed_points(
    answers: Answers, *, per_entity: int = POINTS_PER_ENTITY
) -> Iterator[TruePoints]:
    """Points of the room, then of every entity that is ever seen.

    Each entity gets `per_entity` points in the first frame that shows it and again in every
    QUERY_EVERY_FRAMES-th one, so that sides which come into view later have points too.
    """
    for entity in range(ROOM, len(answers.scene.entities)):
        queries = [
            np.column_stack([np.full(len(xy), frame), xy])
            for frame in _query_frames(answers, entity)
            if len(xy := choose_points(answers.mask(frame, entity), per_entity))
        ]
        if queries:
            queries_txy = np.concatenate(queries)
            yield TruePoints(
                entity, queries_txy[:, 0].astype(np.int64), answers.tracks(queries_txy)
            )


def visible_surface_centre(points: TruePoints) -> Centres:
    """(T,) centres of an entity's visible part, camera frame, metres; absent where hidden."""
    visible = points.tracks.visible
    xyz = np.where(visible[..., None], points.tracks.xyz_cam, np.nan)
    return surface_centre(xyz, visible, min_points=1)


def body_centres(answers: Answers) -> Floats:
    """(T, K, 3) centres of mass of all entities, each frame's camera frame, metres."""
    scene = answers.scene
    return np.array(
        [
            [scene.cam_from_body(frame, k)[:3, 3] for k in range(len(scene.entities))]
            for frame in answers.scene_frames
        ]
    )


def _query_frames(answers: Answers, entity: int) -> list[int]:
    n_frames = len(answers.scene_frames)
    if entity == ROOM:
        return [0]
    seen = [frame for frame in range(n_frames) if answers.mask(frame, entity).any()]
    return [f for f in seen if f == seen[0] or f % QUERY_EVERY_FRAMES == 0]
