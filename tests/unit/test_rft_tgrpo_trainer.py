"""T-GRPO on TRL: shuffled prompts, the bonus in the loss's advantages, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from massannot.errors import UsageError
from massannot.rft.tgrpo import TGRPOOptions
from massannot.rft.tiny_model import TinySize, tiny_model, tiny_processor
from massannot.rft.trainer import TGRPOTrainer, shuffled_prompt
from massannot.rft.training_recipes import Recipe, recipe
from massannot.rft.training_rows import TrainingRows, trl_dataset
from massannot.rft.trl_configs import grpo_config

PROFILE = (
    "Motion Profile\n  Video Segment 1: Frame 0...31\n    * Entity: a ball\n"
    "    * Motion: First position <0.00, 0.00, 3.00>, Last Position <1.00, 0.00, 3.00>, "
    "Motion is <1.00, 0.00, 0.00>\n  Video Segment 2: Frame 32...63\n    * Entity: a ball\n"
    "    * Motion: First position <1.00, 0.00, 3.00>, Last Position <3.00, 0.00, 3.00>, "
    "Motion is <2.00, 0.00, 0.00>\n"
)
G = 4
SIZE = TinySize(width=32, layers=1, heads=2, picture_width=8)
SETTINGS = dict(recipe("tiny").grpo) | {"beta": 0.0}
"""Without a model to stay near to: these lie in no folder."""


def conversation(n_frames: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for i in range(n_frames):
        parts += [{"type": "text", "text": f"{i}.00 s:"}, {"type": "image", "image": i}]
    parts += [
        {"type": "text", "text": PROFILE, "role": "profile"},
        {"type": "text", "text": "Motion Profile: does it move?", "role": "question"},
    ]
    return [{"role": "user", "content": parts}]


def images(prompt: list[dict[str, Any]]) -> list[int]:
    return [part["image"] for part in prompt[0]["content"] if part["type"] == "image"]


def texts(prompt: list[dict[str, Any]]) -> list[str]:
    return [part["text"] for part in prompt[0]["content"] if part["type"] == "text"]


@pytest.mark.parametrize("n_frames", [2, 3, 5])
def test_a_shuffle_moves_frames_leaves_times_and_is_never_the_identity(n_frames: int) -> None:
    whole = conversation(n_frames)
    for seed in range(30):
        other = shuffled_prompt(whole, seed=f"{seed}")
        assert other is not None
        assert images(other) != images(whole)
        assert sorted(images(other)) == images(whole)
        assert texts(other) == texts(whole)


@pytest.mark.parametrize("n_frames", [0, 1])
def test_one_frame_is_not_shuffled(n_frames: int) -> None:
    assert shuffled_prompt(conversation(n_frames), seed="0") is None


def test_the_profiles_segments_are_shuffled_where_asked() -> None:
    other = shuffled_prompt(conversation(2), seed="0", profile=True)
    assert other is not None
    profile, question = texts(other)[-2:]
    first, second = profile.split("  Video Segment 2")
    assert "Motion is <2.00" in first
    assert "Motion is <1.00" in second
    assert question == "Motion Profile: does it move?"


@pytest.fixture(scope="module")
def rows() -> TrainingRows:
    from PIL import Image

    picture = Image.new("RGB", (32, 32))
    prompt = [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Moves?"}],
        }
    ]
    row = {"prompt": prompt, "problem_type": "yes_no", "solution": "yes"}
    return TrainingRows(
        tuple(row | {"question_id": f"q{i}", "index": i} for i in range(4)),
        Path(),
        export=[{"images": [picture] * 2}] * 4,
    )


def half_right(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
    """The first two of every four are right."""
    return [float(i % G < G // 2) for i in range(len(prompts))]


def always(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
    return [1.0] * len(prompts)


class Known(TGRPOTrainer):
    """Order helps in the first group and hurts in the second."""

    def _shuffled_accuracies(self, inputs: Any, prompts: Any) -> torch.Tensor:
        nothing = float("nan")
        return torch.tensor([0.0, 0.0, nothing, nothing, 1.0, 1.0, nothing, nothing])


def trainer(
    rows: TrainingRows, folder: Path, *, alpha: float = 0.3, kind: type[TGRPOTrainer] = Known
) -> TGRPOTrainer:
    short = Recipe(
        summary="",
        model=None,
        frames=2,
        template="mass-v1",
        max_completion_tokens=3,
        grpo=SETTINGS | {"per_device_train_batch_size": 2 * G, "num_generations": G},
    )
    processor = tiny_processor(["Moves ? <think> </think> <answer> yes no </answer>"])
    return kind(
        model=tiny_model(processor, size=SIZE),
        reward_funcs=[half_right, always],
        args=grpo_config(short, out=folder, seed=0),
        train_dataset=trl_dataset(rows),
        processing_class=processor,
        tgrpo=TGRPOOptions(alpha=alpha),
    )


@pytest.fixture
def made(rows: TrainingRows, tmp_path: Path) -> Any:
    def make(alpha: float, kind: type[TGRPOTrainer] = Known) -> TGRPOTrainer:
        return trainer(rows, tmp_path, alpha=alpha, kind=kind)

    return make


def advantages_and_gradient(one: TGRPOTrainer, *, scaling: str) -> tuple[list[float], torch.Tensor]:
    """Of the first step's two groups."""
    one.scale_rewards = scaling
    one.model.train()
    torch.manual_seed(0)
    batch = [one.train_dataset[i // G] for i in range(2 * G)]
    scored = one._generate_and_score_completions(batch)
    one.current_gradient_accumulation_steps = 1
    one.model.zero_grad()
    one.compute_loss(one.model, scored).backward()
    gradient = torch.cat([p.grad.ravel() for p in one.model.parameters() if p.grad is not None])
    return scored["advantages"].tolist(), gradient


def test_the_bonus_changes_the_loss_over_the_batch_and_cancels_over_the_group(made: Any) -> None:
    with_bonus, without = made(0.3), made(0.0)
    plain, plain_gradient = advantages_and_gradient(without, scaling="batch")
    found, gradient = advantages_and_gradient(with_bonus, scaling="batch")
    # 0.575 / 0.625071 and so on: tests/unit/test_rft_tgrpo.py, worked out by hand.
    assert found == pytest.approx(
        [1.0397, 1.0397, -1.0397, -1.0397, 0.79978, 0.79978, -0.79978, -0.79978], abs=1e-4
    )
    assert len(set(map(abs, plain))) == 1
    cosine = torch.nn.functional.cosine_similarity(gradient, plain_gradient, dim=0)
    assert cosine < 0.9999

    found, gradient = advantages_and_gradient(with_bonus, scaling="group")
    plain, plain_gradient = advantages_and_gradient(without, scaling="group")
    assert found == pytest.approx(plain, abs=1e-3)
    assert (gradient - plain_gradient).norm() < 1e-3 * plain_gradient.norm()


def test_half_of_each_group_is_answered_again_with_its_frames_shuffled(made: Any) -> None:
    seen: list[Any] = []

    class Watched(TGRPOTrainer):
        def _answers(self, prompts: Any, *, n_generations: int) -> Any:
            seen.extend(prompts)
            return super()._answers(prompts, n_generations=n_generations)

    one = made(0.3, Watched)
    one.model.train()
    one._generate_and_score_completions([one.train_dataset[i // G] for i in range(2 * G)])
    assert len(seen) == 2 * G // 2
    assert "tgrpo/gate" in one._metrics["train"]


def test_scaling_over_the_group_is_refused(rows: TrainingRows, tmp_path: Path) -> None:
    from dataclasses import replace

    processor = tiny_processor(["Moves ?"])
    tiny = replace(recipe("tiny"), grpo=SETTINGS, tgrpo=TGRPOOptions(scaling="group"))
    with pytest.raises(UsageError, match='expected "batch" or "none"'):
        TGRPOTrainer(
            model=tiny_model(processor, size=SIZE),
            reward_funcs=[half_right, always],
            args=grpo_config(tiny, out=tmp_path, seed=0),
            train_dataset=trl_dataset(rows),
            processing_class=processor,
        )


def test_a_video_part_is_refused_before_anything_is_generated(made: Any) -> None:
    prompt = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "Moves?"}]}]
    with pytest.raises(UsageError, match="drops pixel_values_videos from the loss"):
        made(0.3)._tokenize_prompts([prompt])
