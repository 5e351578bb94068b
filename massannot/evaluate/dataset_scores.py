"""A whole dataset against the scenes it shows: every score with its interval over clips.

Clips are the units: frames of one clip are not independent. A frame that two clips share is
compared in the later one alone. The baseline beside a score is that of
no skill on the same clips.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.dataset.source_groups import places_by_group
from massannot.dataset.touching import own_lengths
from massannot.errors import UsageError
from massannot.evaluate.clip_scores import score_clip
from massannot.evaluate.clip_truth import ClipScore, ClipTruth
from massannot.evaluate.coverage import (
    ClipIntervals,
    Coverage,
    clip_intervals,
    coverage_over_clips,
)
from massannot.evaluate.event_scores import score_events
from massannot.evaluate.presence_scores import score_presence
from massannot.evaluate.quality_scores import (
    ClipQuality,
    QualityBin,
    QualityScores,
    clip_quality,
    quality_over_clips,
)
from massannot.geometry.intervals import ConfidenceInterval, mean_over_clips, median_over_clips
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import Scene


@dataclass(frozen=True)
class Row:
    """One line of the table with its 95 % interval over clips: a mean over clips or, of errors in
    metres, the median of all clips' errors, each clip weighing once."""

    stage: str
    metric: str
    value: ConfidenceInterval
    baseline: ConfidenceInterval
    subgroup: str = "all"
    """Or one of dataset/source_groups.py: source_kind=generated."""


@dataclass(frozen=True)
class Evaluation:
    """A dataset's scores, the coverage of its intervals, and its quality by bins."""

    scores: tuple[Row, ...]
    """Over all clips."""
    by_source: tuple[Row, ...]
    """The same over the clips of each source_kind and generator that the dataset names."""
    coverage: tuple[Coverage, ...]
    quality_bins: tuple[QualityBin, ...]


def evaluate(
    dataset: Dataset,
    scenes: SceneLibrary,
    *,
    seed: int = 0,
    limit: int | None = None,
) -> Evaluation:
    """`dataset` against the scenes of a folder, everything in a fixed order.

    Clips of other videos are left out; UsageError when none remains.
    """
    views = [v for v in dataset.clips() if v.row["video_id"] in scenes.records][:limit]
    if not views:
        raise UsageError(
            f"{dataset.layout.out}: none of its {counted(len(dataset.clip_ids), 'clip')} shows "
            f"a scene of {scenes.folder}; expected the folder whose videos were annotated"
        )
    usual = usual_depth_m(scenes.scene(view.row["video_id"]) for view in views)
    scored = [
        _scored(
            ClipTruth(view, scenes.scene(view.row["video_id"]), usual_depth_m=usual, n_own=n_own)
        )
        for view, n_own in zip(views, own_lengths(views), strict=True)
    ]
    groups = places_by_group(dataset, [view.row["uri"] for view in views])
    by_source: list[Row] = []
    coverage = coverage_over_clips([clip.intervals for clip in scored], seed=seed)
    for group, places in groups.items():
        of_group = [scored[place] for place in places]
        by_source += _rows(of_group, _quality(of_group, seed=seed), seed=seed, subgroup=group)
        covered = coverage_over_clips(
            [clip.intervals for clip in of_group], seed=seed, subgroups=("all",)
        )
        coverage += [replace(row, subgroup=group) for row in covered]
    quality = _quality(scored, seed=seed)
    scores = _rows(scored, quality, seed=seed)
    return Evaluation(tuple(scores), tuple(by_source), tuple(coverage), quality.bins)


@dataclass(frozen=True, eq=False)
class _ScoredClip:
    scores: tuple[ClipScore, ...]
    intervals: ClipIntervals
    quality: ClipQuality


def _scored(clip: ClipTruth) -> _ScoredClip:
    scores = (*score_clip(clip), *score_presence(clip), *score_events(clip))
    return _ScoredClip(scores, clip_intervals(clip), clip_quality(clip))


def _quality(clips: Sequence[_ScoredClip], *, seed: int) -> QualityScores:
    return quality_over_clips([clip.quality for clip in clips], seed=seed)


def _rows(
    clips: Sequence[_ScoredClip], quality: QualityScores, *, seed: int, subgroup: str = "all"
) -> list[Row]:
    values: dict[tuple[str, str], list[ClipScore]] = defaultdict(list)
    for clip in clips:
        for score in clip.scores:
            values[score.stage, score.metric].append(score)
    rows = [
        Row(
            stage,
            metric,
            _over_clips([s.value for s in scores], [s.samples for s in scores], seed=seed),
            _over_clips(
                [s.baseline for s in scores], [s.baseline_samples for s in scores], seed=seed
            ),
        )
        for (stage, metric), scores in values.items()
    ]
    rows += [
        Row("quality", "auc_error_twice_median", quality.auc, _exactly(0.5, quality.auc)),
        Row("quality", "largest_gap_points", quality.largest_gap, _exactly(math.nan, quality.auc)),
    ]
    return [replace(row, subgroup=subgroup) for row in rows]


def _over_clips(
    values: Sequence[float], samples: Sequence[Sequence[float]], *, seed: int
) -> ConfidenceInterval:
    """The median of all samples where the score is one, else the mean over clips."""
    if any(samples):
        return median_over_clips(samples, seed=seed)
    return mean_over_clips(values, seed=seed)


def _exactly(value: float, like: ConfidenceInterval) -> ConfidenceInterval:
    """A baseline that is known without a clip; unknown where the score itself is."""
    known = math.nan if math.isnan(like.value) else value
    return ConfidenceInterval(known, known, known, like.n)


def usual_depth_m(scenes: Iterable[Scene]) -> float:
    """The median true depth over the first frames of all clips: the constant baseline's answer."""
    samples = []
    for scene in scenes:
        first = Answers(scene, (0,), scene.options.height, scene.options.width, np.ones(2))
        samples.append(first.depth_m(0, height=32, width=40))
    return float(np.median(np.stack(samples)))


def as_text(evaluation: Evaluation) -> str:
    """Both tables for people."""
    parts = [scores_as_text(evaluation.scores)]
    for group in dict.fromkeys(row.subgroup for row in evaluation.by_source):
        of_group = [row for row in evaluation.by_source if row.subgroup == group]
        parts.append(f"{group}\n{scores_as_text(of_group)}")
    parts.append(coverage_as_text(evaluation.coverage))
    return "\n\n".join(part for part in parts if part)


def scores_as_text(rows: Sequence[Row]) -> str:
    """The scores that could be measured, one line each; of one clip without columns of
    intervals."""
    measured = [row for row in rows if not math.isnan(row.value.value)]
    several = any(row.value.n > 1 for row in measured)
    spread = f"  {'95 % interval':<19}{'clips':>6}" if several else ""
    lines = [f"{'stage':<11}{'score':<28}{'value':>9}{spread}{'baseline':>10}"]
    for row in measured:
        v = row.value
        if several:
            spread = f"  {f'{_short(v.low)} .. {_short(v.high)}':<19}{v.n:>6}"
        lines.append(
            f"{row.stage:<11}{row.metric:<28}{_short(v.value):>9}{spread}"
            f"{_short(row.baseline.value):>10}"
        )
    return "\n".join(lines + _left_out(len(rows) - len(measured), "score"))


def coverage_as_text(coverage: Sequence[Coverage]) -> str:
    """A line for each number and level that could be measured, over all its rows, of one clip
    without columns of intervals; empty where there is none."""
    rows = [row for row in coverage if row.subgroup == "all"]
    if not rows:
        return ""
    if all(row.n == 0 for row in rows):
        return "coverage: the dataset states no interval"
    measured = [row for row in rows if not math.isnan(row.observed.value)]
    several = any(row.observed.n > 1 for row in measured)
    spread = f"  {'95 % interval':<15}{'clips':>6}" if several else ""
    heads = ("interval of", "axis", "stated %", "observed %")
    lines = ["{:<15}{:<8}{:>8}{:>12}".format(*heads) + f"{spread}{'width':>8}{'unknown':>9}"]
    for row in measured:
        share = row.observed
        if several:
            spread = f"  {f'{_points(share.low)} .. {_points(share.high)}':<15}{share.n:>6}"
        lines.append(
            f"{row.what:<15}{row.axis:<8}{row.nominal:>8}{_points(share.value):>12}{spread}"
            f"{_short(row.mean_width):>8}{row.unknown_share:>9.2f}"
        )
    return "\n".join(lines + _left_out(len(rows) - len(measured), "row"))


def _left_out(n: int, what: str) -> list[str]:
    """Of a table for people; nothing where it has all."""
    why = "nothing in these clips to measure, or nothing stated"
    return [f"{counted(n, f'more {what}')} not shown: {why}; --json has all"] if n else []


def as_json(evaluation: Evaluation) -> dict[str, list[dict[str, object]]]:
    """JSON values; unknown numbers are null. Coverage in per cent, as its nominal level."""
    return {
        "scores": scores_as_json((*evaluation.scores, *evaluation.by_source)),
        "coverage": [
            {
                "what": row.what,
                "axis": row.axis,
                "subgroup": row.subgroup,
                "nominal": row.nominal,
                "observed": _known(row.observed.value),
                "lo": _known(row.observed.low),
                "hi": _known(row.observed.high),
                "n_clips": row.observed.n,
                "mean_width": _known(row.mean_width),
                "n": row.n,
                "unknown_share": row.unknown_share,
                "judged": row.judged,
            }
            for row in evaluation.coverage
        ],
        "quality_bins": [
            {
                "stated": fifth.stated,
                "observed": _known(fifth.observed.value),
                "lo": _known(fifth.observed.low),
                "hi": _known(fifth.observed.high),
                "n": fifth.n,
            }
            for fifth in evaluation.quality_bins
        ],
    }


def scores_as_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    return [
        {
            "stage": row.stage,
            "metric": row.metric,
            "subgroup": row.subgroup,
            "value": _known(row.value.value),
            "low": _known(row.value.low),
            "high": _known(row.value.high),
            "n_clips": row.value.n,
            "baseline": _known(row.baseline.value),
        }
        for row in rows
    ]


def _points(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _short(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2e}" if 0 < abs(value) < 0.001 else f"{value:.3f}"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
