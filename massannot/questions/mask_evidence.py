"""Evidence from masks: where the things that a question names are, in the frames that are shown.

It says where and when they are visible, not which moment decides the answer; so the reward for
times is easy to earn, and the one for boxes is not. A question's own evidence stays as it is.
"""

from __future__ import annotations

from typing import Any

from massannot.dataset.reading import Dataset
from massannot.dataset.touching import own_views
from massannot.questions.question_view import Row, evenly, profile_tables


def with_mask_evidence(dataset: Dataset, row: Row, *, frames: int) -> Row:
    """The row of `questions` with evidence_boxes [t, x0, y0, x1, y1, ...] in source pixels, and
    their times, from the masks of its entities in at most `frames` frames; the row itself where it
    has evidence, or nothing of it is seen."""
    if row["evidence_boxes"] or row["evidence_times_s"]:
        return row
    clip_ids = row["clip_ids"] or ([row["clip_id"]] if row["clip_id"] else [])
    shots: list[tuple[str, int, float]] = []
    boxes: dict[tuple[str, int], list[list[float]]] = {}
    for view in own_views([dataset.clip(clip_id) for clip_id in clip_ids]):
        clip_id = view.clip_id
        table = view.table("frames")
        for frame, t_s in zip(table["frame"].to_pylist(), table["t_s"].to_pylist(), strict=True):
            shots.append((clip_id, frame, t_s))
        entities = set(profile_tables(view, row["question_id"])["entities"]["entity"].to_pylist())
        for mask in view.table("masks").to_pylist():
            if mask["entity"] in entities and mask["x0"] is not None and mask["area"]:
                corners = [mask[name] for name in ("x0", "y0", "x1", "y1")]
                boxes.setdefault((clip_id, mask["frame"]), []).append(corners)
    shown = [shots[index] for index in evenly(len(shots), frames)]
    flat: list[float] = []
    for clip_id, frame, t_s in shown:
        for corners in boxes.get((clip_id, frame), []):
            flat += [t_s, *corners]
    found: dict[str, Any] = {**row}
    if flat:
        found |= {"evidence_boxes": flat, "evidence_times_s": sorted(set(flat[::5]))}
    return found
