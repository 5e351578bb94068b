"""QuestionCounts: what became of a manifest's rows, shard by shard and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from massannot.inputs.question import Question
from massannot.plan.planned_videos import Shard


@dataclass(frozen=True)
class QuestionCounts:
    """Rows of manifests about the videos of finished shards."""

    asked: int = 0
    answered: int = 0
    """There is a clip; not that anything was found in it."""
    bad: Mapping[str, int] = field(default_factory=dict)
    """Rows that could not be asked, by class; they are counted in `asked` too."""

    @property
    def bad_share(self) -> float:
        return sum(self.bad.values()) / self.asked if self.asked else 0.0

    @property
    def lines(self) -> list[str]:
        """For people; nothing where no manifest took part."""
        if not self.asked:
            return []
        lines = [f"{self.asked} questions, {self.answered} with a clip to answer them"]
        return lines + [f"cannot be asked: {n} x {reason}" for reason, n in self.bad.items()]


def counts_of(shard: Shard, questions: pa.Table) -> QuestionCounts:
    """Those of one shard; `questions` is its table."""
    asked = (q for video in shard.videos for span in video.spans for q in span.questions)
    answered = questions.num_rows - questions["clip_id"].null_count
    return QuestionCounts(questions.num_rows, answered, problems_of(asked))


def problems_of(questions: Iterable[Question]) -> dict[str, int]:
    """How many cannot be asked, by class in the order of their names."""
    return dict(sorted(Counter(q.problem.reason for q in questions if q.problem).items()))


def together(counts: Iterable[QuestionCounts]) -> QuestionCounts:
    """The sum; classes of bad rows by how frequent they are."""
    asked = answered = 0
    bad: Counter[str] = Counter()
    for each in counts:
        asked += each.asked
        answered += each.answered
        bad.update(each.bad)
    return QuestionCounts(asked, answered, dict(bad.most_common()))
