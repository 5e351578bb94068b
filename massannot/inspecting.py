"""What `massannot inspect` says of a dataset and of one clip."""

from __future__ import annotations

from typing import Any

from massannot.errors import UsageError
from massannot.io.clip_view import ClipView
from massannot.io.dataset import Dataset
from massannot.motion_profile import motion_profile
from massannot.summary import facts

PROFILE_TABLES = ("clips", "segments", "phrases", "entities", "motions", "positions")


def find_clip(dataset: Dataset, beginning: str) -> ClipView:
    """The clip whose id begins so. Raises UsageError when none or several do."""
    matching = [clip_id for clip_id in dataset.clip_ids if clip_id.startswith(beginning)]
    if len(matching) != 1:
        raise UsageError(
            f"{dataset.layout.out}: {len(matching)} of {len(dataset.clip_ids)} clips begin with "
            f"{beginning!r}, expected one; `massannot inspect {dataset.layout.out}` lists them"
        )
    return dataset.clip(matching[0])


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    return {
        "tables": {name: dataset.table(name).num_rows for name in dataset.names},
        "facts": facts(dataset).as_json(),
        "clips": [view.row for view in dataset.clips()],
    }


def dataset_text(dataset: Dataset) -> str:
    """Tables with their rows, then a line a clip."""
    lines = [f"{name:<12}{dataset.table(name).num_rows:>10} rows" for name in dataset.names]
    lines.append("")
    for view in list(dataset.clips())[:50]:
        row = view.row
        lines.append(
            f"{view.clip_id[:12]}  {row['source_id'] or row['uri']}  {row['t0_s']:.2f}-"
            f"{row['t1_s']:.2f} s  {row['n_frames']} frames  "
            f"{view.table('entities').num_rows} entities  scale {row['scale_type']}"
        )
    if len(dataset.clip_ids) > 50:
        lines.append(f"... and {len(dataset.clip_ids) - 50} more clips")
    return "\n".join(lines)


def clip_json(view: ClipView, *, min_quality: float | None = None) -> dict[str, Any]:
    return {
        "clip": view.row,
        "phrases": view.table("phrases").to_pylist(),
        "entities": view.table("entities").to_pylist(),
        "motions": view.table("motions").to_pylist(),
        "motion_profile": profile(view, min_quality=min_quality),
    }


def clip_text(view: ClipView, *, min_quality: float | None = None) -> str:
    """The clip's row, its entities, its motion profile."""
    lines = [f"{name:<22}{value}" for name, value in view.row.items()]
    lines += ["", *(str(row) for row in view.table("entities").to_pylist())]
    lines += ["", profile(view, min_quality=min_quality)]
    return "\n".join(lines)


def profile(view: ClipView, *, min_quality: float | None = None) -> str:
    tables = {name: view.table(name) for name in PROFILE_TABLES}
    return motion_profile(tables, template="mass-v2", min_quality=min_quality)
