"""The rewards as TRL and verl call them."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.errors import BadQuestion, UsageError
from massannot.rft import swift_rewards, verl_rewards
from massannot.rft.trl_rewards import refuse_video, reward_functions

RIGHT = "<think>so</think><answer>B</answer>"
WRONG = "<answer>A</answer>"
COLUMNS: dict[str, list[Any]] = {
    "problem_type": ["multiple_choice", "multiple_choice", "number"],
    "solution": ["B", "B", "2 m"],
    "options": [["left", "right"], ["left", "right"], None],
    "unit": [None, None, "m"],
    "path": ["a.mp4", "a.mp4", "b.mp4"],
}
COMPLETIONS = [RIGHT, WRONG, "<think>so</think><answer>210 cm</answer>"]
PROMPTS = ["?"] * 3


def conversational(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text}]


def in_parts(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


@pytest.mark.parametrize("form", [str, conversational, in_parts], ids=["text", "chat", "parts"])
def test_trl_gets_a_number_for_each_completion(form: Any) -> None:
    accuracy, form_reward = reward_functions()
    said = [form(text) for text in COMPLETIONS]
    assert accuracy(PROMPTS, said, trainer_state=object(), **COLUMNS) == [1.0, 0.0, 1.0]
    assert form_reward(PROMPTS, said, **COLUMNS) == [1.0, 0.0, 1.0]


def test_trl_logs_each_reward_under_its_name() -> None:
    names = ["accuracy", "format", "evidence_time"]
    assert [function.__name__ for function in reward_functions(names)] == names


def test_trl_counts_the_tokens_of_the_length_reward() -> None:
    (length,) = reward_functions(["length"])
    ids = [[0] * 400, [0] * 400, [0] * 10]
    assert length(PROMPTS, COMPLETIONS, completion_ids=ids, **COLUMNS) == [0.2, 0.0, 0.0]
    with pytest.raises(UsageError, match="found no number of tokens"):
        length(PROMPTS, COMPLETIONS, **COLUMNS)


def test_a_video_in_a_trl_prompt_is_refused_with_the_reason() -> None:
    video = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "?"}]}]
    image = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}]
    refuse_video([image, "text", conversational("text")])
    with pytest.raises(UsageError, match="drops pixel_values_videos from the loss"):
        refuse_video([image, video])
    (accuracy,) = reward_functions(["accuracy"])
    with pytest.raises(UsageError, match="pixel_values_videos"):
        accuracy([image, image, video], COMPLETIONS, **COLUMNS)


def test_trl_rows_without_a_truth_are_refused() -> None:
    (accuracy,) = reward_functions(["accuracy"])
    with pytest.raises(BadQuestion, match="no problem_type"):
        accuracy(PROMPTS, COMPLETIONS, solution=["A"] * 3)


def test_verl_gets_the_sum_and_its_parts() -> None:
    info = {"problem_type": "multiple_choice", "options": np.array(["left", "right"]), "index": 3}
    found = verl_rewards.compute_score(
        data_source="massannot", solution_str=RIGHT, ground_truth="B", extra_info=info
    )
    assert found == {"score": 2.0, "accuracy": 1.0, "format": 1.0}
    assert verl_rewards.compute_score("massannot", WRONG, "B", info)["score"] == 0.0


def test_verl_is_told_which_rewards_count() -> None:
    info = {"problem_type": "clock", "accuracy": "clock_circular", "n_tokens": 400}
    found = verl_rewards.compute_score(
        "massannot", "<answer>3</answer>", "2", info, rewards=("accuracy", "length")
    )
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["length"] == 0.2
    assert found["score"] == pytest.approx(5 / 6 + 0.2)


def test_verl_can_load_the_file_by_its_path() -> None:
    """As its `custom_reward_function.path` does: outside of any package."""
    spec = importlib.util.spec_from_file_location("custom_module", verl_rewards.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    info = {"problem_type": "yes_no"}
    assert module.compute_score("x", "<answer>no</answer>", "no", info)["accuracy"] == 1.0


def test_ms_swift_gets_a_class_for_each_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ms-swift 4 makes and calls them; it is not installed here."""
    swift, rewards_module = types.ModuleType("swift"), types.ModuleType("swift.rewards")
    rewards_module.orms = {}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swift", swift)
    monkeypatch.setitem(sys.modules, "swift.rewards", rewards_module)
    path = Path(swift_rewards.__file__)
    spec = importlib.util.spec_from_file_location("plugin", path)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    orms = rewards_module.orms
    assert {"massannot_accuracy", "massannot_format", "massannot_length"} <= set(orms)
    judge = orms["massannot_accuracy"](args=object())
    assert judge(COMPLETIONS, messages=[[]] * 3, **COLUMNS) == [1.0, 0.0, 1.0]
    length = orms["massannot_length"](args=None)
    assert length(COMPLETIONS, response_token_ids=[[0] * 400] * 3, **COLUMNS) == [0.2, 0.0, 0.2]
