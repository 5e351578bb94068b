"""What `massannot questions publish` writes: questions with proof as a dataset of their own.

    DEST/data/train-00000.parquet, val-00000.parquet, test-00000.parquet    the questions
    DEST/videos/    a film for each span that is asked about, boxes drawn where questions speak of
                    them, turned round where a question is about the video mirrored or backwards
    DEST/README.md  the card: families, chance, blind solvers, ground of the answers, licence

A row has its program, value, sigma, margin and `blind_score`, the share of the solvers that were
right about it without the video. A video is in one split with all its questions. What a reviewer
rejected is left out; the others stand as they were reworded, with `verified_by` (who accepted) and
`event`, a sentence of theirs that says what happens.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.counts import counted
from massannot.dataset.acceptance import looked_at, need_accepted, refuse_less
from massannot.dataset.card import accepted_section
from massannot.dataset.question_verdicts import UNSEEN, QuestionVerdict, question_verdicts
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.splits import SPLITS, Split, Splits
from massannot.errors import UsageError
from massannot.exporters._benches import BenchOptions, bench_examples, lettered, solution
from massannot.exporters._training import picture_names
from massannot.questions.ask.asked_about import AskedDataset, with_its_clips
from massannot.questions.ask.audit_answers import open_asked
from massannot.questions.ask.blind_check import FamilyCheck, check_manifest, read_rows
from massannot.questions.examples import Example
from massannot.storage.durable import write_over
from massannot.version import __version__

_TEXT, _NUMBER = pa.string(), pa.float64()
SCHEMA = pa.schema(
    [
        ("question_id", _TEXT),
        ("video", _TEXT),
        ("video_id", _TEXT),
        ("question", _TEXT),
        ("options", pa.list_(_TEXT)),
        ("answer", _TEXT),
        ("problem_type", _TEXT),
        ("unit", _TEXT),
        ("tolerance", _NUMBER),
        ("tolerance_abs", _NUMBER),
        ("family", _TEXT),
        ("category", _TEXT),
        ("program", _TEXT),
        ("value", _TEXT),
        ("sigma", _NUMBER),
        ("margin", _NUMBER),
        ("basis", _TEXT),
        ("twin_of", _TEXT),
        ("twin_kind", _TEXT),
        ("blind_score", _NUMBER),
        ("verified_by", pa.list_(_TEXT)),
        ("event", _TEXT),
    ]
)
_OF_PROGRAM = ("family", "program", "value", "sigma", "margin", "basis", "twin_of", "twin_kind")


@dataclass(frozen=True, kw_only=True)
class PublishOptions:
    license: str | None = None
    """As the Hub names it: cc-by-4.0; None: the card says that none is stated."""
    val: float = 0.1
    """Share of the videos, at least one; those that a manifest calls val or test stay that."""
    test: float = 0.1
    accepted_only: bool = False
    """Only questions that people accepted."""
    min_acceptance: float | None = None
    """Publish nothing if a smaller share of those looked at was accepted."""


@dataclass(frozen=True)
class PublishedQuestions:
    counts: Mapping[Split, int]
    left_out: tuple[str, ...]
    leaking: tuple[str, ...]
    """Families that can be answered without the video."""


def publish_questions(proven: Path, dest: Path, *, options: PublishOptions) -> PublishedQuestions:
    """Write the dataset of what `questions ask` wrote into the new folder `dest`. Raises UsageError
    for a folder without programs, one that is there already, fewer videos than splits, and too
    little that was accepted."""
    asked = open_asked(proven)
    if dest.exists() and any(dest.iterdir()):
        raise UsageError(f"{dest}: found files, expected a new folder")
    joined = with_its_clips(proven)
    looked, verdicts = looked_at(joined), question_verdicts(joined)
    refuse_less(looked.questions if looked and looked.questions.n else None, options.min_acceptance)
    questions, rejected = _left(asked, verdicts, options)
    clips = asked.table("clips").select(["clip_id", "uri", "video_id"]).to_pylist()
    video_of = {row[key]: row["video_id"] for row in clips for key in ("clip_id", "uri")}
    stated = asked.table("questions").to_pylist()
    left = [{"video_id": video_of[ids[0]]} for ids in questions["clip_ids"].to_pylist()]
    sides(stated, left, video_of, options)  # too few videos: refused before films are written
    check = check_manifest(proven)
    ids = [row["id"] for row in read_rows(proven)]
    blind = {ids[number]: score for number, score in check.blind_score}
    programs = {row["question_id"]: row for row in asked.table("question_programs").to_pylist()}
    source = AskedDataset(asked, open_dataset(joined.layout.out), rows=questions)
    bench = bench_examples(source, dest, BenchOptions())
    rows = [
        _row(one, programs[name], video_of, blind, verdicts.get(name, UNSEEN))
        for one in bench.examples
        for name in (one.row["question_id"],)
    ]
    side = sides(stated, rows, video_of, options)
    counts: dict[Split, int] = {}
    (dest / "data").mkdir()
    for split in SPLITS:
        mine = [row for row in rows if side[row["video_id"]] == split]
        path = dest / "data" / f"{split}-00000.parquet"
        pq.write_table(pa.Table.from_pylist(mine, schema=SCHEMA), path)
        counts[split] = len(mine)
    accepted = accepted_section(looked, "questions", accepted_only=options.accepted_only)
    text = _card(rows, side, check.families, options, accepted)
    write_over(dest / "README.md", text.encode())
    leaking = tuple(family.family for family in check.families if family.leaks)
    return PublishedQuestions(counts, (*rejected, *bench.left_out), leaking)


def _left(
    asked: Dataset, verdicts: Mapping[str, QuestionVerdict], options: PublishOptions
) -> tuple[pa.Table, tuple[str, ...]]:
    """The questions as people left them, and sentences about the others. Raises UsageError where
    none is left of those accepted."""
    if options.accepted_only:
        need_accepted([name for name, v in verdicts.items() if v.accepted], asked.layout.out)
    rows, out = [], []
    for row in asked.table("questions").to_pylist():
        name = row["question_id"]
        if not verdicts.get(name, UNSEEN).accepted:
            out.append(f"question {name}: rejected by a reviewer")
        elif options.accepted_only and name not in verdicts:
            out.append(f"question {name}: nobody looked at it")
        else:
            rows.append(verdicts.get(name, UNSEEN).applied(row))
    return tables.spec("questions").from_rows(rows), tuple(out)


def _row(
    example: Example,
    program: Mapping[str, Any],
    video_of: Mapping[str, str],
    blind: Mapping[str, float],
    verdict: QuestionVerdict,
) -> dict[str, Any]:
    row, expected = example.row, example.expected
    return {
        "question_id": row["question_id"],
        "video": picture_names(example, "video")[0],
        "video_id": video_of[row["clip_ids"][0]],
        "question": example.question,
        "options": lettered(example),
        "answer": solution(example),
        "problem_type": expected.problem_type,
        "unit": expected.unit,
        **{name: row[name] for name in ("tolerance", "tolerance_abs", "category")},
        **{name: program[name] for name in _OF_PROGRAM},
        "blind_score": blind.get(row["question_id"]),
        "verified_by": list(verdict.verified_by),
        "event": verdict.edits.get("event"),
    }


def sides(
    questions: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    video_of: Mapping[str, str],
    options: PublishOptions,
) -> dict[str, Split]:
    """The split of each video: what a manifest said, else by the order of hashes."""
    said = Splits.of(questions, video_of=video_of, by="split", val=0.0).manifest
    videos = sorted({row["video_id"] for row in rows})
    free = sorted(
        (video for video in videos if video not in said),
        key=lambda video: hashlib.blake2b(video.encode(), digest_size=8).digest(),
    )
    n_test, n_val = (max(round(share * len(free)), 1) if share else 0
                     for share in (options.test, options.val))  # fmt: skip
    if n_test + n_val >= len(free) and free:
        raise UsageError(
            f"{counted(len(free), 'video')}: found too few for a test and a val split beside "
            f"train, expected more than {n_test + n_val}; --test 0 --val 0 puts all into train"
        )
    places: dict[Split, int] = {"test": n_test, "val": n_val, "train": len(free)}
    order = [split for split, count in places.items() for _ in range(count)]
    return {video: said[video] for video in videos if video in said} | dict(zip(free, order))


def _card(
    rows: Sequence[Mapping[str, Any]],
    side: Mapping[str, Split],
    families: Sequence[FamilyCheck],
    options: PublishOptions,
    accepted: str,
) -> str:
    """The card; a split without rows is not named, for `datasets` would refuse it."""
    n = Counter(side[row["video_id"]] for row in rows)
    of_family = Counter((row["family"], side[row["video_id"]]) for row in rows)
    basis = Counter(row["basis"] for row in rows)
    named = [split for split in SPLITS if n[split]]
    return _CARD.format(
        head=f"license: {options.license}\n" if options.license else "",
        files="\n".join(f"  - split: {s}\n    path: data/{s}-*.parquet" for s in named),
        questions=counted(len(rows), "question"),
        videos=counted(len(side), "video"),
        counts=", ".join(f"{n[split]} {split}" for split in SPLITS),
        license=options.license or "none is stated",
        basis=", ".join(f"{name} {count}" for name, count in sorted(basis.items())),
        accepted=accepted,
        families="\n".join(_line(family, of_family) for family in families),
        version=__version__,
    )


def _line(family: FamilyCheck, of_family: Mapping[tuple[str, Split], int]) -> str:
    best = family.best
    counts = " | ".join(str(of_family.get((family.family, split), 0)) for split in SPLITS)
    verdict = "LEAKS" if family.leaks else "holds" if family.judged else "too few to say"
    solver = f"{best.solver} {best.accuracy:.2f} [{best.low:.2f}, {best.high:.2f}]"
    return f"| {family.family} | {counts} | {family.chance:.2f} | {solver} | {verdict} |"


_CARD = """\
---
{head}task_categories:
- video-text-to-text
configs:
- config_name: default
  data_files:
{files}
---
# Questions about videos, with proof

{questions} about {videos}: {counts}. A video is in one split.

Each answer is a program over the rows of an annotated dataset (`program`), with its value, its
standard deviation and its margin: the distance to the nearest other answer in standard deviations.
Ground of the intervals: {basis}. Licence: {license}.

{accepted}## Families

What four solvers reach that see no picture, cross-validated over videos, with 95 % intervals
after Holm.

| family | train | val | test | chance | best blind solver | |
|---|---|---|---|---|---|---|
{families}

Written by massannot {version}, `questions ask` and `questions publish`.
"""
