"""Blind solvers: they see a question's words and options, never its video.

Cross-validated over videos, so that no video is in both halves.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

FOLDS = 5
_EPOCHS, _STEP, _DECAY = 60, 0.5, 1e-3


@dataclass(frozen=True)
class BlindItem:
    """One question as a blind solver sees it, and its answer."""

    family: str
    video: str
    words: tuple[str, ...]
    options: tuple[str, ...]
    answer: Any
    """Index of the option, a number, or another answer as text."""
    kind: str
    what: str
    """The kind, and what a number measures: answers that can be compared with this one."""
    tolerance: float
    tolerance_abs: float


def solved(items: Sequence[BlindItem], *, seed: int) -> dict[str, F64]:
    """By solver: 1 where it was right with a question of a held-out video, else 0; (N,)."""
    folds = _folds([item.video for item in items], seed)
    solvers: dict[str, Callable[..., F64]] = {"majority": _majority}
    if items[0].kind == "multiple_choice":
        solvers |= {"words": _words, "options": _options, "length": _length}
    elif items[0].kind in ("number", "interval"):
        solvers |= {"words": _best_of_words}
    else:
        solvers |= {"words": _words}
    right = {name: np.zeros(len(items)) for name in solvers}
    for fold in range(FOLDS):
        test = np.flatnonzero(folds == fold)
        train = np.flatnonzero(folds != fold)
        if len(test) and len(train):
            for name, solver in solvers.items():
                right[name][test] = solver(
                    [items[i] for i in train.tolist()], [items[i] for i in test.tolist()]
                )
    return right


def chance_of(items: Sequence[BlindItem]) -> float:
    """One of the options; of numbers, intervals and clocks the best constant answer."""
    if items[0].kind == "multiple_choice":
        return float(np.mean([1 / len(item.options) for item in items]))
    if items[0].kind == "yes_no":
        return 0.5
    guesses = _constants(items)
    return max(float(np.mean([is_right(item, guess) for item in items])) for guess in guesses)


def _folds(videos: Sequence[str], seed: int) -> NDArray[np.int64]:
    names = sorted(set(videos))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[i]: place % FOLDS for place, i in enumerate(order.tolist())}
    return np.array([fold[video] for video in videos])


def is_right(item: BlindItem, guess: Any) -> bool:
    """Whether the guess counts as the answer."""
    if item.kind == "number":
        room = item.tolerance * abs(item.answer) + item.tolerance_abs
        return bool(abs(guess - item.answer) <= room * (1 + 1e-9))
    if item.kind == "interval":
        both = min(guess[1], item.answer[1]) - max(guess[0], item.answer[0])
        return bool(both >= 0.5 * (max(guess[1], item.answer[1]) - min(guess[0], item.answer[0])))
    return bool(guess == item.answer)


def _constants(items: Sequence[BlindItem]) -> list[Any]:
    """Guesses among which the best constant is: of numbers, the edges of what counts as right."""
    if items[0].kind != "number":
        return list(dict.fromkeys(item.answer for item in items))
    edges = {i.answer + s * (i.tolerance * abs(i.answer) + i.tolerance_abs)
             for i in items for s in (-1, 0, 1)}  # fmt: skip
    return sorted(edges)


def _best_constant(items: Sequence[BlindItem]) -> Any:
    sample = items[:: max(1, len(items) // 400)]
    return max(_constants(sample), key=lambda g: sum(is_right(item, g) for item in sample))


def _majority(train: Sequence[BlindItem], test: Sequence[BlindItem]) -> F64:
    """Of options, the words that are right most often, else the place."""
    if train[0].kind != "multiple_choice":
        guess = _best_constant(train)
        return np.array([is_right(item, guess) for item in test], float)
    places = Counter(item.answer for item in train)
    guess = places.most_common(1)[0][0]
    return np.array([item.answer == guess for item in test], float)


def _best_of_words(train: Sequence[BlindItem], test: Sequence[BlindItem]) -> F64:
    """The best constant of training questions with the rarest word that both have."""
    counts = Counter(word for item in train for word in set(item.words))
    groups: dict[str, list[BlindItem]] = defaultdict(list)
    for item in train:
        for word in set(item.words):
            groups[word].append(item)
    best: dict[str, Any] = {}
    usual = _best_constant(train)
    right = []
    for item in test:
        known = [word for word in item.words if 10 <= counts[word] < 0.8 * len(train)]
        word = min(known, key=lambda w: (counts[w], w), default="")
        if word and word not in best:
            best[word] = _best_constant(groups[word])
        right.append(is_right(item, best.get(word, usual)))
    return np.array(right, float)


def _words(train: Sequence[BlindItem], test: Sequence[BlindItem]) -> F64:
    """Words and pairs of words of the question, with the option or answer."""

    def features(item: BlindItem, candidate: Any) -> list[str]:
        text = item.options[candidate] if item.options else str(candidate)
        grams = [*item.words, *map(" ".join, itertools.pairwise(item.words))]
        return [f"{gram}|{text.casefold()}" for gram in dict.fromkeys(grams)]

    return _chosen(train, test, features)


def _options(train: Sequence[BlindItem], test: Sequence[BlindItem]) -> F64:
    """Words of the options, and how each stands among the others, without the question."""

    def features(item: BlindItem, candidate: Any) -> list[str]:
        words = re.findall(r"[a-z']+|\d+", item.options[candidate].casefold())
        pairs = [" ".join(pair) for pair in itertools.pairwise(words)]
        numbers = [_first_number(option) for option in item.options]
        place = []
        if all(n is not None for n in numbers):
            place = [f"rank {sorted(numbers).index(numbers[candidate])}"]  # type: ignore[type-var]
        steps = len(re.findall(r"\b\d+\.", item.options[candidate]))
        return [*dict.fromkeys(words), *pairs, *place, f"steps {steps}", f"place {candidate}"]

    return _chosen(train, test, features)


def _length(train: Sequence[BlindItem], test: Sequence[BlindItem]) -> F64:
    """Which option is longest, shortest, or nearest to the others in length."""

    def features(item: BlindItem, candidate: Any) -> list[str]:
        sizes = [len(option) for option in item.options]
        rank = sorted(sizes).index(sizes[candidate])
        return [
            f"rank {rank}",
            f"size {sizes[candidate] // 8}",
            f"same {sizes.count(sizes[candidate])}",
        ]

    return _chosen(train, test, features)


def _chosen(
    train: Sequence[BlindItem],
    test: Sequence[BlindItem],
    features: Callable[[BlindItem, Any], list[str]],
) -> F64:
    """A logistic model over the candidates of each question, by gradient descent (Adagrad)."""
    answers = sorted({item.answer for item in train if not item.options}, key=repr)
    index: dict[str, int] = {}

    def rows_of(items: Sequence[BlindItem]) -> list[tuple[list[Any], list[list[int]]]]:
        rows = []
        for item in items:
            known: list[Any] = list(range(len(item.options))) if item.options else answers
            names = [features(item, candidate) for candidate in known]
            rows.append((known, [[index[n] for n in some if n in index] for some in names]))
        return rows

    counts = Counter(
        name
        for item in train
        for candidate in (range(len(item.options)) if item.options else answers)
        for name in features(item, candidate)
    )
    for name in sorted(counts):
        if counts[name] >= 3:
            index[name] = len(index)
    weights, squares = np.zeros(len(index)), np.full(len(index), 1e-8)
    flat = _flat(rows_of(train), train)
    for _ in range(_EPOCHS):
        scores = np.bincount(flat.row, weights[flat.column], minlength=flat.n_rows) * flat.scale
        gradient = (
            np.bincount(
                flat.column,
                ((_softmax(scores, flat.group) - flat.right) * flat.scale)[flat.row],
                minlength=len(index),
            )
            / len(train)
            + _DECAY * weights
        )
        squares += gradient**2
        weights -= _STEP * gradient / np.sqrt(squares)
    right = []
    for item, (known, columns) in zip(test, rows_of(test), strict=True):
        scores_of = [float(weights[some].sum()) / max(len(some), 1) ** 0.5 for some in columns]
        right.append(known[int(np.argmax(scores_of))] == item.answer)
    return np.array(right, float)


@dataclass(frozen=True)
class _Flat:
    """Candidates of all questions, one after the other."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    group: NDArray[np.int64]
    right: F64
    scale: F64
    n_rows: int


def _flat(rows: Sequence[tuple[list[Any], list[list[int]]]], items: Sequence[BlindItem]) -> _Flat:
    row: list[int] = []
    column: list[int] = []
    group: list[int] = []
    right: list[float] = []
    scale: list[float] = []
    for number, ((known, columns), item) in enumerate(zip(rows, items, strict=True)):
        for candidate, some in zip(known, columns, strict=True):
            row += [len(group)] * len(some)
            column += some
            group.append(number)
            right.append(float(candidate == item.answer))
            scale.append(max(len(some), 1) ** -0.5)
    return _Flat(
        np.array(row, np.int64),
        np.array(column, np.int64),
        np.array(group, np.int64),
        np.array(right),
        np.array(scale),
        len(group),
    )


def _softmax(scores: F64, group: NDArray[np.int64]) -> F64:
    top = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(top, group, scores)
    weights = np.exp(scores - top[group])
    return np.asarray(weights / np.bincount(group, weights)[group])


def _first_number(text: str) -> float | None:
    match = re.search(r"-?\d+(?:\.\d+)?", text)
    return float(match[0]) if match else None
