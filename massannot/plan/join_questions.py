"""Questions joined to videos: a clip is annotated once, for the union of what is asked about it.

The answer depends on the questions alone, never on the manifests they came in: spans are ordered by
time, questions by id, phrases by origin (entities, then -p, captions, questions) and question. Each
question keeps phrases of its own, with their places in its text; one that differs from an earlier
one in case or article alone takes the earlier spelling, so that the detector is asked once.

Two spans that turn out to hold the very same frames (0 to the end, and the whole video) are known
to be one only when the video is read; then they are one clip (see span.united).

QuestionCounts: what became of a manifest's rows, shard by shard and in all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from massannot.clip import Phrase, PhraseOrigin
from massannot.counts import counted
from massannot.inputs.noun_phrases import noun_phrases
from massannot.inputs.question import Question
from massannot.inputs.span import Span, in_order
from massannot.plan.planned_videos import PlannedVideo, Shard


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
        lines = [f"{counted(self.asked, 'question')}, {self.answered} with a clip to answer them"]
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


Seconds = tuple[float | None, float | None]
Knows = Callable[[str], bool]
"""Whether the detector can be asked for a phrase."""


def planned_videos(
    named: Sequence[str],
    questions: Sequence[Question],
    *,
    prompts: Sequence[Phrase],
    stretch: Seconds = (None, None),
    knows: Knows = lambda text: True,
) -> list[PlannedVideo]:
    """The named videos as a whole, or that `stretch` of them, then those that only questions name,
    by name. What only a text names is looked for where the detector `knows` it.

    One file under two names is one video, under the name that comes first. A question with a
    problem rides along without asking for anything. No file is looked at.
    """
    first_name: dict[str, str] = {}
    for uri in (*named, *sorted(question.uri for question in questions)):
        first_name.setdefault(os.path.realpath(uri), uri)
    asked: dict[str, list[Question]] = {uri: [] for uri in first_name.values()}
    for question in sorted(questions, key=lambda q: q.question_id):
        uri = first_name[os.path.realpath(question.uri)]
        asked[uri].append(replace(question, uri=uri))
    whole = set(named)
    return [
        PlannedVideo(
            uri,
            spans=_spans(of_video, prompts, knows, stretch=stretch if uri in whole else None),
            license=next((q.license for q in of_video if q.license), None),
            source_kind=_only(q.source_kind for q in of_video if q.problem is None),
            generator=_only(q.generator for q in of_video if q.problem is None),
        )
        for uri, of_video in asked.items()
    ]


def _only(values: Iterable[str | None]) -> str | None:
    """What all rows say that say anything; None where two say different things: that is unknown."""
    said = {value for value in values if value}
    return said.pop() if len(said) == 1 else None


def _spans(
    questions: Sequence[Question],
    prompts: Sequence[Phrase],
    knows: Knows,
    *,
    stretch: Seconds | None,
) -> tuple[Span, ...]:
    """`stretch`: what is annotated beside what is asked about; None: nothing."""
    by_span: dict[Seconds, list[Question]] = {stretch: []} if stretch else {}
    for question in questions:
        if question.problem is None:
            by_span.setdefault((question.start_s or None, question.end_s), []).append(question)
    bad = [question for question in questions if question.problem is not None]
    if bad:  # they need a place to be remembered, not a clip of their own
        by_span.setdefault(min(by_span, key=_by_time, default=(None, None)), []).extend(bad)
    return tuple(
        Span(
            *seconds,
            phrases=_phrases(asking, prompts, knows),
            source_id=_source_id(asking),
            questions=tuple(asking),
        )
        for seconds, asking in sorted(by_span.items(), key=lambda item: _by_time(item[0]))
    )


def _by_time(span: Seconds) -> tuple[float, bool, float]:
    return span[0] or 0.0, span[1] is None, span[1] or 0.0


def _source_id(questions: Sequence[Question]) -> str | None:
    """A row's id is its span's, unless the row asks something: then it is the question's."""
    ids = {q.source_id for q in questions if q.question is None and q.problem is None}
    return ids.pop() if len(ids) == 1 else None


def _phrases(
    questions: Sequence[Question], prompts: Sequence[Phrase], knows: Knows
) -> tuple[Phrase, ...]:
    wanted = list(prompts)
    for question in questions:
        if question.problem is None:
            wanted += _named(question)
            found = [*_found(question, "caption", question.caption)]
            found += _found(question, "question", question.question)
            wanted += [phrase for phrase in found if knows(phrase.text)]
    return in_order(wanted)


def _named(question: Question) -> Iterator[Phrase]:
    texts = question.entities or ()
    spans = iter(question.entity_spans or (None, None) * len(texts))
    for text, start, end in zip(texts, spans, spans, strict=True):
        yield Phrase(text, "entities", question.question_id, start, end)


def _found(question: Question, origin: PhraseOrigin, text: str | None) -> Iterator[Phrase]:
    for phrase in noun_phrases(text or ""):
        yield Phrase(phrase.text, origin, question.question_id, phrase.start, phrase.end)


def texts_of(question_id: str, phrases: Sequence[Mapping[str, str | None]]) -> frozenset[str]:
    """What a question asks to be looked for, given its clip's rows of `phrases`: its own phrases
    and those asked of every clip."""
    return frozenset(
        str(row["text"])
        for row in phrases
        if row["question_id"] == question_id or row["origin"] == "prompt"
    )
