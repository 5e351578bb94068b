"""TRL: the rewards as `f(prompts, completions, **columns) -> list[float]`, for `reward_funcs`.

The dataset's columns are called as `expected.Expected`'s fields are; TRL hands all of them on.
Every call also refuses prompts with a video part: TRL 1.16 lets the model generate with the video,
then computes the loss without it (`pixel_values_videos` is dropped), and says nothing. Frames
belong into the prompt as images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from massannot.errors import UsageError
from massannot.questions.expected import COLUMNS, Expected
from massannot.rft import rewards
from massannot.rft.completion import Completion

Message = Mapping[str, Any]
Said = str | Sequence[Message]
"""A prompt or completion: plain text, or a conversation."""


class RewardFunction(Protocol):
    """What TRL's `reward_funcs` takes."""

    __name__: str  # the metric's name in TRL's logs

    def __call__(
        self, prompts: Sequence[Said], completions: Sequence[Said], **columns: Any
    ) -> list[float]: ...


def reward_functions(names: Sequence[str] = ("accuracy", "format")) -> list[RewardFunction]:
    """One function for each reward's name, in that order. Raises UsageError for an unknown name."""
    return [_reward_function(name) for name in names]


def refuse_video(prompts: Sequence[Said]) -> None:
    """Raises UsageError for a prompt with a video part, with the reason."""
    for prompt in prompts:
        for message in () if isinstance(prompt, str) else prompt:
            content = message["content"]
            parts = () if isinstance(content, str) else content
            if any(part["type"] == "video" for part in parts):
                raise UsageError(
                    "TRL prompt: found a video part, expected images: TRL 1.16 drops "
                    "pixel_values_videos from the loss, so that it would train a model that cannot "
                    "see; export with --media images"
                )


def _reward_function(name: str) -> RewardFunction:
    judge = rewards.reward(name)

    def function(
        prompts: Sequence[Said], completions: Sequence[Said], **columns: Any
    ) -> list[float]:
        refuse_video(prompts)
        said = _completions(completions, completion_ids=columns.get("completion_ids"))
        return [
            judge(each, expected=expected)
            for each, expected in zip(said, _expected(columns, n=len(said)), strict=True)
        ]

    function.__name__ = name
    return function


def _completions(
    completions: Sequence[Said], *, completion_ids: Sequence[Sequence[int]] | None
) -> list[Completion]:
    lengths = [None] * len(completions) if completion_ids is None else map(len, completion_ids)
    return [
        Completion(_text(each), n_tokens)
        for each, n_tokens in zip(completions, lengths, strict=True)
    ]


def _text(said: Said) -> str:
    """A conversational completion's last message; its content is text, or parts with text."""
    if isinstance(said, str):
        return said
    content = said[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _expected(columns: Mapping[str, Any], *, n: int) -> list[Expected]:
    named = {name: columns[name] for name in COLUMNS if name in columns}
    return [Expected.from_row({name: named[name][i] for name in named}) for i in range(n)]
