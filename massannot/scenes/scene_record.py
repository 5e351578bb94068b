"""What is written beside a rendered clip: enough to make the very same scene again.

A `SceneLibrary` is the folder that `massannot scenes render` wrote. It finds scenes by video id, so
whoever holds the bytes of a rendered clip can ask what is true in it.

What an annotator ought to find in the pictures of a clip, as arrays.

Positions follow the annotator's own definition, the component-wise median of an entity's VISIBLE
points; `body_centres` says where its centre of mass is, which no picture shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from massannot.errors import ModelFailed, UsageError
from massannot.geometry.motion import Centres, surface_centre
from massannot.geometry.point_choice import choose_points
from massannot.scenes.shapes import Floats, Ints
from massannot.scenes.true_answers import Answers
from massannot.scenes.true_tracks import ROOM, ExactTracks
from massannot.scenes.world import SCENE_VERSION, Scene, SceneOptions, make_scene

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


_KEPT = 4


@dataclass(frozen=True)
class SceneRecord:
    """One rendered clip: a JSON file in OUT/scenes."""

    seed: int
    options: SceneOptions
    version: int
    video: str
    """Path of the clip, relative to OUT."""
    video_id: str
    description: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, path: Path) -> SceneRecord:
        """Read back. Raises UsageError for a file that is not one, or of another scene version."""
        try:
            found = json.loads(path.read_text())
            record = cls(**{**found, "options": SceneOptions(**found["options"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}: expected a scene as `massannot scenes render` writes it: {error}"
            ) from error
        if record.version != SCENE_VERSION:
            raise UsageError(
                f"{path}: found scene version {record.version}, expected {SCENE_VERSION}: other "
                "versions look and move differently; render the scenes again"
            )
        return record

    def make(self) -> Scene:
        return make_scene(self.seed, self.options)


class SceneLibrary:
    """The scenes of one folder, by video id; the last few are kept."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._made: dict[str, Scene] = {}

    @cached_property
    def records(self) -> dict[str, SceneRecord]:
        """By video id. Raises UsageError when the folder holds no scenes."""
        found = [SceneRecord.from_json(p) for p in sorted(self.folder.glob("scenes/*.json"))]
        if not found:
            raise UsageError(f"{self.folder} holds no scenes/*.json; {self._way_out()}")
        return {record.video_id: record for record in found}

    def _way_out(self) -> str:
        above = self.folder.resolve().parent
        if any(above.glob("scenes/*.json")):
            return f"give the folder above it, {above}"
        return "expected a folder that `massannot scenes render FOLDER` has written"

    def scene(self, video_id: str) -> Scene:
        """The scene that a video shows. Raises ModelFailed for a video of another folder."""
        if video_id not in self.records:
            raise ModelFailed(
                f"video {video_id} is none of the {len(self.records)} scenes of {self.folder}; "
                "an oracle knows rendered clips only"
            )
        if video_id not in self._made:
            while len(self._made) >= _KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[video_id] = self.records[video_id].make()
        return self._made[video_id]
