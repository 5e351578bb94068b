"""TRL: the rewards as `f(prompts, completions, **columns) -> list[float]`, for `reward_funcs`.

The dataset's columns have the names of `expected.Expected`'s fields; TRL passes all of them on.
Every call also refuses prompts with a video part: TRL 1.16 lets the model generate with the video,
then computes the loss without it (`pixel_values_videos` is dropped), and gives no warning. Frames
belong into the prompt as images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from massannot.errors import UsageError
from massannot.questions.expected_answer import COLUMNS, ExpectedAnswer
from massannot.rft.rewards import Completion, label, reward

Message = Mapping[str, Any]
Conversation = str | Sequence[Message]
"""A prompt or completion: plain text, or messages."""


class RewardFunction(Protocol):
    """A function of TRL's `reward_funcs`."""

    __name__: str  # the metric's name in TRL's logs

    def __call__(
        self, prompts: Sequence[Conversation], completions: Sequence[Conversation], **columns: Any
    ) -> list[float]: ...


def reward_functions(names: Sequence[str] = ("accuracy", "format")) -> list[RewardFunction]:
    """One function for each reward's name, in that order. Raises UsageError for a name that leads
    to no reward."""
    return [_reward_function(name) for name in names]


def refuse_video(prompts: Sequence[Conversation]) -> None:
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
    judge = reward(name)

    def function(
        prompts: Sequence[Conversation], completions: Sequence[Conversation], **columns: Any
    ) -> list[float]:
        refuse_video(prompts)
        typed = _completions(completions, completion_ids=columns.get("completion_ids"))
        return [
            judge(completion, expected=expected)
            for completion, expected in zip(typed, _expected(columns, n=len(typed)), strict=True)
        ]

    function.__name__ = label(name)
    return function


def _completions(
    completions: Sequence[Conversation], *, completion_ids: Sequence[Sequence[int]] | None
) -> list[Completion]:
    lengths = [None] * len(completions) if completion_ids is None else map(len, completion_ids)
    return [
        Completion(_text(completion), n_tokens)
        for completion, n_tokens in zip(completions, lengths, strict=True)
    ]


def _text(completion: Conversation) -> str:
    """A conversational completion's last message; its content is text, or parts with text."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _expected(columns: Mapping[str, Any], *, n: int) -> list[ExpectedAnswer]:
    named = {name: columns[name] for name in COLUMNS if name in columns}
    return [ExpectedAnswer.from_row({name: named[name][i] for name in named}) for i in range(n)]
