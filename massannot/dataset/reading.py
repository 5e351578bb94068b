"""open_dataset: an output folder, or a published one, as Arrow tables and numpy arrays.

Read as it lies: nothing is loaded before it is asked for. In a folder whose run is not over, only
shards whose `clips` are there count, since `clips` is what is published last. Where two shards have
annotated copies of one video, the rows of the lowest uri count.

ClipView: one finished clip as numpy arrays, frames first: (T, N, 3), unknown is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from massannot import tables
from massannot.counts import counted
from massannot.dataset.copies import Copies
from massannot.dataset.layout import Layout
from massannot.errors import BadTable, UsageError
from massannot.geometry import rle
from massannot.storage.parquet import read_columns, read_parquet, readable
from massannot.storage.path import BucketPath
from massannot.tables._spec import TableSpec

if TYPE_CHECKING:
    from massannot.dataset.point_clouds import PointCloud
    from massannot.dataset.video_view import VideoView

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Tracks:
    """N tracked points over T frames, by entity and point."""

    entity: I32
    """(N,) the entity; -1: a point of the background."""
    point: I32
    """(N,) 0.. within the entity."""
    query_frame: I32
    """(N,) the frame in which the point was chosen."""
    xy: F32
    """(T, N, 2) source pixels, origin at the picture's top-left corner."""
    visible: Bool
    """(T, N) the tracker's decision."""
    xyz: F32
    """(T, N, 3) camera frame of each frame (x right, y down, z forward); NaN: absent."""
    state: Strings
    """(T, N) measured, interpolated or absent; absent everywhere for a point never lifted."""
    scale_type: str | None
    """Unit of xyz: metric (metres) or relative (one unknown factor); None: nothing was lifted."""


@dataclass(frozen=True, eq=False)
class Positions:
    """Centres of E entities over T frames; NaN: absent."""

    entity: I32
    """(E,)."""
    xyz_cam: F32
    """(T, E, 3) in the camera of each frame."""
    xyz_world: F32
    """(T, E, 3) in the clip's first camera."""
    state: Strings
    """(T, E) measured, interpolated or absent."""
    scale_type: str | None


class ClipView:
    """A clip of a dataset. Each table is read when it is first asked for."""

    def __init__(self, clip_id: str, rows_of: Callable[[str, str], pa.Table]):
        self.clip_id = clip_id
        self._rows_of = rows_of
        self._read: dict[str, pa.Table] = {}

    def __repr__(self) -> str:
        return f"ClipView({self.clip_id!r})"

    def __len__(self) -> int:
        return int(self.row["n_frames"])

    def table(self, name: str) -> pa.Table:
        """This clip's rows of a table, in key order; no rows where the table is not there."""
        if name not in self._read:
            self._read[name] = self._rows_of(name, self.clip_id)
        return self._read[name]

    @cached_property
    def row(self) -> dict[str, Any]:
        """This clip's row of `clips`."""
        row: dict[str, Any] = self.table("clips").to_pylist()[0]
        return row

    @cached_property
    def shared_pts(self) -> int | None:
        """Of the last frame, where a later clip begins with it: see dataset/touching.py."""
        last = self.table("frames").slice(len(self) - 1).to_pylist()[0]
        return last["pts"] if last["shared"] else None

    @property
    def phrases(self) -> tuple[str, ...]:
        """What was asked for, by phrase number."""
        return tuple(self.table("phrases")["text"].to_pylist())

    def tracks(self) -> Tracks:
        """All point tracks of the clip."""
        in_picture, in_space = self.table("tracks_xy"), self.table("tracks_xyz")
        entity, point = _column(in_picture, "entity"), _column(in_picture, "point")
        n_frames, n_points = len(self), len(entity)
        xyz = np.full((n_frames, n_points, 3), np.nan, np.float32)
        state = np.full((n_frames, n_points), "absent", dtype="<U12")
        place = {key: n for n, key in enumerate(zip(entity.tolist(), point.tolist(), strict=True))}
        lifted = zip(in_space["entity"].to_pylist(), in_space["point"].to_pylist(), strict=True)
        rows = [place[key] for key in lifted]
        if rows:
            xyz[:, rows] = np.stack([_lists(in_space, a, n_frames) for a in "xyz"], axis=-1)
            state[:, rows] = _lists(in_space, "state", n_frames)
        return Tracks(
            entity=entity,
            point=point,
            query_frame=_column(in_picture, "query_frame"),
            xy=np.stack([_lists(in_picture, a, n_frames) for a in "xy"], axis=-1),
            visible=_lists(in_picture, "visible", n_frames),
            xyz=xyz,
            state=state,
            scale_type=in_space["scale_type"][0].as_py() if rows else None,
        )

    def masks(self, entity: int) -> Bool:
        """(T, H, W) in source pixels; empty where there is no row. Large: see `mask`."""
        height, width = self.row["source_height"], self.row["source_width"]
        masks = np.zeros((len(self), height, width), np.bool_)
        for frame, counts in self._counts_of(entity).items():
            masks[frame] = rle.decode(counts, height=height, width=width)
        return masks

    def mask(self, entity: int, *, frame: int) -> Bool:
        """(H, W) of one entity in one frame; empty where there is no row."""
        height, width = self.row["source_height"], self.row["source_width"]
        counts = self._counts_of(entity).get(frame)
        if counts is None:
            return np.zeros((height, width), np.bool_)
        return rle.decode(counts, height=height, width=width)

    def positions(self) -> Positions:
        """Where each entity is, frame by frame."""
        found = self.table("positions")
        entities, column = np.unique(_column(found, "entity"), return_inverse=True)
        frame = _column(found, "frame")
        shape = (len(self), len(entities))
        xyz_cam, xyz_world = (np.full((*shape, 3), np.nan, np.float32) for _ in range(2))
        state = np.full(shape, "lost", dtype="<U12")
        for axis, name in enumerate("xyz"):
            xyz_cam[frame, column, axis] = _column(found, f"{name}_cam")
            xyz_world[frame, column, axis] = _column(found, f"{name}_world")
        state[frame, column] = _column(found, "state")
        scale_type = found["scale_type"][0].as_py() if found.num_rows else None
        return Positions(entities.astype(np.int32), xyz_cam, xyz_world, state, scale_type)

    def point_cloud(self, frame: int) -> PointCloud:
        """The points in space of one frame's stored depth, (1, N, 3), in the world where the poses
        are known. Raises UsageError where no depth in space was stored (`--depth-maps`)."""
        from massannot.dataset.point_clouds import point_cloud

        return point_cloud(self, (range(len(self))[frame],))

    def _counts_of(self, entity: int) -> dict[int, str]:
        """Frame to run lengths of one entity."""
        masks = self.table("masks")
        mine = masks.filter(_column(masks, "entity") == entity)
        return dict(zip(mine["frame"].to_pylist(), mine["counts"].to_pylist(), strict=True))


def _column(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """One value a row; null floats become NaN."""
    return _numpy(table[name].combine_chunks())


def _lists(table: pa.Table, name: str, n_frames: int) -> npt.NDArray[Any]:
    """(T, N) of a per-frame list column; null floats become NaN."""
    lists = table[name].combine_chunks()
    return _numpy(lists.flatten()).reshape(len(lists), n_frames).T


def _numpy(array: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_string(array.type):
        return np.array(array.to_pylist(), dtype="<U12")
    return np.asarray(array.to_numpy(zero_copy_only=False))


def open_dataset(out: str | Path) -> Dataset:
    """The dataset in folder `out`. Raises UsageError when there is none (yet)."""
    dataset = Dataset(Layout(Path(out)))
    if not dataset.names:
        unfinished = dataset.layout.run.is_dir()
        why = "its run has finished no shard yet" if unfinished else "no data/clips/*.parquet"
        raise UsageError(f"{out} holds no dataset: {why}; `massannot annotate -o {out}` writes one")
    return dataset


def table_names(layout: Layout) -> tuple[str, ...]:
    """Our tables, and those of the user's own that lie in the dataset, in alphabetical order."""
    others = [name for name in _folders(layout.data) - {*tables.names()} if _is_table(layout, name)]
    return tuple(sorted([*tables.names(), *others]))


def spec_in(layout: Layout, name: str) -> TableSpec:
    """The declaration of a table; of an undeclared one, as the dataset's files give it. Raises
    BadTable where they do not."""
    return tables.spec(name, schema=_schema(layout, name))


def _folders(data: Path) -> set[str]:
    if isinstance(data, BucketPath):
        start = len(str(data)) + 1
        return {entry.uri[start:].partition("/")[0] for entry in data.store.list(str(data))}
    return {path.name for path in data.iterdir()} if data.is_dir() else set()


def _is_table(layout: Layout, name: str) -> bool:
    try:
        spec_in(layout, name)
    except BadTable:
        return False
    return True


def _schema(layout: Layout, name: str) -> pa.Schema | None:
    """Of the first file that can be read, of a table that is none of ours."""
    if name in tables.names():
        return None
    for path in sorted((layout.data / name).glob("*.parquet")):
        try:
            with readable(path):
                return pq.read_schema(path)
        except BadTable:  # damaged: `validate` names it
            continue
    return None


class Dataset:
    """Tables by name, clips by id."""

    def __init__(self, layout: Layout):
        self.layout = layout

    def __repr__(self) -> str:
        return (
            f"Dataset({str(self.layout.out)!r}, {counted(len(self.clip_ids), 'clip')}, "
            f"{self.names})"
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tables that are there, in alphabetical order; empty: no clips, so no dataset."""
        there = tuple(name for name in table_names(self.layout) if self.files(name))
        return there if "clips" in there else ()

    @cached_property
    def shards(self) -> tuple[str, ...]:
        """Names of the finished shards: the files of `clips`, without their ending."""
        return tuple(sorted(path.stem for path in (self.layout.data / "clips").glob("*.parquet")))

    def spec(self, name: str) -> TableSpec:
        """The declaration of one table; of a table of the user's own, as its files give it."""
        return spec_in(self.layout, name)

    def table(self, name: str) -> pa.Table:
        """All rows of one table, in key order. Raises UsageError naming the tables there are."""
        parts = [
            self._resolved(read_parquet(path, name=name), name, path)
            for path in self._files_of(name)
        ]
        return self.spec(name).sorted(pa.concat_tables(parts))

    def table_or_empty(self, name: str) -> pa.Table:
        """All rows of one table, in key order; none where the dataset has no such table."""
        return self.table(name) if name in self.names else tables.spec(name).empty()

    def columns(self, name: str, wanted: Sequence[str]) -> pa.Table:
        """Some columns of all rows of one table, file by file; none where there is no such table. A
        clip that two shards hold is there twice."""
        schema = pa.schema([tables.spec(name).schema().field(column) for column in wanted])
        parts = [schema.empty_table()]
        for path in self.files(name):
            try:
                part = read_columns(path, wanted)
            except BadTable:  # of before the column, or damaged, which reading it whole tells
                part = read_parquet(path, name=name).select(list(wanted))
            parts.append(part.replace_schema_metadata(None).cast(schema))
        return pa.concat_tables(parts)

    def shard(self, shard: str) -> dict[str, pa.Table]:
        """Every table of one shard, as it lies, by name; a table without a file is left out."""
        paths = {name: self.layout.published(name, shard) for name in self.names}
        return {n: read_parquet(path, name=n) for n, path in paths.items() if path.exists()}

    @cached_property
    def clip_ids(self) -> tuple[str, ...]:
        """Every clip, by video and time."""
        clips = self.table("clips").sort_by([("uri", "ascending"), ("clip_index", "ascending")])
        return tuple(dict.fromkeys(clips["clip_id"].to_pylist()))

    def clips(self) -> Iterator[ClipView]:
        """Every clip, by video and time."""
        return map(self.clip, self.clip_ids)

    def clip(self, clip_id: str) -> ClipView:
        """One clip. Raises UsageError for an id that is not there."""
        if clip_id not in self._file_stem_of_clip:
            raise UsageError(
                f"{self.layout.out} has no clip {clip_id!r} among its "
                f"{counted(len(self.clip_ids), 'clip')}"
            )
        return ClipView(clip_id, self._rows_of_clip)

    def few(self, clip_ids: Sequence[str]) -> Callable[[str], ClipView]:
        """Some clips; of a published folder, whose files are large, each table is read once for
        all of them."""
        if self.layout.run.is_dir():
            return self.clip

        @cache
        def rows(name: str) -> pa.Table:
            parts = [read_parquet(path, name=name, clip_id=clip_ids) for path in self.files(name)]
            return pa.concat_tables([self.spec(name).empty(), *parts])

        def of_clip(name: str, clip_id: str) -> pa.Table:
            mine = rows(name) if name in self.names else tables.spec(name).empty()
            return mine.filter(pc.equal(mine["clip_id"], clip_id)).combine_chunks()

        return lambda clip_id: ClipView(clip_id, of_clip)

    @property
    def reviewed_in(self) -> Layout:
        """The folder in which people's decisions about its questions lie."""
        return self.layout

    def shard_of(self, clip_id: str) -> str:
        """The shard that holds a clip of a run. Raises KeyError for an id that is not there."""
        return self._file_stem_of_clip[clip_id]

    def video(self, video_id: str) -> VideoView:
        """All clips of one video as one story. Raises UsageError for a video without clips."""
        from massannot.dataset.video_view import VideoView

        return VideoView.of(self, video_id)

    def of_video(self, name: str, clip: ClipView) -> pa.Table:
        """Rows of a table that has a column video_id, of all clips of the clip's video; of a run,
        those in the clip's shard."""
        return self._rows_beside(name, clip.clip_id, video_id=clip.row["video_id"])

    def _rows_of_clip(self, name: str, clip_id: str) -> pa.Table:
        """Rows of one clip; empty where the table or the clip's rows are not there."""
        return self._rows_beside(name, clip_id, clip_id=clip_id)

    def _rows_beside(self, name: str, near: str, **values: str) -> pa.Table:
        """Rows with certain `values`, of the clip `near`'s shard or of a published folder."""
        if name not in self.names:
            return tables.spec(name).empty()
        files = self.files(name)
        if self.layout.run.is_dir():
            files = [p for p in files if p.stem == self._file_stem_of_clip[near]]
        parts = [read_parquet(path, name=name, **values) for path in files]
        return pa.concat_tables([self.spec(name).empty(), *parts]).combine_chunks()

    @cached_property
    def _file_stem_of_clip(self) -> dict[str, str]:
        lost = self._copies.lost if self.layout.run.is_dir() else {}
        return {
            clip_id: path.stem
            for path in self.files("clips")
            for clip_id in read_columns(path, ["clip_id"])["clip_id"].to_pylist()
            if clip_id not in lost.get(path.stem, ())
        }

    @cached_property
    def _copies(self) -> Copies:
        return Copies(self.layout, self.shards)

    def _resolved(self, rows: pa.Table, name: str, path: Path) -> pa.Table:
        """Rows of one file without those that stand in another one."""
        if not self.layout.run.is_dir():  # a published folder has none
            return rows
        return self._copies.resolved(rows, spec=self.spec(name), shard=path.stem)

    def _files_of(self, name: str) -> list[Path]:
        files = self.files(name)
        if not files:
            raise UsageError(
                f"{self.layout.out} has no table {name!r}; tables: {', '.join(self.names)}"
            )
        return files

    def files(self, name: str) -> list[Path]:
        """The finished files of one table, in order; empty: none."""
        files = sorted((self.layout.data / name).glob("*.parquet"))
        if self.layout.run.is_dir():  # a published folder has other file names for each table
            finished = set(self.shards)
            files = [path for path in files if path.stem in finished]
        return files
