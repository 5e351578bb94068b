"""How well a clip tells what is hidden from what has left the picture, against the scene it shows.

Units are frames of the paired entities. Recall: of the frames in which a thing truly is hidden (or
outside), the share in which the table `positions` says so; precision: the other way round. The
baseline knows masks but no reason: its recall says lost everywhere, its precision says hidden (or
left) wherever there is no mask.

Occluder: recall is the share of frames, in which a thing is truly hidden by another that was found,
in which `positions` names that one; precision the share of named ones that are right. The baseline
of recall names none, that of precision any other entity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from massannot.evaluate.clip_truth import NAN, ClipScore, ClipTruth
from massannot.geometry.occlusion import I64, NOTHING
from massannot.geometry.presence import HIDDEN, LEFT, LOST, SEEN

States = NDArray[np.str_]

_IN_POSITIONS = {"measured": SEEN, "interpolated": SEEN, "hidden": HIDDEN, "left": LEFT}


def score_presence(clip: ClipTruth) -> list[ClipScore]:
    """Recall and precision of hidden and left over the paired entities of a clip."""
    positions = clip.view.positions()
    column = {int(entity): m for m, entity in enumerate(positions.entity)}
    pairs = [(true, column[entity]) for true, entity in clip.pairs if entity in column]
    truth = [true_presence(clip, true) for true, _ in pairs]
    stated = [[_IN_POSITIONS.get(s, LOST) for s in positions.state[:, m]] for _, m in pairs]
    scores = presence_scores(np.array(truth, "<U6").ravel(), np.array(stated, "<U6").ravel())
    return [*scores, *occluder_scores(*_occluders(clip, truth), n_entities=len(column))]


def true_presence(clip: ClipTruth, true: int) -> States:
    """(T,) SEEN, HIDDEN or LEFT for each frame of a true entity."""
    seen = clip.present[:, true]
    within = [bool(s) or clip.answers.in_picture(t, true) for t, s in enumerate(seen)]
    return np.where(seen, SEEN, np.where(within, HIDDEN, LEFT))


def _occluders(clip: ClipTruth, truth: Sequence[States]) -> tuple[I64, I64]:
    """True and stated occluder (N,) of the frames of the paired entities, as found entities;
    NOTHING: none, or one that was not found."""
    found = dict(clip.pairs)
    rows = clip.view.table("positions").select(["entity", "frame", "occluder"]).to_pylist()
    named = {(row["entity"], row["frame"]): row["occluder"] for row in rows}
    true, stated = [], []
    for (k, entity), states in zip(clip.pairs, truth, strict=True):
        for frame, state in enumerate(states):
            by = clip.answers.occluder(frame, k) if state == HIDDEN else None
            true.append(NOTHING if by is None else found.get(by, NOTHING))
            name = named[entity, frame]
            stated.append(NOTHING if name is None else name)
    return np.array(true, np.int64), np.array(stated, np.int64)


def occluder_scores(true: I64, stated: I64, *, n_entities: int) -> list[ClipScore]:
    """Recall and precision of N frames; NaN where nobody is hidden by another, or nobody named."""
    is_so, said = true != NOTHING, stated != NOTHING
    right = float(np.count_nonzero(is_so & (true == stated)))
    any_other = 1 / (n_entities - 1) if n_entities > 1 else NAN
    return [
        ClipScore("presence", "occluder_recall", right / is_so.sum(), 0.0)
        if is_so.any()
        else ClipScore("presence", "occluder_recall", NAN),
        ClipScore("presence", "occluder_precision", right / said.sum(), any_other)
        if said.any()
        else ClipScore("presence", "occluder_precision", NAN),
    ]


def presence_scores(truth: States, stated: States) -> list[ClipScore]:
    """The four scores of N frames; `truth` and `stated` (N,) are states of geometry/presence.py.

    NaN where there is nothing to find, or nothing was said.
    """
    unseen = stated != SEEN
    scores = []
    for state in (HIDDEN, LEFT):
        is_so, said = truth == state, stated == state
        right = float(np.count_nonzero(is_so & said))
        all_so = float(np.mean(is_so[unseen])) if unseen.any() else NAN
        recall = right / is_so.sum() if is_so.any() else NAN
        precision = right / said.sum() if said.any() else NAN
        scores += [
            ClipScore("presence", f"{state}_recall", recall, 0.0 if is_so.any() else NAN),
            ClipScore("presence", f"{state}_precision", precision, all_so),
        ]
    return scores
