"""format: 1 for <think>..</think> and then <answer>..</answer>, each once and nothing else, else 0.

Source: Video-R1 (arXiv 2503.21776), whose pattern also lets tags repeat inside; here a second
answer costs the reward. White space around the two is allowed, an empty answer is not.
"""

from __future__ import annotations

import re

from massannot.questions.expected import Expected
from massannot.rft.completion import Completion

_PARTS = ["<think>", "</think>", "<answer>", "</answer>"]


def reward(completion: Completion, *, expected: Expected) -> float:
    parts = re.split(r"(</?(?:think|answer)>)", completion.text)
    outside = "".join(parts[0::4])  # before, between and after the two
    return float(parts[1::2] == _PARTS and not outside.strip() and bool(completion.answer))
