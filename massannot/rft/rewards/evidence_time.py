"""evidence_time: how near the cited times are to when the evidence is to be seen.

Definition: the mean over cited times of exp(-d^2 / (2 sigma^2)), d the seconds to the nearest true
time; 0 where nothing is cited or nothing is true. Source: Open-o3 Video (arXiv 2510.20579),
thinking temporal reward. Its sigma falls from 4 s to 1 s in training; here it is 1 s throughout.
"""

from __future__ import annotations

from math import exp

from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.evidence import cited


def reward(completion: Completion, *, expected: Expected) -> float:
    times = [each.t_s for each in cited(completion.text)]
    return evidence_time(times, expected.evidence_times_s, sigma_s=1.0)


def evidence_time(cited_s: list[float], true_s: tuple[float, ...], *, sigma_s: float) -> float:
    if not cited_s or not true_s:
        return 0.0
    distances = [min(abs(t - true) for true in true_s) for t in cited_s]
    return sum(exp(-(d**2) / (2 * sigma_s**2)) for d in distances) / len(distances)
