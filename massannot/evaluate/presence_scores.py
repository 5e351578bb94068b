"""How well a clip tells what is hidden from what has left the picture, against the scene it shows.

Units are frames of the paired entities. Recall: of the frames in which a thing truly is hidden (or
outside), the share in which the table `positions` says so; precision: the other way round. The
baseline knows masks but no reason: its recall says lost everywhere, its precision says hidden (or
left) wherever there is no mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from massannot.evaluate.clip_truth import NAN, ClipScore, ClipTruth
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
    return presence_scores(np.array(truth, "<U6").ravel(), np.array(stated, "<U6").ravel())


def true_presence(clip: ClipTruth, true: int) -> States:
    """(T,) SEEN, HIDDEN or LEFT for each frame of a true entity."""
    seen = clip.present[:, true]
    within = [bool(s) or clip.answers.in_picture(t, true) for t, s in enumerate(seen)]
    return np.where(seen, SEEN, np.where(within, HIDDEN, LEFT))


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
