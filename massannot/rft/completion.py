"""What a model wrote: its thinking, its one answer, and how many tokens it took."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Completion:
    text: str
    n_tokens: int | None = None
    """As the trainer counted them; None: it did not say."""

    @property
    def answer(self) -> str | None:
        """The text between the only <answer> and the only </answer>; None without such a pair.

        Video-R1 takes the first of several. Here several are none: a model that writes each option
        once has not answered.
        """
        parts = re.split(r"(</?answer>)", self.text)
        if parts[1::2] != ["<answer>", "</answer>"]:
            return None
        return parts[2].strip()
