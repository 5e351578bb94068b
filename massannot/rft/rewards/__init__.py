"""Rewards by name: one a file in this folder, imported only when it is named.

Each file has `reward(completion, *, expected) -> float`, a pure function of the standard library,
0 to 1 unless its docstring says otherwise. A new file is a new reward.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from massannot.errors import UsageError
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion


class Reward(Protocol):
    """How much a completion is worth."""

    def __call__(self, completion: Completion, *, expected: Expected) -> float: ...


@cache
def names() -> tuple[str, ...]:
    """Every reward; imports none."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))


def reward(name: str) -> Reward:
    """The reward of that name. Raises UsageError naming those there are."""
    if name not in names():
        raise UsageError(f"no reward {name!r}; rewards: {', '.join(names())}")
    module: Any = importlib.import_module(f"{__name__}.{name}")
    return cast(Reward, module.reward)
