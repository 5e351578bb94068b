"""`massannot questions check`: what of a manifest's questions can be answered without the video.

Four solvers that see no picture, each cross-validated over videos, so that no video is in both
halves: the most frequent answer, the words of the question, the options alone, and the length of
options. For numbers: the best constant, and the best constant among questions with the same words.
A family whose answers are of several kinds, or measure several things, is several families.
A family of LEAST questions fails where the upper bound of its best solver, corrected after Holm for
the number of families, lies over chance by more than `bound`; a smaller one where the lower does.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from massannot.errors import BadQuestion, UsageError
from massannot.questions.answers import (
    KINDS,
    Clock,
    Number,
    TimeInterval,
    bare_options,
    kind_of,
    parse,
)
from massannot.questions.ask.blind_solvers import BlindItem, chance_of, solved
from massannot.storage.durable import write_over
from massannot.storage.json_text import parsed
from massannot.storage.parquet import write_plain

Row = dict[str, Any]
F64 = NDArray[np.float64]

ALPHA = 0.05
LEAST = 400
"""Questions of a family, for its upper bound to say something: of fewer, only a solver whose lower
bound lies above what is allowed is a leak."""
TOLERANCE = 0.25


@dataclass(frozen=True)
class SolverScore:
    solver: str
    accuracy: float
    low: float
    high: float
    """Of a 95 % interval over videos, Holm-corrected where it decides; of one video 0 and 1."""


@dataclass(frozen=True)
class FamilyCheck:
    family: str
    questions: int
    videos: int
    chance: float
    scores: tuple[SolverScore, ...]
    judged: bool
    """False: fewer than LEAST questions, too few to say that nothing leaks."""
    leaks: bool

    @property
    def best(self) -> SolverScore:
        return max(self.scores, key=lambda score: score.high)


@dataclass(frozen=True)
class BlindCheck:
    families: tuple[FamilyCheck, ...]
    blind_score: tuple[tuple[int, float], ...]
    """Number of each row that has an answer, from 0, and the share of the solvers that were right
    about it."""
    unread: tuple[int, ...] = ()
    """Numbers of the rows without an answer that can be judged."""


def check_manifest(path: Path, *, bound: float = 0.05, seed: int = 0) -> BlindCheck:
    """Of a JSONL, JSON or Parquet manifest, or a folder of questions: see `read_rows`. Raises
    UsageError for what has no questions with answers."""
    rows = read_rows(path)
    items = list(map(_item, rows))
    read = [(number, item) for number, item in enumerate(items) if item is not None]
    if not read:
        raise UsageError(f"{path}: found no question with an answer that can be read")
    found = check_items([item for _, item in read], bound=bound, seed=seed)
    scores = [(read[place][0], score) for place, score in found.blind_score]
    unread = tuple(number for number, item in enumerate(items) if item is None)
    return BlindCheck(found.families, tuple(scores), unread)


def check_items(items: Sequence[BlindItem], *, bound: float, seed: int) -> BlindCheck:
    by_family = _by_family(items)
    right: dict[str, dict[str, F64]] = {}
    for name, places in by_family.items():
        right[name] = solved([items[i] for i in places], seed=seed)
    checks = _judged(items, by_family, right, bound)
    scores = np.zeros(len(items))
    for name, places in by_family.items():
        scores[places] = np.mean(list(right[name].values()), axis=0)
    return BlindCheck(tuple(checks), tuple(enumerate(scores.tolist())))


def _by_family(items: Sequence[BlindItem]) -> dict[str, list[int]]:
    """Numbers of each family's items."""
    whats: dict[str, set[str]] = defaultdict(set)
    for item in items:
        whats[item.family].add(item.what)
    by_family: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        is_one = len(whats[item.family]) == 1
        by_family[item.family if is_one else f"{item.family}, {item.what}"].append(i)
    return by_family


def write_scored(path: Path, manifest: Path, found: BlindCheck) -> None:
    """The manifest's rows with the column blind_score, null where an answer cannot be judged. The
    ending decides: .parquet, else JSONL."""
    score_of = dict(found.blind_score)
    rows = [row | {"blind_score": score_of.get(n)} for n, row in enumerate(read_rows(manifest))]
    if path.suffix == ".parquet":
        write_plain(path, pa.Table.from_pylist(rows))
        return
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    write_over(path, "".join(f"{line}\n" for line in lines).encode())


def read_rows(path: Path) -> list[Row]:
    """Of a manifest, or of a folder that `questions ask`, `questions publish`, `questions scenes`
    or `annotate` wrote. Raises UsageError for what cannot be read."""
    if not path.is_dir():
        return _rows_of_file(path)
    files = next(filter(None, (sorted(path.glob(names)) for names in _OF_FOLDER)), None)
    if files is None:
        raise UsageError(
            f"{path}: found no questions in this folder, expected {' or '.join(_OF_FOLDER)}, as "
            "`questions ask`, `questions publish`, `questions scenes` and `annotate` write them"
        )
    return [row for file in files for row in _rows_of_file(file)]


_OF_FOLDER = ("questions.jsonl", "data/questions/*.parquet", "data/*-*.parquet")
"""Where a folder's questions lie; the first that is there."""


def _rows_of_file(path: Path) -> list[Row]:
    try:
        if path.suffix == ".parquet":
            return list(pq.read_table(path, partitioning=None).to_pylist())
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return list(parsed(text))
        return [parsed(line) for line in text.splitlines() if line.strip()]
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such file; expected a manifest, or the folder of a dataset of questions"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as a manifest: {error}") from error


def _judged(
    items: Sequence[BlindItem],
    by_family: dict[str, list[int]],
    right: dict[str, dict[str, F64]],
    bound: float,
) -> list[FamilyCheck]:
    """Holm: families by how clear their best solver's excess is; the clearest has the strictest
    level. An upper bound is what cannot be excluded, so the correction widens it."""
    plain = {}
    for name, places in by_family.items():
        videos = [items[i].video for i in places]
        chance = chance_of([items[i] for i in places])
        means = {s: _bounds(r, videos) for s, r in right[name].items()}
        plain[name] = (chance, means, len(set(videos)))
    room = {
        name: min((chance + bound - m) / max(se, 1e-9) for m, se in means.values())
        for name, (chance, means, _) in plain.items()
    }
    order = sorted(room, key=lambda name: room[name])
    checks = []
    for rank, name in enumerate(order):
        chance, means, n_videos = plain[name]
        z = NormalDist().inv_cdf(1 - ALPHA / (len(order) - rank))
        scores = tuple(
            SolverScore(s, float(r.mean()), max(m - z * se, 0.0), min(m + z * se, 1.0))
            for (s, (m, se)), r in zip(means.items(), right[name].values(), strict=True)
        )
        judged = len(by_family[name]) >= LEAST
        leaks = any((s.high if judged else s.low) > chance + bound for s in scores)
        checks.append(
            FamilyCheck(name, len(by_family[name]), n_videos, chance, scores, judged, leaks)
        )
    return sorted(checks, key=lambda check: check.family)


def _bounds(right: F64, videos: Sequence[str]) -> tuple[float, float]:
    """Middle and standard error of a share whose questions cluster in videos; two right and two
    wrong answers are added, so that a few that are all right are not taken for certain.

    Source: Agresti and Coull (1998), for the middle and the least standard error."""
    n = len(right) + 4
    middle = (float(right.sum()) + 2) / n
    sums: dict[str, float] = defaultdict(float)
    mean = float(right.mean())
    for video, value in zip(videos, right.tolist(), strict=True):
        sums[video] += value - mean
    n_videos = len(sums)
    if n_videos < 2:
        return middle, math.inf
    clustered = math.sqrt(sum(x * x for x in sums.values()) * n_videos / (n_videos - 1))
    return middle, max(clustered / len(right), math.sqrt(middle * (1 - middle) / n))


def _item(row: Row) -> BlindItem | None:
    """None: a row without an answer that can be judged."""
    answer, question = row.get("answer") or row.get("solution"), row.get("question")
    if not isinstance(answer, str) or not isinstance(question or row.get("problem"), str):
        return None
    answer = re.sub(r"^\s*<answer>(.*)</answer>\s*$", r"\1", answer, flags=re.DOTALL)
    text = str(question or row.get("problem"))
    options = tuple(row.get("options") or ())
    kind = row.get("problem_type")
    try:
        unit = row.get("unit")
        if kind not in KINDS:
            kind, unit = kind_of(answer, options=options, question=text, asked_unit=unit)
        if kind == "multiple_choice":
            options = bare_options(options)
        parsed = parse(answer, kind=kind, options=options, asked_unit=unit)
    except BadQuestion:
        return None
    value: Any = getattr(parsed, "index", None)
    if value is None:
        value = _comparable(parsed, answer)
    tolerance = row.get("tolerance")
    return BlindItem(
        str(row.get("family") or row.get("category") or "all"),
        str(next(filter(None, map(row.get, _VIDEO)), "")),
        tuple(re.findall(r"[a-z']+|\d+", text.casefold())),
        options,
        value,
        str(kind),
        " of ".join(filter(None, (str(kind), getattr(parsed, "dimension", None)))),
        TOLERANCE if tolerance is None else float(tolerance),
        float(row.get("tolerance_abs") or 0.0),
    )


_VIDEO = ("video_id", "video", "path", "uri")
"""What names a row's video, in manifests and in our own tables."""


def _comparable(parsed: Any, answer: str) -> Any:
    if isinstance(parsed, Number):
        return parsed.value
    if isinstance(parsed, TimeInterval):
        return (parsed.start_s, parsed.end_s)
    if isinstance(parsed, Clock):
        return parsed.hour
    yes = getattr(parsed, "yes", None)
    return answer.strip().casefold() if yes is None else yes
