"""How many of the clips that people looked at they accepted, with an interval.

Intervals are Wilson's (1927), 95 %: a share of few is wide, and of all or none not empty. Weighted
to the whole, each stratum counts as many clips as it has; the interval is Wilson's of Kish's
effective number of clips (Survey Sampling, 1965, 11.7), 1 / sum(w^2 / n). A clip that two people
judge differently is not accepted. A decision about rows that have changed since does not count.
Questions of one clip may stand or fall together: the interval of their share is that of as many
clips, which is wide enough however they do.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot import tables
from massannot.counts import counted
from massannot.dataset.layout import Layout
from massannot.dataset.question_edits import EDITS
from massannot.dataset.reading import Dataset
from massannot.dataset.reviews_of_run import (
    Decision,
    all_decisions,
    hash_of_rows,
    reviews_folder,
    standing,
)
from massannot.errors import UsageError

Z_95 = 1.959963984540054
LEAST_TOLD = 3
"""Decisions about a stratum that has a line of its own."""
MOST_NAMED = 5
"""Strata without a decision that are named."""


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share among n, which may be an effective number."""
    if n <= 0:
        return 0.0, 1.0
    square = Z_95 * Z_95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class AcceptedShare:
    accepted: int
    n: int
    clips: int | None = None
    """Of questions: how many clips they are about."""

    @property
    def share(self) -> float:
        return self.accepted / self.n if self.n else 0.0

    def __str__(self) -> str:
        """'171 of 200 accepted: 85.5 % (80.0 to 89.7)'."""
        n = self.n if self.clips is None else self.clips
        return f"{self.accepted} of {self.n} accepted: {_percent(self.share, n)}"


def _few(names: Sequence[str]) -> str:
    """The names; of many the first few and how many more there are."""
    more = len(names) - MOST_NAMED
    rest = [f"and {counted(more, 'more stratum', many='more strata')}"] if more > 0 else []
    return "; ".join([*names[:MOST_NAMED], *rest])


@dataclass(frozen=True)
class StratumAcceptance:
    name: str
    population: int
    """Clips of the whole dataset in it."""
    found: AcceptedShare


@dataclass(frozen=True)
class Acceptance:
    """Of one sample."""

    sample: str
    whole: AcceptedShare
    strata: tuple[StratumAcceptance, ...]
    reviewers: tuple[str, ...]
    n_sample: int
    n_differ: int
    """Clips that two people judged differently."""
    reasons: Mapping[str, int]

    @property
    def weighted(self) -> tuple[float, float] | None:
        """The share weighted to the whole, and the effective number of clips; None: one stratum or
        none looked at."""
        seen = [s for s in self.strata if s.found.n]
        total = sum(s.population for s in seen)
        if len(seen) < 2 or not total:
            return None
        weights = [(s.population / total, s.found) for s in seen]
        share = sum(w * found.share for w, found in weights)
        return share, 1 / sum(w * w / found.n for w, found in weights)

    @property
    def share(self) -> float:
        """What `--min-acceptance` looks at."""
        return self.whole.share if self.weighted is None else self.weighted[0]

    def __str__(self) -> str:
        return (
            f"{self.whole} of {counted(self.n_sample, 'clip')} drawn, by "
            f"{', '.join(self.reviewers)}"
        )

    @property
    def lines(self) -> list[str]:
        lines = [str(self)]
        if self.weighted is not None:
            lines.append(f"weighted to the whole: {_percent(*self.weighted)}")
            unseen = [s.name for s in self.strata if not s.found.n]
            if unseen:
                lines.append(f"not looked at: {_few(unseen)}")
        told = [s for s in self.strata if s.found.n >= LEAST_TOLD]
        lines += [f"{s.name} ({counted(s.population, 'clip', form=',')}): {s.found}" for s in told]
        rest = [s.found for s in self.strata if 0 < s.found.n < LEAST_TOLD]
        if rest:
            together = AcceptedShare(sum(f.accepted for f in rest), sum(f.n for f in rest))
            least = counted(LEAST_TOLD, "decision")
            strata = counted(len(rest), "stratum", many="strata")
            lines.append(f"{strata} of fewer than {least}: {together}")
        if self.n_differ:
            lines.append(f"judged differently by two people, so not accepted: {self.n_differ}")
        if self.reasons:
            why = (f"{n} {reason.replace('_', ' ')}" for reason, n in self.reasons.items())
            lines.append(f"rejected for: {', '.join(why)}")
        return lines


@dataclass(frozen=True)
class Reviewed:
    """What people decided about a run."""

    table: pa.Table
    acceptance: Acceptance | None
    """Of the sample of which most was looked at."""
    n_stale: int
    """Decisions about rows that have changed since."""
    n_free: int
    """Clips looked at outside of any sample."""
    accepted_clips: frozenset[str]
    """By everybody who looked, sampled or not, rows as shown."""
    rejected_questions: frozenset[str]
    """By anybody."""
    questions: AcceptedShare
    """Of the questions looked at, those that everybody accepted, rows as shown."""

    @property
    def lines(self) -> list[str]:
        lines = [] if self.acceptance is None else list(self.acceptance.lines)
        if self.questions.n:
            lines.append(f"questions looked at: {self.questions}")
        if self.n_free:
            lines.append(f"looked at by choice, in no rate: {self.n_free}")
        if self.n_stale:
            lines.append(
                f"decisions about rows that have changed since, in no rate: {self.n_stale}"
            )
        return lines


def looked_at(dataset: Dataset) -> Reviewed | None:
    """What people decided about the clips of a run as they stand, or about a folder's questions;
    None: nobody has looked, or it is in a bucket."""
    layout, shown = dataset.reviewed_in, Dataset(dataset.layout)
    if layout.in_bucket:
        return None
    known = set(shown.clip_ids)
    return reviewed(layout, lambda c: hash_of_rows(shown.clip(c)) if c in known else None)


def need_accepted(accepted: Collection[str], out: Path) -> None:
    """Raises UsageError where only what was accepted is wanted, and nothing is."""
    if not accepted:
        raise UsageError(
            f"--accepted-only: found nothing that people accepted in {out}; `massannot review "
            f"{out}` collects their decisions"
        )


def refuse_less(found: Acceptance | AcceptedShare | None, least: float | None) -> None:
    """Raises UsageError where less than a share of what was looked at was accepted, or nobody
    looked."""
    if least is not None and (found is None or found.share < least):
        said = "nobody has looked at a sample" if found is None else str(found)
        raise UsageError(f"--min-acceptance {least:g}: found {said}; nothing is published")


def reviewed(layout: Layout, rows_hash: Callable[[str], str | None]) -> Reviewed | None:
    """None: nobody has looked. `rows_hash` is that of a clip now, None: it is gone."""
    decisions = standing(all_decisions(layout))
    if not decisions:
        return None
    hashes = {clip_id: rows_hash(clip_id) for clip_id in {d.clip_id for d in decisions}}
    fresh = [d for d in decisions if hashes[d.clip_id] == d.rows_hash]
    of_clips = [d for d in fresh if d.kind == "clip"]
    of_questions = [d for d in fresh if d.kind == "question"]
    verdicts = _verdicts(of_clips)
    samples = {d.sample for d in of_clips if d.sample is not None}
    found = [_acceptance(layout, sample, of_clips) for sample in sorted(samples)]
    best = max(found, key=lambda a: a.whole.n, default=None)
    taken = {d.review for d in of_clips if best is not None and d.sample == best.sample}
    taken |= {d.review for d in of_questions}
    return Reviewed(
        table=tables.spec("reviews").from_rows([_row(d, d.review in taken) for d in decisions]),
        acceptance=best,
        n_stale=len(decisions) - len(fresh),
        n_free=len({d.clip_id for d in of_clips if d.sample is None}),
        accepted_clips=frozenset(clip_id for clip_id, ok in verdicts.items() if ok),
        rejected_questions=frozenset(q for q, ok in _verdicts(of_questions).items() if not ok),
        questions=_share_of_questions(of_questions),
    )


def sample_path(layout: Layout, sample: str) -> Any:
    return reviews_folder(layout) / "samples" / f"{sample}.json"


def _acceptance(layout: Layout, sample: str, decisions: Sequence[Decision]) -> Acceptance:
    drawn = json.loads(sample_path(layout, sample).read_bytes())
    mine = [d for d in decisions if d.sample == sample]
    verdicts = _verdicts(mine)
    by_clip: defaultdict[str, set[str]] = defaultdict(set)
    reasons: defaultdict[str, int] = defaultdict(int)
    for d in mine:
        by_clip[d.clip_id].add(d.decision)
        if d.reason is not None:
            reasons[d.reason] += 1
    strata = tuple(
        StratumAcceptance(name, population, _share([
            ok for clip_id, ok in verdicts.items() if drawn["clips"].get(clip_id) == name
        ]))
        for name, population in sorted(drawn["strata"].items())
    )  # fmt: skip
    return Acceptance(
        sample=sample,
        whole=_share(list(verdicts.values())),
        strata=strata,
        reviewers=tuple(sorted({d.reviewer for d in mine})),
        n_sample=len(drawn["clips"]),
        n_differ=sum(len(kinds) > 1 for kinds in by_clip.values()),
        reasons=dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def _verdicts(decisions: Sequence[Decision]) -> dict[str, bool]:
    """Clip, or question, to whether everybody who looked accepted it."""
    verdicts: dict[str, bool] = {}
    for d in decisions:
        name = d.question_id or d.clip_id
        verdicts[name] = verdicts.get(name, True) and d.decision == "accept"
    return verdicts


def _share(verdicts: Sequence[bool]) -> AcceptedShare:
    return AcceptedShare(sum(verdicts), len(verdicts))


def _share_of_questions(decisions: Sequence[Decision]) -> AcceptedShare:
    verdicts = _verdicts(decisions)
    shown_with = {d.question_id: d.clip_id for d in decisions}
    return AcceptedShare(sum(verdicts.values()), len(verdicts), len({*shown_with.values()}))


def _percent(share: float, n: float) -> str:
    low, high = wilson(share, n)
    return f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _row(d: Decision, counted: bool) -> dict[str, Any]:
    return {
        "review": d.review, "reviewer": d.reviewer, "when": d.when, "kind": d.kind,
        "clip_id": d.clip_id, "question_id": d.question_id, "decision": d.decision,
        "reason": d.reason, "note": d.note, "n_fixes": len(d.fixes),
        "fixes": json.dumps(list(d.fixes), ensure_ascii=False) if d.fixes else None,
        **{name: getattr(d, name) for name in EDITS}, "rows_hash": d.rows_hash,
        "sample": d.sample, "stratum": d.stratum, "counted": counted,
    }  # fmt: skip
