"""A dry run counts the weights of the published models and finds what its settings name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massannot.rft.memory import memory_estimate
from massannot.rft.training_recipes import ModelSizes, Recipe, recipe

PUBLISHED_G = {"qwen2_5_vl_7b": 8.29, "qwen3_vl_8b": 8.77}
"""Weights as the models' cards round them, in thousands of millions."""


def sizes(of: Recipe) -> ModelSizes:
    assert of.sizes is not None
    return of.sizes


@pytest.mark.parametrize("name", PUBLISHED_G)
def test_a_model_has_as_many_weights_as_its_card_says(name: str) -> None:
    of = replace(recipe(name), lora=None)
    found = memory_estimate(of, sizes(of), method="sft", n_places=0, choice=None)
    assert found.n_weights / 1e9 == pytest.approx(PUBLISHED_G[name], abs=0.005)
    assert found.n_trained == found.n_weights


def test_with_lora_and_a_selector_both_are_trained_and_nothing_else() -> None:
    """The selector twice: peft keeps the one that it began with."""
    of = recipe("qwen2_5_vl_7b_geometry")
    plain = memory_estimate(of, sizes(of), method="tgrpo", n_places=0, choice=None)
    both = memory_estimate(of, sizes(of), method="tgrpo", n_places=32, choice="selected")
    selector = both.n_trained - plain.n_trained
    assert both.n_weights - plain.n_weights == 2 * selector
    assert 1e6 < selector < 3e7
    assert both.n_tokens == plain.n_tokens + 32
    gib = both.parts
    assert gib["frozen weights, 2 bytes"] == pytest.approx(15.4, abs=0.2)
    assert "keys and values of generation" in gib


def test_a_module_that_the_model_does_not_have_is_an_error() -> None:
    of = replace(recipe("qwen2_5_vl_7b"), lora={"r": 4, "target_modules": ["no_such_proj"]})
    with pytest.raises(ValueError, match="no_such_proj"):
        memory_estimate(of, sizes(of), method="sft", n_places=0, choice=None)
