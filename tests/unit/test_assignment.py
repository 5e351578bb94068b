"""One-to-one assignment: as cheap as the cheapest of all permutations."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from massannot.geometry.assignment import best_pairs, least_cost_pairs


def least_cost_slowly(cost: np.ndarray) -> float:
    if len(cost) > len(cost[0]):
        cost = cost.T
    columns = permutations(range(cost.shape[1]), cost.shape[0])
    return min(sum(cost[row, column] for row, column in enumerate(chosen)) for chosen in columns)


def best_similarity_slowly(similarity: np.ndarray, least: float) -> float:
    """Over all sets of pairs that share no row and no column."""
    allowed = [tuple(pair) for pair in np.argwhere(similarity >= least)]
    best = 0.0
    for size in range(1, min(similarity.shape) + 1):
        for pairs in combinations(allowed, size):
            if len({r for r, _ in pairs}) == len({c for _, c in pairs}) == size:
                best = max(best, sum(similarity[pair] for pair in pairs))
    return best


@pytest.mark.parametrize("values", [2, 5, 1000], ids=["many ties", "some ties", "few ties"])
def test_the_cost_is_the_least_of_all_permutations(values: int) -> None:
    rng = np.random.default_rng(values)
    for _ in range(150):
        shape = rng.integers(1, 6, 2)
        cost = rng.integers(-values, values, shape).astype(float)
        row, column = least_cost_pairs(cost)
        assert cost[row, column].sum() == least_cost_slowly(cost)
        assert len(row) == len(set(row)) == len(set(column)) == min(shape)
        assert (np.diff(row) > 0).all()


def test_a_greedy_choice_is_given_up_where_it_costs_more() -> None:
    row, column = least_cost_pairs([[1, 2], [1, 9]])
    np.testing.assert_array_equal(np.stack([row, column]), [[0, 1], [1, 0]])


def test_large_problems_agree_with_their_known_answer() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.permutation(60)
    cost = rng.uniform(1, 2, (60, 60))
    cost[np.arange(60), hidden] = rng.uniform(0, 0.9, 60)
    np.testing.assert_array_equal(least_cost_pairs(cost)[1], hidden)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_is_assigned_to_nothing(shape: tuple[int, int]) -> None:
    assert [len(found) for found in least_cost_pairs(np.zeros(shape))] == [0, 0]
    assert [len(found) for found in best_pairs(np.zeros(shape), least=0.5)] == [0, 0]


def test_pairs_below_the_least_similarity_are_left_out() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        similarity = rng.integers(0, 10, rng.integers(1, 5, 2)) / 8
        row, column = best_pairs(similarity, least=0.5)
        assert (similarity[row, column] >= 0.5).all()
        assert similarity[row, column].sum() == best_similarity_slowly(similarity, 0.5)


def test_an_unknown_similarity_is_no_pair() -> None:
    row, column = best_pairs([[np.nan, 0.6], [0.7, np.nan]], least=0.5)
    np.testing.assert_array_equal(np.stack([row, column]), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("cost", "said"),
    [([[1, np.nan]], "finite matrix"), ([[1, np.inf]], "finite matrix"), ([1, 2], r"shape \(2,\)")],
    ids=["unknown", "infinite", "one dimension"],
)
def test_a_cost_that_is_no_number_is_refused(cost: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        least_cost_pairs(cost)


def test_a_least_similarity_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        best_pairs([[1.0]], least=0)
