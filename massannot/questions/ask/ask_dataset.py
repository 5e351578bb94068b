"""`massannot questions ask`: a new dataset of questions about an annotated one, with their proof.

DEST has the tables questions, question_programs and question_evidence, the rows of videos and clips
that they speak of, the manifest `questions.jsonl`, and `source.json`, which says by hash what was
asked about. Equal arguments give equal bytes.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.record import refuse_foreign_card
from massannot.errors import BadTable, UsageError
from massannot.questions.ask import program as p
from massannot.questions.ask.asked_card import card_of, manifest_row
from massannot.questions.ask.balance import balanced, kept_choices
from massannot.questions.ask.blind_check import read_rows
from massannot.questions.ask.cited_rows import TABLES, ClipRows, DatasetRows
from massannot.questions.ask.distractors import with_options
from massannot.questions.ask.evidence import evidence_hash, evidence_rows
from massannot.questions.ask.family import BOX_COLOURS, AskedFamily, Sight, families_of
from massannot.questions.ask.question_row import moments_of, question_row, shown_evidence
from massannot.questions.ask.questions_of_clip import (
    Candidate,
    answered,
    candidates,
    plain_value,
)
from massannot.questions.ask.seen_to_hold import Profile, offered, profile_of
from massannot.questions.ask.writer import Writer, writer_of
from massannot.storage.durable import sha256_of, write_over
from massannot.storage.parquet import write_parquet
from massannot.storage.path import resolved
from massannot.storage.store import is_remote

Row = dict[str, Any]

SOURCE = "source.json"
MANIFEST = "questions.jsonl"
_FILE = "questions"


@dataclass(frozen=True)
class Asking:
    """What is asked, and how certain it must be."""

    families: tuple[str, ...] = ()
    """Names of ours, files, or either with `:NAME`; none: all of ours that hold, see
    seen_to_hold."""
    per_clip: int = 4
    """Questions of one family about one clip."""
    min_margin: float = 2.0
    reference: p.Reference | Literal["auto"] = "auto"
    mark: Literal["phrases", "boxes"] = "phrases"
    twins: bool = False
    """Also of the video mirrored and reversed, and in other words."""
    options: bool = False
    """Numbers, hours and times are a choice among values of counterfactual tracks."""
    even: bool = True
    """No answer more often than another, see balance."""
    writer: str | None = None
    """MODULE:FUNCTION, see writer."""
    orientations: str | None = None
    """File with the columns of the table `orientations`."""
    seed: int = 0


def ask(out: Path, dest: Path, asking: Asking) -> dict[str, dict[str, int]]:
    """Write the questions; returns by family how many were certain (`askable`) and `asked`, of a
    writer also how many were `written`.

    Raises UsageError for an unknown family or writer, a folder that holds something else, and
    where nothing can be asked.
    """
    dataset, layout = open_dataset(out), Layout(dest)
    if any(layout.data.glob("*/*.parquet")) and not (layout.out / SOURCE).exists():
        raise UsageError(f"{dest}: found another dataset there, expected a new folder")
    refuse_foreign_card(layout)
    profile = profile_of(dataset)
    writer = None if asking.writer is None else writer_of(asking.writer)
    families: tuple[AskedFamily, ...] = ()
    if asking.families or writer is None:
        families = families_of(asking.families)
    if not asking.families:
        families = offered(families, profile)
    orientations = None if asking.orientations is None else _orientations(asking.orientations)
    clip_rows = DatasetRows(dataset, orientations=orientations)
    found = found_candidates(clip_rows, families, asking, writer=writer)
    counts: dict[str, dict[str, int]] = {}
    asked: list[Candidate] = []
    for name, certain in found.items():
        ours = writer is None or name not in writer.written
        chosen = balanced(
            certain, per_clip=asking.per_clip, seed=asking.seed, even=asking.even and ours
        )
        counts[name] = {"askable": len(certain), "asked": len(chosen)}
        if writer is not None and not ours:
            counts[name]["written"] = writer.written[name]
        asked += _with_kept_choices(chosen) if ours and asking.even else chosen
    if not asked:
        balance, way = ("balanced ", ", --uneven") if asking.even else ("", "")
        raise UsageError(
            f"{out}: found no {balance}question with a margin of {asking.min_margin}, expected "
            f"some; more clips, other families (--family), a smaller --min-margin{way} give more"
        )
    rows = _rows(clip_rows, asked, asking)
    _write(clip_rows, layout, rows, asking, counts, profile)
    return counts


def found_candidates(
    clip_rows: DatasetRows,
    families: Sequence[AskedFamily],
    asking: Asking,
    *,
    writer: Writer | None = None,
) -> dict[str, list[Candidate]]:
    """By family, in the order of clips."""
    found: dict[str, list[Candidate]] = {family.name: [] for family in families}
    for rows in clip_rows.each(clip_rows.dataset.clip_ids):
        sight = Sight(rows, reference=asking.reference, boxes=asking.mark == "boxes")
        for family in (*families, *(writer.families(sight, rows) if writer else ())):
            certain = found.setdefault(family.name, [])
            for each in candidates(sight, rows, family, min_margin=asking.min_margin):
                one = with_options(each, rows, sight) if asking.options else each
                if one is not None and _can_be_named(one, sight):
                    certain.append(one)
    return found


def _can_be_named(candidate: Candidate, sight: Sight) -> bool:
    """Whether words, or enough colours, tell its things apart."""
    things = set(candidate.proposal.things)
    enough = not sight.boxes or len(things) <= len(BOX_COLOURS)
    return enough and things <= {thing.entity for thing in sight.things}


def _with_kept_choices(chosen: Sequence[Candidate]) -> list[Candidate]:
    if not chosen or chosen[0].family.kind != "multiple_choice":
        return list(chosen)
    kept = kept_choices(chosen)
    family = chosen[0].family
    narrowed = replace(family, choices=tuple(c for c in family.choices if c in kept))
    return [replace(candidate, family=narrowed) for candidate in chosen]


def _rows(
    clip_rows: DatasetRows, asked: Sequence[Candidate], asking: Asking
) -> dict[str, list[Row]]:
    by_clip: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in asked:
        by_clip[candidate.clip_id].append(candidate)
    found: dict[str, list[Row]] = defaultdict(list)
    for rows in clip_rows.each(list(by_clip)):
        sight = Sight(rows, reference=asking.reference, boxes=asking.mark == "boxes")
        for candidate in by_clip[rows.clip_id]:
            _add(found, candidate, rows, sight, asking)
    return _with_hashes(found)


def _with_hashes(found: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Of rows as they are read again: in the order and with the precision of their tables."""
    read = {name: tables.spec(name).from_rows(rows).to_pylist() for name, rows in found.items()}
    questions = {row["question_id"]: row for row in read["questions"]}
    evidence: dict[str, list[Row]] = defaultdict(list)
    for row in read["question_evidence"]:
        evidence[row["question_id"]].append(row)
    for row in read["question_programs"]:
        number = row["question_id"]
        row["evidence_hash"] = evidence_hash(questions[number], row, evidence[number])
    return read


def _add(
    found: dict[str, list[Row]],
    candidate: Candidate,
    rows: ClipRows,
    sight: Sight,
    asking: Asking,
) -> None:
    mine = candidate.proposal.program
    programs: list[tuple[str | None, p.Operation]] = [(None, mine)]
    if asking.twins:
        hows: tuple[p.How, ...] = ("mirrored", "reversed")
        if candidate.proposal.until_frame is not None:
            hows = ("mirrored",)  # backwards it asks of another time, whose answers are not even
        programs += [(how, p.Counterfactual(how, mine)) for how in hows]
        programs.append(("paraphrased", mine))
    chance = np.random.default_rng([asking.seed, int(candidate.question_id[:8], 16)])
    for twin, program in programs:
        run, gives = answered(rows, program)
        if gives is None:
            continue
        question_id = f"{candidate.question_id}-{twin}" if twin else candidate.question_id
        question = question_row(
            candidate, gives.value, sight, question_id=question_id, twin=twin, chance=chance
        )
        if question is None:
            continue
        choices, row = question
        frames = range(sight.last + 1) if sight.boxes else moments_of(candidate, sight, twin)
        things = candidate.proposal.things
        evidence = list(evidence_rows(question_id, run.rows, things, frames=frames))
        found["questions"].append(row | shown_evidence(evidence, candidate, sight, twin))
        found["question_evidence"] += evidence
        found["question_programs"].append(
            {
                "question_id": question_id,
                "family": candidate.family.name,
                "program": p.as_json(program),
                "value": json.dumps(plain_value(gives.value)),
                "sigma": gives.sigma,
                "margin": gives.margin if np.isfinite(gives.margin) else None,
                "thresholds": json.dumps(dict(candidate.family.thresholds), sort_keys=True),
                "version": p.VERSION,
                "basis": run.basis,
                "choices": choices,
                "evidence_hash": "",
                "twin_of": candidate.question_id if twin else None,
                "twin_kind": twin,
            }
        )


def _orientations(path: str) -> pa.Table:
    """Of a Parquet, CSV, JSON or JSONL file. Raises UsageError where it does not hold them."""
    try:
        return tables.spec("orientations").from_rows(read_rows(Path(path)))
    except (BadTable, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        names = ", ".join(tables.spec("orientations").names)
        raise UsageError(f"--orientations {path}: expected the columns {names}: {error}") from error


def _write(
    clip_rows: DatasetRows,
    layout: Layout,
    rows: dict[str, list[Row]],
    asking: Asking,
    counts: dict[str, dict[str, int]],
    profile: Profile | None,
) -> None:
    dataset = clip_rows.dataset
    clip_ids = pa.array(sorted({row["clip_id"] for row in rows["questions"]}))
    clips = dataset.table("clips")
    clips = clips.filter(pc.is_in(clips["clip_id"], value_set=clip_ids))
    made = {"clips": clips}
    if "videos" in dataset.names:
        videos = dataset.table("videos")
        made["videos"] = videos.filter(
            pc.is_in(videos["uri"], value_set=clips["uri"].combine_chunks())
        )
    if clip_rows.orientations is not None:
        made["orientations"] = clip_rows.orientations
    for name in ("questions", "question_programs", "question_evidence"):
        made[name] = tables.spec(name).from_rows(rows[name])
    for name in sorted(made, key=lambda name: (name == "clips", name)):
        spec = tables.spec(name)
        write_parquet(layout.published(name, _FILE), [made[name]], spec=spec)
    source = {
        "dataset": str(Path(dataset.layout.out).resolve()),
        "files": {
            f"{name}/{path.name}": sha256_of(path)
            for name in TABLES
            for path in dataset.files(name)
        },
        "asking": asdict(asking),
        "counts": counts,
    }
    write_over(layout.out / SOURCE, (json.dumps(source, indent=1, sort_keys=True) + "\n").encode())
    named = {uri: _named_from(layout.out, uri, dataset) for uri in clips["uri"].to_pylist()}
    lines = [
        json.dumps(manifest_row(row, video=named[row["uri"]]), ensure_ascii=False)
        for row in rows["questions"]
    ]
    write_over(layout.out / MANIFEST, "".join(f"{line}\n" for line in sorted(lines)).encode())
    write_over(layout.card, card_of(made, rows, counts, profile).encode())


def _named_from(folder: Path, uri: str, dataset: Dataset) -> str:
    """A video's name in a manifest of `folder`: manifests name videos from where they lie, tables
    from where the run was begun."""
    record = run_record.read(dataset.layout)
    begun_in = None if record is None else record.spec.get("folder")
    path = resolved(uri, folder=begun_in or os.getcwd())
    if path == uri or is_remote(str(folder)):
        return path
    return os.path.relpath(path, folder)
