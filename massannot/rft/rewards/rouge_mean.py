"""rouge_mean: how many words, pairs of words and words in order a free text shares with the truth.

Definition: the mean of the F1 of ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004, one truth, one sentence,
beta 1). Source: Video-R1 (arXiv 2503.21776), problem type "free-form". It stems English words; here
words are compared as they stand, in small letters, in any script. Where the truth has one word
there are no pairs, and the mean is over ROUGE-1 and ROUGE-L: the right word alone is worth 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from massannot.questions.answers import Text
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import said_and_true


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Text)
    return 0.0 if said is None else rouge_mean(said.text, true.text)


def rouge_mean(said: str, true: str) -> float:
    """0 where either has no word."""
    a, b = words(said), words(true)
    scores = [rouge_n(a, b, n=1), rouge_l(a, b)]
    if len(b) > 1:
        scores.append(rouge_n(a, b, n=2))
    return sum(scores) / len(scores)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def rouge_n(said: Sequence[str], true: Sequence[str], *, n: int) -> float:
    """F1 of the runs of n words, each counted as often as it stands in both."""
    a, b = (
        Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1)) for text in (said, true)
    )
    return _f1((a & b).total(), a.total(), b.total())


def rouge_l(said: Sequence[str], true: Sequence[str]) -> float:
    """F1 of the longest common subsequence."""
    # lengths[j]: of the longest one of what was read of `said` and the first j words of `true`.
    lengths = [0] * (len(true) + 1)
    for word in said:
        before = 0
        for j, other in enumerate(true, start=1):
            above = lengths[j]
            lengths[j] = before + 1 if word == other else max(above, lengths[j - 1])
            before = above
    return _f1(lengths[-1], len(said), len(true))


def _f1(shared: int, said: int, true: int) -> float:
    """2PR / (P + R), with P = shared / said and R = shared / true."""
    return 2 * shared / (said + true) if said + true else 0.0
