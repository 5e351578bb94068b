"""Balance: which of the candidates are asked, so that nothing but the video tells the answer.

Among questions of one wording about the same nouns every answer occurs equally often: that balls
roll farther than boxes is then no clue. Numbers are evened out over steps of STEP_RATIO.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from massannot.questions.ask.questions_of_clip import Candidate

STEP_RATIO = 1.6
STEPS = 4


def balanced(
    found: Sequence[Candidate], *, per_clip: int, seed: int, even: bool = True
) -> list[Candidate]:
    """Of one family's candidates, at most `per_clip` a clip. Equal arguments, equal choice.
    `even`: no answer more often than another."""
    chance = np.random.default_rng([seed, len(found)])
    chosen = _some_of_each_clip(found, per_clip, chance)
    if not even:
        return sorted(chosen, key=lambda c: (c.clip_id, c.question_id))
    labels = {id(c): _label(c) for c in chosen}
    kept_labels = _frequent(Counter(labels.values()), numbers=_is_number(found))
    groups: dict[Hashable, dict[Hashable, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in chosen:
        if labels[id(candidate)] in kept_labels:
            groups[_group(candidate)][labels[id(candidate)]].append(candidate)
    kept: list[Candidate] = []
    for by_label in groups.values():
        n = min((len(by_label.get(label, ())) for label in kept_labels), default=0)
        kept += [candidate for label in kept_labels for candidate in by_label.get(label, [])[:n]]
    return sorted(kept, key=lambda c: (c.clip_id, c.question_id))


def kept_choices(asked: Sequence[Candidate]) -> set[object]:
    """The values that occur; a value that is never right is no option."""
    return {candidate.gives.value for candidate in asked}


def _some_of_each_clip(
    found: Sequence[Candidate], per_clip: int, chance: np.random.Generator
) -> list[Candidate]:
    """In random order; of a pair that is asked about in both orders, one."""
    taken: Counter[str] = Counter()
    pairs: set[Hashable] = set()
    chosen = []
    for i in chance.permutation(len(found)):
        candidate = found[i]
        ordered = _is_swapped(candidate)
        pair = (candidate.clip_id, candidate.proposal.text, frozenset(candidate.proposal.things))
        if taken[candidate.clip_id] >= per_clip or (ordered and pair in pairs):
            continue
        taken[candidate.clip_id] += 1
        pairs.add(pair)
        chosen.append(candidate)
    return chosen


def _is_swapped(candidate: Candidate) -> bool:
    return len(candidate.proposal.things) == 2 and "{1}" in candidate.proposal.text


def _group(candidate: Candidate) -> Hashable:
    n_options = len(candidate.options or candidate.proposal.choices)
    return candidate.proposal.text.split(" s?")[0], candidate.nouns, n_options


def _label(candidate: Candidate) -> Hashable:
    value = candidate.gives.value
    if candidate.options:  # by their order
        return candidate.options.index(value)
    if candidate.family.kind == "number":
        if candidate.family.tolerance_abs is not None:
            return math.floor(float(value) / (2 * candidate.family.tolerance_abs))  # type: ignore[arg-type]
        return math.floor(math.log(max(float(value), 1e-6)) / math.log(STEP_RATIO))  # type: ignore[arg-type]
    if candidate.family.kind == "interval":
        assert isinstance(value, tuple)
        return tuple(math.floor(t / 0.5) for t in value)
    if candidate.proposal.choices:  # things: by their place
        return candidate.proposal.choices.index(value)
    return value


def _is_number(found: Sequence[Candidate]) -> bool:
    return bool(found) and found[0].family.kind in ("number", "interval") and not found[0].options


def _frequent(counts: Counter[Hashable], *, numbers: bool) -> list[Hashable]:
    """The most frequent labels, as many as leave most questions; of numbers STEPS at least."""
    ordered = [label for label, _ in sorted(counts.items(), key=lambda x: (-x[1], repr(x[0])))]
    sizes = {n: n * counts[ordered[n - 1]] for n in range(2, len(ordered) + 1)}
    least = min(STEPS, len(ordered)) if numbers else 2
    sizes = {n: size for n, size in sizes.items() if n >= least}
    return ordered[: max(sizes, key=lambda n: sizes[n])] if sizes else []
