"""A tiny dataset written by the project's own writers: two shards, three clips, exact numbers."""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.card import write_card
from massannot.dataset.layout import Layout
from massannot.geometry import rle
from massannot.storage.parquet import write_parquet

HEIGHT, WIDTH, N_FRAMES, N_POINTS = 6, 8, 4, 3
SHARDS = {"000000": ("clip-a", "clip-b"), "000001": ("clip-c",)}
RECORD = run_record.RunRecord(
    spec={"phrases": ["ball"], "sampling": {"fps": 10.0}}, recipe={"recipe": "small"}, digest="0"
)


def write_small_dataset(out: Path) -> Layout:
    """Two finished shards with a card; `events` has no rows anywhere."""
    layout = Layout(out)
    run_record.begin(layout, RECORD)
    for shard, clip_ids in SHARDS.items():
        attempt = layout.new_attempt(shard)
        staged = stage(layout, shard, attempt, small_tables(clip_ids))
        assert commits.put(layout, staged)
        commits.publish(layout, staged)
    write_card(layout)
    return layout


def stage(layout: Layout, shard: str, attempt: int, found: dict[str, pa.Table]) -> commits.Commit:
    """The shard's tables in its staging folder, and the commit that would name them."""
    files = []
    for name, table in found.items():
        path = layout.attempt(shard, attempt) / f"{name}.parquet"
        w = write_parquet(path, [table], spec=tables.spec(name))
        files.append(commits.CommittedFile(name, w.rows, w.size_bytes, w.sha256))
    return commits.Commit(shard, attempt, found["clips"].num_rows, (), tuple(files))


def small_tables(clip_ids: tuple[str, ...]) -> dict[str, pa.Table]:
    """Consistent tables of some clips."""
    rows: dict[str, list[dict[str, object]]] = {"events": []}
    for clip_id in clip_ids:
        for name, more in _rows_of(clip_id).items():
            rows.setdefault(name, []).extend(more)
    return {name: tables.spec(name).from_rows(found) for name, found in rows.items()}


def xyz_of(clip_id: str) -> np.ndarray:
    """(T, N, 3) exact positions of the clip's points; NaN: absent."""
    rng = np.random.default_rng(list(clip_id.encode()))
    xyz = rng.normal(size=(N_FRAMES, N_POINTS, 3)).astype(np.float32)
    xyz[1, 2] = np.nan
    return xyz


def mask_of(clip_id: str, frame: int) -> np.ndarray:
    """(H, W) exact mask of entity 0."""
    rng = np.random.default_rng([frame, *clip_id.encode()])
    return rng.random((HEIGHT, WIDTH)) < 0.5


def rows_of_one_frame(uri: str, video_id: str) -> dict[str, dict[str, object]]:
    """The rows of `videos`, `clips` and `frames` of a video that has one clip of one frame, by
    table. Copies have the same clip."""
    rows = _like_any()
    of_video = {"uri": uri, "video_id": video_id}
    of_clip = {"clip_id": f"clip of {video_id}"}
    return {
        "videos": {**rows["videos"][0], **of_video},
        "clips": {**rows["clips"][0], **of_video, **of_clip, "n_frames": 1, "end_pts": 1},
        "frames": {**rows["frames"][0], **of_clip},
    }


@cache
def _like_any() -> dict[str, list[dict[str, object]]]:
    return _rows_of("any")


def _rows_of(clip_id: str) -> dict[str, list[dict[str, object]]]:
    uri, video_id = f"videos/{clip_id}.mp4", f"video of {clip_id}"
    points = [{"clip_id": clip_id, "entity": 0, "point": n} for n in range(N_POINTS)]
    xyz = xyz_of(clip_id)
    return {
        "videos": [
            {
                "uri": uri,
                "video_id": video_id,
                "size_bytes": 1000,
                "container": "mp4",
                "codec": "h264",
                "width": WIDTH,
                "height": HEIGHT,
                "rotation": 0,
                "sample_aspect_num": 1,
                "sample_aspect_den": 1,
                "color_space": "bt709",
                "color_range": "limited",
                "time_base_num": 1,
                "time_base_den": 10,
                "first_pts": 0,
                "damaged": False,
            }
        ],
        "clips": [
            {
                "clip_id": clip_id,
                "video_id": video_id,
                "uri": uri,
                "clip_index": 0,
                "first_pts": 0,
                "end_pts": N_FRAMES,
                "time_base_num": 1,
                "time_base_den": 10,
                "t0_s": 0.0,
                "t1_s": (N_FRAMES - 1) / 10,
                "sampling": "10",
                "n_frames": N_FRAMES,
                "source_width": WIDTH,
                "source_height": HEIGHT,
                "working_width": WIDTH,
                "working_height": HEIGHT,
                "scale_type": "metric",
                "micro_batch": 0,
                "damaged": False,
            }
        ],
        "frames": [
            {
                "clip_id": clip_id,
                "frame": f,
                "pts": f,
                "t_s": f / 10,
                "keyframe": f == 0,
                "damaged": False,
            }
            for f in range(N_FRAMES)
        ],
        "phrases": [
            {"clip_id": clip_id, "phrase": 0, "text": "ball", "origin": "prompt", "n_entities": 1},
            {"clip_id": clip_id, "phrase": 1, "text": "hoop", "origin": "prompt", "n_entities": 0},
        ],
        "entities": [
            {
                "clip_id": clip_id,
                "entity": 0,
                "phrase": 0,
                "first_frame": 0,
                "last_frame": N_FRAMES - 1,
                "score": 0.5,
            }
        ],
        "masks": [_mask_row(clip_id, f) for f in range(N_FRAMES)],
        "tracks_xy": [
            {
                **point,
                "query_frame": 0,
                "x": [f + 0.5 for f in range(N_FRAMES)],
                "y": [float(point["point"])] * N_FRAMES,
                "visible": [f != 1 for f in range(N_FRAMES)],
                "visibility": [1.0] * N_FRAMES,
                "confidence": [0.5] * N_FRAMES,
                "fb_error_px": [None] * N_FRAMES,
            }
            for point in points
        ],
        "tracks_xyz": [
            {
                **point,
                "scale_type": "metric",
                **{
                    axis: [None if np.isnan(v) else float(v) for v in xyz[:, n, a]]
                    for a, axis in enumerate("xyz")
                },
                "state": ["absent" if np.isnan(v) else "measured" for v in xyz[:, n, 0]],
            }
            for n, point in enumerate(points)
        ],
        "positions": [
            {
                "clip_id": clip_id,
                "entity": 0,
                "frame": f,
                "scale_type": "metric",
                "x_cam": 1.0 + f,
                "y_cam": 2.0,
                "z_cam": 3.0,
                "n_points": 3,
                "state": "measured",
            }
            for f in range(N_FRAMES)
        ],
    }


def _mask_row(clip_id: str, frame: int) -> dict[str, object]:
    mask = mask_of(clip_id, frame)
    return {
        "clip_id": clip_id,
        "entity": 0,
        "frame": frame,
        "height": HEIGHT,
        "width": WIDTH,
        "counts": rle.encode(mask),
        "area": int(mask.sum()),
        "score": 1.0,
        "state": "visible",
    }
