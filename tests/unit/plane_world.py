"""An exact world for the stages after tracking: boards that move before walls, seen by a pinhole.

Everything has a closed form: a board is a square patch at one depth, the background a tilted wall.
No renderer, no scene, no model but those that repeat what they are told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from massannot import tables
from massannot.clip import Clip, DepthKind, DepthMaps, Frames, Video
from massannot.geometry import rle
from massannot.geometry.camera import apply, project, resized_intrinsics
from massannot.models.protocols import Cameras, ModelCard
from massannot.stages._stage import Pipeline
from massannot.stages.compare_depth import CompareDepth
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.estimate_depth import EstimateDepth
from massannot.stages.lift_tracks import LiftTracks
from massannot.stages.locate_entities import LocateEntities
from massannot.stages.measure_motions import MeasureMotions
from massannot.stages.scale_depth import ScaleDepth
from massannot.stages.score_quality import ScoreQuality
from massannot.stages.split_segments import SplitSegments
from massannot.stages.stabilize_depth import StabilizeDepth
from massannot.stages.summarize_clip import SummarizeClip
from massannot.tables._spec import TableSpec

SOURCE = (320, 240)
WORKING = (160, 120)
MAP = (97, 71)
"""Width and height of pictures and of depth maps, all different."""
ANAMORPHIC = np.array([280.0, 350.0, 158.0, 123.0])
WALL = (np.array([0.15, -0.1, 1.0]), 6.0)
"""The background: points p in the world with normal . p = offset."""


@dataclass
class Told:
    """A depth and camera model that answers what it was told."""

    depth: DepthMaps
    cameras: Cameras
    heard_focal_px: float | None = None

    def setup(self, *, device: str) -> None: ...

    def destroy(self) -> None: ...

    def card(self) -> ModelCard:
        return ModelCard("told")

    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        self.heard_focal_px = focal_px
        return self.depth

    def estimate_cameras(self, frames: Frames) -> Cameras:
        return self.cameras


@dataclass
class PlaneWorld:
    """`paths` (K, T, 3): centres of K boards in the world, which is the first camera."""

    paths: np.ndarray
    fps: float = 10.0
    half_size: float = 0.4
    """Of a board, in metres."""
    cam_from_world: np.ndarray | None = None
    """(T, 4, 4); None: the camera stands still."""
    hidden: dict[int, range] = field(default_factory=dict)
    """Frames in which a board is not to be seen, though it is there."""
    flicker: np.ndarray | None = None
    """(T,) factors of the depth that is told."""
    jitter_px: float = 0.0
    pose_origin: str = "given"
    kind: DepthKind = "metric"
    known_sizes: dict[str, float] = field(default_factory=dict)
    second_depth: np.ndarray | None = None
    """(T, K) factors on the boards' depth that a second model tells; None: none is asked."""

    @property
    def n_frames(self) -> int:
        return int(self.paths.shape[1])

    @property
    def poses(self) -> np.ndarray:
        still = np.tile(np.eye(4), (self.n_frames, 1, 1))
        return still if self.cam_from_world is None else self.cam_from_world

    def clip(self) -> Clip:
        """The clip with everything up to its 2D tracks."""
        n_frames = self.n_frames
        frames = Frames(
            np.zeros((n_frames, WORKING[1], WORKING[0], 3), np.uint8),
            video_id="ab" * 16,
            source_id="planes",
            pts=np.arange(n_frames) * 100,
            t_s=np.arange(n_frames) / self.fps,
            time_base=Fraction(1, 1000),
            source_width=SOURCE[0],
            source_height=SOURCE[1],
        )
        video = Video(
            uri="planes.mp4",
            video_id=frames.video_id,
            source_id=None,
            size_bytes=1,
            container="mp4",
            codec="h264",
            pixel_format=None,
            width=SOURCE[0],
            height=SOURCE[1],
            rotation=0,
            sample_aspect=Fraction(1),
            color_space="bt709",
            color_range="limited",
            time_base=frames.time_base,
            first_pts=0,
            duration_s=None,
            n_frames=n_frames,
            variable_rate=False,
            damaged=False,
        )
        clip = Clip("c0" * 16, 0, video, 0, n_frames * 100, "all", (), frames)
        for name, table in self._tables().items():
            clip = clip.with_table(name, table)
        return clip

    def annotated(self) -> Clip:
        """The clip after every stage."""
        return self.pipeline().process(self.clip())

    def pipeline(self) -> Pipeline:
        told = Told(self.depth_maps(), self._cameras())
        given = ("phrases", "entities", "masks", "tracks_xy")
        return Pipeline(
            "planes",
            (
                _Given(given),
                SplitSegments(),
                EstimateCameras(told),
                EstimateDepth(told),
                StabilizeDepth(),
                ScaleDepth(self.known_sizes),
                LiftTracks(),
                SummarizeClip(),
                LocateEntities(),
                *(() if self.second_depth is None else (CompareDepth(self._second_told()),)),
                MeasureMotions(),
                ScoreQuality(),
            ),
        )

    def depth_maps(self) -> DepthMaps:
        """What is told of depth: nearest surface at each map pixel's centre."""
        x = (np.arange(MAP[0]) + 0.5) * SOURCE[0] / MAP[0]
        y = (np.arange(MAP[1]) + 0.5) * SOURCE[1] / MAP[1]
        maps = np.stack([self._depth_at(x, y, frame) for frame in range(self.n_frames)])
        if self.flicker is not None:
            maps = maps * self.flicker[:, None, None]
        if self.kind == "affine":
            maps = 1 / maps + 0.1
        return DepthMaps(maps.astype(np.float32), self.kind)

    def _second_told(self) -> Told:
        x = (np.arange(MAP[0]) + 0.5) * SOURCE[0] / MAP[0]
        y = (np.arange(MAP[1]) + 0.5) * SOURCE[1] / MAP[1]
        maps = self.depth_maps().values.copy()
        for frame, factors in enumerate(() if self.second_depth is None else self.second_depth):
            for board, factor in enumerate(factors):
                maps[frame][self._inside(x, y, board, frame)] *= factor
        return Told(DepthMaps(maps, self.kind), self._cameras())

    def board_in_cam(self, board: int) -> np.ndarray:
        """(T, 3) the board's centre in each frame's camera."""
        return np.asarray(apply(self.poses, self.paths[board]))

    def _depth_at(self, x: np.ndarray, y: np.ndarray, frame: int) -> np.ndarray:
        """(H, W) z of the nearest surface at columns x (W,) and rows y (H,)."""
        z = _wall_depth(np.stack(np.meshgrid(x, y), axis=-1), self.poses[frame])
        for board in range(len(self.paths)):
            if frame not in self.hidden.get(board, ()):
                inside = self._inside(x, y, board, frame)
                z = np.where(inside, np.minimum(z, self.board_in_cam(board)[frame, 2]), z)
        return z

    def _inside(self, x: np.ndarray, y: np.ndarray, board: int, frame: int) -> np.ndarray:
        """(H, W) whether pixels at columns x (W,) and rows y (H,) show the board."""
        centre = self.board_in_cam(board)[frame]
        (middle_x, middle_y) = project(centre, ANAMORPHIC)
        half_x, half_y = ANAMORPHIC[:2] * self.half_size / centre[2]
        return np.logical_and.outer(np.abs(y - middle_y) < half_y, np.abs(x - middle_x) < half_x)

    def _cameras(self) -> Cameras:
        working = resized_intrinsics(ANAMORPHIC, from_size=SOURCE, to_size=WORKING)
        return Cameras(np.tile(working, (self.n_frames, 1)), self.poses, "given", self.pose_origin)

    def _tables(self) -> dict[str, object]:
        clip_id, n_boards = "c0" * 16, len(self.paths)
        rng = np.random.default_rng(0)
        x, y = np.arange(SOURCE[0]) + 0.5, np.arange(SOURCE[1]) + 0.5
        masks, tracks = [], []
        for board in range(n_boards):
            offset = np.zeros((20, 3))
            offset[:, :2] = rng.uniform(-0.6, 0.6, (20, 2)) * self.half_size
            offset -= np.median(offset, axis=0)
            path = self.board_in_cam(board)
            for frame in range(self.n_frames):
                mask = self._inside(x, y, board, frame)
                mask &= frame not in self.hidden.get(board, ())
                masks.append(_mask_row(mask, board, frame))
            xyz = path[:, None] + offset
            seen = np.array([f not in self.hidden.get(board, ()) for f in range(self.n_frames)])
            tracks += self._track_rows(xyz, board, seen, rng)
        tracks += self._track_rows(self._wall_points(rng), -1, np.ones(self.n_frames, bool), rng)
        return {
            "frames": _spec("frames").from_rows(
                [
                    {
                        "clip_id": clip_id,
                        "frame": frame,
                        "pts": frame * 100,
                        "t_s": frame / self.fps,
                        "keyframe": False,
                        "damaged": False,
                    }
                    for frame in range(self.n_frames)
                ]
            ),
            "phrases": _spec("phrases").from_rows(
                [_phrase_row(board, 1) for board in range(n_boards)]
            ),
            "entities": _spec("entities").from_rows(
                [
                    {
                        "clip_id": clip_id,
                        "entity": board,
                        "phrase": board,
                        "first_frame": 0,
                        "last_frame": self.n_frames - 1,
                        "score": 0.9,
                    }
                    for board in range(n_boards)
                ]
            ),
            "masks": _spec("masks").from_rows(masks),
            "tracks_xy": _spec("tracks_xy").from_rows(tracks),
        }

    def _wall_points(self, rng: np.random.Generator) -> np.ndarray:
        """(T, 64, 3) points of the wall in each frame's camera, seen beside every board."""
        start = rng.uniform((8, 8), (SOURCE[0] - 8, 40), (64, 2))
        z = _wall_depth(start, self.poses[0])
        ray = np.column_stack([(start - ANAMORPHIC[2:]) / ANAMORPHIC[:2], np.ones(64)])
        return np.asarray(apply(self.poses[:, None], ray * z[:, None]))

    def _track_rows(
        self, xyz: np.ndarray, entity: int, seen: np.ndarray, rng: np.random.Generator
    ) -> list[dict[str, object]]:
        xy = project(xyz, ANAMORPHIC)
        xy[1:] += self.jitter_px * rng.standard_normal(xy[1:].shape)
        inside = ((xy > 0) & (xy < SOURCE)).all(axis=-1) & seen[:, None]
        return [
            {
                "clip_id": "c0" * 16,
                "entity": entity,
                "point": n,
                "query_frame": 0,
                "x": xy[:, n, 0],
                "y": xy[:, n, 1],
                "visible": inside[:, n],
                "visibility": inside[:, n].astype(np.float32),
                "confidence": np.ones(self.n_frames),
                "fb_error_px": np.full(self.n_frames, 0.25),
            }
            for n in range(xyz.shape[1])
        ]


@dataclass(frozen=True)
class _Given:
    """Stands for the stages before: says which tables the clip already has."""

    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    name: str = "given"

    def setup(self, *, device: str) -> None: ...

    def destroy(self) -> None: ...

    def cards(self) -> tuple[ModelCard, ...]:
        return ()

    def process(self, clip: Clip) -> Clip:
        return clip


def _wall_depth(xy: np.ndarray, cam_from_world: np.ndarray) -> np.ndarray:
    """z (...) of the wall at xy (..., 2)."""
    normal, offset = WALL
    in_cam = cam_from_world[:3, :3] @ normal
    distance = offset + in_cam @ cam_from_world[:3, 3]
    ray = np.concatenate(
        [(xy - ANAMORPHIC[2:]) / ANAMORPHIC[:2], np.ones((*xy.shape[:-1], 1))], axis=-1
    )
    return np.asarray(distance / (ray @ in_cam))


def _mask_row(mask: np.ndarray, board: int, frame: int) -> dict[str, object]:
    counts = rle.encode(mask)
    box = rle.box_xyxy(counts, height=SOURCE[1], width=SOURCE[0]) or (None,) * 4
    return {
        "clip_id": "c0" * 16,
        "entity": board,
        "frame": frame,
        "height": SOURCE[1],
        "width": SOURCE[0],
        "counts": counts,
        "area": int(mask.sum()),
        **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)),
        "score": 0.8,
        "state": "visible" if mask.any() else "absent",
    }


def _phrase_row(phrase: int, n_entities: int) -> dict[str, object]:
    return {
        "clip_id": "c0" * 16,
        "phrase": phrase,
        "text": f"board {'abc'[phrase]}",
        "origin": "prompt",
        "n_entities": n_entities,
    }


def _spec(name: str) -> TableSpec:
    return tables.spec(name)
