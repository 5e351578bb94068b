#!/usr/bin/env bash
# TrackEval 1.3.0, motmetrics 1.4.0, fragmentations and mostly tracked
#
# Expected: the truth scored against itself has no fragmentation, and whether a track is interrupted does
#           not depend on the other things in the picture.
# Seen:     TrackEval's `Frag` also counts where the truth itself has a gap (a thing behind a pole), and
#           passes over pictures in which the truth or the tracker holds nothing at all. Twenty pictures, a
#           thing with three gaps, all boxes exact:
#
#             three gaps in             another thing    TrackEval: MOTA   Frag    motmetrics: Frag
#             the tracker's answer      none                  0.75         0            3
#             the tracker's answer      always there          0.875        3            3
#             truth and answer alike    none                  1.0          0            0
#             truth and answer alike    always there          1.0          3            0
#
#           A thing found in 8 of its 10 pictures is mostly tracked in motmetrics (at least 0.8), not so in
#           TrackEval (more than 0.8).
#
# Compare Frag and MT of one tool only, and subtract the Frag of the truth against itself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --no-deps \
    trackeval==1.3.0 motmetrics==1.4.0 tabulate==0.10.0 xmltodict==1.0.4 numpy==2.4.6 scipy==1.17.1 \
    pandas==3.1.1 python-dateutil==2.9.0.post0 six==1.17.0 pycocotools==2.0.11 pillow==12.3.0
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import motmetrics
import numpy as np
from trackeval.metrics import CLEAR

GAPS = {4, 5, 9, 10, 15}  # the pictures in which thing 0 is missing: three gaps
NAMES = ("mota", "num_fragmentations", "mostly_tracked")


def scores(pictures):
    """MOTA, Frag and MT of TrackEval, then of motmetrics; pictures hold the ids of truth and answer."""
    truth = [np.array(true, int) for true, _ in pictures]
    answer = [np.array(found, int) for _, found in pictures]
    same = [one[:, None] == other[None] for one, other in zip(truth, answer)]
    sequence = {"gt_ids": truth, "tracker_ids": answer, "similarity_scores": [s.astype(float) for s in same]}
    sequence |= {"num_timesteps": len(pictures), "num_gt_ids": 2, "num_tracker_ids": 2}
    sequence |= {"num_gt_dets": sum(map(len, truth)), "num_tracker_dets": sum(map(len, answer))}
    of_trackeval = CLEAR({"PRINT_CONFIG": False}).eval_sequence(sequence)
    events = motmetrics.MOTAccumulator(auto_id=True)
    for true, found, equal in zip(truth, answer, same):
        events.update(true.tolist(), found.tolist(), np.where(equal, 0.0, np.nan))
    row = motmetrics.metrics.create().compute(events, metrics=list(NAMES)).iloc[0]
    return [float(of_trackeval[name]) for name in ("MOTA", "Frag", "MT")] + [float(row[name]) for name in NAMES]


def pictures(truth_too, others):
    with_thing, without = [0, *others], list(others)
    for number in range(20):
        answer = without if number in GAPS else with_thing
        yield (answer if truth_too else with_thing), answer


print("TrackEval", version("trackeval"), "motmetrics", version("motmetrics"))
for truth_too, others, seen in (
    (False, (), [0.75, 0, 0, 0.75, 3, 0]),
    (False, (1,), [0.875, 3, 1, 0.875, 3, 1]),
    (True, (), [1, 0, 1, 1, 0, 1]),
    (True, (1,), [1, 3, 2, 1, 0, 2]),
):
    found = scores(list(pictures(truth_too, others)))
    print("gaps in", "truth and answer" if truth_too else "the answer", "beside", others, end=": ")
    print("TrackEval MOTA, Frag, MT", found[:3], "motmetrics", found[3:])
    assert found == seen, "the scores changed"
eight = scores([([0], [0] if number < 8 else []) for number in range(10)])
print("8 of 10 pictures: MT in TrackEval", eight[2], "in motmetrics", eight[5])
assert (eight[2], eight[5]) == (0, 1), "mostly tracked changed"
PYTHON
