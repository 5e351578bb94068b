"""Exact one-to-one assignment: which rows go with which columns at the least total cost.

The shortest augmenting path method of Jonker and Volgenant in Crouse's rectangular form (2016):
rows enter one by one, each along the cheapest chain of reassignments, which the running prices of
rows and columns make findable by Dijkstra's search. O(n^3) at worst; exact, not greedy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
Indices = NDArray[np.int64]


def least_cost_pairs(cost: ArrayLike) -> tuple[Indices, Indices]:
    """Rows and columns (min(R, C),) of the cheapest assignment of a matrix (R, C), rows ascending.

    Every row has a column or every column a row. ValueError for costs that are not finite.
    """
    costs = np.asarray(cost, np.float64)
    if costs.ndim != 2 or not np.isfinite(costs).all():
        raise ValueError(f"cost: found shape {costs.shape}, expected a finite matrix (R, C)")
    if costs.shape[0] > costs.shape[1]:
        column, row = least_cost_pairs(costs.T)
        order = np.argsort(row)
        return row[order], column[order]
    column_of, row_of = np.full(costs.shape[0], -1), np.full(costs.shape[1], -1)
    row_price, column_price = np.zeros(costs.shape[0]), np.zeros(costs.shape[1])
    for entering in range(costs.shape[0]):
        _enter(entering, costs, column_of, row_of, row_price, column_price)
    return np.arange(costs.shape[0]), column_of


def best_pairs(similarity: ArrayLike, *, least: float) -> tuple[Indices, Indices]:
    """Rows and columns of the one-to-one pairs with the greatest total similarity, rows ascending.

    Only pairs of at least `least`, which must be positive, count and are returned. NaN: no pair.
    """
    if least <= 0:
        raise ValueError(f"least similarity: found {least}, expected a positive number")
    scores = np.asarray(similarity, np.float64)
    allowed = scores >= least
    row, column = least_cost_pairs(-np.where(allowed, scores, 0.0))
    valid = allowed[row, column]
    return row[valid], column[valid]


def _enter(
    row: int,
    costs: F64,
    column_of: Indices,
    row_of: Indices,
    row_price: F64,
    column_price: F64,
) -> None:
    """Give one more row a column, changing the assignment and the prices in place."""
    distance = np.full(costs.shape[1], np.inf)
    came_from = np.full(costs.shape[1], -1)
    closed = np.zeros(costs.shape[1], np.bool_)
    at, reached = row, 0.0
    while True:
        here = reached + costs[at] - row_price[at] - column_price
        shorter = ~closed & (here < distance)
        distance[shorter], came_from[shorter] = here[shorter], at
        column = int(np.where(closed, np.inf, distance).argmin())
        reached = float(distance[column])
        closed[column] = True
        if row_of[column] < 0:
            break
        at = int(row_of[column])

    gain = reached - distance[closed]
    owner = row_of[closed]
    row_price[row] += reached
    row_price[owner[owner >= 0]] += gain[owner >= 0]
    column_price[closed] -= gain

    while column >= 0:  # each row on the path takes the column it reached, and leaves its own
        taker = int(came_from[column])
        row_of[column] = taker
        column, column_of[taker] = int(column_of[taker]), column
