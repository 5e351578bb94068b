"""What the tiny model's tokenizer reads, and how its weights begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trl.trainer.utils import create_model_from_path

from massannot.rft.tiny_model import TinySize, read_tiny, tiny_model, tiny_processor

LINE = "    * Motion: First position <0.68, -0.73, 3.72>, Motion is <-0.05, 0.39, -0.12>"
ASKED = "At the end, which is nearer to the camera?\nA. the cylinder"
FORM = "First reason between <think> and </think>, then give only the answer."
WORDS = [LINE, ASKED, FORM, "0.66 s:", "<think> </think> <answer> A </answer>", "12 m/s"]


@pytest.fixture(scope="module")
def processor() -> Any:
    return tiny_processor(WORDS)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param(
            LINE,
            ["* Motion: First position", "0.6", "-0.7", "3.7", "Motion is", "-0.0", "0.3", "-0.1"],
            id="of a number its first decimal",
        ),
        pytest.param(
            ASKED,
            ["At the end", "which is nearer to the camera?", "A. the cylinder"],
            id="wording up to a comma or the line's end",
        ),
        pytest.param("0.66 s:\n<image>", ["0.66 s:", "<image>"], id="a frame's time as it stands"),
        pytest.param(FORM, [FORM], id="how to answer, tags and all"),
        pytest.param(
            "<answer> A </answer>", ["<answer>", "A", "</answer>"], id="an answer and its tags"
        ),
        pytest.param("12", ["12"], id="a whole number"),
        pytest.param("-9.99 m/s", ["-9.9", "m/s"], id="the largest number, and a unit"),
        pytest.param("10.31 m/s", ["<unknown>", "m/s"], id="a larger one is unknown"),
    ],
)
def test_what_a_text_is_read_as(processor: Any, text: str, tokens: list[str]) -> None:
    read = processor.tokenizer.convert_ids_to_tokens(processor.tokenizer(text)["input_ids"])
    assert read == tokens


def test_nearer_numbers_begin_with_nearer_embeddings(processor: Any) -> None:
    weight = tiny_model(processor, size=TinySize(width=32, layers=1)).get_input_embeddings().weight

    def row(number: float) -> torch.Tensor:
        return weight[processor.tokenizer.convert_tokens_to_ids(f"{number:.1f}")].detach()

    apart = [(row(1.0) - row(other)).norm() for other in (1.0, 1.1, 1.3, 2.0, 3.0)]
    assert apart == sorted(apart)
    assert (row(-1.0) - row(1.0)).norm() > (row(-1.0) - row(-1.1)).norm()


def test_trl_reads_the_model_that_it_keeps_near_to_from_its_folder(
    processor: Any, tmp_path: Path
) -> None:
    model = tiny_model(processor, size=TinySize(width=32, layers=1))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    policy, _ = read_tiny(tmp_path)
    again = create_model_from_path(policy.config._name_or_path)
    saved = model.state_dict()
    assert all(torch.equal(saved[name], found) for name, found in again.state_dict().items())
    assert type(again) is type(model)
