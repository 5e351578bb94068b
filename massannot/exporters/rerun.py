"""rerun: a recording (.rrd) a clip for Rerun's viewer: film, boxes, masks, points, camera, paths.

`massannot view OUT --rerun` opens them. Timelines: `frame` (0.. of the annotated frames), `pts` (of
the video) and `time` (seconds from the video's beginning), so that no rate is assumed. A box is
shown until the next is logged, so a frame without one has an empty list. `/world` is the clip's
first camera; where poses are not known nothing is in it but the camera, and a note says so. The
ellipsoid around a place is its 90 % interval. Components `massannot.TABLE:COLUMN` are the rows as
the dataset has them; the masks that are drawn show one thing a pixel, `massannot.masks:counts` has
each whole. The viewer changes nothing; what a program changes or logs comes back by `--boxes`,
`--masks` and `--tracks` (docs/answers.md). Wants the extra `rerun`. Equal datasets give equal
contents, not equal bytes: the writer puts the moment of writing into each file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from massannot import tables
from massannot.clip import Clip
from massannot.dataset.arrays import WORLD_UNKNOWN, good_entities, rows_of_entities
from massannot.dataset.frames_again import clips_again
from massannot.dataset.reading import ClipView, Dataset
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.geometry import rle
from massannot.geometry.camera import inverse
from massannot.models.recorded.rrd_files import MASKS, POINTS
from massannot.models.recorded.rrd_recording import CLIP, CLIP_PATH, ENDING, need_rerun, recordings
from massannot.tables.cameras import cam_from_world, poses_are_known

TABLES = ("masks", "tracks_xy", "cameras", "positions")
APPLICATION = "massannot"
CAMERA, PICTURE = "/world/camera", "/world/camera/picture"
_JPEG_QUALITY = 85
_PICTURES_A_CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class RerunOptions(Options):
    """The options of this format."""

    film: Annotated[bool, "Write the annotated frames' pictures too, as JPEG."] = True
    clips: Annotated[int, "At most so many clips; 0: all."] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clips < 0:
            raise UsageError(f"--clips: found {self.clips}, expected 0 or more")


OPTIONS = RerunOptions


def export(dataset: Dataset, folder: Path, *, options: RerunOptions = RerunOptions()) -> Exported:
    """Write <clip_id>.rrd. Clips whose video cannot be read again have no film. Raises
    NothingToRun without rerun-sdk."""
    need_rerun()
    folder.mkdir(parents=True, exist_ok=True)
    views = {v.clip_id: v for v in islice(dataset.clips(), options.clips or None)}
    files, notes = [], [*quality_notes(dataset, options)]
    unread = dict(views)
    for clip in clips_again(dataset.layout, set(views)) if options.film else ():
        files.append(_write(unread.pop(clip.clip_id), clip, folder, options))
    for view in unread.values():
        files.append(_write(view, None, folder, options))
        if options.film:
            notes.append(f"clip {view.clip_id}: its video cannot be read again; no film")
    notes += [
        f"clip {view.clip_id}: {WORLD_UNKNOWN}" for view in views.values() if not _has_world(view)
    ]
    n_clips = len(dataset.clip_ids)
    if len(views) < n_clips:
        notes.append(f"--clips {options.clips}: {n_clips - len(views)} of {n_clips} not written")
    return Exported(tuple(sorted(files)), (), tuple(notes))


def load(folder: Path) -> dict[str, pa.Table]:
    """TABLES, of recordings that `export` wrote. Raises UsageError for others."""
    columns = {
        name: {f"massannot.{name}:{column}": column for column in tables.spec(name).names}
        for name in TABLES
    }
    wanted = [each for of_table in columns.values() for each in of_table]
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    paths = sorted(folder.glob(f"*{ENDING}"))
    for found in recordings(paths, wanted):
        key = {"clip_id": found.clip.get("clip_id")}
        if key["clip_id"] is None:
            raise UsageError(f"{found.where}: not from `massannot export rerun`")
        for name, components in columns.items():
            for logged in found.logged.values():
                for at in logged.get(f"massannot.{name}:frame", {}):
                    cells = {c: logged[each][at].as_py() for each, c in components.items()
                             if at in logged.get(each, {})}  # fmt: skip
                    rows[name].append(key | {c: v[0] for c, v in cells.items() if v})
            for static in found.static.values():
                lists = {c: static[each].as_py() for each, c in components.items()
                         if each in static}  # fmt: skip
                values = zip(*lists.values(), strict=True)
                rows[name] += [key | dict(zip(lists, each)) for each in values]
    if not paths:
        raise UsageError(f"{folder}: holds no {ENDING}")
    return {name: tables.spec(name).from_rows(rows[name]) for name in TABLES}


def _write(view: ClipView, clip: Clip | None, folder: Path, options: RerunOptions) -> Path:
    rerun = need_rerun()
    path = folder / f"{view.clip_id}{ENDING}"
    chunks = _Chunks(rerun, view, good_entities(view, min_quality=options.min_quality))
    stream = rerun.chunk.LazyChunkStream.from_iter(chunks.all(clip))
    stream.write_rrd(path, application_id=APPLICATION, recording_id=view.clip_id)
    return path


def _has_world(view: ClipView) -> bool:
    cameras = view.table("cameras")
    return poses_are_known(cameras, camera_static=view.row["camera_static"])


class _Chunks:
    """What is logged of one clip."""

    def __init__(self, rerun: Any, view: ClipView, entities: set[int]):
        self._rr = rerun
        self._view = view
        self._entities = sorted(entities)
        frames = view.table("frames")
        self._t_s, self._pts = frames["t_s"].to_numpy(), frames["pts"].to_numpy()
        rows = rows_of_entities(view, "entities", entities).to_pylist()
        self._names = {row["entity"]: view.phrases[row["phrase"]] for row in rows}

    def all(self, clip: Clip | None) -> Iterator[Any]:
        rr = self._rr
        yield from self._own(CLIP_PATH, pa.Table.from_pylist([self._view.row]), CLIP, None)
        yield self._chunk("/world", None, rr.ViewCoordinates.columns(xyz=[_RDF]))
        name = self._view.row["source_id"] or Path(self._view.row["uri"]).name
        named = rr.archetypes.RecordingInfo.columns(name=[f"{name} {self._view.row['clip_index']}"])
        yield self._chunk("/__properties", None, named)
        classes = [rr.AnnotationInfo(0, color=(0, 0, 0, 0))]  # what is no thing is not tinted
        classes += [rr.AnnotationInfo(e + 1, label=name) for e, name in self._names.items()]
        yield self._chunk("/", None, rr.AnnotationContext.columns(context=classes))
        yield from self._camera()
        if clip is not None:
            yield from self._film(clip)
        masks = {e: self._rows("masks", e) for e in self._entities}
        for entity, rows in masks.items():
            yield from self._thing(entity, rows)
        yield from self._drawn_masks(masks)
        for entity in self._entities:
            yield from self._points(entity)
            yield from self._places(entity)

    def _rows(self, table: str, entity: int) -> pa.Table:
        rows = self._view.table(table)
        return rows.filter(pc.equal(rows["entity"], entity))

    def _indexes(self, frames: npt.NDArray[np.int64]) -> list[Any]:
        rr = self._rr
        return [
            rr.TimeColumn("frame", sequence=frames),
            rr.TimeColumn("pts", sequence=self._pts[frames]),
            rr.TimeColumn("time", duration=self._t_s[frames]),
        ]

    def _chunk(self, path: str, frames: Any, columns: Any) -> Any:
        """`frames` None: at all times."""
        indexes = [] if frames is None else self._indexes(np.asarray(frames, np.int64))
        return self._rr.chunk.Chunk.from_columns(path, indexes, columns)

    def _own(self, path: str, rows: pa.Table, prefix: str, frames: Any) -> Iterator[Any]:
        """Rows as components of ours; at all times (`frames` None) as one list of all rows."""
        arrays, fields = [], []
        if frames is not None:
            at = np.asarray(frames, np.int64)
            time = np.round(self._t_s[at] * 1e9).astype("timedelta64[ns]")
            arrays = [pa.array(at), pa.array(self._pts[at]), pa.array(time)]
            fields = [pa.field(n, a.type) for n, a in zip(("frame", "pts", "time"), arrays)]
        for name in rows.column_names if rows.num_rows else ():
            values = rows[name].combine_chunks()
            if pa.types.is_null(values.type):
                continue
            if frames is None:
                arrays.append(
                    pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
                )
            else:
                arrays.append(_each_a_list(values))
            told = {"rerun:component": f"{prefix}{name}", "rerun:kind": "data",
                    "rerun:archetype": prefix.rstrip(":")}  # fmt: skip
            fields.append(pa.field(f"{prefix}{name}", arrays[-1].type, metadata=told))
        if rows.num_rows:
            batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
            index = None if frames is None else ["frame", "pts", "time"]
            yield from self._rr.chunk.Chunk.from_record_batch(batch, index=index, entity_path=path)

    def _camera(self) -> Iterator[Any]:
        rr, cameras = self._rr, self._view.table("cameras")
        size = [self._view.row["source_width"], self._view.row["source_height"]]
        if not cameras.num_rows:
            return
        at = cameras["frame"].to_numpy()
        fx, fy, cx, cy = (cameras[name].to_numpy() for name in ("fx", "fy", "cx", "cy"))
        zero, one = np.zeros_like(fx), np.ones_like(fx)
        matrices = np.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], axis=1)
        pinhole = rr.Pinhole.columns(
            image_from_camera=matrices, resolution=[size] * len(at), camera_xyz=[_RDF] * len(at)
        )
        yield self._chunk(PICTURE, at, pinhole)
        if _has_world(self._view):
            poses = inverse(cam_from_world(cameras))
            moved = rr.Transform3D.columns(translation=poses[:, :3, 3], mat3x3=poses[:, :3, :3])
            yield self._chunk(CAMERA, at, moved)
        yield from self._own(CAMERA, cameras.drop(["clip_id"]), "massannot.cameras:", at)

    def _film(self, clip: Clip) -> Iterator[Any]:
        size = clip.frames.source_width, clip.frames.source_height
        for first in range(0, len(self._view), _PICTURES_A_CHUNK):
            at = range(first, min(first + _PICTURES_A_CHUNK, len(self._view)))
            blobs = [_jpeg(clip.frames.pixels_THWC[frame], size) for frame in at]
            images = self._rr.EncodedImage.columns(blob=blobs, media_type=["image/jpeg"] * len(at))
            yield self._chunk(f"{PICTURE}/film", at, images)

    def _thing(self, entity: int, rows: pa.Table) -> Iterator[Any]:
        path, n = f"{PICTURE}/things/{entity}", len(self._view)
        shown = [None] * n
        for row in rows.select(["frame", "area", "x0", "y0", "x1", "y1"]).to_pylist():
            if row["area"]:
                shown[row["frame"]] = [row[name] for name in ("x0", "y0", "x1", "y1")]
        boxes = np.array([box for box in shown if box], np.float64).reshape(-1, 4)
        columns = self._rr.Boxes2D.columns(
            centers=(boxes[:, :2] + boxes[:, 2:]) / 2,
            half_sizes=(boxes[:, 2:] - boxes[:, :2]) / 2,
            labels=[self._names[entity]] * len(boxes),
            class_ids=[entity + 1] * len(boxes),
        )
        lengths = [int(box is not None) for box in shown]
        yield self._chunk(path, range(n), columns.partition(lengths))
        # of a frame without a row nothing is known, which is said by an empty state
        yield from self._own(path, _in_all_frames(rows, n), MASKS, range(n))

    def _drawn_masks(self, masks: Mapping[int, pa.Table]) -> Iterator[Any]:
        """One picture of classes a frame, the later entity on top."""
        rr, n = self._rr, len(self._view)
        width, height = self._view.row["source_width"], self._view.row["source_height"]
        counts: list[list[tuple[int, str]]] = [[] for _ in range(n)]
        for entity, rows in masks.items():
            for row in rows.select(["frame", "area", "counts"]).to_pylist():
                if row["area"]:
                    counts[row["frame"]].append((entity + 1, row["counts"]))
        wide = max(self._entities, default=0) + 1 > np.iinfo(np.uint8).max
        kind = rr.ChannelDatatype.U16 if wide else rr.ChannelDatatype.U8
        form = rr.components.ImageFormat(width=width, height=height, channel_datatype=kind)
        for first in range(0, n, _PICTURES_A_CHUNK) if masks else ():
            at = range(first, min(first + _PICTURES_A_CHUNK, n))
            pictures = np.zeros((len(at), height, width), np.uint16 if wide else np.uint8)
            for picture, frame in zip(pictures, at):
                for number, each in counts[frame]:
                    picture[rle.decode(each, height=height, width=width)] = number
            columns = rr.SegmentationImage.columns(
                buffer=[picture.tobytes() for picture in pictures], format=[form] * len(at)
            )
            yield self._chunk(f"{PICTURE}/masks", at, columns)

    def _points(self, entity: int) -> Iterator[Any]:
        rows, n, path = (
            self._rows("tracks_xy", entity),
            len(self._view),
            f"{PICTURE}/points/{entity}",
        )
        if not rows.num_rows:
            return
        x, y, visible, sure = (
            np.array(rows[name].to_pylist()).T for name in ("x", "y", "visible", "confidence")
        )
        n_points = rows.num_rows
        columns = self._rr.Points2D.columns(
            positions=np.stack([x, y], axis=-1).reshape(-1, 2),
            radii=np.where(visible, -2.5, -0.5).ravel(),  # negative: of the window, not the picture
            class_ids=[entity + 1] * (n * n_points),
        )
        yield self._chunk(path, range(n), columns.partition([n_points] * n))
        seen = {"visible": visible.ravel(), "confidence": sure.ravel()}
        own = self._rr.DynamicArchetype.columns(archetype=POINTS.rstrip(":"), components=seen)
        yield self._chunk(path, range(n), own.partition([n_points] * n))
        yield from self._own(path, rows.drop(["clip_id"]), "massannot.tracks_xy:", None)

    def _places(self, entity: int) -> Iterator[Any]:
        rr, rows, n = self._rr, self._rows("positions", entity), len(self._view)
        if not rows.num_rows:
            return
        path = f"{CAMERA}/places/{entity}"
        known = rows.filter(rows["x_cam"].is_valid())
        lengths = np.zeros(n, np.int64)
        lengths[known["frame"].to_numpy()] = 1
        places = _three(known, "{}_cam")
        halves = np.nan_to_num(_three(known, "{}_half_90"))
        points = rr.Points3D.columns(positions=places, class_ids=[entity + 1] * len(places))
        yield self._chunk(path, range(n), points.partition(lengths))
        around = rr.Ellipsoids3D.columns(
            centers=places, half_sizes=halves, class_ids=[entity + 1] * len(places)
        )
        yield self._chunk(f"{path}/interval", range(n), around.partition(lengths))
        at = rows["frame"].to_numpy()
        yield from self._own(path, rows.drop(["clip_id"]), "massannot.positions:", at)
        in_world = known.filter(known["x_world"].is_valid())
        if in_world.num_rows > 1:
            line = rr.LineStrips3D.columns(strips=[_three(in_world, "{}_world")],
                                           class_ids=[entity + 1])  # fmt: skip
            yield self._chunk(f"/world/paths/{entity}", None, line)


_RDF = [3, 2, 5]
"""Rerun's ViewCoordinates: x right, y down, z forward."""


def _three(rows: pa.Table, name: str) -> npt.NDArray[np.float32]:
    """(R, 3) of the columns of x, y and z."""
    columns = [rows[name.format(axis)].to_numpy() for axis in "xyz"]
    return np.stack(columns, axis=1).astype(np.float32)


def _in_all_frames(rows: pa.Table, n_frames: int) -> pa.Table:
    """A row a frame, null where there is none."""
    row_of = np.full(n_frames, -1)
    row_of[rows["frame"].to_numpy()] = np.arange(rows.num_rows)
    return rows.drop(["clip_id"]).take(pa.array(row_of, mask=row_of < 0))


def _each_a_list(values: pa.Array) -> pa.ListArray:
    """A list of one value for each, of none for null."""
    valid = np.asarray(values.is_valid())
    offsets = np.concatenate([[0], np.cumsum(valid)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.drop_null())


def _jpeg(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    """At the source's size, in whose pixels everything is drawn."""
    image = Image.fromarray(picture)
    image = image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
