"""Recipes: what to train, on which frames and profile, with which rewards; one a file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from massannot.errors import UsageError
from massannot.questions.profile import Template
from massannot.rft.tgrpo import TGRPOOptions


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Supervised steps from nothing, before reinforcement."""

    steps: int
    scenes: int
    """A step."""
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    summary: str
    model: str | None
    """A hub id; None: a tiny model, untrained."""
    frames: int
    template: Template
    max_completion_tokens: int
    grpo: Mapping[str, Any]
    """Arguments of trl.GRPOConfig."""
    balanced: bool = False
    """Questions of rarer categories are repeated until all are as frequent."""
    rewards: tuple[str, ...] = ("accuracy", "format")
    tgrpo: TGRPOOptions = field(default_factory=TGRPOOptions)
    shuffle_profile: bool = False
    """With the profile in order the bonus says little; off, as the papers have it."""
    lora: Mapping[str, Any] | None = None
    """Arguments of peft.LoraConfig; None: all weights are trained."""
    warm_up: WarmUp | None = None


@cache
def names() -> tuple[str, ...]:
    """Every recipe; imports none."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))


def recipe(name: str) -> Recipe:
    """Raises UsageError naming those there are."""
    if name not in names():
        raise UsageError(f"no recipe {name!r}; recipes: {', '.join(names())}")
    module: Any = importlib.import_module(f"{__name__}.{name}")
    return cast(Recipe, module.RECIPE)
