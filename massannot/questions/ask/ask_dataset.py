"""`massannot questions ask`: a new dataset of questions about an annotated one, with their proof.

DEST has the tables questions, question_programs and question_evidence, the rows of videos and clips
that they speak of, the manifest `questions.jsonl`, and `source.json`, which says by hash what was
asked about. Equal arguments give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import UsageError
from massannot.questions.ask import program as p
from massannot.questions.ask.asked_card import card_of, manifest_row
from massannot.questions.ask.balance import balanced, kept_choices
from massannot.questions.ask.cited_rows import TABLES, ClipRows, DatasetRows, RowRead
from massannot.questions.ask.family import BOX_COLOURS, AskedFamily, Sight, families_of
from massannot.questions.ask.questions_of_clip import (
    Candidate,
    answered,
    candidates,
    plain_value,
)
from massannot.questions.ask.run_program import Value
from massannot.questions.ask.seen_to_hold import Profile, offered, profile_of
from massannot.storage.durable import sha256_of, write_over
from massannot.storage.parquet import write_parquet

Row = dict[str, Any]

SOURCE = "source.json"
MANIFEST = "questions.jsonl"
_FILE = "questions"
_HOWS: tuple[p.How, ...] = ("mirrored", "reversed")


@dataclass(frozen=True)
class Asking:
    """What is asked, and how certain it must be."""

    families: tuple[str, ...] = ()
    """Names of ours, files, or either with `:NAME`; none: all of ours that hold, see
    seen_to_hold."""
    per_clip: int = 4
    """Questions of one family about one clip."""
    min_margin: float = 2.0
    reference: p.Reference = "world"
    mark: Literal["phrases", "boxes"] = "phrases"
    twins: bool = False
    seed: int = 0


def ask(out: Path, dest: Path, asking: Asking) -> dict[str, dict[str, int]]:
    """Write the questions; returns by family how many were certain (`askable`) and `asked`.

    Raises UsageError for an unknown family, a folder that holds something else, and where nothing
    can be asked.
    """
    dataset, layout = open_dataset(out), Layout(dest)
    if any(layout.data.glob("*/*.parquet")) and not (layout.out / SOURCE).exists():
        raise UsageError(f"{dest}: found another dataset there, expected a new folder")
    families, profile = families_of(asking.families), profile_of(dataset)
    if not asking.families:
        families = offered(families, profile)
    found = found_candidates(dataset, families, asking)
    counts: dict[str, dict[str, int]] = {}
    asked: list[Candidate] = []
    for family in families:
        chosen = balanced(found[family.name], per_clip=asking.per_clip, seed=asking.seed)
        counts[family.name] = {"askable": len(found[family.name]), "asked": len(chosen)}
        asked += _with_kept_choices(chosen)
    if not asked:
        raise UsageError(
            f"{out}: found no balanced question with a margin of {asking.min_margin}, expected "
            "some; more clips, other families or a smaller --min-margin give more"
        )
    rows = _rows(dataset, asked, asking)
    _write(dataset, layout, rows, asking, counts, profile)
    return counts


def found_candidates(
    dataset: Dataset, families: Sequence[AskedFamily], asking: Asking
) -> dict[str, list[Candidate]]:
    """By family, in the order of clips."""
    found: dict[str, list[Candidate]] = {family.name: [] for family in families}
    for rows in DatasetRows(dataset).each(dataset.clip_ids):
        sight = Sight(rows, reference=asking.reference, boxes=asking.mark == "boxes")
        for family in families:
            found[family.name] += candidates(sight, rows, family, min_margin=asking.min_margin)
    return found


def answer_text(value: Value, *, kind: str, unit: str | None, choices: Sequence[str] | None) -> str:
    """As a question's `answer`: a letter, a number with its unit, an hour, yes or no."""
    if choices:
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[list(choices).index(json.dumps(plain_value(value)))]
    if kind == "number":
        return f"{value:.2f} {unit}" if unit else str(value)
    if kind == "clock":
        return f"{value} o'clock"
    if kind == "interval":
        assert isinstance(value, tuple)
        return f"{value[0]:.2f} - {value[1]:.2f} s"
    return str(value)


def evidence_hash(question: Row, program: str, digests: Sequence[str]) -> str:
    """Of what was asked, the program and the rows it read: what no second run would notice."""
    text = json.dumps([question["question"], question["options"], program, *digests])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _with_kept_choices(chosen: Sequence[Candidate]) -> list[Candidate]:
    if not chosen or chosen[0].family.kind != "multiple_choice":
        return list(chosen)
    kept = kept_choices(chosen)
    family = chosen[0].family
    narrowed = replace(family, choices=tuple(c for c in family.choices if c in kept))
    return [replace(candidate, family=narrowed) for candidate in chosen]


def _rows(dataset: Dataset, asked: Sequence[Candidate], asking: Asking) -> dict[str, list[Row]]:
    by_clip: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in asked:
        by_clip[candidate.clip_id].append(candidate)
    found: dict[str, list[Row]] = defaultdict(list)
    for rows in DatasetRows(dataset).each(list(by_clip)):
        sight = Sight(rows, reference=asking.reference, boxes=asking.mark == "boxes")
        for candidate in by_clip[rows.clip_id]:
            _add(found, candidate, rows, sight, asking)
    return found


def _add(
    found: dict[str, list[Row]],
    candidate: Candidate,
    rows: ClipRows,
    sight: Sight,
    asking: Asking,
) -> None:
    programs: list[tuple[str, p.How | None, p.Operation]] = [
        (candidate.question_id, None, candidate.proposal.program)
    ]
    if asking.twins:
        programs += [
            (
                f"{candidate.question_id}-{how}",
                how,
                p.Counterfactual(how, candidate.proposal.program),
            )
            for how in _HOWS
        ]
    chance = np.random.default_rng([asking.seed, int(candidate.question_id[:8], 16)])
    for question_id, how, program in programs:
        run, gives = answered(rows, program)
        if gives is None:
            continue
        question = _question(candidate, gives.value, sight, question_id, asking, chance)
        if question is None:
            continue
        choices, row = question
        evidence = list(evidence_rows(question_id, run.rows, candidate.proposal.things))
        row |= _shown(evidence, sight)
        found["questions"].append(row | {"further": _further(candidate, sight, how, asking)})
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
                "evidence_hash": evidence_hash(
                    row, p.as_json(program), [item["digest"] for item in evidence]
                ),
                "twin_of": candidate.question_id if how else None,
                "twin_kind": how,
            }
        )


def _question(
    candidate: Candidate,
    value: Value,
    sight: Sight,
    question_id: str,
    asking: Asking,
    chance: np.random.Generator,
) -> tuple[list[str] | None, Row] | None:
    """Choices as JSON and the row of `questions`; None: the value is none of the choices."""
    family, proposal = candidate.family, candidate.proposal
    names = _names(candidate, sight, asking)
    values = list(proposal.choices or family.choices)
    options: list[str] | None = None
    choices: list[str] | None = None
    if family.kind == "multiple_choice":
        if value not in values:
            return None
        if (set(values) & set(family.say) and len(values) > 2) or proposal.choices:
            values = [values[i] for i in chance.permutation(len(values))]
        things = {thing.entity: thing for thing in sight.things}
        options = [
            _name(things[v], sight, asking, proposal.things) if proposal.choices
            else family.say.get(v, str(v)).format(*names)
            for v in values
        ]  # fmt: skip
        choices = [json.dumps(plain_value(v)) for v in values]
    end = sight.t_s[proposal.until_frame] if proposal.until_frame is not None else sight.t_s[-1]
    text = proposal.text.format(*names)
    return choices, {
        "question_id": question_id,
        "uri": sight.clip["uri"],
        "clip_id": candidate.clip_id,
        "clip_ids": [candidate.clip_id],
        "start_s": sight.t_s[0],
        "end_s": end,
        "question": text[0].upper() + text[1:],
        "answer": answer_text(value, kind=family.kind, unit=family.unit, choices=choices),
        "category": family.category,
        "entities": [thing.phrase for thing in sight.things if thing.entity in proposal.things],
        "split": None,
        "problem_type": family.kind,
        "options": options,
        "unit": family.unit if family.kind in ("number", "interval") else None,
        "tolerance_abs": family.tolerance_abs,
        "tolerance": 0.0 if family.tolerance_abs is not None else None,
    }


def _names(candidate: Candidate, sight: Sight, asking: Asking) -> list[str]:
    things = {thing.entity: thing for thing in sight.things}
    order = candidate.proposal.things
    return [_name(things[thing], sight, asking, order) for thing in order]


def _name(thing: Any, sight: Sight, asking: Asking, order: tuple[int, ...]) -> str:
    if asking.mark == "boxes":
        return f"the thing in the {BOX_COLOURS[order.index(thing.entity) % len(BOX_COLOURS)]} box"
    words = thing.phrase.strip()
    for article in ("a ", "an ", "the "):
        words = words[len(article) :] if words.casefold().startswith(article) else words
    return f"the {words}"


def evidence_rows(question_id: str, rows: ClipRows, things: Sequence[int]) -> Iterator[Row]:
    """What was read, by step, and where the things are to be seen at three moments."""
    last = len(rows.rows("frames", role="clip")) - 1
    for thing in things:
        for frame in sorted({0, last // 2, last}):
            if rows.has("masks", (rows.clip_id, thing, frame)):
                rows.row("masks", thing, frame, role="witness")
    numbers: Counter[int] = Counter()
    boxes = {
        (key[1], key[2]): rows.row("masks", *key[1:], role="witness")
        for (table, key) in list(rows.cited)
        if table == "masks" and len(key) == 3
    }
    for read in sorted(rows.cited.values(), key=lambda read: read.step):
        row = {
            "question_id": question_id,
            "step": read.step,
            "item": numbers[read.step],
            "table": read.table,
            "row_key": json.dumps(list(read.key)),
            "role": read.role,
            "digest": rows.digest(read.table, read.key),
        }
        numbers[read.step] += 1
        yield row | _place(read, boxes)


def _place(read: RowRead, boxes: dict[tuple[int, int], Any]) -> Row:
    names = tables.spec(read.table).key
    if "frame" not in names or len(read.key) < len(names):
        return {}
    frame = read.key[names.index("frame")]
    thing = read.key[names.index("entity")] if "entity" in names else None
    mask = (
        boxes.get((thing or 0, frame))
        if thing is not None and read.table in ("masks", "positions")
        else None
    )
    if mask is None or mask["x0"] is None:
        return {"frame": frame}
    return {"frame": frame, **{side: mask[side] for side in ("x0", "y0", "x1", "y1")}}


def _shown(evidence: Sequence[Row], sight: Sight) -> Row:
    """Times and boxes of the evidence that is in the picture."""
    shown = [row for row in evidence if row["table"] == "masks" and row.get("x0") is not None]
    boxes = [
        [sight.t_s[row["frame"]], *(float(row[side]) for side in ("x0", "y0", "x1", "y1"))]
        for row in shown
    ]
    return {
        "evidence_times_s": sorted({box[0] for box in boxes}) or None,
        "evidence_boxes": [x for box in boxes for x in box] or None,
    }


def _further(candidate: Candidate, sight: Sight, how: str | None, asking: Asking) -> str:
    proposal = candidate.proposal
    more: Row = {"family": candidate.family.name, "video_id": candidate.video_id}
    if how:
        more["video_is"] = how
    if proposal.until_frame is not None:
        more["shown_until_s"] = sight.t_s[proposal.until_frame]
    if asking.mark == "boxes":
        more["boxes"] = {
            BOX_COLOURS[i % len(BOX_COLOURS)]: thing for i, thing in enumerate(proposal.things)
        }
    return json.dumps(more, sort_keys=True)


def _write(
    dataset: Dataset,
    layout: Layout,
    rows: dict[str, list[Row]],
    asking: Asking,
    counts: dict[str, dict[str, int]],
    profile: Profile | None,
) -> None:
    clip_ids = pa.array(sorted({row["clip_id"] for row in rows["questions"]}))
    clips = dataset.table("clips")
    clips = clips.filter(pc.is_in(clips["clip_id"], value_set=clip_ids))
    made = {"clips": clips}
    if "videos" in dataset.names:
        videos = dataset.table("videos")
        made["videos"] = videos.filter(
            pc.is_in(videos["uri"], value_set=clips["uri"].combine_chunks())
        )
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
    lines = [json.dumps(manifest_row(row), ensure_ascii=False) for row in rows["questions"]]
    write_over(layout.out / MANIFEST, "".join(f"{line}\n" for line in sorted(lines)).encode())
    write_over(layout.card, card_of(made, rows, counts, profile).encode())
