"""A whole dataset against the scenes it shows: every score with its interval over clips.

Clips are the units: frames of one clip are not independent. The baseline beside a score is that of
no skill on the same clips.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.evaluate.clip_scores import ClipScore, ClipTruth, score_clip
from massannot.geometry.intervals import ConfidenceInterval, mean_over_clips
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import Scene


@dataclass(frozen=True)
class Row:
    """One line of the table: mean over clips with its 95 % interval."""

    stage: str
    metric: str
    value: ConfidenceInterval
    baseline: ConfidenceInterval


def evaluate(
    dataset: Dataset,
    scenes: SceneLibrary,
    *,
    seed: int = 0,
    limit: int | None = None,
) -> list[Row]:
    """Scores of `dataset` against the scenes of a folder, in a fixed order.

    Clips of other videos are left out; UsageError when none remains.
    """
    views = [v for v in dataset.clips() if v.row["video_id"] in scenes.records][:limit]
    if not views:
        raise UsageError(
            f"{dataset.layout.out}: none of its {len(dataset.clip_ids)} clips shows a scene of "
            f"{scenes.folder}; expected the folder whose videos were annotated"
        )
    usual = usual_depth_m(scenes.scene(view.row["video_id"]) for view in views)
    values: dict[tuple[str, str], list[ClipScore]] = defaultdict(list)
    for view in views:
        clip = ClipTruth(view, scenes.scene(view.row["video_id"]), usual_depth_m=usual)
        for score in score_clip(clip):
            values[score.stage, score.metric].append(score)
    return [
        Row(
            stage,
            metric,
            mean_over_clips([s.value for s in scores], seed=seed),
            mean_over_clips([s.baseline for s in scores], seed=seed),
        )
        for (stage, metric), scores in values.items()
    ]


def usual_depth_m(scenes: Iterable[Scene]) -> float:
    """The median true depth over the first frames of all clips: the constant baseline's answer."""
    samples = []
    for scene in scenes:
        first = Answers(scene, (0,), scene.options.height, scene.options.width, np.ones(2))
        samples.append(first.depth_m(0, height=32, width=40))
    return float(np.median(np.stack(samples)))


def as_text(rows: list[Row]) -> str:
    """The table for people, one line a score; of one clip without columns of intervals."""
    several = any(row.value.n > 1 for row in rows)
    spread = f"  {'95 % interval':<19}{'clips':>6}" if several else ""
    lines = [
        f"{'stage':<11}{'score':<28}{'mean' if several else 'value':>9}{spread}{'baseline':>10}"
    ]
    for row in rows:
        v = row.value
        if several:
            spread = f"  {f'{_short(v.low)} .. {_short(v.high)}':<19}{v.n:>6}"
        lines.append(
            f"{row.stage:<11}{row.metric:<28}{_short(v.value):>9}{spread}"
            f"{_short(row.baseline.value):>10}"
        )
    return "\n".join(lines)


def as_json(rows: list[Row]) -> list[dict[str, object]]:
    """JSON values; unknown numbers are null."""
    return [
        {
            "stage": row.stage,
            "metric": row.metric,
            "value": _known(row.value.value),
            "low": _known(row.value.low),
            "high": _known(row.value.high),
            "n_clips": row.value.n,
            "baseline": _known(row.baseline.value),
        }
        for row in rows
    ]


def _short(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2e}" if 0 < abs(value) < 0.001 else f"{value:.3f}"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
