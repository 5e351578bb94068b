"""VideoView: all clips of one video as one story.

Things are named by their identity, a frame that two clips share is taken once, from the later, and
positions are in one world as far as clips touch. A clip's own world is its first camera, and its
unit that of its own depth; both are carried over to the clip before by the frame they share: its
pose there, and the factors that were applied to the one depth that both had of it. Across a cut of
the film, and from a clip whose camera moved nobody knows how, no world leads on: null.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from massannot.counts import counted
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.touching import earlier_of, in_time, own_lengths
from massannot.errors import UsageError
from massannot.geometry.camera import inverse
from massannot.tables.cameras import poses_are_known

F64 = npt.NDArray[np.float64]
Reference = Literal["camera", "world"]

COLUMNS = pa.schema(
    [
        ("identity", pa.int32()),
        ("shot", pa.int32()),
        ("clip_id", pa.string()),
        ("entity", pa.int32()),
        ("frame", pa.int32()),
        ("pts", pa.int64()),
        ("t_s", pa.float64()),
        ("scale_type", pa.string()),
        ("state", pa.string()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("z", pa.float64()),
    ]
)
"""Of `VideoView.tracks`."""


class VideoView:
    """One video of a dataset, or some of its clips. Tables are read when first asked for."""

    def __init__(self, dataset: Dataset, views: Sequence[ClipView]):
        self._dataset = dataset
        self._views = tuple(in_time(views))
        self.video_id: str = self._views[0].row["video_id"]

    @classmethod
    def of(cls, dataset: Dataset, video_id: str) -> VideoView:
        """All clips of a video. Raises UsageError for one without clips."""
        clips = dataset.table("clips")
        mine = clips.filter(pc.equal(clips["video_id"], video_id))["clip_id"].to_pylist()
        if not mine:
            raise UsageError(
                f"{dataset.layout.out} has no clip of video {video_id!r}; the table clips names "
                "the videos that have some"
            )
        return cls(dataset, [dataset.clip(clip_id) for clip_id in dict.fromkeys(mine)])

    def __repr__(self) -> str:
        return f"VideoView({self.video_id!r}, {counted(len(self._views), 'clip')})"

    def clips(self) -> tuple[ClipView, ...]:
        """Its clips, in order of time."""
        return self._views

    def entities(self) -> pa.Table:
        """The video's rows of `identities`, each with the `text` of its phrase. In a dataset
        without that table every entity is an identity of its own."""
        return identified(self._dataset, self._views)

    def tracks(self, identity: int | None = None, *, reference: Reference = "camera") -> pa.Table:
        """Positions of all things, or of one, over the whole video: a row per identity and frame.

        `x`, `y`, `z` are the centre of the visible surface. camera: in the camera of the row's own
        frame, in the unit of its clip. world: in the first camera of the first of the clips that
        touch, and in its unit; null where that is not known. Raises UsageError for an identity
        that is not there.
        """
        rows = self.entities().select(["clip_id", "entity", "identity"]).to_pylist()
        number = {(row["clip_id"], row["entity"]): row["identity"] for row in rows}
        if identity is not None and identity not in number.values():
            raise UsageError(
                f"video {self.video_id}: found no identity {identity} among "
                f"{len(set(number.values()))}, which `entities()` lists"
            )
        parts = [
            _positions(view, number, length, self.worlds[view.clip_id], reference)
            for view, length in zip(self._views, own_lengths(self._views), strict=True)
        ]
        table = pa.concat_tables([COLUMNS.empty_table(), *parts])
        if identity is not None:
            table = table.filter(pc.equal(table["identity"], identity))
        order = [("identity", "ascending"), ("pts", "ascending"), ("clip_id", "ascending")]
        return table.sort_by(order).combine_chunks()

    @cached_property
    def worlds(self) -> dict[str, F64 | None]:
        """A clip to the map (4, 4) from its world into that of the first clip that it touches, over
        all between; None: not known."""
        return shared_worlds(self._views)


def identified(dataset: Dataset, views: Sequence[ClipView]) -> pa.Table:
    """The rows of `identities` of some clips of one video, each with the `text` of its phrase."""
    wanted = pa.array([view.clip_id for view in views], pa.string())
    table = dataset.table_or_empty("identities")
    table = table.filter(pc.is_in(table["clip_id"], value_set=wanted))
    known = {(r["clip_id"], r["entity"]): r for r in table.to_pylist()}
    rows: list[dict[str, Any]] = []
    for view in views:
        texts = {row["phrase"]: row["text"] for row in view.table("phrases").to_pylist()}
        for entity in view.table("entities").to_pylist():
            alone = {
                "video_id": view.row["video_id"],
                "clip_id": view.clip_id,
                "entity": entity["entity"],
                "identity": len(rows),
                "how": "first",
            }
            row = known.get((view.clip_id, entity["entity"]), alone)
            rows.append({**row, "text": texts[entity["phrase"]]})
    schema = table.schema.remove_metadata().append(pa.field("text", pa.string()))
    return pa.Table.from_pylist(rows, schema=schema)


def numbered_names(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """(clip_id, entity) to the phrase that its identity answers in most clips, in the earlier ones
    if equal, numbered where several do: rows of `identified`, of one video, in order of time."""
    texts: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        texts[row["identity"]][row["text"]] += 1
    text_of = {identity: counts.most_common(1)[0][0] for identity, counts in texts.items()}
    of_text: dict[str, list[int]] = defaultdict(list)
    for identity in sorted(text_of):
        of_text[text_of[identity]].append(identity)
    names = {}
    for row in rows:
        identity, text = row["identity"], text_of[row["identity"]]
        number = "" if len(of_text[text]) == 1 else f" {of_text[text].index(identity) + 1}"
        names[row["clip_id"], row["entity"]] = f"{text}{number}"
    return names


def shared_worlds(views: Sequence[ClipView]) -> dict[str, F64 | None]:
    """A clip to the map (4, 4), a rotation, shift and factor, from its world into that of the first
    of the clips of one video that touch; None where a pose or a depth on the way is not known."""
    worlds: dict[str, F64 | None] = {}
    earlier = earlier_of(views)
    for view in in_time(views):
        before = earlier.get(view.clip_id)
        if before is None:
            worlds[view.clip_id] = np.eye(4)
            continue
        root, step = worlds[before.clip_id], _earlier_from_later(before, view)
        worlds[view.clip_id] = None if root is None or step is None else root @ step
    return worlds


def _earlier_from_later(before: ClipView, view: ClipView) -> F64 | None:
    """The map (4, 4) from a clip's world into that of the clip whose last frame it begins with."""
    if not (_poses_known(before) and _poses_known(view)):
        return None
    factor = _unit_ratio(before, view)
    if factor is None:
        return None
    in_shared_camera = np.diag([factor, factor, factor, 1.0]) @ _pose(view, 0)
    found: F64 = inverse(_pose(before, len(before) - 1)) @ in_shared_camera
    return found


def _poses_known(view: ClipView) -> bool:
    cameras = view.table("cameras")
    known = poses_are_known(cameras, camera_static=view.row["camera_static"])
    return bool(cameras.num_rows) and known


def _pose(view: ClipView, frame: int) -> F64:
    pose = view.table("cameras")["cam_from_world"][frame].as_py()
    return np.array(pose, np.float64).reshape(4, 4)


def _unit_ratio(before: ClipView, view: ClipView) -> float | None:
    """How many units of `before` one of `view` is, from what was done to the shared frame's depth:
    d = scale * raw + shift in each. With shifts the ratio is that at the middle distance of the
    things seen there; None: nothing is, or the two have not one kind of depth."""
    if before.row["scale_type"] != view.row["scale_type"] or view.row["scale_type"] is None:
        return None
    scale_before, shift_before = _depth_factors(before, len(before) - 1)
    scale, shift = _depth_factors(view, 0)
    if shift_before == shift == 0:
        return scale_before / scale
    positions = view.table("positions")
    here = pc.and_(pc.equal(positions["frame"], 0), pc.equal(positions["state"], "measured"))
    distances = positions.filter(here)["z_cam"].drop_null().to_pylist()
    if not distances:
        return None
    z = float(np.median(distances))
    return (scale_before * (z - shift) / scale + shift_before) / z


def _depth_factors(view: ClipView, frame: int) -> tuple[float, float]:
    """(scale, shift) that were applied to a frame's depth; (1, 0): none."""
    row = view.table("cameras").slice(frame, 1).to_pylist()[0]
    scale, shift = row["depth_scale"], row["depth_shift"]
    return 1.0 if scale is None else scale, 0.0 if shift is None else shift


def _positions(
    view: ClipView,
    number: dict[tuple[str, int], int],
    length: int,
    world: F64 | None,
    reference: Reference,
) -> pa.Table:
    """COLUMNS of one clip's first `length` frames."""
    positions = view.table("positions")
    positions = positions.filter(pc.less(positions["frame"], length))
    n_rows = positions.num_rows
    suffix = "cam" if reference == "camera" else "world"
    xyz = np.stack(
        [positions[f"{axis}_{suffix}"].to_numpy(zero_copy_only=False) for axis in "xyz"], axis=-1
    ).astype(np.float64)
    if reference == "world":
        xyz = np.full_like(xyz, np.nan) if world is None else xyz @ world[:3, :3].T + world[:3, 3]
    frames = view.table("frames").take(positions["frame"])
    columns = {
        "identity": [number[view.clip_id, e] for e in positions["entity"].to_pylist()],
        "shot": pa.array([view.row["shot"]] * n_rows, pa.int32()),
        "clip_id": [view.clip_id] * n_rows,
        **{name: positions[name] for name in ("entity", "frame", "scale_type", "state")},
        **{name: frames[name] for name in ("pts", "t_s")},
        **{axis: pa.array(xyz[:, n], from_pandas=True) for n, axis in enumerate("xyz")},
    }
    return pa.table({field.name: columns[field.name] for field in COLUMNS}, schema=COLUMNS)
