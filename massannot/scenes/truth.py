"""What an annotator ought to find in the pictures of a clip, as arrays.

Positions follow the annotator's own definition, the component-wise median of an entity's VISIBLE
points; `body_centres` says where its centre of mass is, which no picture shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from massannot.geometry.motion import Centres, surface_centre
from massannot.geometry.point_choice import choose_points
from massannot.scenes.answers import Answers
from massannot.scenes.shapes import Floats, Ints
from massannot.scenes.tracks import ROOM, ExactTracks

POINTS_PER_ENTITY = 64
QUERY_EVERY_FRAMES = 32
"""As the annotator's key frames: a sub-segment of the motion profile."""


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
            asked = np.concatenate(queries)
            yield TruePoints(entity, asked[:, 0].astype(np.int64), answers.tracks(asked))


def visible_surface_centre(points: TruePoints) -> Centres:
    """(T,) centres of what is seen of an entity, camera frame, metres; absent where hidden."""
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
