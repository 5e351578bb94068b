"""T-GRPO on TRL's GRPOTrainer: each group is also answered with its frames shuffled, and right
answers in order earn a bonus if order did not hurt. The arithmetic stands in `tgrpo.py`.

Shuffled completions never enter the loss. The bonus needs `scale_rewards` "batch" or "none": over a
group's own deviation it cancels, so that setting is refused. Video parts are refused before
anything is generated: TRL 1.16 would train on a loss that does not see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import torch
from accelerate.utils import gather
from trl import GRPOTrainer, SFTTrainer

from massannot.errors import UsageError
from massannot.questions.profile_blocks import profile_blocks
from massannot.rft.tgrpo import (
    DEFAULTS,
    Group,
    TGRPOOptions,
    rewards,
    shuffled_order,
    shuffled_size,
)
from massannot.rft.trl_rewards import RewardFunction, refuse_video


def temporal(prompts: Sequence[Any], **columns: Any) -> list[float]:
    """Holds the bonus's column among TRL's rewards; the trainer fills it."""
    return [0.0] * len(prompts)


class WholeCheckpoints:
    """Of a trainer that goes on from a checkpoint: all weights come back, or it stops. Transformers
    only warns, and trains on with those that it began with."""

    model: Any

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        tied = set(getattr(self.model, "all_tied_weights_keys", {}))
        lost = sorted({*load_result.missing_keys} - tied)
        if lost or load_result.unexpected_keys:
            raise UsageError(
                f"checkpoint: found no {len(lost)} of the model's weights in it, {lost[:1]}, and "
                f"{len(load_result.unexpected_keys)} others, {load_result.unexpected_keys[:1]}; "
                "expected those that were trained"
            )
        if load_result.missing_keys:
            self.model.tie_weights()


class SupervisedTrainer(WholeCheckpoints, SFTTrainer):
    """TRL's, learning the completion of a prompt with its pictures."""


class FramesTrainer(WholeCheckpoints, GRPOTrainer):
    """GRPO of TRL, which refuses videos."""

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        refuse_video(prompts)
        return super()._tokenize_prompts(prompts)


class TGRPOTrainer(FramesTrainer):
    """`reward_funcs`: accuracy first, then format. Rows need `question_id`; frames are the image
    parts of the prompt, and the profile is the part of that role.

    `shuffle_profile`: shuffle the profile's segments with the frames. With the profile in order,
    the text gives away the order of the frames, and the bonus is nearly constant.
    """

    def __init__(
        self,
        *args: Any,
        reward_funcs: Sequence[RewardFunction],
        tgrpo: TGRPOOptions = DEFAULTS,
        shuffle_profile: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, reward_funcs=[*reward_funcs, temporal], **kwargs)
        if self.scale_rewards == "group":
            raise UsageError(
                'T-GRPO: found scale_rewards="group", expected "batch" or "none": '
                "over the group's own deviation the bonus for order cancels"
            )
        self.tgrpo = tgrpo
        self.shuffle_profile = shuffle_profile

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: Any, ids: Any
    ) -> torch.Tensor:
        # (N of all ranks, R)
        rewards_NR = super()._calculate_rewards(inputs, prompts, completions, ids)
        if self.model.training:
            shuffled = gather(self._shuffled_accuracies(inputs, prompts).to(rewards_NR.device))
            rewards_NR[:, -1] = self._bonuses(rewards_NR[:, 0], shuffled)
        return rewards_NR

    def _shuffled_accuracies(
        self, inputs: list[dict[str, Any]], prompts: list[Any]
    ) -> torch.Tensor:
        """(n,) accuracies of the shuffled completions of this rank's rows; NaN where there is none.

        The first G/2 rows of every group are answered again, wherever a rank's share begins.
        """
        accuracies = torch.full((len(prompts),), float("nan"))
        offset = self.accelerator.process_index * len(prompts)
        half = shuffled_size(self.num_generations)
        repeated: list[int] = []
        others: list[Any] = []
        for row, (item, prompt) in enumerate(zip(inputs, prompts, strict=True)):
            seed = f"{self.args.seed}/{self.state.global_step}/{item['question_id']}"
            if (offset + row) % self.num_generations < half:
                other = shuffled_prompt(prompt, seed=seed, profile=self.shuffle_profile)
                if other is not None:
                    repeated.append(row)
                    others.append(other)
        if repeated:
            completions_again = self._answers(others, n_generations=half)
            columns = {
                name: [inputs[row][name] for row in repeated]
                for name in inputs[0]
                if name != "prompt"
            }
            earned = self.reward_funcs[0](prompts=others, completions=completions_again, **columns)
            accuracies[repeated] = torch.tensor(earned)
        return accuracies

    def _answers(self, prompts: list[Any], *, n_generations: int) -> list[Any]:
        ids, images, fields = self._tokenize_prompts(prompts)
        tokens, _ = self._generate_single_turn(ids, images, fields, n_generations)
        texts = self.processing_class.batch_decode(tokens, skip_special_tokens=True)
        return [[{"role": "assistant", "content": text}] for text in texts]

    def _bonuses(self, accuracies: torch.Tensor, shuffled: torch.Tensor) -> torch.Tensor:
        """(N,) from the accuracies of all ranks' rows, groups of G in a row."""
        bonuses: list[float] = []
        size = self.num_generations
        for ordered, other in zip(accuracies.split(size), shuffled.split(size), strict=True):
            known = other[~other.isnan()].tolist()
            earned = rewards(Group(ordered=ordered.tolist(), shuffled=known), options=self.tgrpo)
            bonuses += earned.temporal
            if earned.gate is not None:
                self._metrics["train"]["tgrpo/gate"].append(float(earned.gate))
                self._metrics["train"]["tgrpo/shuffled_accuracy"].append(sum(known) / len(known))
        return torch.tensor(bonuses, device=accuracies.device)


def shuffled_prompt(
    prompt: list[dict[str, Any]], *, seed: str, profile: bool = False
) -> list[dict[str, Any]] | None:
    """The conversation with its images in another order, the text between them in its place.

    `profile`: its segments too, in an order of their own. None: fewer than two images.
    """
    images = [part for _, part in _parts(prompt) if part["type"] == "image"]
    order = shuffled_order(len(images), seed=seed)
    if order is None:
        return None
    position = count()
    return [
        {**message, "content": message["content"]}
        if isinstance(message["content"], str)
        else {
            **message,
            "content": [
                images[order[next(position)]]
                if part["type"] == "image"
                else _shuffled_profile(part, seed=seed)
                if profile
                else part
                for part in message["content"]
            ],
        }
        for message in prompt
    ]


def _parts(prompt: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    return [
        (number, part)
        for number, message in enumerate(prompt)
        if not isinstance(message["content"], str)
        for part in message["content"]
    ]


def _shuffled_profile(part: dict[str, Any], *, seed: str) -> dict[str, Any]:
    if part.get("role") != "profile":
        return part
    blocks = profile_blocks(part["text"])
    order = shuffled_order(len(blocks.segments), seed=f"{seed}/profile")
    return part if order is None else {**part, "text": blocks.shuffled(order).text}
