"""Training recipes: the model, the frames and the profile it sees, the rewards and the settings.

A recipe is a value of this file, found by its name, or the value RECIPE of a file or module of the
user's own: `massannot rft train ./my_recipe.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from massannot import plugins
from massannot.errors import UsageError
from massannot.questions.profile_blocks import Template
from massannot.rft.tgrpo import TGRPOOptions

Method = Literal["sft", "grpo", "tgrpo"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Supervised steps of the tiny model on the words of its data, before a method is compared."""

    steps: int
    scenes: int
    """A step."""
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """A model's published configuration, as far as it says how many weights it has."""

    model_type: str
    """As transformers names it."""
    text: Mapping[str, Any]
    vision: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class GeometryTokens:
    """Of prompts with geometry; their files come from `massannot export geometry`."""

    selected: int
    """Tokens of the selector."""
    all: int
    """Tokens of all points, pooled: a square number for each frame of the files."""
    width: int
    """Of the selector."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way of training; `massannot rft train` changes only its number of steps."""

    summary: str
    model: str | None
    """A hub id; None: the tiny model, which has learned to see scenes and no more."""
    frames: int
    template: Template
    max_completion_tokens: int
    grpo: Mapping[str, Any]
    """Arguments of trl.GRPOConfig, with and without the bonus for order."""
    sft: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of trl.SFTConfig."""
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
    geometry: GeometryTokens = GeometryTokens(selected=32, all=512, width=512)
    """DSR Suite's 32 queries."""
    sizes: ModelSizes | None = None
    """Of the model, for --dry-run."""
    evidence: str = "frames+profile"
    """Of its prompts, where `--evidence` says nothing."""


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
    summary="a LLaVA of a third of a million weights that sees scenes, on a CPU; minutes",
    model=None,
    frames=4,
    template="mass-v1",
    max_completion_tokens=6,
    balanced=True,
    warm_up=WarmUp(steps=300, scenes=16, learning_rate=5e-4),
    geometry=GeometryTokens(selected=8, all=64, width=64),
    grpo={
        "max_steps": 24,
        "per_device_train_batch_size": 256,  # 64 questions, each answered 4 times
        "num_generations": 4,
        "learning_rate": 3e-4,  # at 1e-3 it took back what supervised tuning had taught
        "lr_scheduler_type": "linear",
        "warmup_steps": 6,  # Adam's first steps are large; without, one letter becomes sure
        "adam_beta2": 0.98,
        "max_grad_norm": 1.0,
        "beta": 0.2,  # without, answers to a family not yet learned become sure, and stay wrong
        "loss_type": "grpo",
        "logging_steps": 5,
        "save_steps": 20,
    },
    sft={
        "max_steps": 600,
        "per_device_train_batch_size": 64,  # as many questions as a step of reinforcement
        "learning_rate": 1e-3,  # at 2e-3 the model forgot what it saw
        "lr_scheduler_type": "linear",
        "warmup_steps": 15,
        "adam_beta2": 0.98,
        "max_grad_norm": 1.0,
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
    sizes=ModelSizes(
        model_type="qwen2_5_vl",
        text={
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
        },
        vision={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "patch_size": 14,
            "out_hidden_size": 3584,
            "fullatt_block_indexes": [7, 15, 23, 31],
        },
    ),
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
    sft={  # Video-R1's cold start; ten times its rate, for LoRA
        "num_train_epochs": 1,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 16,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "cosine",
        "weight_decay": 0.01,
        "max_grad_norm": 5.0,
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

QWEN2_5_VL_7B_GEOMETRY = replace(
    QWEN2_5_VL_7B,
    summary="the same with selected geometry tokens in place of the profile; not run",
    evidence="frames+geometry",
    frames=32,
    template="mass-v2",
)

QWEN3_VL_8B = replace(
    QWEN2_5_VL_7B,
    summary="Qwen3-VL-8B with the settings of qwen2_5_vl_7b; needs GPUs; not run",
    model="Qwen/Qwen3-VL-8B-Instruct",
    sizes=ModelSizes(
        model_type="qwen3_vl",
        text={
            "vocab_size": 151936,
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
        },
        vision={
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_heads": 16,
            "patch_size": 16,
            "out_hidden_size": 4096,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [8, 16, 24],
        },
    ),
)

_RECIPES = {
    "tiny": TINY,
    "qwen2_5_vl_7b": QWEN2_5_VL_7B,
    "qwen2_5_vl_7b_evidence": QWEN2_5_VL_7B_EVIDENCE,
    "qwen2_5_vl_7b_geometry": QWEN2_5_VL_7B_GEOMETRY,
    "qwen3_vl_8b": QWEN3_VL_8B,
}
