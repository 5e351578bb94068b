"""Training recipes: the model, the frames and the profile it sees, the rewards and the settings.

A recipe is a value of this file, found by its name, or the value RECIPE of a file or module of the
user's own: `massannot rft train ./my_recipe.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from massannot import plugins
from massannot.errors import UsageError
from massannot.questions.profile_blocks import Template
from massannot.rft.tgrpo import TGRPOOptions


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Supervised steps of an untrained model, before reinforcement."""

    steps: int
    scenes: int
    """A step."""
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way of training; `massannot rft train` changes only its number of steps."""

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
    """Names as `rewards.reward` takes them."""
    tgrpo: TGRPOOptions = field(default_factory=TGRPOOptions)
    shuffle_profile: bool = False
    """With the profile in order the bonus is nearly constant; off, as in the papers."""
    lora: Mapping[str, Any] | None = None
    """Arguments of peft.LoraConfig; None: all weights are trained."""
    warm_up: WarmUp | None = None


def names() -> tuple[str, ...]:
    """The recipes of this file, in alphabetical order."""
    return tuple(sorted(_RECIPES))


def recipe(name: str) -> Recipe:
    """The recipe of a name, of a file or of a module. Raises UsageError with the names there are,
    and for a file without a RECIPE."""
    if not plugins.is_outside(name):
        if name not in _RECIPES:
            raise UsageError(
                f"no recipe {name!r}; recipes: {', '.join(names())}, or a file of yours such as "
                "./mine.py"
            )
        return _RECIPES[name]
    value = getattr(plugins.outside_module(name, kind="recipe"), "RECIPE", None)
    if not isinstance(value, Recipe):
        raise UsageError(
            f"recipe {name}: found {type(value).__name__} as RECIPE, expected "
            "massannot.rft.training_recipes.Recipe"
        )
    return value


TINY = Recipe(
    summary="a LLaVA of a third of a million weights from nothing, on a CPU; minutes",
    model=None,
    frames=4,
    template="mass-v1",
    max_completion_tokens=6,
    balanced=True,
    warm_up=WarmUp(steps=80, scenes=32, learning_rate=3e-3),
    grpo={
        "max_steps": 160,
        "per_device_train_batch_size": 256,  # 64 questions, each answered 4 times
        "num_generations": 4,
        "learning_rate": 2e-3,
        "lr_scheduler_type": "linear",
        "warmup_steps": 15,  # Adam's first steps are large; without, one letter becomes sure
        "adam_beta2": 0.98,
        "max_grad_norm": 1.0,
        "beta": 0.2,  # without, answers to a family not yet learned become sure, and stay wrong
        "loss_type": "grpo",
        "logging_steps": 5,
        "save_steps": 20,
    },
)

# Video-R1 has one prompt in a step and scales by the group, where the bonus for order cancels; here
# four prompts share a step, so that scaling by the batch can tell groups apart.
QWEN2_5_VL_7B = Recipe(
    summary="the paper's model with Video-R1's hyper-parameters; needs GPUs; not run",
    model="Qwen/Qwen2.5-VL-7B-Instruct",
    frames=16,
    template="mass-v2",
    max_completion_tokens=768,
    rewards=("accuracy", "format", "length"),
    lora={"r": 64, "lora_alpha": 128, "lora_dropout": 0.05, "target_modules": "all-linear"},
    grpo={
        "max_steps": 1200,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 4,
        "num_generations": 8,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "cosine",
        "weight_decay": 0.01,
        "max_grad_norm": 5.0,
        "beta": 0.04,
        "loss_type": "grpo",
        "temperature": 1.0,
        "top_p": 0.95,
        "bf16": True,
        "gradient_checkpointing": True,
        "logging_steps": 1,
        "save_steps": 100,
    },
)

QWEN2_5_VL_7B_EVIDENCE = replace(
    QWEN2_5_VL_7B,
    summary="the same, and rewarded for cited times and boxes; export with --cite; not run",
    rewards=("accuracy", "format", "length", "evidence_time", "evidence_box"),
)

_RECIPES = {
    "tiny": TINY,
    "qwen2_5_vl_7b": QWEN2_5_VL_7B,
    "qwen2_5_vl_7b_evidence": QWEN2_5_VL_7B_EVIDENCE,
}
