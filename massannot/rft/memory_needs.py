"""A training's weights counted and its memory estimated, from the model's published sizes.

The model is built without numbers (torch's meta device), with the recipe's LoRA and its geometry
selector on it: every module that a setting names has to be there, and shapes have to fit. What is
estimated is one GPU that holds everything, without ZeRO, FSDP or vLLM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from massannot.counts import counted
from massannot.rft.geometry_tokens import SELECTOR
from massannot.rft.training_recipes import Method, ModelSizes, Recipe

GIB = 1 << 30
N_TEXT_TOKENS = 1500
"""Of a prompt with a profile, besides pictures; `export --processor` counts the real ones."""
PICTURE_TOKENS = 128
"""Video-R1's 128 * 28 * 28 pixels."""


@dataclass(frozen=True)
class MemoryEstimate:
    n_weights: int
    n_trained: int
    n_tokens: int
    """Of a prompt and its completion."""
    parts: dict[str, float]
    """GiB by what they are for."""

    @property
    def lines(self) -> list[str]:
        weights, trained = self.n_weights / 1e9, self.n_trained / 1e6
        total = sum(self.parts.values())
        return [
            f"  {weights:.2f} G weights, {trained:.1f} M of them trained",
            f"  one GPU, {counted(self.n_tokens, 'token')} a row, estimated: {total:.0f} GiB",
            *(f"    {name}: {gib:.1f} GiB" for name, gib in self.parts.items()),
        ]


def memory_estimate(
    recipe: Recipe, sizes: ModelSizes, *, method: Method, n_places: int, choice: str | None
) -> MemoryEstimate:
    """Of one optimisation step. `n_places`: of geometry tokens in a prompt. Raises what peft and
    transformers raise for names and shapes that do not fit."""
    model = _on_meta(recipe, sizes, n_places=n_places, choice=choice)
    n_weights = sum(weight.numel() for weight in model.parameters())
    trained = [weight.numel() for weight in model.parameters() if weight.requires_grad]
    text = sizes.text
    settings = recipe.sft if method == "sft" else recipe.grpo
    rows = int(settings.get("per_device_train_batch_size", 8))
    completion = recipe.max_completion_tokens
    n_tokens = recipe.frames * PICTURE_TOKENS + N_TEXT_TOKENS + n_places + completion
    layers, width = text["num_hidden_layers"], text["hidden_size"]
    parts = {
        "frozen weights, 2 bytes": 2 * (n_weights - sum(trained)),
        "trained ones with gradient and Adam, 16": 16 * sum(trained),
        "activations between layers": 2 * layers * width * n_tokens * rows,
        "one layer": 2 * (4 * text["intermediate_size"] + 8 * width) * n_tokens * rows,
        "logits": 3 * 4 * text["vocab_size"] * rows * (n_tokens if method == "sft" else completion),
    }
    if method != "sft":
        heads = text["num_key_value_heads"] * text.get(
            "head_dim", width // text["num_attention_heads"]
        )
        parts["keys and values of generation"] = 2 * 2 * layers * heads * n_tokens * rows
    gib = {name: n_bytes / GIB for name, n_bytes in parts.items()}
    return MemoryEstimate(n_weights, sum(trained), n_tokens, gib)


def _on_meta(recipe: Recipe, sizes: ModelSizes, *, n_places: int, choice: str | None) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.for_model(
        sizes.model_type, text_config=dict(sizes.text), vision_config=dict(sizes.vision)
    )
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
        if n_places and choice is not None:
            from massannot.rft.geometry_selector import SelectorOptions, attach

            options: dict[str, Any] = {"choice": choice, "n_tokens": n_places}
            options |= {"width": recipe.geometry.width, "model_width": sizes.text["hidden_size"]}
            attach(model, SelectorOptions(**options))
        if recipe.lora is not None:
            model = get_peft_model(model, LoraConfig(**lora_settings(recipe, model)))
    return model


def lora_settings(recipe: Recipe, model: Any) -> dict[str, Any]:
    """Arguments of peft.LoraConfig; a geometry selector is trained whole and saved beside."""
    settings = {"task_type": "CAUSAL_LM", **(recipe.lora or {})}
    if hasattr(model, SELECTOR):
        settings |= {"modules_to_save": [SELECTOR], "exclude_modules": f".*{SELECTOR}.*"}
    return settings
