"""Records of `ruler.py` as the lines of the accuracy tables, intervals by bootstrap over clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from massannot.evaluate.box_scores import area_under_precision, iou_matrix
from massannot.evaluate.clip_truth import FOUND_J
from massannot.evaluate.shipped_accuracy import Line, Replaced
from massannot.geometry.intervals import ConfidenceInterval, bootstrap, mean_over_clips
from tools.embedded.ruler import Record

Records: TypeAlias = Sequence[Record]
Statistic: TypeAlias = Callable[[np.ndarray], float]
"""Of the numbers of the drawn clips."""

SEED = 0
NOTHING = ConfidenceInterval(float("nan"), float("nan"), float("nan"), 0)


def lines(records: Mapping[str, Records]) -> tuple[Line, ...]:
    """Of records by question (see ruler.MEASURES), each a list over the same clips."""
    whole, masks = records["whole"], records["masks"]
    tracks, detection = records["tracks"], records["detection"]
    depth = [r["scores"] for r in whole]
    none = [[0.0 for _ in r["js"]] for r in whole]
    return (
        _line("depth", "AbsRel, all pixels", _mean_of(depth, "depth abs_rel", 0),
              "one depth everywhere", _mean_of(depth, "depth abs_rel", 1), 0.08, less=True),
        _line("depth", "AbsRel, pixels of things", _mean_of(depth, "depth abs_rel_objects", 0),
              "one depth everywhere", _mean_of(depth, "depth abs_rel_objects", 1), 0.12, less=True),
        _line("detection", "AP50 of two-word phrases", _ap50(detection),
              "the mean box for every phrase", _ap50_of_mean_box(detection), 0.75),
        _line("detection", "edges, found minus true, px",
              _pooled([r["edge_offset_px"] for r in detection])),
        _line("masks", "J from a true box, same frame", _pooled([r.get("J0", []) for r in masks]),
              "the box filled", _pooled([r.get("J0_filled_box", []) for r in masks]), 0.92),
        *(
            _line("masks", f"J {t} frames after the box",
                  _pooled([r.get(f"J{t}", []) for r in masks]), "the true mask copied",
                  _pooled([r.get(f"J{t}_copied", []) for r in masks]), target)
            for t, target in ((8, 0.85), (16, 0.82), (24, 0.80))
        ),
        _line("tracks", "AJ (Lucas-Kanade)", _mean([r["AJ"] for r in tracks]),
              "points stand still", _mean([r["AJ_static"] for r in tracks])),
        _line("from text", "things found under their name, mean J over 0.7",
              _pooled(_rightly_named(whole)), "nothing found", _pooled(none), 0.7),
        _line("from text", "things found under any name asked", _pooled(_found_shares(whole)),
              "nothing found", _pooled(none)),
        _line("from text", "absent things that were found",
              _ratio([r["absent_found"] for r in whole], [r["absent"] for r in whole])),
        _line("from text", "position of a found thing, median error, m",
              _pooled([r["position_errors_m"] for r in whole], np.median),
              "one depth everywhere",
              _pooled([r["position_errors_usual_depth_m"] for r in whole], np.median), 0.15,
              less=True),
    )  # fmt: skip


def replaced(records: Records) -> tuple[Replaced, ...]:
    """Of records of `Ruler.replaced`, the unreplaced one first in each."""
    names = list(records[0])
    rows = []
    base = _scores([r[names[0]] for r in records])
    for name in names:
        scores = _scores([r[name] for r in records])
        n = len(records)
        rows.append(
            Replaced(
                name,
                {s: bootstrap(of, n_clips=n, seed=SEED) for s, of in scores.items()},
                {
                    s: bootstrap(_difference(of, base[s]), n_clips=n, seed=SEED)
                    for s, of in scores.items()
                },
            )
        )
    return tuple(rows)


def cpu_s_per_clip(whole: Records) -> ConfidenceInterval:
    return mean_over_clips([r["cpu_s"] for r in whole], seed=SEED)


def _scores(records: Records) -> dict[str, Statistic]:
    return {
        "found": _pooled(_found_shares(records))[0],
        "rightly named": _pooled(_rightly_named(records))[0],
        "mean J": _pooled([r["js"] for r in records])[0],
        "absent found": _ratio(
            [r["absent_found"] for r in records], [r["absent"] for r in records]
        )[0],
        "position error, m": _pooled([r["position_errors_m"] for r in records], np.median)[0],
    }


def _found_shares(records: Records) -> list[list[float]]:
    return [[float(j > FOUND_J) for j in r["js"]] for r in records]


def _rightly_named(records: Records) -> list[list[float]]:
    return [
        [float(j > FOUND_J and named) for j, named in zip(r["js"], r["named"], strict=True)]
        for r in records
    ]


Counted: TypeAlias = tuple[Statistic, int]
"""A statistic and the number of clips."""


def _line(
    stage: str,
    score: str,
    value: Counted,
    trivial: str = "",
    trivial_value: Counted | None = None,
    target: float | None = None,
    *,
    less: bool = False,
) -> Line:
    of, n = value
    gain = trivial_of = NOTHING
    if trivial_value is not None:
        trivial_of = bootstrap(trivial_value[0], n_clips=n, seed=SEED)
        gain = bootstrap(_difference(of, trivial_value[0]), n_clips=n, seed=SEED)
    interval = bootstrap(of, n_clips=n, seed=SEED)
    return Line(stage, score, interval, trivial, trivial_of, gain, target, not less)


def _difference(first: Statistic, second: Statistic) -> Statistic:
    return lambda clips: first(clips) - second(clips)


def _mean(values: Sequence[float | None]) -> Counted:
    known = np.array([np.nan if v is None else v for v in values])
    return lambda clips: float(np.nanmean(known[clips])), len(known)


def _mean_of(scores: Records, name: str, which: int) -> Counted:
    return _mean([s[name][which] for s in scores])


def _pooled(
    lists: Sequence[Sequence[float]], average: Callable[[np.ndarray], np.floating] = np.mean
) -> Counted:
    """The mean (median) over everything in the lists of the drawn clips, NaN without anything."""
    arrays = [np.array(values, np.float64) for values in lists]

    def of(clips: np.ndarray) -> float:
        together = np.concatenate([arrays[c] for c in clips])
        return float(average(together)) if together.size else float("nan")

    return of, len(arrays)


def _ratio(counted: Sequence[int], out_of: Sequence[int]) -> Counted:
    top, bottom = np.array(counted, np.float64), np.array(out_of, np.float64)

    def of(clips: np.ndarray) -> float:
        total = bottom[clips].sum()
        return float(top[clips].sum() / total) if total else float("nan")

    return of, len(top)


def _ap50(records: Records) -> Counted:
    right = [np.array(r["right"], bool) for r in records]
    score = [np.array(r["score"]) for r in records]
    n_true = np.array([len(r["true"]) for r in records])

    def of(clips: np.ndarray) -> float:
        chosen = [right[c] for c in clips], [score[c] for c in clips]
        hits, ranks = (np.concatenate(part) for part in chosen)
        return area_under_precision(hits, ranks, n_true=int(n_true[clips].sum()))

    return of, len(records)


def _ap50_of_mean_box(records: Records) -> Counted:
    """For every phrase asked in every picture, the mean of all true boxes."""
    mean = np.mean([box for r in records for _, _, box in r["true"]], axis=0)
    answered = []
    for record in records:
        truths: dict[tuple[int, str], list[list[float]]] = {}
        for picture, text, box in record["true"]:
            truths.setdefault((picture, text), []).append(box)
        right = [float(iou_matrix(mean, boxes).max() >= 0.5) for boxes in truths.values()]
        pictures = {picture for picture, _ in truths}
        wrong = len(pictures) * len(record["asked"]) - len(right)
        right += [0.0] * wrong
        answered.append({"right": right, "score": [1.0] * len(right), "true": record["true"]})
    return _ap50(answered)
