#!/usr/bin/env bash
# lapx 0.11.1 (the module lap), tracks and detections of which some may not be paired
#
# Expected: an infinite cost forbids a pair. Where one track has no partner, the solver says that there is
#           no solution, as SciPy does, or leaves that track out.
# Seen:     lapjv() and lapjvx() return an assignment of infinite cost, and because infinite is infinite,
#           not the best one: tracks that have a partner lose it to a forbidden pair. Three tracks, three
#           detections, the third track has left:
#
#                           detection 0   1     2
#             track 0       0.1           -     -           lapjv, lapjvx    0-2, 1-1, 2-0
#             track 1       -             0.2   -           lapjvc           0-0, 1-1
#             track 2       -             -     -           lapjvs, SciPy    ValueError
#             with cost_limit=1e6                           lapjv, lapjvx    0-0, 1-1
#
# One track that leaves changes who the others are. Give `cost_limit`, or a large finite cost, and drop
# the pairs that are forbidden afterwards.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    lapx==0.11.1 scipy==1.17.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import lap
import numpy as np
import scipy
from scipy.optimize import linear_sum_assignment

FORBIDDEN = np.inf
COST = np.array(
    [
        [0.1, FORBIDDEN, FORBIDDEN],
        [FORBIDDEN, 0.2, FORBIDDEN],
        [FORBIDDEN, FORBIDDEN, FORBIDDEN],
    ]
)
RIGHT, WRONG = {(0, 0), (1, 1)}, {(0, 2), (1, 1), (2, 0)}


def of_columns(found):
    return {(row, int(column)) for row, column in enumerate(found[1]) if column >= 0}


def of_rows_and_columns(found):
    return {(int(row), int(column)) for row, column in zip(found[-2], found[-1])}


def pairs_or_error(solve):
    try:
        return solve()
    except ValueError:
        return "ValueError"


print("lapx", lap.__version__, "SciPy", scipy.__version__)
limit = {"cost_limit": 1e6}
for name, solve, expected in (
    ("lapjv", lambda: of_columns(lap.lapjv(COST)), WRONG),
    ("lapjvx", lambda: of_rows_and_columns(lap.lapjvx(COST)), WRONG),
    ("lapjvc", lambda: of_rows_and_columns(lap.lapjvc(COST)), RIGHT),
    ("lapjvs", lambda: of_rows_and_columns(lap.lapjvs(COST)), "ValueError"),
    ("SciPy", lambda: of_rows_and_columns(linear_sum_assignment(COST)), "ValueError"),
    ("lapjv, limit", lambda: of_columns(lap.lapjv(COST, **limit)), RIGHT),
    ("lapjvx, limit", lambda: of_rows_and_columns(lap.lapjvx(COST, **limit)), RIGHT),
):
    seen = pairs_or_error(solve)
    print(f"{name:14}", seen if isinstance(seen, str) else sorted(seen))
    assert seen == expected, f"{name} changed"
PYTHON
