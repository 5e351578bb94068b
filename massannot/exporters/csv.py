"""csv: where each entity is, frame by frame, for spreadsheets and plotting; one file a clip.

`t_s` is seconds of the video; `x y z` are in the camera of their frame (right, down, forward), in
metres where `scale_type` is metric; `visible`: part of its mask is seen. `speed` is the distance
between the neighbouring frames' centres over their time, in the world where it is known: noise
makes it too large, never too small; `motions` has path lengths without that. An empty cell is
unknown. A frame that two clips share is in the later one's file alone. The columns after `speed`
are the rest of the table `positions`, `cov` as six columns.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from massannot import tables
from massannot.dataset.arrays import good_entities, rows_of_entities, short_rows
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.touching import clips_once
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.questions.profile import entity_names
from massannot.tables._spec import FLOAT32

TABLES = ("positions",)
OPTIONS = Options

_CAMERA = {"x": "x_cam", "y": "y_cam", "z": "z_cam"}
_FIRST = ("clip_id", "entity", "name", "frame", "t_s", *_CAMERA, "visible", "quality", "speed")
_REST = tuple(
    name
    for name in tables.spec("positions").names
    if name not in {*_FIRST, *_CAMERA.values(), "cov"}
)
_COV = tuple(f"cov_{term}" for term in ("xx", "xy", "xz", "yy", "yz", "zz"))


def export(dataset: Dataset, folder: Path, *, options: Options = Options()) -> Exported:
    """Write a file a clip into `folder`. A clip without positions gives a file without rows."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for view in clips_once(dataset):
        path = folder / f"{Path(view.row['uri']).stem}-{view.clip_id}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*_FIRST, *_REST, *_COV], lineterminator="\n")
            writer.writeheader()
            writer.writerows(_rows(view, good_entities(view, min_quality=options.min_quality)))
        files.append(path)
    return Exported(tuple(files), notes=quality_notes(dataset, options))


def load(folder: Path) -> dict[str, pa.Table]:
    """The table `positions`. Raises UsageError for files that are not from here."""
    spec = tables.spec("positions")
    name_of = {column: name for name, column in _CAMERA.items()}
    types = {
        name_of.get(column.name, column.name): column.type
        for column in spec.columns
        if column.name != "cov"
    }
    types |= dict.fromkeys(_COV, FLOAT32)
    wanted = pacsv.ConvertOptions(
        column_types=types, include_columns=list(types), strings_can_be_null=True
    )
    parts = [spec.empty()]
    for path in sorted(folder.glob("*.csv")):
        try:
            table = pacsv.read_csv(path, convert_options=wanted)
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"{path}: not as `massannot export csv` writes it: {error}") from error
        columns = {_CAMERA.get(n, n): table[n] for n in types if n not in _COV}
        rows = zip(*(table[name].to_pylist() for name in _COV), strict=True)
        cov = [None if row[0] is None else list(row) for row in rows]
        columns["cov"] = pa.array(cov, spec.schema().field("cov").type)
        parts.append(pa.table(columns).select(list(spec.names)).cast(spec.schema()))
    if len(parts) == 1:
        raise UsageError(f"{folder}: holds no .csv")
    return {"positions": spec.checked(pa.concat_tables(parts))}


def _rows(view: ClipView, entities: set[int]) -> list[dict[str, Any]]:
    names = entity_names({name: view.table(name) for name in ("phrases", "entities")})
    quality = {row["entity"]: row["quality"] for row in short_rows(view.table("entities"))}
    t_s = view.table("frames")["t_s"].to_pylist()
    seen = {
        (row["entity"], row["frame"]): row["area"] > 0 and row["state"] == "visible"
        for row in view.table("masks").select(["entity", "frame", "area", "state"]).to_pylist()
    }
    speeds = _speeds(view, t_s)
    return [
        {
            **{name: row[name] for name in ("clip_id", "entity", "frame", *_REST)},
            **{name: row[column] for name, column in _CAMERA.items()},
            **dict(zip(_COV, row["cov"] or (None,) * len(_COV), strict=True)),
            "name": names[row["entity"]],
            "t_s": t_s[row["frame"]],
            "visible": {True: "true", False: "false", None: ""}[
                seen.get((row["entity"], row["frame"]))
            ],
            "quality": quality[row["entity"]],
            "speed": speeds.get((row["entity"], row["frame"])),
        }
        for row in short_rows(rows_of_entities(view, "positions", entities))
    ]


def _speeds(view: ClipView, t_s: Sequence[float]) -> Mapping[tuple[int, int], float]:
    """(entity, frame) to units of length a second; without a neighbour on both sides: none."""
    positions = view.positions()
    xyz: npt.NDArray[np.float64] = positions.xyz_world.astype(np.float64)
    if np.isnan(xyz).all():
        xyz = positions.xyz_cam.astype(np.float64)
    times = np.asarray(t_s)
    speeds = {}
    for frame in range(1, len(times) - 1):
        step = np.linalg.norm(xyz[frame + 1] - xyz[frame - 1], axis=-1)
        for entity, distance in zip(positions.entity.tolist(), step.tolist(), strict=True):
            if np.isfinite(distance):
                speeds[entity, frame] = round(distance / (times[frame + 1] - times[frame - 1]), 6)
    return speeds
