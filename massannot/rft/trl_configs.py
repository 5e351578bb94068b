"""TRL's settings of a recipe; on a machine without CUDA, their CPU form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from massannot.rft.run_folder import CHECKPOINTS
from massannot.rft.training_recipes import Recipe


def sft_config(recipe: Recipe, *, out: Path, seed: int) -> Any:
    """The recipe's trl.SFTConfig."""
    from trl import SFTConfig

    return SFTConfig(
        max_length=None,  # a cut prompt has fewer pictures than it names
        remove_unused_columns=False,  # pictures are found by a column that TRL does not know
        **_config(recipe.sft, out=out, seed=seed),
    )


def grpo_config(recipe: Recipe, *, out: Path, seed: int) -> Any:
    """The recipe's trl.GRPOConfig."""
    from trl import GRPOConfig

    return GRPOConfig(
        max_completion_length=recipe.max_completion_tokens,
        scale_rewards=recipe.tgrpo.scaling,
        log_multimodal=False,
        **_config(recipe.grpo, out=out, seed=seed),
    )


def _config(settings: Mapping[str, Any], *, out: Path, seed: int) -> dict[str, Any]:
    import torch

    cuda = torch.cuda.is_available()
    common = {
        "output_dir": str(out / CHECKPOINTS),
        "seed": seed,
        "use_cpu": not cuda,
        "report_to": ["tensorboard"],
        "save_total_limit": 2,
        "disable_tqdm": True,
        "gradient_checkpointing": False,
    }
    return common | dict(settings) | {"bf16": settings.get("bf16", False) and cuda}
