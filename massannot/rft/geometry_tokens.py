"""Points of `export geometry` as numbers for a selector, and the places of its tokens in a prompt.

TRL hands a model ids and pictures and nothing else, and changes the order of rows on the way. So
the places that geometry tokens take in a prompt are themselves its address: their ids are digits,
which spell the row's number in a bank. The model never reads them, for what the embedding says of
them is replaced (geometry_selector.py). A bank entry also has the question's ids, so that nothing
of an answer that stands behind the question can reach the selector.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.errors import UsageError
from massannot.storage.safetensors_file import read_safetensors

F32 = NDArray[np.float32]
BASE = 16
DIGITS = tuple(f"<g{digit}>" for digit in range(BASE))
"""Words that only stand where geometry tokens go."""
N_DIGITS = 4
SELECTOR = "geometry_selector"
"""The selector's attribute in a model, and the first word of its weights' names."""
N_FEATURES = 69
NOTHING = 0
"""The thing of a point on no thing; others count from 1."""
_METRES = 4.0  # rooms are a few of these long
_STEPS_M = np.arange(-3, 6.5, 0.5)


@dataclass(frozen=True, eq=False)
class ClipGeometry:
    """P points of a clip."""

    features: F32
    """(P, N_FEATURES)."""
    valid: NDArray[np.bool_]
    """(P,)."""
    thing: NDArray[np.int64]
    """(P,) NOTHING, or the position in `names` plus 1."""
    names: tuple[str, ...]
    grid: tuple[int, int, int]
    """(T, G, G), whose product is P."""


@lru_cache(maxsize=65536)
def clip_geometry(path: Path) -> ClipGeometry:
    """The points of a file. Raises UsageError for a file of another kind."""
    arrays, about = read_safetensors(path)
    missing = {"points", "valid", "sigma", "entity", "times_s"} - set(arrays)
    if missing:
        raise UsageError(f"{path}: found no {min(missing)}, expected `massannot export geometry`")
    names = json.loads(about.get("entities", "{}"))
    return points_of(arrays, {int(entity): name for entity, name in names.items()})


def points_of(arrays: Mapping[str, NDArray[Any]], names: Mapping[int, str]) -> ClipGeometry:
    """The points of the arrays of such a file; `names`: of its entities."""
    entities = sorted(names)
    thing = np.zeros(arrays["entity"].size, np.int64)
    for number, entity in enumerate(entities, start=1):
        thing[arrays["entity"].ravel() == entity] = number
    valid = arrays["valid"].ravel().copy()
    return ClipGeometry(
        features=_features(arrays) * valid[:, None],
        valid=valid,
        thing=thing,
        names=tuple(names[entity] for entity in entities),
        grid=arrays["valid"].shape,
    )


def _features(arrays: Mapping[str, NDArray[Any]]) -> F32:
    """(P, N_FEATURES): the place, in metres and in soft steps, the time, the place in the
    picture, whether the point is on a thing, and how sure its distance is (as a share; 0 and 0
    where not known)."""
    n_frames, rows, columns = arrays["valid"].shape
    points = arrays["points"].reshape(-1, 3).astype(np.float64)
    times = arrays["times_s"] - arrays["times_s"][0]
    times = np.broadcast_to(times[:, None, None], arrays["valid"].shape).ravel()
    share_of_clip = times / max(times.max(), 1e-6)
    down, across = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    in_picture = np.tile(np.stack([across.ravel(), down.ravel()], 1), (n_frames, 1))
    sigma = arrays["sigma"].ravel().astype(np.float64)
    known = np.isfinite(sigma)
    share = np.where(known, sigma, 0) / np.maximum(np.linalg.norm(points, axis=1), 1e-6)
    return np.column_stack(
        [
            points / _METRES,
            np.tanh(2 * (points[:, :, None] - _STEPS_M)).reshape(len(points), -1),
            times,
            np.cos(np.pi * share_of_clip[:, None] * np.arange(1, 4)),
            in_picture,
            arrays["entity"].ravel() >= 0,
            share,
            known,
        ]
    ).astype(np.float32)


@dataclass(frozen=True, eq=False)
class BankEntry:
    """One row of questions."""

    geometry: ClipGeometry
    names: tuple[tuple[int, ...], ...]
    """Ids of each thing's name."""
    question: tuple[int, ...]
    """Ids of the question."""


Bank = Sequence[BankEntry]


def placeholder(number: int, n_tokens: int) -> str:
    """The words of `n_tokens` places that spell `number`. Raises UsageError where it or they do
    not fit."""
    if n_tokens < N_DIGITS or not 0 <= number < BASE**N_DIGITS:
        raise UsageError(
            f"geometry tokens: found row {number} with {n_tokens} places, expected rows below "
            f"{BASE**N_DIGITS} and at least {N_DIGITS} places"
        )
    digits = [number // BASE**place % BASE for place in range(N_DIGITS)]
    return "".join(DIGITS[digit] for digit in [*digits, *[0] * (n_tokens - N_DIGITS)])


def bank_of(rows: Sequence[Mapping[str, Any]], tokenizer: Any) -> list[BankEntry]:
    """An entry for each row, which has `geometry`, the file of its clip."""
    entries = []
    for row in rows:
        geometry = clip_geometry(Path(row["geometry"]))
        question = question_of(row)
        entries.append(
            BankEntry(
                geometry=geometry,
                names=tuple(tuple(_ids(tokenizer, name)) for name in geometry.names),
                question=tuple(_ids(tokenizer, question)),
            )
        )
    return entries


def question_of(row: Mapping[str, Any]) -> str:
    """The text of a prompt's question: its last part but for the places of geometry tokens."""
    parts = row["prompt"][0]["content"]
    return str([part for part in parts if part.get("role") != "geometry"][-1]["text"])


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
