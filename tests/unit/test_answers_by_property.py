"""Answers from files, for any content: what our own exporters and stages write comes back equal,
and what somebody else wrote is used as it stands or refused with a reason."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from massannot import tables
from massannot.clip import DepthMaps
from massannot.dataset.reading import open_dataset
from massannot.errors import MassannotError
from massannot.exporters import coco
from massannot.geometry import rle
from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.object_sources import RecordedObjects
from massannot.models.recorded.track_files import RecordedTracks
from massannot.stages.store_depth import StoreDepth
from tests.drawn_world import clip_of
from tests.unit.test_answers import HEIGHT, WIDTH, frames_at

T = 4
TIMES = [0.0, 0.1, 0.2, 0.3]
CLIP = "c" * 32
phases = (Phase.explicit, Phase.generate)  # no shrinking: a minute, in a test of a second
some = settings(max_examples=12, phases=phases)

pictures = st.one_of(
    st.none(),
    st.builds(
        lambda *values: list(values),
        st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, 40),
        st.integers(1, 40), st.integers(0, 2**16 - 1),
    ),
)  # fmt: skip
things = st.lists(st.lists(pictures, min_size=T, max_size=T).filter(any), min_size=1, max_size=3)


def mask_of(patch: list[Any]) -> np.ndarray:
    """A rectangle with a pattern of holes."""
    x, y, width, height, bits = patch
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    pattern = np.array([bits >> n & 1 for n in range(16)], bool).reshape(4, 4)
    mask &= np.tile(pattern, (HEIGHT // 4, WIDTH // 4))
    mask[y, x] = True
    return mask


def box_of(mask: np.ndarray) -> tuple[float, ...]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return tuple(map(float, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))


@contextmanager
def folder() -> Iterator[Path]:
    """Hypothesis runs a test many times: each in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def write_dataset(out: Path, **rows: Any) -> None:
    """A finished dataset of one clip with these tables, as rows or as they are."""
    clip = {
        "clip_id": CLIP, "video_id": "0" * 32, "source_id": "ball", "uri": "ball.mp4",
        "clip_index": 0, "first_pts": 0, "end_pts": 400, "time_base_num": 1,
        "time_base_den": 1000, "t0_s": 0.0, "t1_s": 0.3, "sampling": "all", "n_frames": T,
        "source_width": WIDTH, "source_height": HEIGHT, "working_width": WIDTH,
        "working_height": HEIGHT, "micro_batch": 0, "damaged": False,
    }  # fmt: skip
    frames = [
        {"clip_id": CLIP, "frame": t, "pts": 100 * t, "t_s": t / 10, "keyframe": True,
         "damaged": False}
        for t in range(T)
    ]  # fmt: skip
    for name, table in {"clips": [clip], "frames": frames, **rows}.items():
        path = out / "data" / name / "a.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(
            tables.spec(name).from_rows(table) if isinstance(table, list) else table, path
        )


def entity_rows(masks: dict[tuple[int, int], np.ndarray]) -> dict[str, list[dict[str, Any]]]:
    entities = sorted({entity for entity, _ in masks})
    seen = {e: [t for entity, t in masks if entity == e] for e in entities}
    boxes = {key: dict(zip(("x0", "y0", "x1", "y1"), box_of(m))) for key, m in masks.items()}
    return {
        "phrases": [
            {"clip_id": CLIP, "phrase": 0, "text": "box", "origin": "prompt",
             "n_entities": len(entities)}
        ],
        "entities": [
            {"clip_id": CLIP, "entity": e, "phrase": 0, "first_frame": min(seen[e]),
             "last_frame": max(seen[e]), "score": 0.5}
            for e in entities
        ],
        "masks": [
            {"clip_id": CLIP, "entity": e, "frame": t, "height": HEIGHT, "width": WIDTH,
             "counts": rle.encode(mask), "area": int(mask.sum()), "score": 0.5,
             "state": "visible", **boxes[e, t]}
            for (e, t), mask in masks.items()
        ],
    }  # fmt: skip


def recorded(path: Path) -> dict[tuple[int, int], np.ndarray]:
    """Every mask that the reader gives, by entity and frame."""
    objects = RecordedObjects(str(path))
    objects.load()
    found = objects.of(frames_at(TIMES))
    assert found.rows.tolist() == list(range(T))
    masks = {}
    for entity, thing in enumerate(found.video.objects):
        for row, counts in thing.masks.items():
            mask = rle.decode(counts, height=HEIGHT, width=WIDTH)
            if mask.any():
                masks[entity, row] = mask
                assert thing.boxes[row] == box_of(mask)
    return masks


@some
@given(things)
def test_boxes_and_masks_that_we_wrote_come_back_equal(found):
    masks = {
        (entity, t): mask_of(patch)
        for entity, thing in enumerate(found)
        for t, patch in enumerate(thing)
        if patch
    }
    with folder() as out:
        write_dataset(out, **entity_rows(masks))
        coco.export(open_dataset(out), out)
        for source in (out, out / coco.FILE):
            again = recorded(source)
            assert again.keys() == masks.keys()
            assert all(np.array_equal(again[key], masks[key]) for key in masks)


@some
@given(
    arrays.arrays(np.float32, (T, 8, 12), elements=st.floats(0.25, 60, width=32)),
    st.sampled_from(["metric", "relative"]),
)
def test_depth_that_we_stored_comes_back_within_half_a_step(values, kind):
    clip = clip_of(frames_at(TIMES), ["box"]).with_depth(DepthMaps(values, kind))
    stored = StoreDepth().process(clip).table("depth_maps")
    with folder() as out:
        write_dataset(out, depth_maps=stored)
        model = RecordedDepth(str(out))
        model.setup(device="cpu")
        again = model.estimate_depth(frames_at(TIMES))
    assert again.kind == kind
    step = (values.max() - values.min()) / 65534
    assert np.abs(again.values - values).max() <= 0.5 * step + 1e-5 * values.max()


coordinates = st.floats(0, 60, width=32)


@some
@given(arrays.arrays(np.float32, (T, 3, 2), elements=coordinates), st.integers(0, 2 ** (3 * T) - 1))
def test_tracks_that_we_wrote_come_back_equal(xy, bits):
    seen = np.array([bits >> n & 1 for n in range(3 * T)], bool).reshape(T, 3)
    xy[..., 0] += 5
    xy[:, :, 1] = xy[:, :, 1] / 20 + 20 * np.arange(3)  # no two within reach of one query
    seen[0] = True
    rows = [
        {
            "clip_id": CLIP, "entity": 0, "point": n, "query_frame": 0, "x": xy[:, n, 0].tolist(),
            "y": xy[:, n, 1].tolist(), "visible": seen[:, n].tolist(),
            "visibility": seen[:, n].astype(float).tolist(), "confidence": [0.25] * T,
            "fb_error_px": [None] * T,
        }
        for n in range(3)
    ]  # fmt: skip
    queries = np.concatenate([np.zeros((3, 1)), xy[0]], axis=1)
    with folder() as out:
        write_dataset(out, tracks_xy=rows)
        np.savez(out / "t.npz", tracks=xy, visible=seen, pts=[0, 100, 200, 300], origin="corner")
        for source in (out, out / "t.npz"):
            model = RecordedTracks(str(source))
            model.setup(device="cpu")
            again = model.track(frames_at(TIMES), queries_txy=queries)
            assert np.array_equal(again.visible, seen)
            assert np.allclose(again.xy[seen], xy[seen], atol=1e-4)


@some
@given(
    arrays.arrays(np.float64, (T, 3), elements=st.floats(-3, 3)),
    st.lists(st.floats(-2, 2), min_size=T, max_size=T),
    st.floats(30, 300),
    st.floats(10, 80),
)
def test_cameras_that_we_wrote_come_back_equal(shifts, angles, focal, cx):
    poses = np.tile(np.eye(4), (T, 1, 1))
    for t in range(1, T):
        c, s = np.cos(angles[t]), np.sin(angles[t])
        poses[t, :3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
        poses[t, :3, 3] = shifts[t]
    rows = [
        {
            "clip_id": CLIP, "frame": t, "fx": focal, "fy": focal, "cx": cx, "cy": 32.0,
            "cam_from_world": poses[t].ravel().tolist(), "intrinsics_origin": "given",
            "pose_origin": "given",
        }
        for t in range(T)
    ]  # fmt: skip
    intrinsics = np.tile([focal, focal, cx, 32.0], (T, 1))
    with folder() as out:
        write_dataset(out, cameras=rows)
        values = {"intrinsics": intrinsics.tolist(), "cam_from_world": poses.tolist()}
        (out / "c.json").write_text(json.dumps({**values, "t_s": TIMES, "origin": "corner"}))
        for source in (out, out / "c.json"):
            model = RecordedCameras(str(source))
            model.setup(device="cpu")
            again = model.estimate_cameras(frames_at(TIMES))
            assert np.allclose(again.intrinsics, intrinsics, rtol=1e-12)
            assert np.allclose(again.cam_from_world, poses, atol=1e-9)


numbers = st.one_of(st.integers(-3, 200), st.floats(-3, 200), st.just(float("nan")))
annotations = st.fixed_dictionaries(
    {"image_id": st.integers(-1, T)},
    optional={
        "bbox": st.one_of(st.none(), st.lists(numbers, min_size=3, max_size=5)),
        "track_id": st.one_of(st.none(), st.integers(-1, 2), st.just("a")),
        "score": numbers,
        "category_id": st.integers(0, 2),
        "segmentation": st.one_of(
            st.none(), st.lists(st.lists(numbers, max_size=8), max_size=2), st.just("x")
        ),
        "iscrowd": st.integers(0, 2),
        "area": numbers,
    },
)


@settings(some, max_examples=40)
@given(st.lists(annotations, max_size=4), st.lists(st.integers(0, 5), min_size=T, max_size=T))
def test_boxes_of_anybody_are_used_as_they_stand_or_refused(rows, numbers):
    content = {
        "images": [
            {"id": t, "file_name": f"ball/{n}.jpg", "width": WIDTH, "height": HEIGHT}
            for t, n in enumerate(numbers)
        ],
        "categories": [{"id": 1, "name": "box"}],
        "annotations": [{"id": n, **row} for n, row in enumerate(rows)],
    }
    with folder() as out:
        (out / "b.json").write_text(json.dumps(content))
        objects = RecordedObjects(str(out / "b.json"), fps=10)
        try:
            objects.load()
            found = objects.of(frames_at(TIMES))
        except MassannotError as error:
            reason = str(error)
        else:
            reason = ""
    if reason:
        assert "b.json" in reason
        return
    place = {t: sorted(numbers).index(n) for t, n in enumerate(numbers)}
    for thing in found.video.objects:
        for row, (x0, y0, x1, y1) in thing.boxes.items():
            assert 0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= HEIGHT  # noqa: PT018  # one box
            given_here = [a for a in rows if place.get(a["image_id"]) == row]
            assert given_here, "a box in a picture of which the file says nothing"
